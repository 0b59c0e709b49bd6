//! The protobuf wire format, read in place: fields as borrowed slices, errors with the offset where they lie.
//!
//! Source: the public description of protobuf's encoding. Groups (wire types 3 and 4) are refused; OTLP has none.

/// Why bytes are not a protobuf message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The message ends inside a field.
    #[error("protobuf message ends inside a field at byte {offset}")]
    Truncated {
        /// Where the field starts.
        offset: usize,
    },
    /// A varint of more than 64 bits, or a field number out of range.
    #[error("protobuf message has an invalid number at byte {offset}")]
    InvalidNumber {
        /// Where it starts.
        offset: usize,
    },
    /// A wire type that OTLP does not use.
    #[error("protobuf message has unknown wire type {wire_type} at byte {offset}")]
    UnknownWireType {
        /// The wire type.
        wire_type: u8,
        /// Where the field starts.
        offset: usize,
    },
    /// A known field with another wire type than it has in the schema.
    #[error("protobuf field {field} of {message} has the wrong type at byte {offset}")]
    WrongType {
        /// The message.
        message: &'static str,
        /// The field number.
        field: u32,
        /// Where the field starts.
        offset: usize,
    },
    /// Values nested deeper than [`crate::view::MAX_VALUE_DEPTH`].
    #[error("attribute value is nested more than {limit} levels deep")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
}

/// A field's value as it lies on the wire.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2: a string, bytes or a message.
    Bytes(&'a [u8]),
    /// Wire type 5.
    Fixed32(u32),
}

/// A field: its number, its value, and all its bytes, tag included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field<'a> {
    /// The field number.
    pub number: u32,
    /// The value.
    pub value: Value<'a>,
    /// Tag, length and value as they lie in the message.
    pub raw: &'a [u8],
    /// Where it starts in its message.
    pub offset: usize,
}

impl<'a> Field<'a> {
    /// The value of a length-delimited field of `message`.
    pub fn bytes(&self, message: &'static str) -> Result<&'a [u8], WireError> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(self.wrong_type(message)),
        }
    }

    /// The value of a varint field of `message`.
    pub fn varint(&self, message: &'static str) -> Result<u64, WireError> {
        match self.value {
            Value::Varint(number) => Ok(number),
            _ => Err(self.wrong_type(message)),
        }
    }

    /// The value of a fixed64 field of `message`.
    pub fn fixed64(&self, message: &'static str) -> Result<u64, WireError> {
        match self.value {
            Value::Fixed64(number) => Ok(number),
            _ => Err(self.wrong_type(message)),
        }
    }

    /// The value of a fixed32 field of `message`.
    pub fn fixed32(&self, message: &'static str) -> Result<u32, WireError> {
        match self.value {
            Value::Fixed32(number) => Ok(number),
            _ => Err(self.wrong_type(message)),
        }
    }

    fn wrong_type(&self, message: &'static str) -> WireError {
        WireError::WrongType {
            message,
            field: self.number,
            offset: self.offset,
        }
    }
}

/// The fields of one message, in their order.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    message: &'a [u8],
    position: usize,
}

impl<'a> Fields<'a> {
    /// The fields of `message`.
    pub fn of(message: &'a [u8]) -> Self {
        Self { message, position: 0 }
    }

    /// The next field; `None` at the end of the message.
    #[inline]
    pub fn next_field(&mut self) -> Result<Option<Field<'a>>, WireError> {
        let start = self.position;
        if start >= self.message.len() {
            return Ok(None);
        }
        let tag = self.varint(start)?;
        let number = u32::try_from(tag >> 3)
            .ok()
            .filter(|number| (1..1 << 29).contains(number));
        let number = number.ok_or(WireError::InvalidNumber { offset: start })?;
        let value = match (tag & 7) as u8 {
            0 => Value::Varint(self.varint(start)?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array(start)?)),
            2 => {
                let length = self.varint(start)?;
                let length = usize::try_from(length).map_err(|_| WireError::Truncated { offset: start })?;
                Value::Bytes(self.take(length, start)?)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.array(start)?)),
            wire_type => {
                return Err(WireError::UnknownWireType {
                    wire_type,
                    offset: start,
                });
            }
        };
        let raw = self
            .message
            .get(start..self.position)
            .ok_or(WireError::Truncated { offset: start })?;
        Ok(Some(Field {
            number,
            value,
            raw,
            offset: start,
        }))
    }

    #[inline]
    fn varint(&mut self, field_start: usize) -> Result<u64, WireError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self
                .message
                .get(self.position)
                .ok_or(WireError::Truncated { offset: field_start })?;
            self.position += 1;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                // The tenth byte has room for one bit only.
                let overflows = shift == 63 && byte > 1;
                return if overflows {
                    Err(WireError::InvalidNumber { offset: field_start })
                } else {
                    Ok(number)
                };
            }
        }
        Err(WireError::InvalidNumber { offset: field_start })
    }

    #[inline]
    fn take(&mut self, length: usize, field_start: usize) -> Result<&'a [u8], WireError> {
        let end = self
            .position
            .checked_add(length)
            .ok_or(WireError::Truncated { offset: field_start })?;
        let bytes = self
            .message
            .get(self.position..end)
            .ok_or(WireError::Truncated { offset: field_start })?;
        self.position = end;
        Ok(bytes)
    }

    #[inline]
    fn array<const N: usize>(&mut self, field_start: usize) -> Result<[u8; N], WireError> {
        let bytes = self.take(N, field_start)?;
        bytes
            .try_into()
            .map_err(|_| WireError::Truncated { offset: field_start })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        let field = self.next_field().transpose();
        if matches!(field, Some(Err(_))) {
            // What follows a broken field cannot be found.
            self.position = self.message.len();
        }
        field
    }
}

/// Appends the tag and length of a length-delimited field.
pub fn put_length_delimited(out: &mut Vec<u8>, number: u32, length: usize) {
    put_varint(out, u64::from(number << 3 | 2));
    put_varint(out, length as u64);
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
