//! When each message is to leave: the schedule of an open loop.
//!
//! Belongs here: pure functions of a message's number. Does not: which shape a load has (`profile`),
//! clocks and waiting (`engine`).
//!
//! There is ONE schedule for all cores and sockets: message `i` belongs to sender `i % senders` and
//! is its number `i / senders`. It is due at `start + i / rate`, each computed from `i` and not from
//! its predecessor, with 128-bit products: nothing drifts, and a rate that does not divide leaves
//! gaps that differ by one nanosecond. The schedule is never moved: late is late.

use std::sync::Arc;

use crate::units::{Nanos, Rate};

/// Nanoseconds of a second, in the millionths of an event that a [`Rate`] counts.
pub(super) const NS_PER_MICRO_EVENT: u64 = 1_000_000_000_000_000;

/// When each message of a trial is due, counted from the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    messages: u64,
    offsets: Offsets,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Offsets {
    /// `i * period`, the period being `whole_ns + rest / micro_per_s`: most products fit 64 bits.
    Even { micro_per_s: u64, whole_ns: u64, rest: u64 },
    /// Computed before the clock: 8 bytes for each message.
    Table(Box<[u64]>),
}

impl Schedule {
    /// `messages` at even distances: nothing is laid out.
    ///
    /// # Panics
    /// With a rate of 0.
    pub fn even(rate: Rate, messages: u64) -> Self {
        let offsets = Offsets::Even {
            micro_per_s: rate.micro_per_s,
            whole_ns: NS_PER_MICRO_EVENT / rate.micro_per_s,
            rest: NS_PER_MICRO_EVENT % rate.micro_per_s,
        };
        Self { messages, offsets }
    }

    /// Nanoseconds from the start for each message, ascending.
    pub fn table(offsets: Box<[u64]>) -> Self {
        debug_assert!(offsets.is_sorted(), "messages are due in the order of their numbers");
        Self { messages: offsets.len() as u64, offsets: Offsets::Table(offsets) }
    }

    /// What a table of `messages` takes in memory.
    pub const fn table_bytes(messages: u64) -> u64 {
        messages.saturating_mul(size_of::<u64>() as u64)
    }

    /// What it takes in memory.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> u64 {
        match &self.offsets {
            Offsets::Even { .. } => 0,
            Offsets::Table(offsets) => size_of_val::<[u64]>(offsets) as u64,
        }
    }

    /// Number of messages.
    pub const fn messages(&self) -> u64 {
        self.messages
    }

    /// Messages a second over the first `messages`, by the intervals between them; `None` of one
    /// message, and of some that are due at once.
    pub fn per_second(&self, messages: u64) -> Option<f64> {
        let last = messages.min(self.messages).checked_sub(1).filter(|&last| last > 0)?;
        let span = self.offset(last).since(self.offset(0));
        (span > Nanos::ZERO).then(|| last as f64 / span.as_secs_f64())
    }

    /// When message `i` is due, after the start; [`Nanos::MAX`] beyond 64 bits.
    ///
    /// # Panics
    /// For a message that a table does not have.
    #[inline]
    pub fn offset(&self, i: u64) -> Nanos {
        match &self.offsets {
            Offsets::Even { micro_per_s, whole_ns, rest } => {
                let small = i.checked_mul(*rest).zip(i.checked_mul(*whole_ns));
                match small {
                    Some((rest, whole)) => Nanos(whole.saturating_add(rest / micro_per_s)),
                    None => far_offset(i, *micro_per_s),
                }
            }
            Offsets::Table(offsets) => Nanos(offsets[i as usize]),
        }
    }

    /// How many messages are due when so much time has passed since the start: the inverse of
    /// [`Self::offset`].
    pub fn due(&self, elapsed: Nanos) -> u64 {
        let due = match &self.offsets {
            Offsets::Even { micro_per_s, .. } => {
                // Message i is due in time when i * period < elapsed + 1.
                let products = (u128::from(elapsed.0) + 1) * u128::from(*micro_per_s);
                let due = products.div_ceil(NS_PER_MICRO_EVENT.into());
                u64::try_from(due).unwrap_or(u64::MAX)
            }
            Offsets::Table(offsets) => {
                offsets.partition_point(|&offset| offset <= elapsed.0) as u64
            }
        };
        due.min(self.messages)
    }

    /// How many messages are due before so much time has passed.
    pub fn due_before(&self, elapsed: Nanos) -> u64 {
        elapsed.0.checked_sub(1).map_or(0, |just_before| self.due(Nanos(just_before)))
    }

    /// When the last message is due, after the start.
    pub fn last(&self) -> Nanos {
        self.messages.checked_sub(1).map_or(Nanos::ZERO, |last| self.offset(last))
    }
}

fn far_offset(i: u64, micro_per_s: u64) -> Nanos {
    let offset = u128::from(i) * u128::from(NS_PER_MICRO_EVENT) / u128::from(micro_per_s);
    Nanos(u64::try_from(offset).unwrap_or(u64::MAX))
}

/// A schedule, and when it starts.
#[derive(Clone, Debug)]
pub struct Timetable {
    schedule: Arc<Schedule>,
    senders: u64,
    start: Nanos,
}

impl Timetable {
    /// `schedule` over so many senders, to start at an instant that [`Self::begin`] will name.
    pub fn new(schedule: Arc<Schedule>, senders: u32) -> Self {
        Self { schedule, senders: senders.into(), start: Nanos::MAX }
    }

    /// The clock starts at `start`: the same instant for all cores.
    pub fn begin(&mut self, start: Nanos) {
        self.start = start;
    }

    /// What it looks up.
    pub fn schedule(&self) -> Arc<Schedule> {
        Arc::clone(&self.schedule)
    }

    /// When message `i` of the trial is due.
    #[inline]
    pub fn intended(&self, i: u64) -> Nanos {
        self.start.plus(self.schedule.offset(i))
    }

    /// When message `sequence` of `sender` is due.
    #[inline]
    pub fn intended_of(&self, sender: usize, sequence: u32) -> Nanos {
        self.intended(u64::from(sequence) * self.senders + sender as u64)
    }

    /// How many messages of the trial are due at `now`.
    pub fn due(&self, now: Nanos) -> u64 {
        if now < self.start { 0 } else { self.schedule.due(now.since(self.start)) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::load::inter_arrival::InterArrival;
    use crate::load::profile::FixedRate;
    use crate::load::schedule::*;
    use crate::load::shape::DueTimes as _;
    use crate::units::ScanError;

    fn rate(text: &str) -> Rate {
        text.parse().unwrap_or_else(|e: ScanError| panic!("{text}: {e}"))
    }

    fn constant(text: &str, messages: u64) -> Schedule {
        Schedule::even(rate(text), messages)
    }

    const fn steady(rate: Rate) -> FixedRate {
        FixedRate { rate, arrivals: InterArrival::Constant }
    }

    fn poisson(rate: Rate, seed: u64, messages: u64) -> Schedule {
        FixedRate { rate, arrivals: InterArrival::Poisson { seed } }.schedule(messages)
    }

    /// Offsets as each sender computes them for its own messages, merged again.
    fn merged(schedule: &Schedule, senders: u32) -> Vec<u64> {
        let mut timetable = Timetable::new(Arc::new(schedule.clone()), senders);
        timetable.begin(Nanos(1_000));
        let of = |sender: u64| {
            let own = (schedule.messages() - sender).div_ceil(senders.into()) as u32;
            let timetable = &timetable;
            (0..own).map(move |sequence| timetable.intended_of(sender as usize, sequence).0 - 1_000)
        };
        let mut all: Vec<u64> = (0..u64::from(senders)).flat_map(of).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn the_schedule_of_all_senders_together_has_even_gaps() {
        for senders in [1, 3, 7, 64] {
            let offsets = merged(&constant("10k/s", 10_000), senders);
            let gaps: Vec<u64> = offsets.windows(2).map(|pair| pair[1] - pair[0]).collect();
            assert!(gaps.iter().all(|&gap| gap == 100_000), "{senders} senders");
        }
    }

    #[test]
    fn a_rate_that_does_not_divide_leaves_gaps_that_differ_by_one_nanosecond_and_no_drift() {
        for senders in [1, 3, 7] {
            let offsets = merged(&constant("7/s", 700_001), senders);
            let gap = |pair: &[u64]| pair[1] - pair[0];
            assert!(offsets.windows(2).map(gap).all(|g| g == 142_857_142 || g == 142_857_143));
            assert_eq!(offsets[700_000], 100_000 * 1_000_000_000, "after 100 000 s to the ns");
        }
    }

    #[test]
    fn a_duration_makes_as_many_messages_as_are_due_within_it() {
        for (text, secs, messages) in [("10k/s", 10, 100_000), ("7/s", 3, 21), ("0.1/s", 25, 3)] {
            let found = steady(rate(text)).due_within(Nanos::from_secs(secs));
            assert_eq!(found, messages, "{text}");
            let all = constant(text, u64::MAX);
            assert_eq!(all.due(Nanos(secs * 1_000_000_000 - 1)), messages, "{text}");
        }
    }

    #[test]
    fn nothing_overflows_at_the_extremes() {
        let slowest = Rate { micro_per_s: 1 };
        let fastest = Rate { micro_per_s: u64::MAX };
        for rate in [slowest, fastest] {
            let schedule = Schedule::even(rate, u64::MAX);
            for i in [0, 1, u64::from(u32::MAX), u64::MAX] {
                assert!(schedule.offset(i) >= schedule.offset(i.saturating_sub(1)));
            }
            for at in [0, 1, u64::MAX - 1, u64::MAX] {
                assert!(schedule.due(Nanos(at)) >= 1);
            }
            steady(rate).due_within(Nanos::MAX);
        }
        let slow = Schedule::even(slowest, u64::MAX);
        assert_eq!(slow.offset(u64::MAX), Nanos::MAX, "never, rather than too early");
        assert_eq!(slow.offset(18_446), Nanos(18_446 * NS_PER_MICRO_EVENT));
        let far = poisson(slowest, 1, 100_000);
        assert_eq!(far.last(), Nanos::MAX);
    }

    /// Gaps of a Poisson schedule of 10 001 messages, in mean gaps.
    fn drawn_gaps(seed: u64) -> Vec<f64> {
        let schedule = poisson(rate("1000/s"), seed, 10_001);
        let at = |i| schedule.offset(i).0;
        (0..10_000).map(|i| (at(i + 1) - at(i)) as f64 / 1e6).collect()
    }

    /// Kolmogorov and Smirnov: the largest distance between the empirical distribution and
    /// 1 - exp(-gap), times the root of their number.
    fn distance_from_exponential(mut gaps: Vec<f64>) -> f64 {
        gaps.sort_by(f64::total_cmp);
        let n = gaps.len() as f64;
        let distances = gaps.iter().enumerate().map(|(k, gap)| {
            let expected = 1.0 - (-gap).exp();
            (expected - k as f64 / n).abs().max(((k + 1) as f64 / n - expected).abs())
        });
        distances.fold(0.0, f64::max) * n.sqrt()
    }

    /// Correlation of neighbouring gaps, times the root of their number.
    fn neighbours(gaps: &[f64]) -> f64 {
        let off: Vec<f64> = gaps.iter().map(|gap| gap - 1.0).collect();
        let product: f64 = off.windows(2).map(|pair| pair[0] * pair[1]).sum();
        let variance: f64 = off.iter().map(|off| off * off).sum();
        (product / variance * (gaps.len() as f64).sqrt()).abs()
    }

    #[test]
    fn poisson_gaps_are_exponential_and_independent() {
        // The default seed passes at a significance of 1 %: 1.628 is critical for the distance,
        // 2.576 for the correlation.
        let gaps = drawn_gaps(42);
        assert!(neighbours(&gaps) < 2.576, "{}", neighbours(&gaps));
        let distance = distance_from_exponential(gaps);
        assert!(distance < 1.628, "{distance}");
        // One seed can be lucky. Of 300, 3 should fail each test; more than 10 do in 1 of 3 400 cases.
        let all: Vec<_> = (0..300).map(drawn_gaps).collect();
        let correlated = all.iter().filter(|gaps| neighbours(gaps) > 2.576).count();
        let distant =
            all.into_iter().filter(|gaps| distance_from_exponential(gaps.clone()) > 1.628).count();
        assert!(distant <= 10 && correlated <= 10, "{distant} distant, {correlated} correlated");
    }

    #[test]
    fn a_seed_makes_one_schedule_and_another_seed_another() {
        let of = |seed| poisson(rate("10k/s"), seed, 1_000);
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    proptest! {
        #[test]
        fn what_is_due_is_what_the_offsets_say(
            shift in 0_u32..63,
            low in 1_u64..,
            at: u64,
            near in 0_u64..1_000_000,
        ) {
            let schedule = Schedule::even(Rate { micro_per_s: (low >> shift).max(1) }, u64::MAX);
            for elapsed in [Nanos(at - 1.min(at)), schedule.offset(near)] {
                let due = schedule.due(elapsed);
                prop_assert!(due == 0 || schedule.offset(due - 1) <= elapsed);
                prop_assert!(elapsed == Nanos::MAX || due == u64::MAX || schedule.offset(due) > elapsed);
            }
        }

        #[test]
        fn random_arrivals_are_in_order_and_invert(seed: u64, messages in 1_u64..300, at in 0_u64..400_000) {
            let schedule = poisson(Rate::per_second(1e6), seed, messages);
            let offsets: Vec<_> = (0..messages).map(|i| schedule.offset(i)).collect();
            prop_assert!(offsets.is_sorted());
            let due = offsets.iter().filter(|&&offset| offset <= Nanos(at)).count() as u64;
            prop_assert_eq!(schedule.due(Nanos(at)), due);
        }
    }
}
