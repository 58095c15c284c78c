//! Percentiles that can be stood behind.
//!
//! Belongs here: which percentiles are reported, and when there are too few samples for one. Does
//! not: how they are printed (`report`).

use super::latencies::Latencies;
use crate::units::Nanos;

/// With fewer samples beyond it a percentile is one of the few largest values under another name:
/// the next run would show another one.
const SAMPLES_BEYOND_MIN: u64 = 10;

/// Parts of a whole that a quantile is counted in.
const WHOLE: u64 = 10_000;

/// A percentile that reports name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Percentile {
    /// The median.
    P50,
    /// 90 %.
    P90,
    /// 99 %.
    P99,
    /// 99.9 %.
    P999,
    /// 99.99 %.
    P9999,
}

impl Percentile {
    /// Samples without which no 99th percentile is reported.
    pub const P99_SAMPLES_MIN: u64 = Self::P99.samples_min();
    /// All, lowest first.
    pub const ALL: [Self; 5] = [Self::P50, Self::P90, Self::P99, Self::P999, Self::P9999];

    /// As people write it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
            Self::P9999 => "p99.99",
        }
    }

    const fn parts(self) -> u64 {
        match self {
            Self::P50 => 5_000,
            Self::P90 => 9_000,
            Self::P99 => 9_900,
            Self::P999 => 9_990,
            Self::P9999 => 9_999,
        }
    }

    /// How many samples it takes to report it.
    pub const fn samples_min(self) -> u64 {
        SAMPLES_BEYOND_MIN * WHOLE / (WHOLE - self.parts())
    }

    /// The value, or `None` with too few samples.
    pub fn of(self, latency_ns: &Latencies) -> Option<Nanos> {
        let quantile = self.parts() as f64 / WHOLE as f64;
        (latency_ns.len() >= self.samples_min()).then(|| latency_ns.at_quantile(quantile))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_percentile_needs_ten_samples_beyond_it() {
        let needed = Percentile::ALL.map(Percentile::samples_min);
        assert_eq!(needed, [20, 100, 1_000, 10_000, 100_000]);
        let mut ns: Latencies = (1..=999).map(Nanos).collect();
        assert_eq!(Percentile::P99.of(&ns), None);
        ns.record(Nanos(1_000));
        assert_eq!(Percentile::P99.of(&ns), Some(Nanos(990)));
        assert_eq!(Percentile::P999.of(&ns), None);
    }

    proptest! {
        #[test]
        fn it_is_the_value_at_its_place_among_the_sorted_samples(
            samples in proptest::collection::vec(1_u64..10_000_000_000, 1..3_000)
        ) {
            let ns: Latencies = samples.iter().copied().map(Nanos).collect();
            let mut sorted = samples;
            sorted.sort_unstable();
            for percentile in Percentile::ALL {
                let Some(value) = percentile.of(&ns) else { continue };
                let place = (sorted.len() as u64 * percentile.parts()).div_ceil(WHOLE) as usize;
                let naive = sorted[place.max(1) - 1];
                // Three significant digits.
                prop_assert!(value.0 >= naive && value.0 - naive <= naive / 1_000 + 1);
                prop_assert!(sorted.len() - place >= SAMPLES_BEYOND_MIN as usize);
            }
        }
    }
}
