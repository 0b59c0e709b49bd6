//! What a process has used, from `/proc`.

use std::path::Path;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The kernel counts CPU time for user space in hundredths of a second on every architecture that we build for.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU time of this process, all threads, to the nanosecond.
pub fn own_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// What a process has used so far.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Usage {
    /// Seconds of CPU, in user space and in the kernel.
    pub cpu_seconds: f64,
    /// Bytes of memory that it has (resident).
    pub memory_bytes: u64,
    /// The most bytes of memory that it had at once.
    pub peak_memory_bytes: u64,
}

impl Usage {
    /// The usage of a process; `None` when it is gone or not to be looked at.
    pub fn of(process: u32) -> Option<Self> {
        let folder = Path::new("/proc").join(process.to_string());
        let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
        let status = std::fs::read_to_string(folder.join("status")).ok()?;
        Some(Self {
            cpu_seconds: cpu_seconds(&stat)?,
            memory_bytes: memory_bytes(&status, "VmRSS:")?,
            peak_memory_bytes: memory_bytes(&status, "VmHWM:")?,
        })
    }
}

/// User and system time are the 14th and 15th field; the second one, the name, may have spaces in its parentheses.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

fn memory_bytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lines_are_read() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 1 0 99 1000 10";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(
            memory_bytes("VmPeak:\t 9 kB\nVmHWM:\t    12 kB\n", "VmHWM:"),
            Some(12 << 10)
        );
        assert_eq!(cpu_seconds(""), None);
    }

    #[test]
    fn a_process_can_look_at_itself() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.memory_bytes > 0 && usage.cpu_seconds >= 0.0);
        assert!(usage.peak_memory_bytes > 0);
    }
}
