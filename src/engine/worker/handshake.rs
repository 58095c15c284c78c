//! From a TCP connection to one that the upgrade may be asked on.
//!
//! Belongs here: the transport's handshake on one socket. Does not: its bytes (`connection::transport`),
//! how long all of the setup may take (`connect`).

use super::{Loss, Script, State, Worker};
use crate::engine::connection::Setup;
use crate::engine::connection::in_flight::Cargo;
use crate::engine::connection::state::Event;
use crate::engine::connection::transport::Transport;
use crate::engine::connection::upgrade::Upgrade;
use crate::engine::ring::{Filled, Ring, SendBuf, Slot};
use crate::host::clock::Clock;
use crate::units::Nanos;
use crate::wire::excerpt::excerpt;

impl<R: Ring, C: Clock, T: Transport> Worker<'_, R, C, T> {
    /// Takes a read that came before the upgrade was asked for.
    pub(super) fn read_handshake<S: Script>(
        &mut self,
        script: &mut S,
        slot: Slot,
        (filled, len): (Filled, usize),
        now: Nanos,
    ) {
        let connection = &mut self.connections[slot as usize];
        let reason = match connection.transport.open(self.ring.received(filled, len)) {
            Ok([]) => {
                if connection.in_flight.is_none() {
                    self.proceed_handshake(slot, now);
                }
                return;
            }
            Ok(plain) => format!("sent {} before the upgrade was asked for", excerpt(plain)),
            Err(error) => error.0,
        };
        self.lose(script, slot, Loss::plain(reason), now);
    }

    /// What follows on a connected socket with nothing in flight: more of the handshake, or the upgrade.
    pub(super) fn proceed_handshake(&mut self, slot: Slot, now: Nanos) {
        if self.send_outgoing(slot) {
            return;
        }
        let connection = &mut self.connections[slot as usize];
        if connection.state() != State::TransportHandshake || connection.transport.is_handshaking()
        {
            return;
        }
        connection.advance(Event::Secured);
        let node = &self.plan.nodes[connection.seat.node as usize];
        let (upgrade, request) = Upgrade::ask((&node.host, &node.target), &mut self.rng, now);
        connection.setup = Some(Box::new(Setup::Upgrade(upgrade)));
        let range = 0..request.len();
        self.launch(slot, (SendBuf::Owned(request), range), Cargo::Control);
    }
}
