//! Whether a document agrees with itself: what a file claims is held against what we would write.
//!
//! Belongs here: the laws that every document keeps, one function each, and the words for a breach.
//! Does not: the shape of the JSON (`saved`).
//!
//! Reports lean on these laws (indices lead somewhere, sums do not wrap), so a stranger's file passes
//! through here before it is presented.

use std::collections::BTreeSet;

use crate::plan::load::{MAX_MESSAGES, MAX_PUSH_SOCKETS};
use crate::report::document::figures::histogram_of;
use crate::report::document::series::{Cost, Interval};
use crate::report::document::trial::{Latency, LatencyClass, MatrixCell, TrialResult, Trust};
use crate::report::document::{Document, Plan};

/// Two things that a document says, or one that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Inconsistency(String);

type Law<T> = fn(&T) -> Option<String>;

const OF_PLANS: &[Law<Plan>] = &[sizes, names, push_node, loads];
const OF_TRIALS: &[Law<TrialResult>] =
    &[counts, conservation, late, course, ranges, trust, durations, histograms];

/// Holds a document to every law.
///
/// # Errors
/// The first breach, by the path of its key.
pub fn check(document: &Document) -> Result<(), Inconsistency> {
    let plan =
        OF_PLANS.iter().find_map(|law| law(&document.plan)).map(|why| format!("plan: {why}"));
    let breach = plan.or_else(|| each_trial(&document.plan, &document.trials));
    let breach = breach.or_else(|| {
        let floor = each_trial(&document.plan, &document.calibration.as_ref()?.trials);
        floor.map(|why| format!("calibration.{why}"))
    });
    let breach = breach.or_else(|| search(document).map(|why| format!("search: {why}")));
    breach.map_or(Ok(()), |why| Err(Inconsistency(why)))
}

/// What a search says of its trials is of the trials that there are.
fn search(document: &Document) -> Option<String> {
    let search = document.search.as_ref()?;
    let ids = search.attempts.iter().map(|tried| &tried.id);
    if !ids.eq(document.trials.iter().map(|run| &run.id)) {
        return Some("attempts: they are not the trials of the file".into());
    }
    let rates = search.rates.iter().map(|tried| tried.rate_per_s);
    let rates = rates.chain(search.attempts.iter().map(|tried| tried.rate_per_s));
    let ends = [search.least_per_s, search.most_per_s].into_iter();
    let wrong = rates.chain(ends).find(|rate| !(*rate > 0.0 && rate.is_finite()));
    if let Some(rate) = wrong {
        return Some(format!("a rate of {rate}"));
    }
    let shares = [("exceed_ratio", search.exceed_ratio), ("width", search.width)];
    let wrong = shares.into_iter().find(|(_, share)| !(0.0..=1.0).contains(share));
    wrong.map(|(key, share)| format!("{key}: {share}"))
}

fn each_trial(plan: &Plan, trials: &[TrialResult]) -> Option<String> {
    trials.iter().enumerate().find_map(|(index, run)| {
        let breach = OF_TRIALS.iter().find_map(|law| law(run));
        let breach = breach.or_else(|| places(plan, run)).or_else(|| planned(plan, run));
        let breach = breach.or_else(|| {
            let again = trials[..index].iter().any(|before| before.id == run.id);
            again.then(|| format!("id: {} ran before", run.id))
        });
        breach.map(|why| format!("trials[{index}].{why}"))
    })
}

fn sizes(plan: &Plan) -> Option<String> {
    let senders = 1..=u64::from(MAX_PUSH_SOCKETS);
    let messages = 1..=MAX_MESSAGES;
    if !senders.contains(&plan.push_sockets) {
        return Some(format!("{} push sockets", plan.push_sockets));
    }
    if plan.receivers_per_node > u32::MAX.into() {
        return Some(format!("{} receivers to each node", plan.receivers_per_node));
    }
    if !(1..=u64::from(u16::MAX)).contains(&plan.subscriptions) {
        return Some(format!("{} subscriptions", plan.subscriptions));
    }
    let wrong = plan.trials.iter().find(|trial| !messages.contains(&trial.messages));
    wrong.map(|trial| format!("a trial of {} messages", trial.messages))
}

fn names(plan: &Plan) -> Option<String> {
    if plan.trials.is_empty() {
        return Some("no trial".into());
    }
    let mut known = BTreeSet::new();
    let twice = plan.trials.iter().find(|trial| !known.insert(&trial.id));
    twice.map(|trial| format!("two trials with the name {}", trial.id))
}

fn push_node(plan: &Plan) -> Option<String> {
    let nodes = plan.nodes.len();
    (plan.push_node >= nodes as u64)
        .then(|| format!("pushes go to node {} of {nodes}", plan.push_node))
}

fn loads(plan: &Plan) -> Option<String> {
    plan.trials.iter().find_map(|trial| trial.load.profile().err())
}

fn counts(run: &TrialResult) -> Option<String> {
    if !(1..=MAX_MESSAGES).contains(&run.messages) {
        return Some(format!("messages: {}", run.messages));
    }
    (run.sent > run.messages).then(|| format!("sent: {} of {}", run.sent, run.messages))
}

fn conservation(run: &TrialResult) -> Option<String> {
    let d = &run.delivery;
    let sum = |parts: &[u64]| parts.iter().try_fold(0_u64, |sum, &part| sum.checked_add(part));
    if sum(&[d.delivered, d.missing]) != Some(d.expected) {
        let (delivered, missing) = (d.delivered, d.missing);
        return Some(format!("delivery: {delivered} + {missing} are not {}", d.expected));
    }
    (sum(&[d.delivered, d.duplicate, d.misdelivered, d.foreign, d.corrupt]) != Some(d.seen))
        .then(|| format!("delivery: what was seen are not {}", d.seen))
}

/// What came late is in the account as missing, duplicate or misdelivered.
fn late(run: &TrialResult) -> Option<String> {
    let (late, missing) = (run.late.copies, run.delivery.missing);
    if late > missing {
        return Some(format!("late: {late} of {missing} missing copies"));
    }
    let (late, duplicate) = (run.late.duplicates, run.delivery.duplicate);
    if late > duplicate {
        return Some(format!("late: {late} of {duplicate} duplicates"));
    }
    let (late, misdelivered) = (run.late.misdelivered, run.delivery.misdelivered);
    (late > misdelivered).then(|| format!("late: {late} of {misdelivered} misdelivered copies"))
}

/// What happened in all intervals is what happened.
fn course(run: &TrialResult) -> Option<String> {
    if run.intervals.is_empty() {
        return None;
    }
    let sum = |of: fn(&Interval) -> u64| {
        run.intervals.iter().try_fold(0_u64, |sum, interval| sum.checked_add(of(interval)))
    };
    let (sent, copies) = (sum(|i| i.sent), sum(|i| i.copies));
    // What came when all intervals were over is in none of them.
    let in_time = run.delivery.misdelivered.saturating_sub(run.late.misdelivered);
    let misdelivered = sum(|i| i.misdelivered) != Some(in_time);
    (sent != Some(run.sent) || copies != Some(run.delivery.delivered) || misdelivered)
        .then(|| "intervals: they do not add up to what was sent and delivered".into())
}

fn ranges(run: &TrialResult) -> Option<String> {
    let all = run.gaps.iter().flat_map(|gap| &gap.ranges);
    let wrong = all.clone().find(|[first, last]| first > last || *last >= run.messages);
    wrong.map(|[first, last]| format!("gaps: a range from {first} to {last}"))
}

fn trust(run: &TrialResult) -> Option<String> {
    let worst = run.verdict.caveats.iter().map(|caveat| caveat.severity).max();
    let worst = worst.unwrap_or(Trust::Ok);
    (run.verdict.trust != worst)
        .then(|| format!("verdict: {:?}, and the worst caveat is {worst:?}", run.verdict.trust))
}

/// JSON knows no infinity, but it knows a minus.
fn durations(run: &TrialResult) -> Option<String> {
    let latencies = run.latency_us.present().flat_map(|(_, latency)| figures(latency));
    let matrix = run
        .matrix
        .iter()
        .flat_map(|cell| [cell.p50_us, cell.p99_us, cell.max_us].into_iter().flatten());
    let lost = run.lost_sockets.iter().map(|lost| lost.at_s);
    let cores =
        run.generator.cores.iter().flat_map(|core| {
            [core.busy, core.cpu_s, core.spun_s, core.wall_s, core.longest_turn_us]
        });
    let intervals = run.intervals.iter().flat_map(|i| [i.start_s, i.length_s]);
    let costs = run.intervals.iter().filter_map(|i| i.cost.as_ref());
    let costs = costs.flat_map(|cost| {
        let Cost { cpu_s, spun_s, busy, busiest, lag_max_us } = *cost;
        [Some(cpu_s), Some(spun_s), busy, busiest, lag_max_us].into_iter().flatten()
    });
    let whole = [
        Some(run.late.up_to_s),
        run.time.send_s,
        run.time.receive_s,
        run.throughput.sent_per_s,
        run.throughput.scheduled_per_s,
        run.throughput.copies_per_s,
        run.generator.process_cpu_s,
        run.generator.process_cpu_ns_per_copy,
        run.generator.stamp_resolution_us,
    ];
    let mut all = whole
        .into_iter()
        .flatten()
        .chain(latencies)
        .chain(matrix)
        .chain(lost)
        .chain(cores)
        .chain(intervals)
        .chain(costs);
    all.find(|figure| *figure < 0.0).map(|figure| format!("time: {figure} is below 0"))
}

fn figures(latency: &Latency) -> impl Iterator<Item = f64> {
    let Latency { count: _, min, mean, p50, p90, p99, p99_9, p99_99, max } = latency;
    [*min, *mean, *p50, *p90, *p99, *p99_9, *p99_99, *max].into_iter().flatten()
}

fn histograms(run: &TrialResult) -> Option<String> {
    LatencyClass::ALL.into_iter().find_map(|class| {
        let key = class.key();
        let why = |why: String| Some(format!("latency_histograms.{key}: {why}"));
        let histogram = match histogram_of(run, class)? {
            Ok(histogram) => histogram,
            Err(error) => return why(error.to_string()),
        };
        let samples = run.latency_us.of(class).map(|latency| latency.count);
        match samples {
            Some(samples) if samples == histogram.len() => None,
            _ => why(format!("{} samples, and latency_us.{key} has not", histogram.len())),
        }
    })
}

/// A trial that ran is one of the plan's.
fn planned(plan: &Plan, run: &TrialResult) -> Option<String> {
    match plan.planned(run) {
        None => Some(format!("id: {} is not in the plan", run.id)),
        Some(planned) if planned.messages != run.messages => {
            Some(format!("messages: {}, and the plan has {}", run.messages, planned.messages))
        }
        Some(_) => None,
    }
}

/// Nodes and sockets that a trial names are the plan's.
fn places(plan: &Plan, run: &TrialResult) -> Option<String> {
    let nodes = plan.nodes.len() as u64;
    let of_cell = |cell: &MatrixCell| [cell.from, cell.to];
    let named = run.matrix.iter().flat_map(of_cell);
    let named = named.chain(run.gaps.iter().map(|gap| gap.node));
    let mut named = named.chain(run.lost_sockets.iter().map(|lost| lost.node));
    let strange = named.find(|&node| node >= nodes);
    strange.map(|node| format!("matrix: node {node} of {nodes}"))
}
