//! The fold of a tenant's log: which blocks live, which are gone, which WAL records are stored. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::Fold;
use crate::meta::BlockMeta;
use crate::ranges::Ranges;

/// Records of one stream that blocks hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cover {
    /// The stream's epoch.
    pub stream: Ulid,
    /// The numbers of its records.
    pub ranges: Ranges,
}

/// What one entry changes, all of it at once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Transaction {
    /// Blocks that live from here on. Their files are in the store before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<Arc<BlockMeta>>,
    /// Blocks that were live and are not any more; readers that know them may read them for a grace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<Ulid>,
    /// The records that the added blocks are the first to hold; empty for a compaction.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub covers: Vec<Cover>,
    /// Blocks that nobody listed and nobody may list any more: their files are about to be deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub condemn: Vec<Ulid>,
    /// When the upload of the added blocks began ([`tempo_runtime::Clock::since_boot`]); not part of the entry.
    #[serde(skip)]
    pub uploaded_since: Option<Duration>,
}

/// Why a transaction cannot follow what the log says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlocksRefusal {
    /// Records that another entry has stored: build the block anew from what is not covered.
    #[error("records of stream {stream} are stored already: {already:?}")]
    AlreadyCovered {
        /// The stream.
        stream: Ulid,
        /// Those of the transaction that are.
        already: Ranges,
    },
    /// An input that is not live: somebody else has compacted or deleted it.
    #[error("block {block} is not live any more")]
    InputGone {
        /// The input.
        block: Ulid,
    },
    /// An output whose id is live, was removed, or was condemned: write it anew under a new id.
    #[error("block {block} cannot be added: its id was used before or its files were given up")]
    BlockGone {
        /// The output.
        block: Ulid,
    },
    /// A block to be condemned that is live.
    #[error("block {block} cannot be condemned: it is live")]
    Live {
        /// The block.
        block: Ulid,
    },
}

/// What a tenant's log says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Blocks {
    live: BTreeMap<Ulid, Arc<BlockMeta>>,
    /// Blocks that were live and are gone, with the number of the entry that says so.
    removed: BTreeMap<Ulid, u64>,
    /// Blocks that were never live and never will be, likewise.
    condemned: BTreeMap<Ulid, u64>,
    covered: BTreeMap<Ulid, Ranges>,
}

impl Blocks {
    /// The live blocks, oldest id first.
    pub fn live(&self) -> impl ExactSizeIterator<Item = &Arc<BlockMeta>> {
        self.live.values()
    }

    /// A live block by its id.
    pub fn block(&self, id: Ulid) -> Option<&Arc<BlockMeta>> {
        self.live.get(&id)
    }

    /// The stored records of a stream.
    pub fn covered(&self, stream: Ulid) -> Option<&Ranges> {
        self.covered.get(&stream)
    }

    /// Whether a record is stored.
    pub fn is_covered(&self, stream: Ulid, number: u64) -> bool {
        self.covered(stream).is_some_and(|ranges| ranges.contains(number))
    }

    /// The number of the entry that removed or condemned a block.
    pub fn removed_at(&self, id: Ulid) -> Option<u64> {
        self.removed.get(&id).or_else(|| self.condemned.get(&id)).copied()
    }

    fn check_covers(&self, covers: &[Cover]) -> Result<(), BlocksRefusal> {
        for Cover { stream, ranges } in covers {
            let already = self
                .covered(*stream)
                .map(|covered| covered.intersection(ranges))
                .unwrap_or_default();
            if !already.is_empty() {
                return Err(BlocksRefusal::AlreadyCovered {
                    stream: *stream,
                    already,
                });
            }
        }
        Ok(())
    }
}

impl Fold for Blocks {
    type Change = Transaction;
    type Refusal = BlocksRefusal;

    /// L3: inputs live, ids new, ranges uncovered.
    fn check(&self, change: &Transaction) -> Result<(), BlocksRefusal> {
        let Transaction {
            add,
            remove,
            covers,
            condemn,
            uploaded_since: _,
        } = change;
        if let Some(block) = remove.iter().find(|block| !self.live.contains_key(block)) {
            return Err(BlocksRefusal::InputGone { block: *block });
        }
        let mut new = BTreeSet::new();
        let used = |id: &Ulid| self.live.contains_key(id) || self.removed_at(*id).is_some();
        if let Some(meta) = add.iter().find(|meta| used(&meta.id) || !new.insert(meta.id)) {
            return Err(BlocksRefusal::BlockGone { block: meta.id });
        }
        if let Some(block) = condemn.iter().find(|block| self.live.contains_key(block)) {
            return Err(BlocksRefusal::Live { block: *block });
        }
        self.check_covers(covers)
    }

    fn apply(&mut self, position: u64, change: &Transaction) {
        let Transaction {
            add,
            remove,
            covers,
            condemn,
            uploaded_since: _,
        } = change;
        for gone in remove {
            self.live.remove(gone);
            self.removed.insert(*gone, position);
        }
        self.condemned
            .extend(condemn.iter().map(|block| (*block, position)));
        self.live
            .extend(add.iter().map(|meta| (meta.id, Arc::clone(meta))));
        for Cover { stream, ranges } in covers {
            self.covered.entry(*stream).or_default().extend(ranges);
        }
    }

    fn holds(&self, change: &Transaction) -> bool {
        let Transaction {
            add,
            remove,
            covers,
            condemn,
            uploaded_since: _,
        } = change;
        // A condemned block was never in: its writer came too late, even if others have done the same work since.
        let was_live = |id: &Ulid| self.live.contains_key(id) || self.removed.contains_key(id);
        let covered = |cover: &Cover| {
            let stored = self.covered(cover.stream);
            stored.is_some_and(|stored| cover.ranges.iter().all(|range| stored.covers(range)))
        };
        add.iter().all(|meta| was_live(&meta.id))
            && remove.iter().all(|id| self.removed.contains_key(id))
            && condemn.iter().all(|id| self.condemned.contains_key(id))
            && covers.iter().all(covered)
    }

    fn forget(&mut self, horizon: u64) {
        self.removed.retain(|_, position| *position > horizon);
        self.condemned.retain(|_, position| *position > horizon);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::tests::widest;

    fn block(id: u128) -> Arc<BlockMeta> {
        Arc::new(BlockMeta {
            id: Ulid(id),
            ..widest()
        })
    }

    fn cover(from: u64, to: u64) -> Vec<Cover> {
        vec![Cover {
            stream: Ulid(9),
            ranges: (from..to).into(),
        }]
    }

    #[test]
    fn what_contradicts_the_log_is_refused() {
        let mut blocks = Blocks::default();
        let first = Transaction {
            add: vec![block(1)],
            covers: cover(0, 10),
            ..Transaction::default()
        };
        blocks.check(&first).unwrap();
        blocks.apply(1, &first);
        assert!(blocks.holds(&first));
        assert_eq!(
            blocks.check(&first),
            Err(BlocksRefusal::BlockGone { block: Ulid(1) })
        );

        let overlap = Transaction {
            add: vec![block(2)],
            covers: cover(9, 12),
            ..Transaction::default()
        };
        let already = (9..10).into();
        assert_eq!(
            blocks.check(&overlap),
            Err(BlocksRefusal::AlreadyCovered {
                stream: Ulid(9),
                already
            })
        );

        let compaction = Transaction {
            add: vec![block(3)],
            remove: vec![Ulid(1)],
            ..Transaction::default()
        };
        blocks.check(&compaction).unwrap();
        blocks.apply(2, &compaction);
        assert_eq!(
            blocks.check(&compaction),
            Err(BlocksRefusal::InputGone { block: Ulid(1) })
        );
        assert!(blocks.is_covered(Ulid(9), 9) && !blocks.is_covered(Ulid(9), 10));
    }

    #[test]
    fn a_condemned_block_can_never_be_added() {
        let mut blocks = Blocks::default();
        let condemn = Transaction {
            condemn: vec![Ulid(1)],
            ..Transaction::default()
        };
        blocks.check(&condemn).unwrap();
        blocks.apply(1, &condemn);
        let late = Transaction {
            add: vec![block(1)],
            ..Transaction::default()
        };
        assert_eq!(
            blocks.check(&late),
            Err(BlocksRefusal::BlockGone { block: Ulid(1) })
        );
        assert!(!blocks.holds(&late), "condemned is not committed");
    }
}
