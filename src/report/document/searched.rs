//! What a search came to, as a document.
//!
//! Belongs here: the part of [`super::build`] that is about searches. Does not: the keys (`search`).

use super::search::{Ending, Finding, LimitOf, Role, Says, Search, TriedRate, TriedTrial, Watched};
use super::trial::{Latency, LatencyClass, TrialResult};
use super::{Document, Load, PlannedTrial};
use crate::experiment::search::attempt::{self, Attempt};
use crate::experiment::search::bounds::{self, Bound, Goal, Tried};
use crate::experiment::search::search_plan::SearchPlan;
use crate::experiment::search::{self, Searched};
use crate::measure::outcome::Class;
use crate::units::Rate;
use crate::verdict::objective::Objective;

impl Search {
    /// Before the first trial.
    fn begun(plan: &SearchPlan) -> Self {
        let SearchPlan { range, objectives, goal, lasting, warmup, arrivals: _, timeout } = plan;
        let Goal { duration_sum, exceed_ratio, width } = *goal;
        let [least, most] = range.map(Rate::as_f64);
        Self {
            objectives: objectives.iter().map(|one| one.to_string().into()).collect(),
            latency: watched(objectives),
            least_per_s: least,
            most_per_s: most,
            trial_s: lasting.as_secs_f64(),
            warmup_s: warmup.as_secs_f64(),
            duration_sum_s: duration_sum.as_secs_f64(),
            exceed_ratio,
            width,
            timeout_s: timeout.as_secs_f64(),
            lower_per_s: None,
            upper_per_s: None,
            limit_of: None,
            never_failed_per_s: None,
            holds_above_per_s: None,
            ending: None,
            reason: None,
            elapsed_s: 0.0,
            rates: Vec::new(),
            attempts: Vec::new(),
        }
    }

    /// With what came of it; `trials` are those of its attempts.
    fn ended(self, searched: &Searched, trials: &[TrialResult]) -> Self {
        let Searched { attempts, tries, plan, ending, elapsed } = searched;
        let goal = &plan.goal;
        let bounds = searched.bounds();
        let tried = |(rate, tried): (Rate, &Tried)| TriedRate {
            rate_per_s: rate.as_f64(),
            says: says(tried.bound(goal)),
            good_s: tried.good.as_secs_f64(),
            bad_s: tried.bad.as_secs_f64(),
            voids: tried.voids.into(),
        };
        let rates: Vec<_> = tries.by_rate().map(tried).collect();
        let upper_per_s = bounds.upper.map(Rate::as_f64);
        let limit = rates.iter().find(|tried| Some(tried.rate_per_s) == upper_per_s);
        let limit_of = limit.map(|tried| match tried.says {
            Says::Generator => LimitOf::Generator,
            _ => LimitOf::Cluster,
        });
        let attempts = attempts.iter().zip(trials);
        let attempts = attempts.map(|(attempt, run)| tried_trial(attempt, &self.latency, run));
        Self {
            lower_per_s: bounds.lower.map(Rate::as_f64),
            upper_per_s,
            limit_of,
            never_failed_per_s: tries.never_failed().map(Rate::as_f64),
            holds_above_per_s: tries.holds_above(goal).map(Rate::as_f64),
            ending: Some(match ending {
                search::Ending::Found => Ending::Found,
                search::Ending::Timeout => Ending::Timeout,
                search::Ending::NotRecovered => Ending::NotRecovered,
                search::Ending::Failed(_) => Ending::Failed,
            }),
            reason: match ending {
                search::Ending::Failed(reason) => Some(reason.as_str().into()),
                _ => None,
            },
            elapsed_s: elapsed.as_secs_f64(),
            rates,
            attempts: attempts.collect(),
            ..self
        }
    }
}

impl Document {
    /// A result that has only begun, of a search where there is one.
    #[must_use]
    pub fn searching(self, plan: Option<&SearchPlan>) -> Self {
        Self { search: plan.map(Search::begun), ..self }
    }

    /// One that has ended, with what the search found, where there was one. Its plan is of the trials that were chosen.
    #[must_use]
    pub fn searched(mut self, searched: Option<&Searched>) -> Self {
        let Some(searched) = searched else { return self };
        let planned = |attempt: &Attempt| PlannedTrial {
            id: attempt.trial.id.as_str().into(),
            messages: attempt.trial.messages,
            load: Load::of(&attempt.trial),
        };
        if !searched.attempts.is_empty() {
            self.plan.trials = searched.attempts.iter().map(planned).collect();
        }
        self.search = self.search.map(|begun| begun.ended(searched, &self.trials));
        self.summed_up()
    }
}

/// The 99th percentile of the response where no objective is about a latency.
fn watched(objectives: &[Objective]) -> Watched {
    let of = |objective: &Objective| match *objective {
        Objective::Latency { class, figure, below } => Some(Watched {
            class: class_of(class),
            figure: figure.label().into(),
            below_us: Some(below.0 as f64 / 1e3),
        }),
        Objective::NoneMissing | Objective::MissingBelow(_) => None,
    };
    objectives.iter().find_map(of).unwrap_or_else(|| Watched {
        class: LatencyClass::Response,
        figure: "p99".into(),
        below_us: None,
    })
}

const fn class_of(class: Class) -> LatencyClass {
    match class {
        Class::Service => LatencyClass::Service,
        Class::Response => LatencyClass::Response,
        Class::Wait => LatencyClass::Wait,
        Class::Completion => LatencyClass::Completion,
        Class::Spread => LatencyClass::Spread,
    }
}

const fn says(bound: Bound) -> Says {
    match bound {
        Bound::Lower => Says::Holds,
        Bound::Upper => Says::Fails,
        Bound::Generator => Says::Generator,
        Bound::Undecided => Says::Undecided,
    }
}

fn tried_trial(attempt: &Attempt, watched: &Watched, run: &TrialResult) -> TriedTrial {
    TriedTrial {
        id: attempt.trial.id.as_str().into(),
        role: match attempt.role {
            attempt::Role::Measured => Role::Measured,
            attempt::Role::Recovery => Role::Recovery,
        },
        rate_per_s: attempt.rate.as_f64(),
        finding: attempt.finding.map(Finding::of),
        reasons: attempt.reasons.iter().map(|reason| reason.as_str().into()).collect(),
        latency_us: run.latency_us.of(watched.class).and_then(|latency| watched.of(latency)),
    }
}

impl Finding {
    /// As measured.
    pub const fn of(finding: bounds::Finding) -> Self {
        match finding {
            bounds::Finding::Good => Self::Good,
            bounds::Finding::Bad => Self::Bad,
            bounds::Finding::Void => Self::Void,
        }
    }
}

impl Watched {
    fn of(&self, latency: &Latency) -> Option<f64> {
        match self.figure.raw() {
            "p50" => latency.p50,
            "p90" => latency.p90,
            "p99" => latency.p99,
            "p99.9" => latency.p99_9,
            "p99.99" => latency.p99_99,
            _ => latency.max,
        }
    }
}
