//! What sockets heard before the clock that was no copy: a greeting, or why nothing else comes.
//!
//! Belongs here: keeping the beginning of it, within bounds. Does not: when it is told (`engine`).

use crate::engine::ring::Slot;
use crate::wire::excerpt::excerpt;

/// Sockets of which it is kept.
const SOCKETS_MAX: usize = 64;

/// Messages that were no copies, by socket.
#[derive(Debug, Default)]
pub(super) struct Heard(Vec<(Slot, String)>);

impl Heard {
    /// Only the first message of a socket is kept: it says what the node takes us for.
    pub(super) fn note(&mut self, slot: Slot, message: &[u8]) {
        if self.0.len() < SOCKETS_MAX && self.of(slot).is_none() {
            self.0.push((slot, excerpt(message)));
        }
    }

    /// The first message that came to a socket, as it may be shown.
    pub(super) fn of(&self, slot: Slot) -> Option<&str> {
        self.0.iter().find(|(owner, _)| *owner == slot).map(|(_, said)| said.as_str())
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
        assert_eq!((heard.of(3), heard.0.len()), (Some("`hello 3`"), SOCKETS_MAX));
        assert_eq!(heard.of(9_999), None);
    }
}
