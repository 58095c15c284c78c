//! What a cluster is held to: service level objectives, as `p99<50ms` or `missing=0`.
//!
//! Belongs here: their grammar, and holding a trial against one. Does not: how far the trial can be trusted (the
//! rules beside this), what follows from several trials (`experiment::search`).

use std::fmt;
use std::str::FromStr;

use crate::measure::outcome::{Class, TrialOutcome};
use crate::measure::percentile::Percentile;
use crate::units::{Count, Nanos, ScanError};

/// What must hold in a trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Objective {
    /// A latency is below a bound.
    Latency {
        /// Of which class.
        class: Class,
        /// Which figure of it.
        figure: Figure,
        /// The bound, not 0.
        below: Nanos,
    },
    /// No copy is missing.
    NoneMissing,
    /// A smaller share of the expected copies is missing.
    MissingBelow(f64),
}

/// A figure of a latency class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// A percentile.
    Percentile(Percentile),
    /// The largest value.
    Max,
}

/// Why a text is no objective.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoObjective {
    /// It has another form.
    #[error(
        "not an objective: write one like 'p99<50ms', 'completion.p99.9<1s', 'missing=0' or 'missing<0.1%'"
    )]
    Form,
    /// There is no such class.
    #[error("'{0}' is no class of latencies: {classes}", classes = CLASSES.map(Class::key).join(", "))]
    Class(String),
    /// There is no such figure.
    #[error("'{0}' is no figure: {figures} or missing", figures = figures().map(Figure::label).join(", "))]
    Figure(String),
    /// Not a duration.
    #[error("'{text}': {source}")]
    Duration {
        /// As written.
        text: String,
        /// What is wrong with it.
        source: ScanError,
    },
    /// Nothing takes no time.
    #[error("no latency is below 0")]
    Zero,
    /// Not a share.
    #[error("'{0}' is no share: write one above 0% and up to 100%, like 0.1%")]
    Share(String),
}

/// Of the copies that a percentile takes, a trial is to have one more in so many.
const MARGIN: u64 = 8;

/// Classes that an objective can be about. The others are no matter of a cluster's users.
const CLASSES: [Class; 3] = [Class::Response, Class::Service, Class::Completion];

fn figures() -> [Figure; 6] {
    let [p50, p90, p99, p999, p9999] = Percentile::ALL.map(Figure::Percentile);
    [p50, p90, p99, p999, p9999, Figure::Max]
}

impl Figure {
    /// As people write it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Percentile(percentile) => percentile.label(),
            Self::Max => "max",
        }
    }

    /// Samples without which it is not known.
    pub const fn samples_min(self) -> u64 {
        match self {
            Self::Percentile(percentile) => percentile.samples_min(),
            Self::Max => 1,
        }
    }

    /// Its value in a class of a trial; none with too few samples.
    pub fn of(self, outcome: &TrialOutcome, class: Class) -> Option<Nanos> {
        let (_, ns) = outcome.latency_ns.iter().find(|(of, _)| *of == class)?;
        match self {
            Self::Percentile(percentile) => percentile.of(ns),
            Self::Max => ns.max(),
        }
    }
}

impl Objective {
    /// What of a trial breaks it, in words; none where it holds, and where it [is not known](Self::unknown_of).
    pub fn broken_by(&self, outcome: &TrialOutcome) -> Option<String> {
        let (missing, expected) = (outcome.delivery.missing, outcome.delivery.expected);
        match *self {
            Self::Latency { class, figure, below } => {
                let value = figure.of(outcome, class).filter(|value| *value >= below);
                value.map(|value| format!("{self}: {value}"))
            }
            Self::NoneMissing => {
                (missing > 0).then(|| format!("{self}: {} of {}", Count(missing), Count(expected)))
            }
            Self::MissingBelow(share) => (missing > 0 && missing as f64 >= share * expected as f64)
                .then(|| format!("{self}: {} of {}", Count(missing), Count(expected))),
        }
    }

    /// Why it is not known of a trial, in words.
    pub fn unknown_of(&self, outcome: &TrialOutcome) -> Option<String> {
        match *self {
            Self::Latency { class, figure, .. } if figure.of(outcome, class).is_none() => {
                Some(format!("{self}: too few copies came to know it"))
            }
            _ => None,
        }
    }

    /// The latency that is too long, where it is about one.
    pub const fn below(&self) -> Option<Nanos> {
        match *self {
            Self::Latency { below, .. } => Some(below),
            Self::NoneMissing | Self::MissingBelow(_) => None,
        }
    }

    /// Messages that a trial must measure so that it is known, where each is heard by so many sockets; with a margin
    /// for copies that are missing.
    pub const fn messages_min(&self, copies_each: u64) -> u64 {
        let least = self.samples_of(copies_each);
        least + least / MARGIN
    }

    const fn samples_of(&self, copies_each: u64) -> u64 {
        match self {
            Self::Latency { class: Class::Completion, figure, .. } => figure.samples_min(),
            Self::Latency { figure, .. } => match copies_each {
                0 => figure.samples_min(),
                each => figure.samples_min().div_ceil(each),
            },
            Self::NoneMissing | Self::MissingBelow(_) => 1,
        }
    }
}

impl FromStr for Objective {
    type Err = NoObjective;

    fn from_str(text: &str) -> Result<Self, NoObjective> {
        if let Some((name, bound)) = text.split_once('<') {
            return match name.trim() {
                "missing" => share(bound.trim()).map(Self::MissingBelow),
                name => latency(name, bound.trim()),
            };
        }
        match text.split_once('=').map(|(name, bound)| (name.trim(), bound.trim())) {
            Some(("missing", "0")) => Ok(Self::NoneMissing),
            _ => Err(NoObjective::Form),
        }
    }
}

fn share(text: &str) -> Result<f64, NoObjective> {
    let percent = text.strip_suffix('%').and_then(|percent| percent.trim().parse::<f64>().ok());
    let percent = percent.filter(|percent| *percent > 0.0 && *percent <= 100.0);
    percent.map(|percent| percent / 100.0).ok_or_else(|| NoObjective::Share(text.to_owned()))
}

/// `p99.9` has a dot of its own.
fn latency(name: &str, bound: &str) -> Result<Objective, NoObjective> {
    let figure_of = |label: &str| figures().into_iter().find(|figure| figure.label() == label);
    let (class, label) = match name.split_once('.') {
        Some((class, label)) if figure_of(name).is_none() => {
            let class = CLASSES.into_iter().find(|known| known.key() == class);
            (class.ok_or_else(|| NoObjective::Class(name.to_owned()))?, label)
        }
        _ => (Class::Response, name),
    };
    let figure = figure_of(label).ok_or_else(|| NoObjective::Figure(label.to_owned()))?;
    let scanned: Result<Nanos, ScanError> = bound.parse();
    match scanned {
        Ok(Nanos::ZERO) => Err(NoObjective::Zero),
        Ok(below) => Ok(Objective::Latency { class, figure, below }),
        Err(source) => Err(NoObjective::Duration { text: bound.to_owned(), source }),
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Latency { class, figure, below } => {
                if class != Class::Response {
                    write!(f, "{}.", class.key())?;
                }
                write!(f, "{} < {below}", figure.label())
            }
            Self::NoneMissing => f.write_str("missing = 0"),
            Self::MissingBelow(share) => write!(f, "missing < {}%", (share * 1e8).round() / 1e6),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::latencies::Latencies;
    use crate::measure::outcome::Delivery;

    fn objective(text: &str) -> Objective {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn objectives_are_read_as_they_are_printed() {
        for (written, printed) in [
            ("p99<50ms", "p99 < 50.0 ms"),
            (" p99.9 < 1s ", "p99.9 < 1.00 s"),
            ("response.p50<500us", "p50 < 500 µs"),
            ("completion.p99.99<2s", "completion.p99.99 < 2.00 s"),
            ("service.max<10ms", "service.max < 10.0 ms"),
            ("missing=0", "missing = 0"),
            ("missing<0.1%", "missing < 0.1%"),
        ] {
            let read = objective(written);
            assert_eq!(read.to_string(), printed, "{written}");
            assert_eq!(objective(printed), read, "{printed}");
        }
    }

    #[test]
    fn what_is_no_objective_is_refused_in_one_line_that_says_what_would_be_one() {
        for (text, says) in [
            ("", "p99<50ms"),
            ("fast", "p99<50ms"),
            ("p99=50ms", "p99<50ms"),
            ("missing=3", "missing=0"),
            ("p98<50ms", "p50, p90, p99, p99.9, p99.99, max or missing"),
            ("wait.p99<50ms", "response, service, completion"),
            ("p99<50", "unit"),
            ("p99<0s", "below 0"),
            ("missing<0%", "0.1%"),
            ("missing<101%", "0.1%"),
            ("missing<0.1", "0.1%"),
        ] {
            let error = text.parse::<Objective>().unwrap_err().to_string();
            assert!(error.contains(says) && error.lines().count() == 1, "{text}: {error}");
        }
    }

    /// Of 1 000 copies, from 1 to 1 000 µs; the last of them missing.
    fn trial(missing: u64) -> TrialOutcome {
        let ns: Latencies = (1..=1_000 - missing).map(Nanos::from_micros).collect();
        let delivered = ns.len();
        let delivery = Delivery {
            expected: 1_000,
            delivered,
            missing,
            seen: delivered,
            ..Delivery::default()
        };
        let latency_ns = vec![(Class::Response, ns)];
        TrialOutcome { delivery, latency_ns, ..TrialOutcome::nothing() }
    }

    #[test]
    fn an_objective_holds_below_its_bound_and_not_at_it() {
        let broken = |text: &str| objective(text).broken_by(&trial(0));
        assert_eq!(broken("max<1001us"), None);
        assert_eq!(broken("max<1ms").as_deref(), Some("max < 1.00 ms: 1.00 ms"));
        assert_eq!(broken("p99<991us"), None);
        assert_eq!(broken("p99<900us").as_deref(), Some("p99 < 900 µs: 990 µs"));
        assert_eq!(broken("missing=0"), None);
    }

    #[test]
    fn what_cannot_be_known_is_neither_held_nor_broken() {
        let unknown = objective("p99<1s").unknown_of(&trial(1));
        assert_eq!(unknown.as_deref(), Some("p99 < 1.00 s: too few copies came to know it"));
        assert!(objective("completion.p50<1s").unknown_of(&trial(0)).is_some());
        assert_eq!(objective("p99<1s").unknown_of(&trial(0)), None);
        assert_eq!(objective("missing=0").unknown_of(&trial(1)), None);
    }

    #[test]
    fn a_missing_copy_breaks_all_but_a_share_that_is_larger() {
        let broken = |text: &str, missing| objective(text).broken_by(&trial(missing));
        assert_eq!(broken("missing=0", 1).as_deref(), Some("missing = 0: 1 of 1 000"));
        assert_eq!(broken("missing<0.2%", 1), None);
        assert!(broken("missing<0.1%", 1).is_some());
        assert_eq!(broken("missing<0.1%", 0), None);
    }

    #[test]
    fn a_trial_is_long_enough_when_its_copies_make_the_percentile_known() {
        assert_eq!(objective("p99<1s").messages_min(6), 167 + 20);
        assert_eq!(objective("completion.p99<1s").messages_min(6), 1_000 + 125);
        assert_eq!(objective("max<1s").messages_min(6), 1);
        assert_eq!(objective("missing=0").messages_min(6), 1);
    }
}
