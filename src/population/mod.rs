//! Which nodes and sockets there are, and who hears each message.
//!
//! Belongs here: reading node URLs and a discovery's answer, choosing the push node, numbering the sockets
//! ([`sockets`]), whose turn it is to send ([`turns`]), and the one answer to "must this socket hear this
//! message" ([`audience`]), and what differs from socket to socket ([`data`], [`socket_text`]), and what of a URL may be shown ([`shown_url`]). Does not: asking the network (`cli`), connecting (`engine`).

pub mod audience;
pub mod connect_to;
pub mod data;
pub mod discovery;
pub mod fan_out;
pub mod nodes;
pub mod scheme;
pub mod shown_url;
pub mod socket_text;
pub mod sockets;
pub mod turns;
pub mod url_error;
