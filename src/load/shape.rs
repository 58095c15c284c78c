//! What every shape of a load answers, so that nobody else needs to know which shapes there are.
//!
//! Belongs here: the questions, and what a shape is written down as. Does not: any shape (a file of
//! `profile` each), the due times laid out (`schedule`).

use std::fmt;

use crate::load::inter_arrival::InterArrival;
use crate::load::schedule::Schedule;
use crate::units::{Count, Nanos, Rate};

/// What lets messages leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pacing {
    /// Nothing holds them back.
    Free,
    /// Answers: closed loop.
    Answers,
    /// Their due times: open loop.
    DueTimes,
}

/// A shape of load.
pub trait Shape {
    /// What a result file calls it.
    fn mode(&self) -> &'static Mode;

    /// What a result file keeps of it: the figures of the mode's keys.
    fn parameters(&self) -> Parameters;

    /// What it adds to the name of a trial: kebab-case, after a hyphen, nothing for a burst.
    fn suffix(&self) -> String;

    /// What a report says of it, before and after the number of messages.
    fn sentence(&self) -> (Words, Words);

    /// Why it would send nothing, in one line that names the flag.
    fn refusal(&self) -> Option<&'static str> {
        None
    }

    /// Messages of one push socket that may be under way, in a closed loop.
    fn in_flight(&self) -> Option<u32> {
        None
    }

    /// When messages are due, in an open loop.
    fn due_times(&self) -> Option<&dyn DueTimes> {
        None
    }
}

/// The law of an open loop. Rates are those of all push sockets together; numbers are those of the rate,
/// whatever the spread: drawn arrivals lie around them.
pub trait DueTimes {
    /// How messages are spread around the rate.
    fn arrivals(&self) -> InterArrival;

    /// Messages in a second, at a time after the start.
    fn rate_at(&self, elapsed: Nanos) -> Rate;

    /// The largest rate that it ever has.
    fn peak(&self) -> Rate;

    /// The rate as it was asked for, to follow "at" or "asked for".
    fn asked(&self) -> Words;

    /// How many messages the rate makes due before `duration` is over.
    fn due_within(&self, duration: Nanos) -> u64;

    /// How many seconds it takes to make `messages` due.
    fn seconds_for(&self, messages: u64) -> f64;

    /// When each of `messages` is due.
    fn schedule(&self, messages: u64) -> Schedule;

    /// What the schedule of `messages` takes in memory, without laying it out.
    fn schedule_bytes(&self, messages: u64) -> u64;
}

/// What a result file calls a shape. It is part of the published schema.
#[derive(Debug)]
pub struct Mode {
    /// The value of its key `mode`.
    pub name: &'static str,
    /// What the value means.
    pub meaning: &'static str,
    /// The same in less words, with its keys.
    pub in_short: &'static str,
    /// What lets its messages leave.
    pub pacing: Pacing,
    /// What else is written of it.
    pub keys: &'static [Key],
}

/// Something that is written of a shape.
#[derive(Debug)]
pub struct Key {
    /// As written: `snake_case`, the unit at its end.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// What stands behind it.
    pub kind: Kind,
}

/// Kinds of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number with a fraction.
    Number,
    /// How many.
    Count,
}

/// A figure of a shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Figure {
    /// A number with a fraction.
    Number(f64),
    /// How many.
    Count(u64),
}

/// Figures by their keys, in the order in which they are written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters(pub Vec<(&'static str, Figure)>);

impl Parameters {
    /// The number behind `key`.
    pub fn number(&self, key: &str) -> Option<f64> {
        self.0.iter().find_map(|(name, figure)| match figure {
            Figure::Number(number) if *name == key => Some(*number),
            Figure::Number(_) | Figure::Count(_) => None,
        })
    }

    /// The count behind `key`.
    pub fn count(&self, key: &str) -> Option<u64> {
        self.0.iter().find_map(|(name, figure)| match figure {
            Figure::Count(count) if *name == key => Some(*count),
            Figure::Number(_) | Figure::Count(_) => None,
        })
    }
}

/// A piece of what is said of a shape. Figures are values, so that each report writes them in its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// Words, with the spaces around them.
    Text(&'static str),
    /// How many.
    Count(u64),
    /// How many in a second.
    Rate(Rate),
    /// How long, as asked for.
    Duration(Nanos),
}

/// Words and figures, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(pub Vec<Word>);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|word| match word {
            Word::Text(text) => f.write_str(text),
            Word::Count(count) => Count(*count).fmt(f),
            Word::Rate(rate) => rate.fmt(f),
            Word::Duration(duration) => duration.fmt(f),
        })
    }
}
