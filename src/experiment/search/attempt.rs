//! A trial of a search, and what it shows of its rate.
//!
//! Belongs here: what makes a trial good, bad or void. Does not: what several trials say together (`bounds`), one
//! objective (`verdict::objective`).

use super::bounds::Finding;
use super::search_plan::SearchPlan;
use crate::load::trial::Trial;
use crate::measure::outcome::{Ending, Interval, TrialOutcome};
use crate::units::{Count, Nanos, Rate};
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
    /// How long its measured part is.
    pub lasting: Nanos,
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

impl Attempt {
    /// With what it shows: a look shows nothing, and nor does what was cut short.
    pub(super) fn judged(self, judged: &Judged, plan: &SearchPlan, copies_each: u64) -> Self {
        if self.role != Role::Measured || judged.ending == Ending::Interrupted {
            return self;
        }
        let (found, reasons) = finding(judged, plan, (self.rate, self.lasting), copies_each);
        Self { finding: Some(found), reasons, ..self }
    }
}

/// What a trial at a rate shows of a plan's objectives, and why.
fn finding(
    judged: &Judged,
    plan: &SearchPlan,
    (rate, lasting): (Rate, Nanos),
    copies_each: u64,
) -> (Finding, Vec<String>) {
    let objectives = &plan.objectives;
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
    let within = plan.tightest().map(|bound| (bound, rate.as_f64() * copies_each as f64));
    let until = plan.warmup.plus(lasting);
    reasons.extend(within.and_then(|within| queue(judged, within, until)));
    if !reasons.is_empty() {
        return (Finding::Bad, reasons);
    }
    let unknown: Vec<_> =
        objectives.iter().filter_map(|objective| objective.unknown_of(judged)).collect();
    (if unknown.is_empty() { Finding::Good } else { Finding::Void }, unknown)
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

/// A queue of more copies than are due within the bound, when the last message was due: the latencies of this trial are
/// those of its length, and a longer one would have longer ones. Where it can be seen to shrink it does not count.
/// Trials of less than a second have no such look.
fn queue(
    outcome: &TrialOutcome,
    (bound, copies_per_s): (Nanos, f64),
    until: Nanos,
) -> Option<String> {
    let by_then =
        |interval: &&Interval| !interval.warmup && interval.start.plus(interval.length) <= until;
    let mut looks = outcome.intervals.iter().filter(by_then).map(|one| one.missing_so_far);
    let first = looks.next()?;
    let owed = looks.next_back();
    let shrinks = owed.is_some_and(|owed| owed <= first);
    let (owed, within) = (owed.unwrap_or(first), copies_per_s * bound.as_secs_f64());
    (!shrinks && owed as f64 > within).then(|| {
        format!(
            "{} copies were under way at its end, more than are due in {bound} ({})",
            Count(owed),
            Count(within as u64)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::search::search_plan;
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
        let plan = SearchPlan {
            objectives: ["p99<50ms", "missing=0"].map(|text| text.parse().unwrap()).to_vec(),
            lasting: Nanos::from_secs(2),
            ..search_plan::asked()
        };
        finding(&judged(change), &plan, (Rate::per_second(1e3), plan.lasting), 1)
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
    fn what_cannot_be_known_is_no_finding() {
        let few = (0..999).map(|_| Nanos::from_millis(1)).collect();
        let (finding, reasons) = found(|judged| judged.outcome.latency_ns[0].1 = few);
        assert_eq!(finding, Finding::Void);
        assert!(reasons[0].contains("too few copies"), "{reasons:?}");
    }

    /// Seconds from the end of a warm-up of a second on: when each ends, and what was under way then.
    fn with_queue(seconds: &[(u64, u64)]) -> (Finding, Vec<String>) {
        found(|judged| {
            let interval = |&(end, missing_so_far): &(u64, u64)| Interval {
                start: Nanos::from_secs(end - 1),
                length: Nanos::from_secs(1),
                sent: 1,
                missing_so_far,
                ..Interval::default()
            };
            judged.outcome.intervals = seconds.iter().map(interval).collect();
        })
    }

    #[test]
    fn a_queue_beyond_the_bound_is_bad_before_latencies_show_it() {
        let (finding, reasons) = with_queue(&[(2, 10), (3, 51)]);
        let says = "51 copies were under way at its end, more than are due in 50.0 ms (50)";
        assert_eq!((finding, &*reasons[0]), (Finding::Bad, says));
        assert_eq!(with_queue(&[(2, 10), (3, 50)]).0, Finding::Good, "50 are due in the bound");
        assert_eq!(with_queue(&[(2, 60), (3, 51)]).0, Finding::Good, "it shrinks");
        assert_eq!(with_queue(&[(2, 51)]).0, Finding::Bad, "of one second nobody knows");
    }

    #[test]
    fn what_is_sent_after_its_time_does_not_hide_the_queue() {
        assert_eq!(with_queue(&[(2, 10), (3, 900), (4, 0)]).0, Finding::Bad);
        assert_eq!(with_queue(&[(4, 900)]).0, Finding::Good, "nothing was looked at in time");
    }
}
