//! The shapes that a load can have: when its messages may leave.
//!
//! Belongs here: everything that is asked of a shape (its rate, what is due by a time, its name). Does
//! not: the due times laid out (`schedule`), waiting for them (`engine`).
//!
//! A new shape is a variant here with its answers. Who matches on the variants today (memory, requirements, the
//! result file, the report's header) needs an arm for it, too; its flags are in `cli::args`.

use std::sync::Arc;

use crate::load::schedule::{InterArrival, NS_PER_MICRO_EVENT, Schedule};
use crate::units::{Nanos, Rate};

/// When messages leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// As fast as the sockets take them.
    #[default]
    Burst,
    /// As fast as answers come: closed loop.
    Window {
        /// Messages of one push socket whose copy has not come back to that socket, at most.
        in_flight: u32,
    },
    /// When they are due, whatever the cluster does: open loop.
    Rate {
        /// Messages in a second, over all push sockets.
        rate: Rate,
        /// How they are spread.
        arrivals: InterArrival,
    },
}

impl Profile {
    /// Messages have a due time.
    pub const fn is_open_loop(self) -> bool {
        matches!(self, Self::Rate { .. })
    }

    /// Messages in a second, where that is fixed.
    pub const fn rate(self) -> Option<Rate> {
        match self {
            Self::Rate { rate, .. } => Some(rate),
            Self::Burst | Self::Window { .. } => None,
        }
    }

    /// Messages of one push socket that may be under way, where that is bounded.
    pub const fn in_flight(self) -> Option<u32> {
        match self {
            Self::Window { in_flight } => Some(in_flight),
            Self::Burst | Self::Rate { .. } => None,
        }
    }

    /// What it adds to the name of a trial: nothing for a burst, `-w16`, `-r10000`, `-r0p5-poisson`.
    pub fn suffix(self) -> String {
        match self {
            Self::Burst => String::new(),
            Self::Window { in_flight } => format!("-w{in_flight}"),
            Self::Rate { rate, arrivals } => {
                let drawn = match arrivals {
                    InterArrival::Constant => "",
                    InterArrival::Poisson { .. } => "-poisson",
                };
                format!("-r{}{drawn}", rate.as_f64()).replace('.', "p")
            }
        }
    }

    /// The schedule of `messages`, where there is one.
    pub fn schedule(self, messages: u64) -> Option<Arc<Schedule>> {
        match self {
            Self::Rate { rate, arrivals } => {
                Some(Arc::new(Schedule::new(rate, arrivals, messages)))
            }
            Self::Burst | Self::Window { .. } => None,
        }
    }
}

/// How many messages a rate makes due within `duration`: those with `i / rate < duration`.
pub fn messages_within(rate: Rate, duration: Nanos) -> u64 {
    let products = u128::from(rate.micro_per_s) * u128::from(duration.0);
    u64::try_from(products.div_ceil(NS_PER_MICRO_EVENT.into())).unwrap_or(u64::MAX)
}
