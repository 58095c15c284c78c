//! A trial with its verdict: figures, and how far they can be trusted.
//!
//! Belongs here: the types. Does not: any rule, nor what the figures are (`measure::outcome`).

use std::ops::Deref;

use crate::measure::outcome::TrialOutcome;

/// How far to trust a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// The numbers describe the cluster.
    Ok,
    /// They do, with the caveats named.
    Degraded,
    /// They describe the generator; do not use them.
    Void,
}

/// A reason not to trust a trial as it is: a code, a sentence with figures, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caveat {
    /// Stable, `kebab-case`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Trust,
    /// What happened, with its figures.
    pub text: String,
    /// What to do about it.
    pub remedy: String,
}

/// A trial that was judged.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What was measured.
    pub outcome: TrialOutcome,
    /// Sorted, worst first.
    pub caveats: Vec<Caveat>,
}

impl Judged {
    /// The worst severity of the caveats.
    pub fn trust(&self) -> Trust {
        self.caveats.iter().map(|c| c.severity).max().unwrap_or(Trust::Ok)
    }
}

/// Read as its figures: a verdict adds to them and changes none.
impl Deref for Judged {
    type Target = TrialOutcome;

    fn deref(&self) -> &TrialOutcome {
        &self.outcome
    }
}
