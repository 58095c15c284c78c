//! What lets messages leave: nothing holds them, their due times, or answers.
//!
//! Belongs here: moving the limits of senders, and how late we were in doing so. Does not: what a
//! schedule is (`load::schedule`), how to wake up in time (`pacing`).

use std::sync::Arc;

use crate::engine::pacing::Rounds;
use crate::engine::worker::trial::sender::Senders;
use crate::load::profile::Profile;
use crate::load::schedule::{Schedule, Timetable};
use crate::load::trial::Trial;
use crate::measure::effort::LongestLag;
use crate::measure::latencies::Latencies;
use crate::measure::recorder::Recorder;
use crate::units::Nanos;

/// What lets messages leave.
pub(super) enum Pace {
    /// Nothing holds them back.
    Burst,
    /// Answers.
    Window(u32),
    /// Their due times.
    Rate(Box<Due>),
}

/// The schedule as this worker follows it.
pub(super) struct Due {
    rounds: Rounds,
    timetable: Timetable,
    /// When our next message is due.
    next_due: Option<Nanos>,
    measured_from: Nanos,
    lag: Latencies,
    /// Of messages due in the warm-up, where there is one.
    warmup_lag: Option<Latencies>,
    /// Since it was taken last.
    longest_lag: LongestLag,
}

impl Pace {
    /// For these senders; what is recorded for it is laid out in `recorder`.
    pub(super) fn new(
        trial: &Trial,
        schedule: Option<&Arc<Schedule>>,
        push_sockets: usize,
        senders: &Senders,
        recorder: &mut Recorder,
    ) -> Self {
        if let Some(schedule) = schedule {
            let push_sockets = push_sockets as u32;
            let timetable = Timetable::new(Arc::clone(schedule), push_sockets);
            let warms_up = trial.warmup > Nanos::ZERO;
            recorder.follow(timetable.clone(), warms_up);
            let ours = senders.all.iter().map(|sender| sender.sender.into()).collect();
            return Self::Rate(Box::new(Due {
                rounds: Rounds::new(ours, push_sockets, schedule.messages()),
                timetable,
                next_due: None,
                measured_from: Nanos::ZERO,
                lag: Latencies::new(),
                warmup_lag: warms_up.then(Latencies::new),
                longest_lag: LongestLag::default(),
            }));
        }
        match trial.profile.in_flight() {
            Some(in_flight) => {
                recorder.note_answers();
                Self::Window(in_flight)
            }
            None => Self::Burst,
        }
    }

    /// How many messages of each sender may leave before anything has happened.
    pub(super) fn first_limit(profile: &Profile) -> u32 {
        if profile.is_open_loop() { 0 } else { profile.in_flight().unwrap_or(u32::MAX) }
    }

    /// The schedule starts at `start`.
    pub(super) fn begin(&mut self, start: Nanos, measured_from: Nanos) {
        let Self::Rate(due) = self else { return };
        due.timetable.begin(start);
        due.measured_from = measured_from;
        due.next_due = due.next();
    }

    /// When our next message is due.
    pub(super) fn next_due(&self) -> Option<Nanos> {
        match self {
            Self::Rate(due) => due.next_due,
            Self::Burst | Self::Window(_) => None,
        }
    }

    /// Moves the limits of all senders to where time and answers allow them to be.
    pub(super) fn release(&mut self, now: Nanos, recorder: &mut Recorder, senders: &mut Senders) {
        match self {
            Self::Burst => {}
            Self::Window(in_flight) => {
                let Some(answers) = &mut recorder.answers else { return };
                while let Some((local, answered)) = answers.take() {
                    senders.allow(local as usize, answered.saturating_add(*in_flight));
                }
            }
            Self::Rate(due) => due.release(now, senders),
        }
    }

    /// How late we turned to a measured message at most.
    pub(super) fn longest_lag(&self) -> Option<Nanos> {
        match self {
            Self::Rate(due) => due.lag.max(),
            Self::Burst | Self::Window(_) => None,
        }
    }

    /// The same since it was taken last, and of messages of the warm-up, too.
    pub(super) fn take_longest_lag(&mut self) -> LongestLag {
        match self {
            Self::Rate(due) => std::mem::take(&mut due.longest_lag),
            Self::Burst | Self::Window(_) => LongestLag::default(),
        }
    }

    /// How late we turned to messages that were due: measured ones, and those of the warm-up.
    pub(super) fn into_lag(self) -> (Option<Latencies>, Option<Latencies>) {
        match self {
            Self::Rate(due) => (Some(due.lag), due.warmup_lag),
            Self::Burst | Self::Window(_) => (None, None),
        }
    }
}

impl Due {
    fn next(&self) -> Option<Nanos> {
        self.rounds.next().map(|message| self.timetable.intended(message))
    }

    fn release(&mut self, now: Nanos, senders: &mut Senders) {
        if self.next_due.is_none_or(|next| now < next) {
            return;
        }
        let total = self.timetable.due(now);
        while let Some((message, local)) = self.rounds.take(total) {
            let intended = self.timetable.intended(message);
            let (lag, longest) = match &mut self.warmup_lag {
                Some(warmup) if intended < self.measured_from => {
                    (warmup, &mut self.longest_lag.warmup)
                }
                _ => (&mut self.lag, &mut self.longest_lag.measured),
            };
            let late = now.since(intended);
            lag.record(late);
            *longest = (*longest).max(Some(late));
            senders.allow_next(local);
        }
        self.next_due = self.next();
    }
}
