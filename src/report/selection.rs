//! Which part of a saved result is presented: a trial, a latency class.
//!
//! Belongs here: finding it, and the words for what is not there. Does not: presenting it.

use hdrhistogram::Histogram;

use super::document::figures::histogram_of;
use super::document::histogram::NoHistogram;
use super::document::{Document, Load};
use crate::load::shape::Pacing;
use crate::report::document::trial::{LatencyClass, TrialResult};
use crate::report::sanitize::UntrustedText;
use crate::units::Count;

/// Why there is nothing to present. Completes "FILE ...", one line that names the flag.
#[derive(Debug, thiserror::Error)]
pub enum NotThere {
    /// `--trial m5000`.
    #[error("has no trial for --trial {asked}: it has {}", list(.there))]
    Trial {
        /// As asked.
        asked: String,
        /// Names of the trials that ran.
        there: Vec<UntrustedText>,
    },
    /// `--trial 5000`, and two have as many messages.
    #[error("has several trials of {asked} messages: give --trial one of {}", list(.there))]
    SeveralTrials {
        /// As asked.
        asked: String,
        /// Their names.
        there: Vec<UntrustedText>,
    },
    /// `--class response` of a burst.
    #[error("has nothing for --class {asked}: {why}; there is {there}")]
    Class {
        /// As asked.
        asked: &'static str,
        /// Why the run did not have it.
        why: &'static str,
        /// The classes that there are, separated by commas.
        there: String,
    },
    /// Nothing was measured.
    #[error("holds no trial: nothing was measured")]
    NoTrials,
    /// The run failed.
    #[error("is of a run that failed: nothing was measured; without these flags it says why")]
    Failed,
    /// An old file.
    #[error("holds no histograms: fanstorm {0}, which wrote it, did not keep any")]
    NoHistograms(String),
    /// Its histogram cannot be read.
    #[error("holds a histogram that {0}")]
    Unreadable(#[from] NoHistogram),
}

fn list(ids: &[UntrustedText]) -> String {
    let ids: Vec<_> = ids.iter().map(UntrustedText::to_string).collect();
    if ids.is_empty() { "none".to_owned() } else { ids.join(", ") }
}

/// The document with the trial of `--trial` alone: asked for by its name, or by its number of messages
/// where no other trial has as many.
///
/// # Errors
/// [`NotThere::Trial`] and [`NotThere::SeveralTrials`].
pub fn trial(document: Document, asked: Option<&str>) -> Result<Document, NotThere> {
    let Some(asked) = asked else { return Ok(document) };
    let ids = |wanted: &dyn Fn(&TrialResult) -> bool| -> Vec<UntrustedText> {
        let found = document.trials.iter().filter(|run| wanted(run));
        found.map(|run| run.id.clone()).collect()
    };
    let count = asked.parse::<Count>().ok();
    let named = ids(&|run| run.id.raw() == asked);
    let sized = ids(&|run| count.is_some_and(|count| count.0 == run.messages));
    let there = ids(&|_| true);
    let absent = || NotThere::Trial { asked: asked.to_owned(), there };
    match (named.as_slice(), sized.as_slice()) {
        ([id, ..], _) | ([], [id]) => document.only(id).ok_or_else(absent),
        ([], []) => Err(absent()),
        ([], _) => Err(NotThere::SeveralTrials { asked: asked.to_owned(), there: sized }),
    }
}

/// The class of `--class`, else the one that heads the document.
///
/// # Errors
/// [`NotThere::Class`], when a trial does not have it.
pub fn class(document: &Document, asked: Option<LatencyClass>) -> Result<LatencyClass, NotThere> {
    let Some(class) = asked else { return Ok(document.plan.headline_latency()) };
    match document.trials.iter().find(|run| run.latency_us.of(class).is_none()) {
        None => Ok(class),
        Some(run) => Err(absent(document, run, class)),
    }
}

fn absent(document: &Document, run: &TrialResult, class: LatencyClass) -> NotThere {
    let there: Vec<_> = run.latency_us.present().map(|(class, _)| class.key()).collect();
    let why = match document.plan.load_of(run).map(Load::pacing) {
        Some(Pacing::Free) => "a burst has no due times",
        Some(Pacing::Answers) => "a closed loop has no due times",
        Some(Pacing::DueTimes) | None => "its trials do not have it",
    };
    NotThere::Class { asked: class.key(), why, there: there.join(", ") }
}

/// The histogram of a class of the trial that heads the document, and what it is, as a clause.
///
/// # Errors
/// See [`NotThere`].
pub fn histogram(
    document: &Document,
    asked: Option<LatencyClass>,
) -> Result<(Histogram<u64>, String), NotThere> {
    let run = document.headline().ok_or(NotThere::NoTrials)?;
    let own = document.plan.load_of(run).map(|load| load.headline_latency);
    let class = class(document, asked.or(own))?;
    let version = || NotThere::NoHistograms(document.tool.version.to_string());
    let histogram = histogram_of(run, class).ok_or_else(version)??;
    Ok((histogram, caption(run, class)))
}

/// What a distribution is of: `fanstorm service latency, trial m8000`.
pub fn caption(run: &TrialResult, class: LatencyClass) -> String {
    format!("fanstorm {} latency, trial {}", class.key(), run.id)
}
