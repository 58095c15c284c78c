//! Results of searches, for the tests of what reports say and of how they look.

use super::document::Document;
use super::fixture::{invocation, plan, whole};
use crate::experiment::Outcome;
use crate::experiment::search::attempt::{Attempt, Role};
use crate::experiment::search::bounds::{Finding, Goal, Tries};
use crate::experiment::search::search_plan::SearchPlan;
use crate::experiment::search::{Ending, Searched};
use crate::load::inter_arrival::InterArrival;
use crate::load::trial::Names;
use crate::measure::latencies::Latencies;
use crate::measure::outcome::Class;
use crate::plan::Plan;
use crate::units::{Nanos, Rate};
use crate::verdict::{Caveat, Judged, Trust};

type Look<'a> = super::situations::Look<'a>;

const GOAL: Goal = Goal { duration_sum: Nanos::from_secs(5), exceed_ratio: 0.5, width: 0.05 };

/// A plan of its largest trial, as a search begins with.
fn of_a_rate() -> Plan {
    let mut of_a_rate = plan(&[1]);
    of_a_rate.trials = vec![asked().largest(6)];
    of_a_rate
}

/// From 100/s to 1 000/s.
fn asked() -> SearchPlan {
    SearchPlan {
        range: [100.0, 1_000.0].map(Rate::per_second),
        objectives: ["p99<50ms", "missing=0"].map(|text| text.parse().unwrap()).to_vec(),
        goal: GOAL,
        lasting: Nanos::from_secs(1),
        warmup: Nanos::from_millis(200),
        arrivals: InterArrival::Constant,
        timeout: Nanos::from_secs(600),
    }
}

/// A look, then a trial for each rate with its p99 in milliseconds, then another look.
fn ended(trials: &[(f64, u64, Finding)], ending: Ending) -> Document {
    let asked = asked();
    let (mut attempts, mut judged) = (Vec::new(), Vec::new());
    let (mut names, mut tries) = (Names::default(), Tries::default());
    let looks = [(100.0, 2, None)];
    let all = trials.iter().map(|&(rate, ms, finding)| (rate, ms, Some(finding)));
    for (per_s, ms, finding) in looks.into_iter().chain(all).chain(looks) {
        let rate = Rate::per_second(per_s);
        let ((trial, lasting), role) = match finding {
            Some(_) => (asked.trial(rate, 6, 0), Role::Measured),
            None => (asked.recovery(0, 6, 0), Role::Recovery),
        };
        let trial = names.distinct(trial);
        let mut outcome = whole(trial.messages);
        outcome.id = trial.id.clone();
        let ns: Latencies =
            (0..outcome.delivery.delivered).map(|_| Nanos::from_millis(ms)).collect();
        outcome.latency_ns.insert(0, (Class::Response, ns));
        let (reasons, caveats) = match finding {
            Some(Finding::Bad) => {
                (vec![format!("p99 < 50.0 ms: {}", Nanos::from_millis(ms))], Vec::new())
            }
            Some(Finding::Void) => (vec!["schedule-lag: it was late".to_owned()], vec![late()]),
            _ => (Vec::new(), Vec::new()),
        };
        if let Some(finding) = finding {
            tries.add(rate, asked.lasting, finding);
        }
        attempts.push(Attempt { trial, role, rate, lasting, finding, reasons });
        judged.push(Judged { outcome, caveats });
    }
    let outcome = Outcome { trials: judged, ..Outcome::default() };
    let searched =
        Searched { attempts, tries, plan: asked.clone(), ending, elapsed: Nanos::from_secs(30) };
    let begun = Document::begun(&of_a_rate(), &invocation()).searching(Some(&asked));
    begun.ended(&outcome).searched(Some(&searched))
}

fn late() -> Caveat {
    Caveat {
        code: "schedule-lag",
        severity: Trust::Void,
        text: "it was late".to_owned(),
        remedy: "more --cores".to_owned(),
    }
}

fn thrice(rate: f64, ms: u64, finding: Finding) -> [(f64, u64, Finding); 3] {
    [(rate, ms, finding), (rate, ms + 1, finding), (rate, ms + 2, finding)]
}

/// Shows all of them.
pub(super) fn each(look: Look<'_>) {
    let good = |rate, ms| thrice(rate, ms, Finding::Good);
    let bad = |rate, ms| thrice(rate, ms, Finding::Bad);
    let once = [(100.0, 2, Finding::Good), (400.0, 3, Finding::Good), (1_000.0, 900, Finding::Bad)];
    let found = [&once[..], &good(620.0, 20), &bad(650.0, 80)].concat();
    look("search", &ended(&found, Ending::Found), None);
    let crooked = [&good(100.0, 2)[..], &bad(400.0, 80), &good(1_000.0, 20)].concat();
    look("search_not_monotonic", &ended(&crooked, Ending::Found), None);
    let void = [&good(620.0, 20)[..], &thrice(650.0, 30, Finding::Void)].concat();
    look("search_limited_by_the_generator", &ended(&void, Ending::Found), None);
    look("search_of_the_most", &ended(&good(1_000.0, 20), Ending::Found), None);
    look("search_of_the_least", &ended(&bad(100.0, 70), Ending::Found), None);
    look("search_that_took_too_long", &ended(&once, Ending::Timeout), None);
    look("search_without_recovery", &ended(&found[..3], Ending::NotRecovered), None);
    let reason = "a worker failed: it broke".to_owned();
    look("search_that_failed", &ended(&good(620.0, 20), Ending::Failed(reason)), None);
    let begun = Document::begun(&of_a_rate(), &invocation()).searching(Some(&asked()));
    look("search_only_begun", &begun, None);
}
