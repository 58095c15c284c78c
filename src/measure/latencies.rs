//! Latencies of one class: a histogram, and beside it what a histogram rounds.
//!
//! Belongs here: recording a value, merging, reading figures back. Does not: which figures are
//! reported (`percentile`), where values come from (`recorder`).
//!
//! A bucket is up to 0.1 % wide and is read as its upper end. For a percentile that is the precision
//! that was asked for; for the largest value, the one figure that names a single event, it would be a
//! value that nothing had, and a percentile could come out above it. So both ends are kept exactly:
//! two comparisons a value.

use hdrhistogram::Histogram;

use crate::units::Nanos;

/// Top of every histogram: one hour. What is so much larger that no bucket holds it (the last one
/// ends at 73 minutes) is counted as saturated.
const TOP_NS: u64 = 3_600_000_000_000;

/// An empty histogram of nanoseconds: three significant digits, of fixed size.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, TOP_NS, 3).expect("constant bounds are valid")
}

/// Values in nanoseconds: three significant digits of each, the least and the largest exactly.
#[derive(Clone, Debug)]
pub struct Latencies {
    ns: Histogram<u64>,
    saturated: u64,
    min_ns: u64,
    max_ns: u64,
}

impl Latencies {
    /// Every value up to here has a bucket.
    pub const TOP: Nanos = Nanos(TOP_NS);

    /// Empty, and of fixed size: no value makes it grow.
    pub fn new() -> Self {
        Self { ns: histogram(), saturated: 0, min_ns: u64::MAX, max_ns: 0 }
    }

    /// Records one value.
    #[inline]
    pub fn record(&mut self, value: Nanos) {
        self.min_ns = self.min_ns.min(value.0);
        self.max_ns = self.max_ns.max(value.0);
        if self.ns.record(value.0).is_err() {
            self.saturated += 1;
        }
    }

    /// Adds another's values.
    pub fn add(&mut self, other: &Self) {
        // An empty one may never have been touched: reading it would be the first to.
        if !other.ns.is_empty() {
            self.ns.add(&other.ns).expect("all latency histograms have the same bounds");
        }
        self.saturated += other.saturated;
        self.min_ns = self.min_ns.min(other.min_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// Forgets everything and keeps the room. A histogram that is empty is left alone: clearing it
    /// would back pages that nobody has touched.
    pub fn clear(&mut self) {
        if !self.ns.is_empty() {
            self.ns.reset();
        }
        (self.saturated, self.min_ns, self.max_ns) = (0, u64::MAX, 0);
    }

    /// How many values were recorded, with a bucket or without.
    pub fn count(&self) -> u64 {
        self.ns.len() + self.saturated
    }

    /// Values in buckets.
    pub fn len(&self) -> u64 {
        self.ns.len()
    }

    /// True without any value in a bucket.
    pub fn is_empty(&self) -> bool {
        self.ns.is_empty()
    }

    /// Values above [`Self::TOP`]: they are in no bucket, but the largest of them is [`Self::max`].
    pub fn saturated(&self) -> u64 {
        self.saturated
    }

    /// The least value, exactly; `None` of none.
    pub fn min(&self) -> Option<Nanos> {
        (self.min_ns <= self.max_ns).then_some(Nanos(self.min_ns))
    }

    /// The largest value, exactly; `None` of none.
    pub fn max(&self) -> Option<Nanos> {
        (self.min_ns <= self.max_ns).then_some(Nanos(self.max_ns))
    }

    /// The mean in nanoseconds, within the precision of the buckets; `None` of none.
    pub fn mean_ns(&self) -> Option<f64> {
        let (min, max) = (self.min()?, self.max()?);
        (!self.is_empty()).then(|| self.ns.mean().clamp(min.0 as f64, max.0 as f64))
    }

    /// The value at a quantile, 0 to 1, within the precision of the buckets and never outside of
    /// what was recorded; zero of none.
    pub fn at_quantile(&self, quantile: f64) -> Nanos {
        let (Some(min), Some(max)) = (self.min(), self.max()) else { return Nanos::ZERO };
        Nanos(self.ns.value_at_quantile(quantile).clamp(min.0, max.0))
    }

    /// The buckets, for formats that hold all of them.
    pub fn histogram(&self) -> &Histogram<u64> {
        &self.ns
    }
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

impl FromIterator<Nanos> for Latencies {
    fn from_iter<I: IntoIterator<Item = Nanos>>(values: I) -> Self {
        let mut latencies = Self::new();
        values.into_iter().for_each(|value| latencies.record(value));
        latencies
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[u64]) -> Latencies {
        values.iter().copied().map(Nanos).collect()
    }

    #[test]
    fn of_none_there_is_no_least_no_largest_and_no_mean() {
        let none = Latencies::new();
        assert_eq!((none.min(), none.max(), none.mean_ns()), (None, None, None));
        assert_eq!((none.len(), none.at_quantile(0.5)), (0, Nanos::ZERO));
    }

    #[test]
    fn the_largest_value_is_itself_and_not_the_top_of_its_bucket() {
        let one = of(&[1_234_567]);
        assert!(one.histogram().max() > 1_234_567, "the reason for all this");
        assert_eq!(one.max(), Some(Nanos(1_234_567)));
        assert_eq!(one.at_quantile(0.5), Nanos(1_234_567));
        assert_eq!(one.mean_ns(), Some(1_234_567.0));
    }

    #[test]
    fn what_was_cleared_is_as_new() {
        let mut cleared = of(&[7, 2 * TOP_NS]);
        cleared.clear();
        assert_eq!((cleared.len(), cleared.saturated(), cleared.max()), (0, 0, None));
        cleared.record(Nanos(9));
        assert_eq!((cleared.min(), cleared.max()), (Some(Nanos(9)), Some(Nanos(9))));
    }

    #[test]
    fn a_value_above_the_top_is_counted_apart_and_still_the_largest() {
        let over = of(&[5, 2 * TOP_NS]);
        assert_eq!((over.len(), over.saturated()), (1, 1));
        assert_eq!(over.max(), Some(Nanos(2 * TOP_NS)));
    }

    proptest! {
        #[test]
        fn parts_that_were_recorded_apart_are_the_whole(
            values in prop::collection::vec((0_u64..5_000_000_000_000, 0_usize..4), 0..300)
        ) {
            let mut parts: Vec<_> = (0..4).map(|_| Latencies::new()).collect();
            values.iter().for_each(|&(value, part)| parts[part].record(Nanos(value)));
            let mut merged = Latencies::new();
            parts.iter().for_each(|part| merged.add(part));
            let all: Vec<u64> = values.iter().map(|(value, _)| *value).collect();
            let whole = of(&all);
            prop_assert_eq!(merged.histogram(), whole.histogram());
            prop_assert_eq!(merged.saturated(), whole.saturated());
            prop_assert_eq!(merged.min().map(|ns| ns.0), all.iter().min().copied());
            prop_assert_eq!(merged.max().map(|ns| ns.0), all.iter().max().copied());
        }

        #[test]
        fn no_figure_lies_outside_of_what_was_recorded(
            values in prop::collection::vec(0_u64..4_000_000_000_000, 1..100),
            quantile in 0.0_f64..=1.0,
        ) {
            let all = of(&values);
            let (min, max) = (all.min().unwrap(), all.max().unwrap());
            let value = all.at_quantile(quantile);
            prop_assert!(min <= value && value <= max);
            let within = |mean: f64| min.0 as f64 <= mean && mean <= max.0 as f64;
            prop_assert!(all.mean_ns().is_none_or(within));
        }
    }
}
