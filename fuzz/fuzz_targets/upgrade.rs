//! Answers to an upgrade: what is accepted is right, a bound is kept, and a refusal is one short line that nothing in
//! an answer can break.
#![no_main]

use fanstorm::wire::bounds::AnswerBounds;
use fanstorm::wire::deflate::DeflateOffer;
use fanstorm::wire::refusal;
use fanstorm::wire::upgrade::{Expected, UpgradeError, parse_response};
use fanstorm_fuzz::Input;
use libfuzzer_sys::fuzz_target;

/// Of RFC 6455, section 1.3.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fuzz_target!(|input: &[u8]| {
    let mut input = Input(input);
    let how = input.byte();
    let subprotocols = ["mqtt".to_owned(), "v12.stomp".to_owned()];
    let offer = DeflateOffer::default();
    let bounds = AnswerBounds { head_bytes: 300, body_bytes: usize::from(how >> 3) };
    let expected = Expected {
        accept: ACCEPT,
        subprotocols: if how & 1 != 0 { &subprotocols } else { &[] },
        requires_subprotocol: how & 2 != 0,
        deflate: (how & 4 != 0).then_some(&offer),
        bounds,
    };
    let bytes = input.0;
    let whole = parse_response(bytes, expected);
    match &whole {
        Ok(Some(consumed)) => is_right(&bytes[..*consumed]),
        Ok(None) => assert!(bytes.len() < bounds.head_bytes),
        Err(error) => {
            let words = refusal::words(error, bytes, bounds);
            assert!(!words.is_empty() && !words.contains(char::is_control), "{words:?}");
            let most = 20 * (bounds.head_bytes + bounds.body_bytes);
            assert!(words.len() < 1_000 + most, "{} bytes", words.len());
        }
    }
    // What was known of a part is still so of the whole, however the answer comes.
    for len in 0..bytes.len() {
        match parse_response(&bytes[..len], expected) {
            Ok(None) => {}
            Ok(Some(consumed)) => assert_eq!(whole, Ok(Some(consumed))),
            Err(UpgradeError::Refused { .. }) => {
                let is_refused = matches!(whole, Err(UpgradeError::Refused { .. }));
                assert!(is_refused, "{whole:?} of {}", bytes.escape_ascii());
            }
            Err(_) => assert!(whole.is_err(), "{whole:?} of {}", bytes.escape_ascii()),
        }
    }
});

/// What RFC 6455, section 4.1, wants of an answer that is accepted, read without a parser.
fn is_right(answer: &[u8]) {
    let text = String::from_utf8_lossy(answer).to_ascii_lowercase();
    let wanted = [" 101", "upgrade", "websocket", "connection", &ACCEPT.to_ascii_lowercase()];
    for word in wanted {
        assert!(text.contains(word), "{word} is not in {}", answer.escape_ascii());
    }
    assert!(answer.ends_with(b"\n"));
}
