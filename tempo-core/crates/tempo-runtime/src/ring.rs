//! Who of several members takes a key: rendezvous hashing with a fixed hash.
//!
//! A member's weight for a key is `xxh3_64(member id, seed = key)`; the highest weight comes first, and equal weights
//! (which do not happen in practice) go by id. A member that comes or goes moves only the keys that are its own.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// The key of some bytes, such as a tenant and a trace id.
pub fn key_of(parts: &[&[u8]]) -> u64 {
    parts.iter().fold(0, |key, part| xxh3_64_with_seed(part, key))
}

/// The key of a name.
pub fn key_of_name(name: &str) -> u64 {
    xxh3_64(name.as_bytes())
}

/// The index of the member of `ids` that takes `key`; `None` when there is no member.
pub fn owner<I: AsRef<str>>(key: u64, ids: &[I]) -> Option<usize> {
    let weight = |id: &I| {
        (
            xxh3_64_with_seed(id.as_ref().as_bytes(), key),
            std::cmp::Reverse(id.as_ref().to_owned()),
        )
    };
    (0..ids.len()).max_by_key(|index| ids.get(*index).map(weight))
}

/// The indices of `ids` in the order in which they are to be tried for `key`.
pub fn order<I: AsRef<str>>(key: u64, ids: &[I]) -> Vec<usize> {
    let mut weighted: Vec<(u64, &str, usize)> = ids
        .iter()
        .enumerate()
        .map(|(index, id)| (xxh3_64_with_seed(id.as_ref().as_bytes(), key), id.as_ref(), index))
        .collect();
    weighted.sort_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(other.1)));
    weighted.into_iter().map(|(_, _, index)| index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_leaves_moves_only_its_own_keys() {
        let all = ["a", "b", "c", "d"];
        let without_c = ["a", "b", "d"];
        let mut moved = 0;
        for key in 0..1000 {
            let before = all[owner(key, &all).unwrap()];
            let after = without_c[owner(key, &without_c).unwrap()];
            moved += usize::from(before != after);
            assert!(
                before == "c" || before == after,
                "key {key} moved from {before} to {after}"
            );
        }
        assert!((150..350).contains(&moved), "{moved} of 1000 keys moved");
    }

    #[test]
    fn the_hash_is_fixed() {
        assert_eq!(
            order(42, &["ingester-0", "ingester-1", "ingester-2"])
                .first()
                .copied(),
            owner(42, &["ingester-0", "ingester-1", "ingester-2"])
        );
        assert_eq!(key_of(&[b"tenant", b"trace"]), key_of(&[b"tenant", b"trace"]));
        assert_ne!(key_of(&[b"tenant", b"trace"]), key_of(&[b"trace", b"tenant"]));
    }
}
