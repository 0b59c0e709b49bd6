//! Names of objects: where blocks and logs lie below the store's prefix.
//!
//! ```text
//! <tenant>/blocks/<ulid>/spans.parquet   <tenant>/blocks/<ulid>/traces.parquet   <tenant>/blocks/<ulid>/catalogue
//! <tenant>/log/<20 digits>.json          a commit log entry
//! <tenant>/log/<20 digits>.checkpoint    the fold of the log up to that entry
//! <tenant>/log/_checkpoint.json          a hint which checkpoint is the newest
//! _streams/log/…                         the log of WAL streams, of the same form
//! ```
//! A tenant whose id starts with `_` has a folder with one more `_` in front, so that none is taken for `_streams`.

use object_store::path::Path;
use tempo_model::TenantId;
use ulid::Ulid;

/// The folder of the log of WAL streams, in the place of a tenant's.
pub const STREAMS: &str = "_streams";

/// A file of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlockFile {
    /// The spans.
    Spans,
    /// The trace table.
    Traces,
    /// The attribute catalogue.
    Catalogue,
}

impl BlockFile {
    /// Every file of a block.
    pub const ALL: [Self; 3] = [Self::Spans, Self::Traces, Self::Catalogue];

    /// Its name within the block's folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spans => "spans.parquet",
            Self::Traces => "traces.parquet",
            Self::Catalogue => "catalogue",
        }
    }

    /// Its place in the store.
    pub fn path(self, tenant: &TenantId, block: Ulid) -> Path {
        block_folder(tenant, block).join(self.name())
    }
}

/// A tenant's folder.
pub fn tenant_folder(tenant: &TenantId) -> Path {
    let escape = if tenant.as_str().starts_with('_') { "_" } else { "" };
    Path::from(format!("{escape}{tenant}"))
}

/// The tenant whose folder has this name; `None` for folders that are no tenant's.
pub fn tenant_of_folder(name: &str) -> Option<TenantId> {
    let id = match name.strip_prefix('_') {
        Some(escaped) if escaped.starts_with('_') => escaped,
        Some(_) => return None,
        None => name,
    };
    // Of the characters that a tenant id may have, the store's paths encode the asterisk alone.
    id.replace("%2A", "*").parse().ok()
}

/// The folder of a tenant's blocks.
pub fn blocks_folder(tenant: &TenantId) -> Path {
    tenant_folder(tenant).join("blocks")
}

/// The folder of a block.
pub fn block_folder(tenant: &TenantId, block: Ulid) -> Path {
    blocks_folder(tenant).join(block.to_string())
}

/// The block that a path within [`blocks_folder`] belongs to.
pub fn block_of_path(tenant: &TenantId, path: &Path) -> Option<Ulid> {
    let mut parts = path.prefix_match(&blocks_folder(tenant))?;
    parts.next()?.as_ref().parse().ok()
}

/// An object of a log's folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFile {
    /// The entry of this number.
    Entry(u64),
    /// The checkpoint at this number.
    Checkpoint(u64),
}

impl LogFile {
    /// Its number.
    pub fn number(self) -> u64 {
        match self {
            Self::Entry(number) | Self::Checkpoint(number) => number,
        }
    }

    /// Whether it is a checkpoint.
    pub fn is_checkpoint(self) -> bool {
        matches!(self, Self::Checkpoint(_))
    }

    /// Where the objects of this number and later ones start in a listing of the log's folder.
    pub fn listing_start(number: u64) -> String {
        format!("{number:020}")
    }
}

/// The name of the hint where the newest checkpoint is.
pub const CHECKPOINT_HINT: &str = "_checkpoint.json";

impl LogFile {
    /// Its name within the log's folder.
    pub fn name(self) -> String {
        match self {
            Self::Entry(number) => format!("{number:020}.json"),
            Self::Checkpoint(number) => format!("{number:020}.checkpoint"),
        }
    }

    /// What a name within the log's folder stands for.
    pub fn parse(name: &str) -> Option<Self> {
        let (number, rest) = name.split_once('.')?;
        let number = (number.len() == 20).then(|| number.parse().ok()).flatten()?;
        match rest {
            "json" => Some(Self::Entry(number)),
            "checkpoint" => Some(Self::Checkpoint(number)),
            _ => None,
        }
    }
}

/// The folder of a log: below a tenant's folder, or below [`STREAMS`].
pub fn log_folder(owner: &Path) -> Path {
    owner.clone().join("log")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_tenant_is_taken_for_the_streams_and_each_comes_back() {
        for id in ["a", "_streams", "__streams", "_", "single-tenant", "x*y'(z)!"] {
            let tenant: TenantId = id.parse().unwrap();
            let folder = tenant_folder(&tenant);
            assert_ne!(folder.as_ref(), STREAMS);
            assert_eq!(tenant_of_folder(folder.as_ref()), Some(tenant));
        }
        assert_eq!(tenant_of_folder(STREAMS), None);
    }

    #[test]
    fn names_of_log_files_come_back() {
        for file in [LogFile::Entry(7), LogFile::Checkpoint(u64::MAX)] {
            assert_eq!(LogFile::parse(&file.name()), Some(file));
        }
        assert_eq!(LogFile::parse(CHECKPOINT_HINT), None);
        assert_eq!(LogFile::Entry(7).name(), "00000000000000000007.json");
    }

    #[test]
    fn a_block_is_found_by_the_path_of_its_files() {
        let tenant = TenantId::single();
        let block = Ulid::from(7_u128);
        let path = BlockFile::Catalogue.path(&tenant, block);
        assert_eq!(path.as_ref(), format!("single-tenant/blocks/{block}/catalogue"));
        assert_eq!(block_of_path(&tenant, &path), Some(block));
    }
}
