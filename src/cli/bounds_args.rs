//! The flags that bound what is taken from nodes and from a discovery.
//!
//! Belongs here: their help and what they ask for. Does not: holding them (`wire`), the memory of a plan
//! (`plan::memory`).

use clap::Args;

use crate::units::Bytes;
use crate::wire::bounds::{AnswerBounds, FRAGMENTS_MAX};

const BOUNDS: &str =
    "Bounds (of what nodes may send; beyond one a socket is closed, and the report says which)";

/// The shortest right answer to an upgrade has 129 bytes: below this no node could be reached.
const HEADER_BYTES_MIN: Bytes = Bytes(256);

/// Memory for one answer of each socket that is on its way.
const ANSWER_BYTES_MAX: Bytes = Bytes::from_mib(16);

/// Flags of `run` about bounds.
#[derive(Args, Clone, Debug)]
pub struct BoundsArgs {
    /// Close a socket on which a larger message comes, inflated where it is compressed
    #[arg(long, value_name = "SIZE", default_value = "16MiB", help_heading = BOUNDS)]
    max_message_bytes: Bytes,

    /// Close a socket on which one message comes in more fragments, 1 to 65536
    #[arg(long, value_name = "COUNT", default_value_t = FRAGMENTS_MAX, help_heading = BOUNDS,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(FRAGMENTS_MAX)))]
    max_fragments: u32,

    /// Close a socket whose message has begun and not ended, where all such messages take more memory than
    /// this; each worker has its part [default: twice --max-message-bytes for each worker]
    #[arg(long, value_name = "SIZE", help_heading = BOUNDS)]
    partial_memory: Option<Bytes>,

    /// Refuse an answer to the upgrade whose headers are longer, 256B to 16MiB
    #[arg(long, value_name = "SIZE", default_value = "16KiB", value_parser = header_bytes, help_heading = BOUNDS)]
    max_header_bytes: Bytes,

    /// Of the body with which a node refuses an upgrade, wait for so much and show it, up to 16MiB
    #[arg(long, value_name = "SIZE", default_value = "512B", value_parser = body_bytes, help_heading = BOUNDS)]
    max_body_bytes: Bytes,

    /// Refuse a discovery's answer that is longer
    #[arg(long, value_name = "SIZE", default_value = "16MiB", help_heading = BOUNDS)]
    max_discovery_bytes: Bytes,
}

impl BoundsArgs {
    /// Of one message.
    pub const fn message_bytes(&self) -> u64 {
        self.max_message_bytes.0
    }

    /// Of one message.
    pub const fn fragments(&self) -> u32 {
        self.max_fragments
    }

    /// Of all messages that have begun and not ended.
    pub fn partial_memory(&self) -> Option<u64> {
        self.partial_memory.map(|bytes| bytes.0)
    }

    /// Of an answer to the upgrade.
    pub fn answer(&self) -> AnswerBounds {
        // Within 16 MiB.
        let (head_bytes, body_bytes) = (self.max_header_bytes.0, self.max_body_bytes.0);
        AnswerBounds { head_bytes: head_bytes as usize, body_bytes: body_bytes as usize }
    }

    /// Of a discovery's answer.
    pub const fn discovery(&self) -> Bytes {
        self.max_discovery_bytes
    }
}

fn header_bytes(text: &str) -> Result<Bytes, String> {
    let bytes = body_bytes(text)?;
    if bytes < HEADER_BYTES_MIN {
        return Err(format!("at least {HEADER_BYTES_MIN}: no right answer would fit"));
    }
    Ok(bytes)
}

fn body_bytes(text: &str) -> Result<Bytes, String> {
    let bytes: Bytes = text.parse().map_err(|e: crate::units::ScanError| e.to_string())?;
    if bytes > ANSWER_BYTES_MAX {
        return Err(format!("at most {ANSWER_BYTES_MAX}"));
    }
    Ok(bytes)
}
