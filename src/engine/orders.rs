//! What coordinator and workers say to each other between the phases.
//!
//! Belongs here: the words. Does not: who says what when (`fleet`), what is told while a phase runs (`progress_board`).

use std::io;
use std::sync::Arc;

use super::worker::{HeardInstead, Reconnected, TrialPlan};
use crate::dialect::text::TextShape;
use crate::measure::connecting::{ConnectRecord, Failure};
use crate::measure::interval::IntervalSink;
use crate::measure::reached::Places;
use crate::measure::tally::Tally;
use crate::population::sockets::SocketId;
use crate::units::Nanos;

/// What a worker is told.
pub(super) enum Command {
    Connect,
    Probe {
        text: TextShape,
        run: u32,
    },
    Reconnect,
    /// Where a header names who took the sockets, with these places.
    Prepare(TrialPlan, IntervalSink, Option<Arc<Places>>),
    Go(Nanos),
    Goodbye,
}

/// What came of a worker's probes.
pub(super) struct Probed {
    pub(super) unseen: Vec<SocketId>,
    /// What they heard instead.
    pub(super) heard: Vec<HeardInstead>,
    /// A push socket heard its own, where it should not.
    pub(super) hears_itself: bool,
    pub(super) failures: Vec<Failure>,
}

/// What a worker answers.
pub(super) enum Report {
    Built,
    Connected(Vec<Failure>, Box<ConnectRecord>),
    Probed(Box<Probed>),
    Reconnected(Box<Reconnected>),
    Ready,
    /// It has all that it can expect: an answer follows when it is told to end.
    Complete,
    Done(Box<Tally>),
    Failed(io::Error),
    Panicked,
}
