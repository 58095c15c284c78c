//! Listening for copies whose trial is over.
//!
//! Belongs here: what a worker knows of the trials before, and writing down what comes of them. Does not:
//! the turns between two trials (`between`), to which account such a copy goes (`measure::late`).

use crate::dialect::{Dialect, MessageKind, Recognized, Scanner, TextShape};
use crate::engine::ring::Slot;
use crate::measure::late::{LateCopy, LateLog, Said};
use crate::units::Nanos;
use crate::wire::decoder::Message;
use crate::wire::frame::Violation;

/// What is known of the trials before, and what came of them since a trial took the log.
#[derive(Debug, Default)]
pub(super) struct Hark {
    /// The text of all trials, and the nonce of the probe, which theirs follow.
    probe: Option<(TextShape, u32)>,
    /// Reads what comes between two trials.
    scanner: Option<Scanner>,
    /// Whether copies come in text and in binary messages.
    hears: [bool; 2],
    log: LateLog,
    /// Copies that earlier trials missed on this worker.
    missing: u64,
}

impl Hark {
    /// The reader for a trial that tells its copies from those of all before it.
    pub(super) fn scanner(&self, dialect: &Dialect, text: &TextShape, run: u32) -> Scanner {
        let scanner = Scanner::new(dialect, text, run);
        match self.probe {
            Some((_, first)) => scanner.after(first),
            None => scanner,
        }
    }

    /// A trial begins, and goes on with the log.
    pub(super) fn take_log(&mut self) -> LateLog {
        std::mem::replace(&mut self.log, LateLog::with_room(self.missing))
    }

    /// A probe is over. What is listened for follows the first of them.
    pub(super) fn probed(&mut self, dialect: &Dialect, text: &TextShape, run: u32) {
        if self.is_listening() {
            return;
        }
        self.probe = Some((text.clone(), run));
        self.hears = [MessageKind::Text, MessageKind::Binary].map(|kind| dialect.hears(kind));
        self.log = LateLog::with_room(0);
        self.listen(dialect, run, 0);
    }

    /// Something is over that may have copies that come late.
    pub(super) const fn is_listening(&self) -> bool {
        self.scanner.is_some()
    }

    /// What was marked `run` is over, and missed so many copies.
    pub(super) fn listen(&mut self, dialect: &Dialect, run: u32, missing: u64) {
        let Some((text, _)) = &self.probe else { return };
        self.scanner = Some(self.scanner(dialect, text, run.wrapping_add(1)));
        self.missing = self.missing.saturating_add(missing);
    }

    /// A message that came between two trials.
    ///
    /// # Errors
    /// It is text and not UTF-8.
    pub(super) fn note(
        &mut self,
        slot: Slot,
        message: Message<'_>,
        at: Nanos,
    ) -> Result<(), Violation> {
        let bytes = message.checked()?;
        let Self { scanner: Some(scanner), hears, log, .. } = self else { return Ok(()) };
        if !hears[usize::from(message.is_binary())] {
            return Ok(());
        }
        scanner.scan(bytes, &mut |sighting| write_down(log, slot, sighting, at));
        Ok(())
    }

    /// More of a stream came between two trials. Up to where it was read.
    pub(super) fn note_stream(
        &mut self,
        slot: Slot,
        window: &[u8],
        from: usize,
        at: Nanos,
    ) -> usize {
        let Self { scanner: Some(scanner), log, .. } = self else { return window.len() };
        scanner.stream(window, from, &mut |sighting| write_down(log, slot, sighting, at))
    }
}

fn write_down(log: &mut LateLog, slot: Slot, sighting: Recognized, at: Nanos) {
    let said = match sighting {
        Recognized::Earlier { run, sender, sequence, id } => {
            Said::Text { run, sender, sequence, id }
        }
        Recognized::Id(id) => Said::Id(id),
        Recognized::Copy { .. } | Recognized::Corrupt | Recognized::Foreign => return,
    };
    log.note(LateCopy { local: slot, said, at });
}
