//! The experiment: which trials run, one after the other, and what comes of all of them.
//!
//! Belongs here: the order of trials ([`table`]), the run against a null cluster that they are held
//! against ([`calibration`]), and what of it is reported. Does not: running one (`engine`), what it is
//! worth (`verdict`), how any of it is written (`report`).

pub mod calibration;
pub mod table;

use crate::engine;
use crate::load::trial::Trial;
use crate::measure::connecting::Connecting;
use crate::verdict::Judged;

pub use self::table::Experiment;

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
    /// A trial is over. Copies of it that come later are credited to it in the [`Outcome`].
    fn trial(&mut self, trial: &Judged);
}
