//! What a worker tells at every turn, and what it is told.
//!
//! Belongs here: the words between a worker and whoever leads it. Does not: who that is (`board` for
//! the fleet, a test for itself).

use crate::units::Nanos;

/// How far a worker is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerProgress {
    /// Arrivals of any kind.
    pub seen: u64,
    /// Arrivals that can be copies still awaited: never more than those expected.
    pub copies: u64,
    /// Messages that the kernel took.
    pub sent: u64,
    /// All that this worker's living sockets can expect is here, and all is sent.
    pub complete: bool,
    /// A socket was lost.
    pub lost: bool,
}

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
pub trait Conductor {
    /// One turn is done.
    fn turn(&mut self, progress: WorkerProgress, now: Nanos) -> Directive;
}
