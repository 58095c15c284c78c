//! `p99 by 10%`: how much slower side B may be.
//!
//! Belongs here: reading such a limit, and holding a comparison against it. Does not: exit codes (`cli`).

use std::fmt;
use std::str::FromStr;

use super::{Answer, Comparison, Figure, Kind};

/// A figure, and by which share it may be worse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    figure: Kind,
    share: f64,
}

/// What a comparison says of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// B is not worse by so much, as far as can be seen.
    Kept,
    /// It is.
    Broken,
    /// There are too few runs to say.
    NoEvidence,
}

/// Why a text is no limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoLimit {
    /// It has another form.
    #[error("not a limit: write a figure and a share, like 'p99 by 10%'")]
    Form,
    /// There is no such figure.
    #[error("'{0}' is no figure that is compared: {names}", names = names())]
    Figure(String),
    /// Not a share.
    #[error("'{0}' is no share: write one from 0% to 1000%")]
    Share(String),
}

/// As they are written in a limit; blanks may be there or not.
fn names() -> String {
    Kind::ALL.map(Kind::name).join(", ")
}

impl FromStr for Limit {
    type Err = NoLimit;

    fn from_str(text: &str) -> Result<Self, NoLimit> {
        let (name, share) = text.rsplit_once(" by ").ok_or(NoLimit::Form)?;
        let same = |kind: &Kind| kind.name().eq_ignore_ascii_case(name.trim());
        let figure = Kind::ALL.into_iter().find(same);
        let figure = figure.ok_or_else(|| NoLimit::Figure(name.trim().to_owned()))?;
        let percent =
            share.trim().strip_suffix('%').and_then(|share| share.trim().parse::<f64>().ok());
        let percent = percent.filter(|percent| (0.0..=1_000.0).contains(percent));
        let percent = percent.ok_or_else(|| NoLimit::Share(share.trim().to_owned()))?;
        Ok(Self { figure, share: percent / 100.0 })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}%", self.figure.name(), (self.share * 1e5).round() / 1e3)
    }
}

impl Limit {
    /// Holds the headline trial against it.
    pub fn held(self, comparison: &Comparison) -> Held {
        let figures = comparison.headline().map(|trial| trial.figures.as_slice());
        let figure = figures.unwrap_or_default().iter().find(|figure| figure.figure == self.figure);
        figure.map_or(Held::NoEvidence, |figure| self.of(figure))
    }

    fn of(self, figure: &Figure) -> Held {
        let worse = figure.ratio.is_some_and(|ratio| (ratio > 1.0) == figure.more_is_worse);
        match figure.answer_within(self.share) {
            Answer::TooFewRuns | Answer::NotMeasured => Held::NoEvidence,
            Answer::Different if worse => Held::Broken,
            _ => Held::Kept,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_figure_and_a_share() {
        for (text, told) in [
            ("p99 by 10%", "p99 by 10%"),
            ("P99.9 by 2.5 %", "p99.9 by 2.5%"),
            ("copies/s by 0%", "copies/s by 0%"),
            ("completion p99 by 100%", "completion p99 by 100%"),
        ] {
            assert_eq!(text.parse::<Limit>().unwrap().to_string(), told);
        }
    }

    #[test]
    fn what_is_no_limit_is_told_what_one_is() {
        for (text, says) in [
            ("p99", "like 'p99 by 10%'"),
            ("p98 by 10%", "'p98' is no figure that is compared: p50, p99, p99.9"),
            ("p99 by 10", "'10' is no share"),
            ("p99 by -1%", "'-1%' is no share"),
            ("p99 by NaN%", "'NaN%' is no share"),
        ] {
            let error = text.parse::<Limit>().unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
