//! What parent and child say to each other over the child's stdin and stdout, one JSON line each.
//!
//! ```text
//! parent → child   Listen    where to listen
//! child  → parent  Bound     it listens; its ports
//! parent → child   Order     what the child is, and the ports of the nodes
//! child  → parent  Ready     discovery: it answers; node: its mesh links are up
//! ```
//!
//! What a child is comes second, because a node's place depends on its port: clients that sort the
//! nodes by their addresses, since the discovery shuffles them, then count them as we do.
//!
//! After that the child's stdin stays open and silent: its end is the parent's end.
//!
//! Belongs here: the lines. Does not: who starts whom (`parent`), who obeys (`child`).

use std::io::{self, BufRead, Write};
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::audience::Audience;
use super::tls::Identity;

/// The hidden argument that makes this executable a child.
pub(super) const CHILD_ARGUMENT: &str = "cluster-child";

/// Where a child listens.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Listen {
    /// Where clients come in; any free port without one.
    pub(super) port: Option<u16>,
    /// Whether other nodes come in too.
    pub(super) mesh: bool,
}

/// The child listens.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Bound {
    pub(super) client_port: u16,
    /// Where other nodes come in; a discovery has none.
    pub(super) mesh_port: Option<u16>,
}

/// What a child is.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) role: Role,
    pub(super) seed: u64,
    /// The CPU to stay on.
    pub(super) cpu: Option<usize>,
    /// Connections to be ready for, where that is known.
    pub(super) connections: Option<u64>,
    /// Whether to ask for io_uring: a filter may kill who does.
    pub(super) io_uring: bool,
    /// What to show to clients, which then come in over TLS.
    pub(super) tls: Option<Identity>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Role {
    /// With the client ports of all nodes.
    Discovery(Vec<u16>),
    Node(NodeOrder),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct NodeOrder {
    /// Its place among the nodes, from 0.
    pub(super) index: usize,
    /// The mesh ports of all nodes, its own included, in the order of their places.
    pub(super) mesh_ports: Vec<u16>,
    /// The node passes bytes on without reading them, to these clients.
    pub(super) relay: Option<Audience>,
    /// All faults of the cluster as they are written; the node picks its own.
    pub(super) faults: Vec<String>,
    pub(super) fault_log: Option<PathBuf>,
}

/// The child does its work from now on.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ready {
    pub(super) pid: u32,
    /// Whether the kernel grants it io_uring; it does without where not.
    pub(super) io_uring: bool,
}

/// Writes one line and flushes it.
pub(super) fn say(to: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    let mut bytes = simd_json::to_vec(line).map_err(io::Error::other)?;
    bytes.push(b'\n');
    to.write_all(&bytes)?;
    to.flush()
}

/// Reads one line; the other side's end is `UnexpectedEof`.
pub(super) fn hear<T: DeserializeOwned>(from: &mut impl BufRead) -> io::Result<T> {
    let mut line = Vec::new();
    if from.read_until(b'\n', &mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    simd_json::from_slice(&mut line).map_err(io::Error::other)
}
