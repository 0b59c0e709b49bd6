//! How soon a span is found that was acknowledged.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hex::ToHex;
use prost::Message;
use tempo_model::proto::common::{AnyValue, KeyValue, any_value};
use tempo_model::proto::trace::ExportTraceServiceRequest;
use tempo_runtime::Environment;

use super::bars::Key;
use super::report::Figures;
use super::subject::Subject;
use crate::load::client::OtlpClient;
use crate::load::shop::Shop;

const PUSHES: u64 = 15;
/// Other traces than those of the load.
const SEED: u64 = 43;
const PAUSE: Duration = Duration::from_millis(20);
const MOST_QUERIES: u32 = 3000;

/// The worst of all pushes.
#[derive(Debug, Default)]
struct Worst {
    queries: u32,
    took: Duration,
}

/// Pushes traces and asks for each at once.
pub(super) async fn measure(subject: &Subject, figures: &mut Figures) -> Result<()> {
    let client = OtlpClient::grpc(&subject.address()).await?;
    let mut shop = Shop::new(SEED);
    let (mut by_id, mut by_search) = (Worst::default(), Worst::default());
    for _ in 0..PUSHES {
        let mut trace = shop.trace(Environment::system().clock.unix_nanos());
        let id: String = trace.id.encode_hex();
        let first = trace
            .batches
            .iter_mut()
            .flat_map(|batch| &mut batch.scope_spans)
            .flat_map(|scope| &mut scope.spans)
            .next();
        first
            .context("a trace without spans")?
            .attributes
            .push(token(&id));
        let request = ExportTraceServiceRequest {
            resource_spans: trace.batches,
        };
        client.export(request.encode_to_vec().into()).await?;
        let pushed = Instant::now();
        let path = format!("/api/traces/{id}");
        by_id.add(subject, pushed, &path, &[], &id).await?;
        let query = format!("{{ span.bench.token = \"{id}\" }}");
        by_search
            .add(subject, pushed, "/api/search", &[("q", &query)], &id)
            .await?;
    }
    for (key, worst) in [(Key::FoundById, by_id), (Key::FoundBySearch, by_search)] {
        figures.set(key, f64::from(worst.queries));
        let note = format!("the slowest of {PUSHES} after {:.1?}", worst.took);
        figures.note(key, note);
    }
    Ok(())
}

fn token(id: &str) -> KeyValue {
    KeyValue {
        key: "bench.token".to_owned(),
        value: Some(AnyValue {
            value: Some(any_value::Value::StringValue(id.to_owned())),
        }),
    }
}

impl Worst {
    /// Asks until the answer names the trace or, asked for by id, is there.
    async fn add(
        &mut self,
        subject: &Subject,
        pushed: Instant,
        path: &str,
        parameters: &[(&str, &str)],
        id: &str,
    ) -> Result<()> {
        for number in 1..=MOST_QUERIES {
            let (status, text) = subject.engine.get(path, parameters).await?;
            let is_found = status == 200 && (parameters.is_empty() || text.contains(id));
            if is_found {
                self.queries = self.queries.max(number);
                self.took = self.took.max(pushed.elapsed());
                return Ok(());
            }
            ensure!(status == 200 || status == 404, "{path} answers {status}: {text}");
            tokio::time::sleep(PAUSE).await;
        }
        anyhow::bail!("trace {id} is not found by {path} after {MOST_QUERIES} queries")
    }
}
