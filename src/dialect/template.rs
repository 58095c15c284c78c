//! An application message with a place for the text.
//!
//! Belongs here: the arithmetic that lets a finished frame be patched. Does not: what may stand in a
//! message beside the text (`dialect::pattern`), the text (`dialect::text`), the frame around the message
//! (`wire::encode`).

use super::base64_text::{TagInBase64, TagText};
use super::pattern::{Marks, Pattern, Place, USER, Values, column_name};
use super::tag::Tag;
use super::text::TextShape;

/// A pattern with exactly one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pattern: Pattern,
    /// The text is in base64, in messages as in copies.
    pub(super) in_base64: bool,
    /// As long as what is captured, and what is in columns of `--data`, may become.
    longest: Vec<(String, Vec<u8>)>,
}

/// The socket that says a message, as far as messages hold something of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Speaker<'a> {
    /// Place of its node in the list, from 0.
    pub node: u32,
    /// Drawn for the socket.
    pub uuid: u128,
    /// Messages that it sent before the first of these.
    pub said: u64,
    /// What its opening has captured, and its row of `--data`, by name.
    pub captured: &'a [(String, Vec<u8>)],
}

/// What differs from message to message of a sender: where, and how long all of it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Bytes of every message of this sender.
    pub len: usize,
    /// The tag begins here, or the characters that hold it.
    pub tag: usize,
    /// Where the text is in base64: these characters.
    in_base64: Option<TagInBase64>,
    /// Numbers of ten digits begin here.
    pub seq: Vec<usize>,
    /// Numbers among all messages of the connection begin here.
    pub refs: Vec<usize>,
    /// Packet identifiers of two bytes begin here.
    pub packets: Vec<usize>,
}

impl Places {
    /// What is written over the tag's place for another message, where that is not the tag itself.
    #[inline]
    pub fn in_base64(&self, tag: Tag) -> Option<TagText> {
        self.in_base64.as_ref().map(|place| place.with(tag))
    }
}

/// The longest captured value that a message may repeat: so much of memory is counted for it.
pub const CAPTURED_MAX: usize = 4096;

impl Template {
    /// A message, unless there is no text in it, or more than one: then how many.
    pub(super) fn new(pattern: Pattern) -> Result<Self, usize> {
        match pattern.count(&Place::Text) {
            1 => Ok(Self { pattern, in_base64: false, longest: Vec::new() }),
            found => Err(found),
        }
    }

    /// Its text is in base64.
    pub const fn is_in_base64(&self) -> bool {
        self.in_base64
    }

    /// What is in it.
    pub(super) const fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// Says how long the values of columns of `--data` may become; `None` of a column that there is not.
    pub fn fit(&mut self, longest: impl Fn(&str) -> Option<usize>) {
        let mut columns = self.pattern.columns();
        columns.extend(self.pattern.has(&Place::User).then(|| USER.to_owned()));
        let column = |column: String| Some((column_name(&column), vec![0; longest(&column)?]));
        self.longest = columns.into_iter().filter_map(column).collect();
        let is_captured = |name: &String| !self.longest.iter().any(|(other, _)| other == name);
        let captured: Vec<_> = self.pattern.names().into_iter().filter(is_captured).collect();
        self.longest.extend(captured.into_iter().map(|name| (name, vec![0; CAPTURED_MAX])));
    }

    /// Appends the message that carries `tag`, as `speaker` says it.
    pub fn render(
        &self,
        shape: &TextShape,
        tag: Tag,
        speaker: &Speaker<'_>,
        out: &mut Vec<u8>,
    ) -> Marks {
        let values = Values {
            socket: tag.sender.into(),
            node: speaker.node,
            uuid: speaker.uuid,
            reference: speaker.said,
            captured: speaker.captured,
            message: Some((shape, tag)),
            in_base64: self.in_base64,
        };
        self.pattern.render(&values, out)
    }

    /// What is the same for all messages of `sender` around texts of `shape`: the tag and every number are
    /// of fixed width.
    pub fn places(&self, shape: &TextShape, sender: u16, speaker: &Speaker<'_>) -> Places {
        let mut message = Vec::new();
        let Marks { text, seq, refs, packets } =
            self.render(shape, Tag { run: 0, sender, sequence: 0 }, speaker, &mut message);
        let text = text.expect("a template has a text");
        let in_base64 = self.in_base64.then(|| TagInBase64::of(shape));
        let tag_at = in_base64.as_ref().map_or_else(|| shape.tag_offset(), |(_, at)| *at);
        let in_base64 = in_base64.map(|(tag, _)| tag);
        Places { len: message.len(), tag: text + tag_at, in_base64, seq, refs, packets }
    }

    /// Bytes of a message of any sender at most: `{socket}` has more digits for some.
    pub fn message_len(&self, shape: &TextShape) -> usize {
        let longest = Speaker { node: u32::MAX, captured: &self.longest, ..Speaker::default() };
        self.places(shape, u16::MAX, &longest).len
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::dialect::pattern::seq_digits;
    use crate::dialect::pattern_reader::{Position, Reader};

    const TAG: Tag = Tag { run: 1, sender: 2, sequence: 3 };

    fn template(written: &str) -> Result<Template, usize> {
        let reader = Reader {
            parameters: &BTreeMap::new(),
            environment: &|_| None,
            position: Position::Message,
            captured: &[],
            is_text: false,
        };
        Template::new(reader.read(written).expect("right places"))
    }

    fn rendered(written: &str, payload_bytes: usize) -> String {
        let template = template(written).expect("one {text}");
        let shape = TextShape::new(payload_bytes).expect("large enough");
        let mut message = b"kept ".to_vec();
        template.render(&shape, TAG, &Speaker::default(), &mut message);
        let message = message.split_off(5);
        let places = template.places(&shape, TAG.sender, &Speaker::default());
        assert_eq!(message.len(), places.len);
        assert_eq!(Tag::decode(&message[places.tag..]), Ok(TAG));
        String::from_utf8(message).expect("templates are text")
    }

    #[test]
    fn the_text_and_its_length_stand_where_the_template_says() {
        let message = rendered("PUB chat {len}\r\n{text}\r\n{len}{len}", 30);
        assert!(message.starts_with("PUB chat 30\r\nage fs"));
        assert!(message.ends_with("\r\n3030"));
    }

    #[test]
    fn braces_of_json_are_literal() {
        let message = rendered(r#"{"a":{"t":"{text}"},"b":{}}"#, 26);
        let parsed: serde_json::Value = serde_json::from_str(&message).unwrap();
        assert_eq!(parsed["a"]["t"].as_str().map(str::len), Some(26));
    }

    #[test]
    fn a_template_without_exactly_one_text_is_refused_with_the_count() {
        assert_eq!(template("hello {len} {bytes:{text}}"), Err(0));
        assert_eq!(template("{text}{mqtt:{text}}"), Err(2));
    }

    proptest! {
        /// A finished frame is patched where it differs from the next one, and nowhere else: the twin is
        /// rendered anew.
        #[test]
        fn messages_of_a_sender_differ_in_tag_and_numbers_alone(
            pieces in prop::collection::vec(0_usize..11, 0..8),
            sender: u16,
            sequences in prop::array::uniform2(0_u64..u32::MAX.into()),
            payload_bytes in 26_usize..300,
            (node, uuid, said, user) in (any::<u32>(), any::<u128>(), 0_u64..1 << 32, prop::option::of("[a-z]{0,9}")),
            in_base64: bool,
        ) {
            const PIECES: [&str; 11] = ["{seq}", "{socket}", "{len}", "{\"a\":1}", "{bytes:{seq}{text}}", "é",
                "{ref}", "{user}", "{bytes:{ref}{user}{node}}", "{node}{uuid}", "{packet_id}"];
            let before: String = pieces.iter().map(|&piece| PIECES[piece]).collect();
            let mut template = template(&format!("{before}{{mqtt:{before}{{text}}}}{before}")).unwrap();
            template.in_base64 = in_base64;
            template.fit(|column| user.as_ref().filter(|_| column == "user").map(String::len));
            let row: Vec<_> = user.iter().map(|user| (column_name("user"), user.clone().into_bytes())).collect();
            let speaker = Speaker { node, uuid, said, captured: &row };
            let shape = TextShape::new(payload_bytes).unwrap();
            let tags = sequences.map(|sequence| Tag { run: 7, sender, sequence });
            let [mut first, second] = tags.map(|tag| {
                let mut message = Vec::new();
                template.render(&shape, tag, &speaker, &mut message);
                message
            });
            let places = template.places(&shape, sender, &speaker);
            let tag = places.in_base64(tags[1]).map_or_else(|| tags[1].encode().to_vec(), |text| text.to_vec());
            first[places.tag..][..tag.len()].copy_from_slice(&tag);
            for at in places.seq {
                first[at..at + 10].copy_from_slice(&seq_digits(tags[1].sequence));
            }
            for at in places.refs {
                first[at..at + 10].copy_from_slice(&seq_digits(said + tags[1].sequence));
            }
            for at in places.packets {
                let number = (said + tags[1].sequence) % 65_535 + 1;
                first[at..at + 2].copy_from_slice(&(number as u16).to_be_bytes());
            }
            prop_assert!(template.message_len(&shape) >= first.len());
            prop_assert_eq!(first.len(), places.len);
            prop_assert_eq!(first, second);
        }
    }
}
