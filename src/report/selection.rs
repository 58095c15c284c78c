//! Which part of a saved result is presented: a row, a latency class.
//!
//! Belongs here: finding it, and the words for what is not there. Does not: presenting it.

use hdrhistogram::Histogram;

use super::document::figures::histogram_of;
use super::document::histogram::NoHistogram;
use super::document::{Document, Mode};
use crate::report::document::trial::{LatencyClass, Run};
use crate::units::Count;

/// Why there is nothing to present. Completes "FILE ...", one line that names the flag.
#[derive(Debug, thiserror::Error)]
pub enum NotThere {
    /// `--run 5000`.
    #[error("has no row for --run {}: it has {}", Count(*.asked), list(.there))]
    Row {
        /// As asked.
        asked: u64,
        /// Messages of the rows that ran.
        there: Vec<u64>,
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
    #[error("holds no row: nothing was measured")]
    NoRows,
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

fn list(rows: &[u64]) -> String {
    let counts: Vec<_> = rows.iter().map(|&messages| Count(messages).to_string()).collect();
    if counts.is_empty() { "none".to_owned() } else { counts.join(", ") }
}

/// The document with the rows of `--run` alone.
///
/// # Errors
/// [`NotThere::Row`].
pub fn row(document: Document, asked: Option<u64>) -> Result<Document, NotThere> {
    let Some(asked) = asked else { return Ok(document) };
    let there = document.runs.iter().map(|run| run.messages).collect();
    document.only(asked).ok_or(NotThere::Row { asked, there })
}

/// The class of `--class`, else the one that heads the document.
///
/// # Errors
/// [`NotThere::Class`], when a row does not have it.
pub fn class(document: &Document, asked: Option<LatencyClass>) -> Result<LatencyClass, NotThere> {
    let Some(class) = asked else { return Ok(document.plan.headline_latency) };
    match document.runs.iter().find(|run| run.latency_us.of(class).is_none()) {
        None => Ok(class),
        Some(run) => Err(absent(document, run, class)),
    }
}

fn absent(document: &Document, run: &Run, class: LatencyClass) -> NotThere {
    let there: Vec<_> = run.latency_us.present().map(|(class, _)| class.key()).collect();
    let why = match document.plan.mode {
        Mode::Burst => "a burst has no due times",
        Mode::Window => "a closed loop has no due times",
        Mode::Rate => "its rows do not have it",
    };
    NotThere::Class { asked: class.key(), why, there: there.join(", ") }
}

/// The histogram of a class of the row that heads the document, and what it is, as a clause.
///
/// # Errors
/// See [`NotThere`].
pub fn histogram(
    document: &Document,
    asked: Option<LatencyClass>,
) -> Result<(Histogram<u64>, String), NotThere> {
    let class = class(document, asked)?;
    let run = document.headline().ok_or(NotThere::NoRows)?;
    let version = || NotThere::NoHistograms(document.tool.version.to_string());
    let histogram = histogram_of(run, class).ok_or_else(version)??;
    Ok((histogram, caption(run, class)))
}

/// What a distribution is of: `fanstorm service latency, m = 8000`.
pub fn caption(run: &Run, class: LatencyClass) -> String {
    format!("fanstorm {} latency, m = {}", class.key(), run.messages)
}
