//! The payload of Close frames (RFC 6455, section 5.5.1).

use super::code::INVALID_DATA;
use super::violation::Violation;

/// Code and reason of a Close frame's payload.
///
/// # Errors
/// A payload of one byte, a code that must not be sent, a reason that is not UTF-8.
pub fn parse(payload: &[u8]) -> Result<(Option<u16>, &str), Violation> {
    let (code, reason) = match payload {
        [] => return Ok((None, "")),
        [_] => return Err(Violation::protocol("a Close payload of one byte")),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    if !may_be_sent(code) {
        return Err(Violation::protocol("a Close code that must not be sent"));
    }
    let reason = std::str::from_utf8(reason)
        .map_err(|_| Violation { code: INVALID_DATA, what: "a Close reason that is not UTF-8" })?;
    Ok((Some(code), reason))
}

/// 1004 to 1006 and 1015 never appear on the wire; below 1000 nothing is defined; from 3000 on codes
/// belong to libraries and applications (section 7.4.2, and the IANA registry for 1012 to 1014).
const fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}
