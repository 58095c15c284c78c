//! What is handed to every worker before a trial.
//!
//! Belongs here: its parts. Does not: what a worker makes of them (`trial`).

use std::sync::Arc;

use crate::dialect::TextShape;
use crate::load::schedule::Schedule;
use crate::load::trial::Trial;
use crate::measure::sent::SentTimes;

/// What all workers need to know of a trial.
#[derive(Clone, Debug)]
pub struct TrialPlan {
    /// What is to be sent when.
    pub trial: Trial,
    /// The nonce in its tags.
    pub run: u32,
    /// The text around them.
    pub text: TextShape,
    /// Number of messages of each push socket.
    pub counts: Arc<[u32]>,
    /// Lay out all frames; else a window that is patched.
    pub lay_all: bool,
    /// Where sent times go.
    pub sent: Arc<SentTimes>,
    /// When each message is due, in open loop.
    pub schedule: Option<Arc<Schedule>>,
}
