//! Texts in base64 (RFC 4648): writing them, with a tag that can still be patched, and finding them.
//!
//! Belongs here: the encoding and what of it depends on the tag. Does not: what is around a text
//! (`dialect::template`), what a text means (`payload_search`).
//!
//! A text is encoded alone, from its first byte on, so every message of a sender is as long as the others and
//! differs from them in the characters alone that hold bits of the tag.

use super::tag::{TAG_LEN, Tag};
use super::text::TextShape;

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// No digit.
const NONE: u8 = 64;
/// By byte: the digit's value.
const VALUES: [u8; 256] = values();
/// Bytes that share characters with a tag, and the tag.
const AROUND_MAX: usize = TAG_LEN + 4;

const fn values() -> [u8; 256] {
    let mut values = [NONE; 256];
    let mut at = 0;
    while at < DIGITS.len() {
        values[DIGITS[at] as usize] = at as u8;
        at += 1;
    }
    // Of the alphabet for URLs, as some servers write it.
    values[b'-' as usize] = 62;
    values[b'_' as usize] = 63;
    values
}

/// Characters that so many bytes become, padding included.
pub(super) const fn encoded_len(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// Appends `bytes`, padded.
pub(super) fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    for group in bytes.chunks(3) {
        out.extend(quad(group));
    }
}

/// The four characters of up to three bytes.
fn quad(group: &[u8]) -> [u8; 4] {
    let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
    let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
    let digit = |at: usize| match at <= group.len() {
        true => DIGITS[(bits >> (18 - 6 * at)) as usize & 63],
        false => b'=',
    };
    [digit(0), digit(1), digit(2), digit(3)]
}

/// The characters of a text that hold bits of its tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TagInBase64 {
    /// The tag among the bytes that share these characters.
    tag_at: usize,
    bytes: [u8; AROUND_MAX],
    len: usize,
}

/// What is written over a tag in base64.
#[derive(Clone, Copy, Debug)]
pub struct TagText {
    bytes: [u8; encoded_len(AROUND_MAX)],
    len: usize,
}

impl std::ops::Deref for TagText {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl TagInBase64 {
    /// Those of texts of `shape`, and where they begin in an encoded one.
    pub(super) fn of(shape: &TextShape) -> (Self, usize) {
        let mut text = Vec::new();
        shape.render(Tag { run: 0, sender: 0, sequence: 0 }, &mut text);
        let start = shape.tag_offset() / 3 * 3;
        let end = (shape.tag_offset() + TAG_LEN).next_multiple_of(3).min(text.len());
        let mut bytes = [0; AROUND_MAX];
        bytes[..end - start].copy_from_slice(&text[start..end]);
        let tag_at = shape.tag_offset() - start;
        (Self { tag_at, bytes, len: end - start }, start / 3 * 4)
    }

    /// What they are with another tag.
    pub(super) fn with(&self, tag: Tag) -> TagText {
        let mut bytes = self.bytes;
        bytes[self.tag_at..][..TAG_LEN].copy_from_slice(&tag.encode());
        let mut out = TagText { bytes: [0; encoded_len(AROUND_MAX)], len: 0 };
        for group in bytes[..self.len].chunks(3) {
            out.bytes[out.len..][..4].copy_from_slice(&quad(group));
            out.len += 4;
        }
        out
    }
}

/// Writes into `out` what every stretch of base64 in `message` may say that is long enough for `least` bytes: as
/// it begins at its first character, and at each of the next three, since what is before a text may be of the
/// alphabet, too. What follows each is no part of any text.
pub(super) fn decode_all(message: &[u8], least: usize, out: &mut Vec<u8>) {
    out.clear();
    let is_digit = |byte: &u8| VALUES[usize::from(*byte)] != NONE;
    let mut at = 0;
    while let Some(step) = message[at..].iter().position(is_digit) {
        let rest = &message[at + step..];
        let run = &rest[..rest.iter().position(|byte| !is_digit(byte)).unwrap_or(rest.len())];
        at += step + run.len();
        for begun in 0..4 {
            let digits = run.get(begun..).unwrap_or_default();
            if digits.len() * 6 / 8 >= least {
                decode(digits, out);
                out.push(0);
            }
        }
    }
}

fn decode(digits: &[u8], out: &mut Vec<u8>) {
    for quad in digits.chunks(4) {
        let value = |at: usize| u32::from(quad.get(at).map_or(0, |&c| VALUES[usize::from(c)]));
        let bits = value(0) << 18 | value(1) << 12 | value(2) << 6 | value(3);
        let bytes = [(bits >> 16) as u8, (bits >> 8) as u8, bits as u8];
        out.extend_from_slice(&bytes[..quad.len() * 6 / 8]);
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_are_encoded_as_the_crate_encodes_them_and_found_again_anywhere(
            bytes in prop::collection::vec(any::<u8>(), 0..80),
            before in "[ \"{:a-zA-Z0-9+/]{0,9}",
        ) {
            let mut out = Vec::new();
            encode(&bytes, &mut out);
            prop_assert_eq!(&out, &STANDARD.encode(&bytes).into_bytes());
            prop_assert_eq!(out.len(), encoded_len(bytes.len()));
            let message = [before.as_bytes(), &out, b"\"}"].concat();
            let mut found = Vec::new();
            decode_all(&message, bytes.len(), &mut found);
            prop_assert!(memchr::memmem::find(&found, &bytes).is_some());
        }

        #[test]
        fn a_patched_tag_is_the_tag_of_the_text_that_is_encoded_anew(
            payload_bytes in 26_usize..120,
            run: u32,
            sender: u16,
            sequence in 0_u64..1 << 40,
        ) {
            let shape = TextShape::new(payload_bytes).unwrap();
            let encoded = |tag| {
                let mut text = Vec::new();
                shape.render(tag, &mut text);
                STANDARD.encode(&text).into_bytes()
            };
            let tag = Tag { run, sender, sequence };
            let (patch, at) = TagInBase64::of(&shape);
            let mut text = encoded(Tag { run: 5, sender: 6, sequence: 7 });
            let new = patch.with(tag);
            text[at..][..new.len()].copy_from_slice(&new);
            prop_assert_eq!(text, encoded(tag));
        }
    }
}
