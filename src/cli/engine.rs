//! `--engine` and `--wait`, as written.
//!
//! Belongs here: their values. Does not: what follows from them (`plan::engine`).

use clap::ValueEnum;

use crate::plan::engine::{Engine, Wish};
use crate::plan::wait::WaitMode;

/// `--engine`, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EngineArg {
    /// io_uring; epoll, with a notice, where seccomp or an old kernel withholds it
    Auto,
    /// io_uring or nothing
    #[value(name = "io_uring")]
    IoUring,
    /// A system call for each read and send
    Epoll,
}

/// `--wait`, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WaitArg {
    /// As the load asks for
    Auto,
    /// Poll while copies follow each other, else sleep
    Latency,
    /// Poll without pause
    Spin,
    /// Sleep until many copies are there
    Throughput,
}

impl From<EngineArg> for Wish {
    fn from(arg: EngineArg) -> Self {
        match arg {
            EngineArg::Auto => Self::Auto,
            EngineArg::IoUring => Self::Only(Engine::IoUring),
            EngineArg::Epoll => Self::Only(Engine::Epoll),
        }
    }
}

impl From<WaitArg> for Option<WaitMode> {
    fn from(arg: WaitArg) -> Self {
        match arg {
            WaitArg::Auto => None,
            WaitArg::Latency => Some(WaitMode::Latency),
            WaitArg::Spin => Some(WaitMode::Spin),
            WaitArg::Throughput => Some(WaitMode::Throughput),
        }
    }
}
