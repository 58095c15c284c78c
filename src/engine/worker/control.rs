//! What a worker tells at every turn, and what it is told.
//!
//! Belongs here: the words between a worker and whoever leads it. Does not: who that is (`progress_board` for
//! the fleet, a test for itself).

pub use crate::engine::drain::TrialProgress;
use crate::units::Nanos;

/// What a worker is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directive {
    /// Go on.
    Continue,
    /// Send nothing more, but listen.
    StopSending,
    /// The phase is over.
    End,
}

/// Who is told of progress at every turn, and answers what to do.
pub trait Control {
    /// One turn is done.
    fn turn(&mut self, progress: TrialProgress, now: Nanos) -> Directive;
    /// A socket to this node was lost while a trial ran.
    fn lost(&mut self, _node: u32) {}
}
