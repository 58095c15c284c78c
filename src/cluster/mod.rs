//! The reference cluster: an independent implementation of the seed's system, as child processes.
//!
//! One discovery (`GET /api/clients`) and *n* nodes in a full mesh, on tokio-uring (tokio, where a
//! host refuses io_uring) and tungstenite.
//! It shares no code with the client, so that a mistake of the client cannot cancel out against the
//! same mistake here. A null cluster (`relay`) passes bytes on without reading them; faults, drawn
//! from a seed, do what real clusters do, and are accounted for in a log.
//!
//! Where it differs from the seed's system on purpose: what kills a node of the seed's (broken JSON,
//! a payload without `text` or with a `nodeId`) is ignored, copies keep their order unless a fault
//! moves them, nothing is stored (a `clientSyncRequest` is answered with an empty difference), and a
//! node with more than 16 MiB waiting for one connection stops reading pushes until it has gone,
//! where the seed's node buffers without end. No copy is ever lost to that: whoever is too slow
//! slows the pushers down, and whoever takes nothing at all is dropped by its unanswered Ping.
//!
//! Belongs here: the children, the parent's handle on them, what faults there are. Does not: anything
//! that the client uses.

mod audience;
mod child;
mod discovery;
pub mod fault_log;
pub mod faults;
mod handshake;
mod net;
#[cfg(target_env = "musl")]
mod no_uring;
mod node;
mod parent;
mod process;
mod stream;
mod tls;

pub use audience::Audience;
pub use child::child_main;
pub use fault_log::FaultEvent;
pub use faults::{FAULTS, FaultSpec};
pub use parent::{Cluster, ClusterConfig, ClusterError};
