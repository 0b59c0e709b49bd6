//! Which blocks a tenant keeps no longer: pure functions of what the log says and of the time.

use std::sync::Arc;
use std::time::Duration;

use ulid::Ulid;

use crate::meta::BlockMeta;

/// How much a tenant keeps; `None` keeps everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// How long after its last span arrived a block is kept.
    pub age: Option<Duration>,
    /// How many bytes are kept.
    pub bytes: Option<u64>,
}

impl Retention {
    /// The blocks to be removed, oldest first.
    ///
    /// A span counts from its arrival or its end, whichever is later, but its end counts for no more than its arrival:
    /// so arrival it is, whatever a client's clock says. A block goes when the last of its spans may go.
    pub fn expired<'a>(&self, live: impl IntoIterator<Item = &'a Arc<BlockMeta>>, now_ns: u64) -> Vec<Ulid> {
        let mut metas: Vec<&Arc<BlockMeta>> = live.into_iter().collect();
        metas.sort_by_key(|meta| (meta.last_arrival_ns, meta.id));
        let age_ns = self
            .age
            .map(|age| u64::try_from(age.as_nanos()).unwrap_or(u64::MAX));
        let mut bytes: u64 = metas.iter().map(|meta| meta.bytes()).fold(0, u64::saturating_add);
        let mut goes = |meta: &BlockMeta| {
            let old = age_ns.is_some_and(|age| now_ns.saturating_sub(meta.last_arrival_ns) > age);
            let too_much = self.bytes.is_some_and(|most| bytes > most);
            if old || too_much {
                bytes = bytes.saturating_sub(meta.bytes());
            }
            old || too_much
        };
        metas
            .into_iter()
            .filter(|meta| goes(meta))
            .map(|meta| meta.id)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compact::tests::meta;

    fn expired(retention: Retention) -> Vec<u128> {
        let live = [meta(3, 30, 5, 0), meta(1, 10, 5, 0), meta(2, 20, 5, 0)];
        retention.expired(&live, 40).into_iter().map(u128::from).collect()
    }

    #[test]
    fn old_blocks_go() {
        let age = |nanos| Retention {
            age: Some(Duration::from_nanos(nanos)),
            bytes: None,
        };
        assert_eq!(expired(age(19)), [1, 2]);
        assert_eq!(expired(age(20)), [1]);
        assert_eq!(expired(age(30)), []);
        assert_eq!(expired(Retention::default()), []);
    }

    #[test]
    fn the_oldest_go_until_the_rest_fits() {
        let bytes = |most| Retention {
            age: None,
            bytes: Some(most),
        };
        assert_eq!(expired(bytes(15)), []);
        assert_eq!(expired(bytes(14)), [1]);
        assert_eq!(expired(bytes(4)), [1, 2, 3]);
    }

    #[test]
    fn what_goes_for_its_age_makes_room() {
        let both = Retention {
            age: Some(Duration::from_nanos(29)),
            bytes: Some(10),
        };
        assert_eq!(expired(both), [1]);
    }
}
