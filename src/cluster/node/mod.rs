//! A node: a single thread that takes messages from its clients and tells everyone.
//!
//! ```text
//! client ─decode→ hub ─copies→ client… ─outbox→ socket
//!                 │ ↑
//!                 └─┴── mesh links, to and from the other nodes
//! ```
//!
//! - `serve`: accepting, the tasks that read, the Pings
//! - `upgrade`: the HTTP before the frames, as server and as mesh client
//! - `decode`: bytes to messages, by tungstenite
//! - `chat`: the seed's JSON
//! - `hub`: ids, fan-out, the mesh, faults that count messages
//! - `client`: one client connection's copies, faults that count copies
//! - `fault_injector`: which of the faults are this node's, and their dice
//! - `delivery`: a message as faults see it
//! - `frame`: messages to bytes, also broken ones
//! - `outbox`: what waits for one socket
//!
//! An idle connection costs about 4 KB here (3.8 to 4.3 of resident memory, `plan::memory` counts
//! 4096 bytes): 512 bytes each for the read in flight and for
//! tungstenite's buffer, the rest for the reading task and its connection's state. The read grows
//! up to 64 KiB while there is much to read and shrinks when there is not.

mod chat;
mod client;
mod decode;
mod delivery;
mod fault_injector;
mod frame;
mod hub;
mod outbox;
mod serve;
mod upgrade;

pub(super) use serve::Node;
