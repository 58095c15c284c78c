//! Texts of this run in a stretch of bytes, and what is left of damaged ones.
//!
//! Belongs here: the search for tags and for the words around them. Does not: ids and JSON
//! (`dialect::json_objects`), nor what a whole message comes to (`dialect::scan`).
//!
//! Damage is told from other people's text by what nobody else writes, at every size of text: the run's
//! nonce; our name in a whole lead-in; a long stretch of the words after a tag. Texts too short for a whole
//! lead-in have half of the nonce instead, in front of digits whose check is right for this run. What is
//! left of a text beyond that is foreign, and its copy is missing.

use std::ops::Range;

use memchr::memmem::Finder;

use crate::dialect::correlation::CorrelationId;
use crate::dialect::recognized::Recognized;
use crate::dialect::tag::{BODY_LEN, PREFIX, RUN_PREFIX_LEN, TAG_LEN, Tag, run_prefix};
use crate::dialect::text::TextShape;
use crate::wire::decoder::LeftOut;

/// Half of the bytes that all tags of a run begin with.
const HALF_LEN: usize = RUN_PREFIX_LEN / 2;

/// What a stretch of a message holds; the greater counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Seen {
    Nothing,
    /// Texts of another run only.
    Replay,
    /// Texts of this run, whole or damaged.
    Ours,
}

/// Finds texts of this run, and what is left of damaged ones.
#[derive(Debug)]
pub(super) struct Texts {
    shape: TextShape,
    run: u32,
    run_prefix: Finder<'static>,
    /// How many runs before this one were ours: their nonces lie right below its own.
    earlier: u32,
    any_prefix: Finder<'static>,
    /// Every text of this run begins with it: the lead-in and the run's prefix.
    head: Vec<u8>,
    lead: Option<Finder<'static>>,
    /// The two halves of the run's prefix, where texts have no whole lead-in.
    halves: Option<[Finder<'static>; 2]>,
    tail: Option<Finder<'static>>,
}

impl Texts {
    pub(super) fn new(shape: &TextShape, run: u32) -> Self {
        let finder = |needle: &[u8]| Finder::new(needle).into_owned();
        let lead = shape.lead_marker().map(finder);
        let halves = || <[_; 2]>::from(run_prefix(run).split_at(HALF_LEN)).map(finder);
        Self {
            head: shape.head(&run_prefix(run)),
            shape: shape.clone(),
            run,
            run_prefix: finder(&run_prefix(run)),
            earlier: 0,
            any_prefix: finder(&PREFIX),
            halves: lead.is_none().then(halves),
            lead,
            tail: shape.tail_marker().map(finder),
        }
    }

    /// The same for streams: only what is told by the bytes of one text, from its first to its last.
    pub(super) fn in_streams(shape: &TextShape, run: u32) -> Self {
        Self { halves: None, tail: None, ..Self::new(shape, run) }
    }

    /// Where the next tag of this run begins, at `from` or behind.
    #[inline]
    pub(super) fn next_tag(&self, stretch: &[u8], from: usize) -> Option<usize> {
        self.run_prefix.find(&stretch[from..]).map(|step| from + step)
    }

    /// Notes what begins in `gap` of a stream, where no tag of this run does.
    #[inline]
    pub(super) fn judge_gap(
        &self,
        stretch: &[u8],
        gap: Range<usize>,
        note: &mut impl FnMut(Recognized),
    ) {
        if self.earlier > 0 {
            self.earlier(stretch, gap.clone(), None, note);
        }
        let Some(lead) = self.lead.as_ref().filter(|lead| gap.len() >= lead.needle().len()) else {
            return;
        };
        for at in lead.find_iter(&stretch[gap.clone()]) {
            let behind = &stretch[gap.start + at + lead.needle().len()..];
            // A tag of this run speaks for itself.
            if !behind.starts_with(self.run_prefix.needle()) && Tag::decode(behind).is_err() {
                note(Recognized::Corrupt);
            }
        }
    }

    /// All runs from `first` to the one before this one were ours.
    pub(super) const fn after(&mut self, first: u32) {
        self.earlier = self.run.wrapping_sub(first);
    }

    /// Bytes of every text.
    pub(super) const fn len(&self) -> usize {
        self.shape.len()
    }

    /// Where in each text its tag begins.
    pub(super) const fn tag_offset(&self) -> usize {
        self.shape.tag_offset()
    }

    /// Where the first text of `message` is, if its tag is to be trusted.
    pub(super) fn find(&self, message: &[u8]) -> Option<Range<usize>> {
        let start = self.run_prefix.find(message)?.checked_sub(self.shape.tag_offset())?;
        Some(start..start + self.len())
    }

    /// The tag of the whole, unaltered text that `bytes` begin with.
    #[inline]
    pub(super) fn whole(&self, bytes: &[u8]) -> Option<Tag> {
        let body = bytes.strip_prefix(&self.head[..])?;
        let tag = Tag::decode_body(self.run, body).ok()?;
        self.shape.ends(&body[TAG_LEN - RUN_PREFIX_LEN..]).then_some(tag)
    }

    /// The tag of such a text from which bytes are left out, and how many bytes are still there.
    pub(super) fn abridged(&self, bytes: &[u8], left_out: LeftOut) -> Option<(Tag, usize)> {
        let words_at = self.tag_offset() + TAG_LEN;
        let left_out = left_out.after(words_at)?;
        let body = bytes.strip_prefix(&self.head[..])?;
        let tag = Tag::decode_body(self.run, body).ok()?;
        let is_whole = self.shape.ends_without(left_out, &bytes[words_at..]);
        is_whole.then(|| (tag, self.len() - left_out.len as usize))
    }

    /// Whether `len` bytes are enough for the second half of a tag's prefix and the digits that make it
    /// evidence, and whether they do.
    #[inline]
    pub(super) const fn may_hold_half_a_tag(&self, len: usize) -> bool {
        len >= HALF_LEN + BODY_LEN && self.halves.is_some()
    }

    /// Whether the second half of the run's prefix is in `value`, where it may be evidence.
    pub(super) fn holds_second_half(&self, value: &[u8]) -> bool {
        self.halves.as_ref().is_some_and(|[_, second]| second.find(value).is_some())
    }

    /// How often the first half of the run's prefix is in `message`, where it may be evidence.
    pub(super) fn first_halves(&self, message: &[u8]) -> usize {
        self.halves.as_ref().map_or(0, |[first, _]| first.find_iter(message).count())
    }

    /// Notes the texts in `stretch` and says what it held.
    pub(super) fn scan(
        &self,
        stretch: &[u8],
        id: Option<CorrelationId>,
        note: &mut impl FnMut(Recognized),
    ) -> Seen {
        let mut seen = Seen::Nothing;
        let mut done = 0;
        while let Some(step) = self.run_prefix.find(&stretch[done..]) {
            let tag_at = done + step;
            let text_at = tag_at.saturating_sub(self.shape.tag_offset());
            self.damaged(stretch, done..text_at, tag_at, note);
            self.earlier(stretch, done..text_at, id, note);
            seen = Seen::Ours;
            done = self.judge(stretch, tag_at, id, note);
        }
        let seen = seen.max(self.earlier(stretch, done..stretch.len(), id, note));
        match seen.max(self.damaged(stretch, done..stretch.len(), stretch.len(), note)) {
            Seen::Nothing => self.headless(stretch, note),
            seen => seen,
        }
    }

    /// Says what the tag at `tag_at` is, and up to where the stretch is thereby explained.
    pub(super) fn judge(
        &self,
        stretch: &[u8],
        tag_at: usize,
        id: Option<CorrelationId>,
        note: &mut impl FnMut(Recognized),
    ) -> usize {
        match Tag::decode_body(self.run, &stretch[tag_at + RUN_PREFIX_LEN..]) {
            Ok(Tag { sender, sequence, .. }) if self.shape.intact(stretch, tag_at) => {
                note(Recognized::Copy { sender, sequence, id });
                tag_at - self.shape.tag_offset() + self.shape.len()
            }
            _ => {
                note(Recognized::Corrupt);
                tag_at + RUN_PREFIX_LEN
            }
        }
    }

    /// Whole texts of earlier runs of ours in `gap`.
    fn earlier(
        &self,
        stretch: &[u8],
        gap: Range<usize>,
        id: Option<CorrelationId>,
        note: &mut impl FnMut(Recognized),
    ) -> Seen {
        let mut seen = Seen::Nothing;
        let Some(searched) = stretch.get(gap.clone()).filter(|_| self.earlier > 0) else {
            return seen;
        };
        for at in self.any_prefix.find_iter(searched) {
            let tag_at = gap.start + at;
            let Ok(Tag { run, sender, sequence }) = Tag::decode(&stretch[tag_at..]) else {
                continue;
            };
            let before = self.run.wrapping_sub(run);
            if (1..=self.earlier).contains(&before) && self.shape.intact(stretch, tag_at) {
                note(Recognized::Earlier { run, sender, sequence, id });
                seen = Seen::Replay;
            }
        }
        seen
    }

    /// Lead-ins up to `until`, where no tag of this run follows: a tag of another run, or a damaged one. They
    /// may reach behind `gap`, to where a text of which the tag is left would have its own.
    fn damaged(
        &self,
        stretch: &[u8],
        gap: Range<usize>,
        until: usize,
        note: &mut impl FnMut(Recognized),
    ) -> Seen {
        let mut seen = self.half_tags(stretch, gap.clone(), note);
        let Some(lead) = &self.lead else { return seen };
        let mut at = gap.start;
        while let Some(step) = stretch.get(at..until).and_then(|gap| lead.find(gap)) {
            at += step + lead.needle().len();
            if stretch[at..].starts_with(self.run_prefix.needle()) {
                // A tag of this run speaks for itself.
                continue;
            }
            if Tag::decode(&stretch[at..]).is_ok() {
                seen = seen.max(Seen::Replay);
            } else {
                note(Recognized::Corrupt);
                seen = Seen::Ours;
            }
        }
        seen
    }

    /// Tags in `gap` of which half of the run's prefix was altered, and nothing else.
    fn half_tags(
        &self,
        stretch: &[u8],
        gap: Range<usize>,
        note: &mut impl FnMut(Recognized),
    ) -> Seen {
        let mut seen = Seen::Nothing;
        let Some(halves) = &self.halves else { return seen };
        // Begins in the gap.
        let within = gap.start..(gap.end + HALF_LEN - 1).min(stretch.len());
        let Some(within) = stretch.get(within) else { return seen };
        // What belongs between the first half and the digits is altered, what belongs before the second
        // may be cut off.
        for (half, body_at) in halves.iter().zip([RUN_PREFIX_LEN, HALF_LEN]) {
            for step in half.find_iter(within) {
                let body = stretch.get(gap.start + step + body_at..).unwrap_or_default();
                if Tag::decode_body(self.run, body).is_ok() {
                    note(Recognized::Corrupt);
                    seen = Seen::Ours;
                }
            }
        }
        seen
    }

    /// A text that lost its front: the words after the tag, without a whole tag before them.
    fn headless(&self, stretch: &[u8], note: &mut impl FnMut(Recognized)) -> Seen {
        let Some(tail) = &self.tail else {
            return Seen::Nothing;
        };
        let Some(at) = tail.find(stretch) else {
            return Seen::Nothing;
        };
        let tag = at.checked_sub(TAG_LEN).and_then(|tag_at| Tag::decode(&stretch[tag_at..]).ok());
        if tag.is_some() {
            return Seen::Replay;
        }
        note(Recognized::Corrupt);
        Seen::Ours
    }
}
