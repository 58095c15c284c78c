//! A breach of RFC 6455 by a server, with the code that the connection is closed with.

use super::code::PROTOCOL;

/// How a server broke the protocol, and the code to close with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Close code (RFC 6455, section 7.4.1).
    pub code: u16,
    /// One clause.
    pub what: &'static str,
}

impl Violation {
    /// Code 1002.
    pub(super) const fn protocol(what: &'static str) -> Self {
        Self { code: PROTOCOL, what }
    }
}
