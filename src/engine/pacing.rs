//! Being in time: how to wait for a deadline, and whose message is next.
//!
//! Belongs here: pure decisions. Does not: waiting (`ring`), the schedule itself (`plan::schedule`).
//!
//! A sleep in the kernel wakes 22 to 40 µs late at the median, and later on a busy host. So the last
//! stretch before a deadline is polled instead: that is late by less than a microsecond, and costs
//! the core only where a deadline is near.

use super::ring::Wait;
use crate::units::Nanos;

/// So long before a deadline sleeping ends and polling begins.
const SPIN: Nanos = Nanos::from_micros(150);

/// How to wait for completions at `now` when the next message is due at `next_due`, looking up at
/// least every `tick`.
pub(super) fn wait(now: Nanos, next_due: Option<Nanos>, tick: Nanos) -> Wait {
    let left = next_due.map_or(Nanos::MAX, |due| due.since(now));
    if left <= SPIN {
        return Wait { want: 0, timeout: Nanos::ZERO };
    }
    Wait { want: 1, timeout: left.since(SPIN).min(tick) }
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

    /// Takes our next message if it is among the first `due` of the row: itself, and the place of
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

    fn wanted(left_us: u64) -> (u32, Nanos) {
        let now = Nanos::from_secs(1);
        let wait = wait(now, Some(now.plus(Nanos::from_micros(left_us))), TICK);
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
        let late = wait(Nanos::from_secs(2), Some(Nanos::from_secs(1)), TICK);
        assert_eq!((late.want, late.timeout), (0, Nanos::ZERO));
        let idle = wait(Nanos::from_secs(2), None, TICK);
        assert_eq!((idle.want, idle.timeout), (1, TICK));
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
