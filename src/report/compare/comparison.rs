//! The comparison as it is kept, and how it is made of results.
//!
//! Belongs here: its keys, which trials belong together, which run counts. Does not: what is said of a figure
//! (`answer`).

use schemars::JsonSchema;
use serde::Serialize;

use super::{Delivery, Difference, Figure, Pair, answer, delivery, differences};
use crate::report::VERSION;
use crate::report::document::Document;
use crate::report::document::failed::FailedDocument;
use crate::report::document::trial::{Ending, LatencyClass, TrialResult, Trust};
use crate::report::sanitize::UntrustedText;

/// Name and version of the format.
const SCHEMA: &str = "fanstorm.comparison/1";

/// Results of side B against those of side A.
///
/// Within version 1 keys may be added; none is removed or changes its meaning.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "fanstorm.comparison/1")]
pub struct Comparison {
    /// Name and version of this format.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: String,
    /// Version of fanstorm that compared.
    pub version: String,
    /// A difference up to this share is none in practice.
    pub tolerance: f64,
    /// Who is compared.
    pub sides: Pair<Side>,
    /// In which order the runs were made.
    pub order: Order,
    /// Where plans, hosts and versions differ, between the sides or within one.
    pub differences: Vec<Difference>,
    /// Copies of all runs, whatever their times are worth.
    pub delivery: Delivery,
    /// Trials that both sides have.
    pub trials: Vec<Trial>,
    /// Place in `trials` of the one that heads the comparison: the largest that delivered every copy in every run,
    /// else the last. Null without any.
    pub headline: Option<usize>,
}

/// A side.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Side {
    /// Results.
    pub runs: usize,
    /// Arguments of the first.
    pub args: Vec<UntrustedText>,
    /// Why runs came to no result, one for each such run.
    pub failures: Vec<UntrustedText>,
    /// Results of runs that a signal ended.
    pub interrupted: usize,
}

/// In which order runs were made, by the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// A B A B: what drifts more slowly than a run meets both sides.
    Alternating,
    /// Neither one after the other nor in turns.
    Mixed,
    /// All of one side before the other: what changed meanwhile looks like a difference of the sides.
    OneAfterTheOther,
}

/// A trial of both sides.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Trial {
    /// Its name on each side: the same, or that of the trial in the same place.
    pub id: Pair<UntrustedText>,
    /// The class of its percentiles.
    pub class: LatencyClass,
    /// Runs whose times count.
    pub evidence: Pair<usize>,
    /// Runs whose times are void: no evidence of anything.
    pub void: Pair<usize>,
    /// Of those that count, runs with caveats.
    pub degraded: Pair<usize>,
    /// Its figures.
    pub figures: Vec<Figure>,
}

/// What of a side came of its runs.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    /// Results.
    pub results: Vec<Document>,
    /// Runs that came to none.
    pub failed: Vec<FailedDocument>,
}

/// Compares B with A.
pub fn compare(runs: &Pair<Runs>, tolerance: f64) -> Comparison {
    let results = runs.map(|runs| runs.results.iter().collect::<Vec<_>>());
    let trials = trials(&results, tolerance);
    let complete = |trial: &Trial| {
        let all = |results: &[&Document], id: &UntrustedText| {
            results.iter().all(|one| find(one, id).is_some_and(TrialResult::complete))
        };
        all(&results.a, &trial.id.a) && all(&results.b, &trial.id.b)
    };
    let headline = trials.iter().rposition(complete).or_else(|| trials.len().checked_sub(1));
    Comparison {
        schema: SCHEMA.to_owned(),
        version: VERSION.to_owned(),
        tolerance,
        sides: runs.map(side),
        order: order(&results),
        differences: differences::between(&results),
        delivery: delivery::of(&results),
        trials,
        headline,
    }
}

impl Comparison {
    /// The trial that heads it.
    pub fn headline(&self) -> Option<&Trial> {
        self.trials.get(self.headline?)
    }

    /// Figures that were compared, and how many of them would be called different by chance alone where nothing
    /// differs.
    pub fn chance(&self) -> (usize, f64) {
        let compared = self.trials.iter().flat_map(|trial| &trial.figures);
        let wrong = compared.filter_map(|figure| Some(1.0 - figure.change.as_ref()?.confidence));
        wrong.fold((0, 0.0), |(count, sum), wrong| (count + 1, sum + wrong))
    }
}

fn side(runs: &Runs) -> Side {
    Side {
        runs: runs.results.len(),
        args: runs.results.first().map(|one| one.tool.args.clone()).unwrap_or_default(),
        failures: runs.failed.iter().map(|one| one.failed.cause.clone()).collect(),
        interrupted: runs.results.iter().filter(|one| one.interrupted).count(),
    }
}

/// By the wall clock, which does not stand still between runs.
fn order(results: &Pair<Vec<&Document>>) -> Order {
    let of = |side: &[&Document], is_b: bool| {
        side.iter().map(|one| (one.tool.started_unix_ms, is_b)).collect::<Vec<_>>()
    };
    let mut all = [of(&results.a, false), of(&results.b, true)].concat();
    all.sort_unstable();
    let changes = all.windows(2).filter(|pair| pair[0].1 != pair[1].1).count();
    match changes {
        0 | 1 => Order::OneAfterTheOther,
        // One of two that follow each other may have failed.
        changes if changes + 3 >= all.len() => Order::Alternating,
        _ => Order::Mixed,
    }
}

/// A trial of this name that came to its own end.
fn find<'a>(result: &'a Document, id: &UntrustedText) -> Option<&'a TrialResult> {
    let ended = |run: &&TrialResult| run.id == *id && run.ending != Ending::Interrupted;
    result.trials.iter().find(ended)
}

/// Names of trials that belong together: in the same place where both plans have as many, else by name.
fn pairs(results: &Pair<Vec<&Document>>) -> Vec<Pair<UntrustedText>> {
    let planned = |side: &[&Document]| -> Vec<UntrustedText> {
        let first = side.first().map(|one| one.plan.trials.iter().map(|trial| trial.id.clone()));
        first.into_iter().flatten().collect()
    };
    let (a, b) = (planned(&results.a), planned(&results.b));
    match a.len() == b.len() {
        true => a.into_iter().zip(b).map(|(a, b)| Pair { a, b }).collect(),
        false => {
            let both = a.into_iter().filter(|id| b.contains(id));
            both.map(|id| Pair { a: id.clone(), b: id }).collect()
        }
    }
}

fn trials(results: &Pair<Vec<&Document>>, tolerance: f64) -> Vec<Trial> {
    let pairs = pairs(results).into_iter();
    pairs.filter_map(|id| trial(results, id, tolerance)).collect()
}

/// A trial's runs of one side.
fn side_of<'a>(
    results: &[&'a Document],
    id: &UntrustedText,
) -> Vec<(&'a Document, &'a TrialResult)> {
    results.iter().filter_map(|one| Some((*one, find(one, id)?))).collect()
}

fn trial(results: &Pair<Vec<&Document>>, id: Pair<UntrustedText>, tolerance: f64) -> Option<Trial> {
    let all = Pair::new(side_of(&results.a, &id.a), side_of(&results.b, &id.b));
    if all.a.is_empty() || all.b.is_empty() {
        return None;
    }
    let trusted = |trust: Trust| {
        all.map(|side| side.iter().filter(|(_, run)| run.verdict.trust == trust).count())
    };
    let (void, degraded) = (trusted(Trust::Void), trusted(Trust::Degraded));
    let counting = all.map(|side| {
        let counting = side.iter().filter(|(_, run)| run.verdict.trust != Trust::Void);
        counting.map(|(_, run)| *run).collect::<Vec<_>>()
    });
    let class = class(&all);
    Some(Trial {
        id,
        class,
        evidence: counting.map(Vec::len),
        void,
        degraded,
        figures: answer::figures(&counting, class, tolerance),
    })
}

/// Theirs, where they have one in common; else that of every trial.
fn class(all: &Pair<Vec<(&Document, &TrialResult)>>) -> LatencyClass {
    let classes = all.a.iter().chain(&all.b);
    let mut classes =
        classes.filter_map(|(one, run)| Some(one.plan.load_of(run)?.headline_latency));
    let first = classes.next().unwrap_or(LatencyClass::Service);
    if classes.all(|class| class == first) { first } else { LatencyClass::Service }
}

/// The JSON Schema of [`Comparison`]; published in `docs/schema/`.
pub fn schema() -> schemars::Schema {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    settings.into_generator().into_root_schema_for::<Comparison>()
}
