//! Values of flags as they are written, and what they become.
//!
//! Belongs here: words that stand for a type of another room. Does not: the flags (`args`).

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::dialect::Dialect;
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
    /// As the load asks for
    Auto,
    /// Poll while copies follow each other, else sleep
    Latency,
    /// Poll without pause
    Spin,
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

/// The names of `--dialect`.
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
