//! RFC 6455 as bytes: the upgrade, frames from a server, frames to a server.
//!
//! Belongs here: what any WebSocket peer would agree on. Every function takes bytes and gives
//! bytes or meaning back. Does not: sockets and buffers of the kernel (`engine`), a clock
//! (`host::clock`), what a given cluster says inside its messages (`dialect`).

pub mod answer;
pub mod bounds;
mod buffer_pool;
pub mod cut_off;
pub mod decoder;
pub mod deflate;
pub mod encode;
pub mod excerpt;
pub mod frame;
pub mod header;
mod item;
#[doc(hidden)]
pub mod naive;
pub mod refusal;
mod repetition;
pub mod upgrade;
mod utf8;

pub use decoder::{BufferPool, Decoder, FrameCounts, Item};
pub use frame::{CloseCode, Header, Opcode, Violation, parse_header};
