//! Between two phases: nothing to say, and late copies are written down.
//!
//! Belongs here: the script of that time. Does not: what it knows of earlier trials (`late_arrivals`).

use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::heard::Heard;
use super::{SOON, Script, Worker};
use crate::engine::connection::transport::Transport;
use crate::engine::ring::{Ring, SendBuf, Slot, Wait};
use crate::engine::worker::late_arrivals::Hark;
use crate::host::clock::Clock;
use crate::measure::interval::IntervalSink;
use crate::measure::reached::Places;
use crate::units::Nanos;
use crate::wire::decoder::Message;
use crate::wire::frame::Violation;

impl Script for Hark {
    fn on_stream(&mut self, slot: Slot, window: &[u8], from: usize, at: Nanos) -> usize {
        self.note_stream(slot, window, from, at)
    }

    fn on_message(&mut self, slot: Slot, message: Message<'_>, at: Nanos) -> Result<(), Violation> {
        self.note(slot, message, at)
    }

    fn next_send(&mut self, _: Slot, _: Nanos) -> Option<(SendBuf, Range<usize>)> {
        None
    }

    fn on_sent(&mut self, _: Slot, _: SendBuf, _: Nanos) {}

    fn lost(&mut self, _: Slot, _: usize) {}
}

/// Nothing to say, and whatever is heard was not asked for.
#[derive(Default)]
pub(super) struct ListenOnly(Heard);

impl Script for ListenOnly {
    fn on_stream(&mut self, slot: Slot, window: &[u8], from: usize, _: Nanos) -> usize {
        self.0.note(slot, &window[from..]);
        window.len()
    }

    fn on_message(&mut self, slot: Slot, message: Message<'_>, _: Nanos) -> Result<(), Violation> {
        self.0.note(slot, message.checked()?);
        Ok(())
    }
    fn next_send(&mut self, _: Slot, _: Nanos) -> Option<(SendBuf, Range<usize>)> {
        None
    }
    fn on_sent(&mut self, _: Slot, _: SendBuf, _: Nanos) {}
    fn lost(&mut self, _: Slot, _: usize) {}
}

impl<R: Ring, C: Clock, T: Transport> Worker<'_, R, C, T> {
    /// In the next trial, what was recorded leaves through `port` as each interval ends.
    pub fn hand_over_to(&mut self, port: IntervalSink) {
        self.port = Some(port);
    }

    /// The next trial is recorded by these nodes in place of those of the plan.
    pub fn tell_apart(&mut self, places: Option<Arc<Places>>) {
        self.places = places;
    }

    /// Serves Pings and losses while there is nothing to do.
    ///
    /// # Errors
    /// The ring failed.
    pub fn idle(&mut self) -> io::Result<()> {
        self.listen(Wait::first(SOON)).map(drop)
    }

    /// A turn in which nothing is said. What is heard was not asked for: before the probe it may say why
    /// none will come, later it may be late.
    pub(super) fn listen(&mut self, wait: Wait) -> io::Result<Nanos> {
        if self.hark.is_listening() {
            let mut hark = std::mem::take(&mut self.hark);
            let turned = self.turn(&mut hark, wait);
            self.hark = hark;
            return turned;
        }
        let mut script = ListenOnly(std::mem::take(&mut self.heard));
        let turned = self.turn(&mut script, wait);
        self.heard = script.0;
        turned
    }
}
