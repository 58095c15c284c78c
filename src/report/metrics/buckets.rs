//! Latencies in the buckets of a histogram that is scraped: a few dozen in place of thousands.
//!
//! Belongs here: where the buckets end. Does not: how they are written (`exposition`).

use crate::measure::latencies::Latencies;
use crate::units::Nanos;

/// Steps to a power of ten: about 1.6 each, so that a quantile read from a histogram is off by less.
const STEPS: [u64; 5] = [10_000, 16_000, 25_000, 40_000, 63_000];
const BUCKETS: usize = 36;

/// Where buckets end: from 10 µs to 100 s. What is larger is in a last one.
pub const BOUNDS: [Nanos; BUCKETS] = bounds();

const fn bounds() -> [Nanos; BUCKETS] {
    let mut bounds = [Nanos(0); BUCKETS];
    let mut at = 0;
    while at < BUCKETS {
        bounds[at] = Nanos(STEPS[at % 5] * 10_u64.pow((at / 5) as u32));
        at += 1;
    }
    bounds
}

/// How many latencies lie in each.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Buckets {
    /// The last is without an end; empty where nothing was recorded.
    counts: Vec<u64>,
    sum_ns: f64,
    /// The longest, exactly.
    pub(super) max: Option<Nanos>,
}

impl Buckets {
    pub(super) fn of(latencies: &Latencies) -> Self {
        let (counts, sum_ns) = latencies.counts_between(&BOUNDS);
        Self { counts, sum_ns, max: latencies.max() }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.counts.resize(BUCKETS + 1, 0);
        self.counts.iter_mut().zip(&other.counts).for_each(|(sum, count)| *sum += count);
        self.sum_ns += other.sum_ns;
        self.max = self.max.max(other.max);
    }

    /// How many there are up to each bound.
    pub(super) fn cumulative(&self) -> impl Iterator<Item = (Nanos, u64)> {
        let mut below = 0;
        BOUNDS.iter().enumerate().map(move |(at, bound)| {
            below += self.counts.get(at).copied().unwrap_or(0);
            (*bound, below)
        })
    }

    /// All of them.
    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their sum in seconds.
    pub(super) fn sum_s(&self) -> f64 {
        self.sum_ns / 1e9
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bounds_ascend_in_small_steps_from_ten_microseconds_to_a_hundred_seconds() {
        assert_eq!((BOUNDS[0], BOUNDS[BUCKETS - 1]), (Nanos(10_000), Nanos(100_000_000_000)));
        assert!(
            BOUNDS.windows(2).all(|pair| pair[0] < pair[1] && pair[1].0 <= pair[0].0 * 17 / 10)
        );
    }

    proptest! {
        /// The twin counts values one by one; a bucket of the recording is 0.1 % wide.
        #[test]
        fn every_value_is_below_the_bounds_that_it_is_below(
            values in prop::collection::vec((0_u32..64, any::<u64>()), 0..200),
        ) {
            let values: Vec<u64> = values.into_iter().map(|(bits, value)| value >> bits).collect();
            let latencies: Latencies = values.iter().copied().map(Nanos).collect();
            let halves: Vec<Latencies> = values
                .chunks(values.len().div_ceil(2).max(1))
                .map(|half| half.iter().copied().map(Nanos).collect())
                .collect();
            let mut sum = Buckets::default();
            halves.iter().for_each(|half| sum.add(&Buckets::of(half)));
            let whole = Buckets::of(&latencies);
            prop_assert_eq!(sum.count(), whole.count());
            prop_assert_eq!(Vec::from_iter(sum.cumulative()), Vec::from_iter(whole.cumulative()));
            prop_assert_eq!(whole.count(), values.len() as u64);
            for (bound, count) in whole.cumulative() {
                let below = |at: u64| values.iter().filter(|value| **value <= at).count() as u64;
                prop_assert!(count <= below(bound.0), "{bound}");
                prop_assert!(count >= below(bound.0 - bound.0 / 1_000), "{bound}");
            }
            let held: Vec<u64> = values.iter().copied().filter(|v| *v <= Latencies::TOP.0).collect();
            if held.len() == values.len() {
                let naive = held.iter().map(|value| *value as f64).sum::<f64>() / 1e9;
                prop_assert!((whole.sum_s() - naive).abs() <= naive / 1e3 + 1e-6);
            }
        }
    }
}
