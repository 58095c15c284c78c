//! What a worker tells at every turn, and what it is told.
//!
//! Belongs here: the words between a worker and whoever leads it. Does not: who that is (`progress_board` for
//! the fleet, a test for itself).

use crate::engine::drain::Progress;
use crate::units::Nanos;

/// How far a worker is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerProgress {
    /// Arrivals of any kind.
    pub seen: u64,
    /// Copies delivered.
    pub delivered: u64,
    /// Arrivals that may be copies still awaited, or a stranger's.
    pub doubtful: u64,
    /// Messages that the kernel took.
    pub sent: u64,
    /// All that this worker's living sockets can expect is here, and all is sent.
    pub complete: bool,
    /// A socket was lost.
    pub lost: bool,
    /// The longest latency of a copy; told when all is here.
    pub slowest: Nanos,
    /// The longest latency of what came twice or was an earlier row's.
    pub straggler: Nanos,
}

/// One worker that is all of them.
impl From<WorkerProgress> for Progress {
    fn from(worker: WorkerProgress) -> Self {
        let WorkerProgress { seen, delivered, doubtful, sent, complete, lost, slowest, straggler } =
            worker;
        Self { seen, delivered, doubtful, sent, complete, lost, slowest, straggler }
    }
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
pub trait Control {
    /// One turn is done.
    fn turn(&mut self, progress: WorkerProgress, now: Nanos) -> Directive;
}
