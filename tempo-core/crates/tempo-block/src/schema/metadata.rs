//! What the footer of `spans.parquet` says beyond Parquet itself: JSON under [`METADATA_KEY`].

use parquet::file::metadata::KeyValue;
use serde::{Deserialize, Serialize};

use super::{AttributeColumn, VERSION};

/// The key of the file's key-value metadata under which [`FileMetadata`] lies as JSON.
pub const METADATA_KEY: &str = "tempo.block";

/// The file's metadata could not be used.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// There is none.
    #[error("no {METADATA_KEY} in the file's metadata; not written by this program, or rewritten by another")]
    Missing,
    /// It is not what it should be.
    #[error("{METADATA_KEY} in the file's metadata is not readable: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// It is of a version that this program does not know.
    #[error("block format {version} is newer than {VERSION}; upgrade to read it")]
    Newer {
        /// The version.
        version: u16,
    },
}

/// Where attributes are, and what lies in the row groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileMetadata {
    /// Version of the format.
    pub version: u16,
    /// The attribute columns in the order of the schema.
    pub columns: Vec<AttributeColumn>,
    /// One for each row group.
    pub row_groups: Vec<RowGroupMetadata>,
}

/// What lies in a row group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowGroupMetadata {
    /// The earliest start of a span, nanoseconds since the Unix epoch.
    pub start_ns: u64,
    /// The latest end of a span, nanoseconds since the Unix epoch.
    pub end_ns: u64,
    /// Number of traces.
    pub traces: u32,
    /// Places in [`FileMetadata::columns`] of the attributes that are in overflow here, all of their values, because
    /// some span (resource, scope) has the key twice or the row group comes from a file without the column. Every other
    /// column of the file holds all values of its attribute in this row group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overflowed: Vec<u32>,
    /// Number of span attributes in overflow; with zero there is nothing to look for.
    pub span_overflow: u64,
    /// The same of the resource's, counted once a span.
    pub resource_overflow: u64,
    /// The same of the scope's, counted once a span.
    pub scope_overflow: u64,
    /// CRC-32C of the bytes of each column chunk, in the order of the file's leaf columns.
    pub checksums: Vec<u32>,
    /// CRC-32C of the row group of `traces.parquet`, from the start of its first column chunk to the end of its last.
    pub trace_table_checksum: u32,
}

/// Read first, because the rest of a newer version may look different.
#[derive(Deserialize)]
struct OnlyVersion {
    version: u16,
}

impl FileMetadata {
    /// As it lies in the footer.
    pub fn to_key_value(&self) -> Result<KeyValue, MetadataError> {
        Ok(KeyValue::new(
            METADATA_KEY.to_owned(),
            serde_json::to_string(self)?,
        ))
    }

    /// From the footer's key-value metadata.
    pub fn from_key_values(pairs: Option<&Vec<KeyValue>>) -> Result<Self, MetadataError> {
        let json = pairs
            .into_iter()
            .flatten()
            .find(|pair| pair.key == METADATA_KEY)
            .and_then(|pair| pair.value.as_deref())
            .ok_or(MetadataError::Missing)?;
        let OnlyVersion { version } = serde_json::from_str(json)?;
        if version > VERSION {
            return Err(MetadataError::Newer { version });
        }
        Ok(serde_json::from_str(json)?)
    }

    /// The place of an attribute's column in row group `row_group`, counted in [`FileMetadata::columns`]; `None` where
    /// its values, if any, are in overflow.
    pub fn column_in(&self, row_group: usize, attribute: &AttributeColumn) -> Option<usize> {
        let place = self.columns.iter().position(|column| column == attribute)?;
        let overflowed = &self.row_groups.get(row_group)?.overflowed;
        (!overflowed.contains(&(place as u32))).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_version_is_refused_whatever_else_it_says() {
        let newer = vec![KeyValue::new(
            METADATA_KEY.to_owned(),
            r#"{"version": 9, "columns": "new"}"#.to_owned(),
        )];
        let refused = FileMetadata::from_key_values(Some(&newer));
        assert!(matches!(refused, Err(MetadataError::Newer { version: 9 })));
        assert!(matches!(
            FileMetadata::from_key_values(None),
            Err(MetadataError::Missing)
        ));
    }

    #[test]
    fn what_was_written_is_read() {
        let metadata = FileMetadata {
            version: VERSION,
            columns: Vec::new(),
            row_groups: vec![RowGroupMetadata {
                end_ns: u64::MAX,
                overflowed: vec![3],
                ..RowGroupMetadata::default()
            }],
        };
        let pairs = vec![metadata.to_key_value().unwrap()];
        assert_eq!(FileMetadata::from_key_values(Some(&pairs)).unwrap(), metadata);
    }
}
