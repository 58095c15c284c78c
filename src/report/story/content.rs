//! What a story is made of: sections of tables, facts, series, sentences, lists and caveats.
//!
//! Belongs here: these types. Does not: widths, wrapping, colours, markup, which are each format's own.

use super::phrase::{Phrase, Value};
use crate::report::sanitize::UntrustedText;
use crate::units::{Count, Nanos, Rate};

/// How a reader is to take a piece of a story.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Emphasis {
    /// As any other.
    #[default]
    Plain,
    /// All is well.
    Good,
    /// To be read with care.
    Warn,
    /// Something is wrong.
    Bad,
}

/// What belongs together.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// Which; no two of a story are the same, but that every trial with a deficit has one.
    pub key: &'static str,
    /// `None`: it goes on with what the section before it is about.
    pub heading: Option<Phrase>,
    /// In order.
    pub blocks: Vec<Block>,
}

/// A piece of a section.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// Columns of figures.
    Table(Table),
    /// All points over time. A format without charts leaves them out: what is worth reading of them is in
    /// the table that follows.
    Series(Series),
    /// Latency by percentile. Its figures are in the table before it.
    Distribution(Distribution),
    /// Latency over time. Its figures are in a series of the same section.
    Heatmap(Heatmap),
    /// Which messages are missing, by stream.
    Strips(Vec<Strip>),
    /// Figures of two sides: runs, and the interval of the change. Its figures are in the table before it.
    Spans {
        /// One for each figure.
        spans: Vec<Span>,
        /// A change up to this part is none.
        tolerance: f64,
    },
    /// Which rates hold. Its figures are in the table before it.
    Holds(Holds),
    /// What follows from figures, or explains them.
    Sentence(Sentence),
    /// Things of one kind.
    List(Vec<Phrase>),
    /// A reason not to trust trials, and what to do.
    Caveat(Caveat),
}

/// What is about to be run, in a word and some lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// The word.
    pub label: &'static str,
    /// At least one line.
    pub lines: Vec<Phrase>,
}

/// How large a part of all samples took at most how long, of one class or more.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// What it is of.
    pub title: &'static str,
    /// How it is read, beyond what all such pictures have in common.
    pub says: &'static str,
    /// One for each class.
    pub curves: Vec<Curve>,
}

/// One class.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Its name.
    pub name: &'static str,
    /// Samples.
    pub samples: u64,
    /// Quantiles from 0 on, each with its latency. The last has a single sample beyond it.
    pub points: Vec<(f64, Nanos)>,
    /// The ones that are told in figures, by name: those with samples enough, and the largest.
    pub told: Vec<(&'static str, f64, Nanos)>,
}

/// Copies by time and by latency.
#[derive(Clone, Debug, PartialEq)]
pub struct Heatmap {
    /// In order of time.
    pub stretches: Vec<Stretch>,
}

/// A stretch of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Stretch {
    /// Since the start of the trial.
    pub from: Nanos,
    /// Its end.
    pub until: Nanos,
    /// Copies with latencies from one to below another.
    pub bands: Vec<([Nanos; 2], u64)>,
    /// Median.
    pub p50: Option<Nanos>,
    /// 99th percentile.
    pub p99: Option<Nanos>,
    /// Largest.
    pub max: Option<Nanos>,
}

/// The messages of one push socket as one of our sockets heard them.
#[derive(Clone, Debug, PartialEq)]
pub struct Strip {
    /// Which two sockets.
    pub name: Phrase,
    /// Messages that the push socket sent.
    pub messages: u64,
    /// Copies missing.
    pub missing: u64,
    /// Inclusive ranges of missing ones.
    pub ranges: Vec<[u64; 2]>,
}

/// A figure of two sides, as ratios to the median of the first.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Its name.
    pub name: &'static str,
    /// What can be said of it.
    pub says: Phrase,
    /// How to take that.
    pub emphasis: Emphasis,
    /// The second side over the first.
    pub change: f64,
    /// The interval of that.
    pub interval: Option<[f64; 2]>,
    /// The runs of both sides.
    pub runs: [Vec<f64>; 2],
}

/// Trials at several rates: the latency of each, and whether it was good.
#[derive(Clone, Debug, PartialEq)]
pub struct Holds {
    /// Which latency.
    pub figure: Phrase,
    /// What it must be below.
    pub below: Option<Nanos>,
    /// The largest rate that holds, and the least that does not.
    pub bounds: [Option<Rate>; 2],
    /// In order.
    pub trials: Vec<RateTrial>,
}

/// A trial at a rate.
#[derive(Clone, Debug, PartialEq)]
pub struct RateTrial {
    /// The rate.
    pub rate: Rate,
    /// Its latency.
    pub latency: Nanos,
    /// What it shows.
    pub hold: Hold,
    /// Its name.
    pub id: UntrustedText,
}

/// What a trial at a rate shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// What was asked held.
    Good,
    /// It did not.
    Bad,
    /// The generator was the limit.
    Void,
}

/// Columns of figures.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Which.
    pub key: &'static str,
    /// What the columns from one on are.
    pub caption: Option<Caption>,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows; each has a cell for every column.
    pub rows: Vec<Row>,
}

/// Words over some columns of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Caption {
    /// Index of the first of these columns.
    pub column: usize,
    /// The words.
    pub text: Phrase,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its heading.
    pub heading: &'static str,
    /// What is in it.
    pub kind: Kind,
    /// The widest that any of its cells will be, where rows come one by one.
    pub widest: Option<Phrase>,
}

/// What is in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Names and words.
    Words,
    /// Counts, rates, shares and means.
    Figure,
    /// Durations.
    Duration,
}

impl Column {
    /// Of names and words.
    pub(super) const fn words(heading: &'static str) -> Self {
        Self { heading, kind: Kind::Words, widest: None }
    }

    /// Of counts, rates, shares or means.
    pub(super) const fn figures(heading: &'static str) -> Self {
        Self { heading, kind: Kind::Figure, widest: None }
    }

    /// Of durations.
    pub(super) const fn durations(heading: &'static str) -> Self {
        Self { heading, kind: Kind::Duration, widest: None }
    }

    /// The same where no cell will be wider than this one.
    pub(super) fn within(self, widest: Phrase) -> Self {
        Self { widest: Some(widest), ..self }
    }
}

/// A row of a table.
pub type Row = Vec<Cell>;

/// A cell of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// What is in it.
    pub text: Phrase,
    /// How to take it.
    pub emphasis: Emphasis,
}

impl Cell {
    pub(super) fn with(text: impl Into<Phrase>, emphasis: Emphasis) -> Self {
        Self { text: text.into(), emphasis }
    }

    /// A count that ought to be zero.
    pub(super) fn fault(count: u64) -> Self {
        Self::with(Count(count), if count == 0 { Emphasis::Plain } else { Emphasis::Bad })
    }
}

impl<T: Into<Phrase>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::with(text, Emphasis::Plain)
    }
}

/// Points over time: of every column a value each.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Which.
    pub key: &'static str,
    /// Its columns; the first is the time.
    pub columns: Vec<Column>,
    /// Its points.
    pub points: Vec<Vec<Value>>,
}

/// What follows from figures, or explains them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sentence {
    /// What it is about; the text goes on from there, with its own space or comma.
    pub lead: Phrase,
    /// How to take the lead.
    pub emphasis: Emphasis,
    /// The rest, or all of it.
    pub text: Phrase,
}

impl Sentence {
    /// One that leads with what it is about.
    pub(super) const fn about(lead: Phrase, emphasis: Emphasis, text: Phrase) -> Self {
        Self { lead, emphasis, text }
    }
}

impl From<Phrase> for Block {
    fn from(text: Phrase) -> Self {
        Self::Sentence(Sentence { text, ..Sentence::default() })
    }
}

/// A reason not to trust trials, and what to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Caveat {
    /// How bad it is, in a word.
    pub severity: &'static str,
    /// How to take that.
    pub emphasis: Emphasis,
    /// Its stable name.
    pub code: UntrustedText,
    /// The trials that it holds for.
    pub trials: Phrase,
    /// What happened.
    pub text: UntrustedText,
    /// What to do about it.
    pub remedy: UntrustedText,
}

/// What it all comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// In a few words.
    pub words: Phrase,
    /// How to take them.
    pub emphasis: Emphasis,
    /// In a sentence; empty where the words say it all.
    pub sentence: Phrase,
}
