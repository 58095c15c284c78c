//! The incremental decoder of one socket: reads in, messages out.
//!
//! Belongs here: frames cut anywhere by reads, messages cut into fragments, control frames between
//! them. Does not: I/O, and what messages mean (`dialect`).
//!
//! A frame that lies whole in a read is visited in place. Only what a read cuts off is copied, into a
//! buffer of the worker's pool, and the next read adds just as much as completes that frame.

use super::frame::{Header, Opcode, parse_header};
use super::violation::Violation;
use super::{close, code};

/// Frames by opcode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameCounts {
    /// Text frames that begin a message.
    pub text: u64,
    /// Binary frames that begin a message.
    pub binary: u64,
    /// Further fragments.
    pub continuation: u64,
    /// Pings.
    pub ping: u64,
    /// Pongs.
    pub pong: u64,
    /// Closes.
    pub close: u64,
}

impl FrameCounts {
    #[inline]
    fn count(&mut self, opcode: Opcode) {
        match opcode {
            Opcode::Text => self.text += 1,
            Opcode::Binary => self.binary += 1,
            Opcode::Continuation => self.continuation += 1,
            Opcode::Ping => self.ping += 1,
            Opcode::Pong => self.pong += 1,
            Opcode::Close => self.close += 1,
        }
    }
}

/// Something whole that a server sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A text message: valid UTF-8.
    Text(&'a [u8]),
    /// A binary message.
    Binary(&'a [u8]),
    /// To be answered with a Pong of this payload.
    Ping(&'a [u8]),
    /// Nothing to do.
    Pong(&'a [u8]),
    /// The server ends the connection.
    Close {
        /// Its code, if it gave one.
        code: Option<u16>,
        /// Its reason.
        reason: &'a str,
    },
}

/// Buffers for frames and messages that span reads, shared by the sockets of one worker.
#[derive(Debug)]
pub struct BufferPool {
    spare: Vec<Vec<u8>>,
    bytes_each: usize,
    grown: u64,
}

impl BufferPool {
    /// `count` buffers of `bytes_each`, made now.
    pub fn new(count: usize, bytes_each: usize) -> Self {
        let spare = (0..count).map(|_| Vec::with_capacity(bytes_each)).collect();
        Self { spare, bytes_each, grown: 0 }
    }

    /// How often the pool was empty, or a buffer too small, so that memory had to be asked for.
    pub fn grown(&self) -> u64 {
        self.grown
    }

    fn take(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_else(|| {
            self.grown += 1;
            Vec::with_capacity(self.bytes_each)
        })
    }

    fn put(&mut self, mut buffer: Vec<u8>) {
        // A buffer that one giant message has blown up is not kept.
        if buffer.capacity() > 0 && buffer.capacity() <= self.bytes_each.max(1 << 16) {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    fn append(&mut self, buffer: &mut Vec<u8>, bytes: &[u8]) {
        if buffer.capacity() == 0 {
            *buffer = self.take();
        }
        self.grown += u64::from(buffer.capacity() - buffer.len() < bytes.len());
        buffer.extend_from_slice(bytes);
    }
}

/// The state between two reads. Owns no memory while nothing is cut.
#[derive(Debug)]
pub struct Decoder {
    /// The beginning of a frame that the last read cut.
    carry: Vec<u8>,
    /// The fragments of a message so far.
    message: Vec<u8>,
    /// What kind of message is being fragmented.
    fragmented: Option<Opcode>,
    closed: bool,
    max_message_bytes: usize,
}

impl Decoder {
    /// A decoder that takes messages of at most `max_message_bytes`.
    pub fn new(max_message_bytes: usize) -> Self {
        Self {
            carry: Vec::new(),
            message: Vec::new(),
            fragmented: None,
            closed: false,
            max_message_bytes,
        }
    }

    /// A frame or a message is incomplete.
    pub fn mid_message(&self) -> bool {
        !self.carry.is_empty() || self.fragmented.is_some()
    }

    /// Gives the buffers back when the socket ends.
    pub fn release(&mut self, pool: &mut BufferPool) {
        pool.put(std::mem::take(&mut self.carry));
        pool.put(std::mem::take(&mut self.message));
        self.closed = true;
    }

    /// Decodes a read and visits what it completes, in order. After a Close nothing more comes.
    ///
    /// # Errors
    /// The server broke the protocol; what came before was visited.
    #[inline]
    pub fn feed(
        &mut self,
        mut bytes: &[u8],
        pool: &mut BufferPool,
        frames: &mut FrameCounts,
        visit: &mut impl FnMut(Item<'_>),
    ) -> Result<(), Violation> {
        if !self.carry.is_empty() {
            bytes = self.finish_carry(bytes, pool, frames, visit)?;
        }
        while !bytes.is_empty() && !self.closed {
            let Some((header, end)) = self.whole_frame(bytes)? else {
                pool.append(&mut self.carry, bytes);
                break;
            };
            let payload = &bytes[usize::from(header.header_len)..end];
            self.frame(header, payload, pool, frames, visit)?;
            bytes = &bytes[end..];
        }
        Ok(())
    }

    /// The header of the frame at the front and where the frame ends; `None` when it is cut.
    #[inline]
    fn whole_frame(&self, bytes: &[u8]) -> Result<Option<(Header, usize)>, Violation> {
        let Some(header) = parse_header(bytes)? else { return Ok(None) };
        let so_far = if header.opcode.is_control() { 0 } else { self.message.len() };
        if header.payload_len > (self.max_message_bytes - so_far) as u64 {
            return Err(Violation {
                code: code::TOO_BIG,
                what: "a message larger than --max-message-bytes",
            });
        }
        let end = usize::from(header.header_len) + header.payload_len as usize;
        Ok((end <= bytes.len()).then_some((header, end)))
    }

    /// Adds to the cut frame what completes it; returns the rest of the read.
    #[cold]
    fn finish_carry<'b>(
        &mut self,
        mut bytes: &'b [u8],
        pool: &mut BufferPool,
        frames: &mut FrameCounts,
        visit: &mut impl FnMut(Item<'_>),
    ) -> Result<&'b [u8], Violation> {
        loop {
            let missing = match parse_header(&self.carry)? {
                // The header itself is cut: byte by byte, it is at most ten.
                None => 1,
                Some(header) => {
                    let end = usize::from(header.header_len) + header.payload_len as usize;
                    end - self.carry.len()
                }
            };
            let (now, rest) = bytes.split_at(missing.min(bytes.len()));
            let mut carry = std::mem::take(&mut self.carry);
            pool.append(&mut carry, now);
            bytes = rest;
            match self.whole_frame(&carry)? {
                Some((header, end)) => {
                    let payload = &carry[usize::from(header.header_len)..end];
                    let done = self.frame(header, payload, pool, frames, visit);
                    pool.put(carry);
                    return done.map(|()| bytes);
                }
                None => self.carry = carry,
            }
            if bytes.is_empty() {
                return Ok(bytes);
            }
        }
    }

    /// One whole frame.
    #[inline]
    fn frame(
        &mut self,
        header: Header,
        payload: &[u8],
        pool: &mut BufferPool,
        frames: &mut FrameCounts,
        visit: &mut impl FnMut(Item<'_>),
    ) -> Result<(), Violation> {
        frames.count(header.opcode);
        match header.opcode {
            Opcode::Text | Opcode::Binary if self.fragmented.is_some() => {
                Err(Violation::protocol("a new message inside a fragmented one"))
            }
            opcode @ (Opcode::Text | Opcode::Binary) if header.fin => {
                message(opcode, payload, visit)
            }
            opcode @ (Opcode::Text | Opcode::Binary) => {
                self.fragmented = Some(opcode);
                pool.append(&mut self.message, payload);
                Ok(())
            }
            Opcode::Continuation => self.continuation(header.fin, payload, pool, visit),
            Opcode::Ping => {
                visit(Item::Ping(payload));
                Ok(())
            }
            Opcode::Pong => {
                visit(Item::Pong(payload));
                Ok(())
            }
            Opcode::Close => {
                self.closed = true;
                let (code, reason) = close::parse(payload)?;
                visit(Item::Close { code, reason });
                Ok(())
            }
        }
    }

    fn continuation(
        &mut self,
        fin: bool,
        payload: &[u8],
        pool: &mut BufferPool,
        visit: &mut impl FnMut(Item<'_>),
    ) -> Result<(), Violation> {
        let Some(opcode) = self.fragmented else {
            return Err(Violation::protocol("a continuation of no message"));
        };
        pool.append(&mut self.message, payload);
        if !fin {
            return Ok(());
        }
        self.fragmented = None;
        let whole = std::mem::take(&mut self.message);
        let done = message(opcode, &whole, visit);
        pool.put(whole);
        done
    }
}

/// A whole message; text must be UTF-8.
#[inline]
fn message(
    opcode: Opcode,
    payload: &[u8],
    visit: &mut impl FnMut(Item<'_>),
) -> Result<(), Violation> {
    if opcode == Opcode::Binary {
        visit(Item::Binary(payload));
        return Ok(());
    }
    // Almost all of it is ASCII, which is the quicker question.
    if !payload.is_ascii() && std::str::from_utf8(payload).is_err() {
        return Err(Violation { code: code::INVALID_DATA, what: "text that is not UTF-8" });
    }
    visit(Item::Text(payload));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{self, Cursor, Read, Write};

    use proptest::prelude::*;
    use tungstenite::protocol::{Role, WebSocket};
    use tungstenite::{Error, Message};

    use super::*;

    const MAX: usize = 1 << 20;

    /// What came out, owned.
    #[derive(Clone, Debug, PartialEq)]
    enum Out {
        Text(Vec<u8>),
        Binary(Vec<u8>),
        Ping(Vec<u8>),
        Pong(Vec<u8>),
        Close(Option<u16>, String),
    }

    fn own(item: Item<'_>) -> Out {
        match item {
            Item::Text(bytes) => Out::Text(bytes.to_vec()),
            Item::Binary(bytes) => Out::Binary(bytes.to_vec()),
            Item::Ping(bytes) => Out::Ping(bytes.to_vec()),
            Item::Pong(bytes) => Out::Pong(bytes.to_vec()),
            Item::Close { code, reason } => Out::Close(code, reason.to_owned()),
        }
    }

    fn decode(bytes: &[u8], cuts: &[usize]) -> (Vec<Out>, Result<(), Violation>) {
        let mut pool = BufferPool::new(2, 64);
        let (mut decoder, mut frames) = (Decoder::new(MAX), FrameCounts::default());
        let mut items = Vec::new();
        let mut rest = bytes;
        let mut cuts = cuts.iter().cycle();
        while !rest.is_empty() {
            let cut = cuts.next().copied().unwrap_or(usize::MAX).clamp(1, rest.len());
            let (now, later) = rest.split_at(cut);
            rest = later;
            let fed = decoder.feed(now, &mut pool, &mut frames, &mut |item| items.push(own(item)));
            if fed.is_err() {
                return (items, fed);
            }
        }
        (items, Ok(()))
    }

    /// The second oracle: tungstenite as a client on the same bytes.
    fn tungstenite(bytes: &[u8]) -> (Vec<Out>, bool) {
        struct Wire(Cursor<Vec<u8>>);
        impl Read for Wire {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                match self.0.read(buf)? {
                    0 => Err(io::ErrorKind::WouldBlock.into()),
                    n => Ok(n),
                }
            }
        }
        impl Write for Wire {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                Ok(buf.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut socket =
            WebSocket::from_raw_socket(Wire(Cursor::new(bytes.to_vec())), Role::Client, None);
        let mut items = Vec::new();
        loop {
            items.push(match socket.read() {
                Ok(Message::Text(text)) => Out::Text(text.as_bytes().to_vec()),
                Ok(Message::Binary(bytes)) => Out::Binary(bytes.to_vec()),
                Ok(Message::Ping(bytes)) => Out::Ping(bytes.to_vec()),
                Ok(Message::Pong(bytes)) => Out::Pong(bytes.to_vec()),
                Ok(Message::Close(None)) => Out::Close(None, String::new()),
                Ok(Message::Close(Some(c))) => {
                    Out::Close(Some(c.code.into()), c.reason.to_string())
                }
                Ok(Message::Frame(_)) => unreachable!("never read"),
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    return (items, true);
                }
                Err(Error::ConnectionClosed) => return (items, true),
                Err(_) => return (items, false),
            });
        }
    }

    fn server_frame(fin: bool, bits: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![u8::from(fin) << 7 | bits];
        match payload.len() {
            len @ 0..=125 => out.push(len as u8),
            len @ 126..=0xffff => {
                out.push(126);
                out.extend((len as u16).to_be_bytes());
            }
            len => {
                out.push(127);
                out.extend((len as u64).to_be_bytes());
            }
        }
        out.extend(payload);
        out
    }

    /// A valid message, perhaps in fragments with a Ping between them, and what must come out.
    fn message() -> impl Strategy<Value = (Vec<u8>, Vec<Out>)> {
        let payload = prop_oneof![
            8 => "[ -~äö€]{0,60}".prop_map(String::into_bytes),
            1 => "[a-z]{120,130}".prop_map(String::into_bytes),
            1 => (65_530_usize..65_540).prop_map(|len| vec![b'x'; len]),
        ];
        (payload, prop::collection::vec(any::<prop::sample::Index>(), 0..3), any::<bool>(), 0_u8..4)
            .prop_map(|(payload, cuts, ping, kind)| {
                if kind == 0 {
                    let short = &payload[..payload.len().min(125)];
                    let frame = server_frame(true, 10, short);
                    return (frame, vec![Out::Pong(short.to_vec())]);
                }
                let (bits, whole) = match kind {
                    1 => (2, Out::Binary(payload.clone())),
                    _ => (1, Out::Text(payload.clone())),
                };
                let mut ends: Vec<_> = cuts.iter().map(|c| c.index(payload.len() + 1)).collect();
                ends.sort_unstable();
                ends.push(payload.len());
                let (mut bytes, mut outs, mut start) = (Vec::new(), Vec::new(), 0);
                for (i, &end) in ends.iter().enumerate() {
                    let fin = i + 1 == ends.len();
                    let bits = if i == 0 { bits } else { 0 };
                    bytes.extend(server_frame(fin, bits, &payload[start..end]));
                    start = end;
                    if ping && !fin {
                        bytes.extend(server_frame(true, 9, b"hey"));
                        outs.push(Out::Ping(b"hey".to_vec()));
                    }
                }
                outs.push(whole);
                (bytes, outs)
            })
    }

    proptest! {
        #[test]
        fn any_cutting_of_valid_messages_gives_the_same_items(
            messages in prop::collection::vec(message(), 1..8),
            cuts in prop::collection::vec(1_usize..90, 1..20),
        ) {
            let bytes: Vec<u8> = messages.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
            let expected: Vec<Out> = messages.into_iter().flat_map(|(_, outs)| outs).collect();
            prop_assert_eq!(decode(&bytes, &[usize::MAX]), (expected.clone(), Ok(())));
            prop_assert_eq!(decode(&bytes, &cuts), (expected.clone(), Ok(())));
            prop_assert_eq!(tungstenite(&bytes), (expected, true));
        }

        #[test]
        fn on_garbage_it_agrees_with_tungstenite_and_with_itself_however_it_is_cut(
            frames in prop::collection::vec(
                (any::<bool>(), 0_u8..16, 0_u8..8, any::<bool>(), prop::collection::vec(any::<u8>(), 0..140)),
                1..6,
            ),
            cuts in prop::collection::vec(1_usize..40, 1..20),
        ) {
            let mut bytes = Vec::new();
            for (fin, bits, reserved, masked, payload) in &frames {
                let reserved = if *reserved == 7 { 0x40 } else { 0 };
                let mut frame = server_frame(*fin, *bits | reserved, payload);
                frame[1] |= u8::from(*masked && payload.len() == 9) << 7;
                bytes.extend(frame);
            }
            let (items, result) = decode(&bytes, &[usize::MAX]);
            let (cut_items, cut_result) = decode(&bytes, &cuts);
            prop_assert_eq!(&items, &cut_items);
            prop_assert_eq!(result, cut_result);
            let (theirs, fine) = tungstenite(&bytes);
            let closed = items.iter().any(|item| matches!(item, Out::Close(..)));
            // tungstenite sees bad UTF-8 in a fragment before the message is whole, lets some
            // unassigned Close codes pass, and goes on reading after a Close.
            if result.is_ok() && fine && !closed {
                prop_assert_eq!(items, theirs);
            }
        }
    }

    #[test]
    fn every_violation_has_its_code_and_what_came_before_is_kept() {
        let ok = server_frame(true, 1, b"before");
        let cases: [(&[u8], u16); 13] = [
            (&[0x81, 0x81, 1, 2, 3, 4, 5], 1002),
            (&[0xc1, 0], 1002),
            (&[0x83, 0], 1002),
            (&[0x8b, 0], 1002),
            (&[0x09, 0], 1002),
            (&[0x89, 126, 0, 126], 1002),
            (&[0x81, 126, 0, 125], 1002),
            (&[0x81, 127, 0, 0, 0, 0, 0, 0, 255, 255], 1002),
            (&[0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], 1009),
            (&[0x80, 1, b'x'], 1002),
            (&[0x81, 2, 0xc3, 0x28], 1007),
            (&[0x88, 1, 3], 1002),
            (&[0x88, 2, 0x03, 0xed], 1002),
        ];
        for (bytes, code) in cases {
            let bytes = [&ok, bytes].concat();
            for cut in 1..bytes.len() {
                let (items, result) = decode(&bytes, &[cut]);
                assert_eq!(items, [Out::Text(b"before".to_vec())], "{bytes:x?}");
                let violation = result.expect_err("a violation");
                // The top bit of a length is seen as such or as a size; both are refusals.
                let codes = if code == 1009 { vec![1009, 1002] } else { vec![code] };
                assert!(codes.contains(&violation.code), "{bytes:x?}: {violation:?}");
            }
        }
        let started = [server_frame(false, 1, b"a"), server_frame(true, 1, b"b")].concat();
        assert_eq!(decode(&started, &[1]).1.unwrap_err().code, 1002);
        let large = [0x82, 127, 0, 0, 0, 0, 0, 0x10, 0, 1];
        assert_eq!(decode(&large, &[3]).1.unwrap_err().code, 1009);
        let fragments =
            [server_frame(false, 2, &vec![0; MAX]), server_frame(true, 0, b"x")].concat();
        assert_eq!(decode(&fragments, &[9999]).1.unwrap_err().code, 1009);
    }

    #[test]
    fn an_idle_decoder_is_small_and_gives_its_buffers_back() {
        assert!(size_of::<Decoder>() <= 64, "{}", size_of::<Decoder>());
        let mut pool = BufferPool::new(1, 64);
        let (mut decoder, mut frames) = (Decoder::new(MAX), FrameCounts::default());
        let frame = server_frame(true, 1, b"a message in pieces");
        for piece in frame.chunks(3) {
            decoder.feed(piece, &mut pool, &mut frames, &mut |_| {}).unwrap();
        }
        assert!(!decoder.mid_message());
        assert_eq!((pool.grown(), pool.spare.len(), frames.text), (0, 1, 1));
    }
}
