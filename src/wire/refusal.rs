//! Why an answer to the upgrade opens no WebSocket, with what the server said.
//!
//! Belongs here: which part of the answer explains it. Does not: what makes an answer right (`upgrade`).

use super::answer::{fields, last_answer};
use super::bounds::AnswerBounds;
use super::excerpt::{excerpt, excerpt_within, is_tls};
use super::upgrade::UpgradeError;

/// Bytes of a redirect's target, or of a challenge, that are shown.
const FIELD_BYTES_MAX: usize = 400;

/// The reason in words, as far as it came.
pub fn words(error: &UpgradeError, response: &[u8], bounds: AnswerBounds) -> String {
    match error {
        _ if is_tls(response) => "the port speaks TLS: name the node as wss://".to_owned(),
        UpgradeError::NotHttp(_) => format!("{error}: it said {}", excerpt(response)),
        UpgradeError::Refused { status, reason } => refused(*status, reason, response, bounds),
        _ => error.to_string(),
    }
}

/// With the fields that say what to do, and the beginning of the body.
fn refused(status: u16, reason: &str, response: &[u8], bounds: AnswerBounds) -> String {
    let status_line = format!("{status} {reason}");
    let status_line = status_line.trim_end();
    let Some((head, body)) = last_answer(response) else {
        return format!("refused the upgrade: {status_line}");
    };
    if let (300..=399, Some(target)) = (status, field(head, "Location")) {
        return redirected(status_line, target);
    }
    let mut words = format!("refused the upgrade: {status_line}");
    for name in ["Location", "WWW-Authenticate", "Retry-After"] {
        if let Some(value) = field(head, name) {
            words += &format!(", {name} {}", excerpt_within(value.as_bytes(), FIELD_BYTES_MAX));
        }
    }
    // A little more, so that no character is cut in two and a cut is seen.
    let most = bounds.body_bytes;
    let text = readable(head, &body[..body.len().min(most.saturating_add(4))]);
    if !text.is_empty() && most > 0 {
        words += &format!(": {}", excerpt_within(&text, most.max(4)));
    }
    // nginx, Apache and Go say so, in words of their own.
    if status == 400
        && ["HTTPS", "SSL"]
            .iter()
            .any(|word| memchr::memmem::find(&text, word.as_bytes()).is_some())
    {
        words += " (wss:// speaks TLS)";
    }
    if status == 401 {
        words += " (--bearer-env, --basic-env, --header and --cookie say who the sockets are)";
    }
    words
}

/// Redirects are told and not followed: figures are of the nodes that were named, and of no others.
fn redirected(status_line: &str, target: &str) -> String {
    let shown = excerpt_within(target.as_bytes(), FIELD_BYTES_MAX);
    let is_whole = shown.len() == target.len() + 2;
    let as_node = match target.split_once("://") {
        Some((scheme, rest)) if is_whole && scheme.eq_ignore_ascii_case("http") => {
            format!("give --node ws://{rest}")
        }
        Some((scheme, rest)) if is_whole && scheme.eq_ignore_ascii_case("https") => {
            format!("give --node wss://{rest}")
        }
        Some(_) if is_whole => format!("give --node {target}"),
        Some(_) => "name that with --node".to_owned(),
        None => "give --node with this path".to_owned(),
    };
    format!("redirects the upgrade ({status_line}) to {shown}: {as_node}")
}

/// Whether the server has said that more of its reason is under way.
pub fn is_unfinished(error: &UpgradeError, response: &[u8], bounds: AnswerBounds) -> bool {
    let is_refusal = matches!(error, UpgradeError::Refused { .. });
    let announced = content_length(response).unwrap_or(0).min(bounds.body_bytes);
    is_refusal && last_answer(response).is_some_and(|(_, body)| body.len() < announced)
}

/// The first value of a head's field that is not empty.
fn field<'h>(head: &'h [u8], name: &str) -> Option<&'h str> {
    fields(head, name).find(|value| !value.is_empty())
}

fn content_length(response: &[u8]) -> Option<usize> {
    let (head, _) = last_answer(response)?;
    field(head, "Content-Length")?.parse().ok()
}

/// What a person would read of the body: without the sizes of its chunks, without tags, with single spaces.
fn readable(head: &[u8], body: &[u8]) -> Vec<u8> {
    let coding = field(head, "Transfer-Encoding").unwrap_or_default();
    let body =
        if coding.eq_ignore_ascii_case("chunked") { without_sizes(body) } else { body.to_vec() };
    let is_html = body.trim_ascii_start().starts_with(b"<");
    let mut text = Vec::with_capacity(body.len());
    let mut in_tag = false;
    for byte in body {
        match byte {
            b'<' if is_html => in_tag = true,
            b'>' if in_tag => {
                in_tag = false;
                text.push(b' ');
            }
            _ if in_tag => {}
            other => text.push(other),
        }
    }
    let words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(&b' ')
}

/// The content of chunks (RFC 9112, section 7.1), as far as it came.
fn without_sizes(mut body: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    while let Some(end) = memchr::memmem::find(body, b"\r\n") {
        let size = std::str::from_utf8(&body[..end]).unwrap_or_default();
        let size = size.split(';').next().unwrap_or_default().trim();
        let Ok(size) = usize::from_str_radix(size, 16) else { break };
        let rest = &body[end + 2..];
        content.extend_from_slice(&rest[..size.min(rest.len())]);
        body = rest.get(size.saturating_add(2)..).unwrap_or_default();
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::upgrade::{Expected, parse_response};

    fn told(response: &[u8]) -> (String, bool) {
        let error = parse_response(response, Expected::default()).unwrap_err();
        let bounds = AnswerBounds::default();
        (words(&error, response, bounds), is_unfinished(&error, response, bounds))
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
        let huge = format!("HTTP/1.1 503 x\r\nContent-Length: 99999999\r\n\r\n{}", "a".repeat(512));
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

    #[test]
    fn what_to_do_about_a_refusal_is_told() {
        for (head, body, shown) in [
            (
                "401 Unauthorized\r\nwww-authenticate:  Bearer realm=\"chat\"\r\nWWW-Authenticate: Basic",
                "",
                "refused the upgrade: 401 Unauthorized, WWW-Authenticate `Bearer realm=\"chat\"` \
                 (--bearer-env, --basic-env, --header and --cookie say who the sockets are)",
            ),
            (
                "503 Full\r\nRetry-After: 120",
                "too many\n  clients\t\n",
                "refused the upgrade: 503 Full, Retry-After `120`: `too many clients`",
            ),
            (
                "403 Forbidden\r\nContent-Type: text/html",
                "<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>no <b>Origin</b></body>",
                "refused the upgrade: 403 Forbidden: `403 Forbidden no Origin`",
            ),
            (
                "400 Bad Request\r\nTransfer-Encoding: chunked",
                "5;x=1\r\nno ro\r\n2\r\nom\r\n0\r\n\r\n",
                "refused the upgrade: 400 Bad Request: `no room`",
            ),
            ("200 OK", "a < b", "refused the upgrade: 200 OK: `a < b`"),
            ("426", "", "refused the upgrade: 426"),
        ] {
            let (words, _) = told(format!("HTTP/1.1 {head}\r\n\r\n{body}").as_bytes());
            assert_eq!(words, shown);
        }
    }

    #[test]
    fn a_redirect_is_told_with_its_target_and_the_flag_that_takes_it() {
        for (location, shown) in [
            ("ws://h/chat/v2/", "to `ws://h/chat/v2/`: give --node ws://h/chat/v2/"),
            ("http://h:81/v2?a=1", "to `http://h:81/v2?a=1`: give --node ws://h:81/v2?a=1"),
            ("HTTPS://h/", "to `HTTPS://h/`: give --node wss://h/"),
            ("/chat/v2/", "to `/chat/v2/`: give --node with this path"),
        ] {
            let response = format!("HTTP/1.1 301 Moved\r\nLocation: {location}\r\n\r\n<html>moved");
            let expected = format!("redirects the upgrade (301 Moved) {shown}");
            assert_eq!(told(response.as_bytes()).0, expected);
        }
        let endless = format!("HTTP/1.1 302 x\r\nLocation: ws://h/{}\r\n\r\n", "a".repeat(5_000));
        let (words, _) = told(endless.as_bytes());
        assert!(words.ends_with("...`: name that with --node") && words.len() < 600, "{words}");
        let (words, _) = told(b"HTTP/1.1 304 Not Modified\r\n\r\n");
        assert_eq!(words, "refused the upgrade: 304 Not Modified");
    }
}
