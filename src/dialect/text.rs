//! The text of a message: a tag, and human words around it up to the size asked for.
//!
//! Belongs here: what surrounds the tag, and telling whether it came back unaltered. Does not: the
//! tag itself (`dialect::tag`), what a dialect wraps around the text (`dialect::template`).
//!
//! Only `[a-z0-9 ]` is used, so JSON, XML, STOMP, MQTT and URLs carry the text unescaped, and a
//! copy can be compared byte by byte.

use super::tag::{TAG_LEN, Tag};
use crate::wire::decoder::LeftOut;

const LEAD_IN: &[u8] = b"fanstorm message ";
const FILLER: &[u8] = b"one node takes it and every node passes it on until all who listen have \
    heard it once and in order ";

/// The first words after the tag prove that a text was ours where they are so many: fewer are a turn of
/// speech that anybody may use.
const TAIL_MARKER_LEN: usize = 32;

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
        let words = payload_bytes.checked_sub(TAG_LEN).ok_or(PayloadTooSmall { payload_bytes })?;
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

    /// After so many bytes the words behind the tag repeat themselves.
    pub const PERIOD: usize = FILLER.len();

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
        // Texts of 26 to 43 bytes end with their tag. glibc's `memcmp` of no bytes is a masked load of none,
        // and that takes a Zen 4 20 ns.
        self.after.is_empty() || after_tag.starts_with(&self.after)
    }

    /// Whether the bytes after a tag begin with the words that belong there, `left_out.len` of them left out.
    pub(super) fn ends_without(&self, left_out: LeftOut, after_tag: &[u8]) -> bool {
        let (at, len) = (left_out.at as usize, left_out.len as usize);
        let Some(words) = self.after.len().checked_sub(len).map(|rest| &self.after[..rest]) else {
            return false;
        };
        // What was left out repeats the period before it, and that must be of these words, too.
        len.is_multiple_of(Self::PERIOD)
            && (Self::PERIOD..=words.len()).contains(&at)
            && after_tag.starts_with(words)
    }

    /// The lead-in, where it is whole and so has our name in it. What is left of it in shorter texts is
    /// ordinary language: `message `, or `storm message `.
    pub(super) fn lead_marker(&self) -> Option<&[u8]> {
        (self.before == LEAD_IN).then_some(&self.before[..])
    }

    /// The first words after the tag, where they are enough to be told from other people's text.
    pub(super) fn tail_marker(&self) -> Option<&[u8]> {
        self.after.get(..TAIL_MARKER_LEN)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TAG: Tag = Tag { run: 0x1b2c_3d4e, sender: 2, sequence: 77 };

    fn rendered(payload_bytes: usize) -> (TextShape, Vec<u8>) {
        let shape = TextShape::new(payload_bytes).expect("large enough");
        let mut text = Vec::new();
        shape.render(TAG, &mut text);
        (shape, text)
    }

    proptest! {
        #[test]
        fn a_text_has_exactly_the_size_asked_for_and_nothing_to_escape(bytes in 26usize..2000) {
            let (shape, text) = rendered(bytes);
            prop_assert_eq!((text.len(), shape.len()), (bytes, bytes));
            let plain = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b' ');
            prop_assert!(text.iter().all(plain));
            prop_assert_eq!(Tag::decode(&text[shape.tag_offset()..]), Ok(TAG));
        }

        #[test]
        fn only_one_tag_is_in_a_text(bytes in 26usize..1000) {
            let (_, text) = rendered(bytes);
            prop_assert_eq!(memchr::memmem::find_iter(&text, b"fs").count(), 1);
        }

        #[test]
        fn a_text_is_intact_wherever_it_lies_and_not_when_a_byte_differs(
            bytes in 26usize..300,
            before in "\\PC{0,40}",
            at: prop::sample::Index,
            change in 1u8..,
        ) {
            let (shape, text) = rendered(bytes);
            let tag_at = before.len() + shape.tag_offset();
            let mut message = [before.as_bytes(), &text, b"\"}"].concat();
            prop_assert!(shape.intact(&message, tag_at));
            let at = at.index(bytes);
            message[before.len() + at] ^= change;
            let in_tag = (shape.tag_offset()..shape.tag_offset() + TAG_LEN).contains(&at);
            prop_assert_eq!(shape.intact(&message, tag_at), in_tag);
        }

        #[test]
        fn a_text_that_lost_bytes_is_not_intact(bytes in 60usize..300, lost in 1usize..34) {
            let (shape, text) = rendered(bytes);
            prop_assert!(!shape.intact(&text[..bytes - lost.min(bytes - 44)], shape.tag_offset()));
            let lost = lost.min(shape.tag_offset());
            prop_assert!(!shape.intact(&text[lost..], shape.tag_offset() - lost));
        }
    }

    #[test]
    fn a_text_reads_like_one() {
        let expected = "fanstorm message fs1b2c3d4e0002000000004de2 \
            one node takes it and every node passes it on until all ";
        assert_eq!(std::str::from_utf8(&rendered(100).1), Ok(expected));
    }

    #[test]
    fn short_texts_lose_their_words_and_then_are_refused() {
        assert_eq!(rendered(43).1[..17], *b"fanstorm message ");
        assert_eq!(rendered(30).1[..4], *b"age ");
        assert_eq!(rendered(26).1, TAG.encode());
        let refused = TextShape::new(25).unwrap_err().to_string();
        assert_eq!(refused, "--payload-bytes 25 is too small: the tag alone takes 26 bytes");
    }
}
