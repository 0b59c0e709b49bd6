//! The bars: what the engine must reach at 5 million spans, beside what its peers need for the same work.
//! Not here: how it is measured.
//!
//! The peers' figures were measured on 2 cores with the same spans and settings.

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Key {
    IngestCpu,
    IngestCpuRatio,
    IngestRate,
    IngestRateRatio,
    ExportP99,
    IngestPeak,
    StoredBytes,
    StoredSpans,
    CopyCpu,
    MergeCpu,
    CompactionPeak,
    FoundById,
    FoundBySearch,
    HitLatency,
    HitCpu,
    MissLatency,
    ServiceLatency,
    StatusLatency,
    SlowLatency,
    SlowThousandLatency,
    RegexLatency,
    RegexCpu,
    UserLatency,
    StructuralLatency,
    StructuralCpu,
    RateLatency,
    QuantileLatency,
    TagNamesLatency,
    StatusValuesLatency,
    StatementValuesLatency,
    Start,
    IdleMemory,
    BinarySize,
    ReplayCpu,
    ReplayPeak,
    ReplaySpans,
}

/// What a figure is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Seconds of CPU, or of time.
    Seconds,
    Milliseconds,
    /// Millions of bytes.
    Megabytes,
    Bytes,
    /// Spans a second.
    Rate,
    /// One figure divided by another.
    Ratio,
    /// Queries, the first of which is 1.
    Queries,
}

/// What a figure must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Limit {
    AtMost(f64),
    AtLeast(f64),
    Exactly(f64),
}

/// One line of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bar {
    pub(super) key: Key,
    pub(super) work: &'static str,
    /// Tempo 3.0.3.
    pub(super) tempo: &'static str,
    pub(super) victoria_traces: &'static str,
    pub(super) limit: Limit,
    pub(super) unit: Unit,
}

impl Limit {
    /// Whether a figure is as it must be. Ratios of counts are exact up to the precision of their division.
    pub(super) fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
            Self::Exactly(exact) => (value - exact).abs() < 1e-9,
        }
    }

    /// As it stands in the table.
    pub(super) fn text(self, unit: Unit) -> String {
        match self {
            Self::AtMost(most) => format!("≤ {}", unit.text(most)),
            Self::AtLeast(least) => format!("≥ {}", unit.text(least)),
            Self::Exactly(exact) => format!("= {}", unit.text(exact)),
        }
    }
}

impl Unit {
    /// A figure with its unit.
    pub(super) fn text(self, value: f64) -> String {
        match self {
            Self::Seconds => format!("{} s", significant(value)),
            Self::Milliseconds => format!("{} ms", significant(value)),
            Self::Megabytes => format!("{} MB", significant(value)),
            Self::Bytes => format!("{} B", significant(value)),
            Self::Rate => format!("{:.0} k/s", value / 1e3),
            Self::Ratio => format!("{} x", significant(value)),
            Self::Queries => format!("{value:.0}"),
        }
    }
}

/// Three digits that mean something.
fn significant(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 99.5 => 0,
        size if size >= 9.95 => 1,
        size if size >= 0.995 => 2,
        size if size >= 0.0995 => 3,
        _ => 4,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

const fn bar(
    key: Key,
    work: &'static str,
    tempo: &'static str,
    victoria_traces: &'static str,
    limit: Limit,
    unit: Unit,
) -> Bar {
    Bar {
        key,
        work,
        tempo,
        victoria_traces,
        limit,
        unit,
    }
}

use Limit::{AtLeast, AtMost, Exactly};
use Unit::{Bytes, Megabytes, Milliseconds, Queries, Rate, Ratio, Seconds};

/// Every bar, in the order of the table.
#[rustfmt::skip]
pub(super) const BARS: [Bar; 36] = [
    bar(Key::IngestCpu, "CPU-s per M spans, settled", "74", "30", AtMost(5.0), Seconds),
    bar(Key::IngestCpuRatio, "the same, beside decode-and-drop", "", "", AtMost(1.8), Ratio),
    bar(Key::IngestRate, "spans a second", "35 k", "64 k", AtLeast(180e3), Rate),
    bar(Key::IngestRateRatio, "the same, beside decode-and-drop", "", "", AtLeast(0.32), Ratio),
    bar(Key::ExportP99, "export p99", "3.1 s", "230 ms", AtMost(250.0), Milliseconds),
    bar(Key::IngestPeak, "peak memory (VmHWM)", "6.6 GB", "540 MB", AtMost(350.0), Megabytes),
    bar(Key::StoredBytes, "bytes a span: live blocks and log", "145", "74", AtMost(32.0), Bytes),
    bar(Key::StoredSpans, "spans stored of those acknowledged", "", "", Exactly(1.0), Ratio),
    bar(Key::CopyCpu, "compaction by copy: CPU-s per M", "9-11", "", AtMost(0.1), Seconds),
    bar(Key::MergeCpu, "compaction by full merge: CPU-s per M", "9-11", "", AtMost(2.0), Seconds),
    bar(Key::CompactionPeak, "compaction: peak memory", "2.75 GB", "", AtMost(200.0), Megabytes),
    bar(Key::FoundById, "pushed: found by id by query number", "7 ms", "1.1 s", AtMost(1.0), Queries),
    bar(Key::FoundBySearch, "pushed: found by search by query number", "30 s", "1.05 s", AtMost(1.0), Queries),
    bar(Key::HitLatency, "by id, hit: p50", "53 ms", "8 ms", AtMost(5.0), Milliseconds),
    bar(Key::HitCpu, "by id, hit: CPU", "0.099 s", "0.013 s", AtMost(0.005), Seconds),
    bar(Key::MissLatency, "by id, miss: p50", "6 ms", "147 ms", AtMost(1.0), Milliseconds),
    bar(Key::ServiceLatency, "service = x, limit 20", "24 ms", "36 ms", AtMost(4.0), Milliseconds),
    bar(Key::StatusLatency, "status >= 500, limit 20", "22 ms", "34 ms", AtMost(4.0), Milliseconds),
    bar(Key::SlowLatency, "slow and error, limit 20", "26 ms", "29 ms", AtMost(4.0), Milliseconds),
    bar(Key::SlowThousandLatency, "slow and error, limit 1000", "422 ms", "", AtMost(40.0), Milliseconds),
    bar(Key::RegexLatency, "regex without match, whole scan", "1038 ms", "37 ms", AtMost(20.0), Milliseconds),
    bar(Key::RegexCpu, "the same: CPU", "2.03 s", "0.07 s", AtMost(0.035), Seconds),
    bar(Key::UserLatency, "one user (rare attribute)", "1006 ms", "64 ms", AtMost(15.0), Milliseconds),
    bar(Key::StructuralLatency, "rare structural, whole scan", "1256 ms", "", AtMost(100.0), Milliseconds),
    bar(Key::StructuralCpu, "the same: CPU", "2.45 s", "", AtMost(0.2), Seconds),
    bar(Key::RateLatency, "rate by service, 60 buckets", "591 ms", "61 ms", AtMost(30.0), Milliseconds),
    bar(Key::QuantileLatency, "p95 by service, 60 buckets", "969 ms", "875 ms", AtMost(60.0), Milliseconds),
    bar(Key::TagNamesLatency, "tag names", "25 ms", "5 ms", AtMost(2.0), Milliseconds),
    bar(Key::StatusValuesLatency, "values of http.status_code", "169 ms", "6 ms", AtMost(2.0), Milliseconds),
    bar(Key::StatementValuesLatency, "values of db.statement, all", "13500 ms", "", AtMost(150.0), Milliseconds),
    bar(Key::Start, "start to ready", "0.1 s", "0.05 s", AtMost(0.05), Seconds),
    bar(Key::IdleMemory, "idle memory (RSS)", "91 MB", "13 MB", AtMost(12.0), Megabytes),
    bar(Key::BinarySize, "stripped binary", "127 MB", "15 MB", AtMost(40.0), Megabytes),
    bar(Key::ReplayCpu, "replay after kill -9: CPU-s per M", "", "", AtMost(3.0), Seconds),
    bar(Key::ReplayPeak, "replay: peak memory", "10-40 GB", "", AtMost(350.0), Megabytes),
    bar(Key::ReplaySpans, "spans after replay of those acknowledged", "", "", Exactly(1.0), Ratio),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_figure_has_one_bar() {
        let keys: BTreeSet<Key> = BARS.iter().map(|bar| bar.key).collect();
        assert_eq!(keys.len(), BARS.len());
    }

    #[test]
    fn bars_are_met_from_their_side() {
        assert!(AtMost(5.0).is_met(5.0) && !AtMost(5.0).is_met(5.1));
        assert!(AtLeast(180e3).is_met(180e3) && !AtLeast(180e3).is_met(179e3));
        assert!(Exactly(1.0).is_met(1.0) && !Exactly(1.0).is_met(1.000_001));
    }

    #[test]
    fn figures_are_short_and_have_their_unit() {
        for (unit, value, text) in [
            (Seconds, 0.0052, "0.0052 s"),
            (Milliseconds, 1234.5, "1234 ms"),
            (Megabytes, 12.04, "12 MB"),
            (Bytes, 31.46, "31.5 B"),
            (Rate, 401_234.0, "401 k/s"),
            (Ratio, 1.5123, "1.51 x"),
            (Queries, 1.0, "1"),
            (Milliseconds, 0.0, "0 ms"),
        ] {
            assert_eq!(unit.text(value), text);
        }
    }
}
