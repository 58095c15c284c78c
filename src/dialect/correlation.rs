//! A cluster's own id of a message, in 16 bytes.
//!
//! Belongs here: turning an id's bytes into a key that can be compared and stored without memory
//! of its own. Does not: finding ids in messages (`dialect::json_objects`), the mapping from ids to
//! messages (`measure`).

/// Ids up to this long are kept as they are.
const EXACT_MAX: usize = 15;

/// Set in the top byte of a hashed id; an exact one has its length there.
const HASHED: u128 = 0xff << 120;

/// The name that the cluster gave to a message.
///
/// Up to 15 bytes it is exact: the bytes and their number. Longer ids (UUIDs) are hashed to 120
/// bits that no exact id shares; of `n` ids, two collide with odds of about `n^2 / 2^121`: 1 in
/// 2^74 for ten million. The hash is not keyed: a cluster that wants to collide can.
///
/// Two words, not a `u128`: that would give every `Option` and enum around it a tag of 16 bytes, read in
/// one piece right after it was written in two, and the CPU waits until such a store has left its
/// buffer: 5 ns of the 27 that a copy cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CorrelationId {
    high: u64,
    low: u64,
}

impl From<u128> for CorrelationId {
    #[inline]
    fn from(id: u128) -> Self {
        Self { high: (id >> 64) as u64, low: id as u64 }
    }
}

impl CorrelationId {
    /// Its two words, the higher first.
    #[inline]
    pub const fn words(self) -> (u64, u64) {
        (self.high, self.low)
    }

    /// The id whose bytes, as they stand between JSON's quotes or as a bare number, are `id`.
    #[inline]
    pub fn from_bytes(id: &[u8]) -> Self {
        Self::from(if id.len() <= EXACT_MAX { exact(id) } else { HASHED | hash(id) >> 8 })
    }

    /// The id that is the last `len` of `bytes`. With 16 bytes to read it takes one load.
    #[inline]
    pub(super) fn ending(bytes: &[u8], len: usize) -> Self {
        match bytes.last_chunk::<16>() {
            Some(last) if len <= EXACT_MAX => {
                let id = u128::from_be_bytes(*last) & ((1 << (8 * len)) - 1);
                Self::from((len as u128) << 120 | id)
            }
            _ => Self::from_bytes(&bytes[bytes.len() - len..]),
        }
    }
}

#[inline]
fn exact(id: &[u8]) -> u128 {
    let bytes = id.iter().fold(0u128, |bytes, byte| bytes << 8 | u128::from(*byte));
    (id.len() as u128) << 120 | bytes
}

/// Two independent lanes of multiply and fold (as in wyhash), eight bytes at a time.
fn hash(id: &[u8]) -> u128 {
    let mut high = 0x9e37_79b9_7f4a_7c15 ^ id.len() as u64;
    let mut low = 0xd6e8_feb8_6659_fd93 ^ id.len() as u64;
    for chunk in id.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        let word = u64::from_le_bytes(word);
        high = fold(high ^ word, 0xa076_1d64_78bd_642f);
        low = fold(low ^ word, 0xe703_7ed1_a0b4_28db);
    }
    u128::from(fold(high, 0x8ebc_6af0_9c88_c6e3)) << 64
        | u128::from(fold(low, 0x5899_65cc_7537_4cc3))
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn equal_ids_only_have_equal_keys(
            a in vec(prop_oneof![Just(0u8), any::<u8>()], 0..40),
            b in vec(prop_oneof![Just(0u8), any::<u8>()], 0..40),
        ) {
            let same = CorrelationId::from_bytes(&a) == CorrelationId::from_bytes(&b);
            prop_assert_eq!(same, a == b);
        }

        #[test]
        fn an_id_is_the_same_read_alone_or_at_the_end_of_a_message(
            before in vec(any::<u8>(), 0..40),
            id in vec(any::<u8>(), 0..40),
        ) {
            let message = [&before[..], &id].concat();
            let ending = CorrelationId::ending(&message, id.len());
            prop_assert_eq!(ending, CorrelationId::from_bytes(&id));
        }
    }

    #[test]
    fn a_hundred_thousand_uuids_in_a_trial_do_not_collide_in_either_half() {
        let id = |n: u32| format!("8f14e45f-ceea-467f-9d2b-{n:012x}");
        let keys = (0..100_000).map(|n| CorrelationId::from_bytes(id(n).as_bytes()));
        let (mut high, mut low) = (HashSet::new(), HashSet::new());
        for key in keys {
            assert!(high.insert(key.high), "high half");
            assert!(low.insert(key.low), "low half");
        }
    }
}
