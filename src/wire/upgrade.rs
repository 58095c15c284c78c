//! The opening handshake of RFC 6455 section 4, as bytes.
//!
//! Belongs here: the request, and what makes a response acceptable. Does not: what a dialect says
//! after it (`dialect`), sockets and timeouts (`engine`).

use tungstenite::handshake::derive_accept_key;

use super::bounds::AnswerBounds;
use super::deflate::DeflateOffer;
use crate::units::Bytes;

/// Header fields that are read without memory of their own: an ordinary answer has fewer.
const HEADERS_USUAL: usize = 64;

/// The shortest field is a letter, a colon and a line feed: the bytes bound a head, not the number of its fields.
const FIELD_BYTES_MIN: usize = 3;

/// Interim answers (RFC 9110, section 15.2) that may come before the one that counts.
const INTERIM_MAX: usize = 8;

/// Of a text that a node has worded, so many characters are told.
const TOLD_MAX: usize = 100;

/// Why a response does not open a WebSocket: one clause, to be read after the node's URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeError {
    /// The bytes are no HTTP/1.1 response.
    #[error("answered the upgrade with something that is not HTTP ({0})")]
    NotHttp(httparse::Error),
    /// A status other than 101.
    #[error("refused the upgrade: {status} {reason}")]
    Refused {
        /// The status code.
        status: u16,
        /// The reason phrase; may be empty.
        reason: String,
    },
    /// A header that section 4.1 demands is missing.
    #[error("accepted the upgrade without the header {0}")]
    Missing(&'static str),
    /// `Upgrade` or `Connection` says something else.
    #[error("accepted the upgrade with `{name}: {value}`")]
    WrongHeader {
        /// The header's name.
        name: &'static str,
        /// What it says.
        value: String,
    },
    /// The accept value does not belong to our key: a cache or another peer answered.
    #[error("answered with Sec-WebSocket-Accept `{found}` where our key gives `{expected}`")]
    WrongAccept {
        /// What our key gives.
        expected: String,
        /// What the server sent.
        found: String,
    },
    /// An extension that we did not offer.
    #[error("turned on the extension `{0}`, which was not offered")]
    UnexpectedExtension(String),
    /// permessage-deflate otherwise than it was offered.
    #[error("turned on the extension `{found}` {reason} (--deflate)")]
    WrongDeflate {
        /// What the server sent.
        found: String,
        /// A clause.
        reason: String,
    },
    /// A subprotocol that we did not offer.
    #[error("chose the subprotocol `{0}`, which was not offered")]
    UnexpectedSubprotocol(String),
    /// None of those that we offered.
    #[error("chose no subprotocol, and was offered {0} (--subprotocol): does this path speak it?")]
    NoSubprotocol(String),
    /// One interim answer after the other.
    #[error("answered the upgrade with more than {INTERIM_MAX} interim responses (1xx)")]
    Interim,
    /// No end of the head within [`AnswerBounds::head_bytes`].
    #[error(
        "answered the upgrade with more than {} of headers (--max-header-bytes): does something else answer there?",
        Bytes(*.0 as u64)
    )]
    TooLarge(usize),
}

/// The value of `Sec-WebSocket-Key` for a nonce, which section 4.1 wants random per connection.
pub fn key(nonce: [u8; 16]) -> String {
    base64(&nonce)
}

/// The value of `Sec-WebSocket-Accept` that proves a server has read `key`.
pub fn accept(key: &str) -> String {
    derive_accept_key(key.as_bytes())
}

/// What the response to a request must hold.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected<'a> {
    /// What our key gives.
    pub accept: &'a str,
    /// Subprotocols that were offered.
    pub subprotocols: &'a [String],
    /// One of them must be chosen.
    pub requires_subprotocol: bool,
    /// The only extension that may be turned on.
    pub deflate: Option<&'a DeflateOffer>,
    /// How long it may be.
    pub bounds: AnswerBounds,
}

/// The field in which extensions are offered and turned on.
pub const EXTENSIONS: &str = "Sec-WebSocket-Extensions";

/// The upgrade request. `target` is path and query; `extra` headers follow the fixed ones.
pub fn request(host: &str, target: &str, key: &str, extra: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!(
        "GET {target} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
    );
    for (name, value) in extra {
        text.extend([name, ": ", value, "\r\n"]);
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// Reads a response from the front of everything that has come on the socket. `Some(consumed)`
/// when it opens the WebSocket: the bytes after `consumed` belong to the decoder. `None` while
/// its head is not whole. Interim answers before it are passed over.
///
/// # Errors
/// What in the response does not satisfy RFC 6455 section 4.1.
pub fn parse_response(bytes: &[u8], expected: Expected<'_>) -> Result<Option<usize>, UpgradeError> {
    let most = expected.bounds.head_bytes;
    let heads = &bytes[..bytes.len().min(most)];
    let mut passed = 0;
    for _ in 0..=INTERIM_MAX {
        match parse_head(&heads[passed..], expected)? {
            Head::Interim(len) => passed += len,
            Head::Accepted(len) => return Ok(Some(passed + len)),
            Head::Partial if bytes.len() >= most => return Err(UpgradeError::TooLarge(most)),
            Head::Partial => return Ok(None),
        }
    }
    Err(UpgradeError::Interim)
}

/// What is in front, with its length.
enum Head {
    Partial,
    Interim(usize),
    Accepted(usize),
}

fn parse_head(bytes: &[u8], expected: Expected<'_>) -> Result<Head, UpgradeError> {
    match parse_into(&mut [httparse::EMPTY_HEADER; HEADERS_USUAL], bytes, expected) {
        Err(UpgradeError::NotHttp(httparse::Error::TooManyHeaders)) => {
            let most = bytes.len() / FIELD_BYTES_MIN;
            parse_into(&mut vec![httparse::EMPTY_HEADER; most], bytes, expected)
        }
        parsed => parsed,
    }
}

fn parse_into<'b>(
    headers: &mut [httparse::Header<'b>],
    bytes: &'b [u8],
    expected: Expected<'_>,
) -> Result<Head, UpgradeError> {
    let mut response = httparse::Response::new(headers);
    let httparse::Status::Complete(len) = response.parse(bytes).map_err(UpgradeError::NotHttp)?
    else {
        return Ok(Head::Partial);
    };
    // 101 is an answer; all else of its class comes before one.
    if matches!(response.code, Some(100 | 102..=199)) {
        return Ok(Head::Interim(len));
    }
    check_status(&response)?;
    check_headers(response.headers, expected)?;
    Ok(Head::Accepted(len))
}

fn check_status(response: &httparse::Response<'_, '_>) -> Result<(), UpgradeError> {
    match response.code {
        Some(101) => Ok(()),
        status => Err(UpgradeError::Refused {
            status: status.unwrap_or_default(),
            reason: told(response.reason.unwrap_or_default()),
        }),
    }
}

fn check_headers(
    headers: &[httparse::Header<'_>],
    expected: Expected<'_>,
) -> Result<(), UpgradeError> {
    demand(headers, "Upgrade", |value| value.eq_ignore_ascii_case("websocket"))?;
    demand(headers, "Connection", |value| value.eq_ignore_ascii_case("upgrade"))?;
    let found = values(headers, "Sec-WebSocket-Accept")
        .next()
        .ok_or(UpgradeError::Missing("Sec-WebSocket-Accept"))?;
    if found != expected.accept {
        let (expected, found) = (expected.accept.to_owned(), told(&found));
        return Err(UpgradeError::WrongAccept { expected, found });
    }
    check_extensions(headers, expected)?;
    check_subprotocol(values(headers, "Sec-WebSocket-Protocol").next(), expected)
}

fn check_extensions(
    headers: &[httparse::Header<'_>],
    expected: Expected<'_>,
) -> Result<(), UpgradeError> {
    let Some(first) = values(headers, EXTENSIONS).next() else { return Ok(()) };
    let Some(offer) = expected.deflate else {
        return Err(UpgradeError::UnexpectedExtension(told(&first)));
    };
    match offer.agreed(values(headers, EXTENSIONS)) {
        Ok(_) => Ok(()),
        Err(reason) => Err(UpgradeError::WrongDeflate { found: told(&first), reason }),
    }
}

fn check_subprotocol(chosen: Option<String>, expected: Expected<'_>) -> Result<(), UpgradeError> {
    match chosen {
        Some(chosen) if expected.subprotocols.contains(&chosen) => Ok(()),
        Some(other) => Err(UpgradeError::UnexpectedSubprotocol(told(&other))),
        None if expected.requires_subprotocol => {
            Err(UpgradeError::NoSubprotocol(expected.subprotocols.join(", ")))
        }
        None => Ok(()),
    }
}

/// One of the comma-separated tokens of the header must satisfy `wanted`.
fn demand(
    headers: &[httparse::Header<'_>],
    name: &'static str,
    wanted: impl Fn(&str) -> bool,
) -> Result<(), UpgradeError> {
    let mut first = None;
    for value in values(headers, name) {
        if value.split(',').any(|token| wanted(token.trim())) {
            return Ok(());
        }
        first.get_or_insert(value);
    }
    Err(match first {
        Some(value) => UpgradeError::WrongHeader { name, value: told(&value) },
        None => UpgradeError::Missing(name),
    })
}

fn values(headers: &[httparse::Header<'_>], name: &str) -> impl Iterator<Item = String> {
    headers
        .iter()
        .filter(move |header| header.name.eq_ignore_ascii_case(name))
        .map(|header| String::from_utf8_lossy(header.value).trim().to_owned())
}

/// What a person reads of a text that a node has worded: it fits into a line, and no terminal obeys it. A value of a
/// header may hold tabs and, as UTF-8, control characters beyond ASCII.
fn told(text: &str) -> String {
    let text = text.lines().next().unwrap_or_default();
    let mut told = String::new();
    for (place, c) in text.chars().enumerate() {
        match c {
            _ if place == TOLD_MAX => return told + "…",
            c if c.is_control() => told.extend(c.escape_default()),
            c => told.push(c),
        }
    }
    told
}

/// RFC 4648, section 4: keys, and names with passwords.
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte));
        let group = group << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let sextet = (group >> (18 - 6 * place)) as usize & 0x3f;
            text.push(if place <= chunk.len() { ALPHABET[sextet] as char } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read, Write};

    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    const MOST: usize = 16 << 10;
    const EXPECTED: Expected<'_> = Expected {
        accept: ACCEPT,
        subprotocols: &[],
        requires_subprotocol: false,
        deflate: None,
        bounds: AnswerBounds { head_bytes: MOST, body_bytes: 512 },
    };

    fn response(lines: &[&str]) -> Vec<u8> {
        format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes()
    }

    fn good() -> Vec<u8> {
        response(&[
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        ])
    }

    /// A connection whose far end is an independent server.
    struct Duplex {
        incoming: Cursor<Vec<u8>>,
        outgoing: Vec<u8>,
    }

    impl Read for Duplex {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            self.incoming.read(out)
        }
    }

    impl Write for Duplex {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.outgoing.write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_sample_of_the_rfc_comes_out() {
        assert_eq!(key(*b"the sample nonce"), KEY);
        assert_eq!(accept(KEY), ACCEPT);
    }

    #[test]
    fn base64_pads_as_rfc_4648_shows() {
        let vectors =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        for (bytes, text) in vectors {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn an_independent_server_accepts_our_request_and_we_its_response() {
        let key = key([7; 16]);
        let request = request("node.test:8080", "/chat?room=1", &key, &[("Origin", "http://x")]);
        let duplex = Duplex { incoming: Cursor::new(request), outgoing: Vec::new() };
        let server = tungstenite::accept(duplex).expect("the server takes the request");
        let response = &server.get_ref().outgoing;
        assert_eq!(
            parse_response(response, Expected { accept: &accept(&key), ..EXPECTED }),
            Ok(Some(response.len()))
        );
    }

    #[test]
    fn the_request_says_what_it_was_given() {
        let bytes = request("h:1", "/p?q", KEY, &[("Cookie", "a=b"), ("X-Y", "z")]);
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut parsed = httparse::Request::new(&mut headers);
        assert_eq!(parsed.parse(&bytes), Ok(httparse::Status::Complete(bytes.len())));
        assert_eq!((parsed.method, parsed.path), (Some("GET"), Some("/p?q")));
        let lines: Vec<String> = parsed
            .headers
            .iter()
            .map(|header| format!("{}: {}", header.name, String::from_utf8_lossy(header.value)))
            .collect();
        assert_eq!(lines[0], "Host: h:1");
        assert_eq!(lines[5..], ["Cookie: a=b", "X-Y: z"]);
    }

    #[test]
    fn bytes_after_the_head_are_left_to_the_decoder() {
        let head = good();
        let all = [&head[..], b"\x81\x01a"].concat();
        assert_eq!(parse_response(&all, EXPECTED), Ok(Some(head.len())));
    }

    #[test]
    fn no_front_of_a_good_response_is_taken_or_refused() {
        let head = good();
        for len in 0..head.len() {
            assert_eq!(parse_response(&head[..len], EXPECTED), Ok(None), "{len} bytes");
        }
    }

    #[test]
    fn names_and_tokens_are_compared_without_case_and_in_lists() {
        let head = response(&[
            "HTTP/1.1 101 OK",
            "UPGRADE: WebSocket",
            "connection: keep-alive, upgrade",
            "sec-websocket-accept:  s3pPLMBiTxaQ9kYGzzhZRbK+xOo= ",
        ]);
        assert_eq!(parse_response(&head, EXPECTED), Ok(Some(head.len())));
    }

    #[test]
    fn each_refusal_says_what_was_wrong_in_one_clause() {
        let (status, upgrade, connection) =
            ("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade");
        let accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        let cases: [(&[&str], &str); 10] = [
            (&["HTTP/1.1 404 Not Found"], "refused the upgrade: 404 Not Found"),
            (
                &["HTTP/1.1 503 Service Unavailable", "Retry-After: 1"],
                "refused the upgrade: 503 Service Unavailable",
            ),
            (
                &["SSH-2.0-OpenSSH_9.6"],
                "answered the upgrade with something that is not HTTP (invalid HTTP version)",
            ),
            (&[status, connection, accept], "accepted the upgrade without the header Upgrade"),
            (&[status, upgrade, accept], "accepted the upgrade without the header Connection"),
            (
                &[status, upgrade, "Connection: close", accept],
                "accepted the upgrade with `Connection: close`",
            ),
            (
                &[status, upgrade, connection],
                "accepted the upgrade without the header Sec-WebSocket-Accept",
            ),
            (
                &[status, upgrade, connection, "Sec-WebSocket-Accept: wrong"],
                "answered with Sec-WebSocket-Accept `wrong` where our key gives \
                 `s3pPLMBiTxaQ9kYGzzhZRbK+xOo=`",
            ),
            (
                &[
                    status,
                    upgrade,
                    connection,
                    accept,
                    "Sec-WebSocket-Extensions: permessage-deflate",
                ],
                "turned on the extension `permessage-deflate`, which was not offered",
            ),
            (
                &[status, upgrade, connection, accept, "Sec-WebSocket-Protocol: mqtt"],
                "chose the subprotocol `mqtt`, which was not offered",
            ),
        ];
        for (lines, clause) in cases {
            let refused = parse_response(&response(lines), EXPECTED).unwrap_err();
            assert_eq!(refused.to_string(), clause);
        }
    }

    #[test]
    fn the_number_of_header_fields_is_bounded_by_their_bytes_alone() {
        let with = |fields: usize| {
            let mut head = good();
            head.truncate(head.len() - 2);
            (0..fields).for_each(|_| head.extend_from_slice(b"a:\n"));
            head.extend_from_slice(b"\r\n");
            head
        };
        let most = (MOST - good().len()) / 3;
        for fields in [0, 60, 61, 62, 100, 1_000, most] {
            let head = with(fields);
            assert_eq!(parse_response(&head, EXPECTED), Ok(Some(head.len())), "{fields} fields");
        }
        assert_eq!(parse_response(&with(most + 2), EXPECTED), Err(UpgradeError::TooLarge(MOST)));
    }

    #[test]
    fn a_handful_of_interim_answers_is_passed_over() {
        let interim =
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n";
        let before = |pairs: usize| [interim.repeat(pairs), good()].concat();
        for pairs in [1, INTERIM_MAX / 2] {
            let all = before(pairs);
            for len in 0..all.len() {
                assert_eq!(parse_response(&all[..len], EXPECTED), Ok(None), "{len} bytes");
            }
            let with_frame = [&all[..], b"\x81\x01a"].concat();
            assert_eq!(parse_response(&with_frame, EXPECTED), Ok(Some(all.len())));
        }
        let too_many = before(INTERIM_MAX / 2 + 1);
        assert_eq!(parse_response(&too_many, EXPECTED), Err(UpgradeError::Interim));
        let refused = [&interim[..], b"HTTP/1.1 403 No\r\n\r\n"].concat();
        let refused = parse_response(&refused, EXPECTED).unwrap_err();
        assert_eq!(refused.to_string(), "refused the upgrade: 403 No");
    }

    #[test]
    fn what_a_node_words_is_told_in_one_short_line() {
        let long = "ä".repeat(5_000);
        let status = "HTTP/1.1 101 OK";
        let (upgrade, connection) = ("Upgrade: websocket", "Connection: Upgrade");
        for lines in [
            // Of a reason phrase beyond ASCII the parser tells nothing.
            &[format!("HTTP/1.1 403 {}", "a".repeat(5_000)).as_str()][..],
            &[status, &format!("Upgrade: {long}"), connection],
            &[status, upgrade, connection, &format!("Sec-WebSocket-Accept: {long}")],
        ] {
            let refused = parse_response(&response(lines), EXPECTED).unwrap_err().to_string();
            assert!(refused.chars().count() < 2 * TOLD_MAX && refused.contains('…'), "{refused}");
            assert_eq!(refused.lines().count(), 1);
        }
    }

    /// The target `upgrade` of fuzzing found the tab.
    #[test]
    fn no_control_character_of_a_value_is_told_as_it_is() {
        let lines = ["HTTP/1.1 101 OK", "Upgrade: web\tsocket\u{9b}2J"];
        let refused = parse_response(&response(&lines), EXPECTED).unwrap_err().to_string();
        assert_eq!(refused, "accepted the upgrade with `Upgrade: web\\tsocket\\u{9b}2J`");
    }

    #[test]
    fn a_head_without_end_is_given_up_at_its_bound_which_is_a_flags() {
        let mut head = b"HTTP/1.1 101 OK\r\nX: ".to_vec();
        head.resize(MOST - 1, b'a');
        assert_eq!(parse_response(&head, EXPECTED), Ok(None));
        head.push(b'a');
        let error = parse_response(&head, EXPECTED).unwrap_err();
        assert_eq!(error, UpgradeError::TooLarge(MOST));
        assert!(error.to_string().contains("16.0 KiB of headers (--max-header-bytes)"), "{error}");
        let bounds = AnswerBounds { head_bytes: good().len() - 1, ..EXPECTED.bounds };
        let narrow = Expected { bounds, ..EXPECTED };
        assert_eq!(parse_response(&good(), narrow), Err(UpgradeError::TooLarge(good().len() - 1)));
    }

    #[test]
    fn a_subprotocol_must_be_one_of_those_offered_and_there_where_it_is_required() {
        let offered = ["mqtt".to_owned(), "v12.stomp".to_owned()];
        let told = |chosen: &str, requires_subprotocol| {
            let mut head = good();
            head.truncate(head.len() - 2);
            head.extend_from_slice(chosen.as_bytes());
            head.extend_from_slice(b"\r\n");
            let expected = Expected { subprotocols: &offered, requires_subprotocol, ..EXPECTED };
            parse_response(&head, expected).map(|_| ()).map_err(|error| error.to_string())
        };
        for requires in [false, true] {
            assert_eq!(told("sec-websocket-protocol:  v12.stomp\r\n", requires), Ok(()));
            for chosen in ["MQTT", "mqtt, v12.stomp", "", "wamp"] {
                let error = told(&format!("Sec-WebSocket-Protocol: {chosen}\r\n"), requires);
                assert_eq!(
                    error,
                    Err(format!("chose the subprotocol `{chosen}`, which was not offered"))
                );
            }
        }
        assert_eq!(told("", false), Ok(()));
        assert_eq!(
            told("", true),
            Err("chose no subprotocol, and was offered mqtt, v12.stomp (--subprotocol): does this path \
                 speak it?"
                .to_owned())
        );
    }
}
