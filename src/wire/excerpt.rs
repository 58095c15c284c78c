//! The beginning of what a node said, as an error may show it.
//!
//! Belongs here: cutting and escaping bytes that nobody vouches for. Does not: when they are shown.

/// Bytes that are shown: enough for an error of any protocol, and one line of a terminal.
const BYTES_MAX: usize = 96;

/// The first bytes between backticks, on one line, with nothing in them that a terminal obeys.
pub fn excerpt(bytes: &[u8]) -> String {
    excerpt_within(bytes, BYTES_MAX)
}

/// The same with another bound, of at least 4 bytes: an address is of no use without its end.
pub fn excerpt_within(bytes: &[u8], bytes_max: usize) -> String {
    let mut shown = &bytes[..bytes.len().min(bytes_max)];
    if shown.len() < bytes.len() {
        // No character is cut in two.
        let whole = (0..4).map(|less| &shown[..bytes_max - less]).find(|part| is_whole(part));
        shown = whole.unwrap_or(shown);
    }
    let mut text = String::from("`");
    for chunk in shown.trim_ascii_end().utf8_chunks() {
        for c in chunk.valid().chars() {
            // Quotes are what JSON is full of: they do no harm.
            if matches!(c, '"' | '\'') { text.push(c) } else { text.extend(c.escape_debug()) }
        }
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text + if shown.len() < bytes.len() { "...`" } else { "`" }
}

/// Ends with the last byte of a character, if with one at all.
fn is_whole(bytes: &[u8]) -> bool {
    bytes.utf8_chunks().last().is_none_or(|chunk| chunk.invalid().is_empty())
}

/// How a server that expected TLS answers a request without it: a record of type alert or handshake,
/// of any version since SSL 3.0 (RFC 8446, section 5.1).
pub fn is_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [0x15 | 0x16, 0x03, 0..=4, ..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_servers_say_is_shown_as_they_say_it() {
        for (said, shown) in [
            (&b"-ERR 'Unknown Protocol Operation'\r\n"[..], "`-ERR 'Unknown Protocol Operation'`"),
            (b"0{\"sid\":\"a\"}", "`0{\"sid\":\"a\"}`"),
            (b"\x1b]0;owned\x07", "`\\u{1b}]0;owned\\u{7}`"),
            (b"SSH-2.0-x\r\nmore", "`SSH-2.0-x\\r\\nmore`"),
            (b"\x15\x03\x01\xff", "`\\u{15}\\u{3}\\u{1}\\xff`"),
            (b"", "``"),
        ] {
            assert_eq!(excerpt(said), shown);
        }
    }

    #[test]
    fn a_server_that_speaks_tls_is_known_by_its_first_record() {
        assert!(is_tls(b"\x15\x03\x03\x00\x02\x02\x46"));
        assert!(!is_tls(b"HTTP/1.1 400") && !is_tls(b"\x15\x03") && !is_tls(b""));
    }

    proptest! {
        #[test]
        fn whatever_is_said_is_one_short_visible_line(bytes: Vec<u8>, text in ".{0,200}") {
            for said in [&bytes[..], text.as_bytes()] {
                let shown = excerpt(said);
                prop_assert!(!shown.contains(char::is_control), "{shown:?}");
                prop_assert!(shown.len() <= 10 * BYTES_MAX + 5, "{shown:?}");
                prop_assert_eq!(shown.ends_with("...`"), said.len() > BYTES_MAX, "{}", shown);
            }
        }
    }
}
