//! What the bytes of a frame must be, and comparing them on any CPU.
//!
//! Belongs here: the template of frames of one build and length, and code for it that the compiler makes
//! vectors of. Does not: the same in a CPU's own words (`avx2`), and when a template is made (`stencil`).

use crate::dialect::correlation::CorrelationId;
use crate::dialect::recognized::Recognized;
use crate::dialect::tag::{self, BODY_LEN, RUN_PREFIX_LEN, TAG_LEN};

/// Bytes that are compared at once, in two halves.
pub(super) const LANES: usize = 32;
pub(super) const HALF: usize = LANES / 2;
/// A longer frame is left to its layout, whose own comparison is then what takes the time.
pub(super) const FRAME_MAX: usize = 4096;
/// Frames between two looks at what they were.
pub(super) const BATCH: usize = 64;

/// What a byte of a message may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dialect) enum Class {
    /// This byte.
    Literal,
    /// A decimal digit.
    Digit,
    /// What a quoted value may have.
    Quoted,
    /// A digit of a tag, read by itself.
    Tag,
}

/// Which byte of a frame is of which class.
#[derive(Debug)]
pub(in crate::dialect) struct Outline {
    pub(super) classes: Vec<Class>,
    /// Where the tag's body begins.
    body_at: Option<usize>,
    /// The end of the id, and its length.
    id: Option<(usize, usize)>,
}

impl Outline {
    pub(super) fn new() -> Self {
        Self { classes: Vec::with_capacity(FRAME_MAX), body_at: None, id: None }
    }

    pub(super) fn begin(&mut self, header_len: usize) {
        self.classes.clear();
        (self.body_at, self.id) = (None, None);
        self.add(Class::Literal, header_len);
    }

    /// The next `len` bytes are of this class.
    pub(in crate::dialect) fn add(&mut self, class: Class, len: usize) {
        let end = self.classes.len() + len;
        assert!(end <= FRAME_MAX, "outlines are of messages that fit");
        self.classes.resize(end, class);
    }

    /// The next `len` bytes are a text with its tag at `tag_offset`.
    pub(in crate::dialect) fn add_text(&mut self, tag_offset: usize, len: usize) {
        let body_at = self.classes.len() + tag_offset + RUN_PREFIX_LEN;
        self.add(Class::Literal, len);
        self.classes[body_at..body_at + TAG_LEN - RUN_PREFIX_LEN].fill(Class::Tag);
        self.body_at = Some(body_at);
    }

    /// The `len` bytes before this are the id.
    pub(in crate::dialect) fn note_id(&mut self, len: usize) {
        self.id = Some((self.classes.len(), len));
    }
}

/// 32 bytes of a frame: what they must be, and where (0xff) they must be that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub(super) at: usize,
    pub(super) literal: [u8; LANES],
    pub(super) is_literal: [u8; LANES],
}

/// A block with values in it, and where they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Varied {
    pub(super) block: Block,
    pub(super) is_digit: [u8; LANES],
    pub(super) is_quoted: [u8; LANES],
}

/// Frames of one build and length. In every block, `at + upper + HALF <= len`, and where there is a tag
/// `body_at + BODY_LEN <= len`: `avx2` reads without looking again.
#[derive(Debug)]
pub(super) struct Template {
    /// Bytes of a frame; 0 where there is no template yet.
    pub(super) len: usize,
    pub(super) header: [u8; 4],
    pub(super) header_len: usize,
    /// From the first half of a block to its second: less than 16 where a frame is shorter than a block.
    pub(super) upper: usize,
    pub(super) body_at: Option<usize>,
    pub(super) id: Option<(usize, usize)>,
    pub(super) run_weight: u64,
    /// Those with a byte that is no literal come first.
    pub(super) plain: Vec<Block>,
    pub(super) varied: Vec<Varied>,
}

/// The numbers that the bodies of a batch's tags write.
pub(in crate::dialect) type Bodies = [u64; BATCH];

pub(in crate::dialect) const NO_BODIES: Bodies = [0; BATCH];

impl Template {
    /// Fits nothing yet; allocates all that it will ever need.
    pub(super) fn new(run: u32) -> Self {
        let blocks = FRAME_MAX / LANES + 1;
        Self {
            len: 0,
            header: [0; 4],
            header_len: 0,
            upper: HALF,
            body_at: None,
            id: None,
            run_weight: tag::run_weight(run),
            plain: Vec::with_capacity(blocks),
            varied: Vec::with_capacity(blocks),
        }
    }

    /// Takes the build of `message`.
    pub(super) fn cut(&mut self, header: &[u8], message: &[u8], outline: &Outline) {
        let len = header.len() + message.len();
        (self.body_at, self.id) = (outline.body_at, outline.id);
        self.plain.clear();
        self.varied.clear();
        // A sighting needs either; and what is shorter than half a block is not worth a path of its own.
        if len < HALF || (self.body_at.is_none() && self.id.is_none()) {
            return;
        }
        self.upper = HALF.min(len - HALF);
        let last = len - HALF - self.upper;
        for at in (0..last).step_by(LANES).chain([last]) {
            self.push(at, header, message, &outline.classes);
        }
        self.plain.sort_unstable_by_key(|block| (block.is_literal == [0xff; LANES], block.at));
        self.header = [0; 4];
        self.header[..header.len()].copy_from_slice(header);
        (self.header_len, self.len) = (header.len(), len);
        let within = |block: &Block| block.at + self.upper + HALF <= len;
        assert!(self.plain.iter().chain(self.varied.iter().map(|v| &v.block)).all(within));
        assert!(self.body_at.is_none_or(|at| at + BODY_LEN <= len));
    }

    fn push(&mut self, at: usize, header: &[u8], message: &[u8], classes: &[Class]) {
        let place = |lane: usize| at + if lane < HALF { lane } else { lane - HALF + self.upper };
        let byte = |at: usize| match at.checked_sub(header.len()) {
            Some(at) => message[at],
            None => header[at],
        };
        let all = |class| {
            std::array::from_fn(|lane| if classes[place(lane)] == class { 0xff } else { 0 })
        };
        let literal = std::array::from_fn(|lane| byte(place(lane)));
        let block = Block { at, literal, is_literal: all(Class::Literal) };
        let (is_digit, is_quoted) = (all(Class::Digit), all(Class::Quoted));
        if is_digit == [0; LANES] && is_quoted == [0; LANES] {
            self.plain.push(block);
        } else {
            self.varied.push(Varied { block, is_digit, is_quoted });
        }
    }

    /// Whether there is a template, and bytes enough for a frame that begins like it.
    #[inline]
    pub(super) fn may_begin(&self, bytes: &[u8]) -> bool {
        self.len > 0 && bytes.len() >= self.len && bytes[..2] == self.header[..2]
    }

    /// Says what the frames at the front of `bytes` are, one for each of `bodies`.
    #[inline(always)]
    pub(super) fn tell(
        &self,
        bytes: &[u8],
        bodies: &[u64],
        visit: &mut impl FnMut(Recognized, u32),
    ) {
        let Some((id_end, id_len)) = self.id else {
            return runs(bodies, |body, many| {
                let (sender, sequence) = tag::split(body);
                visit(Recognized::Copy { sender, sequence, id: None }, many);
            });
        };
        for (frame, &body) in bytes.chunks_exact(self.len).zip(bodies) {
            let id = CorrelationId::ending(&frame[..id_end], id_len);
            let (sender, sequence) = tag::split(body);
            let sighting = match self.body_at {
                Some(_) => Recognized::Copy { sender, sequence, id: Some(id) },
                None => Recognized::Id(id),
            };
            visit(sighting, 1);
        }
    }

    /// How many frames at the front of `bytes` fit, up to a batch; and the bodies of their tags.
    pub(super) fn fitting(&self, bytes: &[u8], bodies: &mut Bodies) -> usize {
        for (frames, (frame, number)) in
            bytes.chunks_exact(self.len).zip(bodies.iter_mut()).enumerate()
        {
            match self.body_of(frame) {
                Some(body) => *number = body,
                None => return frames,
            }
        }
        BATCH.min(bytes.len() / self.len)
    }

    /// The body of the tag of a frame that fits; 0 where there is none.
    #[inline]
    fn body_of(&self, frame: &[u8]) -> Option<u64> {
        let mut wrong = [0_u8; HALF];
        for block in &self.plain {
            for (lanes, at) in [(0, block.at), (HALF, block.at + self.upper)] {
                let bytes = frame.get(at..)?.first_chunk::<HALF>()?;
                block.differ(lanes, bytes, &mut wrong);
            }
        }
        for varied in &self.varied {
            for (lanes, at) in [(0, varied.block.at), (HALF, varied.block.at + self.upper)] {
                let bytes = frame.get(at..)?.first_chunk::<HALF>()?;
                varied.block.differ(lanes, bytes, &mut wrong);
                varied.misfit(lanes, bytes, &mut wrong);
            }
        }
        if u128::from_ne_bytes(wrong) != 0 {
            return None;
        }
        let Some(at) = self.body_at else { return Some(0) };
        let body = tag::number(frame.get(at..)?.first_chunk()?)?;
        tag::checks(self.run_weight, body).then_some(body)
    }
}

impl Block {
    /// Sets bits where the half from `lanes` on has another byte than it must.
    #[inline]
    fn differ(&self, lanes: usize, bytes: &[u8; HALF], wrong: &mut [u8; HALF]) {
        for lane in 0..HALF {
            let unlike = bytes[lane] ^ self.literal[lanes + lane];
            wrong[lane] |= unlike & self.is_literal[lanes + lane];
        }
    }
}

impl Varied {
    /// Sets bits where the half from `lanes` on has no digit or no part of a quoted value where it must.
    #[inline]
    fn misfit(&self, lanes: usize, bytes: &[u8; HALF], wrong: &mut [u8; HALF]) {
        let when = |bad: bool| if bad { 0xff } else { 0 };
        for lane in 0..HALF {
            let byte = bytes[lane];
            let quoted = when(byte.wrapping_sub(QUOTED_LEAST) > QUOTED_MOST - QUOTED_LEAST)
                | when(byte == QUOTED_NEVER[0])
                | when(byte == QUOTED_NEVER[1]);
            wrong[lane] |= when(byte.wrapping_sub(b'0') > 9) & self.is_digit[lanes + lane];
            wrong[lane] |= quoted & self.is_quoted[lanes + lane];
        }
    }
}

/// What a quoted value may have, as `dialect::layout` says and why.
pub(super) const QUOTED_LEAST: u8 = b'#';
pub(super) const QUOTED_MOST: u8 = b'z';
pub(super) const QUOTED_NEVER: [u8; 2] = *b"\\s";

/// Visits the first of each stretch of numbers that one sender's messages in order have, and how many they
/// are.
#[inline(always)]
fn runs(bodies: &[u64], mut visit: impl FnMut(u64, u32)) {
    let mut at = 0;
    while let Some(&first) = bodies.get(at) {
        let (_, sequence) = tag::split(first);
        // The next number after the last that fits would be the next sender's first.
        let end = bodies.len().min(at.saturating_add((tag::SEQUENCE_MAX - sequence) as usize + 1));
        let mut next = at + 1;
        while next < end && bodies[next] >> 8 == (first >> 8) + (next - at) as u64 {
            next += 1;
        }
        visit(first, (next - at) as u32);
        at = next;
    }
}
