//! What a measured load is, and when each of its messages is due.
//!
//! Belongs here: trials, the shapes of a load and their schedules, as pure functions of a message's
//! number. Does not: who sends it (`population`), waiting for the time (`engine::pacing`).

pub mod inter_arrival;
pub mod profile;
pub mod schedule;
pub mod shape;
pub mod trial;
