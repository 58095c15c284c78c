//! A far end that does not speak WebSocket on the bare wire.
//!
//! Belongs here: what a test's transport does at the other end. Does not: the transport (a test has it).

use std::collections::VecDeque;

/// The other end of a client's transport.
pub trait FarTransport {
    /// Bytes came from the wire: the plaintext that they complete.
    fn open(&mut self, wire: &[u8]) -> Vec<u8>;
    /// What goes onto the wire: whatever the transport itself has to say, then this plaintext.
    fn seal(&mut self, plain: &[u8]) -> Vec<u8>;
}

/// One link's far transport, and sealed bytes on their way to us.
#[derive(Default)]
pub(super) struct FarWire {
    pub(super) transport: Option<Box<dyn FarTransport>>,
    sealed: VecDeque<u8>,
}

impl FarWire {
    pub(super) fn new(transport: Option<fn() -> Box<dyn FarTransport>>) -> Self {
        Self { transport: transport.map(|make| make()), sealed: VecDeque::new() }
    }

    /// What a client has sent, as the far end reads it.
    pub(super) fn open(&mut self, wire: &[u8], far: &mut Vec<u8>) {
        match &mut self.transport {
            Some(transport) => far.extend(transport.open(wire)),
            None => far.extend_from_slice(wire),
        }
    }

    /// What is on its way to the client, of what the far end has said.
    pub(super) fn seal<'q>(&'q mut self, said: &'q mut VecDeque<u8>) -> &'q mut VecDeque<u8> {
        let Some(transport) = &mut self.transport else { return said };
        let plain: Vec<u8> = said.drain(..).collect();
        self.sealed.extend(transport.seal(&plain));
        &mut self.sealed
    }

    pub(super) fn clear(&mut self) {
        self.sealed.clear();
    }
}
