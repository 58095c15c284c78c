//! Whole frames of one build and one length, compared as they lie on the wire.
//!
//! Belongs here: telling that frames are built like one before them, header and all. Does not: what a
//! message means (`dialect::scan`) and what may vary in it (`dialect::layout`): a stencil repeats what they
//! have found.
//!
//! A layout reads a message piece by piece, since its values may be longer or shorter. Nearly always they
//! are as long as in the message before, and then every byte has its place: each is a literal, a digit, part
//! of a quoted value or of the tag's body, and a frame is 32 bytes at a time compared with what belongs
//! there. That takes 4 ns for 150 bytes where decoder and layout take 15. A frame that fits is one that the
//! layout would have read to the same result; any other is left to the decoder.
//!
//! `template` compares on any CPU: the compiler makes vectors of 16 bytes of it where the CPU always has them.
//! `avx2` is the same for CPUs that have more.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod template;

use self::template::{BATCH, FRAME_MAX, Template};
pub(super) use self::template::{Bodies, Class, NO_BODIES, Outline};
use crate::dialect::recognized::Recognized;
use crate::wire::frame::plain_header;

/// Frames that a stencil must take to have been worth cutting.
const PAYS: u64 = 16;
/// Messages that a stencil which did not pay goes unchanged at most.
const PAUSE_MAX: u32 = 1 << 12;

/// How frames are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// With the widest vectors that this CPU has.
    #[default]
    Widest,
    /// With those that every CPU of its kind has.
    Portable,
    /// Not at all: message by message. For tests that hold the others against it.
    ByMessage,
}

/// Frames taken from the front of some bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// How many.
    pub frames: u64,
    /// Bytes of all of them.
    pub bytes: usize,
}

/// The template of one layout, and whether it pays to cut it anew.
#[derive(Debug)]
pub(super) struct Stencil {
    template: Template,
    outline: Outline,
    reading: Reading,
    #[cfg(target_arch = "x86_64")]
    avx2: Option<avx2::Avx2>,
    /// Frames that it took since it was cut, and messages of its layout that it did not.
    hits: u64,
    strays: u64,
    /// Messages until it may be cut again, and how many it will be if that does not pay either.
    wait: u32,
    pause: u32,
}

impl Stencil {
    /// Fits nothing yet; allocates all that it will ever need.
    pub(super) fn new(run: u32) -> Self {
        Self {
            template: Template::new(run),
            outline: Outline::new(),
            reading: Reading::Widest,
            #[cfg(target_arch = "x86_64")]
            avx2: avx2::Avx2::detect(),
            hits: 0,
            strays: 0,
            wait: 0,
            pause: 0,
        }
    }

    /// Compares in this way from now on: before the first message.
    pub(super) fn read_by(&mut self, reading: Reading) {
        self.reading = reading;
        #[cfg(target_arch = "x86_64")]
        if reading != Reading::Widest {
            self.avx2 = None;
        }
    }

    /// Notes a message of `len` bytes that the layout has read and this has not, and says whether to cut
    /// it after that message. Lengths that change each time would have it cut each time and never used:
    /// where it did not pay, the pauses grow.
    #[inline]
    pub(super) fn misses(&mut self, len: usize) -> bool {
        self.strays += 1;
        let known = self.template.len - self.template.header_len;
        // A frame that a read cuts comes this way although it fits.
        (len != known || self.strays > 64 + self.hits / 16) && self.may_be_cut(len)
    }

    #[cold]
    fn may_be_cut(&mut self, len: usize) -> bool {
        if self.wait > 0 || self.reading == Reading::ByMessage || len + 4 > FRAME_MAX {
            self.wait = self.wait.saturating_sub(1);
            return false;
        }
        self.pause = if self.hits >= PAYS { 0 } else { (2 * self.pause + 1).min(PAUSE_MAX) };
        self.wait = self.pause;
        true
    }

    /// Remembers frames like that of `message`, which is binary or text; `outline` tells what its bytes are.
    #[cold]
    pub(super) fn cut(
        &mut self,
        (message, is_binary): (&[u8], bool),
        outline: impl FnOnce(&mut Outline),
    ) {
        (self.hits, self.strays) = (0, 0);
        (self.template.len, self.template.header_len) = (0, 0);
        let Some((header, header_len)) = plain_header(is_binary, message.len()) else { return };
        self.outline.begin(header_len);
        outline(&mut self.outline);
        debug_assert_eq!(self.outline.classes.len(), header_len + message.len());
        self.template.cut(&header[..header_len], message, &self.outline);
    }

    /// Takes frames from the front of `bytes` as long as they fit. Copies of one sender that follow each
    /// other in its stream are one visit.
    #[inline]
    pub(super) fn run(
        &mut self,
        bytes: &[u8],
        bodies: &mut Bodies,
        visit: &mut impl FnMut(Recognized, u32),
    ) -> Taken {
        let mut taken = Taken::default();
        let len = self.template.len;
        while self.template.may_begin(&bytes[taken.bytes..]) {
            let rest = &bytes[taken.bytes..];
            let frames = self.fitting(rest, bodies);
            self.template.tell(rest, &bodies[..frames], visit);
            taken.frames += frames as u64;
            taken.bytes += frames * len;
            if frames < BATCH {
                break;
            }
        }
        self.hits += taken.frames;
        taken
    }

    /// How many frames at the front of `bytes` fit, up to a batch; and the bodies of their tags.
    #[inline]
    fn fitting(&self, bytes: &[u8], bodies: &mut Bodies) -> usize {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = self.avx2 {
            return avx2.fitting(&self.template, bytes, bodies);
        }
        self.template.fitting(bytes, bodies)
    }
}
