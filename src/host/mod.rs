//! The machine that we run on.

pub mod clock;
pub mod facts;
