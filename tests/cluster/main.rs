//! The reference cluster against a client that is none of ours: tungstenite, blocking.
//!
//! Belongs here: what can be seen of the cluster from outside. The client of this program has no
//! part in it, so that the cluster can be trusted as the witness against it.

mod faults;
mod peer;
mod processes;
mod protocol;
