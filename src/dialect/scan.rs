//! What a received application message means: whose copies it carries, if anyone's.
//!
//! Belongs here: recognising copies, ids and damage in application bytes. Does not: frames
//! (`wire`), to which message a copy is attributed and whether it is late, lost or doubled
//! (`measure`).
//!
//! A copy is one occurrence of a tag of this run with its text unaltered around it. A message may
//! carry none, one or many. This is the hottest code of the client after the kernel's.

use memchr::memchr2;
use memchr::memmem::Finder;

use super::correlation::CorrelationId;
use super::elements::{Element, Walker, scalar, value_start};
use super::tag::{RUN_PREFIX_LEN, TAG_LEN, Tag, run_prefix};
use super::text::TextShape;
use super::{Correlation, Dialect};

/// One thing that a message turned out to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sighting {
    /// A message of this run, text and all.
    Copy {
        /// The push socket, or [`super::PROBE_SENDER`].
        sender: u16,
        /// Its number in that socket's stream.
        sequence: u64,
        /// The cluster's own name for it, where the dialect knows one.
        id: Option<CorrelationId>,
    },
    /// A message known by the cluster's name alone.
    Id(CorrelationId),
    /// A text of this run that was altered on its way.
    Corrupt,
    /// Nothing of this run; at most one for a message, and then the only sighting.
    Foreign,
}

/// Reads messages for one run; built before the clock.
#[derive(Debug)]
pub struct Scanner {
    texts: Texts,
    correlated: Option<Correlated>,
}

#[derive(Debug)]
struct Correlated {
    id_key: Finder<'static>,
    text_key: Finder<'static>,
    walker: Walker,
}

impl Scanner {
    /// A scanner for the texts of `shape` that carry tags of `run`.
    pub fn new(dialect: &Dialect, shape: &TextShape, run: u32) -> Self {
        Self {
            texts: Texts::new(shape, run),
            correlated: dialect.correlation.as_ref().map(Correlated::new),
        }
    }

    /// Visits what `message` says: at least one sighting.
    #[inline]
    pub fn scan(&mut self, message: &[u8], visit: &mut impl FnMut(Sighting)) {
        let mut foreign = true;
        let mut note = |sighting| {
            foreign = false;
            visit(sighting);
        };
        match &mut self.correlated {
            None => {
                self.texts.scan(message, None, &mut note);
            }
            Some(correlated) => correlated.scan(&self.texts, message, &mut note),
        }
        if foreign {
            visit(Sighting::Foreign);
        }
    }
}

impl Correlated {
    fn new(correlation: &Correlation) -> Self {
        let quoted = |key: &str| Finder::new(format!("\"{key}\"").as_bytes()).into_owned();
        Self {
            id_key: quoted(&correlation.id_key),
            text_key: quoted(&correlation.text_key),
            walker: Walker::new(correlation),
        }
    }

    #[inline]
    fn scan(&mut self, texts: &Texts, message: &[u8], note: &mut impl FnMut(Sighting)) {
        match self.id_key.find(message) {
            None => {
                texts.scan(message, None, note);
            }
            Some(key_at) => match self.only_id(texts, message, key_at) {
                Some(id) => self.only_element(texts, message, id, note),
                None => self.every_element(texts, message, note),
            },
        }
    }

    /// The id at `key_at` if it is plain that the message is one element, as nearly all are: one
    /// id key, and no brace between it and the only tag.
    ///
    /// A key in quotes cannot be part of a string of well-formed JSON: there its quotes would be
    /// escaped.
    #[inline]
    fn only_id(&self, texts: &Texts, message: &[u8], key_at: usize) -> Option<CorrelationId> {
        let key_end = key_at + self.id_key.needle().len();
        let escaped = message[..key_at].last() == Some(&b'\\');
        if escaped || self.id_key.find(&message[key_end..]).is_some() {
            return None;
        }
        if let Some(tag_at) = texts.run_prefix.find(message) {
            let between = &message[key_at.min(tag_at)..key_at.max(tag_at)];
            let rest = &message[tag_at + RUN_PREFIX_LEN..];
            if memchr2(b'{', b'}', between).is_some() || texts.run_prefix.find(rest).is_some() {
                return None;
            }
        }
        let id = scalar(message, value_start(message, key_end)?)?;
        Some(CorrelationId::from_bytes(&message[id]))
    }

    #[inline]
    fn only_element(
        &mut self,
        texts: &Texts,
        message: &[u8],
        id: CorrelationId,
        note: &mut impl FnMut(Sighting),
    ) {
        if texts.scan(message, Some(id), note) != Seen::Nothing {
            return;
        }
        if self.text_key.find(message).is_some() {
            self.every_element(texts, message, note);
        } else {
            note(Sighting::Id(id));
        }
    }

    fn every_element(&mut self, texts: &Texts, message: &[u8], note: &mut impl FnMut(Sighting)) {
        let mut done = 0;
        self.walker.walk(message, |Element { span, id, has_text }| {
            let id = CorrelationId::from_bytes(&message[id]);
            texts.scan(&message[done..span.start], None, note);
            done = span.end;
            let seen = texts.scan(&message[span], Some(id), note);
            if seen == Seen::Nothing && !has_text {
                note(Sighting::Id(id));
            }
        });
        texts.scan(&message[done..], None, note);
    }
}

/// What a stretch of a message holds; the greater counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    Nothing,
    /// Texts of another run only.
    Replay,
    /// Texts of this run, whole or damaged.
    Ours,
}

/// Finds texts of this run, and what is left of damaged ones.
#[derive(Debug)]
struct Texts {
    shape: TextShape,
    run: u32,
    run_prefix: Finder<'static>,
    lead: Option<Finder<'static>>,
    tail: Option<Finder<'static>>,
}

impl Texts {
    fn new(shape: &TextShape, run: u32) -> Self {
        let finder = |needle: &[u8]| Finder::new(needle).into_owned();
        Self {
            shape: shape.clone(),
            run,
            run_prefix: finder(&run_prefix(run)),
            lead: shape.lead_marker().map(finder),
            tail: shape.tail_marker().map(finder),
        }
    }

    #[inline]
    fn scan(
        &self,
        stretch: &[u8],
        id: Option<CorrelationId>,
        note: &mut impl FnMut(Sighting),
    ) -> Seen {
        let mut seen = Seen::Nothing;
        let mut done = 0;
        while let Some(step) = self.run_prefix.find(&stretch[done..]) {
            let tag_at = done + step;
            let text_at = tag_at.saturating_sub(self.shape.tag_offset());
            self.damaged(stretch, done..text_at, note);
            seen = Seen::Ours;
            done = self.judge(stretch, tag_at, id, note);
        }
        match seen.max(self.damaged(stretch, done..stretch.len(), note)) {
            Seen::Nothing => self.headless(stretch, note),
            seen => seen,
        }
    }

    /// Says what the tag at `tag_at` is, and up to where the stretch is thereby explained.
    #[inline]
    fn judge(
        &self,
        stretch: &[u8],
        tag_at: usize,
        id: Option<CorrelationId>,
        note: &mut impl FnMut(Sighting),
    ) -> usize {
        match Tag::decode_body(self.run, &stretch[tag_at + RUN_PREFIX_LEN..]) {
            Ok(Tag {
                sender, sequence, ..
            }) if self.shape.intact(stretch, tag_at) => {
                note(Sighting::Copy {
                    sender,
                    sequence,
                    id,
                });
                tag_at - self.shape.tag_offset() + self.shape.len()
            }
            _ => {
                note(Sighting::Corrupt);
                tag_at + RUN_PREFIX_LEN
            }
        }
    }

    /// Lead-ins in `gap`, where no tag of this run follows: a tag of another run, or a damaged
    /// one.
    #[inline]
    fn damaged(
        &self,
        stretch: &[u8],
        gap: std::ops::Range<usize>,
        note: &mut impl FnMut(Sighting),
    ) -> Seen {
        let mut seen = Seen::Nothing;
        let Some(lead) = &self.lead else { return seen };
        let mut at = gap.start;
        while let Some(step) = stretch.get(at..gap.end).and_then(|gap| lead.find(gap)) {
            at += step + lead.needle().len();
            if Tag::decode(&stretch[at..]).is_ok() {
                seen = seen.max(Seen::Replay);
            } else {
                note(Sighting::Corrupt);
                seen = Seen::Ours;
            }
        }
        seen
    }

    /// A text that lost its front: the words after the tag, without a whole tag before them.
    fn headless(&self, stretch: &[u8], note: &mut impl FnMut(Sighting)) -> Seen {
        let Some(tail) = &self.tail else {
            return Seen::Nothing;
        };
        let Some(at) = tail.find(stretch) else {
            return Seen::Nothing;
        };
        let tag = at
            .checked_sub(TAG_LEN)
            .and_then(|tag_at| Tag::decode(&stretch[tag_at..]).ok());
        if tag.is_some() {
            return Seen::Replay;
        }
        note(Sighting::Corrupt);
        Seen::Ours
    }
}
