//! From the bytes of one socket, however they are cut, to whole messages.
//!
//! Belongs here: what one frame means after another (fragments, control frames between them, the
//! carry of a frame that a read cut). Does not: the rules of a single frame (`wire::frame`), the memory for it
//! (`wire::buffer_pool`), what a message says (`dialect`).
//!
//! The path that matters is a read that holds whole frames: each is visited where it lies, without
//! a copy. Only a frame that the end of a read cuts is copied, into a buffer lent by the worker's
//! pool, and only until it is whole. An idle socket owns no memory.

use super::bounds::FRAGMENTS_MAX;
pub use super::buffer_pool::BufferPool;
use super::cut_off::CutOff;
use super::frame::{Header, Opcode, Violation, is_binary, parse_close, parse_header, plain_text};
use super::item::message;
pub use super::item::{Hearer, Item, Message};
use super::repetition::FRAME_LEAST;
pub use super::repetition::LeftOut;
use super::utf8::OpenCharacter;

/// How many frames of each opcode were whole and well formed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameCounts {
    /// Text frames, first fragments included.
    pub text: u64,
    /// Binary frames, first fragments included.
    pub binary: u64,
    /// Fragments after the first.
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

/// Where a socket stands between two reads.
#[derive(Debug)]
pub struct Decoder {
    /// The front of a frame that the last read cut; owns memory only while it is not empty.
    carry: Vec<u8>,
    /// What of it is not in the carry.
    left_out: LeftOut,
    /// The fragments of the message under way.
    message: Vec<u8>,
    /// Opcode of the message under way; `None` between messages.
    fragmented: Option<Opcode>,
    /// Its fragments after the first one.
    continued: u16,
    /// After a Close or a violation nothing more is read.
    ended: bool,
    /// Of a text that is not whole yet: what its part so far leaves open.
    open: OpenCharacter,
    max_message_bytes: usize,
}

const _: () = assert!(size_of::<Decoder>() <= 72, "thousands of them lie idle");
const _: () = assert!(FRAGMENTS_MAX <= u16::MAX as u32 + 1, "the first of them is not counted");

impl Decoder {
    /// A decoder at the first byte after the upgrade's response.
    pub const fn new(max_message_bytes: usize) -> Self {
        Self {
            carry: Vec::new(),
            left_out: LeftOut::NOTHING,
            message: Vec::new(),
            fragmented: None,
            continued: 0,
            ended: false,
            open: OpenCharacter::NONE,
            max_message_bytes,
        }
    }

    /// Takes the next bytes of the socket and visits what they complete, in order.
    ///
    /// # Errors
    /// The first thing that the server did against the RFC, be it `visit` that found it (in a
    /// message's text). What came before it has been visited; after it, as after a Close, the decoder
    /// takes everything and says nothing.
    #[inline]
    pub fn feed(
        &mut self,
        bytes: &[u8],
        pool: &mut BufferPool,
        frames: &mut FrameCounts,
        visit: &mut impl Hearer,
    ) -> Result<(), Violation> {
        let fed = self.feed_frames(bytes, pool, frames, visit);
        self.ended |= fed.is_err();
        fed
    }

    /// Gives lent memory back when the socket ends.
    pub fn release(&mut self, pool: &mut BufferPool) {
        pool.put(std::mem::take(&mut self.carry));
        pool.put(std::mem::take(&mut self.message));
        self.left_out = LeftOut::NOTHING;
        self.fragmented = None;
        self.ended = true;
    }

    /// What the end of the socket now would cut off.
    pub const fn cut_off(&self) -> Option<CutOff> {
        match (self.carry.len(), self.fragmented) {
            (0, None) => None,
            (0, Some(_)) => Some(CutOff::Message),
            (_, _) => Some(CutOff::Frame { bytes: self.carried() }),
        }
    }

    #[inline]
    fn feed_frames(
        &mut self,
        bytes: &[u8],
        pool: &mut BufferPool,
        frames: &mut FrameCounts,
        visit: &mut impl Hearer,
    ) -> Result<(), Violation> {
        let mut rest = bytes;
        if !self.carry.is_empty() && !self.ended {
            rest = self.finish_carried(rest, pool, frames, visit)?;
        }
        while !self.ended && !rest.is_empty() {
            if self.fragmented.is_none()
                && let (known @ 1.., len) = visit.frames(rest)
            {
                match is_binary(rest) {
                    true => frames.binary += known,
                    false => frames.text += known,
                }
                rest = &rest[len..];
                continue;
            }
            if let Some((payload, after)) = plain_text(rest)
                && self.fragmented.is_none()
                && payload.len() <= self.max_message_bytes
            {
                visit.item(message(payload, false))?;
                frames.text += 1;
                rest = after;
                continue;
            }
            let header = parse_header(rest)?;
            if let Some(header) = header {
                self.admit(&header)?;
                if let Some((frame, after)) = rest.split_at_checked(frame_len(&header)) {
                    let payload = &frame[usize::from(header.header_len)..];
                    if !header.fin || self.fragmented.is_some() {
                        self.check_part(&header, payload)?;
                    }
                    self.take_frame(&header, payload, pool, frames, visit)?;
                    rest = after;
                    continue;
                }
                self.carry = pool.take()?;
                return self.keep(&header, rest, pool, visit);
            }
            self.carry = pool.take()?;
            return pool.append(&mut self.carry, rest);
        }
        Ok(())
    }

    /// Bytes of the carried frame that are here.
    const fn carried(&self) -> usize {
        self.carry.len() + self.left_out.len as usize
    }

    /// Puts more of a frame behind what is carried of it, header and all.
    #[cold]
    fn keep(
        &mut self,
        header: &Header,
        more: &[u8],
        pool: &mut BufferPool,
        visit: &impl Hearer,
    ) -> Result<(), Violation> {
        let mut left_out = 0..0;
        if pool.period > 0 && self.may_be_abridged(header) && visit.hears_abridged() {
            left_out = self.left_out.leave_out(&self.carry, more, pool.period);
        }
        for part in [&more[..left_out.start], &more[left_out.end..]] {
            let header_bytes = usize::from(header.header_len).saturating_sub(self.carry.len());
            self.check_part(header, &part[header_bytes.min(part.len())..])?;
            pool.append(&mut self.carry, part)?;
        }
        Ok(())
    }

    /// Whether this is a whole message, and long.
    fn may_be_abridged(&self, header: &Header) -> bool {
        let whole = header.fin && !header.opcode.is_control() && self.fragmented.is_none();
        whole && (FRAME_LEAST..u32::MAX as usize).contains(&frame_len(header))
    }

    /// Completes the carried frame with as few bytes as it needs and returns those after it.
    #[cold]
    fn finish_carried<'b>(
        &mut self,
        bytes: &'b [u8],
        pool: &mut BufferPool,
        frames: &mut FrameCounts,
        visit: &mut impl Hearer,
    ) -> Result<&'b [u8], Violation> {
        let (header, bytes) = match self.carried_header(bytes, pool)? {
            (Some(header), bytes) => (header, bytes),
            (None, bytes) => return Ok(bytes),
        };
        let missing = frame_len(&header) - self.carried();
        let (front, after) = bytes.split_at(missing.min(bytes.len()));
        self.keep(&header, front, pool, visit)?;
        if front.len() == missing {
            let mut carry = std::mem::take(&mut self.carry);
            let taken = self.take_carried(&header, &mut carry, pool, frames, visit);
            pool.put(carry);
            taken?;
        }
        Ok(after)
    }

    /// Takes a frame that is whole now: as it was kept, if its hearer understands it so.
    fn take_carried(
        &mut self,
        header: &Header,
        carry: &mut Vec<u8>,
        pool: &mut BufferPool,
        frames: &mut FrameCounts,
        visit: &mut impl Hearer,
    ) -> Result<(), Violation> {
        let header_len = usize::from(header.header_len);
        let left_out = std::mem::replace(&mut self.left_out, LeftOut::NOTHING);
        // Never within the header; `None` where nothing was left out, since that is at 0.
        if let Some(of_payload) = left_out.after(header_len) {
            let binary = header.opcode == Opcode::Binary;
            if visit.abridged(Message::new(&carry[header_len..], binary), of_payload) {
                self.open = OpenCharacter::NONE;
                frames.count(header.opcode);
                return Ok(());
            }
            pool.reserve(carry, left_out.len as usize)?;
            left_out.restore(carry, pool.period);
        }
        self.take_frame(header, &carry[header_len..], pool, frames, visit)
    }

    /// The carried frame's header, fed byte by byte while it is not whole: at most nine times.
    fn carried_header<'b>(
        &mut self,
        mut bytes: &'b [u8],
        pool: &mut BufferPool,
    ) -> Result<(Option<Header>, &'b [u8]), Violation> {
        loop {
            if let Some(header) = parse_header(&self.carry)? {
                self.admit(&header)?;
                return Ok((Some(header), bytes));
            }
            let Some((byte, after)) = bytes.split_first() else {
                return Ok((None, bytes));
            };
            pool.append(&mut self.carry, std::slice::from_ref(byte))?;
            bytes = after;
        }
    }

    /// Whether text can still become UTF-8, told at the first bad byte and not when all of it is here. A whole
    /// message in one read is looked at by whoever hears it.
    #[cold]
    fn check_part(&mut self, header: &Header, part: &[u8]) -> Result<(), Violation> {
        let is_text = self.fragmented.unwrap_or(header.opcode) == Opcode::Text;
        if header.opcode.is_control() || !is_text || self.open.goes_on_with(part) {
            return Ok(());
        }
        Err(Violation::not_utf8("sent text that is not UTF-8"))
    }

    /// Whether this frame may come now, told before its payload is here.
    #[inline]
    fn admit(&self, header: &Header) -> Result<(), Violation> {
        match (header.opcode, self.fragmented) {
            (Opcode::Ping | Opcode::Pong | Opcode::Close, _) => return Ok(()),
            (Opcode::Continuation, None) => {
                return Err(Violation::protocol("continued a message that had not begun"));
            }
            (Opcode::Text | Opcode::Binary, Some(_)) => {
                return Err(Violation::protocol("began a message inside a fragmented one"));
            }
            (Opcode::Continuation, Some(_)) | (Opcode::Text | Opcode::Binary, None) => {}
        }
        let room = self.max_message_bytes.saturating_sub(self.message.len());
        if header.payload_len > room as u64 { Err(Violation::TOO_BIG) } else { Ok(()) }
    }

    #[inline]
    fn take_frame(
        &mut self,
        header: &Header,
        payload: &[u8],
        pool: &mut BufferPool,
        frames: &mut FrameCounts,
        visit: &mut impl Hearer,
    ) -> Result<(), Violation> {
        if header.fin && !header.opcode.is_control() {
            self.open = OpenCharacter::NONE;
        }
        match header.opcode {
            Opcode::Text if header.fin => visit.item(message(payload, false))?,
            Opcode::Binary if header.fin => visit.item(message(payload, true))?,
            Opcode::Ping => visit.item(Item::Ping(payload))?,
            Opcode::Pong => visit.item(Item::Pong(payload))?,
            Opcode::Close => {
                let (code, reason) = parse_close(payload)?;
                self.ended = true;
                visit.item(Item::Close { code, reason })?;
            }
            Opcode::Text | Opcode::Binary | Opcode::Continuation => {
                self.take_fragment(header, payload, pool, visit)?;
            }
        }
        frames.count(header.opcode);
        Ok(())
    }

    #[cold]
    fn take_fragment(
        &mut self,
        header: &Header,
        payload: &[u8],
        pool: &mut BufferPool,
        visit: &mut impl Hearer,
    ) -> Result<(), Violation> {
        let opcode = *self.fragmented.get_or_insert(header.opcode);
        if header.opcode == Opcode::Continuation {
            if u32::from(self.continued) + 2 > pool.fragments_max {
                return Err(Violation::TOO_MANY_FRAGMENTS);
            }
            self.continued += 1;
        }
        if self.message.capacity() == 0 {
            self.message = pool.take()?;
        }
        pool.append(&mut self.message, payload)?;
        if !header.fin {
            return Ok(());
        }
        let whole = std::mem::take(&mut self.message);
        (self.fragmented, self.continued) = (None, 0);
        let visited = visit.item(message(&whole, opcode == Opcode::Binary));
        pool.put(whole);
        visited
    }
}

/// Header and payload. Admitted frames are within the limit, which is a `usize`.
#[inline]
fn frame_len(header: &Header) -> usize {
    usize::from(header.header_len) + header.payload_len as usize
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::wire::naive::{End, OwnedItem, decode as decode_naively};

    const LIMIT: usize = 70_000;
    const FRAGMENTS: u32 = 4;

    /// A server's frame, as the RFC draws it.
    fn frame(fin: bool, opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![u8::from(fin) << 7 | opcode];
        match payload.len() {
            len @ 0..=125 => bytes.push(len as u8),
            len @ 126..=65_535 => {
                bytes.push(126);
                bytes.extend((len as u16).to_be_bytes());
            }
            len => {
                bytes.push(127);
                bytes.extend((len as u64).to_be_bytes());
            }
        }
        bytes.extend(payload);
        bytes
    }

    struct Run {
        items: Vec<OwnedItem>,
        end: End,
        frames: FrameCounts,
        grown: u64,
        pool_is_whole: bool,
        abridged: usize,
    }

    /// Issue 11, D1: 100 sockets with 8 MiB each of a message that never ended took 843 MB.
    #[test]
    fn messages_that_never_end_take_no_more_than_the_bound_and_the_rest_is_refused_by_its_flag() {
        const MOST: usize = 1 << 20;
        for fragmented in [false, true] {
            let mut pool = BufferPool::new(8, 1_024).within(MOST);
            let mut frames = FrameCounts::default();
            let mut sockets: Vec<_> = (0..100).map(|_| (Decoder::new(LIMIT), Ok(()))).collect();
            let part = match fragmented {
                true => frame(false, 0, &[b'a'; 5_000]),
                false => vec![b'a'; 5_000],
            };
            for turn in 0..13 {
                for (decoder, fed) in sockets.iter_mut().filter(|(_, fed)| fed.is_ok()) {
                    let bytes = match (turn, fragmented) {
                        (0, true) => frame(false, 1, &[b'a'; 5_000]),
                        (0, false) => frame(true, 1, &[b'a'; 70_000])[..5_000].to_vec(),
                        _ => part.clone(),
                    };
                    *fed = decoder.feed(&bytes, &mut pool, &mut frames, &mut |_: Item<'_>| Ok(()));
                    if fed.is_err() {
                        decoder.release(&mut pool);
                    }
                }
                let lent = |(decoder, _): &(Decoder, _)| {
                    decoder.carry.capacity() + decoder.message.capacity()
                };
                let free = pool.free.iter().map(Vec::capacity).sum::<usize>();
                let held = sockets.iter().map(lent).sum::<usize>() + free;
                assert_eq!(pool.held, held, "turn {turn}");
                assert!(held <= 8 * 1_024 + MOST, "{held}");
            }
            let refused = sockets.iter().filter(|(_, fed)| fed.is_err()).count();
            assert!((50..95).contains(&refused), "{refused}: whoever has room goes on");
            for violation in sockets.iter().filter_map(|(_, fed)| fed.as_ref().err()) {
                assert!(violation.what.contains("--partial-memory"), "{violation:?}");
            }
            sockets.iter_mut().for_each(|(decoder, _)| decoder.release(&mut pool));
            assert!(pool.held <= 8 * 16 * 1_024, "{} bytes stay", pool.held);
        }
    }

    const PERIOD: usize = 101;

    /// Puts each abridged message together again by the rule, byte by byte, but every third: it wants that as it
    /// came.
    #[derive(Default)]
    struct Notes {
        items: Vec<OwnedItem>,
        is_abridging: bool,
        abridged: usize,
    }

    impl Hearer for Notes {
        fn item(&mut self, item: Item<'_>) -> Result<(), Violation> {
            self.items.push(item.try_into()?);
            Ok(())
        }

        fn hears_abridged(&self) -> bool {
            self.is_abridging
        }

        fn abridged(&mut self, message: Message<'_>, LeftOut { at, len }: LeftOut) -> bool {
            self.abridged += 1;
            if self.abridged.is_multiple_of(3) {
                return false;
            }
            let (before, behind) = message.unchecked().split_at(at as usize);
            let mut whole = before.to_vec();
            for _ in 0..len {
                whole.push(whole[whole.len() - PERIOD]);
            }
            let whole = [&whole, behind].concat();
            let item = super::message(&whole, message.is_binary());
            self.items
                .push(item.try_into().expect("what was left out and what is around it is text"));
            true
        }
    }

    fn decode_in_pieces(bytes: &[u8], pieces: &[usize]) -> Run {
        decode_by(Notes::default(), bytes, pieces)
    }

    /// Feeds `bytes` in pieces as long as `pieces` says, over and over.
    fn decode_by(mut notes: Notes, bytes: &[u8], pieces: &[usize]) -> Run {
        let mut pool = BufferPool::new(2, 4096).of_fragments(FRAGMENTS).of_period(PERIOD);
        let mut decoder = Decoder::new(LIMIT);
        let mut frames = FrameCounts::default();
        let mut violation = None;
        let mut rest = bytes;
        for piece in pieces.iter().cycle() {
            let (piece, after) = rest.split_at((*piece).min(rest.len()));
            rest = after;
            let fed = decoder.feed(piece, &mut pool, &mut frames, &mut notes);
            violation = violation.or_else(|| fed.err());
            if rest.is_empty() {
                break;
            }
        }
        let end = match violation {
            Some(violation) => End::Violation(violation.code.0),
            None if matches!(notes.items.last(), Some(OwnedItem::Close(..))) => End::Closed,
            None if decoder.cut_off().is_some() => End::Cut,
            None => End::Clean,
        };
        decoder.release(&mut pool);
        let pool_is_whole = pool.free.len() == 2 || pool.grown > 0;
        let Notes { items, abridged, .. } = notes;
        Run { items, end, frames, grown: pool.grown(), pool_is_whole, abridged }
    }

    fn assert_agrees_with_naive(bytes: &[u8], pieces: &[usize]) {
        let (items, end) = decode_naively(bytes, LIMIT, FRAGMENTS as usize);
        for is_abridging in [false, true] {
            let run = decode_by(Notes { is_abridging, ..Notes::default() }, bytes, pieces);
            assert_eq!(run.items, items);
            assert_eq!(run.end, end);
            assert!(run.pool_is_whole, "a buffer was lost");
        }
    }

    fn payload() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            4 => vec(b' '..b'~', 0..300),
            1 => "\\PC{0,60}".prop_map(String::into_bytes),
            1 => vec(any::<u8>(), 0..8),
            1 => (65_530usize..65_540).prop_map(|len| vec![b'a'; len]),
            1 => (vec(b'a'..=b'z', PERIOD), 4_000usize..9_000, "\\PC{0,9}").prop_map(|(words, len, end)| {
                words.into_iter().cycle().take(len).chain(end.into_bytes()).collect()
            }),
        ]
    }

    fn control() -> impl Strategy<Value = Vec<u8>> {
        (prop_oneof![Just(9u8), Just(10)], vec(any::<u8>(), 0..=125))
            .prop_map(|(opcode, payload)| frame(true, opcode, &payload))
    }

    /// One message in one or more frames, control frames between them.
    fn message(fragments: Range<usize>) -> impl Strategy<Value = Vec<u8>> {
        let parts = vec((payload(), proptest::option::of(control())), fragments);
        (prop_oneof![3 => Just(1u8), 1 => Just(2)], parts).prop_map(|(opcode, parts)| {
            let last = parts.len() - 1;
            let mut bytes = Vec::new();
            for (index, (payload, control)) in parts.into_iter().enumerate() {
                let opcode = if index == 0 { opcode } else { 0 };
                bytes.extend(control.unwrap_or_default());
                bytes.extend(frame(index == last, opcode, &payload));
            }
            bytes
        })
    }

    fn close() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            Just(frame(true, 8, b"")),
            (any::<u16>(), "\\PC{0,20}").prop_map(|(code, reason)| {
                frame(true, 8, &[&code.to_be_bytes(), reason.as_bytes()].concat())
            }),
            vec(any::<u8>(), 0..6).prop_map(|payload| frame(true, 8, &payload)),
        ]
    }

    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let frames = vec(
            prop_oneof![8 => message(1..4), 1 => message(4..7), 3 => control(), 1 => close()],
            0..8,
        );
        frames.prop_map(|frames| frames.concat())
    }

    fn pieces() -> impl Strategy<Value = Vec<usize>> {
        vec(prop_oneof![1usize..4, 1usize..200, 1usize..100_000], 1..6)
    }

    proptest! {
        #[test]
        fn any_chunking_gives_what_the_whole_buffer_says(bytes in stream(), pieces in pieces()) {
            assert_agrees_with_naive(&bytes, &pieces);
        }

        #[test]
        fn a_damaged_stream_is_judged_as_the_naive_decoder_judges_it(
            bytes in stream(),
            pieces in pieces(),
            damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut bytes = bytes;
            for (at, value) in damage {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = value;
                }
            }
            assert_agrees_with_naive(&bytes, &pieces);
        }

        #[test]
        fn garbage_is_judged_as_the_naive_decoder_judges_it(
            bytes in vec(any::<u8>(), 0..64),
            pieces in pieces(),
        ) {
            assert_agrees_with_naive(&bytes, &pieces);
        }

        #[test]
        fn frames_that_look_sound_are_judged_as_the_naive_decoder_judges_them(
            heads in vec((any::<bool>(), 0u8..11, 0u8..128, vec(any::<u8>(), 0..12)), 0..12),
            pieces in pieces(),
        ) {
            let bytes: Vec<u8> = heads
                .into_iter()
                .flat_map(|(fin, opcode, len, rest)| {
                    [vec![u8::from(fin) << 7 | opcode, len.min(rest.len() as u8)], rest].concat()
                })
                .collect();
            assert_agrees_with_naive(&bytes, &pieces);
        }

        #[test]
        fn tungstenite_reads_the_same_messages(
            messages in vec(prop_oneof![4 => message(1..4), 1 => control()], 0..6),
            pieces in pieces(),
        ) {
            let bytes = messages.concat();
            let run = decode_in_pieces(&bytes, &pieces);
            let (theirs, refused) = read_with_tungstenite(&bytes);
            prop_assert_eq!(matches!(run.end, End::Violation(_)), refused);
            prop_assert_eq!(run.items, theirs);
        }
    }

    /// What an independent client makes of `bytes`, and whether it refused them.
    fn read_with_tungstenite(bytes: &[u8]) -> (Vec<OwnedItem>, bool) {
        use tungstenite::protocol::{Role, WebSocketConfig};
        use tungstenite::{Error, Message, WebSocket};

        struct ReadOnly<'a>(&'a [u8]);
        impl std::io::Read for ReadOnly<'_> {
            fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
                self.0.read(out)
            }
        }
        impl std::io::Write for ReadOnly<'_> {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }

        let limits =
            WebSocketConfig::default().max_message_size(Some(LIMIT)).max_frame_size(Some(LIMIT));
        let mut socket = WebSocket::from_raw_socket(ReadOnly(bytes), Role::Client, Some(limits));
        let mut items = Vec::new();
        loop {
            items.push(match socket.read() {
                Ok(Message::Text(text)) => OwnedItem::Text(text.as_str().to_owned()),
                Ok(Message::Binary(bytes)) => OwnedItem::Binary(bytes.to_vec()),
                Ok(Message::Ping(bytes)) => OwnedItem::Ping(bytes.to_vec()),
                Ok(Message::Pong(bytes)) => OwnedItem::Pong(bytes.to_vec()),
                Ok(other) => panic!("{other:?} was not generated"),
                Err(Error::Capacity(_) | Error::Utf8(_)) => return (items, true),
                Err(Error::Protocol(
                    tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
                )) => return (items, false),
                Err(error) => panic!("{error}"),
            });
        }
    }

    #[test]
    fn long_texts_that_reads_cut_are_heard_abridged_and_in_between_as_they_came() {
        let text: Vec<u8> = (b'a'..=b'z').cycle().take(PERIOD).collect();
        let text: Vec<u8> = text.into_iter().cycle().take(20_000).collect();
        let bytes = frame(true, 1, &text).repeat(9);
        let notes = || Notes { is_abridging: true, ..Notes::default() };
        let run = decode_by(notes(), &bytes, &[16_000]);
        assert_eq!((run.items.len(), run.frames.text), (9, 9));
        assert!(run.abridged >= 8, "{}: one may lie in one read", run.abridged);
        assert!(
            run.items
                .iter()
                .all(|item| *item == OwnedItem::Text(String::from_utf8(text.clone()).unwrap()))
        );
        // What would be text without the bytes between is none with them.
        let broken = [&text[..PERIOD - 1], b"\xc3"].concat().repeat(100);
        let run = decode_by(notes(), &frame(true, 1, &[&broken[..], b"\xa4"].concat()), &[6_000]);
        assert_eq!(run.end, End::Violation(1007));
    }

    #[test]
    fn an_idle_decoder_owns_no_memory_and_a_sized_pool_does_not_grow() {
        let bytes = frame(true, 1, &[b'a'; 150]).repeat(50);
        for piece in [1, 7, 153, 154, 155, 1000] {
            let run = decode_in_pieces(&bytes, &[piece]);
            assert_eq!((run.items.len(), run.grown), (50, 0), "pieces of {piece}");
        }
    }

    #[test]
    fn frames_are_counted_by_opcode_and_fragments_apart() {
        let bytes = [
            frame(false, 1, b"a"),
            frame(true, 9, b"?"),
            frame(false, 0, b"b"),
            frame(true, 0, b"c"),
            frame(true, 2, b"d"),
            frame(true, 10, b""),
            frame(true, 8, b"\x03\xe8bye"),
            frame(true, 1, b"after the close"),
        ]
        .concat();
        let run = decode_in_pieces(&bytes, &[3]);
        let expected =
            FrameCounts { text: 1, binary: 1, continuation: 2, ping: 1, pong: 1, close: 1 };
        assert_eq!(run.frames, expected);
        assert_eq!(run.items.len(), 5);
        assert_eq!(run.items.last(), Some(&OwnedItem::Close(Some(1000), "bye".into())));
    }

    #[test]
    fn each_violation_has_the_code_that_the_rfc_gives_it() {
        let cases: [(&str, Vec<u8>, u16); 16] = [
            ("masked", vec![0x81, 0x81, 0, 0, 0, 0, b'a'], 1002),
            ("reserved bit", vec![0xc1, 0], 1002),
            ("reserved data opcode", vec![0x83, 0], 1002),
            ("reserved control opcode", vec![0x8b, 0], 1002),
            ("fragmented ping", vec![0x09, 0], 1002),
            ("long ping", vec![0x89, 126, 0, 126], 1002),
            ("16-bit length of a short payload", vec![0x81, 126, 0, 125], 1002),
            (
                "64-bit length of a medium payload",
                [&[0x81, 127][..], &65_535u64.to_be_bytes()].concat(),
                1002,
            ),
            (
                "length with the top bit",
                [&[0x81, 127][..], &(1u64 << 63).to_be_bytes()].concat(),
                1002,
            ),
            ("close with half a code", frame(true, 8, b"\x03"), 1002),
            ("close with 1005", frame(true, 8, &1005u16.to_be_bytes()), 1002),
            ("text that is not UTF-8", frame(true, 1, b"\xff"), 1007),
            ("close reason that is not UTF-8", frame(true, 8, b"\x03\xe8\xff"), 1007),
            ("message over the limit", vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x71], 1009),
            ("continuation of nothing", frame(true, 0, b""), 1002),
            (
                "new message inside one",
                [frame(false, 1, b"a"), frame(true, 1, b"b")].concat(),
                1002,
            ),
        ];
        for (what, bytes, code) in cases {
            for piece in [1, 1000] {
                let end = decode_in_pieces(&bytes, &[piece]).end;
                assert_eq!(end, End::Violation(code), "{what}, pieces of {piece}");
            }
        }
    }

    #[test]
    fn the_limit_holds_over_all_fragments_of_a_message_and_is_itself_allowed() {
        let half = vec![b'a'; LIMIT / 2];
        let whole = [frame(false, 2, &half), frame(true, 0, &half)].concat();
        assert_eq!(decode_in_pieces(&whole, &[9000]).end, End::Clean);
        let over = [frame(false, 2, &half), frame(false, 0, &half), frame(true, 0, b"a")].concat();
        assert_eq!(decode_in_pieces(&over, &[9000]).end, End::Violation(1009));
    }

    #[test]
    fn a_message_may_have_as_many_fragments_as_the_flag_says_and_the_next_one_begins_anew() {
        let more = |count| frame(false, 0, b"").repeat(count);
        let message =
            |count| [frame(false, 1, b"a"), more(count - 2), frame(true, 0, b"b")].concat();
        let most = FRAGMENTS as usize;
        let two = message(most).repeat(2);
        assert_eq!(decode_in_pieces(&two, &[1]).end, End::Clean);
        assert_eq!(decode_in_pieces(&message(most + 1), &[1]).end, End::Violation(1009));
        let fed = |most, fragments| {
            let (mut pool, mut frames) =
                (BufferPool::new(1, 8).of_fragments(most), FrameCounts::default());
            let mut decoder = Decoder::new(LIMIT);
            decoder.feed(&message(fragments), &mut pool, &mut frames, &mut |_: Item<'_>| Ok(()))
        };
        // No state is large enough to count more, and the bound of one fragment is none at all.
        assert_eq!(fed(u32::MAX, FRAGMENTS_MAX as usize), Ok(()));
        let over = fed(u32::MAX, FRAGMENTS_MAX as usize + 1).unwrap_err();
        assert!(over.what.contains("--max-fragments"), "{over}");
        assert!(fed(1, 2).is_err());
        let mut whole = BufferPool::new(1, 8).of_fragments(1);
        let frames = &mut FrameCounts::default();
        let fed = Decoder::new(LIMIT).feed(
            &frame(true, 1, b"a"),
            &mut whole,
            frames,
            &mut |_: Item<'_>| Ok(()),
        );
        assert_eq!(fed, Ok(()));
    }

    #[test]
    fn a_character_may_be_cut_by_a_fragment_but_not_by_the_end_of_its_message() {
        let cut = [frame(false, 1, b"\xc3"), frame(true, 0, b"\xa4")].concat();
        assert_eq!(decode_in_pieces(&cut, &[2]).items, [OwnedItem::Text("ä".into())]);
        let half = [frame(false, 1, b"\xc3"), frame(true, 0, b"")].concat();
        assert_eq!(decode_in_pieces(&half, &[2]).end, End::Violation(1007));
    }

    #[test]
    fn a_claimed_length_reserves_nothing_before_its_bytes_come() {
        let mut pool = BufferPool::new(1, 64);
        let mut decoder = Decoder::new(usize::MAX);
        let head = [&[0x82, 127][..], &(1u64 << 40).to_be_bytes()].concat();
        let fed =
            decoder.feed(&head, &mut pool, &mut FrameCounts::default(), &mut |_: Item<'_>| Ok(()));
        assert_eq!((fed, pool.grown()), (Ok(()), 0));
        assert!(decoder.cut_off().is_some());
    }

    #[test]
    fn the_pool_counts_what_it_allocates_and_frees_what_outgrew_it() {
        let mut pool = BufferPool::new(1, 8);
        let (first, second) = (pool.take().unwrap(), pool.take().unwrap());
        assert_eq!(pool.grown(), 1);
        pool.put(first);
        pool.put(second);
        assert_eq!(pool.free.len(), 1, "no more are kept than it began with");
        let mut buffer = pool.take().unwrap();
        pool.append(&mut buffer, &[0; 4096]).unwrap();
        assert_eq!(pool.grown(), 2);
        pool.put(buffer);
        assert!(pool.free.is_empty(), "one large message does not hold its memory for ever");
    }
}
