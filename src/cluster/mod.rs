//! The reference cluster: a discovery and nodes in a full mesh, speaking the seed's messages.
//!
//! Belongs here: everything of the far end, in child processes of the same executable. It shares no
//! code with the client (no `engine`, `wire`, `dialect`, `measure`): a mistake of ours must not
//! cancel out. Protocol by tungstenite, I/O by tokio-uring.
//!
//! - `parent`: starts and ends the children
//! - `child`: what a child does until it knows its role
//! - `discovery`: `GET /api/clients`
//! - `node`: clients, mesh, fan-out; `link`: one connection; `message`: the seed's JSON
//! - `fault`: what may go wrong on purpose; `fault_log`: what did

mod child;
mod discovery;
pub mod fault;
pub mod fault_log;
mod link;
mod message;
mod node;
mod parent;

pub use self::child::child_main;
pub use self::fault::{FaultError, FaultSpec};
pub use self::parent::{Cluster, ClusterConfig, ClusterError};
