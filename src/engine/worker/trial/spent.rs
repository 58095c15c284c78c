//! What a worker says of itself when an interval is over.
//!
//! Belongs here: reading what it has spent, once a second and where its trial ends. Does not: the figures of the
//! whole trial (`tally`).

use super::pace::Pace;
use crate::host::clock::thread_cpu_time;
use crate::measure::effort::Reading;
use crate::measure::interval::{Counted, Told};
use crate::measure::recorder::Counts;
use crate::units::Nanos;

/// What the worker has spent, as of this turn.
pub(super) struct Spent {
    /// Time in turns that polled and found nothing.
    pub(super) spun: Nanos,
    /// When the trial was complete: what is spent after that is no part of it.
    pub(super) finished: Option<Reading>,
}

impl Spent {
    pub(super) const fn of(spun: Nanos) -> Self {
        Self { spun, finished: None }
    }

    /// What is said when an interval is over. It reads the CPU time, which is a system call.
    pub(super) fn told(&self, counts: &Counts, pace: &mut Pace, now: Nanos) -> Told {
        let counted = Counted { counts: *counts, lag: pace.longest_lag() };
        let read = || Reading { at: now, cpu: thread_cpu_time(), spun: self.spun };
        let reading = self.finished.unwrap_or_else(read);
        Told { counted, reading, lag: pace.take_longest_lag() }
    }
}
