//! Queries over the HTTP API: how long each takes and what it costs the engine. Not here: the engine's own scan, by which
//! metrics are measured where the API does not answer them (`scan`).

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use super::bars::Key;
use super::median;
use super::report::Figures;
use super::subject::Subject;
use crate::load::drive::Period;

/// Calls that are not timed, the fewest and the most that are, and for how long at most there are more than the fewest.
const WARM: usize = 2;
const FEWEST: usize = 11;
const MOST: usize = 200;
const LONG_ENOUGH: Duration = Duration::from_secs(1);
/// The same ids in every run.
const SEED: u64 = 7;

/// A query and what is measured of it.
#[derive(Debug, Clone, Copy)]
struct Query {
    latency: Key,
    cpu: Option<Key>,
    ask: Ask,
}

#[derive(Debug, Clone, Copy)]
enum Ask {
    /// A trace that is there.
    Hit,
    /// A trace that is not.
    Miss,
    /// TraceQL, and the most traces that are wanted.
    Search(&'static str, u32),
    /// TraceQL, in 60 buckets.
    Metrics(&'static str),
    /// A path without parameters but the time.
    Path(&'static str),
}

const SERVICE: &str = "{ resource.service.name = \"cart\" }";
const STATUS: &str = "{ span.http.status_code >= 500 }";
const SLOW: &str = "{ duration > 500ms && status = error }";
const REGEX: &str = "{ .db.statement =~ \".*no_such_table.*\" }";
const USER: &str = "{ span.enduser.id = \"user-777\" }";
const STRUCTURAL: &str = "{ resource.service.name = \"frontend\" } >> \
                          { resource.service.name = \"payment\" && status = error && duration > 3s }";
const RATE: &str = "{ } | rate() by (resource.service.name)";
const QUANTILE: &str = "{ } | quantile_over_time(duration, .95) by (resource.service.name)";
const STATUS_VALUES: &str = "/api/v2/search/tag/span.http.status_code/values";
const STATEMENT_VALUES: &str = "/api/v2/search/tag/span.db.statement/values";

const fn query(latency: Key, ask: Ask) -> Query {
    Query {
        latency,
        cpu: None,
        ask,
    }
}

const QUERIES: [Query; 14] = [
    query(Key::HitLatency, Ask::Hit).with_cpu(Key::HitCpu),
    query(Key::MissLatency, Ask::Miss),
    query(Key::ServiceLatency, Ask::Search(SERVICE, 20)),
    query(Key::StatusLatency, Ask::Search(STATUS, 20)),
    query(Key::SlowLatency, Ask::Search(SLOW, 20)),
    query(Key::SlowThousandLatency, Ask::Search(SLOW, 1000)),
    query(Key::RegexLatency, Ask::Search(REGEX, 20)).with_cpu(Key::RegexCpu),
    query(Key::UserLatency, Ask::Search(USER, 20)),
    query(Key::StructuralLatency, Ask::Search(STRUCTURAL, 1000)).with_cpu(Key::StructuralCpu),
    query(Key::RateLatency, Ask::Metrics(RATE)),
    query(Key::QuantileLatency, Ask::Metrics(QUANTILE)),
    query(Key::TagNamesLatency, Ask::Path("/api/v2/search/tags")),
    query(Key::StatusValuesLatency, Ask::Path(STATUS_VALUES)),
    query(Key::StatementValuesLatency, Ask::Path(STATEMENT_VALUES)),
];

impl Query {
    const fn with_cpu(self, key: Key) -> Self {
        Self {
            cpu: Some(key),
            ..self
        }
    }

    /// The path of its next call and the parameters.
    fn call(&self, ids: &[String], period: Period, random: &mut StdRng) -> Call {
        match self.ask {
            Ask::Hit => {
                let id = ids.choose(random).map(String::as_str).unwrap_or_default();
                (format!("/api/traces/{id}"), Vec::new())
            }
            Ask::Miss => (
                format!("/api/traces/{:032x}", random.random::<u128>()),
                Vec::new(),
            ),
            Ask::Search(query, limit) => {
                let limit = ("limit", limit.to_string());
                (
                    "/api/search".to_owned(),
                    with_time(period, vec![("q", query.to_owned()), limit]),
                )
            }
            Ask::Metrics(query) => {
                let step = ("step", "60s".to_owned());
                let path = "/api/metrics/query_range".to_owned();
                (path, with_time(period, vec![("q", query.to_owned()), step]))
            }
            Ask::Path(path) => (path.to_owned(), with_time(period, Vec::new())),
        }
    }
}

type Parameter = (&'static str, String);
type Call = (String, Vec<Parameter>);

/// Spans end after the period's last trace began; a minute more has them all.
fn with_time(period: Period, mut all: Vec<Parameter>) -> Vec<Parameter> {
    let second = |nanos: u64| nanos / 1_000_000_000;
    all.push((
        "start",
        second(period.start_unix_nanos).saturating_sub(60).to_string(),
    ));
    all.push(("end", (second(period.end_unix_nanos) + 60).to_string()));
    all
}

/// What calls of one query showed.
#[derive(Debug)]
pub(super) struct Timed {
    /// The median, in milliseconds.
    pub(super) p50: f64,
    /// Seconds of CPU of the engine for each call.
    pub(super) cpu_seconds: f64,
    answer: String,
}

/// Asks everything. Metrics that the API does not answer are left to `scan`: their keys and texts are returned.
pub(super) async fn measure(
    subject: &Subject,
    ids: &[String],
    period: Period,
    figures: &mut Figures,
) -> Result<Vec<(Key, &'static str)>> {
    let mut unanswered = Vec::new();
    for query in &QUERIES {
        match (time(subject, query, ids, period).await?, query.ask) {
            (Ok(timed), _) => {
                figures.set(query.latency, timed.p50);
                figures.note(query.latency, describe(&timed.answer));
                if let Some(cpu) = query.cpu {
                    figures.set(cpu, timed.cpu_seconds);
                }
            }
            (Err(_), Ask::Metrics(text)) => unanswered.push((query.latency, text)),
            (Err(refusal), _) => {
                figures.missing(query.latency, refusal.clone());
                if let Some(cpu) = query.cpu {
                    figures.missing(cpu, refusal);
                }
            }
        }
    }
    Ok(unanswered)
}

/// The cost of traces that are there and of those that are not, and of two searches, by their names.
pub(super) async fn few(
    subject: &Subject,
    ids: &[String],
    period: Period,
) -> Result<Vec<(&'static str, Timed)>> {
    let few = [
        ("by id, hit", query(Key::HitLatency, Ask::Hit)),
        ("by id, miss", query(Key::MissLatency, Ask::Miss)),
        (
            "service = x",
            query(Key::ServiceLatency, Ask::Search(SERVICE, 20)),
        ),
        ("regex scan", query(Key::RegexLatency, Ask::Search(REGEX, 20))),
    ];
    let mut all = Vec::new();
    for (name, query) in few {
        let timed = time(subject, &query, ids, period).await?;
        all.push((name, timed.map_err(anyhow::Error::msg).context(name)?));
    }
    Ok(all)
}

/// Times calls of a query; what an answer says that is none is the inner error.
async fn time(
    subject: &Subject,
    query: &Query,
    ids: &[String],
    period: Period,
) -> Result<Result<Timed, String>> {
    let mut random = StdRng::seed_from_u64(SEED);
    let mut latencies = Vec::new();
    let mut answer = String::new();
    let (mut started, mut before) = (Instant::now(), subject.usage()?);
    for number in 0..WARM + MOST {
        if number == WARM {
            (started, before) = (Instant::now(), subject.usage()?);
        }
        if number >= WARM + FEWEST && started.elapsed() > LONG_ENOUGH {
            break;
        }
        let (path, parameters) = query.call(ids, period, &mut random);
        let parameters: Vec<_> = parameters
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let asked = Instant::now();
        let (status, text) = subject.engine.get(&path, &parameters).await?;
        if number >= WARM {
            latencies.push(asked.elapsed().as_secs_f64() * 1e3);
        }
        let expected = if matches!(query.ask, Ask::Miss) { 404 } else { 200 };
        if status != expected {
            let words: String = text.chars().take(60).collect();
            return Ok(Err(format!(
                "answers {status}: {}",
                words.replace(['\n', '|'], " ")
            )));
        }
        answer = text;
    }
    let cpu = subject.usage()?.cpu_seconds - before.cpu_seconds;
    Ok(Ok(Timed {
        cpu_seconds: cpu / latencies.len() as f64,
        p50: median(&mut latencies),
        answer,
    }))
}

/// How many things an answer has.
fn describe(answer: &str) -> String {
    let Ok(answer) = serde_json::from_str::<Value>(answer) else {
        return String::new();
    };
    let lists = ["traces", "series", "tagValues", "scopes"];
    let found = lists.iter().find_map(|name| {
        let list = answer.get(name)?.as_array()?;
        Some(format!("{} {name}", list.len()))
    });
    found.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_ask_for_the_time_of_the_spans() {
        let period = Period {
            start_unix_nanos: 100_000_000_000,
            end_unix_nanos: 200_500_000_000,
        };
        let mut random = StdRng::seed_from_u64(1);
        let search = query(Key::ServiceLatency, Ask::Search(SERVICE, 20));
        let (path, parameters) = search.call(&[], period, &mut random);
        assert_eq!(path, "/api/search");
        for parameter in [("limit", "20"), ("start", "40"), ("end", "260")] {
            assert!(
                parameters.contains(&(parameter.0, parameter.1.to_owned())),
                "{parameters:?}"
            );
        }
        let hit = query(Key::HitLatency, Ask::Hit).call(&["ab".to_owned()], period, &mut random);
        assert_eq!(hit.0, "/api/traces/ab");
    }

    #[test]
    fn queries_that_are_measured_parse() {
        for query in QUERIES {
            if let Ask::Search(text, _) | Ask::Metrics(text) = query.ask {
                tempo_traceql::parse(text).unwrap();
            }
        }
    }

    #[test]
    fn answers_are_counted() {
        assert_eq!(describe(r#"{"traces":[1,2]}"#), "2 traces");
        assert_eq!(describe("nothing"), "");
    }
}
