//! `tempo demo`: a stream of realistic traces for a running quickstart, and how to look at them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use indicatif::{ProgressBar, ProgressStyle};
use prost::Message;
use tempo_runtime::Environment;

use crate::load::client::OtlpClient;
use crate::load::shop::Shop;

const GRPC_PORT: u16 = 4317;
const HTTP_PORT: u16 = 4318;
const API_PORT: u16 = 3200;
/// How often a batch of traces is sent.
const TICK: Duration = Duration::from_millis(250);

/// Send a stream of realistic traces to a running quickstart (`make run`), and say how to look at them.
#[derive(Debug, clap::Args)]
pub(super) struct Demo {
    /// What was added to every port of the quickstart.
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u16).range(..=60_000))]
    port_offset: u16,
    /// How many traces a second; a trace has some ten to twenty spans.
    #[arg(long, default_value_t = 20, value_name = "TRACES", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// How many seconds to send for; 0 goes on until Ctrl-C.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    duration: u64,
    /// Send by OTLP/HTTP in place of OTLP/gRPC.
    #[arg(long)]
    http: bool,
}

impl Demo {
    pub(super) async fn run(self) -> Result<()> {
        let environment = Environment::system();
        let client = self.connect().await?;
        let mut stream = Stream {
            shop: Shop::new(environment.random.next_u64()),
            client,
            traces: 0,
            spans: 0,
        };
        let example = stream.send(1, environment.clock.unix_nanos()).await?;
        println!("{}", self.how_to_look(&example));
        let bar = self.progress();
        let started = Instant::now();
        let ending = tokio::signal::ctrl_c();
        tokio::pin!(ending);
        let mut ticks = tokio::time::interval(TICK);
        while self.duration == 0 || started.elapsed() < Duration::from_secs(self.duration) {
            tokio::select! {
                _ = &mut ending => break,
                _ = ticks.tick() => {}
            }
            let due = (started.elapsed().as_secs_f64() * f64::from(self.rate)) as u64 + 1;
            let missing = due.saturating_sub(stream.traces);
            if missing > 0 {
                stream
                    .send(missing as usize, environment.clock.unix_nanos())
                    .await?;
            }
            bar.set_position(started.elapsed().as_secs().min(self.duration));
            bar.set_message(format!("{} traces, {} spans sent", stream.traces, stream.spans));
        }
        bar.finish_and_clear();
        println!("Sent {} traces with {} spans.", stream.traces, stream.spans);
        Ok(())
    }

    async fn connect(&self) -> Result<OtlpClient> {
        let port = if self.http { HTTP_PORT } else { GRPC_PORT };
        let address = format!("127.0.0.1:{}", port + self.port_offset);
        let client = if self.http {
            OtlpClient::http(&address)
        } else {
            OtlpClient::grpc(&address).await
        };
        client.with_context(|| {
            format!(
                "nothing takes spans at {address}; is the quickstart running? type: make run{}",
                match self.port_offset {
                    0 => String::new(),
                    offset => format!(" PORT_OFFSET={offset}"),
                }
            )
        })
    }

    fn how_to_look(&self, trace: &str) -> String {
        let api = format!("http://127.0.0.1:{}", API_PORT + self.port_offset);
        format!(
            "A trace is on its way. Look at it:\n\n  \
             curl {api}/api/traces/{trace}\n\n\
             All that went wrong:\n\n  \
             curl -G {api}/api/search --data-urlencode 'q={{ status = error }}'\n\n\
             Or open the page with a search box and a waterfall:\n\n  \
             {api}/trace/{trace}\n"
        )
    }

    fn progress(&self) -> ProgressBar {
        let (bar, template) = match self.duration {
            0 => (
                ProgressBar::new_spinner(),
                "{spinner} {elapsed} {msg} (Ctrl-C stops)",
            ),
            seconds => (ProgressBar::new(seconds), "{bar:30} {pos}/{len} s  {msg}"),
        };
        match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        }
    }
}

/// What is sent, and how much of it was.
struct Stream {
    shop: Shop,
    client: OtlpClient,
    traces: u64,
    spans: u64,
}

impl Stream {
    /// Sends so many traces that end now. Returns the id of the first.
    async fn send(&mut self, traces: usize, now: u64) -> Result<String> {
        let (request, ids) = self.shop.request(traces, now);
        let scopes = request
            .resource_spans
            .iter()
            .flat_map(|resource| &resource.scope_spans);
        let spans: usize = scopes.map(|scope| scope.spans.len()).sum();
        self.client.export(Bytes::from(request.encode_to_vec())).await?;
        self.traces += ids.len() as u64;
        self.spans += spans as u64;
        Ok(ids.first().map(hex::encode).unwrap_or_default())
    }
}
