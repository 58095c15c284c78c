//! How a worker waits for what comes while the clock runs.
//!
//! Belongs here: the choice. Does not: waiting (`engine::pacing`, `engine::ring`).
//!
//! A thread that sleeps wakes 25 to 35 µs after the first bytes came, and only then stamps them: pure
//! instrument error. One that polls stamps at once, and takes the core. One that lets completions
//! gather takes least, and stamps last.

use std::fmt;

use super::schedule::Shape;

/// How to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitMode {
    /// Poll as long as something came or left a moment ago, sleep until the next copy otherwise.
    Latency,
    /// Poll without pause.
    Spin,
    /// Sleep until many copies are there or a moment has passed.
    Throughput,
}

impl WaitMode {
    /// What a load asks for: messages on a schedule or in a window are sent for their latency; a burst
    /// is a pile to be worked through, in which copies seldom have to be waited for.
    pub const fn for_shape(shape: Shape) -> Self {
        match shape {
            Shape::Burst => Self::Throughput,
            Shape::Window { .. } | Shape::Rate { .. } => Self::Latency,
        }
    }
}

impl fmt::Display for WaitMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Latency => "latency",
            Self::Spin => "spin",
            Self::Throughput => "throughput",
        })
    }
}
