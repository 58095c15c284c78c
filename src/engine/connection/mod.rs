//! One connection: from connect to close, and again.
//!
//! Belongs here: everything between the ring and the decoder that is one socket's own. Does not: the ring
//! and the clock (`worker`), the meaning of messages (`dialect`, `measure`). Data flows down this list:
//!
//! - `state`: where a connection is in its life, and what may follow
//! - [`transport`]: what lies between the wire and WebSocket
//! - `upgrade`: the opening handshake of RFC 6455
//! - `cookies`: those that nodes have set
//! - `opening`: how far it is in what its dialect says first
//! - `in_flight`: how much of its send the kernel has taken
//! - `outbox`: control frames that wait for the send in flight
//!
//! A connection owns no memory while it is idle: half frames live in buffers of the worker's pool, the
//! setup's state goes when it is done. What stays is `Connection`, once for each.

pub(super) mod cookies;
pub(super) mod in_flight;
pub(super) mod opening;
pub(super) mod outbox;
pub(super) mod state;
pub mod transport;
pub(super) mod upgrade;

use self::in_flight::InFlightSend;
use self::opening::OpeningProgress;
use self::state::{Event, State};
use self::transport::Transport;
use self::upgrade::Upgrade;
use crate::population::sockets::SocketId;
use crate::units::Nanos;
use crate::wire::decoder::Decoder;

/// What must be remembered of a connection that is not open yet.
#[derive(Debug)]
pub(super) enum Setup {
    /// While the transport shakes hands, since then.
    Handshake(Nanos),
    /// While it is upgraded.
    Upgrade(Upgrade),
    /// While the dialect's opening runs.
    Opening(OpeningProgress),
}

/// One of our sockets.
#[derive(Debug)]
pub(super) struct Connection<T> {
    pub(super) seat: SocketId,
    state: State,
    pub(super) in_flight: InFlightSend,
    pub(super) transport: T,
    pub(super) decoder: Decoder,
    /// What is remembered until it is open.
    pub(super) setup: Option<Box<Setup>>,
    /// When the connect began, which all of the setup is timed from; of an open socket, when bytes last
    /// came or left.
    pub(super) since: Nanos,
    /// Control frames of it wait in the outbox.
    pub(super) owed: bool,
    /// Ports that somebody else held.
    pub(super) ports_tried: u8,
    /// Reads since it was asked to acknowledge late.
    pub(super) reads: u8,
}

impl<T: Transport> Connection<T> {
    pub(super) fn new(seat: SocketId, transport: T, max_message_bytes: usize) -> Self {
        Self {
            seat,
            state: State::Idle,
            in_flight: InFlightSend::NONE,
            transport,
            decoder: Decoder::new(max_message_bytes),
            setup: None,
            since: Nanos::ZERO,
            owed: false,
            ports_tried: 0,
            reads: 0,
        }
    }

    /// Where it is in its life.
    #[inline]
    pub(super) const fn state(&self) -> State {
        self.state
    }

    /// Something happened to it.
    ///
    /// # Panics
    /// It cannot happen in this state.
    pub(super) fn advance(&mut self, event: Event) {
        let socket = self.seat.socket;
        self.state = self.state.after(event).unwrap_or_else(|| {
            panic!("socket {socket} cannot go from {:?} through {event:?}", self.state)
        });
    }

    /// As before the first connect, so that the same socket of the plan can be connected again.
    ///
    /// # Panics
    /// It is not closed.
    pub(super) fn reset(&mut self, transport: T, max_message_bytes: usize) {
        self.advance(Event::Reset);
        *self = Self::new(self.seat, transport, max_message_bytes);
    }

    /// Bytes of the transport wait, and nothing is in flight.
    #[inline]
    pub(super) fn owes_transport(&self) -> bool {
        self.transport.has_outgoing() && self.in_flight.is_none()
    }

    /// The transport has something to say that is not on the wire yet.
    pub(super) fn speaks_for_transport(&self) -> bool {
        self.transport.has_outgoing() || self.in_flight.is_transports()
    }

    /// Bytes have left, or come.
    pub(super) fn moved(&mut self, now: Nanos) {
        if self.state.is_open() {
            self.since = now;
        }
    }
}

/// Why a socket ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Loss {
    /// One clause for the report.
    pub(super) reason: String,
    /// Close code that the node sent.
    pub(super) close_code: Option<u16>,
    /// Close code that we sent.
    pub(super) our_close_code: Option<u16>,
}

impl Loss {
    pub(super) fn plain(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), close_code: None, our_close_code: None }
    }
}
