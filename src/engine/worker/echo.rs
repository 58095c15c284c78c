//! Echoing: whatever a node says goes back to it, until it closes.
//!
//! Belongs here: the script of a testee, which servers of conformance suites ask for (`examples/testee.rs`). No run
//! of the program takes this way; all else that it goes through is what every run goes through.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;

use super::{Script, State, TICK, Worker};
use crate::engine::connection::transport::Transport;
use crate::engine::key_rng::KeyRng;
use crate::engine::ring::{Ring, SendBuf, Slot, Wait};
use crate::host::clock::Clock;
use crate::units::Nanos;
use crate::wire::decoder::Message;
use crate::wire::encode;
use crate::wire::frame::{Opcode, Violation};

/// What came of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Echoed {
    /// The last message of the node.
    pub last: Option<Vec<u8>>,
    /// Why the connection ended.
    pub ended: String,
}

struct Echo {
    rng: KeyRng,
    waiting: VecDeque<Vec<u8>>,
    last: Option<Vec<u8>>,
}

impl Script for Echo {
    fn on_message(&mut self, _: Slot, message: Message<'_>, _: Nanos) -> Result<(), Violation> {
        let bytes = message.checked()?;
        let opcode = if message.is_binary() { Opcode::Binary } else { Opcode::Text };
        let (mut frame, mask) = (Vec::new(), self.rng.mask());
        encode::write_frame(&mut frame, opcode, bytes, mask);
        self.waiting.push_back(frame);
        self.last = Some(bytes.to_vec());
        Ok(())
    }

    fn on_stream(&mut self, _: Slot, window: &[u8], _: usize, _: Nanos) -> usize {
        window.len()
    }

    fn next_send(&mut self, _: Slot, _: Nanos) -> Option<(SendBuf, Range<usize>)> {
        let frame = self.waiting.pop_front()?;
        let part = 0..frame.len();
        Some((SendBuf::Owned(frame), part))
    }

    fn last_words(&mut self, _: Slot) -> Option<Vec<u8>> {
        (!self.waiting.is_empty()).then(|| self.waiting.drain(..).flatten().collect())
    }

    fn on_sent(&mut self, _: Slot, _: SendBuf, _: Nanos) {}

    fn lost(&mut self, _: Slot, _: usize) {}
}

impl<R: Ring, C: Clock, T: Transport> Worker<'_, R, C, T> {
    /// Connects its first socket and echoes every message until the connection has ended, or was silent for as long
    /// as a connect may take.
    ///
    /// # Errors
    /// The ring failed, or the socket could not be made.
    pub fn echo(&mut self) -> io::Result<Echoed> {
        const ONLY: Slot = 0;
        let mut script = Echo { rng: self.rng.fork(), waiting: VecDeque::new(), last: None };
        let mut now = self.clock.now();
        self.start(ONLY, now)?;
        while self.connections[ONLY as usize].state() != State::Closed {
            now = self.turn(&mut script, Wait::first(TICK))?;
            self.prompt(&mut script, ONLY, now);
            let silent = now.since(self.connections[ONLY as usize].since);
            if silent > self.plan.timeouts.connect {
                self.shut(ONLY);
            }
        }
        let ended = match self.lost.pop() {
            Some(lost) => lost.loss.reason,
            None => "silence".to_owned(),
        };
        Ok(Echoed { last: script.last, ended })
    }
}
