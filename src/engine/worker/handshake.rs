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
use crate::population::socket_text::Asker;
use crate::population::sockets::SocketId;
use crate::units::Nanos;
use crate::wire::excerpt::excerpt;

impl<R: Ring, C: Clock, T: Transport> Worker<'_, R, C, T> {
    /// Takes a read of a socket that is not open yet.
    pub(super) fn read_setup<S: Script>(
        &mut self,
        script: &mut S,
        slot: Slot,
        (filled, len): (Filled, usize),
        now: Nanos,
    ) {
        let connection = &mut self.connections[slot as usize];
        // Before the clock, and short: a copy lets go of ring and transport.
        let wire = self.ring.received(filled, len);
        let mut plain = connection.transport.open(wire, &mut self.shared).to_vec();
        loop {
            match self.connections[slot as usize].state() {
                State::Upgrading => self.hear_upgrade(script, slot, &plain, now),
                State::Opening => self.hear_opening(script, slot, &plain, now),
                State::Open => self.hear_open(script, slot, &plain, now),
                State::Idle | State::Closing | State::Closed => break,
                State::Connecting | State::TransportHandshake => {
                    self.hear_handshake(script, slot, &plain, now);
                }
            }
            let transport = &mut self.connections[slot as usize].transport;
            let Some(more) = transport.more(&mut self.shared) else { break };
            plain = more.to_vec();
        }
        let connection = &self.connections[slot as usize];
        if connection.state().is_under_way() {
            self.end_setup(script, slot, now);
        }
    }

    /// Gives a socket up whose transport ended before it was open. A node that wants a certificate says so
    /// when the handshake is over for us: it is about the handshake all the same.
    fn end_setup<S: Script>(&mut self, script: &mut S, slot: Slot, now: Nanos) {
        let connection = &self.connections[slot as usize];
        let is_refused = connection.transport.over().is_some();
        let is_unanswered =
            is_refused && connection.state() == State::Upgrading && self.refused(slot).is_none();
        self.end_with_transport(script, slot, now);
        if let Some(lost) = self.lost.last_mut().filter(|lost| lost.slot == slot && is_unanswered) {
            lost.state = State::TransportHandshake;
        }
    }

    /// The TCP connection is there: the transport begins.
    pub(super) fn begin_handshake<S: Script>(&mut self, script: &mut S, slot: Slot, now: Nanos) {
        let connection = &mut self.connections[slot as usize];
        let node = &self.plan.nodes[connection.seat.node as usize];
        connection.transport.begin(&mut self.shared, node);
        if connection.transport.is_handshaking() {
            connection.setup = Some(Box::new(Setup::Handshake(now)));
        }
        self.proceed_handshake(slot, now);
        self.end_with_transport(script, slot, now);
    }

    /// Takes what came before the upgrade was asked for: nothing may have.
    fn hear_handshake<S: Script>(&mut self, script: &mut S, slot: Slot, plain: &[u8], now: Nanos) {
        if !plain.is_empty() {
            let reason = format!("sent {} before the upgrade was asked for", excerpt(plain));
            return self.lose(script, slot, Loss::plain(reason), now);
        }
        if self.connections[slot as usize].in_flight.is_none() {
            self.proceed_handshake(slot, now);
        }
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
        if let Some(Setup::Handshake(began)) = connection.setup.as_deref() {
            self.dial.dialled.handshake.record(now.since(*began));
            if let Some(session) = connection.transport.session() {
                self.dial.dialled.sessions.note(connection.seat.node, session);
            }
        }
        connection.advance(Event::Secured);
        let SocketId { socket, node } = connection.seat;
        let asker = Asker { socket, node, uuid: self.voices.uuid_of(socket) };
        let request = self.plan.upgrade.request(
            &self.plan.nodes[node as usize],
            asker,
            self.cookies.of(slot),
        );
        let (upgrade, request) = Upgrade::ask(&request, &mut self.rng, now);
        connection.setup = Some(Box::new(Setup::Upgrade(upgrade)));
        let range = 0..request.len();
        self.launch(slot, (SendBuf::Owned(request), range), Cargo::Control);
    }
}
