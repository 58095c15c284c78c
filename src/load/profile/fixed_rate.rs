//! When they are due, always as many a second: open loop.

use crate::load::inter_arrival::{self, InterArrival};
use crate::load::schedule::{NS_PER_MICRO_EVENT, Schedule};
use crate::load::shape::{
    DueTimes, Figure, Key, Kind, Mode, Pacing, Parameters, Shape, Word, Words,
};
use crate::units::{Nanos, Rate};

/// The same rate from the first message to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedRate {
    /// Messages in a second, over all push sockets.
    pub rate: Rate,
    /// How they are spread.
    pub arrivals: InterArrival,
}

const RATE: &str = "rate_per_s";

/// In a result file.
pub(super) const MODE: Mode = Mode {
    name: "rate",
    meaning: "Each message when it is due: open loop.",
    in_short: "each when it is due",
    pacing: Pacing::DueTimes,
    keys: &[Key {
        name: RATE,
        meaning: "messages due in a second, over all push sockets.",
        kind: Kind::Number,
    }],
};

impl FixedRate {
    /// From what a result file keeps.
    pub(super) fn read(parameters: &Parameters, arrivals: InterArrival) -> Result<Self, String> {
        let rate = parameters.number(RATE).filter(|&rate| rate > 0.0);
        let rate = Rate::per_second(rate.ok_or("mode rate without one")?);
        Ok(Self { rate, arrivals })
    }
}

impl Shape for FixedRate {
    fn mode(&self) -> &'static Mode {
        &MODE
    }

    fn parameters(&self) -> Parameters {
        Parameters(vec![(RATE, Figure::Number(self.rate.as_f64()))])
    }

    fn suffix(&self) -> String {
        let drawn = match self.arrivals {
            InterArrival::Constant => "",
            InterArrival::Poisson { .. } => "-poisson",
        };
        format!("-r{}{drawn}", self.rate.as_f64()).replace('.', "p")
    }

    fn sentence(&self) -> (Words, Words) {
        (Words::default(), Words(vec![Word::Text(" at "), Word::Rate(self.rate)]))
    }

    fn refusal(&self) -> Option<&'static str> {
        let never = self.rate.micro_per_s == 0;
        never.then_some("--rate 0: nothing would ever be due; at least 0.000001/s")
    }

    fn due_times(&self) -> Option<&dyn DueTimes> {
        Some(self)
    }
}

impl DueTimes for FixedRate {
    fn arrivals(&self) -> InterArrival {
        self.arrivals
    }

    fn rate_at(&self, _: Nanos) -> Rate {
        self.rate
    }

    fn peak(&self) -> Rate {
        self.rate
    }

    fn asked(&self) -> Words {
        Words(vec![Word::Rate(self.rate)])
    }

    /// Those with `i / rate < duration`.
    fn due_within(&self, duration: Nanos) -> u64 {
        let products = u128::from(self.rate.micro_per_s) * u128::from(duration.0);
        u64::try_from(products.div_ceil(NS_PER_MICRO_EVENT.into())).unwrap_or(u64::MAX)
    }

    fn seconds_for(&self, messages: u64) -> f64 {
        messages as f64 / self.rate.as_f64()
    }

    fn schedule(&self, messages: u64) -> Schedule {
        assert!(self.rate.micro_per_s > 0, "a rate of nothing: a load refuses it");
        match self.arrivals {
            InterArrival::Constant => Schedule::even(self.rate, messages),
            InterArrival::Poisson { seed } => {
                let mean_ns = NS_PER_MICRO_EVENT as f64 / self.rate.micro_per_s as f64;
                let gaps = inter_arrival::poisson(seed);
                let offsets = (0..messages).zip(gaps).map(|(_, at)| (at * mean_ns) as u64);
                Schedule::table(offsets.collect())
            }
        }
    }

    fn schedule_bytes(&self, messages: u64) -> u64 {
        match self.arrivals {
            InterArrival::Constant => 0,
            InterArrival::Poisson { .. } => Schedule::table_bytes(messages),
        }
    }
}
