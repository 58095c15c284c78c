//! Upgrade and mask keys: nobody can foretell the next ones from those that were seen.
//!
//! Belongs here: where they are drawn from. Does not: whose they are (`worker`, `connection`), and numbers that are no
//! secrets (schedules, faults), which are `fastrand`'s.

use std::fmt;

use rand::rngs::{StdRng, SysRng};
use rand::{Rng as _, SeedableRng as _};

/// A stream cipher whose key is the system's (RFC 6455, section 10.3). A frame is masked before the clock starts, so
/// that it costs no copy anything.
pub struct KeyRng(StdRng);

impl fmt::Debug for KeyRng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyRng")
    }
}

impl KeyRng {
    /// The keys of a run's worker, by its number: the same in each run from a seed, and else the system's.
    ///
    /// # Panics
    /// The kernel gives no random bytes.
    pub fn of_worker(seed: Option<u64>, worker: usize) -> Self {
        match seed {
            None => Self(StdRng::try_from_rng(&mut SysRng).expect("the kernel has getrandom(2)")),
            Some(seed) => {
                let mut all = StdRng::seed_from_u64(seed);
                for _ in 0..worker {
                    all.fork();
                }
                Self(all.fork())
            }
        }
    }

    /// Another one, whose keys say nothing of this one's.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self(self.0.fork())
    }

    /// A mask key.
    #[inline]
    pub fn mask(&mut self) -> [u8; 4] {
        self.0.next_u32().to_ne_bytes()
    }

    /// A seed for what is derived from it.
    pub fn u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}

/// Keys that can be foretold, as tests and benches want them.
impl From<fastrand::Rng> for KeyRng {
    fn from(mut rng: fastrand::Rng) -> Self {
        Self(StdRng::seed_from_u64(rng.u64(..)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn masks(mut rng: KeyRng) -> Vec<[u8; 4]> {
        (0..64).map(|_| rng.mask()).collect()
    }

    #[test]
    fn a_seed_repeats_the_keys_of_each_worker_and_no_two_workers_share_any() {
        let of = |worker| masks(KeyRng::of_worker(Some(7), worker));
        assert_eq!(of(2), of(2));
        let all: BTreeSet<_> = (0..8).flat_map(of).collect();
        assert_eq!(all.len(), 8 * 64);
        assert_ne!(of(0), masks(KeyRng::of_worker(Some(8), 0)));
    }

    #[test]
    fn without_a_seed_no_key_comes_twice() {
        let all: BTreeSet<_> = (0..8).flat_map(|_| masks(KeyRng::of_worker(None, 0))).collect();
        // Of 512 numbers of 32 bits two are the same once in 33 000 times; ten never.
        assert!(all.len() > 8 * 64 - 10, "{}", all.len());
    }

    #[test]
    fn a_fork_goes_its_own_way() {
        let mut rng = KeyRng::of_worker(Some(1), 0);
        let fork = masks(rng.fork());
        assert!(masks(rng).iter().all(|mask| !fork.contains(mask)));
    }
}
