//! The part of a document that tells how sockets were connected.
//!
//! Belongs here: keys and their meaning. Does not: how they come about (`build`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

/// A cookie, without its values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SetCookie {
    /// Its name.
    pub name: UntrustedText,
    /// Sockets that it was set for.
    pub sockets: u64,
}

/// Sockets to one node of the plan that one node behind it took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReachedNode {
    /// Index of the node of the plan.
    pub node: u64,
    /// Who took them; null where the answer did not say.
    pub name: Option<UntrustedText>,
    /// How many.
    pub sockets: u64,
    /// Those of them that push.
    pub push_sockets: u64,
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
