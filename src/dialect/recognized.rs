//! What a received message can turn out to say.
//!
//! Belongs here: the words that scanning answers in. Does not: finding them (`dialect::scan`).

use crate::dialect::correlation::CorrelationId;

/// One thing that a message turned out to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Recognized {
    /// A message of this run, text and all.
    Copy {
        /// The push socket.
        sender: u16,
        /// Its number in that socket's stream.
        sequence: u64,
        /// The cluster's own name for it, where the dialect knows one.
        id: Option<CorrelationId>,
    },
    /// A message known by the cluster's name alone.
    Id(CorrelationId),
    /// A message of an earlier run of ours, text and all.
    Earlier {
        /// Its nonce.
        run: u32,
        /// As of a [`Recognized::Copy`].
        sender: u16,
        /// As of a [`Recognized::Copy`].
        sequence: u64,
        /// As of a [`Recognized::Copy`].
        id: Option<CorrelationId>,
    },
    /// A text of this run that was altered on its way.
    Corrupt,
    /// Nothing of this run; at most one for a message, and then the only sighting.
    Foreign,
}
