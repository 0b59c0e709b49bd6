//! A row group of several pages: some of its rows are those rows of all of it.

use tempo_block::read::wanted_fields;
use tempo_traceql::ast::Scope;
use tempo_traceql::columns::{Column, Field, Rows, Selection, Values};

use super::{Written, calls, head_of, run};

/// Rows with their values, ordered.
fn told(column: &Column, selected: &[u32]) -> Vec<(u32, String)> {
    let mut told = Vec::new();
    for part in &column.parts {
        for index in 0..part.values.len() {
            let row = match &part.rows {
                Rows::Dense => selected[index],
                Rows::Sparse(rows) | Rows::Entries { rows, .. } => rows[index],
            };
            let value = match &part.values {
                Values::String { codes, dictionary } => dictionary.get(codes[index]).unwrap().to_owned(),
                Values::Int(values) | Values::Duration(values) => values[index].to_string(),
                Values::Status(values) | Values::Kind(values) => values[index].to_string(),
                Values::SpanId(ids) => format!("{:?}", ids[index]),
                other => panic!("{other:?}"),
            };
            told.push((row, value));
        }
    }
    told.sort();
    told
}

#[test]
fn some_rows_of_several_pages_are_those_of_all() {
    run(async {
        let written = Written::of(&head_of(&[calls(11_000)]), 50_000).await;
        let block = written.block();
        let attribute = |scope, key: &str| Field::Attribute(scope, key.to_owned());
        let fields = [
            Field::Start,
            Field::Duration,
            Field::Name,
            Field::Status,
            Field::Kind,
            Field::SpanId,
            attribute(Scope::Span, "trace"),
            attribute(Scope::Span, "parity"),
            attribute(Scope::Resource, "service.name"),
        ];
        let rows = block.row_groups().await.unwrap()[0].spans as u32;
        assert_eq!(rows, 44_000, "one row group");
        let all: Vec<u32> = (0..rows).collect();
        for step in [1, 7, 9, 501, 19_999, 20_000, 43_999] {
            let some: Vec<u32> = (0..rows).step_by(step).collect();
            let (fresh, whole) = (
                block.row_group(0).await.unwrap(),
                block.row_group(0).await.unwrap(),
            );
            for group in [&fresh, &whole] {
                group.load(&wanted_fields(fields.clone())).await.unwrap();
            }
            for field in &fields {
                let found = fresh.batch().column(field, Selection::Rows(&some)).unwrap();
                let mut expected = told(&whole.batch().column(field, Selection::All).unwrap(), &all);
                expected.retain(|(row, _)| row.is_multiple_of(step as u32));
                assert_eq!(told(&found, &some), expected, "{field}, every {step}");
            }
        }
    });
}
