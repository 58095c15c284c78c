//! What keeps a socket open: answers to what a node asks, and what is said without being asked.
//!
//! Belongs here: both as data. Does not: when a heartbeat is due (`engine::worker::timers`), hearing what is
//! asked (`engine::worker::ear`).

use super::matching::Matching;
use super::pattern::Pattern;
use crate::units::Nanos;

/// Whenever a node asks this, it is answered at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The messages that ask.
    pub when: Matching,
    /// The answer.
    pub send: Saying,
}

/// What is said on each open socket again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// So often, counted from when the socket was ready.
    pub every: Nanos,
    /// The message.
    pub send: Saying,
}

/// A message that is sent while a socket is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saying {
    /// The same for all sockets and at all times.
    Same(Vec<u8>),
    /// With places for what differs.
    Varying(Pattern),
}

impl From<Pattern> for Saying {
    fn from(pattern: Pattern) -> Self {
        pattern.constant().map_or_else(|| Self::Varying(pattern), Self::Same)
    }
}

impl Saying {
    /// Whether these bytes may be it: they are, where it is always the same.
    pub fn may_be(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Same(same) => same == bytes,
            Self::Varying(pattern) => pattern.may_be(bytes),
        }
    }
}

impl From<&[u8]> for Saying {
    fn from(bytes: &[u8]) -> Self {
        Self::Same(bytes.to_vec())
    }
}
