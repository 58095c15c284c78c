//! What a phase is to the worker's loop.
//!
//! Belongs here: the questions that the loop asks a phase. Does not: the phases (`connect`, `probe`, `trial`,
//! `between`).

use std::ops::Range;

use crate::engine::ring::{SendBuf, Slot};
use crate::units::Nanos;
use crate::wire::decoder::{LeftOut, Message};
use crate::wire::frame::Violation;

/// What a phase wants of the turn.
pub(super) trait Script {
    /// A whole application message came to a socket.
    ///
    /// # Errors
    /// It is text and not UTF-8.
    fn on_message(&mut self, slot: Slot, message: Message<'_>, at: Nanos) -> Result<(), Violation>;
    /// More of a socket's stream came, where messages do not end with frames: what is to be read of `window`
    /// begins at `from`. Says up to where it was read: what follows is seen again together with more.
    fn on_stream(&mut self, slot: Slot, window: &[u8], from: usize, at: Nanos) -> usize;
    /// The same of a message that the worker answers by itself, or that is a goodbye: where it is no copy it is no
    /// stranger's message, either.
    ///
    /// # Errors
    /// It is text and not UTF-8.
    fn on_protocol(
        &mut self,
        slot: Slot,
        message: Message<'_>,
        at: Nanos,
    ) -> Result<(), Violation> {
        self.on_message(slot, message, at)
    }
    /// The same of a stretch of a stream that holds such a message, or the beginning of one.
    fn on_protocol_stream(&mut self, slot: Slot, window: &[u8], from: usize, at: Nanos) -> usize {
        self.on_stream(slot, window, from, at)
    }
    /// Takes whole messages off the front of `bytes`, each in one frame, that it knows by their bytes:
    /// how many, and how many bytes they are.
    #[inline(always)]
    fn hear_frames(&mut self, slot: Slot, bytes: &[u8], at: Nanos) -> (u64, usize) {
        let _ = (slot, bytes, at);
        (0, 0)
    }
    /// Whether it may understand a long message without bytes that repeat others.
    fn hears_abridged(&self) -> bool {
        false
    }
    /// A whole message without some bytes. False if it must be heard as it came: [`Self::on_message`] follows.
    fn on_abridged(&mut self, slot: Slot, message: Message<'_>, gap: LeftOut, at: Nanos) -> bool {
        let _ = (slot, message, gap, at);
        false
    }
    /// In a stream a frame with this payload was heard with nothing open before it and nothing behind, and it
    /// holds nothing of the protocol: frames like it may be taken by [`Self::hear_frames`].
    #[inline]
    fn note_frame(&mut self, payload: &[u8], is_binary: bool) {
        let _ = (payload, is_binary);
    }
    /// The next bytes for an open socket with nothing in flight.
    fn next_send(&mut self, slot: Slot, now: Nanos) -> Option<(SendBuf, Range<usize>)>;
    /// Whole frames that are to leave before our Close frame, since the connection ends now.
    fn last_words(&mut self, slot: Slot) -> Option<Vec<u8>> {
        let _ = slot;
        None
    }
    /// All of them were taken by the kernel.
    fn on_sent(&mut self, slot: Slot, buf: SendBuf, now: Nanos);
    /// A socket is gone, while the kernel had taken so many bytes of its send of messages, and not all.
    fn lost(&mut self, slot: Slot, taken_bytes: usize);
}
