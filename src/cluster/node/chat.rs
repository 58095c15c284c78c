//! The JSON of the seed's system: reading what clients and nodes say, writing what they hear.
//!
//! Belongs here: the documents, and what of a client's document is taken. Does not: who gets them.

use serde::Serialize;
use simd_json::prelude::*;
use simd_json::{BorrowedValue, Buffers, OwnedValue};

/// What a client said, as far as it is understood. Everything else is ignored.
#[derive(Debug, PartialEq)]
pub(super) enum Request {
    Push(Push),
    /// Asks for what it has missed.
    Sync,
}

/// `newMessageFromClient`.
#[derive(Debug, PartialEq)]
pub(super) struct Push {
    pub(super) text: String,
    sender: OwnedValue,
    chat_id: OwnedValue,
}

/// A message with the node's stamp, the element of `newMessagesForClient`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stamped {
    node_id: u64,
    id: u64,
    pub(super) message_id: String,
    chat_id: OwnedValue,
    pub(super) text: String,
    date_time: String,
    sender: OwnedValue,
}

/// What another node told: enough for its copies, and for the faults' account.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) message_id: String,
    pub(super) text: String,
}

/// Reads documents; keeps its buffers.
#[derive(Default)]
pub(super) struct Reader {
    scratch: Vec<u8>,
    buffers: Buffers,
}

/// Beyond this the copy of a document is given back instead of kept for the next one.
const SCRATCH_KEPT_BYTES: usize = 1 << 20;

impl Reader {
    /// What a client's text message asks for.
    pub(super) fn request(&mut self, text: &str) -> Option<Request> {
        if !text.starts_with('{') {
            return None;
        }
        self.with_document(text, |document| {
            let payload = document.get("payload").filter(|payload| !payload.is_null())?;
            match document.get_str("type")? {
                "newMessageFromClient" => push(payload).map(Request::Push),
                "clientSyncRequest" => Some(Request::Sync),
                _ => None,
            }
        })
    }

    /// What another node's text message tells.
    pub(super) fn told(&mut self, text: &str) -> Option<Told> {
        self.with_document(text, |document| {
            let payload = document.get("payload")?;
            Some(Told {
                message_id: payload.get_str("messageId")?.to_owned(),
                text: payload.get_str("text")?.to_owned(),
            })
        })
    }

    fn with_document<T>(
        &mut self,
        text: &str,
        take: impl FnOnce(&BorrowedValue<'_>) -> Option<T>,
    ) -> Option<T> {
        self.scratch.clear();
        self.scratch.extend_from_slice(text.as_bytes());
        replace_lone_surrogates(&mut self.scratch);
        let document =
            simd_json::to_borrowed_value_with_buffers(&mut self.scratch, &mut self.buffers);
        let taken = document.ok().as_ref().and_then(take);
        self.scratch.shrink_to(SCRATCH_KEPT_BYTES);
        taken
    }
}

/// A payload with a `nodeId` of its own would take the seed's node down, like one without a text.
fn push(payload: &BorrowedValue<'_>) -> Option<Push> {
    if payload.contains_key("nodeId") {
        return None;
    }
    Some(Push {
        text: as_text(payload.get("text")?)?,
        sender: match payload.get("sender") {
            Some(sender) => as_text(sender).map_or_else(OwnedValue::null, OwnedValue::from),
            None => OwnedValue::null(),
        },
        chat_id: payload.get("chatId").cloned().map_or_else(OwnedValue::null, OwnedValue::from),
    })
}

/// The seed's database has text columns: numbers come out of it as strings.
fn as_text(value: &BorrowedValue<'_>) -> Option<String> {
    match value {
        BorrowedValue::String(text) => Some(text.to_string()),
        BorrowedValue::Static(number) if value.is_number() => Some(number.to_string()),
        _ => None,
    }
}

impl Push {
    /// What the node makes of it.
    pub(super) fn stamp(self, node_id: u64, id: u64, unix_ms: u64) -> Stamped {
        Stamped {
            node_id,
            id,
            message_id: format!("{node_id}{id}"),
            chat_id: self.chat_id,
            text: self.text,
            date_time: iso_8601(unix_ms),
            sender: self.sender,
        }
    }
}

impl Stamped {
    /// The element with all that is known, for clients of the node that took the push.
    pub(super) fn element(&self) -> String {
        simd_json::to_string(self).expect("a message is plain data")
    }

    /// The same message saying something else.
    pub(super) fn with_text(&self, text: String) -> Self {
        Self { text, ..self.clone() }
    }

    /// What the other nodes are told.
    pub(super) fn broadcast(&self, element: &str) -> String {
        let node_id = self.node_id;
        format!("{{\"type\":\"broadcastNewMessage\",\"source\":{node_id},\"payload\":{element}}}")
    }
}

/// The element by id alone, for clients of the other nodes.
pub(super) fn id_element(message_id: &str) -> String {
    format!("{{\"messageId\":\"{message_id}\"}}")
}

/// What stands before and after the elements in a client's copies.
pub(super) fn copies_envelope(node_id: u64) -> (String, &'static str) {
    (format!("{{\"type\":\"newMessagesForClient\",\"source\":{node_id},\"payload\":["), "]}")
}

/// The answer to a [`Request::Sync`]: this node stores nothing, so nothing was missed.
pub(super) fn sync_reply(node_id: u64) -> String {
    format!("{{\"type\":\"clientSyncReply\",\"source\":{node_id},\"payload\":[{{}}]}}")
}

/// Makes each `\uD8xx` to `\uDFxx` that has no partner `\uFFFD`, as the seed's system ends up with;
/// simd-json refuses such a document as a whole.
fn replace_lone_surrogates(json: &mut [u8]) {
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', &json[at..]) {
        at += found;
        match (surrogate(json, at), surrogate(json, at + 6)) {
            (Some(Half::High), Some(Half::Low)) => at += 12,
            (Some(_), _) => {
                json[at + 2..at + 6].copy_from_slice(b"FFFD");
                at += 6;
            }
            // The escape's second byte may be a backslash: it begins nothing.
            (None, _) => at += 2,
        }
        at = at.min(json.len());
    }
}

#[derive(PartialEq, Eq)]
enum Half {
    High,
    Low,
}

/// Which half of a pair the escape at `at` is, if it is one.
fn surrogate(json: &[u8], at: usize) -> Option<Half> {
    let escape = json.get(at..at + 6)?;
    let is_hex = escape[2..].iter().all(u8::is_ascii_hexdigit);
    if !escape.starts_with(b"\\u") || !is_hex || !escape[2].eq_ignore_ascii_case(&b'd') {
        return None;
    }
    match escape[3].to_ascii_lowercase() {
        b'8'..=b'9' | b'a'..=b'b' => Some(Half::High),
        b'c'..=b'f' => Some(Half::Low),
        _ => None,
    }
}

/// `2026-11-24T09:01:05.335Z`, as JavaScript's `Date.toJSON` writes it.
fn iso_8601(unix_ms: u64) -> String {
    let (seconds, ms) = (unix_ms / 1000, unix_ms % 1000);
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Gregorian date of a day since 1970-01-01: years begin in March, so that the leap day is the last
/// of its year, and 400 years are 146 097 days (H. Hinnant, `civil_from_days`).
fn civil(unix_day: u64) -> (u64, u64, u64) {
    let day = unix_day + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(text: &str) -> Option<Request> {
        Reader::default().request(text)
    }

    fn pushed(text: &str) -> Push {
        match request(text) {
            Some(Request::Push(push)) => push,
            other => panic!("{text} is {other:?}"),
        }
    }

    #[test]
    fn a_push_becomes_the_copy_that_was_captured_from_the_seeds_cluster() {
        let push = pushed(
            r#"{"type":"newMessageFromClient","payload":{"text":"Test message 0 from client","sender":"pythonClientUser","chatId":11}}"#,
        );
        assert_eq!(
            push.stamp(1003, 141, 1_795_510_865_335).element(),
            r#"{"nodeId":1003,"id":141,"messageId":"1003141","chatId":11,"text":"Test message 0 from client","dateTime":"2026-11-24T09:01:05.335Z","sender":"pythonClientUser"}"#
        );
    }

    #[test]
    fn what_the_seeds_cluster_ignores_or_dies_of_is_ignored() {
        for text in [
            "",
            "hello",
            "[]",
            r#" {"type":"newMessageFromClient","payload":{"text":"x"}}"#,
            r#"{"payload":{"text":"x"}}"#,
            r#"{"type":"newMessageFromClient"}"#,
            r#"{"type":"newMessageFromClient","payload":null}"#,
            r#"{"type":"other","payload":{"text":"x"}}"#,
            r#"{"type":"newMessageFromClient","payload":{}}"#,
            r#"{"type":"newMessageFromClient","payload":{"text":"x","nodeId":7}}"#,
            r#"{"type":"newMessageFromClient","payload":{"text":"x"}"#,
            "{",
        ] {
            assert_eq!(request(text), None, "{text}");
        }
    }

    #[test]
    fn missing_chat_is_null_numbers_become_strings_and_extra_keys_are_dropped() {
        let push = pushed(
            r#"{"type":"newMessageFromClient","payload":{"text":42,"sender":1.5,"extra":true}}"#,
        );
        let element = push.stamp(1001, 2, 0).element();
        assert_eq!(
            element,
            r#"{"nodeId":1001,"id":2,"messageId":"10012","chatId":null,"text":"42","dateTime":"1970-01-01T00:00:00.000Z","sender":"1.5"}"#
        );
    }

    #[test]
    fn escapes_are_resolved_and_lone_surrogates_become_the_replacement_character() {
        for (escaped, text) in [
            (r"\u00e4\/", "ä/"),
            (r"\ud83d\ude00", "😀"),
            (r"\ud83d", "\u{fffd}"),
            (r"\uDE00\ud83d", "\u{fffd}\u{fffd}"),
            (r"\ud83d\ud83d\ude00", "\u{fffd}😀"),
            (r"\\ud83d", r"\ud83d"),
            (r"\ud7ff", "\u{d7ff}"),
        ] {
            let json =
                format!(r#"{{"type":"newMessageFromClient","payload":{{"text":"{escaped}"}}}}"#);
            assert_eq!(pushed(&json).text, text, "{escaped}");
        }
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (unix_ms, date) in [
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_704_067_199_000, "2023-12-31T23:59:59.000Z"),
            (1_735_603_200_000, "2024-12-31T00:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(iso_8601(unix_ms), date);
        }
    }

    proptest! {
        /// `serde_json` is the witness: another parser, another writer.
        #[test]
        fn any_text_goes_through_push_copy_and_mesh_unchanged(text in any::<String>()) {
            let payload = serde_json::json!({ "text": text, "sender": "s", "chatId": "c" });
            let json = serde_json::json!({ "type": "newMessageFromClient", "payload": payload });
            let stamped = pushed(&json.to_string()).stamp(1001, 1, 0);
            let element = stamped.element();
            let witness: serde_json::Value = serde_json::from_str(&element).expect("JSON");
            prop_assert_eq!(witness["text"].as_str(), Some(text.as_str()));
            let told = Reader::default().told(&stamped.broadcast(&element));
            prop_assert_eq!(told, Some(Told { message_id: "10011".to_owned(), text }));
        }

        #[test]
        fn any_bytes_are_answered_without_a_panic(text in r#"[{}\\"ud89abcDE:,a]{0,40}"#) {
            let _ = request(&format!("{{{text}"));
        }
    }
}
