//! When a trial is over.
//!
//! Belongs here: the decision, as a pure function of progress and time. Does not: who carries it out
//! (`fleet` for real runs, tests for themselves).
//!
//! A trial ends when all that can come has come and the line has then been quiet for a moment (a
//! duplicate of the last copy is still a duplicate), or when nothing that can be ours has come for the
//! drain time. A delivered copy is progress, always. It always ends: strangers' messages and repeated
//! copies, of which there may be no end, are no progress, and what only may be ours (an id that nobody
//! has named yet, an altered text) puts the end off by no more than the drain time once again.

use super::settle;
use crate::measure::outcome::Ending;
use crate::units::Nanos;

/// The longest that arrivals may put off the end of a complete trial, beyond the quiet that it takes: a
/// cluster that floods us must not keep us.
const FLOOD_MAX: Nanos = Nanos::from_millis(500);
/// Drain after an interruption: what is under way may still come, the person does not wait long.
const INTERRUPTED_DRAIN: Nanos = Nanos::from_millis(500);

/// What has happened so far, over all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrialProgress {
    /// Arrivals of any kind.
    pub seen: u64,
    /// Copies delivered: progress, always.
    pub delivered: u64,
    /// Arrivals that may be copies still awaited, or a stranger's: ids that nobody has named yet, and
    /// altered texts.
    pub doubtful: u64,
    /// Messages that the kernel took.
    pub sent: u64,
    /// Every worker has all that its living sockets can expect.
    pub complete: bool,
    /// Sockets were lost in this trial.
    pub lost: bool,
    /// The longest latency of a copy, as far as it is complete.
    pub slowest: Nanos,
    /// The longest latency of what came twice or was an earlier trial's; 0 of none.
    pub straggler: Nanos,
    /// Time of polls that brought nothing: CPU time that no message had need of.
    pub spun: Nanos,
}

/// Watches one trial.
#[derive(Debug)]
pub struct DrainWatch {
    drain: Nanos,
    last: TrialProgress,
    /// When a copy was last delivered, or a message sent.
    moved_at: Nanos,
    /// When something came last that may be ours: never before `moved_at`.
    stirred_at: Nanos,
    heard_at: Nanos,
    /// Something is still to be sent until then: silence before it means nothing.
    busy_until: Nanos,
    complete_at: Option<Nanos>,
    interrupted_at: Option<Nanos>,
    /// No trial follows.
    is_last: bool,
}

impl DrainWatch {
    /// A trial that starts at `now` and may be silent for `drain`.
    pub fn new(drain: Nanos, now: Nanos) -> Self {
        Self {
            drain,
            last: TrialProgress::default(),
            moved_at: now,
            stirred_at: now,
            heard_at: now,
            busy_until: Nanos::ZERO,
            complete_at: None,
            interrupted_at: None,
            is_last: false,
        }
    }

    /// Messages are due until `last_due`: a slow schedule is silent between two of them.
    #[must_use]
    pub fn not_before(self, last_due: Nanos) -> Self {
        Self { busy_until: last_due, ..self }
    }

    /// The last trial, or not: nobody listens after it.
    #[must_use]
    pub fn last(self, is_last: bool) -> Self {
        Self { is_last, ..self }
    }

    /// Notes that a signal asked for the end.
    pub fn interrupt(&mut self, now: Nanos) {
        self.interrupted_at.get_or_insert(now);
    }

    /// Whether the trial is over, and how.
    pub fn look(&mut self, progress: TrialProgress, now: Nanos) -> Option<Ending> {
        if (progress.delivered, progress.sent) != (self.last.delivered, self.last.sent) {
            (self.moved_at, self.stirred_at) = (now, now);
        } else if progress.doubtful > self.last.doubtful {
            self.stirred_at = now;
        }
        if progress.seen != self.last.seen {
            self.heard_at = now;
        }
        self.last = progress;
        if !progress.complete {
            self.complete_at = None;
        }
        if progress.complete {
            let since = *self.complete_at.get_or_insert(now);
            let settle = settle::quiet(progress.slowest, progress.straggler, self.is_last);
            let quiet = now.since(self.heard_at.max(since)) >= settle;
            let ending = if progress.lost { Ending::SocketsLost } else { Ending::Complete };
            return (quiet || now.since(since) >= settle.plus(FLOOD_MAX)).then_some(ending);
        }
        if let Some(at) = self.interrupted_at {
            let quiet = now.since(self.stirred_at) >= INTERRUPTED_DRAIN.min(self.drain);
            let late = now.since(at) >= self.drain;
            return (quiet || late).then_some(Ending::Interrupted);
        }
        let silence = now.since(self.stirred_at.max(self.busy_until));
        let standstill = now.since(self.moved_at.max(self.busy_until));
        let over = silence >= self.drain || standstill >= self.drain.plus(self.drain);
        over.then_some(Ending::Drained)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAIN: Nanos = Nanos::from_secs(10);

    fn at_ms(millis: u64) -> Nanos {
        Nanos::from_millis(millis)
    }

    fn seen(seen: u64) -> TrialProgress {
        TrialProgress { seen, delivered: seen, ..TrialProgress::default() }
    }

    fn complete(seen: u64) -> TrialProgress {
        TrialProgress { complete: true, slowest: at_ms(100), ..self::seen(seen) }
    }

    #[test]
    fn a_complete_trial_ends_after_a_quiet_moment() {
        let mut watch = DrainWatch::new(DRAIN, at_ms(0));
        assert_eq!(watch.look(complete(60), at_ms(10)), None);
        assert_eq!(watch.look(complete(60), at_ms(34)), None);
        assert_eq!(watch.look(complete(60), at_ms(35)), Some(Ending::Complete));
    }

    #[test]
    fn a_late_duplicate_puts_the_end_off_but_a_flood_does_not() {
        let mut watch = DrainWatch::new(DRAIN, at_ms(0));
        watch.look(complete(60), at_ms(10));
        assert_eq!(watch.look(complete(61), at_ms(34)), None);
        assert_eq!(watch.look(complete(61), at_ms(58)), None);
        for millis in 59..535 {
            assert_eq!(watch.look(complete(millis), at_ms(millis)), None);
        }
        assert_eq!(watch.look(complete(999), at_ms(535)), Some(Ending::Complete));
    }

    #[test]
    fn what_came_twice_late_and_the_last_trial_are_waited_for_longer() {
        let quick = TrialProgress { slowest: at_ms(1), ..complete(60) };
        let ends = |watch: DrainWatch, progress| {
            let mut watch = watch;
            (0..).find(|&ms| watch.look(progress, at_ms(ms)).is_some())
        };
        let watch = || DrainWatch::new(DRAIN, at_ms(0));
        assert_eq!(ends(watch(), quick), Some(5));
        assert_eq!(ends(watch().last(true), quick), Some(100));
        assert_eq!(ends(watch(), TrialProgress { straggler: at_ms(70), ..quick }), Some(140));
    }

    #[test]
    fn a_silent_trial_ends_after_the_drain_and_every_arrival_starts_it_anew() {
        let mut watch = DrainWatch::new(DRAIN, at_ms(0));
        assert_eq!(watch.look(seen(1), at_ms(9_999)), None);
        assert_eq!(watch.look(seen(1), at_ms(19_998)), None);
        assert_eq!(watch.look(seen(1), at_ms(19_999)), Some(Ending::Drained));
    }

    #[test]
    fn strangers_do_not_keep_a_trial_alive_in_which_nothing_of_ours_comes() {
        let mut watch = DrainWatch::new(DRAIN, at_ms(0));
        let heard = |seen| TrialProgress { seen, delivered: 59, ..TrialProgress::default() };
        assert_eq!(watch.look(heard(59), at_ms(1)), None);
        for second in 1..10 {
            assert_eq!(watch.look(heard(59 + second), at_ms(second * 1000)), None);
        }
        assert_eq!(watch.look(heard(70), at_ms(10_001)), Some(Ending::Drained));
    }

    #[test]
    fn a_delivered_copy_is_progress_whatever_else_waits() {
        let mut watch = DrainWatch::new(DRAIN, at_ms(0));
        for second in 0..60 {
            let progress =
                TrialProgress { seen: 100 + second, delivered: second, doubtful: 100, ..seen(0) };
            assert_eq!(watch.look(progress, at_ms(second * 9_000)), None, "{second}");
        }
    }

    #[test]
    fn what_may_be_a_strangers_puts_the_end_off_by_the_drain_time_and_not_for_ever() {
        let mut watch = DrainWatch::new(DRAIN, at_ms(0));
        let stir = |times| TrialProgress { seen: 20 + times, doubtful: times, ..seen(20) };
        for second in 0..20 {
            assert_eq!(watch.look(stir(second + 1), at_ms(second * 1_000)), None, "{second}");
        }
        assert_eq!(watch.look(stir(21), at_ms(20_000)), Some(Ending::Drained));
        // A copy of which it was the id has come late: from then on it counts anew.
        let mut watch = DrainWatch::new(DRAIN, at_ms(0));
        watch.look(stir(1), at_ms(0));
        assert_eq!(watch.look(stir(2), at_ms(9_000)), None);
        assert_eq!(watch.look(TrialProgress { doubtful: 1, ..seen(21) }, at_ms(18_000)), None);
        assert_eq!(watch.look(TrialProgress { doubtful: 1, ..seen(21) }, at_ms(27_999)), None);
        let end = watch.look(TrialProgress { doubtful: 1, ..seen(21) }, at_ms(28_000));
        assert_eq!(end, Some(Ending::Drained));
    }

    #[test]
    fn an_interrupted_trial_waits_for_what_is_under_way_and_no_longer() {
        let mut watch = DrainWatch::new(DRAIN, at_ms(0));
        watch.interrupt(at_ms(100));
        assert_eq!(watch.look(seen(5), at_ms(400)), None);
        assert_eq!(watch.look(seen(5), at_ms(900)), Some(Ending::Interrupted));
    }

    #[test]
    fn silence_between_two_messages_of_a_slow_schedule_is_no_end() {
        let mut watch = DrainWatch::new(DRAIN, at_ms(0)).not_before(at_ms(60_000));
        assert_eq!(watch.look(seen(1), at_ms(59_999)), None);
        assert_eq!(watch.look(seen(1), at_ms(69_998)), None);
        assert_eq!(watch.look(seen(1), at_ms(70_000)), Some(Ending::Drained));
    }

    #[test]
    fn lost_sockets_end_the_trial_when_the_others_have_everything() {
        let mut watch = DrainWatch::new(DRAIN, at_ms(0));
        let lost = TrialProgress { lost: true, ..complete(40) };
        watch.look(lost, at_ms(1));
        assert_eq!(watch.look(lost, at_ms(26)), Some(Ending::SocketsLost));
    }
}
