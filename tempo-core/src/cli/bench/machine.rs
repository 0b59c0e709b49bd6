//! Where and when a run was made, and how much of the machine others had meanwhile.

use std::process::Command;
use std::time::Instant;

use jiff::Zoned;
use serde_json::{Value, json};

/// Ticks of the kernel's clock; see [`crate::load::usage`].
const TICKS_PER_SECOND: f64 = 100.0;

/// The time, the commit and the machine of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Surroundings {
    date: String,
    commit: String,
    processor: String,
    cores: usize,
    memory_gib: f64,
    /// Processes that were ready to run, over the last minute, when the run began.
    load_average: f64,
    /// The part of the machine that other processes used during the run.
    others_share: f64,
}

/// A run that goes on.
#[derive(Debug)]
pub(super) struct Watch {
    surroundings: Surroundings,
    started: Instant,
    busy: f64,
}

impl Watch {
    pub(super) fn start() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let kilobytes = number_after(&read("/proc/meminfo"), "MemTotal:");
        let surroundings = Surroundings {
            date: Zoned::now().strftime("%Y-%m-%d %H:%M").to_string(),
            commit: commit(),
            processor: text_after(&read("/proc/cpuinfo"), "model name"),
            cores,
            memory_gib: kilobytes / f64::from(1 << 20),
            load_average: first_number(&read("/proc/loadavg")),
            others_share: 0.0,
        };
        Self {
            surroundings,
            started: Instant::now(),
            busy: busy_elsewhere(),
        }
    }

    pub(super) fn stop(self) -> Surroundings {
        let capacity = self.surroundings.cores as f64 * self.started.elapsed().as_secs_f64();
        let others = busy_elsewhere() - self.busy;
        Surroundings {
            others_share: (others / capacity).clamp(0.0, 1.0),
            ..self.surroundings
        }
    }
}

impl Surroundings {
    pub(super) fn to_text(&self) -> String {
        format!(
            "{}, commit {}, {} cores ({}), {:.0} GiB; load {:.1} before, others used {:.0} %",
            self.date,
            self.commit,
            self.cores,
            self.processor,
            self.memory_gib,
            self.load_average,
            self.others_share * 100.0
        )
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "date": self.date,
            "commit": self.commit,
            "processor": self.processor,
            "cores": self.cores,
            "memory_gib": self.memory_gib,
            "load_average": self.load_average,
            "others_share": self.others_share,
        })
    }
}

/// The commit of the working folder, with a mark when files differ from it.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        output.status.success().then_some(text)
    };
    let Some(commit) = git(&["rev-parse", "--short", "HEAD"]) else {
        return "unknown".to_owned();
    };
    match git(&["status", "--porcelain", "--untracked-files=no"]) {
        Some(changes) if changes.is_empty() => commit,
        _ => format!("{commit} with changes"),
    }
}

/// Seconds of CPU that the machine has spent since it was started, but for this process and its children that ended.
fn busy_elsewhere() -> f64 {
    let own = read("/proc/self/stat");
    let own: f64 = own
        .rsplit_once(')')
        .map(|(_, fields)| fields.split_whitespace().skip(11).take(4))
        .into_iter()
        .flatten()
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    (busy_ticks(&read("/proc/stat")) - own) / TICKS_PER_SECOND
}

/// User, nice, system, interrupts and stolen time of the first line; idle and waiting time are the fourth and fifth.
fn busy_ticks(stat: &str) -> f64 {
    let line = stat.lines().next().unwrap_or_default();
    let fields = line.split_whitespace().skip(1).take(8).enumerate();
    fields
        .filter(|(index, _)| *index != 3 && *index != 4)
        .filter_map(|(_, field)| field.parse::<f64>().ok())
        .sum()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn text_after(text: &str, name: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.map_or("unknown", |rest| rest.trim_start_matches([' ', '\t', ':']))
        .trim()
        .to_owned()
}

fn number_after(text: &str, name: &str) -> f64 {
    first_number(&text_after(text, name))
}

fn first_number(text: &str) -> f64 {
    let first = text.split_whitespace().next();
    first.and_then(|word| word.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_read() {
        assert_eq!(
            busy_ticks("cpu  10 1 5 1000 7 2 3 4 0 0\ncpu0 1 1 1\n").to_string(),
            "25"
        );
        assert_eq!(
            text_after("processor: 0\nmodel name\t: Some CPU 9\n", "model name"),
            "Some CPU 9"
        );
        assert_eq!(
            number_after("MemTotal:   2048 kB\n", "MemTotal:").to_string(),
            "2048"
        );
        assert_eq!(first_number("").to_string(), "0");
    }

    #[test]
    fn a_run_says_where_it_was() {
        let surroundings = Watch::start().stop();
        assert!(surroundings.cores > 0 && surroundings.memory_gib > 0.0);
        assert!(surroundings.to_text().contains("commit"));
    }
}
