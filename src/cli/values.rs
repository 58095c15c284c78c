//! The words that flags take, and what they mean to the plan.
//!
//! Belongs here: values of flags as they are written. Does not: the flags themselves (`cli::args`).

use std::str::FromStr;

use clap::ValueEnum;

use crate::plan::backend::{BackendChoice, Engine};
use crate::plan::wait::WaitMode;
use crate::population::fan_out::FanOut;
use crate::units::{Count, Rate, ScanError};

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

/// `--messages`, as written: one number, or several with commas between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) counts: Vec<Count>,
    /// As written, where it may as well be one number whose thousands have commas: `2,500`.
    pub(super) like_one: Option<String>,
}

impl FromStr for Counts {
    type Err = ScanError;

    fn from_str(text: &str) -> Result<Self, ScanError> {
        let parts: Vec<_> = text.split(',').collect();
        let counts = parts.iter().map(|part| part.parse()).collect::<Result<_, _>>()?;
        let digits = |part: &&str| part.bytes().all(|byte| byte.is_ascii_digit());
        let (first, groups) = parts.split_first().unwrap_or((&"", &[]));
        let like_one = parts.iter().all(digits)
            && (1..=3).contains(&first.len())
            && !groups.is_empty()
            && groups.iter().all(|group| group.len() == 3);
        Ok(Self { counts, like_one: like_one.then(|| text.to_owned()) })
    }
}

/// `--rate`, as written: one, or the ends of a range with two dots between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rates {
    /// The least and the largest, which may be the same.
    pub(super) ends: [Rate; 2],
    /// As written.
    pub(super) text: String,
}

impl FromStr for Rates {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rate = |text: &str| text.parse::<Rate>().map_err(|error| error.to_string());
        let ends = match text.split_once("..") {
            Some((least, most)) => [rate(least)?, rate(most)?],
            None => [rate(text)?; 2],
        };
        if ends[0] > ends[1] {
            return Err("the range ends before it begins: write the least rate first".to_owned());
        }
        Ok(Self { ends, text: text.to_owned() })
    }
}

/// `5%`, of a whole; from 0% to 100%.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let percent = text.strip_suffix('%').and_then(|percent| percent.trim().parse::<f64>().ok());
    let share = percent.filter(|percent| (0.0..=100.0).contains(percent));
    share
        .map(|percent| percent / 100.0)
        .ok_or_else(|| "not a share: write one from 0% to 100%, like 5%".to_owned())
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

impl From<EngineArg> for BackendChoice {
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

#[cfg(test)]
mod tests {
    use crate::cli::values::*;

    #[test]
    fn a_list_that_may_be_one_number_with_commas_is_noticed_and_no_other() {
        let counts = |text: &str| text.parse::<Counts>().unwrap();
        for text in ["2,500", "10,000", "1,000,000", "100,200"] {
            assert_eq!(counts(text).like_one.as_deref(), Some(text));
        }
        for text in
            ["2500", "500", "2,500,10", "10,100,1000", "2k,500", "2, 500", "1000,500", "2,50"]
        {
            assert_eq!(counts(text).like_one, None, "{text}");
        }
        assert_eq!(counts("2,500").counts, [Count(2), Count(500)]);
        assert!("2,x".parse::<Counts>().is_err() && "2,".parse::<Counts>().is_err());
    }
}
