//! A trial of a search, and what it shows of its rate.
//!
//! Belongs here: what makes a trial good, bad or void. Does not: what several trials say together (`bounds`), one
//! objective (`verdict::objective`).

use super::bounds::Finding;
use crate::load::trial::Trial;
use crate::measure::outcome::{Interval, TrialOutcome};
use crate::units::{Count, Nanos, Rate};
use crate::verdict::objective::Objective;
use crate::verdict::{Judged, RATE_NOT_REACHED, Trust};

/// A trial that was run.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// Which.
    pub trial: Trial,
    /// What it was run for.
    pub role: Role,
    /// Its rate.
    pub rate: Rate,
    /// What it shows; none of a look at the least rate, and of one that was cut short.
    pub finding: Option<Finding>,
    /// Why it is bad or void, in words.
    pub reasons: Vec<String>,
}

/// What a trial of a search is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It shows whether its rate holds.
    Measured,
    /// It shows, at the least rate, whether the cluster is as fast as before.
    Recovery,
}

/// What a trial shows, and why.
pub(super) fn finding(
    judged: &Judged,
    objectives: &[Objective],
    rate: Rate,
    copies_each: u64,
) -> (Finding, Vec<String>) {
    let of = |wanted: Trust| judged.caveats.iter().filter(move |caveat| caveat.severity == wanted);
    let void: Vec<_> =
        of(Trust::Void).map(|caveat| format!("{}: {}", caveat.code, caveat.text)).collect();
    // The generator did not make the load: whatever came of it is not the cluster's answer to that load.
    if !void.is_empty() {
        return (Finding::Void, void);
    }
    let mut reasons: Vec<_> =
        objectives.iter().filter_map(|objective| objective.broken_by(judged)).collect();
    let slow = judged.caveats.iter().find(|caveat| caveat.code == RATE_NOT_REACHED);
    reasons.extend(slow.map(|caveat| caveat.text.clone()));
    reasons.extend(faults(judged));
    let bound = objectives.iter().filter_map(Objective::below).min();
    reasons.extend(bound.and_then(|bound| queue(judged, bound, rate, copies_each)));
    (if reasons.is_empty() { Finding::Good } else { Finding::Bad }, reasons)
}

/// What no objective excuses.
fn faults(outcome: &TrialOutcome) -> Option<String> {
    let delivery = &outcome.delivery;
    let lost = outcome.lost.len() as u64;
    let faults = [
        (delivery.duplicate, "duplicate"),
        (delivery.misdelivered, "misdelivered"),
        (delivery.corrupt, "corrupt"),
        (lost, if lost == 1 { "socket lost" } else { "sockets lost" }),
    ];
    let there = faults.iter().filter(|(count, _)| *count > 0);
    let told: Vec<_> = there.map(|(count, word)| format!("{} {word}", Count(*count))).collect();
    (!told.is_empty()).then(|| told.join(", "))
}

/// A queue that grew while messages were due, to more copies than are due within the bound: the latencies of this
/// trial are those of its length, and a longer one would have longer ones.
fn queue(outcome: &TrialOutcome, bound: Nanos, rate: Rate, copies_each: u64) -> Option<String> {
    let measured = |interval: &&Interval| !interval.warmup && interval.sent > 0;
    let first = outcome.intervals.iter().find(measured)?.missing_so_far;
    let owed = outcome.intervals.iter().rev().find(measured)?.missing_so_far;
    let within = rate.as_f64() * bound.as_secs_f64() * copies_each as f64;
    let grew = owed > first && owed as f64 > within;
    grew.then(|| {
        format!(
            "the queue grew to {} copies, more than are due in {bound} ({})",
            Count(owed),
            Count(within as u64)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::latencies::Latencies;
    use crate::measure::outcome::{Class, Delivery};
    use crate::verdict::Caveat;

    /// 1 000 messages in a second to one socket each, 1 ms each.
    fn judged(change: impl FnOnce(&mut Judged)) -> Judged {
        let ns: Latencies = (0..1_000).map(|_| Nanos::from_millis(1)).collect();
        let delivery =
            Delivery { expected: 1_000, delivered: 1_000, seen: 1_000, ..Delivery::default() };
        let latency_ns = vec![(Class::Response, ns)];
        let outcome = TrialOutcome { delivery, latency_ns, ..TrialOutcome::nothing() };
        let mut judged = Judged { outcome, caveats: Vec::new() };
        change(&mut judged);
        judged
    }

    fn found(change: impl FnOnce(&mut Judged)) -> (Finding, Vec<String>) {
        let objectives = ["p99<50ms", "missing=0"].map(|text| text.parse().unwrap());
        finding(&judged(change), &objectives, Rate::per_second(1e3), 1)
    }

    fn caveat(code: &'static str, severity: Trust) -> Caveat {
        Caveat { code, severity, text: "words".to_owned(), remedy: String::new() }
    }

    #[test]
    fn a_trial_is_good_when_nothing_is_wrong_with_it() {
        assert_eq!(found(|_| {}), (Finding::Good, Vec::new()));
        let degraded = found(|judged| judged.caveats.push(caveat("shared-cores", Trust::Degraded)));
        assert_eq!(degraded.0, Finding::Good, "times to be read with care are still times");
    }

    #[test]
    fn each_thing_that_is_wrong_makes_it_bad_and_is_told() {
        type Change = fn(&mut Judged);
        let cases: [(Change, &str); 5] = [
            (
                |j| (j.outcome.delivery.missing, j.outcome.delivery.delivered) = (2, 998),
                "missing = 0: 2 of 1 000",
            ),
            (|j| j.outcome.delivery.duplicate = 3, "3 duplicate"),
            (|j| j.outcome.delivery.corrupt = 1, "1 corrupt"),
            (|j| j.caveats.push(caveat(RATE_NOT_REACHED, Trust::Degraded)), "words"),
            (
                |j| {
                    j.outcome.latency_ns[0].1 = (0..1_000).map(|_| Nanos::from_millis(60)).collect()
                },
                "p99 < 50.0 ms: 60.0 ms",
            ),
        ];
        for (change, says) in cases {
            assert_eq!(found(change), (Finding::Bad, vec![says.to_owned()]));
        }
    }

    #[test]
    fn what_the_generator_could_not_make_says_nothing_of_the_cluster_whatever_is_missing() {
        let void = found(|judged| {
            judged.outcome.delivery.missing = 500;
            judged.caveats.push(caveat("schedule-lag", Trust::Void));
        });
        assert_eq!(void, (Finding::Void, vec!["schedule-lag: words".to_owned()]));
    }

    #[test]
    fn a_queue_that_grows_beyond_the_bound_is_bad_before_latencies_show_it() {
        let with = |missing: [u64; 2]| {
            found(|judged| {
                let interval =
                    |missing_so_far| Interval { sent: 1, missing_so_far, ..Interval::default() };
                judged.outcome.intervals = missing.map(interval).to_vec();
            })
        };
        let (finding, reasons) = with([10, 51]);
        let says = "the queue grew to 51 copies, more than are due in 50.0 ms (50)";
        assert_eq!((finding, &*reasons[0]), (Finding::Bad, says));
        assert_eq!(with([10, 50]).0, Finding::Good, "50 copies are due in the bound");
        assert_eq!(with([60, 51]).0, Finding::Good, "it shrinks");
    }
}
