//! What a report says, made once from a document: tables, facts, series, sentences and remedies, each
//! figure a value of its kind. Formats write a [`Story`] and know no document.
//!
//! Belongs here: what is said, in which words and which order, for a reader who has never seen this program;
//! how many of many things a reader is told. Does not: how it looks (`text`), and anything that is
//! not in the document: a saved result is told as the run told it.
//!
//! Sections appear only when they have something to say.

mod baseline;
mod caveats;
mod comparison;
mod connecting;
mod content;
mod cost;
mod deficit;
mod delivery;
mod header;
mod latency;
mod names;
mod nodes;
mod phrase;
mod pictures;
mod search;
mod series;
#[cfg(test)]
mod tests;
mod trials;
mod verdict;

pub use self::content::{
    Block, Caption, Caveat, Cell, Column, Curve, Distribution, Emphasis, Fact, Heatmap, Hold,
    Holds, Kind, RateTrial, Row, Section, Sentence, Series, Span, Stretch, Strip, Table, Verdict,
};
pub use self::phrase::{Phrase, Value};
pub use self::series::glance;

use self::phrase::phrase;
use crate::report::document::Document;
use crate::report::document::failed::FailedDocument;
use crate::report::document::search::Finding;
use crate::report::document::trial::{LatencyClass, TrialResult};

/// All that a report says.
#[derive(Clone, Debug, PartialEq)]
pub struct Story {
    /// Who measured, and which load.
    pub title: Phrase,
    /// What is about to be run.
    pub facts: Vec<Fact>,
    /// The trials, a row each.
    pub trials: Table,
    /// What came of them.
    pub sections: Vec<Section>,
    /// What it all comes to.
    pub verdict: Verdict,
}

impl Story {
    /// Of a whole result, or of one that has only begun: without trials, and nothing came of them.
    pub fn of(document: &Document) -> Self {
        Self::of_class(document, document.plan.headline_latency())
    }

    /// The same with another latency class in the rows of the trials.
    pub fn of_class(document: &Document, class: LatencyClass) -> Self {
        Self {
            title: header::title(document),
            facts: header::facts(document),
            trials: match &document.search {
                Some(search) => search::table(document, search, class),
                None => trials::table(document, class),
            },
            sections: sections(document, class),
            verdict: match &document.search {
                Some(search) => search::verdict(search),
                None => verdict::verdict(document),
            },
        }
    }
}

/// The row of a trial that has just ended; of a search, with what it shows.
pub fn trial_row(begun: &Document, run: &TrialResult, finding: Option<Finding>) -> Row {
    let class = begun.plan.headline_latency();
    match begun.search {
        Some(_) => search::row(run, class, finding),
        None => trials::row(&begun.plan, run, class),
    }
}

/// A result in half a line, for a list of several: `m8000: p50 1.20 ms, p99 3.40 ms, 48 000 copies/s; ok`.
pub fn in_short(document: &Document) -> Phrase {
    let summary = &document.summary;
    let Some(trial) = &summary.trial else { return "nothing was measured".into() };
    let duration = |ms: Option<f64>| Value::micros(ms.map(|ms| ms * 1e3));
    let rate = summary.copies_per_s.map_or(Value::Unknown, Value::PerSecond);
    phrase![
        trial,
        ": p50 ",
        duration(summary.p50_ms),
        ", p99 ",
        duration(summary.p99_ms),
        ", ",
        rate,
        " copies/s; ",
        verdict::verdict(document).words
    ]
}

/// All that there is to say of a run that failed before it measured anything.
pub fn failure(document: &FailedDocument) -> Phrase {
    let (tool, failed) = (&document.tool, &document.failed);
    let exit_code = Value::Number(failed.exit_code.into());
    phrase![
        &tool.name,
        " ",
        &tool.version,
        ": the run failed, nothing was measured: phase ",
        &failed.phase,
        ": ",
        &failed.cause,
        " (exit code ",
        exit_code,
        ")"
    ]
}

fn sections(document: &Document, class: LatencyClass) -> Vec<Section> {
    let plan = &document.plan;
    let mut sections = Vec::from_iter(document.search.as_ref().and_then(search::section));
    sections.extend(connecting::section(document));
    if let Some(run) = document.detailed() {
        sections.push(delivery::section(document));
        // Of a search, many trials fail: which rates do not hold is told, and why.
        let told = |trial: &&TrialResult| document.search.is_none() || trial.id == run.id;
        let deficits = document.trials.iter().filter(told);
        sections.extend(deficits.filter_map(|run| deficit::section(plan, class, run)));
        sections.push(latency::section(document, run));
        sections.extend(latency::by_node(plan, class, run));
        sections.extend(series::section(plan, run));
        sections.push(cost::section(plan, run));
        sections.extend(baseline::section(document, class, run));
    }
    sections.extend(caveats::section(document));
    sections.extend(caveats::skipped(document));
    sections
}
