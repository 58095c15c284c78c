//! When each message is due.
//!
//! Belongs here: the shape of a load and its schedule, as pure functions of a message's number. Does
//! not: who sends it (`population`), waiting for the time (`engine::pacing`).

pub mod schedule;
