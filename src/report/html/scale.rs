//! Where a figure lies on an axis, and which figures an axis names.
//!
//! Belongs here: linear and logarithmic axes. Does not: ink (`svg`), what is drawn (the pictures).

use crate::units::{Nanos, Rate};

/// From figures to places in a drawing. Both ends differ.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    figures: [f64; 2],
    places: [f64; 2],
}

impl Scale {
    /// `figures` lie between `places`; what is outside of them lies on the nearer end.
    pub(super) fn new(figures: [f64; 2], places: [f64; 2]) -> Self {
        let [from, to] = figures;
        Self { figures: [from, if to > from { to } else { from + 1.0 }], places }
    }

    pub(super) fn place(self, figure: f64) -> f64 {
        let ([from, to], [start, end]) = (self.figures, self.places);
        let share = ((figure - from) / (to - from)).clamp(0.0, 1.0);
        start + share * (end - start)
    }
}

/// Latencies by their logarithm, from a power of ten to another.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogScale {
    scale: Scale,
    decades: [i32; 2],
}

/// Shorter ones are drawn at this end: the clock of no machine tells them apart.
const LEAST_NS: f64 = 100.0;

impl LogScale {
    /// All of `latencies` lie between `places`.
    pub(super) fn of(latencies: impl Iterator<Item = Nanos>, places: [f64; 2]) -> Self {
        let (mut least, mut most) = (f64::MAX, LEAST_NS);
        for Nanos(ns) in latencies.filter(|latency| latency.0 > 0) {
            (least, most) = (least.min(ns as f64), most.max(ns as f64));
        }
        let least = least.clamp(LEAST_NS, most);
        let low = least.log10().floor() as i32;
        let high = (most.log10().ceil() as i32).max(low + 1);
        let scale = Scale::new([low.into(), high.into()], places);
        Self { scale, decades: [low, high] }
    }

    pub(super) fn place(self, latency: Nanos) -> f64 {
        self.scale.place((latency.0.max(1) as f64).log10())
    }

    /// The powers of ten: the place of each and its name.
    pub(super) fn ticks(self) -> impl Iterator<Item = (f64, String)> {
        let [low, high] = self.decades;
        (low..=high).map(move |decade| (self.scale.place(decade.into()), name(decade)))
    }
}

/// Rates by their logarithm, from the least to the largest.
#[derive(Clone, Copy, Debug)]
pub(super) struct RateScale {
    scale: Scale,
    /// Logarithms of both ends.
    ends: [f64; 2],
}

/// An axis has room for so many names of rates.
const RATES_MAX: usize = 8;

impl RateScale {
    /// All of `rates`, which are not 0, lie between `places`, with some room beside the outermost.
    pub(super) fn of(rates: impl Iterator<Item = Rate>, places: [f64; 2]) -> Self {
        let logs = rates.map(|rate| rate.as_f64().max(f64::MIN_POSITIVE).log10());
        let (low, high) =
            logs.fold((f64::MAX, f64::MIN), |(low, high), log| (low.min(log), high.max(log)));
        let room = ((high - low) / 20.0).max(0.05);
        let ends = [low - room, high + room];
        Self { scale: Scale::new(ends, places), ends }
    }

    pub(super) fn place(self, rate: Rate) -> f64 {
        self.scale.place(rate.as_f64().max(f64::MIN_POSITIVE).log10())
    }

    /// Round rates, as many as there is room for: the place of each and its name.
    pub(super) fn ticks(self) -> Vec<(f64, String)> {
        let [low, high] = self.ends;
        let round = |steps: &[f64]| -> Vec<f64> {
            let decades = low.floor() as i32..=high.ceil() as i32;
            let all =
                decades.flat_map(|decade| steps.iter().map(move |step| step * 10_f64.powi(decade)));
            all.filter(|rate| (low..=high).contains(&rate.log10())).collect()
        };
        let choices: [&[f64]; 4] = [
            &[1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0],
            &[1.0, 2.0, 3.0, 5.0],
            &[1.0, 3.0],
            &[1.0],
        ];
        let fits = choices.into_iter().map(round);
        let mut fits = fits.filter(|rates| (1..=RATES_MAX).contains(&rates.len()));
        // Of one rate alone.
        let middle = || vec![10_f64.powf((low + high) / 2.0)];
        let named = |rate| (self.place(Rate::per_second(rate)), Rate::per_second(rate).to_string());
        fits.next().unwrap_or_else(middle).into_iter().map(named).collect()
    }
}

/// `10 ms`: 10 to this power, of nanoseconds.
fn name(decade: i32) -> String {
    let (unit, zeros) = match decade {
        ..3 => ("ns", decade),
        3..6 => ("µs", decade - 3),
        6..9 => ("ms", decade - 6),
        _ => ("s", decade - 9),
    };
    format!("1{} {unit}", "0".repeat(zeros.max(0) as usize))
}

/// Round figures from 0 to `most`, at most six of them and at least two.
pub(super) fn round_steps(most: f64) -> Vec<f64> {
    let most = if most.is_finite() && most > 0.0 { most } else { 1.0 };
    let magnitude = 10_f64.powf((most / 5.0).log10().floor());
    let mut steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * magnitude).into_iter();
    let step = steps.find(|step| most / step <= 5.0).unwrap_or(most);
    let steps = (most / step).ceil() as u32;
    (0..=steps).map(|i| f64::from(i) * step).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn steps_are_few_and_reach_the_largest_figure(most in 0.001..1e12_f64) {
            let steps = round_steps(most);
            prop_assert!((2..=7).contains(&steps.len()), "{steps:?}");
            prop_assert!(steps[steps.len() - 1] >= most * 0.999_999, "{most} {steps:?}");
        }

        #[test]
        fn longer_latencies_lie_higher(ns: [u64; 3]) {
            let scale = LogScale::of(ns.into_iter().map(Nanos), [300.0, 0.0]);
            let mut ns = ns;
            ns.sort_unstable();
            let places = ns.map(|ns| scale.place(Nanos(ns)));
            prop_assert!(places.is_sorted_by(|a, b| a >= b), "{places:?}");
            prop_assert!(places.iter().all(|place| (0.0..=300.0).contains(place)));
        }
    }

    proptest! {
        #[test]
        fn rates_lie_in_order_within_the_axis_and_some_are_named(rates in prop::collection::vec(0.01..1e7_f64, 1..20)) {
            let rates: Vec<Rate> = rates.into_iter().map(Rate::per_second).collect();
            let scale = RateScale::of(rates.iter().copied(), [0.0, 300.0]);
            let mut sorted = rates;
            sorted.sort_unstable();
            let places: Vec<f64> = sorted.into_iter().map(|rate| scale.place(rate)).collect();
            prop_assert!(places.is_sorted(), "{places:?}");
            prop_assert!(places[0] > 0.0 && places[places.len() - 1] < 300.0, "{places:?}");
            let ticks = scale.ticks();
            prop_assert!((1..=RATES_MAX).contains(&ticks.len()), "{ticks:?}");
        }
    }

    #[test]
    fn powers_of_ten_have_the_unit_that_a_person_reads() {
        assert_eq!(
            [2, 3, 5, 6, 9, 10].map(name),
            ["100 ns", "1 µs", "100 µs", "1 ms", "1 s", "10 s"]
        );
    }
}
