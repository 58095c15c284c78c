//! One trial over all workers: laid out, started at one instant, watched, merged.
//!
//! Belongs here: the coordinator's part of a trial. Does not: a worker's (`worker::trial`), when it is
//! over (`drain`), what it is worth (`verdict`).

use std::sync::Arc;

use super::Fleet;
use crate::engine::drain::DrainWatch;
use crate::engine::orders::{Command, Report};
use crate::engine::worker::{Directive, TrialPlan};
use crate::engine::{EngineError, Phase, Progress, Snapshot, Watch};
use crate::host::clock::{self, Clock, Monotonic};
use crate::host::facts::HostCounters;
use crate::load::trial::Trial;
use crate::measure::interval::IntervalSink;
use crate::measure::outcome::{Ending, TrialOutcome};
use crate::measure::reached::{Places, Reached};
use crate::measure::sent::SentTimes;
use crate::measure::series::Collector;
use crate::measure::tally::{Tally, TrialContext, TrialMerge};
use crate::units::Nanos;

/// From the start signal to the first message that may be due: longer than it takes to wake every
/// worker.
const START_LEAD: Nanos = Nanos::from_millis(5);

/// What one trial came to, and what its host counted meanwhile.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// The figures.
    pub outcome: TrialOutcome,
    /// The host when what is measured began: after the warm-up.
    pub host_before: HostCounters,
    /// The host at its end.
    pub host_after: HostCounters,
    /// The number that marked its messages: see [`Fleet::late`].
    pub nonce: u32,
}

/// Of a trial whose clock runs.
struct Course<'a> {
    trial: &'a Trial,
    /// When its last message is due.
    last_due: Nanos,
    /// No trial follows: nobody listens after it.
    is_last: bool,
    /// Whose the rows of its records are, where that is not told by the plan.
    reached: Option<&'a [Reached]>,
}

impl Fleet {
    /// Runs one trial over all sockets that are there. Nobody listens after one that `is_last`: it waits
    /// longer for a copy too many.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn trial(
        &mut self,
        trial: &Trial,
        is_last: bool,
        watch: &mut dyn Watch,
    ) -> Result<Measurement, EngineError> {
        let (plan, messages) = (Arc::clone(&self.crew.plan), trial.messages);
        let nonce = self.nonces.next_trial();
        let counts: Arc<[u32]> = plan.population().turns().share(messages).into();
        let sent = Arc::new(SentTimes::new(&counts));
        let schedule = trial.schedule();
        let workers = self.crew.commands.len();
        let places = self.attendance.places(&self.crew);
        let rows = places.as_ref().map_or(plan.nodes.len(), |places| places.all().len());
        let (collector, ports) =
            Collector::with_places(rows, &plan, trial, schedule.clone(), workers);
        let mut collector = collector.of(self.attendance.connecting.there(&plan.audience));
        let trial_plan = TrialPlan {
            trial: trial.clone(),
            run: nonce,
            text: self.text.clone(),
            counts,
            lay_all: plan.lays_all(messages, &self.text),
            sent: Arc::clone(&sent),
            schedule: schedule.clone(),
        };
        self.crew.board.reset();
        self.prepare(&trial_plan, ports, places.as_ref(), watch)?;
        if self.crew.stop.requested() {
            return self.called_off();
        }
        // A schedule begins when every worker has surely heard of it.
        let lead = if schedule.is_some() { START_LEAD } else { Nanos::ZERO };
        let mut host_before = HostCounters::read();
        let started_unix_ms = clock::unix_ms();
        let start = Monotonic.now().plus(lead);
        self.crew.tell(|| Command::Go(start));
        collector.begin(start);
        let last_due = start.plus(schedule.map_or(Nanos::ZERO, |schedule| schedule.last()));
        let reached = places.as_deref().map(Places::all);
        let course = Course { trial, last_due, is_last, reached };
        let (tallies, ending) = self.running(&course, &mut collector, &mut host_before, watch)?;
        let (host_after, ended) = (HostCounters::read(), Monotonic.now());
        let process_cpu = host_before.process_cpu.zip(host_after.process_cpu);
        let context = TrialContext {
            started_unix_ms,
            process_cpu: process_cpu.map(|(before, after)| after.since(before)),
            reconnected: std::mem::take(&mut self.reconnected),
            places,
        };
        let merge = TrialMerge { plan: &plan, trial, sent: &sent, ending };
        let (outcome, recorders) = merge.merge_with(tallies, collector, context, &mut self.past);
        if !is_last {
            self.past.keep(nonce, ended, recorders);
        }
        Ok(Measurement { outcome, host_before, host_after, nonce })
    }

    /// Lays a trial out on all workers.
    fn prepare(
        &self,
        plan: &TrialPlan,
        ports: Vec<IntervalSink>,
        places: Option<&Arc<Places>>,
        watch: &mut dyn Watch,
    ) -> Result<(), EngineError> {
        for (worker, port) in self.crew.commands.iter().zip(ports) {
            // As in `tell`.
            let _ = worker.send(Command::Prepare(plan.clone(), port, places.cloned()));
        }
        let preparing = |_| {
            let phase = Phase::Preparing { messages: plan.trial.messages };
            watch.progress(&Progress { phase, done: 0, total: 0 });
            None
        };
        self.crew.await_all(preparing, |report| matches!(report, Report::Ready).then_some(()))?;
        Ok(())
    }

    /// Ends a trial that is laid out and has not begun: nothing of it leaves.
    fn called_off(&self) -> Result<Measurement, EngineError> {
        self.crew.board.direct(Directive::End);
        self.crew.tell(|| Command::Go(Monotonic.now()));
        self.crew.await_all(|_| None, |report| matches!(report, Report::Done(_)).then_some(()))?;
        Err(EngineError::Interrupted)
    }

    fn running(
        &self,
        course: &Course<'_>,
        collector: &mut Collector,
        host_before: &mut HostCounters,
        watch: &mut dyn Watch,
    ) -> Result<(Vec<Tally>, Ending), EngineError> {
        let (crew, &Course { trial, last_due, is_last, reached }) = (&self.crew, course);
        let messages = trial.messages;
        let total = self.attendance.connecting.there(&crew.plan.audience).expected(messages);
        let mut warming = trial.warmup > Nanos::ZERO;
        let mut drain = DrainWatch::new(crew.plan.timeouts.drain, Monotonic.now())
            .not_before(last_due)
            .last(is_last);
        let mut ending = None;
        let look = |now: Nanos| {
            let progress = crew.board.progress();
            let phase = Phase::Running { messages };
            watch.progress(&Progress { phase, done: progress.delivered, total });
            let (intervals, so_far, counted) = collector.collect();
            for interval in intervals {
                let (lost, spun) = (crew.board.lost(), crew.board.spun());
                watch.interval(&Snapshot { interval, so_far, counted, reached, lost, spun });
            }
            if warming && now >= collector.measured_from() {
                // What happened to the host in the warm-up says nothing of what is measured.
                warming = false;
                *host_before = HostCounters::read();
            }
            if crew.stop.requested() {
                drain.interrupt(now);
            }
            ending = ending.or_else(|| drain.look(progress, now));
            match (ending, crew.stop.requested()) {
                (Some(_), _) => Some(Directive::End),
                (None, true) => Some(Directive::StopSending),
                (None, false) => None,
            }
        };
        let tallies = crew.await_all(look, |report| match report {
            Report::Done(tally) => Some(*tally),
            _ => None,
        })?;
        Ok((tallies, ending.unwrap_or(Ending::Interrupted)))
    }
}
