//! What nodes said before they ended connections.
//!
//! Belongs here: keeping it until the socket is lost. Does not: telling such a message (`ear`), the loss (`losses`).

use std::collections::HashMap;

use crate::engine::ring::Slot;
use crate::wire::excerpt::excerpt;

/// The first goodbye of each socket that has heard one. A node says it once, so that what it takes in memory is a
/// part of the loss that follows.
#[derive(Debug, Default)]
pub(super) struct Goodbyes(HashMap<Slot, String>);

impl Goodbyes {
    /// A node said goodbye with what `message` begins with.
    #[cold]
    pub(super) fn note(&mut self, slot: Slot, message: &[u8]) {
        self.0.entry(slot).or_insert_with(|| excerpt(message));
    }

    /// A socket was connected anew.
    pub(super) fn begin(&mut self, slot: Slot) {
        self.0.remove(&slot);
    }

    /// The reason of a loss, in the node's words where it had some.
    pub(super) fn with(&mut self, slot: Slot, reason: String) -> String {
        match self.0.remove(&slot) {
            Some(said) => format!("the node said goodbye with {said}; {reason}"),
            None => reason,
        }
    }
}
