//! Latencies of one class: a histogram, and beside it what a histogram rounds.
//!
//! Belongs here: recording a value, merging, reading figures back. Does not: which figures are
//! reported (`percentile`), where values come from (`recorder`).
//!
//! A bucket is up to 0.1 % wide and is read as its upper end. For a percentile that is the precision
//! that was asked for; for the largest value, the one figure that names a single event, it would be a
//! value that nothing had, and a percentile could come out above it. So both ends are kept exactly:
//! two comparisons a value.
//!
//! The buckets are those of `hdrhistogram`, bit for bit, but kept by ourselves: the library's `record`
//! checks bounds that are constants here and keeps totals that can be summed up later, 4 ns of the 11 that
//! all of the recording took.

use std::ops::RangeInclusive;

use hdrhistogram::Histogram;

use super::bands::band;
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
    counts: Box<[u64]>,
    saturated: u64,
    min_ns: u64,
    max_ns: u64,
}

/// A [`histogram`] tells three digits by 2048 buckets for each power of two of which the upper half is
/// used; this is log2 of that half.
const HALF: u32 = 10;
const BUCKETS: usize = 33 << HALF;

/// The bucket of a value in a [`histogram`]. Values above its top have indices beyond [`BUCKETS`].
#[inline]
const fn bucket(value: u64) -> usize {
    let magnitude = (63 - HALF) - (value | ((2 << HALF) - 1)).leading_zeros();
    ((magnitude as usize) << HALF) + (value >> magnitude) as usize
}

/// The values that share a bucket.
const fn values(bucket: usize) -> RangeInclusive<u64> {
    let magnitude = (bucket >> HALF).saturating_sub(1);
    let least = ((bucket - (magnitude << HALF)) as u64) << magnitude;
    least..=least + ((1 << magnitude) - 1)
}

impl Latencies {
    /// Every value up to here has a bucket.
    pub const TOP: Nanos = Nanos(TOP_NS);

    /// Empty, and of fixed size: no value makes it grow.
    pub fn new() -> Self {
        Self { counts: vec![0; BUCKETS].into(), saturated: 0, min_ns: u64::MAX, max_ns: 0 }
    }

    /// Records one value.
    #[inline]
    pub fn record(&mut self, value: Nanos) {
        self.record_many(value, 1);
    }

    /// Records one value `many` times, at least once.
    #[inline]
    pub fn record_many(&mut self, value: Nanos, many: u64) {
        self.min_ns = self.min_ns.min(value.0);
        self.max_ns = self.max_ns.max(value.0);
        match self.counts.get_mut(bucket(value.0)) {
            Some(count) => *count += many,
            None => self.saturated += many,
        }
    }

    /// Adds another's values.
    pub fn add(&mut self, other: &Self) {
        // An untouched one has no pages of its own yet: reading them would be the first to ask for them.
        if !other.is_untouched() {
            self.counts.iter_mut().zip(&other.counts).for_each(|(sum, count)| *sum += count);
        }
        self.saturated += other.saturated;
        self.min_ns = self.min_ns.min(other.min_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// Forgets everything and keeps the room. A histogram that is empty is left alone: clearing it
    /// would back pages that nobody has touched.
    pub fn clear(&mut self) {
        if !self.is_untouched() {
            self.counts.fill(0);
        }
        (self.saturated, self.min_ns, self.max_ns) = (0, u64::MAX, 0);
    }

    /// How many values were recorded, with a bucket or without.
    pub fn count(&self) -> u64 {
        self.len() + self.saturated
    }

    /// Values in buckets.
    pub fn len(&self) -> u64 {
        if self.is_untouched() { 0 } else { self.counts.iter().sum() }
    }

    /// Nothing was recorded since it was new or cleared.
    const fn is_untouched(&self) -> bool {
        self.min_ns > self.max_ns
    }

    /// True without any value in a bucket.
    pub fn is_empty(&self) -> bool {
        self.is_untouched() || self.counts.iter().all(|&count| count == 0)
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

    /// How many values lie in each [band](super::bands) that holds any, the lowest first.
    pub fn bands(&self) -> Vec<(u8, u64)> {
        let mut bands: Vec<(u8, u64)> = Vec::new();
        if self.is_untouched() {
            return bands;
        }
        let held = self.counts.iter().enumerate().filter(|&(_, &count)| count > 0);
        for (bucket, &count) in held {
            let band = band(Nanos(*values(bucket).start()));
            match bands.last_mut() {
                Some((last, sum)) if *last == band => *sum += count,
                _ => bands.push((band, count)),
            }
        }
        bands
    }

    /// How many values lie up to each of `bounds`, which ascend, and beyond the one before it; then those
    /// beyond the last; and the sum of all in nanoseconds. All within the precision of the buckets: what may
    /// lie beyond a bound is not counted below it, and what no bucket holds is summed up as [`Self::TOP`].
    pub fn counts_between(&self, bounds: &[Nanos]) -> (Vec<u64>, f64) {
        let (mut counts, mut sum) = (vec![0; bounds.len() + 1], 0.0);
        if !self.is_untouched() {
            let mut at = 0;
            for (bucket, &count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0)
            {
                let (least, most) = values(bucket).into_inner();
                while bounds.get(at).is_some_and(|bound| bound.0 < most) {
                    at += 1;
                }
                counts[at] += count;
                sum += (least + (most - least) / 2) as f64 * count as f64;
            }
            counts[bounds.len()] += self.saturated;
            sum += TOP_NS as f64 * self.saturated as f64;
        }
        (counts, sum)
    }

    /// The mean in nanoseconds, within the precision of the buckets; `None` of none.
    pub fn mean_ns(&self) -> Option<f64> {
        let (min, max) = (self.min()?, self.max()?);
        (!self.is_empty()).then(|| self.histogram().mean().clamp(min.0 as f64, max.0 as f64))
    }

    /// The value at a quantile, 0 to 1, within the precision of the buckets and never outside of
    /// what was recorded; zero of none.
    pub fn at_quantile(&self, quantile: f64) -> Nanos {
        let (Some(min), Some(max)) = (self.min(), self.max()) else { return Nanos::ZERO };
        let rank = ((quantile.min(1.0) * self.len() as f64).ceil() as u64).max(1);
        let mut passed = 0;
        let reaches = |count: &u64| {
            passed += count;
            passed >= rank
        };
        let value = match self.counts.iter().position(reaches).map(values) {
            Some(values) if quantile == 0.0 => *values.start(),
            Some(values) => *values.end(),
            // All of them are above the top.
            None => 0,
        };
        Nanos(value.clamp(min.0, max.0))
    }

    /// The buckets as the library has them, for formats that hold all of them.
    pub fn histogram(&self) -> Histogram<u64> {
        let mut histogram = histogram();
        if !self.is_untouched() {
            for (bucket, &count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0)
            {
                histogram.record_n(*values(bucket).start(), count).expect("it has this bucket");
            }
        }
        histogram
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
    use hdrhistogram::serialization::{Serializer, V2Serializer};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_bucket_of_the_library_is_one_of_ours_and_the_other_way_round() {
        let theirs = histogram();
        assert_eq!(theirs.distinct_values(), BUCKETS);
        for index in 0..BUCKETS {
            let (least, most) = values(index).into_inner();
            assert_eq!((bucket(least), bucket(most), bucket(most + 1)), (index, index, index + 1));
            assert_eq!(theirs.highest_equivalent(least), most);
        }
        assert!(bucket(u64::MAX) >= BUCKETS);
    }

    fn of(values: &[u64]) -> Latencies {
        values.iter().copied().map(Nanos).collect()
    }

    #[test]
    fn bands_hold_what_was_recorded_where_it_belongs() {
        let values: Vec<u64> = (0..20_000).map(|i| 1 + i * i * 7).collect();
        let mut naive = std::collections::BTreeMap::<u8, u64>::new();
        values.iter().for_each(|&ns| *naive.entry(band(Nanos(ns))).or_default() += 1);
        assert_eq!(of(&values).bands(), Vec::from_iter(naive));
        assert_eq!(Latencies::new().bands(), []);
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
        fn the_buckets_are_those_of_the_library_bit_for_bit(
            values in prop::collection::vec(
                (0_u32..64, any::<u64>()).prop_map(|(bits, value)| value >> bits),
                0..200,
            ),
            quantile in prop_oneof![Just(0.0), Just(1.0), 0.0_f64..=1.0],
        ) {
            let (mut theirs, mut saturated) = (histogram(), 0);
            values.iter().for_each(|&value| saturated += u64::from(theirs.record(value).is_err()));
            let ours = of(&values);
            prop_assert_eq!(ours.saturated(), saturated);
            prop_assert_eq!((ours.len(), ours.is_empty()), (theirs.len(), theirs.is_empty()));
            let written = |histogram: &Histogram<u64>| {
                let mut v2 = Vec::new();
                V2Serializer::new().serialize(histogram, &mut v2).expect("memory takes it");
                v2
            };
            prop_assert_eq!(&ours.histogram(), &theirs);
            prop_assert_eq!(written(&ours.histogram()), written(&theirs));
            if let (Some(min), Some(max)) = (ours.min(), ours.max()) {
                let expected = theirs.value_at_quantile(quantile).clamp(min.0, max.0);
                prop_assert_eq!(ours.at_quantile(quantile), Nanos(expected));
            }
        }

        #[test]
        fn a_value_recorded_many_times_is_as_if_it_came_as_often(
            values in prop::collection::vec((0_u64..5_000_000_000_000, 1_u64..5), 0..50),
        ) {
            let mut many = Latencies::new();
            values.iter().for_each(|&(value, times)| many.record_many(Nanos(value), times));
            let singly: Vec<u64> =
                values.iter().flat_map(|&(value, times)| vec![value; times as usize]).collect();
            let singly = of(&singly);
            prop_assert_eq!(many.histogram(), singly.histogram());
            prop_assert_eq!((many.min(), many.max()), (singly.min(), singly.max()));
            prop_assert_eq!(many.saturated(), singly.saturated());
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
