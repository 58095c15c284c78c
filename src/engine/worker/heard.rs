//! What sockets heard before the clock that was no copy: a greeting, or why nothing else comes.
//!
//! Belongs here: counting it and keeping the beginning of it, within bounds. Does not: when it is told (`engine`).

use crate::engine::ring::Slot;
use crate::wire::excerpt::excerpt;

/// Sockets of which it is kept.
const SOCKETS_MAX: usize = 64;

/// Messages that were no copies, by socket.
#[derive(Debug, Default)]
pub(super) struct Heard {
    first: Vec<(Slot, String)>,
    counts: Vec<u32>,
}

impl Heard {
    /// Only the first message of a socket is kept: it says what the node takes us for.
    pub(super) fn note(&mut self, slot: Slot, message: &[u8]) {
        let place = slot as usize;
        if self.counts.len() <= place {
            self.counts.resize(place + 1, 0);
        }
        self.counts[place] = self.counts[place].saturating_add(1);
        if self.counts[place] == 1 && self.first.len() < SOCKETS_MAX {
            self.first.push((slot, excerpt(message)));
        }
    }

    /// The first message that came to a socket, as it may be shown.
    pub(super) fn of(&self, slot: Slot) -> Option<&str> {
        self.first.iter().find(|(owner, _)| *owner == slot).map(|(_, said)| said.as_str())
    }

    /// How many came to a socket.
    pub(super) fn count(&self, slot: Slot) -> u64 {
        self.counts.get(slot as usize).copied().unwrap_or_default().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_message_of_a_socket_is_kept_and_a_flood_takes_no_memory() {
        let mut heard = Heard::default();
        for slot in 0..10_000 {
            heard.note(slot, format!("hello {slot}").as_bytes());
            heard.note(slot, b"later");
        }
        assert_eq!((heard.of(3), heard.first.len()), (Some("`hello 3`"), SOCKETS_MAX));
        assert_eq!((heard.of(9_999), heard.count(9_999)), (None, 2));
        assert_eq!(heard.count(10_000), 0);
    }
}
