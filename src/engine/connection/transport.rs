//! What lies between the wire and WebSocket: nothing, or a cipher.
//!
//! Belongs here: the [`Transport`] trait, bytes in and bytes out, and [`Plain`]. Does not: sockets, clocks,
//! and when a transport is asked (`worker`).
//!
//! A worker is compiled for one transport. Over [`Plain`] a read passes through as the borrowed slice that
//! it was, a send as its buffer, and every question has a constant for its answer. Where some nodes of a
//! plan want a cipher and some do not, an enum of both implements the trait.

use std::ops::Range;

use crate::engine::ring::SendBuf;
use crate::population::nodes::Node;

/// Why a transport cannot go on: a clause to be read after the node's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportError(pub String);

/// One connection's bytes between the wire and WebSocket.
pub trait Transport: Sized {
    /// What all connections of a worker share (roots of trust, say).
    type Config;

    /// As a person names it in an error.
    const NAME: &'static str;

    /// Before the first byte of a connection to `node`, whose name a certificate must be for.
    fn new(config: &Self::Config, node: &Node) -> Self;

    /// The upgrade may not be asked for yet.
    fn is_handshaking(&self) -> bool;

    /// Takes bytes from the wire; gives the plaintext that they complete.
    ///
    /// # Errors
    /// The peer cannot be understood, or not trusted.
    fn open<'b>(&'b mut self, wire: &'b [u8]) -> Result<&'b [u8], TransportError>;

    /// Bytes of its own wait for the wire (handshake, new keys).
    fn has_outgoing(&self) -> bool;

    /// Takes these bytes. Asked while nothing is in flight.
    fn take_outgoing(&mut self) -> Vec<u8>;

    /// Plaintext that is to be sent, as it goes onto the wire. What it came in is given back by
    /// [`Transport::sent`].
    fn seal(&mut self, plain: SendBuf, part: Range<usize>) -> (SendBuf, Range<usize>);

    /// How many bytes of the plaintext that was sealed last lie whole in the first `taken` on the wire.
    fn plain_len(&self, taken: usize) -> usize;

    /// All that was sealed last is on the wire, from `wire`: the buffer that its plaintext was in.
    fn sent(&mut self, wire: SendBuf) -> SendBuf;

    /// Nothing more is sealed: its own last word (TLS has `close_notify`) waits for the wire. Asked with
    /// nothing in flight, and perhaps again, which adds nothing.
    fn close(&mut self);
}

/// No transport: what WebSocket says goes onto the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain;

impl Transport for Plain {
    type Config = ();

    const NAME: &'static str = "TCP";

    #[inline(always)]
    fn new((): &(), _: &Node) -> Self {
        Self
    }

    #[inline(always)]
    fn is_handshaking(&self) -> bool {
        false
    }

    #[inline(always)]
    fn open<'b>(&'b mut self, wire: &'b [u8]) -> Result<&'b [u8], TransportError> {
        Ok(wire)
    }

    #[inline(always)]
    fn has_outgoing(&self) -> bool {
        false
    }

    #[inline(always)]
    fn take_outgoing(&mut self) -> Vec<u8> {
        Vec::new()
    }

    #[inline(always)]
    fn seal(&mut self, plain: SendBuf, part: Range<usize>) -> (SendBuf, Range<usize>) {
        (plain, part)
    }

    #[inline(always)]
    fn plain_len(&self, taken: usize) -> usize {
        taken
    }

    #[inline(always)]
    fn sent(&mut self, wire: SendBuf) -> SendBuf {
        wire
    }

    #[inline(always)]
    fn close(&mut self) {}
}
