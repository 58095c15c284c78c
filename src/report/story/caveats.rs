//! Why trials are not to be trusted as they are, and which did not run.

use super::content::{Block, Caveat, Section};
use super::names::{emphasis, size, trust, which_trials};
use super::phrase::phrase;
use crate::report::document::Document;
use crate::report::document::trial::{self, TrialResult};

/// Each caveat once, with the trials that it holds for and the figures of the last of them. Of a search those of the
/// trials that its answer rests on.
pub(super) fn section(document: &Document) -> Option<Section> {
    let counts =
        |run: &&TrialResult| document.search.as_ref().is_none_or(|search| search.rests_on(&run.id));
    let mut found: Vec<(&trial::Caveat, Vec<&TrialResult>)> = Vec::new();
    let trials = document.trials.iter().filter(counts);
    let all = trials.flat_map(|run| run.verdict.caveats.iter().map(move |c| (run, c)));
    for (run, caveat) in all {
        let same = |(known, _): &&mut (&trial::Caveat, _)| {
            (&known.code, known.severity) == (&caveat.code, caveat.severity)
        };
        match found.iter_mut().find(same) {
            Some((latest, held)) => {
                *latest = caveat;
                held.push(run);
            }
            None => found.push((caveat, vec![run])),
        }
    }
    found.sort_by_key(|(caveat, _)| std::cmp::Reverse(caveat.severity));
    let told = found.into_iter().map(|(caveat, held)| {
        let trial::Caveat { code, severity, text, remedy } = caveat.clone();
        let trials = which_trials(&document.plan, &held, document.trials.len());
        let (severity, emphasis) = (trust(severity), emphasis(severity));
        Block::Caveat(Caveat { severity, emphasis, code, trials, text, remedy })
    });
    let blocks: Vec<_> = told.collect();
    let heading = Some("Caveats".into());
    (!blocks.is_empty()).then_some(Section { key: "caveats", heading, blocks })
}

/// Each trial that did not run, and why.
pub(super) fn skipped(document: &Document) -> Option<Section> {
    let told = document.skipped.iter();
    let told = told.map(|skipped| {
        let size = size(&document.plan, skipped.messages, &skipped.id);
        phrase!["m = ", size, ": ", &skipped.reason].into()
    });
    let blocks: Vec<Block> = told.collect();
    let heading = Some("Not run".into());
    (!blocks.is_empty()).then_some(Section { key: "skipped", heading, blocks })
}
