//! What lies between the wire and WebSocket: nothing, or a cipher.
//!
//! Belongs here: the [`Transport`] trait, bytes in and bytes out, and [`Plain`]. Does not: sockets, clocks,
//! and when a transport is asked (`worker`).
//!
//! A worker is compiled for one transport. Over [`Plain`] a read passes through as the borrowed slice that
//! it was, a send as its buffer, and every question has a constant for its answer. Where a node of a plan
//! wants a cipher it is [`tls::Tls`], which passes through what goes to the others.

pub mod deflated;
pub mod tls;

use std::ops::Range;

use crate::engine::ring::SendBuf;
use crate::measure::sessions::Session;
use crate::population::nodes::Node;
use crate::wire::deflate::{Agreed, DeflateCounts};
use crate::wire::frame::Violation;

/// Why a transport cannot go on: a clause to be read after the node's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportError(pub String);

/// One connection's bytes between the wire and WebSocket.
pub trait Transport: Sized {
    /// What all connections of a worker share: roots of trust, working memory.
    type Shared;

    /// As a person names it in an error.
    const NAME: &'static str;

    /// Of a connection that is not begun.
    fn new(shared: &Self::Shared) -> Self;

    /// Before the first byte of a connection to `node`, whose name a certificate must be for.
    fn begin(&mut self, _: &mut Self::Shared, _: &Node) {}

    /// The upgrade may not be asked for yet.
    fn is_handshaking(&self) -> bool;

    /// Takes bytes from the wire; gives the plaintext that they complete, or the first part of it. What comes
    /// behind an error is dropped, and [`Transport::over`] says why.
    fn open<'b>(&'b mut self, wire: &'b [u8], shared: &'b mut Self::Shared) -> &'b [u8];

    /// The next part of what came with the bytes that were taken last: asked until there is none.
    #[inline(always)]
    fn more<'b>(&'b mut self, _: &'b mut Self::Shared) -> Option<&'b [u8]> {
        None
    }

    /// The upgrade is answered, and frames follow; the answer agrees to compression in this way, or not at all.
    fn upgraded(&mut self, _: Option<Agreed>, _: &mut Self::Shared) {}

    /// Frames for the decoder of plaintext that came behind the upgrade's answer and in one read with it, or their
    /// first part.
    #[inline]
    fn behind_answer<'b>(&'b mut self, plain: &'b [u8], _: &'b mut Self::Shared) -> &'b [u8] {
        plain
    }

    /// What the server did against the rules of an extension, behind all that was given.
    #[inline(always)]
    fn violation(&self) -> Option<Violation> {
        None
    }

    /// What was compressed on all connections so far.
    fn deflated(_: &Self::Shared) -> DeflateCounts {
        DeflateCounts::default()
    }

    /// The connection has ended: what it holds of the memory that all share is free.
    fn release(&mut self, _: &mut Self::Shared) {}

    /// Why no plaintext can come any more: the peer cannot be understood, or is not trusted. All plaintext
    /// before that was given.
    fn over(&self) -> Option<TransportError> {
        None
    }

    /// The peer has said its last word: nothing follows on the wire.
    fn has_ended(&self) -> bool {
        false
    }

    /// What is missing where the wire ends now, as a clause; `None` where nothing is.
    fn cut_off(&self) -> Option<&'static str> {
        None
    }

    /// What both ends have settled on, once the handshake is over.
    fn session(&self) -> Option<Session> {
        None
    }

    /// Bytes of its own wait for the wire (handshake, new keys).
    fn has_outgoing(&self) -> bool;

    /// Takes these bytes. Asked while nothing is in flight.
    fn take_outgoing(&mut self) -> Vec<u8>;

    /// Plaintext that is to be sent, as it goes onto the wire. What it came in is given back by
    /// [`Transport::sent`].
    fn seal(
        &mut self,
        plain: SendBuf,
        part: Range<usize>,
        shared: &mut Self::Shared,
    ) -> (SendBuf, Range<usize>);

    /// How many bytes of the plaintext that was sealed last lie whole in the first `taken` on the wire.
    fn plain_len(&self, taken: usize) -> usize;

    /// All that was sealed last is on the wire, from `wire`: the buffer that its plaintext was in.
    fn sent(&mut self, wire: SendBuf, shared: &mut Self::Shared) -> SendBuf;

    /// Nothing more is sealed: its own last word (TLS has `close_notify`) waits for the wire. Asked with
    /// nothing in flight, and perhaps again, which adds nothing.
    fn close(&mut self);
}

/// No transport: what WebSocket says goes onto the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain;

impl Transport for Plain {
    type Shared = ();

    const NAME: &'static str = "TCP";

    #[inline(always)]
    fn new((): &()) -> Self {
        Self
    }

    #[inline(always)]
    fn is_handshaking(&self) -> bool {
        false
    }

    #[inline(always)]
    fn open<'b>(&'b mut self, wire: &'b [u8], (): &'b mut ()) -> &'b [u8] {
        wire
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
    fn seal(&mut self, plain: SendBuf, part: Range<usize>, (): &mut ()) -> (SendBuf, Range<usize>) {
        (plain, part)
    }

    #[inline(always)]
    fn plain_len(&self, taken: usize) -> usize {
        taken
    }

    #[inline(always)]
    fn sent(&mut self, wire: SendBuf, (): &mut ()) -> SendBuf {
        wire
    }

    #[inline(always)]
    fn close(&mut self) {}
}
