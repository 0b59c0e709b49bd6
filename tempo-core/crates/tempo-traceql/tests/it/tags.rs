//! The cases of tag names and values of the conformance data.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Deserialize;
use serde_yaml::Value;
use tempo_traceql::ast::Scope;
use tempo_traceql::parse_attribute;
use tempo_traceql::tags::TagFilter;

use crate::dataset::Dataset;
use crate::memory::Memory;

#[derive(Deserialize)]
struct Data {
    datasets: HashMap<String, Dataset>,
    cases: Vec<Value>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    dataset: String,
    tag: Option<String>,
    scope: Option<String>,
    query: String,
    expect: Answer,
}

#[derive(Deserialize, Debug, PartialEq)]
struct Answer {
    #[serde(default)]
    values: BTreeSet<String>,
    #[serde(default)]
    tags: BTreeMap<String, BTreeSet<String>>,
}

/// Upstream ignores conditions on unscoped attributes here; ours narrow the values.
const DEPARTURES: [&str; 2] = ["shop/tag-values/029", "upstream-search/239"];

fn run(case: &Case, memory: &Memory) -> Answer {
    let filter = if case.query.is_empty() {
        TagFilter::all()
    } else {
        TagFilter::new(&case.query)
    };
    let mut answer = Answer {
        values: BTreeSet::new(),
        tags: BTreeMap::new(),
    };
    if let Some(tag) = &case.tag {
        let mut values = BTreeSet::new();
        filter
            .values(memory, &parse_attribute(tag).expect("a tag"), &mut values)
            .expect("values");
        answer.values = values
            .iter()
            .map(|value| format!("{}:{}", value.kind, value.value))
            .collect();
        return answer;
    }
    for scope in Scope::ALL {
        if case.scope.as_ref().is_some_and(|wanted| wanted != scope.name()) {
            continue;
        }
        let mut keys = BTreeSet::new();
        filter.keys(memory, scope, &mut keys).expect("keys");
        if !keys.is_empty() {
            answer.tags.insert(scope.name().to_owned(), keys);
        }
    }
    answer
}

#[test]
fn every_tag_case_has_its_answer() {
    let Some(text) = crate::conformance::file("traceql-eval.yaml") else {
        return;
    };
    let data: Data = serde_yaml::from_str(&text).expect("read the cases");
    let memories: HashMap<String, Memory> = data
        .datasets
        .into_iter()
        .map(|(name, dataset)| (name, Memory::new(dataset)))
        .collect();
    let is_tags = |case: &Value| {
        matches!(
            case.get("kind").and_then(Value::as_str),
            Some("tags" | "tag_values")
        )
    };
    let cases: Vec<Case> = data
        .cases
        .into_iter()
        .filter(is_tags)
        .map(|case| serde_yaml::from_value(case).expect("read a case"))
        .collect();
    assert_eq!(cases.len(), 49);
    let mut departing = Vec::new();
    for case in &cases {
        let found = run(case, &memories[&case.dataset]);
        if found != case.expect {
            println!("{} {:?} {}: {found:?}", case.id, case.tag, case.query);
            departing.push(case.id.as_str());
        }
    }
    assert_eq!(departing, DEPARTURES);
}
