//! What can be said of a figure: different, the same, or not decided.
//!
//! Belongs here: the rule, and what more runs would bring. Does not: the arithmetic of ranks (`ranks`).

use schemars::JsonSchema;
use serde::Serialize;

use super::ranks;
use super::{Kind, Pair, Unit, within};
use crate::report::document::trial::{LatencyClass, TrialResult};

/// A figure of both sides.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Figure {
    /// Which.
    pub figure: Kind,
    /// What it is counted in.
    pub unit: Unit,
    /// More of it is worse.
    pub more_is_worse: bool,
    /// That of each run whose times count.
    pub runs: Pair<Vec<f64>>,
    /// Their medians.
    pub median: Pair<Option<f64>>,
    /// B over A; null where a side has no run with it.
    pub ratio: Option<f64>,
    /// The interval of that ratio; null with fewer than four runs on a side.
    pub change: Option<Change>,
    /// What follows.
    pub answer: Answer,
    /// The smallest ratio above 1 that this many runs, as far apart as they are, would have shown in four
    /// comparisons of five.
    pub smallest_seen: Option<f64>,
    /// About how many more runs on each side would decide, where it is undecided; null where more than can be
    /// compared would be needed.
    pub more_runs: Option<usize>,
    /// With fewer than four runs on a side: of each run the interval of its own figure, from how its seconds
    /// differ. A new start may differ by more. Null where it has too few seconds that are independent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within_run: Option<Pair<Vec<Option<[f64; 2]>>>>,
}

/// The interval of a ratio.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Change {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// In which share of comparisons such an interval holds the truth.
    pub confidence: f64,
}

/// What can be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The interval is on one side of no change, and the ratio is beyond the tolerance.
    Different,
    /// All of the interval is within the tolerance.
    Same,
    /// Neither.
    Undecided,
    /// Fewer than four runs on a side.
    TooFewRuns,
    /// A run has too few samples for it.
    NotMeasured,
}

/// Logarithms: runs differ by shares.
#[derive(Clone, Copy, Debug)]
struct Rule {
    tolerance: f64,
}

pub(super) fn figures(
    runs: &Pair<Vec<&TrialResult>>,
    class: LatencyClass,
    tolerance: f64,
) -> Vec<Figure> {
    let rule = Rule { tolerance: tolerance.ln_1p() };
    Kind::ALL.into_iter().map(|kind| figure(runs, class, kind, rule)).collect()
}

fn figure(runs: &Pair<Vec<&TrialResult>>, class: LatencyClass, kind: Kind, rule: Rule) -> Figure {
    let all = runs.map(|side| side.iter().map(|run| kind.of(run, class)).collect::<Vec<_>>());
    let known = all.map(|side| side.iter().copied().flatten().collect::<Vec<f64>>());
    let whole = known.a.len() == all.a.len() && known.b.len() == all.b.len();
    let few = known.a.len().min(known.b.len()) < ranks::RUNS_MIN;
    let within_run = || {
        Some(runs.map(|side| side.iter().map(|run| within::interval(run, class, kind)).collect()))
    };
    let (answered, ratio) = match whole {
        true => rule.held(&known),
        false => (Answered::no(Answer::NotMeasured), None),
    };
    let Answered { answer, change, smallest_seen, more_runs } = answered;
    let within_run = (few && whole && kind.quantile().is_some()).then(within_run).flatten();
    Figure {
        figure: kind,
        unit: kind.unit(),
        more_is_worse: kind.more_is_worse(),
        median: known.map(|side| middle(side)),
        runs: known,
        ratio,
        change,
        answer,
        smallest_seen,
        more_runs,
        within_run,
    }
}

fn middle(side: &[f64]) -> Option<f64> {
    let mut sorted = side.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    ranks::median(&sorted)
}

struct Answered {
    answer: Answer,
    change: Option<Change>,
    smallest_seen: Option<f64>,
    more_runs: Option<usize>,
}

impl Answered {
    const fn no(answer: Answer) -> Self {
        Self { answer, change: None, smallest_seen: None, more_runs: None }
    }
}

impl Rule {
    fn held(self, known: &Pair<Vec<f64>>) -> (Answered, Option<f64>) {
        let logs = known.map(|side| side.iter().map(|figure| figure.ln()).collect::<Vec<_>>());
        let (a, b) = (logs.a.as_slice(), logs.b.as_slice());
        let ratio = ranks::estimate(a, b).map(f64::exp);
        let Some(shift) = ranks::shift(a, b) else {
            let few = if ratio.is_none() { Answer::NotMeasured } else { Answer::TooFewRuns };
            return (Answered::no(few), ratio);
        };
        let answer = self.of(shift);
        let deviation = ranks::deviation(a, b).unwrap_or(0.0);
        let seen = ranks::seen(a.len(), b.len(), deviation).map(|seen| seen.max(self.tolerance));
        let more_runs = match answer {
            Answer::Undecided => {
                // An interval must end before no change, or where the tolerance ends.
                let size = shift.estimate.abs();
                let half = if size > self.tolerance { size } else { self.tolerance - size };
                let runs = ranks::runs_for(half, deviation);
                runs.map(|runs| runs.saturating_sub(a.len().min(b.len())).max(1))
            }
            _ => None,
        };
        let change =
            Change { low: shift.low.exp(), high: shift.high.exp(), confidence: shift.confidence };
        let smallest_seen = seen.map(f64::exp);
        (Answered { answer, change: Some(change), smallest_seen, more_runs }, ratio)
    }

    fn of(self, shift: ranks::Shift) -> Answer {
        let apart = shift.low > 0.0 || shift.high < 0.0;
        if apart && shift.estimate.abs() > self.tolerance {
            Answer::Different
        } else if shift.low >= -self.tolerance && shift.high <= self.tolerance {
            Answer::Same
        } else {
            Answer::Undecided
        }
    }
}

impl Figure {
    /// Whether it differs to the disadvantage of B; none where it does not differ.
    pub fn b_is_worse(&self) -> Option<bool> {
        let more = self.ratio? > 1.0;
        (self.answer == Answer::Different).then_some(more == self.more_is_worse)
    }

    /// What can be said with another tolerance.
    pub(super) fn answer_within(&self, tolerance: f64) -> Answer {
        let (Some(ratio), Some(change)) = (self.ratio, self.change) else { return self.answer };
        let shift = ranks::Shift {
            estimate: ratio.ln(),
            low: change.low.ln(),
            high: change.high.ln(),
            confidence: change.confidence,
        };
        Rule { tolerance: tolerance.ln_1p() }.of(shift)
    }
}
