//! permessage-deflate between a transport and WebSocket's frames.
//!
//! Belongs here: when bytes are frames, and what was sent of which message. Does not: compression itself and its rules
//! (`wire::deflate`).
//!
//! A plan without `--deflate` has no worker over it. Reads become frames without compression before the decoder sees
//! them, in memory that all connections of a worker share, so that all behind it is as without compression. A read that
//! becomes very much is handed on in parts.

use std::ops::Range;

use super::{Transport, TransportError};
use crate::engine::ring::SendBuf;
use crate::measure::sessions::Session;
use crate::population::nodes::Node;
use crate::wire::deflate::pack::{Packer, Packers};
use crate::wire::deflate::unpack::{Inflater, Unpacker};
use crate::wire::deflate::{Agreed, DeflateCounts, DeflateOffer};
use crate::wire::frame::Violation;

/// Sockets for which buffers of sends are there from the beginning.
const READY_BUFFERS: usize = 64;
/// A burst is 64 KiB, and so is a read; what does not compress becomes a little longer.
const BUFFER_BYTES: usize = 68 << 10;

/// A transport with compression above it, where the node agrees to that.
#[derive(Debug)]
pub struct Deflated<T> {
    inner: T,
    extension: Option<Box<Extension>>,
}

#[derive(Debug)]
struct Extension {
    unpacker: Unpacker,
    packer: Option<Packer>,
    packed: Option<Packed>,
    violation: Option<Violation>,
}

/// A send: the buffer of its frames, and where each ends when it is packed and in there.
#[derive(Debug)]
struct Packed {
    plain: SendBuf,
    ends: Vec<(usize, usize)>,
}

/// What the connections of a worker share.
#[derive(Debug)]
pub struct Shared<S> {
    inner: S,
    sends: bool,
    inflater: Inflater,
    /// What is left of the last read.
    rest: Vec<u8>,
    packers: Packers,
    spare: Vec<Vec<u8>>,
    idle: Vec<Vec<(usize, usize)>>,
}

impl<S> Shared<S> {
    /// Over what the connections of the inner transport share: for messages of so many bytes and fragments, and this
    /// many bytes of compressed ones that are not whole.
    pub fn new(
        inner: S,
        offer: &DeflateOffer,
        (max_bytes, max_fragments): (usize, u32),
        partial_bytes: usize,
    ) -> Self {
        let ready = if offer.sends { READY_BUFFERS } else { 0 };
        Self {
            inner,
            sends: offer.sends,
            inflater: Inflater::new(max_bytes, max_fragments, partial_bytes),
            rest: Vec::with_capacity(BUFFER_BYTES),
            packers: Packers::default(),
            spare: (0..ready).map(|_| Vec::with_capacity(BUFFER_BYTES)).collect(),
            idle: (0..ready).map(|_| Vec::with_capacity(512)).collect(),
        }
    }
}

impl Extension {
    /// Unpacks a read, and leaves in `rest` what has no room.
    fn unpack<'b>(&mut self, plain: &[u8], by: &'b mut Inflater, rest: &mut Vec<u8>) -> &'b [u8] {
        rest.clear();
        if self.violation.is_some() {
            return &[];
        }
        match self.unpacker.unpack(plain, by) {
            Ok(left) => rest.extend_from_slice(left),
            Err(violation) => self.violation = Some(violation),
        }
        by.unpacked()
    }

    /// Unpacks more of that.
    fn unpack_rest<'b>(&mut self, by: &'b mut Inflater, rest: &mut Vec<u8>) -> &'b [u8] {
        match self.unpacker.unpack(rest, by) {
            Ok(left) => _ = rest.drain(..rest.len() - left.len()),
            Err(violation) => {
                rest.clear();
                self.violation = Some(violation);
            }
        }
        by.unpacked()
    }
}

impl<T: Transport> Transport for Deflated<T> {
    type Shared = Shared<T::Shared>;

    const NAME: &'static str = T::NAME;

    fn new(shared: &Self::Shared) -> Self {
        Self { inner: T::new(&shared.inner), extension: None }
    }

    fn begin(&mut self, shared: &mut Self::Shared, node: &Node) {
        self.inner.begin(&mut shared.inner, node);
    }

    fn is_handshaking(&self) -> bool {
        self.inner.is_handshaking()
    }

    #[inline]
    fn open<'b>(&'b mut self, wire: &'b [u8], shared: &'b mut Self::Shared) -> &'b [u8] {
        let plain = self.inner.open(wire, &mut shared.inner);
        match &mut self.extension {
            None => plain,
            Some(extension) => extension.unpack(plain, &mut shared.inflater, &mut shared.rest),
        }
    }

    #[inline]
    fn more<'b>(&'b mut self, shared: &'b mut Self::Shared) -> Option<&'b [u8]> {
        let extension = self.extension.as_mut()?;
        let Shared { inflater, rest, .. } = shared;
        (!rest.is_empty()).then(|| extension.unpack_rest(inflater, rest))
    }

    fn upgraded(&mut self, agreed: Option<Agreed>, shared: &mut Self::Shared) {
        self.extension = agreed.map(|agreed| {
            let packer = if shared.sends { Packer::new(&agreed) } else { None };
            let unpacker = Unpacker::new(&agreed);
            Box::new(Extension { unpacker, packer, packed: None, violation: None })
        });
    }

    fn behind_answer<'b>(&'b mut self, plain: &'b [u8], shared: &'b mut Self::Shared) -> &'b [u8] {
        match &mut self.extension {
            None => plain,
            Some(extension) => extension.unpack(plain, &mut shared.inflater, &mut shared.rest),
        }
    }

    #[inline]
    fn violation(&self) -> Option<Violation> {
        self.extension.as_ref()?.violation
    }

    fn deflated(shared: &Self::Shared) -> DeflateCounts {
        shared.inflater.counts().plus(shared.packers.counts())
    }

    fn release(&mut self, shared: &mut Self::Shared) {
        if let Some(extension) = &mut self.extension {
            extension.unpacker.release(&mut shared.inflater);
        }
        self.inner.release(&mut shared.inner);
    }

    #[inline]
    fn over(&self) -> Option<TransportError> {
        self.inner.over()
    }

    #[inline]
    fn has_ended(&self) -> bool {
        self.inner.has_ended()
    }

    fn cut_off(&self) -> Option<&'static str> {
        self.inner.cut_off()
    }

    fn session(&self) -> Option<Session> {
        self.inner.session()
    }

    #[inline]
    fn has_outgoing(&self) -> bool {
        self.inner.has_outgoing()
    }

    fn take_outgoing(&mut self) -> Vec<u8> {
        self.inner.take_outgoing()
    }

    fn seal(
        &mut self,
        plain: SendBuf,
        part: Range<usize>,
        shared: &mut Self::Shared,
    ) -> (SendBuf, Range<usize>) {
        let packer = self.extension.as_mut().and_then(|extension| {
            let Extension { packer, packed, .. } = &mut **extension;
            packer.as_mut().map(|packer| (packer, packed))
        });
        let Some((packer, packed)) = packer else {
            return self.inner.seal(plain, part, &mut shared.inner);
        };
        let mut wire = shared.spare.pop().unwrap_or_default();
        let mut ends = shared.idle.pop().unwrap_or_default();
        packer.pack(&plain.as_slice()[part], &mut shared.packers, &mut wire, &mut ends);
        *packed = Some(Packed { plain, ends });
        let part = 0..wire.len();
        self.inner.seal(SendBuf::Owned(wire), part, &mut shared.inner)
    }

    fn plain_len(&self, taken: usize) -> usize {
        let taken = self.inner.plain_len(taken);
        match self.extension.as_ref().and_then(|extension| extension.packed.as_ref()) {
            None => taken,
            Some(Packed { ends, .. }) => {
                let whole = ends.iter().take_while(|(wire, _)| *wire <= taken);
                whole.last().map_or(0, |(_, plain)| *plain)
            }
        }
    }

    fn sent(&mut self, wire: SendBuf, shared: &mut Self::Shared) -> SendBuf {
        let sent = self.inner.sent(wire, &mut shared.inner);
        let packed = self.extension.as_mut().and_then(|extension| extension.packed.take());
        let Some(Packed { plain, mut ends }) = packed else { return sent };
        ends.clear();
        shared.idle.push(ends);
        if let SendBuf::Owned(mut wire) = sent
            && shared.spare.len() < READY_BUFFERS
            && (1..=2 * BUFFER_BYTES).contains(&wire.capacity())
        {
            wire.clear();
            shared.spare.push(wire);
        }
        plain
    }

    fn close(&mut self) {
        self.inner.close();
    }
}
