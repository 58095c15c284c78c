//! Why an answer to the upgrade opens no WebSocket, with what the server said.
//!
//! Belongs here: which part of the answer explains it. Does not: what makes an answer right (`upgrade`).

use super::excerpt::{excerpt, is_tls};
use super::upgrade::UpgradeError;

/// Bytes of a body that are waited for: more are not shown.
const BODY_WANTED: usize = 128;

/// The reason in words, as far as it came.
pub fn words(error: &UpgradeError, response: &[u8]) -> String {
    match error {
        _ if is_tls(response) => {
            "the port speaks TLS, which is not supported: name one that takes \
                                  ws:// without it"
                .to_owned()
        }
        UpgradeError::NotHttp(_) => format!("{error}: it said {}", excerpt(response)),
        UpgradeError::Refused { .. } => match body(response).map(<[u8]>::trim_ascii) {
            Some(body) if !body.is_empty() => format!("{error}: {}", excerpt(body)),
            _ => error.to_string(),
        },
        _ => error.to_string(),
    }
}

/// Whether the server has said that more of its reason is under way.
pub fn is_unfinished(error: &UpgradeError, response: &[u8]) -> bool {
    let is_refusal = matches!(error, UpgradeError::Refused { .. });
    let announced = content_length(response).unwrap_or(0).min(BODY_WANTED);
    is_refusal && body(response).is_some_and(|body| body.len() < announced)
}

/// Head and body of the last answer: interim ones (1xx) before it say nothing.
fn last_answer(mut response: &[u8]) -> Option<(&[u8], &[u8])> {
    loop {
        let end = memchr::memmem::find(response, b"\r\n\r\n")?;
        let (head, body) = (response.get(..end)?, response.get(end + 4..)?);
        if !matches!(head, [b'H', b'T', b'T', b'P', b'/', b'1', b'.', _, b' ', b'1', ..]) {
            return Some((head, body));
        }
        response = body;
    }
}

fn body(response: &[u8]) -> Option<&[u8]> {
    last_answer(response).map(|(_, body)| body)
}

fn content_length(response: &[u8]) -> Option<usize> {
    let (head, _) = last_answer(response)?;
    let value = |line: &[u8]| {
        let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    };
    head.split(|&byte| byte == b'\n').find_map(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::upgrade::{Expected, parse_response};

    fn told(response: &[u8]) -> (String, bool) {
        let error = parse_response(response, Expected::default()).unwrap_err();
        (words(&error, response), is_unfinished(&error, response))
    }

    #[test]
    fn the_body_of_a_refusal_is_told_and_waited_for() {
        let head = "HTTP/1.1 400 Bad Request\r\ncontent-length: 24\r\n\r\n";
        let body = "{\"error\":\"room missing\"}";
        for cut in 0..=body.len() {
            let (words, is_unfinished) = told(format!("{head}{}", &body[..cut]).as_bytes());
            assert_eq!(is_unfinished, cut < body.len(), "{words}");
            assert!(words.starts_with("refused the upgrade: 400 Bad Request"), "{words}");
            let shown = format!(": `{}`", body[..cut].trim_end());
            assert!(cut == 0 || words.ends_with(&shown), "{words}");
        }
    }

    #[test]
    fn interim_answers_are_no_part_of_the_reason() {
        let (words, is_unfinished) = told(
            b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 403 No\r\nContent-Length: 3\r\n\r\nbye",
        );
        assert!(words.ends_with("403 No: `bye`") && !is_unfinished, "{words}");
    }

    #[test]
    fn a_huge_body_and_one_of_unknown_length_keep_nobody_waiting() {
        let huge = format!("HTTP/1.1 503 x\r\nContent-Length: 99999999\r\n\r\n{}", "a".repeat(128));
        assert!(!told(huge.as_bytes()).1);
        assert!(!told(b"HTTP/1.1 503 x\r\nTransfer-Encoding: chunked\r\n\r\n").1);
    }

    #[test]
    fn who_speaks_something_else_is_quoted_and_tls_is_named() {
        let (words, _) = told(b"-ERR unknown command 'GET'\r\n");
        assert!(words.ends_with("it said `-ERR unknown command 'GET'`"), "{words}");
        let (words, _) = told(b"\x15\x03\x01\x00\x02\x02\x16");
        assert!(words.contains("speaks TLS"), "{words}");
    }
}
