//! Trace and span ids and their text forms.

use std::fmt;
use std::str::FromStr;

/// An id that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseIdError {
    /// Something other than hex digits.
    #[error(
        "trace IDs can only contain hex characters: invalid character '{character}' at position {position}"
    )]
    NotHex {
        /// The character.
        character: char,
        /// Its place, counted from one.
        position: usize,
    },
    /// More digits than an id has.
    #[error("trace IDs can't be larger than 128 bits")]
    TooLong,
    /// Nothing at all.
    #[error("trace ID is empty; give up to 32 hex digits")]
    Empty,
}

/// The 16 bytes that name a trace.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TraceId(pub [u8; 16]);

impl TraceId {
    /// Lower-case hex without leading zeros, as Tempo's search prints ids.
    pub fn to_short_hex(self) -> String {
        let whole = self.to_string();
        let short = whole.trim_start_matches('0');
        if short.is_empty() {
            "0".to_owned()
        } else {
            short.to_owned()
        }
    }
}

impl TryFrom<&[u8]> for TraceId {
    type Error = std::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        bytes.try_into().map(Self)
    }
}

/// Up to 32 hex digits, padded with zeros on the left, as Tempo takes ids in URLs.
impl FromStr for TraceId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let not_hex = text
            .chars()
            .enumerate()
            .find(|(_, character)| !character.is_ascii_hexdigit());
        if let Some((index, character)) = not_hex {
            return Err(ParseIdError::NotHex {
                character,
                position: index + 1,
            });
        }
        if text.is_empty() {
            return Err(ParseIdError::Empty);
        }
        if text.len() > 32 {
            return Err(ParseIdError::TooLong);
        }
        let mut bytes = [0; 16];
        // The digits were checked above, so decoding them cannot fail.
        hex::decode_to_slice(format!("{text:0>32}"), &mut bytes).map_err(|_| ParseIdError::TooLong)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "TraceId({self})")
    }
}

/// The 8 bytes that name a span within its trace.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SpanId(pub [u8; 8]);

impl SpanId {
    /// Whether it is the id that means "none".
    pub fn is_zero(self) -> bool {
        self.0 == [0; 8]
    }
}

impl TryFrom<&[u8]> for SpanId {
    type Error = std::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        bytes.try_into().map(Self)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SpanId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_ids_are_padded_and_printed_short() {
        let id: TraceId = "12345678abcdef01".parse().unwrap();
        assert_eq!(id.to_string(), "000000000000000012345678abcdef01");
        assert_eq!(id.to_short_hex(), "12345678abcdef01");
        assert_eq!(TraceId::default().to_short_hex(), "0");
    }

    #[test]
    fn bad_ids_say_what_is_wrong() {
        assert_eq!(
            "12x".parse::<TraceId>(),
            Err(ParseIdError::NotHex {
                character: 'x',
                position: 3
            })
        );
        assert_eq!("0".repeat(33).parse::<TraceId>(), Err(ParseIdError::TooLong));
        assert_eq!("".parse::<TraceId>(), Err(ParseIdError::Empty));
    }
}
