//! What keeps a socket open: answers to what a node asks, and what is said without being asked.
//!
//! Belongs here: both as data. Does not: when a heartbeat is due (`engine::worker::timers`), hearing what is
//! asked (`engine::worker::ear`).

use super::matching::Matching;
use crate::units::Nanos;

/// Whenever a node asks this, it is answered at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The messages that ask.
    pub when: Matching,
    /// The answer.
    pub send: Vec<u8>,
}

/// What is said on each open socket again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// So often, counted from when the socket was ready.
    pub every: Nanos,
    /// The message.
    pub send: Vec<u8>,
}
