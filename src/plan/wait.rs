//! How a worker waits for what comes while the clock runs.
//!
//! Belongs here: the choice. Does not: waiting (`engine::pacing`, `engine::ring`).
//!
//! Nobody's choice (`--wait auto`) is to poll where the CPU is the worker's alone, and to sleep where it
//! is shared or rationed: beside the embedded cluster on the same CPUs, under a quota, and wherever a
//! node's address is this host's own. Of a node that we did not start we do not know the CPUs, and a
//! worker that polls takes one from it: a chat cluster at 200 messages a second had a p99 of 18, 21, 10
//! and 14 ms beside workers that polled, and of 7, 8, 10 and 7 ms beside workers that slept, for a
//! fifteenth of our CPU time.
//!
//! A thread that sleeps wakes 25 to 35 µs after the first bytes came, and only then stamps them: pure
//! instrument error. One that polls stamps at once, and takes the core, which is why it is what happens
//! where the core is the worker's alone. One that lets completions gather stamps last, and gains little
//! by it: a burst through the null cluster took 842 ms polling, 919 sleeping, 930 gathering.

use std::fmt;

use crate::units::Nanos;

/// How to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WaitMode {
    /// Poll as long as something came or left a moment ago, sleep until the next copy otherwise.
    #[default]
    Latency,
    /// Poll without pause.
    Spin,
    /// Sleep until the next copy.
    Sleep,
    /// Sleep until many copies are there or a moment has passed.
    Throughput,
}

/// For so long a wait for throughput lets completions gather; they are stamped together.
pub const GATHERING: Nanos = Nanos::from_micros(50);

impl WaitMode {
    /// Copies that come closer together than this may have one stamp.
    pub const fn resolution(self) -> Nanos {
        match self {
            Self::Throughput => GATHERING,
            // As many as one look finds, and no two looks at one time.
            Self::Latency | Self::Spin | Self::Sleep => Nanos(1),
        }
    }
}

impl fmt::Display for WaitMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Latency => "latency",
            Self::Spin => "spin",
            Self::Sleep => "sleep",
            Self::Throughput => "throughput",
        })
    }
}
