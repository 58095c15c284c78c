//! What all trials come to: one sentence at the end.

use super::content::{Emphasis, Verdict};
use super::names::{emphasis, trust, which_trials};
use super::phrase::{Phrase, counted, phrase};
use crate::report::document::Document;
use crate::report::document::trial::{Delivery, TrialResult, Trust};
use crate::units::Count;

pub(super) fn verdict(document: &Document) -> Verdict {
    let Some(worst) = document.trust() else {
        let words = "nothing was measured".into();
        return Verdict { words, emphasis: Emphasis::Plain, sentence: Phrase::default() };
    };
    let total = document.delivery();
    let shortfall = if document.interrupted {
        Some("interrupted")
    } else if total.missing > 0 || !document.skipped.is_empty() {
        Some("incomplete")
    } else {
        (total.duplicate + total.misdelivered + total.corrupt > 0).then_some("faulty")
    };
    let words = match (shortfall, worst) {
        (None, worst) => trust(worst).into(),
        (Some(shortfall), Trust::Ok) => shortfall.into(),
        (Some(shortfall), worst) => phrase![shortfall, ", ", trust(worst)],
    };
    let emphasis = if shortfall.is_some() { Emphasis::Bad } else { emphasis(worst) };
    let skipped = match document.skipped.len() as u64 {
        0 => Phrase::default(),
        rows => phrase![counted(rows, "trial", "trials"), " did not run; "],
    };
    let unsent =
        document.trials.iter().map(TrialResult::unsent_copies).fold(0, u64::saturating_add);
    let sentence = phrase![delivered(&total, unsent), "; ", skipped, worth(document, worst)];
    Verdict { words, emphasis, sentence }
}

fn delivered(delivery: &Delivery, unsent: u64) -> Phrase {
    let Delivery { expected, missing, duplicate, misdelivered, corrupt, .. } = *delivery;
    let due = expected.saturating_sub(unsent);
    let mut sentence = match (due, missing.saturating_sub(unsent)) {
        (0, 0) => "nothing was sent".into(),
        (1, 0) => "the one copy came".into(),
        (_, 0) => phrase!["all ", Count(due), " copies came"],
        (_, lost) => phrase![Count(lost), " of ", counted(due, "copy", "copies"), " missing"],
    };
    if unsent > 0 && due > 0 {
        let unsent = Count(unsent);
        sentence.push(phrase![" (", unsent, " more belong to messages that were not sent)"]);
    }
    let faults = [(duplicate, "duplicate"), (misdelivered, "misdelivered"), (corrupt, "corrupt")];
    for (count, word) in faults {
        if count > 0 {
            sentence.push(phrase![", ", Count(count), " ", word]);
        }
    }
    if missing + duplicate + misdelivered + corrupt == 0 {
        sentence.push(", once and unaltered");
    }
    sentence
}

fn worth(document: &Document, worst: Trust) -> Phrase {
    let trials = &document.trials;
    let void: Vec<_> = trials.iter().filter(|run| run.verdict.trust == Trust::Void).collect();
    match worst {
        Trust::Ok => "the times describe the cluster".into(),
        Trust::Degraded => "read the times with their caveats".into(),
        Trust::Void => {
            let void = which_trials(&document.plan, &void, trials.len());
            phrase!["the times of ", void, " describe the generator, do not use them"]
        }
    }
}
