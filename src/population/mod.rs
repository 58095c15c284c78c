//! Which nodes there are, and who must hear each message.
//!
//! Belongs here: reading node URLs and a discovery's answer, choosing the push node, and the one answer
//! to "must this socket hear this message" ([`fan_out`]). Does not: asking the network (`cli`),
//! connecting (`engine`).

pub mod discovery;
pub mod fan_out;
pub mod nodes;
