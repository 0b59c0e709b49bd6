//! Logs: one line an event on standard error, as logfmt or JSON.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// `ts=… level=info msg="…" key=value`.
    #[default]
    Logfmt,
    /// One JSON object a line.
    Json,
}

/// Logs cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// A level that is not one.
    #[error("log level '{level}' is not known; use debug, info, warn or error")]
    Level {
        /// What was given.
        level: String,
    },
    /// Something in this process has set up logs before.
    #[error("set up logs: {0}")]
    Install(String),
}

/// Starts logging to standard error. `level` is `debug`, `info`, `warn` or `error`; the environment variable `RUST_LOG`
/// wins over it with its finer filters.
pub fn init(level: &str, format: LogFormat) -> Result<(), TelemetryError> {
    let filter = match EnvFilter::try_from_default_env() {
        Ok(filter) => filter,
        Err(_) => filter_for(level)?,
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Logfmt => builder.event_format(Logfmt).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(|error| TelemetryError::Install(error.to_string()))
}

fn filter_for(level: &str) -> Result<EnvFilter, TelemetryError> {
    let known = ["trace", "debug", "info", "warn", "error"].contains(&level);
    if !known {
        return Err(TelemetryError::Level {
            level: level.to_owned(),
        });
    }
    // Libraries' own chatter is of use only to those who ask for it.
    let directives = format!("{level},h2=warn,hyper=warn,tower=warn,chitchat=warn,object_store=warn");
    EnvFilter::try_new(directives).map_err(|error| TelemetryError::Install(error.to_string()))
}

struct Logfmt;

impl<S, N> FormatEvent<S, N> for Logfmt
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        writer.write_str("ts=")?;
        SystemTime.format_time(&mut writer)?;
        let level = metadata.level().as_str().to_ascii_lowercase();
        write!(writer, " level={level} target={}", metadata.target())?;
        let mut line = String::new();
        event.record(&mut LogfmtFields(&mut line));
        writeln!(writer, "{line}")
    }
}

/// Appends ` key=value` for each field, quoted where needed.
struct LogfmtFields<'a>(&'a mut String);

impl LogfmtFields<'_> {
    fn put(&mut self, name: &str, value: &str) {
        let name = if name == "message" { "msg" } else { name };
        let plain = !value.is_empty()
            && !value.contains(|c: char| c.is_whitespace() || c.is_control() || "\"=".contains(c));
        // Writing to a string does not fail.
        let _ = if plain {
            write!(self.0, " {name}={value}")
        } else {
            write!(self.0, " {name}={value:?}")
        };
    }
}

impl Visit for LogfmtFields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field.name(), &value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_where_logfmt_needs_it() {
        let mut line = String::new();
        let mut fields = LogfmtFields(&mut line);
        fields.put("message", "two words");
        fields.put("key", "a=b");
        fields.put("plain", "x/1");
        assert_eq!(line, r#" msg="two words" key="a=b" plain=x/1"#);
    }

    #[test]
    fn an_unknown_level_is_refused_by_name() {
        let error = filter_for("loud").unwrap_err().to_string();
        assert!(error.contains("'loud'"), "{error}");
    }
}
