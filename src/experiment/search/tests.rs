//! The search against the library that its rule comes from, a cluster of chance, and one that is written down.

use fastrand::Rng;
use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::engine::{self, Measurement, Progress, Reconnected, Stop};
use crate::experiment::search::bounds::{Bound, Bounds, Goal, Tried};
use crate::experiment::search::search_plan::asked;
use crate::experiment::session::lost_socket;
use crate::host::facts::HostCounters;
use crate::load::inter_arrival::InterArrival;
use crate::measure::connecting::Connecting;
use crate::measure::late::Late;
use crate::measure::outcome::{Delivery, TrialOutcome};
use crate::plan::fixture;
use crate::verdict::Surroundings;

fn rate(per_s: f64) -> Rate {
    Rate::per_second(per_s)
}

fn ends(tries: &Tries) -> [Option<Rate>; 2] {
    let Bounds { lower, upper, .. } = tries.bounds(&GOAL);
    [lower, upper]
}

const GOAL: Goal = Goal { duration_sum: Nanos::from_secs(25), exceed_ratio: 0.5, width: 0.05 };

/// A recorded series of trials, and what the PyPI library MLRsearch says of it (`tests/mlrsearch_cases.py`).
#[derive(Deserialize)]
struct Case {
    duration_s: u64,
    duration_sum_s: u64,
    exceed_ratio: f64,
    trials: Vec<(u64, u8)>,
    lower: Option<u64>,
    upper: Option<u64>,
}

#[test]
fn bounds_are_those_of_the_library_that_the_rule_comes_from() {
    let text = include_str!("../../../tests/fixtures/search/mlrsearch.json");
    let cases: Vec<Case> = serde_json::from_str(text).unwrap();
    assert!(cases.len() >= 300 && cases.iter().filter(|case| case.lower.is_some()).count() > 100);
    for case in cases {
        let goal = Goal {
            duration_sum: Nanos::from_secs(case.duration_sum_s),
            exceed_ratio: case.exceed_ratio,
            ..GOAL
        };
        let mut tries = Tries::default();
        for &(load, bad) in &case.trials {
            let finding = if bad == 1 { Finding::Bad } else { Finding::Good };
            tries.add(rate(load as f64), Nanos::from_secs(case.duration_s), finding);
        }
        let expected = [case.lower, case.upper].map(|bound| bound.map(|load| rate(load as f64)));
        let Bounds { lower, upper, by_generator } = tries.bounds(&goal);
        assert!(!by_generator);
        assert_eq!([lower, upper], expected, "{:?}", case.trials);
    }
}

/// What a search finds where each trial is bad by chance: the lower bound, and how many trials it took.
fn found(range: [f64; 2], goal: Goal, mut is_bad: impl FnMut(f64) -> bool) -> (Bounds, Vec<f64>) {
    let lasting = Nanos::from_secs(5);
    let controller = Controller::new(range.map(rate), goal, lasting);
    let (mut tries, mut tried) = (Tries::default(), Vec::new());
    while let Some(next) = controller.next(&tries) {
        let finding = if is_bad(next.as_f64()) { Finding::Bad } else { Finding::Good };
        tries.add(next, lasting, finding);
        tried.push(next.as_f64());
        assert!(tried.len() < 500, "it does not end: {tried:?}");
    }
    (tries.bounds(&goal), tried)
}

/// The plant of MLRsearch's comparisons: a second is bad more likely the nearer the rate is to the capacity, and now and
/// then at any rate, and a trial of five of them is bad where one is.
#[test]
fn a_noisy_cluster_is_found_within_a_few_percent_in_two_hundred_searches() {
    const CAPACITY: f64 = 100_000.0;
    for (hiccups, knee, low, spread) in
        [(0.0, 0.02, 0.85, 0.05), (0.01, 0.02, 0.85, 0.05), (0.03, 0.05, 0.7, 1.0)]
    {
        let mut logs = Vec::new();
        let mut trials = 0;
        for seed in 0..200 {
            let mut rng = Rng::with_seed(seed);
            let mut second = |per_s: f64| {
                let beyond = ((per_s / CAPACITY).ln() / knee).clamp(-60.0, 60.0);
                rng.f64() < hiccups || rng.f64() < 1.0 / (1.0 + (-beyond).exp())
            };
            let (bounds, tried) = found([1e3, 1e6], GOAL, |per_s| (0..5).any(|_| second(per_s)));
            logs.push((bounds.lower.map_or(1e3, Rate::as_f64) / CAPACITY).ln());
            trials += tried.len();
        }
        logs.sort_by(f64::total_cmp);
        let mean = logs.iter().sum::<f64>() / logs.len() as f64;
        let variance = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / logs.len() as f64;
        // A trial of five seconds has five chances to be bad, so that it is below the capacity of a second.
        assert!(
            logs[20].exp() > low && logs[180].exp() < 1.0,
            "{} to {}",
            logs[20].exp(),
            logs[180].exp()
        );
        assert!(variance.sqrt() < spread, "a spread of {}", variance.sqrt());
        assert!(trials < 200 * 30, "{trials} trials in 200 searches");
    }
}

proptest! {
    #[test]
    fn without_noise_the_bounds_enclose_what_the_cluster_holds_within_the_width(
        least in 0.5..5_000.0_f64,
        factor in 1.0..5_000.0_f64,
        capacity in 0.1..50_000_000.0_f64,
        width in 0.01..0.5_f64,
        exceed_ratio in 0.0..0.9_f64,
    ) {
        let most = least * factor;
        let goal = Goal { width, exceed_ratio, ..GOAL };
        let (bounds, tried) = found([least, most], goal, |per_s| per_s > capacity);
        let [first, last] = [least, most].map(|end| rate(end).as_f64());
        prop_assert!(tried.iter().all(|per_s| (first..=last).contains(per_s)), "{:?}", tried);
        match (bounds.lower.map(Rate::as_f64), bounds.upper.map(Rate::as_f64)) {
            (None, Some(upper)) => prop_assert!(upper == first && capacity < first),
            (Some(lower), None) => prop_assert!(lower == last && capacity >= last),
            (Some(lower), Some(upper)) => {
                prop_assert!(lower <= capacity && capacity < upper);
                prop_assert!(upper <= lower * (1.0 + width) * 1.000_001, "{} to {}", lower, upper);
            }
            (None, None) => prop_assert!(false, "nothing was found"),
        }
    }

    #[test]
    fn whatever_trials_show_a_search_ends_and_its_bounds_are_in_order(seed: u64, share in 0.0..1.0_f64) {
        let mut rng = Rng::with_seed(seed);
        let (bounds, _) = found([10.0, 1e6], GOAL, |_| rng.f64() < share);
        let is_close = |(lower, upper): (Rate, Rate)| upper.as_f64() <= lower.as_f64() * 1.050_001;
        let [least, most] = [10.0, 1e6].map(rate);
        prop_assert!(match (bounds.lower, bounds.upper) {
            (Some(lower), Some(upper)) => is_close((lower, upper)),
            (Some(lower), None) => lower == most,
            (None, upper) => upper == Some(least),
        }, "{:?}", bounds);
    }

    #[test]
    fn more_good_time_never_makes_a_rate_fail_nor_more_bad_time_make_it_hold(
        good in 0..40_u64, bad in 0..40_u64, exceed_ratio in 0.0..0.95_f64
    ) {
        let goal = Goal { exceed_ratio, ..GOAL };
        let of = |good, bad| {
            Tried { good: Nanos::from_secs(good), bad: Nanos::from_secs(bad), ..Tried::default() }.bound(&goal)
        };
        prop_assert!(of(good, bad) != Bound::Lower || of(good + 1, bad) == Bound::Lower);
        prop_assert!(of(good, bad) != Bound::Upper || of(good, bad + 1) == Bound::Upper);
    }
}

#[test]
fn a_rate_that_holds_above_one_that_does_not_is_told_and_does_not_count() {
    let mut tries = Tries::default();
    let add = |tries: &mut Tries, per_s, finding| {
        (0..5).for_each(|_| tries.add(rate(per_s), Nanos::from_secs(5), finding));
    };
    add(&mut tries, 100.0, Finding::Good);
    add(&mut tries, 200.0, Finding::Bad);
    assert_eq!(tries.holds_above(&GOAL), None);
    add(&mut tries, 400.0, Finding::Good);
    assert_eq!(tries.holds_above(&GOAL), Some(rate(400.0)));
    assert_eq!(ends(&tries), [Some(rate(100.0)), Some(rate(200.0))]);
    assert_eq!(tries.never_failed(), Some(rate(100.0)));
}

/// A cluster in which nothing moves: a trial's latency is written down for its rate.
struct Written {
    connecting: Connecting,
    /// Messages in a second that it holds; trials above it take a second.
    holds: f64,
    /// Looks that it takes to recover after a bad trial.
    recovers_after: u32,
    looks: u32,
    /// The trial, counted from 1, after which a socket is lost.
    loses_after: Option<usize>,
    /// The trial, counted from 1, in which the end is asked for.
    stop_in: Option<(usize, Stop)>,
    ran: Vec<(f64, bool)>,
}

impl Written {
    fn holding(holds: f64) -> Self {
        let connecting = Connecting::default();
        let (loses_after, stop_in, ran) = (None, None, Vec::new());
        Self { connecting, holds, recovers_after: 1, looks: 0, loses_after, stop_in, ran }
    }
}

impl Bench for Written {
    fn connecting(&self) -> &Connecting {
        &self.connecting
    }

    fn reconnect(&mut self, _: &mut dyn engine::Watch) -> Result<Reconnected, EngineError> {
        let is_lost = self.loses_after == Some(self.ran.len());
        let lost_since: Vec<_> = is_lost.then(|| lost_socket(0)).into_iter().collect();
        Ok(Reconnected { again: lost_since.len() as u64, lost_since })
    }

    fn ready_again(&mut self, _: &mut dyn engine::Watch) -> Result<(), EngineError> {
        Ok(())
    }

    fn trial(
        &mut self,
        trial: &Trial,
        is_last: bool,
        _: &mut dyn engine::Watch,
    ) -> Result<Measurement, EngineError> {
        let per_s = trial.profile.peak().unwrap().as_f64();
        self.ran.push((per_s, is_last));
        let is_look = trial.warmup == Nanos::ZERO;
        let slow = if is_look { self.looks > 0 } else { per_s > self.holds };
        self.looks = match (is_look, slow) {
            (true, _) => self.looks.saturating_sub(1),
            (false, true) => self.recovers_after - 1,
            (false, false) => self.looks,
        };
        let latency = if slow { Nanos::from_secs(1) } else { Nanos::from_millis(1) };
        let stopped = match &self.stop_in {
            Some((at, stop)) if *at == self.ran.len() => {
                stop.request();
                true
            }
            _ => false,
        };
        let copies = trial.messages;
        let delivery =
            Delivery { expected: copies, delivered: copies, seen: copies, ..Delivery::default() };
        let ending = if stopped {
            measure::outcome::Ending::Interrupted
        } else {
            TrialOutcome::nothing().ending
        };
        let ns = (0..copies).map(|_| latency).collect();
        let outcome = TrialOutcome {
            id: trial.id.clone(),
            messages: trial.messages,
            sent: trial.messages,
            delivery,
            latency_ns: vec![(Class::Response, ns)],
            ending,
            ..TrialOutcome::nothing()
        };
        let (host_before, host_after) = (HostCounters::default(), HostCounters::default());
        Ok(Measurement { outcome, host_before, host_after, nonce: self.ran.len() as u32 })
    }

    fn late(&self, _: u32) -> Late {
        Late::default()
    }
}

struct Nobody;

impl engine::Watch for Nobody {
    fn progress(&mut self, _: &Progress) {}
}

impl Watch for Nobody {
    fn trial(&mut self, _: &Judged) {
        panic!("a search says of each trial what it shows");
    }

    fn attempt(&mut self, trial: &Judged, attempt: &Attempt) {
        assert_eq!(trial.id, attempt.trial.id);
    }
}

fn search(bench: &mut Written, plan: &SearchPlan) -> (Outcome, Searched) {
    let stop = bench.stop_in.as_ref().map(|(_, stop)| stop.clone()).unwrap_or_default();
    let of_cluster = fixture::plan(&[1], |_| {});
    let surroundings = &Surroundings::default();
    let experiment = Experiment { plan: &of_cluster, surroundings, baseline: None, stop: &stop };
    Search { experiment, plan }.run_on(bench, &mut Nobody).unwrap()
}

#[test]
fn a_search_looks_at_the_least_rate_first_after_each_bad_trial_and_at_its_end() {
    let mut bench = Written::holding(10e3);
    let (outcome, searched) = search(&mut bench, &asked());
    assert_eq!(searched.ending, Ending::Found);
    let bounds = searched.tries.bounds(&GOAL);
    let (lower, upper) = (bounds.lower.unwrap().as_f64(), bounds.upper.unwrap().as_f64());
    assert!(lower <= 10e3 && 10e3 < upper && upper <= lower * 1.05, "{lower} to {upper}");
    assert_eq!(outcome.trials.len(), searched.attempts.len());
    let is_look = |attempt: &Attempt| attempt.role == Role::Recovery;
    let attempts = &searched.attempts;
    let bad = attempts.iter().filter(|attempt| attempt.finding == Some(Finding::Bad)).count();
    assert!(is_look(&attempts[0]) && is_look(&attempts[attempts.len() - 1]));
    assert!(
        attempts.windows(2).all(|pair| pair[0].finding != Some(Finding::Bad) || is_look(&pair[1]))
    );
    let looks = attempts.iter().filter(|attempt| is_look(attempt)).count();
    assert_eq!(looks, 1 + bad + 1, "at first, after each bad trial, and at the end");
    let last = bench.ran.len() - 1;
    let told_last = bench.ran.iter().enumerate().filter(|(_, (_, is_last))| *is_last);
    assert_eq!(told_last.map(|(at, _)| at).collect::<Vec<_>>(), [last]);
}

#[test]
fn no_two_trials_of_a_search_have_one_name() {
    let (outcome, _) = search(&mut Written::holding(10e3), &asked());
    let mut ids: Vec<_> = outcome.trials.iter().map(|run| run.id.clone()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), outcome.trials.len());
}

#[test]
fn a_cluster_that_takes_a_while_to_recover_is_waited_for_and_one_that_does_not_ends_the_search() {
    let mut slow = Written { recovers_after: LOOKS_MAX, ..Written::holding(10e3) };
    assert_eq!(search(&mut slow, &asked()).1.ending, Ending::Found);
    let mut never = Written { recovers_after: 1_000, ..Written::holding(10e3) };
    let (_, searched) = search(&mut never, &asked());
    assert_eq!(searched.ending, Ending::NotRecovered);
    let bad = searched.attempts.iter().filter(|attempt| attempt.finding == Some(Finding::Bad));
    assert_eq!(bad.count(), 1, "nothing else is asked of it");
}

#[test]
fn a_cluster_that_holds_the_most_or_not_even_the_least_needs_no_bound_on_the_other_side() {
    let of = |holds| ends(&search(&mut Written::holding(holds), &asked()).1.tries);
    assert_eq!(of(1e9), [Some(rate(64e3)), None]);
    assert_eq!(of(10.0), [None, Some(rate(1e3))]);
}

#[test]
fn a_search_that_would_take_too_long_ends_before_the_trial_that_would() {
    let plan = SearchPlan { timeout: Nanos::ZERO, ..asked() };
    let (outcome, searched) = search(&mut Written::holding(10e3), &plan);
    assert_eq!((searched.ending, outcome.trials.len()), (Ending::Timeout, 0));
}

#[test]
fn a_trial_that_is_interrupted_shows_nothing_and_is_kept() {
    let stop_in = Some((3, Stop::default()));
    let mut bench = Written { stop_in, ..Written::holding(10e3) };
    let (outcome, searched) = search(&mut bench, &asked());
    assert_eq!(searched.ending, Ending::Failed("interrupted".to_owned()));
    assert!(outcome.interrupted && outcome.trials.len() == 3);
    let findings: Vec<_> = searched.attempts.iter().map(|attempt| attempt.finding).collect();
    assert_eq!(findings, [None, Some(Finding::Good), None]);
}

#[test]
fn a_trial_is_as_long_as_its_percentile_needs_and_one_that_would_be_too_long_is_refused() {
    let mut plan = asked();
    assert_eq!(plan.trial(rate(1e3), 6, 0), (trial_of(1e3, 6_000), Nanos::from_secs(5)));
    plan.range = [rate(10.0), rate(20.0)];
    // A p99 takes 1 000 copies: 167 messages, and 20 to spare.
    assert_eq!(plan.trial(rate(10.0), 6, 0), (trial_of(10.0, 10 + 190), Nanos::from_secs(19)));
    assert_eq!(plan.check(6), Ok(()));
    plan.objectives.push("completion.p99<1s".parse().unwrap());
    let refused = plan.check(6).unwrap_err().to_string();
    assert!(
        refused.contains("--slo 'completion.p99 < 1.00 s'") && refused.contains("19.0/s"),
        "{refused}"
    );
    plan.range[1] = rate(1e10);
    let refused = plan.check(6).unwrap_err().to_string();
    assert!(
        refused.contains("--rate up to") && refused.contains("60 000 000 000 messages"),
        "{refused}"
    );
}

proptest! {
    #[test]
    fn no_trial_and_no_look_has_more_messages_than_the_largest(
        least in 0.1..10_000.0_f64,
        factor in 1.0..1_000.0_f64,
        place in 0.0..1.0_f64,
        lasting_ms in 100..6_000_u64,
        poisson: bool,
        copies_each in 1..50_u64,
    ) {
        let seed = 7;
        let plan = SearchPlan {
            range: [least, least * factor].map(rate),
            lasting: Nanos::from_millis(lasting_ms),
            arrivals: if poisson { InterArrival::Poisson { seed } } else { InterArrival::Constant },
            ..asked()
        };
        let largest = plan.largest(copies_each).messages;
        let tried = rate(least * factor.powf(place));
        prop_assert!(plan.trial(tried, copies_each, 3).0.messages <= largest);
        let looks = (0..LOOKS_MAX).map(|doublings| plan.recovery(doublings, copies_each, 3).0.messages);
        prop_assert!(looks.max() <= Some(largest));
    }

    #[test]
    fn what_is_drawn_has_copies_enough_for_its_percentile(number: u64, per_s in 20.0..2_000.0_f64) {
        let arrivals = InterArrival::Poisson { seed: 42 };
        let plan = SearchPlan { arrivals, ..asked() };
        let (trial, _) = plan.trial(rate(per_s), 6, number);
        let schedule = trial.schedule().unwrap();
        let measured = (0..trial.messages).filter(|index| schedule.offset(*index) >= trial.warmup);
        prop_assert!(measured.count() * 6 >= 1_000);
    }
}

#[test]
fn three_void_trials_make_a_rate_the_generators_limit_unless_others_are_as_many() {
    let mut tries = Tries::default();
    let second = Nanos::from_secs(1);
    (0..3).for_each(|_| tries.add(rate(100.0), second, Finding::Void));
    let Bounds { lower, upper, by_generator } = tries.bounds(&GOAL);
    assert_eq!((lower, upper, by_generator), (None, Some(rate(100.0)), true));
    (0..3).for_each(|_| tries.add(rate(100.0), second, Finding::Good));
    assert_eq!(ends(&tries), [None, None], "it is tried further");
}

#[test]
fn a_socket_that_is_lost_behind_a_good_trial_makes_it_bad() {
    let mut bench = Written { loses_after: Some(2), ..Written::holding(1e9) };
    let (_, searched) = search(&mut bench, &asked());
    let first = &searched.attempts[1];
    assert_eq!((first.finding, &*first.reasons[0]), (Some(Finding::Bad), "1 socket lost"));
}

fn trial_of(per_s: f64, messages: u64) -> Trial {
    let profile =
        crate::load::profile::FixedRate { rate: rate(per_s), arrivals: InterArrival::Constant };
    Trial::new(profile, messages, Nanos::from_secs(1))
}
