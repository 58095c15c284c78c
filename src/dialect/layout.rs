//! The layout of the messages that a cluster sends again and again.
//!
//! Belongs here: remembering how a message was built and reading the next one of the same build.
//! Does not: working out what a message means (`dialect::scan`, `dialect::json_objects`); a layout
//! only ever repeats what they have found.
//!
//! A cluster writes each copy with the same code, so its messages are the same literals with a few
//! values between them, and comparing literals is several times faster than searching: on a Xeon
//! under KVM 15 ns against 136 for an id alone (81 bytes), 42 against 216 for a text in dsatter's
//! frame (334), 14 against 37 for a bare text (150). It may not change the meaning of a single
//! message, and does not, because what is taken for a value can hold nothing that the search looks
//! for:
//!
//! - *digits* replace digits, and no letter touches them. Neither key has a digit (a dialect whose
//!   keys do is searched each time), the markers have none, and a tag has letters before its own;
//! - a *quoted* value is all that stands between two quotes, is no key, and has no `"`, `\`,
//!   brace, space or `s`. So strings, objects and keys stay what they were, and neither a tag
//!   (`fs…`) nor a marker (each has a space) can be in it;
//! - the text is compared whole.
//!
//! Half of a tag's prefix, where it proves damage, does without all that: the second half and digits may be
//! all digits, or a quoted value. A value that is long enough for both is looked into each time (and no
//! frame with one is read by a stencil). The first half has an `s` and so is a literal, and digits that prove
//! it may be a value nearby: what has one outside of its text is not remembered.

use std::ops::Range;

use super::Dialect;
use super::correlation::CorrelationId;
use super::stencil::{Class, Outline};
use super::tag::Tag;
use crate::dialect::json_objects::value_start;
use crate::dialect::payload_search::Texts;
use crate::dialect::recognized::Recognized;
use crate::wire::decoder::LeftOut;

/// Bytes of literals that a layout may have; longer messages are searched each time.
const LITERALS_MAX: usize = 2048;
const SEGMENTS_MAX: usize = 64;

/// Layouts learned in vain, one after another, before learning is given up: a cluster whose
/// messages differ in words each time would pay for it and never gain.
const PATIENCE: u32 = 64;

/// How one kind of message (copies with their text, or ids alone) is built.
#[derive(Debug)]
pub(super) struct Layout {
    literals: Vec<u8>,
    segments: Vec<Segment>,
    /// Whether the layout has fitted any message since it was learned.
    fitted: bool,
    /// Whether what was read last had a value that must be looked into each time.
    looked_into: bool,
    patience: u32,
}

#[derive(Clone, Copy, Debug)]
struct Segment {
    literal_len: usize,
    gap: Gap,
    is_id: bool,
}

/// What stands after a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gap {
    Digits,
    Quoted,
    Text,
    End,
}

/// Where in a message its one text and its one id lie.
#[derive(Clone, Debug, Default)]
pub(super) struct LayoutMarks {
    pub(super) text: Option<Range<usize>>,
    pub(super) id: Option<Range<usize>>,
}

impl Layout {
    /// Knows nothing yet; allocates all that it will ever need.
    pub(super) fn new(dialect: &Dialect) -> Self {
        let key_has_digit = dialect.correlation.as_ref().is_some_and(|keys| {
            [&keys.id_key, &keys.text_key].iter().any(|key| key.contains(|c: char| c.is_numeric()))
        });
        Self {
            literals: Vec::with_capacity(LITERALS_MAX),
            segments: Vec::with_capacity(SEGMENTS_MAX),
            fitted: false,
            looked_into: false,
            patience: if key_has_digit { 0 } else { PATIENCE },
        }
    }

    /// What `message` says if it is built like the one learned.
    #[inline]
    pub(super) fn read(&mut self, message: &[u8], texts: &Texts) -> Option<Recognized> {
        self.read_with(message, texts, |rest| Some((texts.whole(rest)?, texts.len())))
    }

    /// The same of a message with one text, from which bytes of that text are left out.
    pub(super) fn read_abridged(
        &mut self,
        message: &[u8],
        left_out: LeftOut,
        texts: &Texts,
    ) -> Option<Recognized> {
        let whole = |rest: &[u8]| texts.abridged(rest, left_out.after(message.len() - rest.len())?);
        // An id alone proves nothing of bytes that are not there.
        self.read_with(message, texts, whole).filter(|said| matches!(said, Recognized::Copy { .. }))
    }

    /// Whether the layout has fitted a message since it was learned.
    pub(super) const fn has_fitted(&self) -> bool {
        self.fitted
    }

    /// Reads `message`, in which `whole` knows a text with its tag, and how long it is.
    #[inline(always)]
    fn read_with(
        &mut self,
        message: &[u8],
        texts: &Texts,
        whole: impl Fn(&[u8]) -> Option<(Tag, usize)>,
    ) -> Option<Recognized> {
        let mut literals = &self.literals[..];
        let mut rest = message;
        let mut id = None;
        let mut tag = None;
        self.looked_into = false;
        for segment in &self.segments {
            let (literal, later) = literals.split_at(segment.literal_len);
            literals = later;
            if !literal.is_empty() {
                rest = rest.strip_prefix(literal)?;
            }
            let len = match segment.gap {
                Gap::Digits => digits_len(rest),
                Gap::Quoted => quoted_len(rest),
                Gap::Text => {
                    let (found, len) = whole(rest)?;
                    tag = Some(found);
                    len
                }
                Gap::End => break,
            };
            if len == 0 {
                return None;
            }
            if segment.gap != Gap::Text && texts.may_hold_half_a_tag(len) {
                if texts.holds_second_half(&rest[..len]) {
                    return None;
                }
                self.looked_into = true;
            }
            rest = &rest[len..];
            if segment.is_id {
                id = Some(CorrelationId::ending(&message[..message.len() - rest.len()], len));
            }
        }
        if !rest.is_empty() {
            return None;
        }
        self.fitted = true;
        match (tag, id) {
            (Some(Tag { sender, sequence, .. }), id) => {
                Some(Recognized::Copy { sender, sequence, id })
            }
            (None, id) => id.map(Recognized::Id),
        }
    }

    /// Whether messages like the one just read can be told by the class of each of their bytes.
    pub(super) const fn has_outline(&self) -> bool {
        !self.looked_into
    }

    /// Says what each byte is of a message that this layout has just read.
    pub(super) fn outline(&self, message: &[u8], texts: &Texts, outline: &mut Outline) {
        let mut rest = message;
        for segment in &self.segments {
            outline.add(Class::Literal, segment.literal_len);
            rest = &rest[segment.literal_len..];
            let len = match segment.gap {
                Gap::Digits => digits_len(rest),
                Gap::Quoted => quoted_len(rest),
                Gap::Text => texts.len(),
                Gap::End => break,
            };
            match segment.gap {
                Gap::Text => outline.add_text(texts.tag_offset(), len),
                Gap::Digits => outline.add(Class::Digit, len),
                Gap::Quoted | Gap::End => outline.add(Class::Quoted, len),
            }
            rest = &rest[len..];
            if segment.is_id {
                outline.note_id(len);
            }
        }
    }

    /// Whether learning pays; once it does not, it never does again.
    pub(super) const fn learns(&self) -> bool {
        self.patience > 0
    }

    /// Takes the build of `message`, which the search found to be one sighting.
    #[cold]
    pub(super) fn learn(&mut self, message: &[u8], marks: &LayoutMarks) {
        let fitted = std::mem::take(&mut self.fitted);
        self.patience = if fitted { PATIENCE } else { self.patience - 1 };
        if self.take_apart(message, marks).is_none() {
            self.segments.clear();
            self.literals.clear();
        }
    }

    fn take_apart(&mut self, message: &[u8], marks: &LayoutMarks) -> Option<()> {
        self.segments.clear();
        self.literals.clear();
        let mut marks_left = usize::from(marks.text.is_some()) + usize::from(marks.id.is_some());
        let mut quotes = Quotes::Outside;
        let (mut literal_at, mut at) = (0, 0);
        while at < message.len() {
            let is_id = marks.id.as_ref().is_some_and(|id| id.start == at);
            let value = match &marks.text {
                Some(text) if text.start == at => Some((Gap::Text, text.len())),
                _ => value_at(message, at, quotes, is_id),
            };
            let Some((gap, len)) = value else {
                quotes = quotes.after(message[at]);
                at += 1;
                continue;
            };
            let whole_id = is_id && marks.id.as_ref().map(Range::len) == Some(len);
            marks_left -= usize::from(whole_id || gap == Gap::Text);
            self.push(&message[literal_at..at], gap, whole_id)?;
            quotes = quotes.after(message[at]);
            at += len;
            literal_at = at;
        }
        self.push(&message[literal_at..], Gap::End, false)?;
        (marks_left == 0).then_some(())
    }

    fn push(&mut self, literal: &[u8], gap: Gap, is_id: bool) -> Option<()> {
        if self.segments.len() == SEGMENTS_MAX || self.literals.len() + literal.len() > LITERALS_MAX
        {
            return None;
        }
        self.literals.extend_from_slice(literal);
        self.segments.push(Segment { literal_len: literal.len(), gap, is_id });
        Some(())
    }
}

/// Where a byte stands as regards strings, by the rules of `dialect::json_objects`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quotes {
    Outside,
    /// Right after the opening quote.
    Opened,
    Inside,
    /// Right after a backslash.
    Escaped,
}

impl Quotes {
    const fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Outside, b'"') => Self::Opened,
            (Self::Outside, _) | (Self::Opened | Self::Inside, b'"') => Self::Outside,
            (Self::Opened | Self::Inside, b'\\') => Self::Escaped,
            (Self::Opened | Self::Inside | Self::Escaped, _) => Self::Inside,
        }
    }
}

/// The value that begins at `at`, if one that may vary does. Words that have no digit are taken
/// for literals, but not the id.
fn value_at(message: &[u8], at: usize, quotes: Quotes, is_id: bool) -> Option<(Gap, usize)> {
    let rest = &message[at..];
    let digits = digits_len(rest);
    if quotes == Quotes::Opened {
        let len = quoted_len(rest);
        let varies = is_id || rest[..len].iter().any(u8::is_ascii_digit);
        let whole = rest.get(len) == Some(&b'"') && value_start(rest, len + 1).is_none();
        if len > digits && varies && whole {
            return Some((Gap::Quoted, len));
        }
    }
    let around = [message[..at].last(), rest.get(digits)];
    let touched = around.into_iter().flatten().any(u8::is_ascii_alphanumeric);
    (digits > 0 && !touched).then_some((Gap::Digits, digits))
}

const EACH: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x80 * EACH;

/// How many of the first bytes are decimal digits.
#[inline]
fn digits_len(bytes: &[u8]) -> usize {
    run_len(bytes, |word| {
        let values = word ^ (0x30 * EACH);
        values.wrapping_add(0x76 * EACH) | values
    })
}

/// How many of the first bytes a quoted value may have: printable ASCII from `#` to `z`, without
/// the backslash and `s`. That leaves out the quote, the space and the braces.
#[inline]
fn quoted_len(bytes: &[u8]) -> usize {
    run_len(bytes, |word| {
        let below = !(word | HIGH_BITS).wrapping_sub(0x23 * EACH);
        let above = word.wrapping_add(0x05 * EACH) | word;
        below | above | zero_bytes(word ^ (0x5c * EACH)) | zero_bytes(word ^ (0x73 * EACH))
    })
}

/// High bit set in the first zero byte, and perhaps in later ones.
#[inline]
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(EACH) & !word
}

/// Bytes before the first whose high bit `unfit` sets, eight at a time; what `unfit` makes of the
/// bytes after that one does not matter.
#[inline]
fn run_len(bytes: &[u8], unfit: impl Fn(u64) -> u64) -> usize {
    let (words, tail) = bytes.as_chunks::<8>();
    let mut len = 0;
    for word in words {
        let unfit = unfit(u64::from_le_bytes(*word)) & HIGH_BITS;
        if unfit != 0 {
            return len + unfit.trailing_zeros() as usize / 8;
        }
        len += 8;
    }
    // Padded with zeros, which fit nowhere.
    let mut word = [0; 8];
    word[..tail.len()].copy_from_slice(tail);
    len + (unfit(u64::from_le_bytes(word)) & HIGH_BITS).trailing_zeros() as usize / 8
}
