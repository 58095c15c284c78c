//! The text of a message: a tag, and human words around it up to the size asked for.
//!
//! Belongs here: what surrounds the tag, and telling whether it came back unaltered. Does not: the
//! tag itself (`dialect::tag`), what a dialect wraps around the text (`dialect::template`).
//!
//! Only `[a-z0-9 ]` is used, so JSON, XML, STOMP, MQTT and URLs carry the text unescaped, and a
//! copy can be compared byte by byte.

use super::tag::{TAG_LEN, Tag};

const LEAD_IN: &[u8] = b"fanstorm message ";
const FILLER: &[u8] = b"one node takes it and every node passes it on until all who listen have \
    heard it once and in order ";

/// A shortened lead-in with fewer bytes than this is too ordinary to prove that a text was ours.
const MARKER_MIN: usize = 8;
const TAIL_MARKER_LEN: usize = 16;

/// Texts of one size: everything about them but the tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextShape {
    before: Vec<u8>,
    after: Vec<u8>,
}

/// The size asked for does not hold a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--payload-bytes {payload_bytes} is too small: the tag alone takes {TAG_LEN} bytes")]
pub struct PayloadTooSmall {
    payload_bytes: usize,
}

impl TextShape {
    /// The shape of texts of exactly `payload_bytes`. Short ones lose the lead-in first: 26 bytes
    /// are the bare tag.
    ///
    /// # Errors
    /// [`PayloadTooSmall`] below [`TAG_LEN`].
    pub fn new(payload_bytes: usize) -> Result<Self, PayloadTooSmall> {
        let words = payload_bytes
            .checked_sub(TAG_LEN)
            .ok_or(PayloadTooSmall { payload_bytes })?;
        let lead_in = words.min(LEAD_IN.len());
        let filler = b" ".iter().chain(FILLER.iter().cycle());
        Ok(Self {
            before: LEAD_IN[LEAD_IN.len() - lead_in..].to_vec(),
            after: filler.take(words - lead_in).copied().collect(),
        })
    }

    /// Bytes of every text of this shape. Never zero, so there is no `is_empty`.
    #[expect(clippy::len_without_is_empty, reason = "a shape always holds a tag")]
    pub const fn len(&self) -> usize {
        self.before.len() + TAG_LEN + self.after.len()
    }

    /// Where in the text the tag begins.
    pub const fn tag_offset(&self) -> usize {
        self.before.len()
    }

    /// Appends the text that carries `tag`.
    pub fn render(&self, tag: Tag, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.before);
        out.extend_from_slice(&tag.encode());
        out.extend_from_slice(&self.after);
    }

    /// Whether the words around the tag at `tag_at` are all there and unaltered.
    #[inline]
    pub fn intact(&self, payload: &[u8], tag_at: usize) -> bool {
        let Some(start) = tag_at.checked_sub(self.before.len()) else {
            return false;
        };
        let Some(text) = payload.get(start..start + self.len()) else {
            return false;
        };
        let (before, rest) = text.split_at(self.before.len());
        before == self.before && rest[TAG_LEN..] == self.after
    }

    /// The bytes before the tag, with the first bytes of the tag.
    pub(super) fn head(&self, prefix: &[u8]) -> Vec<u8> {
        [&self.before, prefix].concat()
    }

    /// Whether the bytes after a tag begin with the words that belong there.
    #[inline]
    pub(super) fn ends(&self, after_tag: &[u8]) -> bool {
        after_tag.starts_with(&self.after)
    }

    /// The lead-in, where it is long enough to be told from other people's text.
    pub(super) fn lead_marker(&self) -> Option<&[u8]> {
        (self.before.len() >= MARKER_MIN).then_some(&self.before[..])
    }

    /// The first words after the tag, where they are enough to be told from other people's text.
    pub(super) fn tail_marker(&self) -> Option<&[u8]> {
        self.after.get(..TAIL_MARKER_LEN)
    }
}
