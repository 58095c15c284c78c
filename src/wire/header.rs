//! Header fields that a caller adds to the upgrade request.
//!
//! Belongs here: what may be a name or a value, and which fields are not the caller's to set. Does not: the
//! request (`upgrade`), where fields come from (`plan::upgrade_options`, `cli::upgrade_args`).

/// Why a field cannot be added: a clause that never holds the value, which may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// Not a token of RFC 9110.
    #[error("`{}` is not the name of a header: letters, digits and - only", .0.escape_debug())]
    Name(String),
    /// It would end the line, or is no text.
    #[error("the value of {0} has a line break or another control character in it")]
    Value(String),
    /// It belongs to the handshake.
    #[error("{name} is not set by a header: {instead}")]
    Own {
        /// As written.
        name: String,
        /// What to do.
        instead: &'static str,
    },
}

/// Fields that the handshake itself sets, and what a person gives in their place.
const OWN: [(&str, &str); 10] = [
    ("Host", "give --host NAME"),
    ("Sec-WebSocket-Protocol", "give --subprotocol NAME"),
    ("Sec-WebSocket-Extensions", "give --deflate"),
    ("Sec-WebSocket-Key", "it is drawn anew for every socket"),
    ("Sec-WebSocket-Version", "it is always 13"),
    ("Sec-WebSocket-Accept", "it belongs to the answer"),
    ("Upgrade", "it is always websocket"),
    ("Connection", "it is always Upgrade"),
    ("Content-Length", "an upgrade has no body"),
    ("Transfer-Encoding", "an upgrade has no body"),
];

/// Whether a field of this name may be added.
///
/// # Errors
/// It is no name, or one of the handshake's own.
pub fn check_name(name: &str) -> Result<(), FieldError> {
    if !is_token(name) {
        return Err(FieldError::Name(name.to_owned()));
    }
    match OWN.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)) {
        Some(&(_, instead)) => Err(FieldError::Own { name: name.to_owned(), instead }),
        None => Ok(()),
    }
}

/// A token (RFC 9110, section 5.6.2): names of fields, subprotocols, cookies.
pub fn is_token(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_part)
}

/// What may be a field's value (RFC 9110, section 5.5): nothing in it ends the line.
pub fn is_value(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'\t' || !byte.is_ascii_control())
}

/// Percent-encodes what may not be in a part of a query as it is (RFC 3986, section 3.4), and `+`, which many
/// servers read as a space.
pub fn query_part(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'\'' | b'(' | b')' | b'*' | b',' | b';'
            | b':' | b'@' | b'/' | b'?' => encoded.push(byte.into()),
            byte if byte.is_ascii_alphanumeric() => encoded.push(byte.into()),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_handshakes_own_fields_are_refused_with_what_to_give_instead() {
        for (name, said) in [
            ("host", "--host"),
            ("SEC-WEBSOCKET-PROTOCOL", "--subprotocol"),
            ("Connection", "always Upgrade"),
            ("sec-websocket-key", "every socket"),
        ] {
            let error = check_name(name).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(said), "{error}");
        }
        for name in ["Authorization", "Origin", "X-Api_Key", "cookie"] {
            assert_eq!(check_name(name), Ok(()));
        }
    }

    proptest! {
        /// The oracle is a parser that nobody here wrote.
        #[test]
        fn what_passes_for_a_field_is_one_field_to_an_independent_parser(
            name in "[ -~]{0,12}|[!-9;-~]{1,12}", value in any::<String>(),
        ) {
            let line = format!("GET / HTTP/1.1\r\n{name}: {value}\r\n\r\n");
            let mut headers = [httparse::EMPTY_HEADER; 8];
            let mut request = httparse::Request::new(&mut headers);
            let parsed = request.parse(line.as_bytes());
            let is_one = parsed == Ok(httparse::Status::Complete(line.len()))
                && request.headers.len() == 1
                && request.headers[0].name == name
                && request.headers[0].value == value.trim_matches([' ', '\t']).as_bytes();
            if is_token(&name) && is_value(&value) {
                prop_assert!(is_one, "{:?}", line);
            }
        }

        #[test]
        fn an_encoded_query_means_what_was_given(key in any::<String>(), value in any::<String>()) {
            let url = format!("ws://h/?{}={}", query_part(&key), query_part(&value));
            let url = url::Url::parse(&url).unwrap();
            let pairs: Vec<_> = url.query_pairs().into_owned().collect();
            prop_assert_eq!(pairs, [(key, value)]);
        }
    }
}
