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
