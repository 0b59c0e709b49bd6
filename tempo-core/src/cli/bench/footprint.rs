//! What an engine needs that has nothing to do: time to start, memory at rest, bytes of its binary.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Result;

use super::bars::Key;
use super::report::Figures;
use super::subject::Subject;
use super::{MEGABYTE, median};

const STARTS: usize = 5;
/// How long an engine is left alone before its memory is looked at.
const REST: Duration = Duration::from_secs(2);

/// Starts the engine some times in an empty folder, and looks at its binary.
pub(super) async fn measure(binary: &Path, folder: &Path, figures: &mut Figures) -> Result<()> {
    let (mut starts, mut memory) = (Vec::new(), Vec::new());
    for number in 0..STARTS {
        let subject = Subject::start(binary, &folder.join(format!("start-{number}")), "").await?;
        starts.push(subject.ready_after.as_secs_f64());
        if number + 1 == STARTS {
            tokio::time::sleep(REST).await;
            memory.push(subject.usage()?.memory_bytes as f64 / MEGABYTE);
        }
        subject.stop().await?;
    }
    figures.set(Key::Start, median(&mut starts));
    figures.note(Key::Start, format!("median of {STARTS}"));
    figures.set(Key::IdleMemory, median(&mut memory));
    match stripped_bytes(binary, &folder.join("stripped")) {
        Ok(bytes) => figures.set(Key::BinarySize, bytes as f64 / MEGABYTE),
        Err(reason) => figures.missing(Key::BinarySize, reason),
    }
    Ok(())
}

/// The size of `binary` without what only debuggers need.
fn stripped_bytes(binary: &Path, output: &Path) -> Result<u64, String> {
    let mut strip = Command::new("strip");
    strip.arg("-o").arg(output).arg(binary).stderr(Stdio::null());
    match strip.status() {
        Ok(status) if status.success() => {}
        Ok(status) => return Err(format!("strip ended with {status}")),
        Err(_) => return Err("strip is not installed".to_owned()),
    }
    let metadata = std::fs::metadata(output).map_err(|error| format!("look at the stripped binary: {error}"));
    metadata.map(|metadata| metadata.len())
}
