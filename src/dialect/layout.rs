//! The layout of the messages that a cluster sends again and again.
//!
//! Belongs here: remembering how a message was built and reading the next one of the same build.
//! Does not: working out what a message means (`dialect::scan`, `dialect::elements`); a layout
//! only ever repeats what they have found.
//!
//! A cluster writes each copy with the same code, so its messages are the same literals with a few
//! values between them, and comparing literals is several times faster than searching for the
//! four needles. It may not change the meaning of a single message, and does not, because what
//! is taken for a value can hold nothing that the search looks for:
//!
//! - a *quoted* value is all that stands between two quotes, is no key, and has no `"`, `\`,
//!   brace, space or `s`. So strings, objects and keys stay what they were, and neither a tag
//!   (`fs…`) nor words of a text (each marker has a space) can be in it;
//! - a *number* has digits and `+-.eE` only, and structure or white space around it;
//! - the text is compared whole.

use super::correlation::CorrelationId;
use super::elements::value_start;
use super::scan::Sighting;
use super::tag::Tag;
use super::texts::Texts;

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
    Quoted,
    Number,
    Text,
    End,
}

/// Where in a message its one text and its one id lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Landmarks {
    pub(super) text_at: Option<usize>,
    pub(super) text_len: usize,
    pub(super) id_at: Option<usize>,
}

impl Layout {
    /// Knows nothing yet; allocates all that it will ever need.
    pub(super) fn new() -> Self {
        Self {
            literals: Vec::with_capacity(LITERALS_MAX),
            segments: Vec::with_capacity(SEGMENTS_MAX),
            fitted: false,
            patience: PATIENCE,
        }
    }

    /// What `message` says if it is built like the one learned.
    #[inline]
    pub(super) fn read(&mut self, message: &[u8], texts: &Texts) -> Option<Sighting> {
        let mut literals = &self.literals[..];
        let mut rest = message;
        let mut id = None;
        let mut tag = None;
        for segment in &self.segments {
            let (literal, later) = literals.split_at(segment.literal_len);
            literals = later;
            rest = rest.strip_prefix(literal)?;
            let len = match segment.gap {
                Gap::Quoted => run_len(rest, QUOTED),
                Gap::Number => number_len(rest),
                Gap::Text => {
                    tag = Some(texts.whole(rest)?);
                    texts.len()
                }
                Gap::End => break,
            };
            let (value, after) = rest.split_at(len);
            rest = after;
            if segment.is_id {
                id = Some(CorrelationId::from_bytes(value));
            }
            if len == 0 {
                return None;
            }
        }
        if !rest.is_empty() {
            return None;
        }
        self.fitted = true;
        match (tag, id) {
            (
                Some(Tag {
                    sender, sequence, ..
                }),
                id,
            ) => Some(Sighting::Copy {
                sender,
                sequence,
                id,
            }),
            (None, id) => id.map(Sighting::Id),
        }
    }

    /// Takes the build of `message`, which the search found to be one sighting.
    #[cold]
    pub(super) fn learn(&mut self, message: &[u8], marks: Landmarks) {
        if !std::mem::take(&mut self.fitted) {
            match self.patience.checked_sub(1) {
                Some(left) => self.patience = left,
                None => return,
            }
        } else {
            self.patience = PATIENCE;
        }
        if self.take_apart(message, marks).is_none() {
            self.segments.clear();
            self.literals.clear();
        }
    }

    fn take_apart(&mut self, message: &[u8], marks: Landmarks) -> Option<()> {
        self.segments.clear();
        self.literals.clear();
        let (mut literal_at, mut at) = (0, 0);
        while at < message.len() {
            let is_id = marks.id_at == Some(at);
            let (gap, len) = if marks.text_at == Some(at) {
                (Gap::Text, marks.text_len)
            } else if let Some(value) = value_at(message, at, is_id) {
                value
            } else if is_id {
                return None;
            } else {
                at += 1;
                continue;
            };
            self.push(&message[literal_at..at], gap, is_id)?;
            at += len;
            literal_at = at;
        }
        self.push(&message[literal_at..], Gap::End, false)
    }

    fn push(&mut self, literal: &[u8], gap: Gap, is_id: bool) -> Option<()> {
        if self.segments.len() == SEGMENTS_MAX || self.literals.len() + literal.len() > LITERALS_MAX
        {
            return None;
        }
        self.literals.extend_from_slice(literal);
        self.segments.push(Segment {
            literal_len: literal.len(),
            gap,
            is_id,
        });
        Some(())
    }
}

/// The value that begins at `at`, if one that may vary does. Words that have no digit are taken
/// for literals, but not the id.
fn value_at(message: &[u8], at: usize, is_id: bool) -> Option<(Gap, usize)> {
    let rest = &message[at..];
    match message[..at].last()? {
        b'"' => {
            let len = run_len(rest, QUOTED);
            let varies = is_id || rest[..len].iter().any(u8::is_ascii_digit);
            let whole = rest.get(len) == Some(&b'"') && value_start(rest, len + 1).is_none();
            (len > 0 && varies && whole).then_some((Gap::Quoted, len))
        }
        b':' | b',' | b'[' | b' ' | b'\t' | b'\n' | b'\r' => {
            let len = number_len(rest);
            let after = rest.get(len)?;
            let whole = matches!(after, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
            (len > 0 && whole).then_some((Gap::Number, len))
        }
        _ => None,
    }
}

const QUOTED: u8 = 1;
const NUMBER: u8 = 2;

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b's' => 0,
            b'0'..=b'9' | b'.' | b'+' | b'-' | b'e' | b'E' => QUOTED | NUMBER,
            b'a'..=b'z' | b'A'..=b'Z' | b':' | b'_' => QUOTED,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

/// Bytes of the JSON number that `bytes` begin with.
#[inline]
fn number_len(bytes: &[u8]) -> usize {
    match bytes.first() {
        Some(b'-' | b'0'..=b'9') => run_len(bytes, NUMBER),
        _ => 0,
    }
}

/// How many of the first bytes are of `class`.
#[inline]
fn run_len(bytes: &[u8], class: u8) -> usize {
    bytes
        .iter()
        .take_while(|byte| CLASSES[usize::from(**byte)] & class != 0)
        .count()
}
