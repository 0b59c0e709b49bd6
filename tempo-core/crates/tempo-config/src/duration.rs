//! Durations in Go's text form, which Tempo's files use.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// Text that is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a duration; write it like 30s, 1h30m or 300ms")]
pub struct ParseDurationError {
    text: String,
}

/// A duration written like Go writes it: `1h30m`, `300ms`, `0s`. Days and weeks (`2d`, `1w`) are read too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct GoDuration(pub Duration);

impl GoDuration {
    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Whether it is zero, which often means "no limit".
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

const UNITS: [(&str, f64); 10] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("μs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3600e9),
    ("d", 86_400e9),
    ("w", 604_800e9),
];

impl FromStr for GoDuration {
    type Err = ParseDurationError;

    fn from_str(text: &str) -> Result<Self, ParseDurationError> {
        let error = || ParseDurationError {
            text: text.to_owned(),
        };
        let mut rest = text.trim();
        if rest == "0" {
            return Ok(Self::default());
        }
        if rest.is_empty() {
            return Err(error());
        }
        let mut nanos = 0.0;
        while !rest.is_empty() {
            let digits = rest
                .find(|c: char| !c.is_ascii_digit() && c != '.')
                .ok_or_else(error)?;
            let (number, after) = rest.split_at(digits);
            let number: f64 = number.parse().map_err(|_| error())?;
            let end = after
                .find(|c: char| c.is_ascii_digit() || c == '.')
                .unwrap_or(after.len());
            let (unit, after) = after.split_at(end);
            let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(error)?;
            nanos += number * factor;
            rest = after;
        }
        if nanos > u64::MAX as f64 {
            Err(error())
        } else {
            Ok(Self(Duration::from_nanos(nanos.round() as u64)))
        }
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        if nanos == 0 {
            return formatter.write_str("0s");
        }
        let (hours, minutes) = (nanos / 3_600_000_000_000, nanos / 60_000_000_000 % 60);
        let rest = nanos % 60_000_000_000;
        if hours > 0 {
            write!(formatter, "{hours}h")?;
        }
        if hours > 0 || minutes > 0 {
            write!(formatter, "{minutes}m")?;
        }
        if rest.is_multiple_of(1_000_000_000) {
            return write!(formatter, "{}s", rest / 1_000_000_000);
        }
        if nanos >= 1_000_000_000 {
            let seconds = format!("{}.{:09}", rest / 1_000_000_000, rest % 1_000_000_000);
            return write!(formatter, "{}s", seconds.trim_end_matches('0'));
        }
        let (scale, unit) = [(1_000_000, "ms"), (1_000, "µs")]
            .into_iter()
            .find(|(scale, _)| rest.is_multiple_of(*scale))
            .unwrap_or((1, "ns"));
        write!(formatter, "{}{unit}", rest / scale)
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DurationVisitor;
        impl Visitor<'_> for DurationVisitor {
            type Value = GoDuration;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a duration like 30s, 1h30m or 300ms")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<GoDuration, E> {
                text.parse().map_err(E::custom)
            }

            // Go reads a bare number as nanoseconds.
            fn visit_u64<E: serde::de::Error>(self, nanos: u64) -> Result<GoDuration, E> {
                Ok(GoDuration(Duration::from_nanos(nanos)))
            }
        }
        deserializer.deserialize_any(DurationVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_they_are_read() {
        for text in [
            "0s", "30s", "1m0s", "1h30m0s", "336h0m0s", "300ms", "1.5s", "10µs", "5ns",
        ] {
            assert_eq!(text.parse::<GoDuration>().unwrap().to_string(), text);
        }
        assert_eq!("2d".parse::<GoDuration>().unwrap(), GoDuration::seconds(172_800));
        assert_eq!("1h30m".parse::<GoDuration>().unwrap(), GoDuration::seconds(5400));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "5", "s", "5x", "-5s", "1h30", "1..5s", "99999999999w"] {
            assert!(text.parse::<GoDuration>().is_err(), "{text} was taken");
        }
    }
}
