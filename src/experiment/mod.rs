//! The experiment: which trials run, one after the other, and what comes of all of them.
//!
//! Belongs here: the order of trials (`table`, [`search`]), the run against a null cluster that they are held
//! against ([`calibration`]), and what of it is reported. Does not: running one (`engine`), what it is
//! worth (`verdict`), how any of it is written (`report`).

pub mod calibration;
pub mod search;
mod session;
mod table;

use self::search::attempt::Attempt;
use crate::engine::{self, Stop};
use crate::load::trial::Trial;
use crate::measure::connecting::Connecting;
use crate::plan::Plan;
use crate::verdict::baseline::Baseline;
use crate::verdict::{Judged, Surroundings};

/// What is run, and what its trials are judged by.
#[derive(Clone, Copy, Debug)]
pub struct Experiment<'a> {
    /// The trials, and all that they share.
    pub plan: &'a Plan,
    /// Where it takes place.
    pub surroundings: &'a Surroundings,
    /// What every trial is held against, if there is something.
    pub baseline: Option<&'a Baseline>,
    /// A request to end early.
    pub stop: &'a Stop,
}

/// A trial that did not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Which.
    pub trial: Trial,
    /// Why.
    pub reason: String,
}

/// All trials of one invocation.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// How the sockets were connected; none where that was not to be told.
    pub connecting: Option<Connecting>,
    /// Trials that ran, in order.
    pub trials: Vec<Judged>,
    /// Trials that did not run, in order.
    pub skipped: Vec<Skipped>,
    /// A signal ended it.
    pub interrupted: bool,
}

/// Who looks on while an experiment runs.
pub trait Watch: engine::Watch {
    /// Before a trial this many sockets were connected again that had been lost.
    fn reconnected(&mut self, _: &Trial, _sockets: u64) {}
    /// This trial is next, which no plan foresaw.
    fn chosen(&mut self, _: &Trial) {}
    /// A trial is over. Copies of it that come later are credited to it in the [`Outcome`].
    fn trial(&mut self, trial: &Judged);
    /// The same of a search, with what the trial shows.
    fn attempt(&mut self, trial: &Judged, _: &Attempt) {
        self.trial(trial);
    }
}
