//! Which nodes and sockets there are, and who hears each message.
//!
//! Belongs here: reading node URLs and a discovery's answer, choosing the push node, numbering the sockets
//! ([`sockets`]), whose turn it is to send ([`turns`]), and the one answer to "must this socket hear this
//! message" ([`audience`]). Does not: asking the network (`cli`), connecting (`engine`).

pub mod audience;
pub mod discovery;
pub mod fan_out;
pub mod nodes;
pub mod sockets;
pub mod turns;
