//! engine.
pub mod ring;
