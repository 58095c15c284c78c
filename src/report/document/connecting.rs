//! The part of a document that tells how sockets were connected.
//!
//! Belongs here: keys and their meaning. Does not: how they come about (`build`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::report::document::deflate::AgreedDeflate;
use crate::report::document::reached::ReachedNode;
use crate::report::document::trial::Latency;
use crate::report::sanitize::UntrustedText;

/// How sockets were to be connected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Dialing {
    /// The addresses that sockets come from; null where the kernel chooses.
    pub sources: Option<SourceAddresses>,
    /// Connects begun in a second, at most; null without a limit.
    pub rate_per_s: Option<f64>,
    /// Sockets that must be connected for the run to go on.
    pub min_connected: u64,
    /// Workers over all cores.
    pub workers: u64,
    /// Rings over all workers; more than workers where a ring's table of descriptors is too small for
    /// the sockets of one. 0 in results from before this was told.
    #[serde(default)]
    pub rings: u64,
    /// Descriptors live in the tables of the rings, not in that of the process.
    pub direct_descriptors: bool,
    /// What comes is acknowledged late (`TCP_QUICKACK` off), which most clients do not ask for.
    #[serde(default)]
    pub delayed_ack: bool,
    /// How `wss://` nodes were to be spoken to; null where there are none.
    #[serde(default)]
    pub tls: Option<TlsDialing>,
}

/// What was asked of TLS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TlsDialing {
    /// The oldest version that is spoken.
    pub min_version: UntrustedText,
    /// Certificates of nodes are not checked.
    pub insecure: bool,
    /// The file or directory of certificates that are trusted, or that of the embedded cluster; null where it is
    /// those of this host.
    pub trusted: Option<UntrustedText>,
    /// Nodes that ask for a certificate are shown one.
    pub shows_certificate: bool,
    /// Sessions are resumed where nodes offer it; else every handshake is a full one.
    pub resumes: bool,
    /// The name that is asked for; null where it is that of each node's URL.
    pub server_name: Option<UntrustedText>,
    /// The most plaintext of a record that we send: a message that leaves alone has one of its own, a burst
    /// fills them.
    pub record_bytes: u64,
}

/// Source addresses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SourceAddresses {
    /// How many there are.
    pub addresses: u64,
    /// Which.
    pub ranges: UntrustedText,
    /// Nobody named them: all nodes are on loopback, and one address has too few ports.
    pub automatic: bool,
}

/// What connecting came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Connecting {
    /// Sockets planned.
    pub sockets: u64,
    /// Sockets that were ready when the first trial began.
    pub connected: u64,
    /// Sockets that were not: nothing is expected of them.
    pub failed: u64,
    /// From the first connect until the last socket was ready or given up.
    pub wall_s: f64,
    /// Sockets ready over that time; null when it took none.
    pub rate_per_s: Option<f64>,
    /// TCP connects that succeeded.
    pub connect_us: Latency,
    /// TLS handshakes that succeeded, each from its TCP connection on; null without `wss://` nodes, and in
    /// results from before this was told.
    #[serde(default)]
    pub handshake_us: Option<Latency>,
    /// What they came to.
    #[serde(default)]
    pub sessions: Vec<TlsSessions>,
    /// Compression that was offered (`--deflate`) and what nodes agreed to; absent where none was offered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deflate: Vec<AgreedDeflate>,
    /// From the upgrade's request to the whole answer, of those that were accepted.
    pub upgrade_us: Latency,
    /// Local ports that somebody else held, and that were passed over.
    pub ports_passed_over: u64,
    /// The failed sockets by node, phase and reason.
    pub failures: Vec<ConnectFailure>,
    /// Who took the sockets behind each address, as the header of `--node-header` names it; empty without that.
    #[serde(default)]
    pub reached: Vec<ReachedNode>,
    /// Cookies that nodes, or what stands before them, set in their answers; a socket that is connected again
    /// shows its own.
    #[serde(default)]
    pub cookies: Vec<SetCookie>,
}

/// TLS handshakes with one node that came to the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TlsSessions {
    /// Index of the node.
    pub node: u64,
    /// As `TLS 1.3`.
    pub version: UntrustedText,
    /// The cipher suite, as the register of the IANA spells it.
    pub suite: UntrustedText,
    /// How many handshakes.
    pub handshakes: u64,
    /// Those of them that resumed an earlier session.
    pub resumed: u64,
}

/// A cookie, without its values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SetCookie {
    /// Its name.
    pub name: UntrustedText,
    /// Sockets that it was set for.
    pub sockets: u64,
}

/// Sockets to one node that failed in one way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectFailure {
    /// Index of the node.
    pub node: u64,
    /// `connect`, `handshake` (of the transport), `upgrade`, `opening` (of the dialect) or `session`.
    pub phase: UntrustedText,
    /// One clause.
    pub reason: UntrustedText,
    /// How many sockets.
    pub sockets: u64,
}
