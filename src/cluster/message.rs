//! The seed's messages, as captured on the wire.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use simd_json::OwnedValue;
use simd_json::prelude::*;

/// What a client says.
#[derive(Deserialize)]
struct FromClient {
    #[serde(rename = "type")]
    kind: String,
    payload: OwnedValue,
}

/// What a node understood.
#[derive(Debug, PartialEq)]
pub(super) enum Request {
    /// A chat message for everybody.
    Push(Pushed),
    /// Answered to the asking client alone.
    Sync,
}

/// A chat message as it came.
#[derive(Debug, PartialEq)]
pub(super) struct Pushed {
    text: String,
    sender: Option<String>,
    chat_id: Option<String>,
}

/// One message as the node that took it sends it to its own clients.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Full<'a> {
    node_id: u32,
    id: u64,
    message_id: &'a str,
    chat_id: Option<OwnedValue>,
    text: &'a str,
    date_time: String,
    sender: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IdOnly<'a> {
    message_id: &'a str,
}

/// What a node makes of a message: the array element for its clients, that for the others'.
#[derive(Clone, Debug)]
pub(super) struct Stamped {
    pub(super) full: String,
    pub(super) id_only: String,
    pub(super) message_id: String,
    pub(super) text: String,
}

/// Reads what a client sent; `None` for everything that the seed's nodes ignore.
pub(super) fn read(text: &str) -> Option<Request> {
    if !text.starts_with('{') {
        return None;
    }
    let mut bytes = text.as_bytes().to_vec();
    let message: FromClient = simd_json::serde::from_slice(&mut bytes).ok()?;
    match message.kind.as_str() {
        "newMessageFromClient" => {
            let field = |name: &str| message.payload.get(name).and_then(as_text);
            Some(Request::Push(Pushed {
                text: field("text")?,
                sender: field("sender"),
                chat_id: field("chatId"),
            }))
        }
        "clientSyncRequest" => Some(Request::Sync),
        _ => None,
    }
}

/// Numbers become strings, as JavaScript made them.
fn as_text(value: &OwnedValue) -> Option<String> {
    match value.value_type() {
        ValueType::Null => None,
        ValueType::String => value.as_str().map(ToOwned::to_owned),
        _ => Some(value.encode()),
    }
}

impl Pushed {
    /// Stamps the message with node, id and time.
    pub(super) fn stamp(self, node_id: u32, id: u64) -> Stamped {
        let message_id = format!("{node_id}{id}");
        let chat_id = self.chat_id.map(|id| match id.parse::<u64>() {
            Ok(number) => OwnedValue::from(number),
            Err(_) => OwnedValue::from(id),
        });
        let full = Full {
            node_id,
            id,
            message_id: &message_id,
            chat_id,
            text: &self.text,
            date_time: now_iso(),
            sender: self.sender.as_deref(),
        };
        let json = |value| simd_json::serde::to_string(&value).expect("plain data");
        Stamped {
            full: json(full),
            id_only: simd_json::serde::to_string(&IdOnly { message_id: &message_id })
                .expect("plain data"),
            text: self.text,
            message_id,
        }
    }
}

/// The message around array elements.
pub(super) fn envelope(source: u32, elements: &[&str]) -> String {
    let elements = elements.join(",");
    format!(r#"{{"type":"newMessagesForClient","source":{source},"payload":[{elements}]}}"#)
}

/// The answer to a sync request.
pub(super) fn sync_reply(source: u32) -> String {
    format!(r#"{{"type":"clientSyncReply","source":{source},"payload":[]}}"#)
}

/// The present time as JavaScript prints it: `2026-11-24T09:01:05.335Z`.
fn now_iso() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    iso(since.as_secs(), since.subsec_millis())
}

fn iso(secs: u64, millis: u32) -> String {
    let (days, second) = ((secs / 86_400) as i64, secs % 86_400);
    // Days to a date of the Gregorian calendar (Hinnant, "chrono-compatible low-level date
    // algorithms"): years begin in March, so that the leap day is the last.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(iso(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(951_782_399, 7), "2000-02-28T23:59:59.007Z");
        assert_eq!(iso(951_782_400, 0), "2000-02-29T00:00:00.000Z");
        assert_eq!(iso(1_795_510_865, 335), "2026-11-24T09:01:05.335Z");
    }

    #[test]
    fn only_what_the_seeds_nodes_understand_is_understood() {
        for ignored in [
            "",
            " {}",
            "[]",
            "hello",
            "{",
            "{}",
            r#"{"type":"newMessageFromClient"}"#,
            r#"{"type":"newMessageFromClient","payload":{}}"#,
            r#"{"type":"other","payload":{"text":"a"}}"#,
        ] {
            assert_eq!(read(ignored), None, "{ignored}");
        }
    }

    #[test]
    fn a_message_is_serialized_anew_escapes_resolved_and_numbers_made_strings() {
        let text =
            r#"{"type":"newMessageFromClient","payload":{"text":"\u00e4\/","sender":7,"extra":1}}"#;
        let Some(Request::Push(pushed)) = read(text) else { panic!("understood") };
        let stamped = pushed.stamp(1003, 141);
        assert!(stamped.full.starts_with(
            r#"{"nodeId":1003,"id":141,"messageId":"1003141","chatId":null,"text":"ä/","dateTime":""#
        ));
        assert!(stamped.full.ends_with(r#"Z","sender":"7"}"#), "{}", stamped.full);
        assert_eq!(stamped.id_only, r#"{"messageId":"1003141"}"#);
    }
}
