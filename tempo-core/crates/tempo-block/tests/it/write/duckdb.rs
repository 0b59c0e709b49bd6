//! DuckDB reads several blocks as one table.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value as Json, json};
use tempo_block::layout::BlockFile;
use tempo_block::store::{Settings, open};
use tempo_block::write::{self, BlockOptions};
use tempo_model::TenantId;
use tempo_model::proto::common::any_value::Value;
use tempo_model::proto::common::{AnyValue, ArrayValue, KeyValue};
use tempo_model::proto::resource::Resource;
use tempo_model::proto::trace::{ExportTraceServiceRequest, ResourceSpans, ScopeSpans, Span};
use tempo_runtime::Environment;
use ulid::Ulid;

use super::{ARRIVAL, head_of};
use crate::read::run;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/write/query.py");
const TRACE: &str = "5b8efff798038103d269b633813fc60c";

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn span(id: u8, parent: &[u8], attributes: Vec<KeyValue>) -> Span {
    Span {
        trace_id: (0..16)
            .map(|byte| u8::from_str_radix(&TRACE[2 * byte..2 * byte + 2], 16).unwrap())
            .collect(),
        span_id: vec![id; 8],
        parent_span_id: parent.to_vec(),
        name: format!("span {id}"),
        start_time_unix_nano: ARRIVAL + u64::from(id),
        end_time_unix_nano: ARRIVAL + u64::from(id) + 1_000_000,
        attributes,
        ..Span::default()
    }
}

/// Writes a block, and gives the place of its spans.
fn block(folder: &Path, id: u128, service: &str, spans: Vec<Span>) -> String {
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![text("service.name", service)],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    let settings = Settings::Local {
        folder: folder.to_owned(),
    };
    let store = open(&settings).unwrap();
    let environment = Environment::simulated(1, ARRIVAL);
    let snapshot = head_of(&[request]).snapshot();
    let options = BlockOptions::of_head(Ulid::from(id));
    run(write::block(
        &environment,
        &store,
        &TenantId::single(),
        &snapshot,
        options,
    ))
    .unwrap();
    let path = BlockFile::Spans.path(&TenantId::single(), options.id);
    folder.join(path.as_ref()).display().to_string()
}

/// The rows that DuckDB gives for each query; `None`, with a note, when it is not here.
fn ask(files: &[String], queries: &[&str]) -> Option<Vec<Json>> {
    let Some(python) = std::env::var_os("TEMPO_RS_PYTHON") else {
        println!("skipped: no DuckDB; `make test` installs it and sets TEMPO_RS_PYTHON");
        return None;
    };
    let mut script = Command::new(python)
        .arg(SCRIPT)
        .args(files)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let input = serde_json::to_vec(queries).unwrap();
    script.stdin.take().unwrap().write_all(&input).unwrap();
    let output = script.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn three_blocks(folder: &Path) -> Vec<String> {
    let array = Value::ArrayValue(ArrayValue {
        values: vec![AnyValue {
            value: Some(Value::IntValue(1)),
        }],
    });
    vec![
        // Keys that differ in case; a status that is a number.
        block(
            folder,
            1,
            "shop",
            vec![
                span(
                    1,
                    &[],
                    vec![
                        text("userId", "a"),
                        text("userid", "b"),
                        int("http.status_code", 500),
                    ],
                ),
                span(
                    2,
                    &[1; 8],
                    vec![text("user.id", "u1"), int("http.status_code", 200)],
                ),
            ],
        ),
        // The same key with other types; a key that others lack.
        block(
            folder,
            2,
            "cart",
            vec![
                span(
                    3,
                    &[2; 8],
                    vec![
                        text("http.status_code", "503"),
                        attribute("http.status_code", Value::DoubleValue(0.5)),
                    ],
                ),
                span(4, &[3; 8], vec![text("only.here", "x"), text("userid", "c")]),
            ],
        ),
        // A key twice in one span, and a value without a column.
        block(
            folder,
            3,
            "cart",
            vec![
                span(
                    5,
                    &[],
                    vec![
                        text("user.id", "u2"),
                        text("user.id", "u3"),
                        attribute("tags", array),
                    ],
                ),
                span(
                    6,
                    &[5; 8],
                    vec![text("user.id", "u4"), int("http.status_code", 501)],
                ),
            ],
        ),
    ]
}

#[test]
fn blocks_with_other_columns_are_one_table() {
    let folder = tempfile::tempdir().unwrap();
    let files = three_blocks(folder.path());
    let upper = "SELECT column_name FROM (DESCRIBE spans) WHERE column_name LIKE 'span.userId:string%'";
    let Some(answers) = ask(
        &files,
        &[
            "SELECT count(*), count(DISTINCT span_id) FROM spans",
            r#"SELECT "span.userid:string", count(*) FROM spans GROUP BY ALL ORDER BY ALL NULLS LAST"#,
            r#"SELECT "span.http.status_code:int", "span.http.status_code:string", "span.http.status_code:double" FROM spans ORDER BY span_id"#,
            r#"SELECT name FROM spans WHERE "span.only.here:string" = 'x'"#,
            "SELECT a.type, a.value FROM (SELECT unnest(span_attributes) AS a FROM spans) WHERE a.key = 'tags'",
            upper,
        ],
    ) else {
        return;
    };
    let expected = [
        json!([[6, 6]]),
        json!([["b", 1], ["c", 1], [null, 4]]),
        json!([
            [500, null, null],
            [200, null, null],
            [null, "503", 0.5],
            [null, null, null],
            [null, null, null],
            [501, null, null]
        ]),
        json!([["span 4"]]),
        json!([["array", "[1]"]]),
    ];
    assert_eq!(answers[..5], expected);
    let name = answers[5][0][0].as_str().unwrap();
    let by_case = format!(r#"SELECT "{name}" FROM spans WHERE "{name}" IS NOT NULL"#);
    assert_eq!(ask(&files, &[&by_case]), Some(vec![json!([["a"]])]));
}

/// The statements of the document, after the first, which makes the view.
fn documented() -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/format.md");
    let document = std::fs::read_to_string(path).unwrap();
    let (_, rest) = document.split_once("```sql\n").unwrap();
    let (statements, _) = rest.split_once("```").unwrap();
    let statements = statements.split(";\n").map(str::trim);
    statements
        .filter(|statement| !statement.is_empty())
        .skip(1)
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_queries_of_the_document_work() {
    let folder = tempfile::tempdir().unwrap();
    let files = three_blocks(folder.path());
    let statements = documented();
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    let Some(answers) = ask(&files, &statements) else {
        return;
    };
    assert_eq!(answers.len(), 3);
    assert_eq!(answers[0], json!([["cart", 1], ["shop", 1]]));
    assert_eq!(answers[1].as_array().unwrap().len(), 6);
    assert_eq!(answers[2], json!([["u1"], ["u2"], ["u3"], ["u4"]]));
}
