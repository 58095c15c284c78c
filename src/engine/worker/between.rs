//! Between two phases: nothing to say, and late copies are written down.
//!
//! Belongs here: the script of that time. Does not: what it knows of earlier trials (`hark`).

use std::io;
use std::ops::Range;

use super::hark::Hark;
use super::{SOON, Script, Worker};
use crate::engine::ring::{Ring, SendBuf, Slot, Wait};
use crate::host::clock::Clock;
use crate::units::Nanos;
use crate::wire::decoder::Message;
use crate::wire::frame::Violation;

impl Script for Hark {
    fn hear(&mut self, slot: Slot, message: Message<'_>, at: Nanos) -> Result<(), Violation> {
        self.note(slot, message, at)
    }

    fn speak(&mut self, _: Slot, _: Nanos) -> Option<(SendBuf, Range<usize>)> {
        None
    }

    fn spoken(&mut self, _: Slot, _: SendBuf, _: Nanos) {}

    fn lost(&mut self, _: Slot) {}
}

impl<R: Ring, C: Clock> Worker<'_, R, C> {
    /// Serves Pings and losses while there is nothing to do.
    ///
    /// # Errors
    /// The ring failed.
    pub fn idle(&mut self) -> io::Result<()> {
        let mut hark = std::mem::take(&mut self.hark);
        let turned = self.turn(&mut hark, Wait::first(SOON));
        self.hark = hark;
        turned.map(drop)
    }
}
