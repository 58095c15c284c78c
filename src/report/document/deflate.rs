//! Compression in a result: what was agreed, and what it came to.
//!
//! Belongs here: the keys and how they are made of what was measured. Does not: their words (`story`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::measure::extensions::Extensions;
use crate::plan::memory::{DEFLATE_BYTES, INFLATE_BYTES};
use crate::report::sanitize::UntrustedText;
use crate::wire::deflate::DeflateCounts;

/// Sockets to one node that agreed on the same compression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgreedDeflate {
    /// Index of the node.
    pub node: u64,
    /// As in `Sec-WebSocket-Extensions`; null where the node took the socket without compression.
    pub parameters: Option<UntrustedText>,
    /// How many.
    pub sockets: u64,
    /// Memory that each takes for the window of what it receives; 0 where the node compresses each message by itself.
    pub inflate_bytes: u64,
    /// The same of what it sends, once it has sent something; 0 where we compress each message by itself, or nothing.
    pub deflate_bytes: u64,
}

/// Messages that were compressed in a trial, warm-up and probes of the dialect included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Deflate {
    /// Compressed messages that came.
    pub received_messages: u64,
    /// Their payloads on the wire.
    pub received_bytes: u64,
    /// The same inflated.
    pub inflated_bytes: u64,
    /// Messages that were sent compressed.
    pub sent_messages: u64,
    /// Their payloads on the wire.
    pub sent_bytes: u64,
    /// The same before they were compressed.
    pub plain_bytes: u64,
}

pub(super) fn agreed(all: &[Extensions]) -> Vec<AgreedDeflate> {
    let one = |extensions: &Extensions| {
        let window = |bytes, is_kept: Option<bool>| if is_kept == Some(true) { bytes } else { 0 };
        let agreed = extensions.agreed;
        AgreedDeflate {
            node: extensions.node as u64,
            parameters: agreed.map(|agreed| agreed.to_string().as_str().into()),
            sockets: extensions.sockets,
            inflate_bytes: window(INFLATE_BYTES, agreed.map(|agreed| !agreed.server_no_takeover)),
            deflate_bytes: window(DEFLATE_BYTES, agreed.map(|agreed| !agreed.client_no_takeover)),
        }
    };
    all.iter().map(one).collect()
}

pub(super) fn deflate(counts: &DeflateCounts) -> Option<Deflate> {
    let DeflateCounts { received, received_bytes, inflated_bytes, sent, sent_bytes, plain_bytes } =
        *counts;
    (received + sent > 0).then_some(Deflate {
        received_messages: received,
        received_bytes,
        inflated_bytes,
        sent_messages: sent,
        sent_bytes,
        plain_bytes,
    })
}
