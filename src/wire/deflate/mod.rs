//! permessage-deflate (RFC 7692), as bytes.
//!
//! Belongs here: what is offered and agreed ([`offer`]), frames of a server without their compression ([`unpack`]) and
//! frames of a client with it ([`pack`]). Does not: when either is asked (`engine::connection::transport`), the rules
//! of all other frames (`wire::decoder`, which reads what `unpack` gives).

pub mod offer;
pub mod pack;
pub mod unpack;
mod window;

#[cfg(test)]
mod tests;

pub use self::offer::{Agreed, DeflateOffer};

/// What ends a message's last block on its way through the compressor, and is left out on the wire (RFC 7692, section
/// 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// What was compressed, by us and by nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeflateCounts {
    /// Compressed messages that came.
    pub received: u64,
    /// Their payloads on the wire.
    pub received_bytes: u64,
    /// The same inflated.
    pub inflated_bytes: u64,
    /// Messages that were sent compressed.
    pub sent: u64,
    /// Their payloads on the wire.
    pub sent_bytes: u64,
    /// The same before they were compressed.
    pub plain_bytes: u64,
}

impl DeflateCounts {
    /// Both together.
    #[must_use]
    pub const fn plus(self, other: &Self) -> Self {
        Self {
            received: self.received + other.received,
            received_bytes: self.received_bytes + other.received_bytes,
            inflated_bytes: self.inflated_bytes + other.inflated_bytes,
            sent: self.sent + other.sent,
            sent_bytes: self.sent_bytes + other.sent_bytes,
            plain_bytes: self.plain_bytes + other.plain_bytes,
        }
    }

    /// What has come and left since `before`.
    #[must_use]
    pub const fn since(self, before: &Self) -> Self {
        Self {
            received: self.received - before.received,
            received_bytes: self.received_bytes - before.received_bytes,
            inflated_bytes: self.inflated_bytes - before.inflated_bytes,
            sent: self.sent - before.sent,
            sent_bytes: self.sent_bytes - before.sent_bytes,
            plain_bytes: self.plain_bytes - before.plain_bytes,
        }
    }
}
