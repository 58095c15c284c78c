//! What a received message means: copies of ours, ids in place of them, or somebody else's words.
//!
//! Belongs here: finding tags and ids in application bytes. Does not: knowing which message an id
//! stands for (`measure::correlate`). Nothing here allocates.
//!
//! A copy is one occurrence of a tag of this run; a message may carry several. Where the dialect has
//! ids, one element of a JSON array carries one id and perhaps a text; elements are told apart by a
//! small scanner that knows strings, escapes and braces, and nothing else of JSON.

use memchr::memmem::{self, Finder};

use super::Dialect;
use super::tag::{self, PREFIX_LEN, TAG_LEN, Tag, TagError};
use super::text::TextShape;

/// An id that a cluster gave a message, as a key: the id itself with its length for up to 15 bytes,
/// else a 128-bit hash (two of 2^40 random ids collide with a chance of about 2^-49).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CorrelationId(pub u128);

impl CorrelationId {
    /// The key of an id's bytes.
    #[inline]
    pub fn new(id: &[u8]) -> Self {
        if id.len() < 16 {
            let mut bytes = [0; 16];
            bytes[..id.len()].copy_from_slice(id);
            bytes[15] = id.len() as u8;
            return Self(u128::from_le_bytes(bytes));
        }
        // FNV-1a of 128 bits; the top byte says "hash", so that it never equals a short id.
        const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
        const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
        let hash =
            id.iter().fold(BASIS, |hash, &byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
        Self(hash | 0xff << 120)
    }
}

/// One thing that a message turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// A copy of this run, unaltered.
    Copy {
        /// Push socket.
        sender: u16,
        /// Its message.
        sequence: u64,
        /// The cluster's id, if it came along.
        id: Option<CorrelationId>,
    },
    /// An id without a text.
    Id(CorrelationId),
    /// A copy that was altered.
    Corrupt,
    /// A message that is not of this run.
    Foreign,
}

/// Recognises the copies of one run.
#[derive(Debug)]
pub struct Scanner {
    prefix: [u8; PREFIX_LEN],
    prefix_check: u8,
    finder: Finder<'static>,
    /// Where the last tag was: layouts hardly change from message to message.
    hint: usize,
    text: TextShape,
    id_key: Option<Finder<'static>>,
}

impl Scanner {
    /// For the run `run`.
    pub fn new(dialect: &Dialect, text: &TextShape, run: u32) -> Self {
        let prefix = tag::prefix(run);
        let id_key = dialect.id_key.map(|key| Finder::new(&format!("\"{key}\"")).into_owned());
        Self {
            prefix,
            prefix_check: tag::prefix_check(run),
            finder: Finder::new(&prefix).into_owned(),
            hint: 0,
            text: text.clone(),
            id_key,
        }
    }

    /// Visits everything that `message` carries; at least one sighting for each message.
    #[inline]
    pub fn scan(&mut self, message: &[u8], visit: &mut impl FnMut(Sighting)) {
        let Some(key) = &self.id_key else {
            return self.scan_text(message, None, visit);
        };
        let Some(first) = key.find(message) else {
            return self.scan_text(message, None, visit);
        };
        let (id, end) = id_after(message, first + key.needle().len());
        if key.find(&message[end..]).is_none() {
            return self.scan_element(message, id, visit);
        }
        self.scan_elements(message, visit);
    }

    /// Elements of the innermost objects that carry an id, one after the other.
    #[cold]
    fn scan_elements(&mut self, message: &[u8], visit: &mut impl FnMut(Sighting)) {
        let mut seen = false;
        let mut at = 0;
        while let Some(element) = next_object(message, &mut at) {
            let Some(key) = &self.id_key else { return };
            let Some(found) = key.find(element) else { continue };
            let (id, _) = id_after(element, found + key.needle().len());
            seen = true;
            self.scan_element(element, id, visit);
        }
        if !seen {
            self.scan_text(message, None, visit);
        }
    }

    /// One element: an id, and perhaps a text.
    #[inline]
    fn scan_element(
        &mut self,
        element: &[u8],
        id: Option<CorrelationId>,
        visit: &mut impl FnMut(Sighting),
    ) {
        match id {
            // Without a text there is nothing to search but the few bytes around the id.
            Some(id) if self.find_tag(element).is_none() && !self.damaged(element) => {
                if other_run(element) { visit(Sighting::Foreign) } else { visit(Sighting::Id(id)) }
            }
            id => self.scan_text(element, id, visit),
        }
    }

    /// All tags in `bytes`; the first one goes with `id`.
    #[inline]
    fn scan_text(
        &mut self,
        bytes: &[u8],
        mut id: Option<CorrelationId>,
        visit: &mut impl FnMut(Sighting),
    ) {
        let Some(mut at) = self.find_tag(bytes) else {
            let what = if self.damaged(bytes) { Sighting::Corrupt } else { Sighting::Foreign };
            return visit(what);
        };
        loop {
            let sighting = self.judge(bytes, at, id.take());
            visit(sighting);
            let from = match sighting {
                // All of it was compared: no other tag is inside.
                Sighting::Copy { .. } => at + self.text.len_from_tag(),
                _ => at + PREFIX_LEN,
            };
            // Most messages end with their text, or a few bytes later: too few for another tag.
            if bytes.len() < from + TAG_LEN {
                return;
            }
            match self.finder.find(&bytes[from..]) {
                Some(next) => at = from + next,
                None => return,
            }
        }
    }

    /// The first prefix of this run in `bytes`.
    #[inline]
    fn find_tag(&mut self, bytes: &[u8]) -> Option<usize> {
        // At the hint it is the first one unless another stands before it, which only a message with
        // several texts has: those are longer, and their first tag comes earlier.
        let hinted = bytes.get(self.hint..).and_then(|rest| rest.first_chunk());
        if hinted == Some(&self.prefix) && bytes.len() < 2 * self.text.len() {
            return Some(self.hint);
        }
        let at = self.finder.find(bytes)?;
        self.hint = at;
        Some(at)
    }

    /// A copy, or a corrupt one: prefix right, at `at`.
    #[inline]
    fn judge(&self, bytes: &[u8], at: usize, id: Option<CorrelationId>) -> Sighting {
        let rest = bytes.get(at + PREFIX_LEN..).and_then(|rest| rest.first_chunk());
        match rest.and_then(|rest| tag::decode_rest(rest, self.prefix_check)) {
            Some((sender, sequence)) if self.text.intact(bytes, at) => {
                Sighting::Copy { sender, sequence, id }
            }
            _ => Sighting::Corrupt,
        }
    }

    /// No tag of this run, but the remains of one of our texts: the prefix itself was altered. A text
    /// of another run has an intact tag of its own.
    #[cold]
    fn damaged(&self, bytes: &[u8]) -> bool {
        let ours = |part: &[u8]| !part.is_empty() && memmem::find(bytes, part).is_some();
        self.text.remains().into_iter().any(ours) && !other_run(bytes)
    }
}

/// An intact tag, of whatever run.
fn other_run(bytes: &[u8]) -> bool {
    let intact = |at: usize| {
        !matches!(Tag::decode(&bytes[at..]), Err(TagError::NotATag | TagError::BadCheck))
    };
    bytes.len() >= TAG_LEN && memmem::find_iter(bytes, "fs").any(intact)
}

/// The id whose key ends at `at`: a JSON string or a bare number. And where it ends.
#[inline]
fn id_after(bytes: &[u8], at: usize) -> (Option<CorrelationId>, usize) {
    let skip = |at: usize, skipped: &[u8]| {
        at + bytes[at..].iter().take_while(|byte| skipped.contains(byte)).count()
    };
    let start = skip(at, b" \t\r\n:");
    let (start, is_end): (usize, fn(&u8) -> bool) = match bytes.get(start) {
        Some(b'"') => (start + 1, |byte| *byte == b'"'),
        _ => (start, |byte| !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')),
    };
    let len = bytes[start.min(bytes.len())..].iter().position(is_end);
    match len {
        Some(len @ 1..) => (Some(CorrelationId::new(&bytes[start..start + len])), start + len),
        _ => (None, at),
    }
}

/// The next object without objects inside, from `at` on; strings may hold any braces.
fn next_object<'a>(bytes: &'a [u8], at: &mut usize) -> Option<&'a [u8]> {
    let mut start = None;
    let mut in_string = false;
    let mut i = *at;
    while i < bytes.len() {
        match bytes[i] {
            b'\\' if in_string => i += 1,
            b'"' => in_string = !in_string,
            b'{' if !in_string => start = Some(i),
            b'}' if !in_string => {
                if let Some(start) = start {
                    *at = i + 1;
                    return Some(&bytes[start..=i]);
                }
            }
            _ => {}
        }
        i += 1;
    }
    *at = i;
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const RUN: u32 = 0xabcd_1234;

    fn text(sequence: u64) -> String {
        text_of(RUN, sequence)
    }

    fn text_of(run: u32, sequence: u64) -> String {
        let mut out = Vec::new();
        shape().render(Tag { run, sender: 2, sequence }, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn shape() -> TextShape {
        TextShape::new(80).unwrap()
    }

    fn scan(dialect: &Dialect, message: &str) -> Vec<Sighting> {
        let mut scanner = Scanner::new(dialect, &shape(), RUN);
        let mut sightings = Vec::new();
        // Twice: the second time with the hint of the first.
        for _ in 0..2 {
            sightings.clear();
            scanner.scan(message.as_bytes(), &mut |sighting| sightings.push(sighting));
        }
        sightings
    }

    fn copy(sequence: u64, id: Option<&str>) -> Sighting {
        let id = id.map(|id| CorrelationId::new(id.as_bytes()));
        Sighting::Copy { sender: 2, sequence, id }
    }

    fn id(id: &str) -> Sighting {
        Sighting::Id(CorrelationId::new(id.as_bytes()))
    }

    #[test]
    fn the_frames_of_the_seeds_cluster_are_understood() {
        let pushed = format!(
            r#"{{"type":"newMessagesForClient","source":1003,"payload":[{{"nodeId":1003,"id":141,"messageId":"1003141","chatId":11,"text":"{}","dateTime":"2026-11-24T09:01:05.335Z","sender":"pythonClientUser"}}]}}"#,
            text(5)
        );
        assert_eq!(scan(&Dialect::dsatter(), &pushed), [copy(5, Some("1003141"))]);
        let other =
            r#"{"type":"newMessagesForClient","source":1001,"payload":[{"messageId":"1003141"}]}"#;
        assert_eq!(scan(&Dialect::dsatter(), other), [id("1003141")]);
    }

    #[test]
    fn what_is_not_ours_is_foreign_and_what_was_altered_is_corrupt() {
        let raw = Dialect::raw();
        assert_eq!(scan(&raw, "hello"), [Sighting::Foreign]);
        assert_eq!(scan(&raw, ""), [Sighting::Foreign]);
        assert_eq!(scan(&raw, &text_of(RUN + 1, 3)), [Sighting::Foreign]);
        let whole = text(3);
        for place in 0..whole.len() {
            let mut altered = whole.clone().into_bytes();
            altered[place] = if altered[place] == b'q' { b'z' } else { b'q' };
            let altered = String::from_utf8(altered).unwrap();
            assert_eq!(scan(&raw, &altered), [Sighting::Corrupt], "character {place}");
        }
        assert_eq!(scan(&raw, &whole[..40]), [Sighting::Corrupt]);
    }

    #[test]
    fn a_message_may_carry_several_copies() {
        let message = format!("{}\n{}\n{}", text(1), text(2), text(9));
        assert_eq!(scan(&Dialect::raw(), &message), [copy(1, None), copy(2, None), copy(9, None)]);
    }

    #[test]
    fn a_text_that_speaks_of_ids_fools_nobody() {
        let element =
            json!({"text": format!("\"messageId\":\"77\"}} {{ {}", text(4)), "messageId": "12"});
        let message = json!({"payload": [element, {"messageId": "13"}]}).to_string();
        assert_eq!(scan(&Dialect::dsatter(), &message), [copy(4, Some("12")), id("13")]);
    }

    #[test]
    fn long_ids_keep_apart_from_each_other_and_from_short_ones() {
        let ids = ["a", "a\0", "123456789012345", "1234567890123456", "1234567890123457"];
        for (i, a) in ids.iter().enumerate() {
            for (j, b) in ids.iter().enumerate() {
                let same = CorrelationId::new(a.as_bytes()) == CorrelationId::new(b.as_bytes());
                assert_eq!(same, i == j, "{a} {b}");
            }
        }
    }

    /// An element as a cluster may make it.
    #[derive(Clone, Debug)]
    struct Element {
        id: Option<u32>,
        numeric: bool,
        sequence: Option<u64>,
        noise: String,
        text_first: bool,
    }

    fn elements() -> impl Strategy<Value = Vec<Element>> {
        let element = (
            prop::option::weighted(0.9, any::<u32>()),
            any::<bool>(),
            prop::option::of(0_u64..1000),
            "[ -~äö\\\\\"{}\\[\\]]{0,12}",
            any::<bool>(),
        )
            .prop_map(|(id, numeric, sequence, noise, text_first)| Element {
                id,
                numeric,
                sequence,
                noise,
                text_first,
            });
        prop::collection::vec(element, 1..5)
    }

    impl Element {
        fn json(&self, spaced: bool) -> String {
            let colon = if spaced { ": " } else { ":" };
            let id = self.id.map(|id| match self.numeric {
                true => format!("\"messageId\"{colon}{id}"),
                false => format!("\"messageId\"{colon}\"{id}\""),
            });
            let text = self.sequence.map(|n| format!("\"text\"{colon}\"{}\"", text(n)));
            let noise = format!("\"noise\"{colon}{}", Value::from(self.noise.clone()));
            let mut fields = vec![id, Some(noise), text];
            if self.text_first {
                fields.reverse();
            }
            format!("{{{}}}", fields.into_iter().flatten().collect::<Vec<_>>().join(","))
        }
    }

    /// The obviously correct scanner: parse the JSON, look at each element.
    fn naive(message: &str) -> Vec<Sighting> {
        let value: Value = serde_json::from_str(message).unwrap();
        let mut sightings = Vec::new();
        for element in value["payload"].as_array().unwrap() {
            let id = match &element["messageId"] {
                Value::Null => None,
                Value::String(id) => Some(id.clone()),
                other => Some(other.to_string()),
            };
            let sequence = element["text"].as_str().map(|text| {
                u64::from_str_radix(&text[shape().tag_offset() + 14..][..10], 16).unwrap()
            });
            match (sequence, id) {
                (Some(n), id) => sightings.push(copy(n, id.as_deref())),
                (None, Some(id)) => sightings.push(self::id(&id)),
                (None, None) => {}
            }
        }
        sightings
    }

    proptest! {
        #[test]
        fn the_scanner_agrees_with_a_json_parser(elements in elements(), spaced: bool) {
            // An element without an id cannot be told apart once others have one: clusters that give
            // ids give them to all.
            let elements: Vec<_> = elements.iter().filter(|e| e.id.is_some()).collect();
            prop_assume!(!elements.is_empty());
            let elements: Vec<_> = elements.iter().map(|e| e.json(spaced)).collect();
            let message = format!("{{\"type\":\"x\",\"payload\":[{}]}}", elements.join(","));
            prop_assert_eq!(scan(&Dialect::dsatter(), &message), naive(&message));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for dialect in [Dialect::raw(), Dialect::dsatter()] {
                let mut scanner = Scanner::new(&dialect, &shape(), RUN);
                let mut sightings = 0;
                scanner.scan(&bytes, &mut |_| sightings += 1);
                prop_assert!(sightings >= 1);
            }
        }
    }
}
