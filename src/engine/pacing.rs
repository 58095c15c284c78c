//! Being in time: how to wait for a deadline, and whose message is next.
//!
//! Belongs here: pure decisions. Does not: waiting (`ring`), the schedule itself (`load::schedule`).
//!
//! A sleep in the kernel wakes 22 to 40 µs late at the median, and later on a busy host. So the last
//! stretch before a deadline is polled instead: that is late by less than a microsecond, and costs
//! the core only where a deadline is near.

use super::ring::Wait;
use crate::plan::wait::{GATHERING, WaitMode};
use crate::units::Nanos;

/// So long before a deadline sleeping ends and polling begins.
const SPIN: Nanos = Nanos::from_micros(150);
/// So long after the last completion or send more is looked for without sleeping: longer than the
/// pause between two broadcasts at 200 a second. After 150 µs all 64 copies of a broadcast that came
/// 3 ms after the last were stamped 35 µs late, in place of 4.
const AWAKE: Nanos = Nanos::from_millis(5);
/// Completions that a wait for throughput lets gather.
const GATHER: u32 = 64;

/// What a wait depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// The present instant.
    pub(super) now: Nanos,
    /// When something last came or left.
    pub(super) active: Nanos,
    /// When our next message is due, if any is.
    pub(super) next_due: Option<Nanos>,
    /// Messages are on their way to the kernel, which takes the next ones when it has these.
    pub(super) sending: bool,
}

/// How to wait for completions, looking up at least every `tick`.
pub(super) fn wait(mode: WaitMode, moment: Moment, tick: Nanos) -> Wait {
    let Moment { now, active, next_due, sending } = moment;
    let left = next_due.map_or(Nanos::MAX, |due| due.since(now));
    if left <= SPIN {
        return Wait::POLL;
    }
    let timeout = left.since(SPIN).min(tick);
    match mode {
        WaitMode::Spin => Wait::POLL,
        WaitMode::Latency if now.since(active) < AWAKE => Wait::POLL,
        WaitMode::Latency | WaitMode::Sleep => Wait::first(timeout),
        // A burst that waited for copies between two sends took 30 ms to leave instead of 0.5.
        WaitMode::Throughput if sending => Wait::first(timeout),
        WaitMode::Throughput => Wait { want: GATHER, linger: GATHERING.min(timeout), timeout },
    }
}

/// The messages of one worker's senders, in the order of the one schedule: message `i` belongs to
/// sender `i % senders`, so in each round of all senders ours come in the order of their numbers.
#[derive(Clone, Debug)]
pub(super) struct Rounds {
    /// Our senders' numbers, ascending.
    ours: Vec<u32>,
    senders: u64,
    messages: u64,
    round: u64,
    place: usize,
}

impl Rounds {
    /// For the senders `ours`, ascending, of `senders` that share `messages`.
    pub(super) fn new(ours: Vec<u32>, senders: u32, messages: u64) -> Self {
        debug_assert!(ours.is_sorted(), "{ours:?}");
        Self { ours, senders: senders.into(), messages, round: 0, place: 0 }
    }

    /// Our next message; `None` after the last.
    #[inline]
    pub(super) fn next(&self) -> Option<u64> {
        let sender = u64::from(*self.ours.get(self.place)?);
        Some(self.round * self.senders + sender).filter(|&i| i < self.messages)
    }

    /// Takes our next message if it is among the first `due` of the trial: itself, and the place of
    /// its sender among ours.
    #[inline]
    pub(super) fn take(&mut self, due: u64) -> Option<(u64, usize)> {
        let message = self.next().filter(|&i| i < due)?;
        let place = self.place;
        self.place += 1;
        if self.place == self.ours.len() {
            self.place = 0;
            self.round += 1;
        }
        Some((message, place))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TICK: Nanos = Nanos::from_millis(5);

    /// How a mode waits one second after the start, last active so long ago, with so much time left.
    fn waits(mode: WaitMode, idle_us: u64, left_us: Option<u64>) -> Wait {
        let now = Nanos::from_secs(1);
        let next_due = left_us.map(|left| now.plus(Nanos::from_micros(left)));
        let active = Nanos(now.0 - idle_us * 1_000);
        wait(mode, Moment { now, active, next_due, sending: false }, TICK)
    }

    fn wanted(left_us: u64) -> (u32, Nanos) {
        let wait = waits(WaitMode::Latency, 10_000, Some(left_us));
        (wait.want, wait.timeout)
    }

    #[test]
    fn far_deadlines_are_slept_for_and_near_ones_polled() {
        assert_eq!(wanted(100_000), (1, TICK));
        assert_eq!(wanted(1_150), (1, Nanos::from_millis(1)));
        assert_eq!(wanted(151), (1, Nanos::from_micros(1)));
        assert_eq!(wanted(150), (0, Nanos::ZERO));
        assert_eq!(wanted(0), (0, Nanos::ZERO));
    }

    #[test]
    fn a_deadline_that_has_passed_is_not_slept_over_and_none_is_no_hurry() {
        let (now, due) = (Nanos::from_secs(2), Nanos::from_secs(1));
        let late = Moment { now, active: Nanos::ZERO, next_due: Some(due), sending: false };
        assert_eq!(wait(WaitMode::Latency, late, TICK), Wait::POLL);
        assert_eq!(waits(WaitMode::Latency, 10_000, None), Wait::first(TICK));
    }

    #[test]
    fn for_latency_sleep_begins_only_when_nothing_has_come_for_a_moment() {
        assert_eq!(waits(WaitMode::Latency, 4_999, None), Wait::POLL);
        assert_eq!(waits(WaitMode::Latency, 5_000, None), Wait::first(TICK));
        assert_eq!(waits(WaitMode::Spin, 1_000_000, None), Wait::POLL);
        assert_eq!(waits(WaitMode::Sleep, 0, None), Wait::first(TICK));
    }

    #[test]
    fn for_throughput_completions_gather_but_never_over_a_deadline() {
        let gathers = |linger_us| (64, Nanos::from_micros(linger_us));
        for (left_us, want) in
            [(None, gathers(50)), (Some(190), gathers(40)), (Some(150), (0, Nanos::ZERO))]
        {
            let wait = waits(WaitMode::Throughput, 0, left_us);
            assert_eq!((wait.want, wait.linger), want, "{left_us:?} µs left");
        }
        let now = Nanos::from_secs(1);
        let sending = Moment { now, active: now, next_due: None, sending: true };
        assert_eq!(wait(WaitMode::Throughput, sending, TICK), Wait::first(TICK));
    }

    proptest! {
        #[test]
        fn every_message_is_taken_once_by_its_senders_worker_and_never_before_it_is_due(
            senders in 1_u32..9,
            workers in 1_u32..4,
            messages in 0_u64..100,
            steps in prop::collection::vec(0_u64..120, 1..8),
        ) {
            let mut taken = Vec::new();
            for worker in 0..workers {
                let ours: Vec<u32> = (worker..senders).step_by(workers as usize).collect();
                let mut rounds = Rounds::new(ours.clone(), senders, messages);
                for due in steps.iter().copied().chain([u64::MAX]) {
                    while let Some((message, place)) = rounds.take(due) {
                        prop_assert!(message < due);
                        prop_assert_eq!(message % u64::from(senders), u64::from(ours[place]));
                        taken.push(message);
                    }
                    prop_assert!(rounds.next().is_none_or(|message| message >= due));
                }
            }
            taken.sort_unstable();
            prop_assert_eq!(taken, (0..messages).collect::<Vec<_>>());
        }
    }
}
