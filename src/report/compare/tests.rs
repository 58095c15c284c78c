//! What a comparison claims, held against runs whose truth is known.

use std::sync::LazyLock;

use super::gate::{Held, Limit};
use super::*;
use crate::report::document::Document;
use crate::report::document::trial::Trust;
use crate::report::fixture;
use crate::report::situations::{ended, outcome};

/// As the command line has it.
const TOLERANCE: f64 = 0.05;

static RUN: LazyLock<Document> =
    LazyLock::new(|| ended(&[2_000], outcome(vec![fixture::whole(2_000)])));

/// A run whose times are all `slower` times those of another.
fn scaled(slower: f64, at: u64) -> Document {
    let mut result = RUN.clone();
    let run = &mut result.trials[0];
    for latency in
        [&mut run.latency_us.service, &mut run.latency_us.completion].into_iter().flatten()
    {
        for figure in [&mut latency.p50, &mut latency.p99, &mut latency.p99_9, &mut latency.max] {
            *figure = figure.map(|figure| figure * slower);
        }
    }
    run.throughput.copies_per_s = run.throughput.copies_per_s.map(|rate| rate / slower);
    result.tool.started_unix_ms = at;
    result
}

fn normal(rng: &mut fastrand::Rng) -> f64 {
    // Of twelve evenly drawn figures the sum has variance 1.
    (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0
}

/// Runs in turns, A B A B: `drift` is what the machine does, `shift` what B does.
fn in_turns(each: u64, mut log: impl FnMut(u64) -> f64, shift: f64) -> Pair<Runs> {
    let mut runs = Pair::<Runs>::default();
    for at in 0..2 * each {
        let is_b = at % 2 == 1;
        let slower = (log(at) + if is_b { shift } else { 0.0 }).exp();
        let side = if is_b { &mut runs.b } else { &mut runs.a };
        side.results.push(scaled(slower, at));
    }
    runs
}

fn p99(comparison: &Comparison) -> &Figure {
    let figures = &comparison.headline().unwrap().figures;
    figures.iter().find(|figure| figure.figure == Kind::P99).unwrap()
}

/// How many of 200 seeds call the p99 different.
fn found(mut runs: impl FnMut(&mut fastrand::Rng) -> Pair<Runs>) -> usize {
    let seeds = 0..200;
    let differs = |seed: &u64| {
        let runs = runs(&mut fastrand::Rng::with_seed(*seed));
        p99(&compare(&runs, TOLERANCE)).answer == Answer::Different
    };
    seeds.filter(differs).count()
}

/// 5 % of 200 and three standard deviations.
const CHANCE_MAX: usize = 19;

#[test]
fn equal_sides_are_called_different_no_more_often_than_is_told() {
    for deviation in [0.03, 0.1, 0.3] {
        let different = found(|rng| in_turns(5, |_| deviation * normal(rng), 0.0));
        assert!(different <= CHANCE_MAX, "{different} of 200 at {deviation}");
    }
}

#[test]
fn a_known_shift_is_found_with_the_power_that_was_computed() {
    for (each, deviation, ratio, power) in
        [(5, 0.03, 1.1_f64, 0.97_f64), (5, 0.1, 1.2, 0.58), (5, 0.1, 1.5, 1.0), (8, 0.1, 1.2, 0.90)]
    {
        let different = found(|rng| in_turns(each, |_| deviation * normal(rng), ratio.ln()));
        let expected = power * 200.0;
        let chance = 3.0 * (200.0 * power * (1.0 - power)).sqrt() + 4.0;
        assert!((different as f64 - expected).abs() <= chance, "{different} of 200 for {ratio}");
    }
}

#[test]
fn a_drift_that_is_slower_than_a_run_is_no_difference_where_runs_alternate() {
    let drifts: [fn(&mut fastrand::Rng, &mut f64, u64) -> f64; 3] = [
        |rng, state, _| {
            *state = 0.9 * *state + 0.1 * 0.19_f64.sqrt() * normal(rng);
            *state + 0.01 * normal(rng)
        },
        // A machine that gets slower all the time, and one that changes once.
        |rng, _, at| 0.03 * at as f64 + 0.01 * normal(rng),
        |rng, _, at| if at < 6 { 0.0 } else { 0.4 } + 0.01 * normal(rng),
    ];
    for (index, drift) in drifts.into_iter().enumerate() {
        let different = found(|rng| {
            let mut state = 0.1 * normal(rng);
            in_turns(5, |at| drift(rng, &mut state, at), 0.0)
        });
        assert!(different <= CHANCE_MAX, "{different} of 200 with drift {index}");
    }
}

#[test]
fn swapping_the_sides_turns_every_answer_around() {
    let mut rng = fastrand::Rng::with_seed(1);
    for shift in [0.0, 0.1, 0.5] {
        let runs = in_turns(5, |_| 0.05 * normal(&mut rng), shift);
        let forth = compare(&runs, TOLERANCE);
        let back = compare(&Pair { a: runs.b, b: runs.a }, TOLERANCE);
        let figures = |one: &Comparison| one.headline().unwrap().figures.clone();
        for (forth, back) in figures(&forth).iter().zip(figures(&back)) {
            assert_eq!((forth.answer, forth.more_runs), (back.answer, back.more_runs));
            assert_eq!(forth.b_is_worse(), back.b_is_worse().map(|worse| !worse));
            let product = forth.ratio.unwrap() * back.ratio.unwrap();
            assert!((product - 1.0).abs() < 1e-9, "{product}");
            assert!((forth.change.unwrap().low * back.change.unwrap().high - 1.0).abs() < 1e-9);
        }
    }
}

#[test]
fn slower_runs_leave_the_ratio_as_it_is() {
    let runs = |slower: f64| Pair {
        a: Runs {
            results: (0..5).map(|i| scaled(slower + 0.01 * i as f64, 2 * i)).collect(),
            failed: vec![],
        },
        b: Runs {
            results: (0..5).map(|i| scaled(2.0 * slower + 0.02 * i as f64, 2 * i + 1)).collect(),
            failed: vec![],
        },
    };
    let ratios = [1.0, 3.0].map(|slower| p99(&compare(&runs(slower), TOLERANCE)).ratio.unwrap());
    assert!(ratios.iter().all(|ratio| (ratio - 2.0).abs() < 0.01), "{ratios:?}");
}

#[test]
fn fewer_than_four_runs_on_a_side_claim_nothing() {
    for each in 1..4 {
        let comparison = compare(&in_turns(each, |at| at as f64, 5.0), TOLERANCE);
        for figure in &comparison.headline().unwrap().figures {
            assert_eq!((figure.answer, figure.change), (Answer::TooFewRuns, None));
            assert!(figure.ratio.is_some());
        }
        assert_eq!("p99 by 10%".parse::<Limit>().unwrap().held(&comparison), Held::NoEvidence);
    }
}

#[test]
fn void_runs_are_no_evidence() {
    let mut runs = in_turns(5, |at| 0.001 * at as f64, 0.0);
    for result in &mut runs.b.results[..2] {
        result.trials[0].verdict.trust = Trust::Void;
        result.trials[0].latency_us.service.as_mut().unwrap().p99 = Some(1e9);
    }
    let comparison = compare(&runs, TOLERANCE);
    let trial = comparison.headline().unwrap();
    assert_eq!((trial.evidence, trial.void), (Pair { a: 5, b: 3 }, Pair { a: 0, b: 2 }));
    assert_eq!(p99(&comparison).answer, Answer::TooFewRuns);
    assert!(p99(&comparison).ratio.unwrap() < 1.1);
}

#[test]
fn one_missing_copy_is_a_difference_also_where_all_times_are_the_same() {
    let mut runs = in_turns(5, |at| 0.001 * at as f64, 0.0);
    assert!(!compare(&runs, TOLERANCE).delivery.different);
    let copies = &mut runs.b.results[3].trials[0].delivery;
    (copies.delivered, copies.missing, copies.seen) =
        (copies.delivered - 1, copies.missing + 1, copies.seen - 1);
    let comparison = compare(&runs, TOLERANCE);
    assert!(comparison.delivery.different && comparison.delivery.b_is_worse);
    assert_eq!(comparison.delivery.account.b.missing, 1);
    assert_eq!(comparison.delivery.account.b.faulty_runs, 1);
    assert_eq!(p99(&comparison).answer, Answer::Same);
    let swapped = compare(&Pair { a: runs.b, b: runs.a }, TOLERANCE);
    assert!(swapped.delivery.different && !swapped.delivery.b_is_worse);
}

#[test]
fn what_differs_between_plans_and_hosts_is_found_by_its_key() {
    let mut runs = in_turns(4, |_| 0.0, 0.0);
    assert_eq!(compare(&runs, TOLERANCE).differences, []);
    for result in &mut runs.b.results {
        result.plan.payload_bytes = 1_024;
        result.host.kernel = Some("6.1.0".into());
        result.plan.nodes[0].url = "ws://127.0.0.1:40123/".into();
    }
    let both = [(&mut runs.a, "embedded"), (&mut runs.b, "embedded, fault 1:drop=0.1, 2:dup=0.2")];
    for (side, cluster) in both {
        for (port, result) in side.results.iter_mut().enumerate() {
            result.plan.cluster = format!("{cluster}, discovery http://127.0.0.1:{port}/").into();
        }
    }
    let comparison = compare(&runs, TOLERANCE);
    let keys: Vec<_> = comparison.differences.iter().map(|one| one.key.to_string()).collect();
    let expected = ["host.kernel", "plan.cluster (embedded)", "plan.payload_bytes"];
    assert_eq!(keys, expected, "ports of our own cluster are none, its faults are");
    let of_host: Vec<_> = comparison.differences.iter().map(Difference::is_of_the_host).collect();
    assert_eq!(of_host, [true, false, false]);
    assert_eq!(comparison.differences[2].values.map(|v| v[0].to_string()).b, "1024");
}

#[test]
fn the_order_of_runs_is_told() {
    let order = |times: [[u64; 3]; 2]| {
        let side = |times: [u64; 3]| Runs {
            results: times.map(|at| scaled(1.0, at)).to_vec(),
            failed: vec![],
        };
        compare(&Pair { a: side(times[0]), b: side(times[1]) }, TOLERANCE).order
    };
    assert_eq!(order([[1, 3, 5], [2, 4, 6]]), Order::Alternating);
    assert_eq!(order([[1, 2, 3], [4, 5, 6]]), Order::OneAfterTheOther);
    assert_eq!(order([[1, 2, 6], [3, 4, 5]]), Order::Mixed);
}

#[test]
fn a_limit_breaks_where_b_is_worse_by_more_than_it_and_not_where_it_is_better() {
    let limit = |text: &str, shift: f64| {
        let mut rng = fastrand::Rng::with_seed(2);
        let runs = in_turns(6, |_| 0.01 * normal(&mut rng), shift);
        text.parse::<Limit>().unwrap().held(&compare(&runs, TOLERANCE))
    };
    for figure in ["p50", "p99", "copies/s", "completion p99"] {
        assert_eq!(limit(&format!("{figure} by 10%"), 0.3), Held::Broken, "{figure}");
        assert_eq!(limit(&format!("{figure} by 50%"), 0.3), Held::Kept, "{figure}");
        assert_eq!(limit(&format!("{figure} by 10%"), -0.3), Held::Kept, "{figure}");
    }
}

#[test]
fn what_is_undecided_says_how_many_more_runs_would_decide() {
    let mut rng = fastrand::Rng::with_seed(4);
    let comparison = compare(&in_turns(5, |_| 0.1 * normal(&mut rng), 0.1), TOLERANCE);
    let figure = p99(&comparison);
    assert_eq!(figure.answer, Answer::Undecided);
    assert!(figure.more_runs.unwrap() > 1, "{figure:?}");
    assert!(figure.smallest_seen.unwrap() > 1.1, "{figure:?}");
}
