//! The words that flags take, and what they mean to the plan.
//!
//! Belongs here: values of flags as they are written. Does not: the flags themselves (`cli::args`).

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::dialect::Dialect;
use crate::plan::engine::{Engine, Wish};
use crate::plan::fan_out::FanOut;
use crate::plan::wait::WaitMode;
use crate::units::Count;

/// `--engine`, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum EngineArg {
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
pub(super) enum WaitArg {
    /// For latency, or sleep where CPUs are shared or rationed, as beside nodes on this host
    Auto,
    /// Poll until no copy has come for 5 ms, then sleep
    Latency,
    /// Poll without pause
    Spin,
    /// Sleep until the next copy
    Sleep,
    /// Sleep until many copies are there
    Throughput,
}

/// `--fan-out`, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FanOutArg {
    /// Every socket, the pushing one included
    All,
    /// Every socket but the pushing one
    Others,
    /// The pushing socket alone: an echo server
    Own,
}

/// `--arrivals`, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ArrivalsArg {
    /// At even distances
    Constant,
    /// At exponential distances, drawn from --seed
    Poisson,
}

pub(super) fn dialects() -> impl TypedValueParser<Value = Dialect> {
    PossibleValuesParser::new(["dsatter", "raw"])
        .map(|name| Dialect::by_name(&name).expect("only existing dialects are possible values"))
}

/// A number of sockets: `3`, `10k`.
pub(super) fn small_count(text: &str) -> Result<u32, String> {
    let count: Count = text.parse().map_err(|e: crate::units::ScanError| e.to_string())?;
    count.0.try_into().map_err(|_| format!("at most {}", Count(u32::MAX.into())))
}

impl From<FanOutArg> for FanOut {
    fn from(arg: FanOutArg) -> Self {
        match arg {
            FanOutArg::All => Self::All,
            FanOutArg::Others => Self::Others,
            FanOutArg::Own => Self::Own,
        }
    }
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
            WaitArg::Sleep => Some(WaitMode::Sleep),
            WaitArg::Throughput => Some(WaitMode::Throughput),
        }
    }
}
