//! Who hears a message in a relay.
//!
//! Belongs here: the choice. Does not: passing anything on (`node`).

use serde::{Deserialize, Serialize};

/// To whom a relay passes a client's message on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Audience {
    /// To every client of every node, the sender included.
    #[default]
    All,
    /// To every client of every node but the sender.
    Others,
    /// To the sender alone: an echo server.
    Own,
}
