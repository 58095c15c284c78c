//! The search for the rate that a cluster holds, over one set of connections.
//!
//! Belongs here: trying rates one after the other, whether the cluster has recovered in between, when the search ends.
//! Does not: which rate is next (`controller`), what trials say together (`bounds`), what makes one of them good or
//! bad (`attempt`).

pub mod attempt;
pub mod bounds;
mod controller;
pub mod search_plan;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use self::attempt::{Attempt, Role, finding};
use self::bounds::{Bounds, Finding, Goal, Tries};
use self::controller::Controller;
use self::search_plan::SearchPlan;
use super::session::{Bench, Session};
use super::{Experiment, Outcome, Watch};
use crate::engine::{EngineError, Fleet};
use crate::host::clock::{Clock, Monotonic};
use crate::load::trial::{Names, Trial};
use crate::measure;
use crate::measure::outcome::Class;
use crate::measure::percentile::Percentile;
use crate::units::{Nanos, Rate};
use crate::verdict::Judged;

/// How often the cluster is looked at before it is said not to recover, each look twice as long as the one before.
const LOOKS_MAX: u32 = 5;

/// A recovered cluster is at most this much slower than it was at first.
const SLOWER_MAX: u64 = 2;

/// What is so small a part of the bound is no sign of a queue.
const PART_OF_BOUND: u64 = 10;

/// Why a search ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The bounds are close enough, or at an end of the range.
    Found,
    /// It took too long.
    Timeout,
    /// The cluster did not become as fast as it was.
    NotRecovered,
    /// A trial failed, or the end was asked for.
    Failed(String),
}

/// What came of a search.
#[derive(Clone, Debug, PartialEq)]
pub struct Searched {
    /// All trials, in order: as many as in the [`Outcome`].
    pub attempts: Vec<Attempt>,
    /// What they say together, and by which goal that is judged.
    pub tries: Tries,
    /// See [`SearchPlan::goal`].
    pub goal: Goal,
    /// How it ended.
    pub ending: Ending,
    /// How long it took.
    pub elapsed: Nanos,
}

impl Searched {
    /// The bounds that it found.
    pub fn bounds(&self) -> Bounds {
        self.tries.bounds(&self.goal)
    }
}

/// A search that is to be made.
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// Where trials run.
    pub experiment: Experiment<'a>,
    /// What is asked.
    pub plan: &'a SearchPlan,
}

impl Search<'_> {
    /// Connects, tries rates until the bounds are close enough, closes.
    ///
    /// # Errors
    /// See [`EngineError`]: where nothing was measured.
    pub fn run(&self, watch: &mut dyn Watch) -> Result<(Outcome, Searched), EngineError> {
        let Experiment { plan, stop, .. } = self.experiment;
        let mut fleet = Fleet::connect(Arc::new(plan.clone()), stop, watch)?;
        let ended = self.run_on(&mut fleet, watch);
        fleet.close();
        ended
    }

    fn run_on(
        &self,
        bench: &mut dyn Bench,
        watch: &mut dyn Watch,
    ) -> Result<(Outcome, Searched), EngineError> {
        let mut course = Course::new(self, bench, watch);
        let ending = match course.to_its_end() {
            Err(Interruption::Engine(error)) => return Err(error),
            Err(Interruption::Ended(ending)) => ending,
            Ok(()) => Ending::Found,
        };
        Ok(course.ended(ending))
    }
}

/// Why no further trial is run.
enum Interruption {
    Engine(EngineError),
    Ended(Ending),
}

impl From<EngineError> for Interruption {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

/// A search under way.
struct Course<'a> {
    search: &'a Search<'a>,
    session: Session<'a>,
    watch: &'a mut dyn Watch,
    controller: Controller,
    copies_each: u64,
    began: Nanos,
    names: Names,
    attempts: Vec<Attempt>,
    tries: Tries,
    /// The cluster at the least rate, before anything else was asked of it.
    usual: Seen,
}

impl<'a> Course<'a> {
    fn new(search: &'a Search<'a>, bench: &'a mut dyn Bench, watch: &'a mut dyn Watch) -> Self {
        let SearchPlan { range, goal, lasting, .. } = *search.plan;
        Self {
            search,
            session: Session::new(search.experiment, bench),
            watch,
            controller: Controller::new(range, goal, lasting),
            copies_each: search.experiment.plan.audience.expected(1),
            began: Monotonic.now(),
            names: Names::default(),
            attempts: Vec::new(),
            tries: Tries::default(),
            usual: Seen::default(),
        }
    }

    fn to_its_end(&mut self) -> Result<(), Interruption> {
        self.usual = self.look(0, false)?;
        while let Some(rate) = self.controller.next(&self.tries) {
            let (trial, lasting) = self.search.plan.trial(rate, self.copies_each);
            let elapsed = Monotonic.now().since(self.began);
            if elapsed.plus(lasting) > self.search.plan.timeout {
                return Err(Interruption::Ended(Ending::Timeout));
            }
            let finding = self.measure(rate, trial, lasting)?;
            if finding != Finding::Good {
                self.recovered()?;
            }
        }
        // Somebody listens until the end: what comes late is seen, and whether the cluster is well.
        self.look(0, true).map(|_| ())
    }

    /// A trial at a rate.
    fn measure(
        &mut self,
        rate: Rate,
        trial: Trial,
        lasting: Nanos,
    ) -> Result<Finding, Interruption> {
        self.trial(Role::Measured, rate, trial, false)?;
        let found = self.attempts.last().and_then(|attempt| attempt.finding);
        let found = found.expect("a trial that was measured and not interrupted has a finding");
        self.tries.add(rate, lasting, found);
        Ok(found)
    }

    /// Waits until the cluster is as fast as it was: a queue of the last trial is no matter of the next.
    fn recovered(&mut self) -> Result<(), Interruption> {
        for doublings in 0..LOOKS_MAX {
            let seen = self.look(doublings, false)?;
            let is_fast = |p50| self.allowed().is_none_or(|allowed| p50 <= allowed);
            // One that never delivers all is not waited for.
            let is_whole = seen.is_whole || !self.usual.is_whole;
            if is_whole && seen.p50.is_some_and(is_fast) {
                return Ok(());
            }
        }
        Err(Interruption::Ended(Ending::NotRecovered))
    }

    fn allowed(&self) -> Option<Nanos> {
        let usual = self.usual.p50.map(|usual| Nanos(usual.0.saturating_mul(SLOWER_MAX)));
        let part = self.search.plan.tightest().map(|bound| Nanos(bound.0 / PART_OF_BOUND));
        usual.max(part)
    }

    /// The cluster at the least rate.
    fn look(&mut self, doublings: u32, is_last: bool) -> Result<Seen, Interruption> {
        let (rate, trial) = self.search.plan.recovery(doublings, self.copies_each);
        self.trial(Role::Recovery, rate, trial, is_last)?;
        let seen = self.session.last().expect("a trial was measured");
        let response = seen.latency_ns.iter().find(|(class, _)| *class == Class::Response);
        let p50 = response.and_then(|(_, ns)| Percentile::P50.of(ns));
        Ok(Seen { p50, is_whole: seen.complete() })
    }

    /// Runs it, and writes down what it showed.
    fn trial(
        &mut self,
        role: Role,
        rate: Rate,
        trial: Trial,
        is_last: bool,
    ) -> Result<(), Interruption> {
        let failed = |reason| Err(Interruption::Ended(Ending::Failed(reason)));
        if let Some(reason) = self.session.reason_to_end() {
            return failed(reason);
        }
        let trial = self.names.distinct(trial);
        self.watch.chosen(&trial);
        let interrupted = |judged: &Judged| judged.ending == measure::outcome::Ending::Interrupted;
        let judged = match self.session.trial(&trial, is_last, self.watch)? {
            Ok(judged) => judged,
            Err(reason) => return failed(reason),
        };
        // What was cut short shows nothing.
        let is_whole = !interrupted(judged);
        let told = is_whole && role == Role::Measured;
        let told =
            told.then(|| finding(judged, &self.search.plan.objectives, rate, self.copies_each));
        let (finding, reasons) = told.map_or((None, Vec::new()), |(found, why)| (Some(found), why));
        let attempt = Attempt { trial, role, rate, finding, reasons };
        self.watch.attempt(judged, &attempt);
        self.attempts.push(attempt);
        if is_whole { Ok(()) } else { failed("interrupted".to_owned()) }
    }

    fn ended(self, ending: Ending) -> (Outcome, Searched) {
        let elapsed = Monotonic.now().since(self.began);
        let (attempts, tries) = (self.attempts, self.tries);
        let goal = self.search.plan.goal;
        let searched = Searched { attempts, tries, goal, ending, elapsed };
        (self.session.ended(Vec::new()), searched)
    }
}

/// What the least rate showed of the cluster.
#[derive(Clone, Copy, Default)]
struct Seen {
    p50: Option<Nanos>,
    is_whole: bool,
}
