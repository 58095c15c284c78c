//! How sockets are connected: from where, how fast, and how many must be there.
//!
//! Belongs here: what was asked for. Does not: dealing addresses (`local_addrs`), connecting (`engine`).

use std::fmt;
use std::str::FromStr;

use crate::plan::source_ip::SourceIpRange;
use crate::units::{Count, Nanos, Rate};

/// How sockets are connected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectOptions {
    /// Addresses to connect from; the kernel's choice, or automatic ones on loopback, without any.
    pub sources: Vec<SourceIpRange>,
    /// Connects begun in a second, over all workers, at most.
    pub rate: Option<Rate>,
    /// How many sockets must be connected for the run to go on.
    pub least: MinConnected,
    /// Where descriptors live.
    pub descriptors: Descriptors,
    /// Acknowledge late: cheaper for us, and not what clients elsewhere do.
    pub delayed_ack: bool,
    /// A WebSocket Ping is sent on every open socket so often.
    pub ping: Option<Nanos>,
    /// No trial runs after one that lost a socket; else lost sockets are connected again.
    pub stop_on_loss: bool,
}

/// Where the descriptors of sockets live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Descriptors {
    /// In the process's table, or in the rings' own where that is too small.
    #[default]
    Auto,
    /// In the process's table.
    Process,
    /// In the tables of the rings (io_uring's direct descriptors).
    Direct,
}

/// How many sockets must be connected. Push sockets must all be: they are the load itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinConnected {
    /// Every one.
    #[default]
    All,
    /// So many.
    Number(u64),
    /// So many millionths of all.
    Millionths(u32),
}

/// `100%`
const WHOLE: u32 = 1_000_000;

/// Why a text is no `--min-connected`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MinConnectedError {
    /// Neither a number nor a share.
    #[error("`{0}`: write a number of sockets (150k) or a share of all (99.5%)")]
    Malformed(String),
    /// `120%`.
    #[error("`{0}`: there are no more than 100%")]
    MoreThanAll(String),
}

impl MinConnected {
    /// How many of `sockets` that is.
    pub fn of(self, sockets: u64) -> u64 {
        match self {
            Self::All => sockets,
            Self::Number(number) => number.min(sockets),
            Self::Millionths(share) => {
                let exact = u128::from(sockets) * u128::from(share);
                u64::try_from(exact.div_ceil(WHOLE.into())).unwrap_or(sockets)
            }
        }
    }
}

impl FromStr for MinConnected {
    type Err = MinConnectedError;

    fn from_str(text: &str) -> Result<Self, MinConnectedError> {
        let text = text.trim();
        let malformed = || MinConnectedError::Malformed(text.to_owned());
        let Some(percent) = text.strip_suffix('%') else {
            return text
                .parse::<Count>()
                .map(|count| Self::Number(count.0))
                .map_err(|_| malformed());
        };
        let percent: f64 = percent.trim().parse().map_err(|_| malformed())?;
        if !(percent.is_finite() && percent >= 0.0) {
            return Err(malformed());
        }
        if percent > 100.0 {
            return Err(MinConnectedError::MoreThanAll(text.to_owned()));
        }
        Ok(Self::Millionths((percent * f64::from(WHOLE) / 100.0).round() as u32))
    }
}

impl fmt::Display for MinConnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Number(number) => write!(f, "{}", Count(*number)),
            Self::Millionths(share) => {
                write!(f, "{}%", f64::from(*share) * 100.0 / f64::from(WHOLE))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::connect_options::*;

    #[test]
    fn a_number_and_a_share_say_how_many_must_be_there() {
        for (text, of_200k) in
            [("150k", 150_000), ("300k", 200_000), ("99.5%", 199_000), ("0%", 0), ("100%", 200_000)]
        {
            assert_eq!(text.parse::<MinConnected>().unwrap().of(200_000), of_200k, "{text}");
        }
        assert_eq!(MinConnected::default().of(7), 7);
        assert_eq!("99.9%".parse::<MinConnected>().unwrap().of(10), 10, "a share is rounded up");
    }

    #[test]
    fn what_is_no_number_of_sockets_is_refused() {
        for text in ["", "most", "-1", "101%", "%", "-3%", "nan%"] {
            let error = text.parse::<MinConnected>().unwrap_err().to_string();
            assert!(error.contains(text), "{text}: {error}");
        }
    }
}
