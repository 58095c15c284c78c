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

use self::attempt::{Attempt, Role};
use self::bounds::{Bounds, Finding, Tries};
use self::controller::Controller;
use self::search_plan::{LOOKS_MAX, SearchPlan};
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

/// A recovered cluster is at most this much slower than it was at first.
const SLOWER_MAX: u64 = 2;

/// What is so small a part of the bound is no sign of a queue.
const PART_OF_BOUND: u64 = 10;

/// Nor is what a busy host adds to a median by itself.
const FAST: Nanos = Nanos::from_millis(10);

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
    /// What they say together.
    pub tries: Tries,
    /// What was asked.
    pub plan: SearchPlan,
    /// How it ended.
    pub ending: Ending,
    /// How long it took.
    pub elapsed: Nanos,
}

impl Searched {
    /// The bounds that it found.
    pub fn bounds(&self) -> Bounds {
        self.tries.bounds(&self.plan.goal)
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
        let ending = match course.follow() {
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
    /// The median at the least rate, before anything else was asked of the cluster.
    usual: Option<Nanos>,
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
            usual: None,
        }
    }

    fn follow(&mut self) -> Result<(), Interruption> {
        self.usual = self.look(0, false)?;
        while let Some(rate) = self.controller.next(&tries(&self.attempts)) {
            let (trial, lasting) = self.search.plan.trial(rate, self.copies_each, self.number());
            self.trial(Role::Measured, (rate, lasting), trial, false)?;
            if self.attempts.last().is_some_and(|last| last.finding != Some(Finding::Good)) {
                self.recovered()?;
            }
        }
        // Somebody listens until the end: what comes late is seen, and whether the cluster is well.
        self.look(0, true).map(|_| ())
    }

    /// Waits until the cluster is as fast as it was: a queue of the last trial is no matter of the next.
    fn recovered(&mut self) -> Result<(), Interruption> {
        for doublings in 0..LOOKS_MAX {
            let p50 = self.look(doublings, false)?;
            if p50.is_some_and(|p50| p50 <= self.allowed()) {
                return Ok(());
            }
        }
        Err(Interruption::Ended(Ending::NotRecovered))
    }

    fn allowed(&self) -> Nanos {
        let usual = self.usual.map(|usual| Nanos(usual.0.saturating_mul(SLOWER_MAX)));
        let part = self.search.plan.tightest().map(|bound| Nanos(bound.0 / PART_OF_BOUND));
        usual.max(part).unwrap_or(FAST).max(FAST)
    }

    /// The median at the least rate.
    fn look(&mut self, doublings: u32, is_last: bool) -> Result<Option<Nanos>, Interruption> {
        let number = self.number();
        let (trial, lasting) = self.search.plan.recovery(doublings, self.copies_each, number);
        let rate = self.search.plan.range[0];
        self.trial(Role::Recovery, (rate, lasting), trial, is_last)?;
        let seen = self.session.measured().last().expect("a trial was measured");
        let response = seen.latency_ns.iter().find(|(class, _)| *class == Class::Response);
        Ok(response.and_then(|(_, ns)| Percentile::P50.of(ns)))
    }

    fn number(&self) -> u64 {
        self.attempts.len() as u64
    }

    /// Runs it, and writes down what it showed.
    fn trial(
        &mut self,
        role: Role,
        (rate, lasting): (Rate, Nanos),
        trial: Trial,
        is_last: bool,
    ) -> Result<(), Interruption> {
        let failed = |reason| Err(Interruption::Ended(Ending::Failed(reason)));
        if let Some(reason) = self.session.reason_to_end() {
            return failed(reason);
        }
        let until = Monotonic.now().since(self.began).plus(trial.warmup).plus(lasting);
        if until > self.search.plan.timeout && !is_last {
            return Err(Interruption::Ended(Ending::Timeout));
        }
        let trial = self.names.distinct(trial);
        self.watch.chosen(&trial);
        let judged = match self.session.trial(&trial, is_last, self.watch)? {
            Ok(judged) => judged,
            Err(reason) => return failed(reason),
        };
        let (plan, copies_each) = (self.search.plan, self.copies_each);
        let attempt = Attempt { trial, role, rate, lasting, finding: None, reasons: Vec::new() };
        let attempt = attempt.judged(judged, plan, copies_each);
        self.watch.attempt(judged, &attempt);
        let is_whole = judged.ending != measure::outcome::Ending::Interrupted;
        self.attempts.push(attempt);
        // A socket that was lost behind the trial before this one is that one's.
        self.judge_again();
        if is_whole { Ok(()) } else { failed("interrupted".to_owned()) }
    }

    fn judge_again(&mut self) {
        let (plan, copies_each) = (self.search.plan, self.copies_each);
        again(&mut self.attempts, self.session.measured(), plan, copies_each);
    }

    fn ended(mut self, ending: Ending) -> (Outcome, Searched) {
        let (plan, elapsed) = (self.search.plan, Monotonic.now().since(self.began));
        let outcome = self.session.ended(Vec::new());
        // Late copies are in the accounts only now.
        again(&mut self.attempts, &outcome.trials, plan, self.copies_each);
        let (tries, plan) = (tries(&self.attempts), plan.clone());
        (outcome, Searched { attempts: self.attempts, tries, plan, ending, elapsed })
    }
}

/// What trials show by what is known of them now.
fn again(attempts: &mut [Attempt], trials: &[Judged], plan: &SearchPlan, copies_each: u64) {
    for (attempt, judged) in attempts.iter_mut().zip(trials) {
        *attempt = attempt.clone().judged(judged, plan, copies_each);
    }
}

fn tries(attempts: &[Attempt]) -> Tries {
    let mut tries = Tries::default();
    for attempt in attempts {
        if let Some(finding) = attempt.finding {
            tries.add(attempt.rate, attempt.lasting, finding);
        }
    }
    tries
}
