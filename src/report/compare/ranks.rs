//! How far two samples lie apart, by ranks alone: no distribution is assumed.
//!
//! Belongs here: arithmetic on figures of runs. Does not: what the figures are of, and what follows from an answer.
//!
//! The point is the median of all differences between a run of one side and a run of the other (Hodges and
//! Lehmann), the interval the one that belongs to the exact distribution of Mann and Whitney's U: between the
//! k-th smallest and the k-th largest of these differences.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// With fewer runs on a side no interval is narrow enough to say anything.
pub const RUNS_MIN: usize = 4;

/// More are not compared: the exact distribution would take its time, and decide nothing more.
pub const RUNS_MAX: usize = 64;

/// Outside of an interval lies the truth in at most this share of comparisons.
const LEVEL: f64 = 0.05;

/// In this share of comparisons a difference as large as [`seen()`] says is found.
const POWER: f64 = 0.8;

/// How far one sample lies from the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// Hodges and Lehmann's estimate.
    pub estimate: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// In which share of comparisons such an interval holds the truth.
    pub confidence: f64,
}

/// `b` from `a`: positive where `b` is larger. None without runs enough for an interval.
pub fn shift(a: &[f64], b: &[f64]) -> Option<Shift> {
    let (place, confidence) = place(a.len(), b.len())?;
    let [low, high] = ends(a, b, place);
    Some(Shift { estimate: estimate(a, b)?, low, high, confidence })
}

/// The interval that ends at this place of the sorted differences.
fn ends(a: &[f64], b: &[f64], place: usize) -> [f64; 2] {
    let mut apart = differences(a, b);
    let from_above = apart.len() - place;
    let mut at = |index| *apart.select_nth_unstable_by(index, f64::total_cmp).1;
    [at(place - 1), at(from_above)]
}

/// The point alone, which two runs are enough for.
pub fn estimate(a: &[f64], b: &[f64]) -> Option<f64> {
    let mut apart = differences(a, b);
    apart.sort_unstable_by(f64::total_cmp);
    median(&apart)
}

/// Of sorted figures.
pub fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        len if len % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// How much the runs of both sides differ from others of their side: the standard deviation within. None where
/// no side has two.
pub fn deviation(a: &[f64], b: &[f64]) -> Option<f64> {
    let squares = |side: &[f64]| {
        let mean = side.iter().sum::<f64>() / side.len().max(1) as f64;
        side.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>()
    };
    let freedom = a.len().saturating_sub(1) + b.len().saturating_sub(1);
    (freedom > 0).then(|| ((squares(a) + squares(b)) / freedom as f64).sqrt())
}

fn differences(a: &[f64], b: &[f64]) -> Vec<f64> {
    b.iter().flat_map(|b| a.iter().map(move |a| b - a)).collect()
}

/// Which of the sorted differences ends the interval, counted from 1 at either end, and how sure it is.
fn place(a: usize, b: usize) -> Option<(usize, f64)> {
    if a.min(b) < RUNS_MIN || a.max(b) > RUNS_MAX {
        return None;
    }
    let mut below = 0.0;
    let mut place = None;
    for (index, probability) in distribution(a, b).into_iter().enumerate() {
        below += probability;
        if 2.0 * below > LEVEL {
            break;
        }
        place = Some((index + 1, 1.0 - 2.0 * below));
    }
    place
}

/// How probable each U is, where both samples are from one distribution: of all pairs, in so many the figure of
/// the second sample is the larger. The largest figure is one of the second sample, and larger than all `a`, or it
/// is one of the first, and counts for nothing.
pub fn distribution(a: usize, b: usize) -> Vec<f64> {
    let mut of: Vec<Vec<f64>> = vec![vec![1.0]; b + 1];
    for n in 1..=a {
        let mut next: Vec<Vec<f64>> = Vec::with_capacity(b + 1);
        next.push(vec![1.0]);
        for m in 1..=b {
            let all = (n + m) as f64;
            let mut here = vec![0.0; n * m + 1];
            for (u, probability) in next[m - 1].iter().enumerate() {
                here[u + n] += probability * m as f64 / all;
            }
            for (u, probability) in of[m].iter().enumerate() {
                here[u] += probability * n as f64 / all;
            }
            next.push(here);
        }
        of = next;
    }
    of.pop().unwrap_or_default()
}

/// What an interval of so many runs on a side can show, in standard deviations within a side.
#[derive(Clone, Copy, Debug)]
struct Reach {
    /// A shift as large is found with [`POWER`].
    seen: f64,
    /// Half of an interval, in the middle.
    half: f64,
}

/// Found once for each number of runs.
static KNOWN: Mutex<BTreeMap<(usize, usize), Reach>> = Mutex::new(BTreeMap::new());

/// The smallest shift that so many runs would have shown in four comparisons of five, where runs deviate by
/// `deviation`.
pub fn seen(a: usize, b: usize, deviation: f64) -> Option<f64> {
    Some(reach(a, b)?.seen * deviation)
}

/// How many runs on each side bring half of an interval to `half` or below. None where that many are not compared.
pub fn runs_for(half: f64, deviation: f64) -> Option<usize> {
    let narrow = |runs| Some(reach(runs, runs)?.half * deviation <= half);
    let (mut too_few, mut enough) = (RUNS_MIN - 1, RUNS_MIN);
    while !narrow(enough)? {
        too_few = enough;
        enough = match enough {
            RUNS_MAX => return None,
            runs => (2 * runs).min(RUNS_MAX),
        };
    }
    while enough - too_few > 1 {
        let runs = usize::midpoint(too_few, enough);
        match narrow(runs)? {
            true => enough = runs,
            false => too_few = runs,
        }
    }
    Some(enough)
}

fn reach(a: usize, b: usize) -> Option<Reach> {
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(reach) = known().get(&(a, b)) {
        return Some(*reach);
    }
    let reach = drawn(a, b)?;
    known().insert((a, b), reach);
    Some(reach)
}

/// The same in every comparison: another answer must come from other figures.
const SEED: u64 = 5;

/// By drawing such runs: with this no distribution of U's kind has to be turned around.
fn drawn(a: usize, b: usize) -> Option<Reach> {
    let (place, _) = place(a, b)?;
    let mut rng = fastrand::Rng::with_seed(SEED);
    let draws = (100_000 / (a * b)).clamp(100, 4_000);
    let (mut lows, mut halves) = (Vec::new(), Vec::new());
    for _ in 0..draws {
        let mut side = |runs| (0..runs).map(|_| normal(&mut rng)).collect::<Vec<f64>>();
        let [low, high] = ends(&side(a), &side(b), place);
        lows.push(low);
        halves.push((high - low) / 2.0);
    }
    lows.sort_unstable_by(f64::total_cmp);
    halves.sort_unstable_by(f64::total_cmp);
    let lost = ((1.0 - POWER) * draws as f64) as usize;
    Some(Reach { seen: -lows[lost], half: median(&halves)? })
}

/// Box and Muller's.
fn normal(rng: &mut fastrand::Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.f64()).cos()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// By every way of choosing which ranks are of the first sample.
    fn by_brute_force(a: usize, b: usize) -> Vec<f64> {
        let mut counts = vec![0_u64; a * b + 1];
        for chosen in 0_u32..1 << (a + b) {
            if chosen.count_ones() as usize != a {
                continue;
            }
            let is_first = |rank: usize| chosen >> rank & 1 == 1;
            let larger = |rank: usize| (rank + 1..a + b).filter(|&above| !is_first(above)).count();
            counts[(0..a + b).filter(|&rank| is_first(rank)).map(larger).sum::<usize>()] += 1;
        }
        let all: u64 = counts.iter().sum();
        counts.into_iter().map(|count| count as f64 / all as f64).collect()
    }

    #[test]
    fn the_distribution_of_u_is_that_of_all_arrangements() {
        for (a, b) in [(1, 1), (2, 3), (3, 2), (4, 4), (5, 5), (4, 7), (8, 3), (8, 8)] {
            let (fast, slow) = (distribution(a, b), by_brute_force(a, b));
            assert_eq!(fast.len(), slow.len());
            for (u, (fast, slow)) in fast.iter().zip(slow).enumerate() {
                assert!((fast - slow).abs() < 1e-12, "{a} and {b}, U = {u}: {fast} for {slow}");
            }
        }
    }

    /// Tables of the test have them: 95 % or more, two-sided.
    #[test]
    fn the_ends_of_the_interval_are_those_of_printed_tables() {
        for (runs, expected) in [(3, None), (4, Some(1)), (5, Some(3)), (6, Some(6)), (8, Some(14))]
        {
            assert_eq!(place(runs, runs).map(|(place, _)| place), expected, "{runs}");
        }
        assert_eq!(place(10, 10).unwrap().0, 24);
        assert!((place(5, 5).unwrap().1 - (1.0 - 8.0 / 252.0)).abs() < 1e-12);
        assert!(place(RUNS_MAX, RUNS_MAX).is_some());
        assert_eq!(place(RUNS_MAX + 1, 5), None);
    }

    proptest! {
        #[test]
        fn swapping_the_sides_negates_the_answer(
            a in prop::collection::vec(-5.0..5.0_f64, 4..9),
            b in prop::collection::vec(-5.0..5.0_f64, 4..9),
        ) {
            let (forth, back) = (shift(&a, &b).unwrap(), shift(&b, &a).unwrap());
            prop_assert!((forth.estimate + back.estimate).abs() < 1e-12);
            prop_assert_eq!((forth.low, forth.high), (-back.high, -back.low));
            prop_assert!((forth.low..=forth.high).contains(&forth.estimate));
        }

        #[test]
        fn a_shift_of_all_runs_of_a_side_shifts_the_answer(
            a in prop::collection::vec(-5.0..5.0_f64, 4..9),
            b in prop::collection::vec(-5.0..5.0_f64, 4..9),
            by in -3.0..3.0_f64,
        ) {
            let moved: Vec<f64> = b.iter().map(|b| b + by).collect();
            let (before, after) = (shift(&a, &b).unwrap(), shift(&a, &moved).unwrap());
            for (before, after) in
                [(before.low, after.low), (before.estimate, after.estimate), (before.high, after.high)]
            {
                prop_assert!((before + by - after).abs() < 1e-9);
            }
        }
    }

    /// What the simulation that chose this method found, with 4 000 trials: two points of it are two of ours.
    #[test]
    fn a_known_shift_is_found_as_often_as_was_computed() {
        for (runs, deviation, by, expected) in [
            (5, 0.03, 1.1_f64, 0.97),
            (5, 0.1, 1.2, 0.58),
            (5, 0.1, 1.5, 1.0),
            (8, 0.1, 1.2, 0.90),
            (5, 0.3, 1.5, 0.35),
        ] {
            let mut rng = fastrand::Rng::with_seed(7);
            let trials = 2_000;
            let found = (0..trials).filter(|_| {
                let mut side = |at: f64| {
                    (0..runs).map(|_| at + deviation * normal(&mut rng)).collect::<Vec<f64>>()
                };
                shift(&side(0.0), &side(by.ln())).is_some_and(|shift| shift.low > 0.0)
            });
            let share = found.count() as f64 / f64::from(trials);
            assert!((share - expected).abs() < 0.04, "{runs} runs, {deviation}, {by}: {share}");
        }
    }

    #[test]
    fn the_smallest_difference_that_could_be_seen_is_seen_four_times_of_five() {
        for (a, b) in [(4, 4), (5, 5), (5, 8)] {
            let smallest = seen(a, b, 0.2).unwrap();
            let mut rng = fastrand::Rng::with_seed(11);
            let found = (0..2_000).filter(|_| {
                let mut side = |runs, at: f64| {
                    (0..runs).map(|_| at + 0.2 * normal(&mut rng)).collect::<Vec<f64>>()
                };
                shift(&side(a, 0.0), &side(b, smallest)).unwrap().low > 0.0
            });
            let share = found.count() as f64 / 2_000.0;
            assert!((share - POWER).abs() < 0.05, "{a} and {b}: {share}");
        }
    }

    #[test]
    fn more_runs_make_intervals_narrower_and_too_many_are_not_asked_for() {
        let runs = [0.2, 0.1, 0.05].map(|half| runs_for(half, 0.1).unwrap());
        assert!(runs.is_sorted(), "{runs:?}");
        assert_eq!(runs_for(0.001, 0.1), None);
        assert_eq!(runs_for(0.001, 0.0), Some(RUNS_MIN));
    }
}
