//! The hot loops, one after the other on one thread, and how many instructions each takes, counted by callgrind in a
//! process of its own.

use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use prost::Message;
use tempo_block::head::{Head, HeadSettings, HeadSnapshot};
use tempo_block::meta::BlockMeta;
use tempo_block::read::Reader;
use tempo_block::scan::{self, Source, TimeRange};
use tempo_block::store::{self, Settings, Store};
use tempo_block::write::{self, BlockOptions};
use tempo_model::proto::trace::ExportTraceServiceRequest;
use tempo_model::{TenantId, validate};
use tempo_runtime::Environment;
use tempo_traceql::parse;
use tempo_traceql::search::{Matches, Search, SearchOptions};
use tokio::runtime::Runtime;
use ulid::Ulid;

use super::report::{Counted, Instructions};
use crate::load::drive::{self, Period, Prepared};
use crate::load::shop::Shop;

/// Enough that what happens once does not count.
const SPANS: u64 = 20_000;
const TRACES: usize = 64;
const SEED: u64 = 42;
const START: u64 = 1_700_000_000_000_000_000;
const HOUR: u64 = 3_600_000_000_000;
/// The function whose instructions are counted.
const COUNTED_FUNCTION: &str = "*instructions_are_counted_here*";

/// Run one hot loop, for callgrind.
#[derive(Debug, clap::Args)]
pub(super) struct Loop {
    #[arg(value_enum)]
    work: Work,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Work {
    Check,
    Prost,
    Head,
    Write,
    Regex,
}

impl Work {
    const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::Check, "check", "check a request (what the doors do)"),
        (
            Self::Prost,
            "prost",
            "decode a request into messages (what the sink does)",
        ),
        (Self::Head, "head", "append to the head"),
        (Self::Write, "write", "write a block from the head"),
        (Self::Regex, "regex", "scan a block with a regex"),
    ];
}

/// Counts the instructions of every hot loop of `binary`.
pub(super) fn count(binary: &Path, folder: &Path) -> Instructions {
    let is_there = Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if is_there.is_err() {
        return Err("valgrind is not installed".to_owned());
    }
    let mut counted = Vec::new();
    for (_, name, work) in Work::ALL {
        let instructions =
            callgrind(binary, name, &folder.join(name)).map_err(|error| format!("{error:#}"))?;
        counted.push(Counted {
            work,
            instructions: instructions as f64 / SPANS as f64,
            per: "span",
        });
    }
    Ok(counted)
}

fn callgrind(binary: &Path, name: &str, output: &Path) -> Result<u64> {
    let status = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--toggle-collect={COUNTED_FUNCTION}"))
        .arg(format!("--callgrind-out-file={}", output.display()))
        .arg(binary)
        .args(["bench", "loop", name])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("run valgrind")?;
    ensure!(status.success(), "valgrind ended with {status} in {name}");
    let text = std::fs::read_to_string(output).context("read what valgrind counted")?;
    let total = total(&text).filter(|total| *total > 0);
    total.context("valgrind did not find the loop; are the symbols stripped from the binary?")
}

fn total(output: &str) -> Option<u64> {
    let lines = output.lines();
    let mut totals = lines.filter_map(|line| line.strip_prefix("totals:"));
    totals.next()?.trim().parse().ok()
}

impl Loop {
    /// Everything happens on one thread: callgrind counts on the one that entered the loop.
    pub(super) fn run(self) -> Result<()> {
        let work = self.work;
        let running = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            run(work, &runtime)
        });
        let outcome = running.join();
        outcome.map_err(|_| anyhow::anyhow!("the loop panicked"))?
    }
}

fn run(work: Work, runtime: &Runtime) -> Result<()> {
    let requests = requests();
    match work {
        Work::Check => {
            counted(|| {
                requests
                    .iter()
                    .try_for_each(|request| validate::contents(request).map(drop))
            })?;
        }
        Work::Prost => counted(|| {
            let decode = |request: &Bytes| ExportTraceServiceRequest::decode(request.clone()).map(drop);
            requests.iter().try_for_each(decode)
        })?,
        Work::Head => {
            let mut head = Head::new(HeadSettings::default());
            counted(|| append(&mut head, &requests))?;
        }
        Work::Write => {
            let made = Made::from(&requests)?;
            counted(|| runtime.block_on(made.write()))?;
        }
        Work::Regex => {
            let made = Made::from(&requests)?;
            let source = made.open(runtime.block_on(made.write())?)?;
            let query = parse("{ .db.statement =~ \".*no_such_table.*\" }")?;
            let search = Arc::new(Search::new(&query, SearchOptions::default())?);
            let mut matches = Matches::new(SearchOptions::default());
            let scan = scan::search(&made.environment, &source, &search, TimeRange::ALL, &mut matches);
            counted(|| runtime.block_on(scan).map_err(Box::new))?;
        }
    }
    Ok(())
}

/// What is counted is what happens within this function.
#[inline(never)]
fn instructions_are_counted_here<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}

use instructions_are_counted_here as counted;

fn requests() -> Vec<Bytes> {
    let period = Period {
        start_unix_nanos: START,
        end_unix_nanos: START + HOUR,
    };
    let mut shop = Shop::new(SEED);
    drive::requests(&mut shop, SPANS, TRACES, period)
        .map(|(Prepared { payload, .. }, _)| payload)
        .collect()
}

fn append(head: &mut Head, requests: &[Bytes]) -> Result<()> {
    for (number, request) in requests.iter().enumerate() {
        head.append(request, START + number as u64)?;
    }
    Ok(())
}

/// A head that was filled, and where its block is to be.
struct Made {
    environment: Environment,
    store: Store,
    tenant: TenantId,
    head: Arc<HeadSnapshot>,
}

impl Made {
    fn from(requests: &[Bytes]) -> Result<Self> {
        let mut head = Head::new(HeadSettings::default());
        append(&mut head, requests)?;
        Ok(Self {
            environment: Environment::simulated(SEED, START),
            store: store::open(&Settings::Memory)?,
            tenant: TenantId::single(),
            head: head.snapshot(),
        })
    }

    async fn write(&self) -> Result<Arc<BlockMeta>> {
        let options = BlockOptions::of_head(Ulid::from(1_u128));
        Ok(write::block(&self.environment, &self.store, &self.tenant, &self.head, options).await?)
    }

    fn open(&self, meta: Arc<BlockMeta>) -> Result<Source> {
        let reader = Reader::new(self.environment.clone(), self.store.clone());
        Ok(Source::Block(reader.block(&self.tenant, meta, Arc::default())?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_callgrind_writes_is_read() {
        assert_eq!(total("events: Ir\nfn=(1)\n1 2\n\ntotals: 1234\n"), Some(1234));
        assert_eq!(total("events: Ir\n"), None);
    }

    #[test]
    fn every_loop_runs() {
        for (work, ..) in Work::ALL {
            Loop { work }.run().unwrap();
        }
    }
}
