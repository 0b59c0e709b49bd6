//! The heads of one tenant, from the first span to the grace after the commit, and which of them a query is answered
//! from. No I/O.
//!
//! ```text
//! append ─► open head ─ cut ─► cut head ─ its block is committed in entry N ─► lingers ─► let go
//! ```
//! **Handover.** A query looks into the blocks of log position P and asks for what is not in them. A head whose block is
//! committed in entry N is asked if and only if P < N. Of N it is known that it lies in `after < N <= by`: mostly one
//! number, and several where the answer to a commit was lost or others committed meanwhile. A query from within that
//! interval, or from before something that was let go, is sent to a newer position.

use std::sync::Arc;
use std::time::Duration;

use tempo_block::head::{Head, HeadAppended, HeadSettings, HeadSnapshot};
use tempo_block::log::{Blocks, Snapshot};
use tempo_block::wal::{Flags, Record};
use tempo_model::wire::WireError;

use super::records::{Coverage, Records};

/// The heads of one tenant.
#[derive(Debug, Default)]
pub(super) struct TenantHeads {
    open: Option<OpenHead>,
    cut: Vec<Cut>,
    /// Committed, as far as this process knows.
    stored: Records,
    /// Queries at a position before this may miss what is here no more. Unknown until the first query: what an earlier
    /// process let go.
    let_go: Option<u64>,
}

/// The head that grows.
#[derive(Debug)]
struct OpenHead {
    head: Head,
    records: Records,
    maybe_duplicates: bool,
    opened_at: Duration,
    /// Its memory when it was last looked at.
    bytes: u64,
}

/// A head that does not change any more.
#[derive(Debug)]
pub(super) struct CutHead {
    pub(super) snapshot: Arc<HeadSnapshot>,
    pub(super) records: Records,
    /// Whether its spans may stand in another block too.
    pub(super) maybe_duplicates: bool,
    /// Its memory.
    pub(super) bytes: u64,
}

#[derive(Debug)]
struct Cut {
    number: u64,
    head: Arc<CutHead>,
    committed: Option<Committed>,
}

/// What is known of the entry that holds a head's block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Committed {
    /// It is no entry up to this one.
    pub(super) after: u64,
    /// It is this entry or one before.
    pub(super) by: u64,
}

/// What a query is answered from.
#[derive(Debug)]
pub(super) enum View {
    /// From these.
    Heads(Vec<Arc<HeadSnapshot>>),
    /// It must go to this position.
    MovedTo(u64),
    /// Others have stored some records of a head, which is made anew from the rest.
    Rebuilding,
}

impl TenantHeads {
    /// Takes a record in. A malformed one counts as stored and leaves no spans.
    pub(super) fn append(
        &mut self,
        record: &Record,
        arrival_ns: u64,
        now: Duration,
        settings: HeadSettings,
    ) -> Result<HeadAppended, WireError> {
        let open = self.open.get_or_insert_with(|| OpenHead {
            head: Head::new(settings),
            records: Records::default(),
            maybe_duplicates: false,
            opened_at: now,
            bytes: 0,
        });
        open.records.insert(record.epoch, record.number);
        open.maybe_duplicates |= record.flags.contains(Flags::MAYBE_DUPLICATE);
        let appended = open.head.append(&record.payload, arrival_ns);
        open.bytes = open.head.bytes() as u64;
        appended
    }

    /// Memory of the open head.
    pub(super) fn open_bytes(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.bytes)
    }

    /// Memory of all heads.
    pub(super) fn bytes(&self) -> u64 {
        self.open_bytes() + self.cut.iter().map(|cut| cut.head.bytes).sum::<u64>()
    }

    /// When the open head got its first record.
    pub(super) fn opened_at(&self) -> Option<Duration> {
        self.open.as_ref().map(|open| open.opened_at)
    }

    /// Cuts the open head after its last record, as number `number`; `false` when there is none.
    pub(super) fn cut(&mut self, number: u64) -> bool {
        let Some(mut open) = self.open.take() else {
            return false;
        };
        let head = CutHead {
            snapshot: open.head.snapshot(),
            records: open.records,
            maybe_duplicates: open.maybe_duplicates,
            bytes: open.bytes,
        };
        self.cut.push(Cut {
            number,
            head: Arc::new(head),
            committed: None,
        });
        true
    }

    /// A cut head that is not known to be committed.
    pub(super) fn uncommitted(&self, number: u64) -> Option<Arc<CutHead>> {
        let cut = self.cut.iter().find(|cut| cut.number == number)?;
        cut.committed.is_none().then(|| Arc::clone(&cut.head))
    }

    /// Whether a head of this number or before is not known to be committed.
    pub(super) fn has_uncommitted(&self, up_to: u64) -> bool {
        self.cut
            .iter()
            .any(|cut| cut.number <= up_to && cut.committed.is_none())
    }

    /// Says that a head's block is committed.
    pub(super) fn committed(&mut self, number: u64, committed: Committed) {
        if let Some(cut) = self.cut.iter_mut().find(|cut| cut.number == number) {
            cut.committed = Some(committed);
            self.stored.extend(&cut.head.records);
        }
    }

    /// Puts in the place of a head what of it `blocks` at `position` do not hold.
    pub(super) fn replace(&mut self, number: u64, rest: CutHead, position: u64) {
        if let Some(cut) = self.cut.iter_mut().find(|cut| cut.number == number) {
            self.stored.extend(&cut.head.records);
            self.stored = self.stored.without(&rest.records);
            cut.head = Arc::new(rest);
            self.let_go = self.let_go.max(Some(position));
        }
    }

    /// Lets go of a committed head; `false` when it is gone already.
    pub(super) fn let_go(&mut self, number: u64) -> bool {
        let goes = |cut: &Cut| cut.number == number && cut.committed.is_some();
        let Some(place) = self.cut.iter().position(goes) else {
            return false;
        };
        let committed = self.cut.remove(place).committed;
        self.let_go = self.let_go.max(committed.map(|committed| committed.by));
        true
    }

    /// The numbers of committed heads that linger.
    pub(super) fn lingering(&self) -> Vec<u64> {
        let committed = self.cut.iter().filter(|cut| cut.committed.is_some());
        committed.map(|cut| cut.number).collect()
    }

    /// Says that a record is in a block.
    pub(super) fn mark_stored(&mut self, record: &Record) {
        self.stored.insert(record.epoch, record.number);
    }

    /// The records that are known to be in blocks.
    pub(super) fn stored(&self) -> &Records {
        &self.stored
    }

    /// What a query at `position` is answered from, when the log is known as `log` says, at that position or later.
    pub(super) fn view(&mut self, position: u64, log: &Snapshot<Blocks>) -> View {
        let let_go = *self.let_go.get_or_insert(log.position);
        let mut moved_to = (position < let_go).then_some(let_go);
        let mut heads = Vec::new();
        for cut in &self.cut {
            let Some(Committed { after, by }) = cut.committed.or_else(|| cut.seen_in(log)) else {
                return View::Rebuilding;
            };
            if position <= after {
                heads.push(Arc::clone(&cut.head.snapshot));
            } else if position < by {
                moved_to = moved_to.max(Some(by));
            }
        }
        if let Some(moved_to) = moved_to {
            return View::MovedTo(moved_to.max(log.position));
        }
        heads.extend(self.open.as_mut().map(|open| open.head.snapshot()));
        View::Heads(heads)
    }
}

impl Cut {
    /// What the log says of a head that is not known to be committed; `None` when a part of it is stored.
    fn seen_in(&self, log: &Snapshot<Blocks>) -> Option<Committed> {
        let (after, by) = match self.head.records.coverage(&log.state) {
            Coverage::Nothing => (log.position, u64::MAX),
            // The commit went through this moment; where exactly, the flush will know.
            Coverage::All => (0, log.position),
            Coverage::Part => return None,
        };
        Some(Committed { after, by })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tempo_block::log::{Fold, Transaction};
    use tempo_model::TenantId;
    use ulid::Ulid;

    use super::*;

    const STREAM: Ulid = Ulid(7);

    /// Two cut heads, records 0 and 1, and an open one with record 2.
    fn heads() -> TenantHeads {
        let mut heads = TenantHeads::default();
        for number in 0..3 {
            let record = Record {
                epoch: STREAM,
                tenant: TenantId::single(),
                number,
                hash: 0,
                flags: Flags::default(),
                payload: Bytes::new(),
            };
            heads
                .append(&record, 1, Duration::ZERO, HeadSettings::default())
                .unwrap();
            if number < 2 {
                assert!(heads.cut(number + 1));
            }
        }
        heads
    }

    /// The log at a position, with blocks of the first `stored` records.
    fn log(position: u64, stored: u64) -> Snapshot<Blocks> {
        let mut records = Records::default();
        for number in 0..stored {
            records.insert(STREAM, number);
        }
        let mut state = Blocks::default();
        let covers = records.as_covers();
        state.apply(
            position,
            &Transaction {
                covers,
                ..Transaction::default()
            },
        );
        Snapshot { position, state }
    }

    /// How many heads a query is answered from, or where it must go.
    fn asked(heads: &mut TenantHeads, position: u64, log: &Snapshot<Blocks>) -> Result<usize, u64> {
        match heads.view(position, log) {
            View::Heads(heads) => Ok(heads.len()),
            View::MovedTo(position) => Err(position),
            View::Rebuilding => panic!("no part is stored"),
        }
    }

    #[test]
    fn a_head_is_asked_before_its_entry_and_not_from_it_on() {
        let mut heads = heads();
        assert_eq!(asked(&mut heads, 4, &log(4, 0)), Ok(3));
        heads.committed(1, Committed { after: 4, by: 5 });
        assert_eq!(asked(&mut heads, 4, &log(5, 1)), Ok(3));
        assert_eq!(asked(&mut heads, 5, &log(5, 1)), Ok(2));
        assert_eq!(asked(&mut heads, 9, &log(9, 1)), Ok(2));
        assert!(heads.let_go(1) && !heads.let_go(1));
        assert_eq!(asked(&mut heads, 4, &log(9, 1)), Err(9));
        assert_eq!(asked(&mut heads, 5, &log(9, 1)), Ok(2));
        assert!(!heads.let_go(2), "it is not committed");
    }

    #[test]
    fn a_query_from_where_it_is_not_known_moves_on() {
        let mut heads = heads();
        assert_eq!(asked(&mut heads, 4, &log(4, 0)), Ok(3));
        heads.committed(1, Committed { after: 4, by: 7 });
        assert_eq!(asked(&mut heads, 4, &log(7, 1)), Ok(3));
        assert_eq!(asked(&mut heads, 5, &log(7, 1)), Err(7));
        assert_eq!(asked(&mut heads, 7, &log(7, 1)), Ok(2));
    }

    #[test]
    fn the_log_may_know_of_a_commit_first() {
        let mut heads = heads();
        assert_eq!(asked(&mut heads, 4, &log(4, 0)), Ok(3));
        assert_eq!(asked(&mut heads, 6, &log(6, 1)), Ok(2));
        assert_eq!(asked(&mut heads, 5, &log(6, 1)), Err(6));
    }

    #[test]
    fn the_first_query_learns_where_this_process_begins() {
        let mut heads = heads();
        assert_eq!(
            asked(&mut heads, 3, &log(4, 0)),
            Err(4),
            "an earlier process may have had more"
        );
        assert_eq!(asked(&mut heads, 4, &log(9, 0)), Ok(3));
    }

    #[test]
    fn a_head_that_others_stored_in_part_is_replaced_by_the_rest() {
        let mut heads = heads();
        let mut both = TenantHeads::default();
        std::mem::swap(&mut both.open, &mut heads.open);
        both.open.as_mut().unwrap().records.insert(STREAM, 0);
        assert!(both.cut(1));
        assert!(matches!(both.view(5, &log(5, 1)), View::Rebuilding));
        let head = both.uncommitted(1).unwrap();
        let rest = CutHead {
            snapshot: Arc::clone(&head.snapshot),
            records: head.records.not_in(&log(5, 1).state),
            maybe_duplicates: false,
            bytes: 1,
        };
        both.replace(1, rest, 5);
        assert!(both.stored().covers(STREAM, 0..1) && !both.stored().covers(STREAM, 2..3));
        assert_eq!(asked(&mut both, 4, &log(5, 1)), Err(5));
        assert_eq!(asked(&mut both, 5, &log(5, 1)), Ok(1));
    }
}
