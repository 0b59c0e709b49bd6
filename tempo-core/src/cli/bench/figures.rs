//! The figures of a run, as a table and as JSON.

use std::time::Duration;

use comfy_table::{Table, presets};
use serde_json::{Value, json};

use crate::load::drive::Driven;
use crate::load::usage::Usage;

const MILLION: f64 = 1e6;
const MEBIBYTE: f64 = (1 << 20) as f64;

/// What a run showed. What was not measured is absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Figures {
    /// Spans that were acknowledged.
    pub(super) spans: u64,
    /// Bytes of their requests.
    pub(super) payload_bytes: u64,
    pub(super) spans_per_second: f64,
    pub(super) export_p50: Duration,
    pub(super) export_p99: Duration,
    pub(super) retries: u64,
    pub(super) failed_spans: u64,
    pub(super) error: Option<String>,
    /// Seconds of CPU of the receiver when the last request was answered.
    pub(super) cpu_seconds: Option<f64>,
    /// The same when all spans were in blocks.
    pub(super) settled_cpu_seconds: Option<f64>,
    pub(super) peak_memory_bytes: Option<u64>,
    /// Bytes of everything in the store, once all spans were in blocks.
    pub(super) stored_bytes: Option<u64>,
}

impl Figures {
    pub(super) fn of(driven: &Driven) -> Self {
        Self {
            spans: driven.spans,
            payload_bytes: driven.bytes,
            spans_per_second: driven.spans as f64 / driven.wall.as_secs_f64().max(f64::MIN_POSITIVE),
            export_p50: driven.latency(0.5),
            export_p99: driven.latency(0.99),
            retries: driven.retries,
            failed_spans: driven.failed_spans,
            error: driven.last_error.clone(),
            ..Self::default()
        }
    }

    pub(super) fn add_usage(&mut self, before: Option<Usage>, after: Option<Usage>) {
        if let (Some(before), Some(after)) = (before, after) {
            self.cpu_seconds = Some(after.cpu_seconds - before.cpu_seconds);
            self.peak_memory_bytes = Some(after.peak_memory_bytes);
        }
    }

    pub(super) fn add_settled_usage(&mut self, before: Option<Usage>, after: Option<Usage>) {
        if let (Some(before), Some(after)) = (before, after) {
            self.settled_cpu_seconds = Some(after.cpu_seconds - before.cpu_seconds);
            self.peak_memory_bytes = Some(after.peak_memory_bytes);
        }
    }

    pub(super) fn last_error(&self) -> &str {
        self.error.as_deref().unwrap_or("nothing was sent")
    }

    fn per_span(&self, amount: f64) -> f64 {
        amount / (self.spans.max(1) as f64)
    }

    pub(super) fn to_json(&self) -> Value {
        let milliseconds = |duration: Duration| duration.as_secs_f64() * 1e3;
        json!({
            "spans": self.spans,
            "payload_bytes": self.payload_bytes,
            "spans_per_s": self.spans_per_second,
            "export_ms_p50": milliseconds(self.export_p50),
            "export_ms_p99": milliseconds(self.export_p99),
            "retries": self.retries,
            "failed_spans": self.failed_spans,
            "server_cpu_s_per_m": self.cpu_seconds.map(|seconds| self.per_span(seconds) * MILLION),
            "server_cpu_s_per_m_settled": self.settled_cpu_seconds.map(|seconds| self.per_span(seconds) * MILLION),
            "server_peak_bytes": self.peak_memory_bytes,
            "stored_bytes_per_span": self.stored_bytes.map(|bytes| self.per_span(bytes as f64)),
        })
    }

    pub(super) fn to_table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        table.set_header(["figure", "value"]);
        let mut row = |figure: &str, value: Option<String>| {
            if let Some(value) = value {
                table.add_row([figure, &value]);
            }
        };
        let cpu =
            |seconds: Option<f64>| seconds.map(|seconds| format!("{:.2}", self.per_span(seconds) * MILLION));
        row("spans acknowledged", Some(self.spans.to_string()));
        row("spans a second", Some(format!("{:.0}", self.spans_per_second)));
        row("export p50", Some(format!("{:.2?}", self.export_p50)));
        row("export p99", Some(format!("{:.2?}", self.export_p99)));
        row("CPU-seconds per million spans", cpu(self.cpu_seconds));
        row("the same, once all is in blocks", cpu(self.settled_cpu_seconds));
        let memory = self
            .peak_memory_bytes
            .map(|bytes| format!("{:.0} MiB", bytes as f64 / MEBIBYTE));
        row("peak memory (VmHWM)", memory);
        row(
            "bytes a span as sent",
            Some(format!("{:.0}", self.per_span(self.payload_bytes as f64))),
        );
        let stored = self
            .stored_bytes
            .map(|bytes| format!("{:.1}", self.per_span(bytes as f64)));
        row("bytes a span as stored", stored);
        row("requests sent again", Some(self.retries.to_string()));
        row("spans given up", Some(self.failed_spans.to_string()));
        row("last error", self.error.clone());
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_is_not_shown() {
        let mut figures = Figures {
            spans: 2_000_000,
            ..Figures::default()
        };
        assert!(!figures.to_table().to_string().contains("CPU"));
        assert_eq!(figures.to_json()["server_cpu_s_per_m"], Value::Null);
        let usage = |cpu_seconds| Usage {
            cpu_seconds,
            peak_memory_bytes: 3 << 20,
        };
        figures.add_usage(Some(usage(1.0)), Some(usage(5.0)));
        assert!(figures.to_table().to_string().contains("2.00"));
        assert_eq!(figures.to_json()["server_cpu_s_per_m"], 2.0);
    }
}
