//! The opening handshake, client side (RFC 6455, section 4.1).
//!
//! Belongs here: the request's bytes and the judgement of the response. Does not: sending them.

use tungstenite::handshake::derive_accept_key;

/// A response that is larger is not one.
const RESPONSE_MAX: usize = 16 << 10;
/// More header fields than any server sends.
const FIELDS_MAX: usize = 100;

/// Why an upgrade failed: one clause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeError {
    /// Not an HTTP response.
    #[error("the answer is not HTTP: {0}")]
    NotHttp(httparse::Error),
    /// Another status than 101.
    #[error("refused with {0} {1}")]
    Status(u16, String),
    /// A required header is missing or wrong.
    #[error("101, but {0}")]
    Header(&'static str),
    /// No end of the header in sight.
    #[error("the answer's header is larger than 16 KiB")]
    TooLarge,
}

/// The `Sec-WebSocket-Key` of a nonce.
pub fn key(nonce: [u8; 16]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = |group: &[u8]| {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - group.len()));
        let digit = move |i: usize| DIGITS[(bits >> (18 - 6 * i) & 63) as usize] as char;
        let filled = group.len() + 1;
        (0..4).map(move |i| if i < filled { digit(i) } else { '=' })
    };
    nonce.chunks(3).flat_map(digits).collect()
}

/// The `Sec-WebSocket-Accept` that answers a key.
pub fn accept(key: &str) -> String {
    derive_accept_key(key.as_bytes())
}

/// The request's bytes.
pub fn request(host: &str, target: &str, key: &str) -> Vec<u8> {
    format!(
        "GET {target} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nUser-Agent: fanstorm/{}\r\n\r\n",
        env!("CARGO_PKG_VERSION")
    )
    .into_bytes()
}

/// Judges the response so far: `None` when it is not all there, else the number of its bytes. What
/// follows them are frames already.
///
/// # Errors
/// See [`UpgradeError`].
pub fn parse_response(bytes: &[u8], accept: &str) -> Result<Option<usize>, UpgradeError> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    let consumed = match response.parse(bytes).map_err(UpgradeError::NotHttp)? {
        httparse::Status::Complete(consumed) => consumed,
        httparse::Status::Partial if bytes.len() > RESPONSE_MAX => {
            return Err(UpgradeError::TooLarge);
        }
        httparse::Status::Partial => return Ok(None),
    };
    let status = response.code.unwrap_or(0);
    if status != 101 {
        return Err(UpgradeError::Status(status, response.reason.unwrap_or("").to_owned()));
    }
    let has = |name: &str, holds: &dyn Fn(&str) -> bool| {
        let mut values = response.headers.iter().filter(|h| h.name.eq_ignore_ascii_case(name));
        values.any(|h| std::str::from_utf8(h.value).is_ok_and(holds))
    };
    let lists = |value: &str, token: &str| {
        value.split(',').any(|item| item.trim().eq_ignore_ascii_case(token))
    };
    let rules: [(bool, &'static str); 5] = [
        (has("upgrade", &|v| lists(v, "websocket")), "without Upgrade: websocket"),
        (has("connection", &|v| lists(v, "upgrade")), "without Connection: Upgrade"),
        (
            has("sec-websocket-accept", &|v| v.trim() == accept),
            "its Sec-WebSocket-Accept does not answer our key",
        ),
        (!has("sec-websocket-extensions", &|_| true), "with an extension that we did not offer"),
        (!has("sec-websocket-protocol", &|_| true), "with a subprotocol that we did not offer"),
    ];
    match rules.iter().find(|(kept, _)| !kept) {
        Some((_, what)) => Err(UpgradeError::Header(what)),
        None => Ok(Some(consumed)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: [u8; 16] = *b"the sample nonce";

    fn response(fields: &str) -> Result<Option<usize>, UpgradeError> {
        let accept = accept(&key(NONCE));
        let text = format!("HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n");
        parse_response(text.replace("$", &accept).as_bytes(), &accept)
    }

    #[test]
    fn the_key_is_the_one_of_the_rfc() {
        // RFC 6455, section 1.3.
        assert_eq!(key(NONCE), "dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept(&key(NONCE)), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_server_that_we_did_not_write_accepts_the_request_and_we_its_response() {
        use tungstenite::handshake::server::{Request, create_response};
        let key = key([7; 16]);
        let bytes = request("[::1]:9001", "/chat?room=1", &key);
        let mut fields = [httparse::EMPTY_HEADER; 16];
        let mut parsed = httparse::Request::new(&mut fields);
        assert!(parsed.parse(&bytes).unwrap().is_complete());
        let mut request = Request::builder().uri(parsed.path.unwrap());
        for field in parsed.headers.iter() {
            request = request.header(field.name, field.value);
        }
        let response = create_response(&request.body(()).unwrap()).unwrap();
        let mut text = String::from("HTTP/1.1 101 Switching Protocols\r\n");
        for (name, value) in response.headers() {
            text += &format!("{name}: {}\r\n", value.to_str().unwrap());
        }
        text += "\r\n";
        let whole = text.len();
        let tailed = [text.as_bytes(), &[0x81, 2], b"hi"].concat();
        assert_eq!(parse_response(&tailed, &accept(&key)), Ok(Some(whole)));
        for end in 0..whole {
            assert_eq!(parse_response(&text.as_bytes()[..end], &accept(&key)), Ok(None));
        }
    }

    #[test]
    fn each_refusal_says_what_is_wrong() {
        let good = "Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n";
        let key_field = "Sec-WebSocket-Accept: $\r\n";
        assert!(matches!(response(&format!("{good}{key_field}")), Ok(Some(_))));
        let wrong = |fields: String| response(&fields).unwrap_err().to_string();
        assert!(
            wrong(format!("Connection: Upgrade\r\n{key_field}")).contains("Upgrade: websocket")
        );
        assert!(
            wrong(format!("Upgrade: websocket\r\n{key_field}")).contains("Connection: Upgrade")
        );
        assert!(wrong(good.into()).contains("Sec-WebSocket-Accept"));
        assert!(wrong(format!("{good}Sec-WebSocket-Accept: nonsense\r\n")).contains("our key"));
        let extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
        assert!(wrong(format!("{good}{key_field}{extension}")).contains("extension"));
        let protocol = "Sec-WebSocket-Protocol: chat\r\n";
        assert!(wrong(format!("{good}{key_field}{protocol}")).contains("subprotocol"));
        let status = parse_response(b"HTTP/1.1 404 Not Found\r\n\r\n", "x").unwrap_err();
        assert_eq!(status.to_string(), "refused with 404 Not Found");
        assert!(matches!(parse_response(b"SSH-2.0\r\n", "x"), Err(UpgradeError::NotHttp(_))));
        let endless = format!("HTTP/1.1 101 X\r\nA: {}", "a".repeat(RESPONSE_MAX));
        assert_eq!(parse_response(endless.as_bytes(), "x"), Err(UpgradeError::TooLarge));
    }
}
