//! What to run. A [`Plan`] that exists can be run: it is checked while it is built, never after.
//!
//! Belongs here: targets, load, expectation, and the arithmetic on them. Does not: clap (`cli`),
//! sockets (`engine`), the machine's limits (`host`).

pub mod fan_out;

use std::net::SocketAddr;

use self::fan_out::FanOut;
use crate::dialect::Dialect;
use crate::dialect::text::TextShape;
use crate::units::Nanos;
use crate::wire::encode;

/// One node of the cluster under test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The node's WebSocket URL as a person would write it; names the node in every message.
    pub url: String,
    /// Where to connect.
    pub addr: SocketAddr,
    /// Value of the upgrade request's `Host` header.
    pub host: String,
    /// Request target of the upgrade: path and query, beginning with `/`.
    pub target: String,
}

/// Everything a run needs to know.
#[derive(Clone, Debug)]
pub struct Plan {
    /// All nodes; receive sockets go to each of them.
    pub nodes: Vec<Node>,
    /// Index into `nodes` of the node that takes every push.
    pub push_node: usize,
    /// What the cluster speaks inside frames.
    pub dialect: Dialect,
    /// Who hears what a push socket sends.
    pub fan_out: FanOut,
    /// Number of push sockets, at least 1.
    pub push_sockets: u32,
    /// Receive sockets to each node. May be 0 (then only the push sockets receive).
    pub receivers_per_node: u32,
    /// The CPUs that carry a worker each; at least one.
    pub cores: Vec<usize>,
    /// The rows: the number of messages of each run, at least one row, each at least 1.
    pub messages: Vec<u64>,
    /// Length of each message's text, at least [`crate::dialect::tag::TAG_LEN`] and its lead-in.
    pub payload_bytes: usize,
    /// The run ends when no copy has come for so long.
    pub drain: Nanos,
    /// A socket that is not connected, upgraded and opened by then is given up.
    pub connect_timeout: Nanos,
    /// A probe that was not seen on every socket by then ends the program.
    pub ready_timeout: Nanos,
    /// Largest message that is taken from a node; a larger one closes the socket with 1009.
    pub max_message_bytes: usize,
    /// Frames that need more than this are patched in place instead of being laid out in full.
    pub frame_memory_bytes: usize,
    /// Seed of everything random on our side: run nonce, mask keys, upgrade keys.
    pub seed: u64,
}

impl Plan {
    /// Receive sockets over all nodes.
    pub fn receive_sockets(&self) -> u64 {
        self.nodes.len() as u64 * u64::from(self.receivers_per_node)
    }

    /// All sockets: push and receive.
    pub fn sockets(&self) -> u64 {
        u64::from(self.push_sockets) + self.receive_sockets()
    }

    /// Whether all frames of a row are laid out before the clock, or a window that is patched.
    pub fn lays_all(&self, messages: u64, text: &TextShape) -> bool {
        let frame_len = encode::frame_len(self.dialect.message_len(text)) as u64;
        messages.saturating_mul(frame_len) <= self.frame_memory_bytes as u64
    }

    /// What must come back for a row of `messages`: `m * (s + r)` where everybody hears everything.
    pub fn expected_copies(&self, messages: u64) -> u64 {
        messages * self.fan_out.copies_each(self.sockets())
    }
}
