//! The text of a message: a human lead-in, the tag, and filler up to the wanted length.
//!
//! ASCII letters, digits and spaces only, so that no protocol escapes it. What surrounds the tag is
//! the same in all messages of a run: a copy whose tag is right but whose surroundings were altered
//! or cut is corrupt, and can be told.

use super::tag::{TAG_LEN, Tag};

const LEAD_IN: &str = "fanstorm message ";
const FILLER: &str = " to everyone in the room who listens to what is said here today and stays";

/// The shape of all texts of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextShape {
    before: Vec<u8>,
    after: Vec<u8>,
}

/// The text is too short for a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--payload-bytes {0}: a message needs at least {TAG_LEN} bytes for the tag that marks it")]
pub struct TooShort(pub usize);

impl TextShape {
    /// Texts of exactly `payload_bytes`.
    ///
    /// # Errors
    /// Less than [`TAG_LEN`].
    pub fn new(payload_bytes: usize) -> Result<Self, TooShort> {
        let room = payload_bytes.checked_sub(TAG_LEN).ok_or(TooShort(payload_bytes))?;
        let lead = room.min(LEAD_IN.len());
        // The end of the lead-in: a short one still ends with a space before the tag.
        let before = LEAD_IN.as_bytes()[LEAD_IN.len() - lead..].to_vec();
        let after = FILLER.bytes().cycle().take(room - lead).collect();
        Ok(Self { before, after })
    }

    /// Bytes of each text.
    pub fn len(&self) -> usize {
        self.before.len() + TAG_LEN + self.after.len()
    }

    /// Never: a text holds at least its tag.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Where the tag begins in a text.
    pub fn tag_offset(&self) -> usize {
        self.before.len()
    }

    /// Bytes of each text from its tag on.
    pub fn len_from_tag(&self) -> usize {
        TAG_LEN + self.after.len()
    }

    /// Appends one text.
    pub fn render(&self, tag: Tag, out: &mut Vec<u8>) {
        out.extend(&self.before);
        out.extend(tag.encode());
        out.extend(&self.after);
    }

    /// Whether everything around the tag at `tag_at` of `message` is as it was sent.
    #[inline]
    pub fn intact(&self, message: &[u8], tag_at: usize) -> bool {
        let end = tag_at + TAG_LEN;
        message[..tag_at].ends_with(&self.before)
            && message.get(end..).is_some_and(|rest| rest.starts_with(&self.after))
    }

    /// What still marks a text whose tag is damaged: its lead-in, or what follows it. Empty when the
    /// text is the tag alone.
    pub(super) fn remains(&self) -> [&[u8]; 2] {
        // A few common letters would be found in anybody's message.
        let telling = |part: &'_ [u8]| part.len() >= 8;
        let part = |part| if telling(part) { part } else { &[][..] };
        [part(&self.before), part(&self.after)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: Tag = Tag { run: 7, sender: 1, sequence: 99 };

    #[test]
    fn every_length_is_met_exactly_and_is_plain_ascii() {
        for length in TAG_LEN..400 {
            let shape = TextShape::new(length).unwrap();
            let mut text = Vec::new();
            shape.render(TAG, &mut text);
            assert_eq!((text.len(), shape.len()), (length, length));
            assert!(text.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b' ')));
            assert_eq!(Tag::decode(&text[shape.tag_offset()..]), Ok(TAG));
            assert!(shape.intact(&text, shape.tag_offset()));
        }
        assert_eq!(TextShape::new(TAG_LEN - 1), Err(TooShort(25)));
    }

    #[test]
    fn an_altered_or_cut_text_is_not_intact() {
        let shape = TextShape::new(100).unwrap();
        let mut text = Vec::new();
        shape.render(TAG, &mut text);
        let at = shape.tag_offset();
        for place in (0..at).chain(at + TAG_LEN..100) {
            let mut altered = text.clone();
            altered[place] ^= 1;
            assert!(!shape.intact(&altered, at), "byte {place}");
        }
        assert!(!shape.intact(&text[..99], at));
        assert!(!shape.intact(&text[1..], at - 1));
    }
}
