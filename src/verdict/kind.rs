//! Kinds of caveats, and what a rule finds.
//!
//! Belongs here: the shape of a caveat, and how one is made. Does not: any rule, nor the meaning of a code, which
//! is beside its rule; nor what rules look at (`facts`).

use crate::verdict::judged::{Caveat, Trust};

/// A kind of caveat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Stable, `kebab-case`: scripts filter by it.
    pub code: &'static str,
    /// How bad it can be.
    pub severities: &'static [Trust],
    /// What it means, in one or two sentences for the table of all caveats.
    pub meaning: &'static str,
}

impl Kind {
    pub(super) fn caveat(&self, found: Grounds) -> Caveat {
        let Grounds { severity, text, remedy } = found;
        debug_assert!(self.severities.contains(&severity), "{}: {severity:?}", self.code);
        Caveat { code: self.code, severity, text, remedy }
    }
}

pub(super) const VOID: &[Trust] = &[Trust::Void];
pub(super) const DEGRADED: &[Trust] = &[Trust::Degraded];
pub(super) const EITHER: &[Trust] = &[Trust::Degraded, Trust::Void];

/// What a rule found. The rule's code goes with it.
#[derive(Debug)]
pub(super) struct Grounds {
    pub(super) severity: Trust,
    pub(super) text: String,
    pub(super) remedy: String,
}

pub(super) fn void(text: String, remedy: &str) -> Grounds {
    Grounds { severity: Trust::Void, text, remedy: remedy.to_owned() }
}

pub(super) fn degraded(text: String, remedy: &str) -> Grounds {
    Grounds { severity: Trust::Degraded, text, remedy: remedy.to_owned() }
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
