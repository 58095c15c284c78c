//! cli.

pub mod cluster;
