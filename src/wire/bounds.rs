//! What is taken from a node at most, before it is told to stop or is refused.
//!
//! Belongs here: the bounds that are no single rule of the RFC, and what they are where nobody says. Does not: flags
//! (`cli::bounds_args`), the bound of messages under way, which is memory (`decoder::BufferPool`).

/// Fragments of one message, where nobody says, and at most: an idle socket has no room to count more. 16 MiB in pieces
/// of 256 bytes fit, and every case of Autobahn's.
pub const FRAGMENTS_MAX: u32 = 65_536;

/// Of an answer to the upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerBounds {
    /// Its head, with those of interim answers before it. Real ones are 130 to 500 bytes; a server that sends more
    /// without ending its head is not answering an upgrade.
    pub head_bytes: usize,
    /// Of a refusal's body, so much is waited for and shown: a page of HTML says what it has to say within.
    pub body_bytes: usize,
}

impl Default for AnswerBounds {
    fn default() -> Self {
        Self { head_bytes: 16 << 10, body_bytes: 512 }
    }
}
