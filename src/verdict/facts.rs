//! What a verdict rests on, and how it is worded.
//!
//! Belongs here: the facts as others gathered them, what a rule is and finds. Does not: any rule.

use crate::audit::Shortfall;
use crate::host::facts::HostCounters;
use crate::measure::outcome::{Caveat, TrialOutcome, Trust};
use crate::units::Rate;

/// Who may use the CPUs that carry workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Beside {
    /// Nobody that we know of: the cluster has CPUs of its own, here or elsewhere.
    #[default]
    Nobody,
    /// The embedded cluster, for which no CPU was left.
    Embedded,
    /// Nodes on this host that others started: which CPUs they use is not known.
    Nodes,
}

impl Beside {
    /// Of the embedded cluster.
    pub const fn embedded(shares: bool) -> Self {
        if shares { Self::Embedded } else { Self::Nobody }
    }

    /// As the subject of a sentence.
    pub(super) const fn who(self) -> &'static str {
        match self {
            Self::Nobody => "other processes",
            Self::Embedded => "the embedded cluster",
            Self::Nodes => "nodes on this host",
        }
    }
}

/// All that the verdict on a row rests on.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The row. Its own caveats are not looked at.
    pub outcome: &'a TrialOutcome,
    /// The rate of the schedule that sends follow, if they follow one.
    pub rate: Option<Rate>,
    /// The host at the start of the row.
    pub host_before: &'a HostCounters,
    /// The host at its end.
    pub host_after: &'a HostCounters,
    /// CPUs that this process may use, where known.
    pub cpus_allowed: Option<usize>,
    /// Who may use the CPUs that carry workers.
    pub beside: Beside,
    /// Settings of this host that this plan needs otherwise, as the audit found them.
    pub shortfalls: &'a [Shortfall],
    /// CPUs of workers that are two threads of one core.
    pub smt_siblings: &'a [(usize, usize)],
}

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
    pub(super) fn caveat(&self, found: Finding) -> Caveat {
        let Finding { severity, text, remedy } = found;
        debug_assert!(self.severities.contains(&severity), "{}: {severity:?}", self.code);
        Caveat { code: self.code, severity, text, remedy }
    }
}

pub(super) const VOID: &[Trust] = &[Trust::Void];
pub(super) const DEGRADED: &[Trust] = &[Trust::Degraded];
pub(super) const EITHER: &[Trust] = &[Trust::Degraded, Trust::Void];

/// A kind of caveat and the pure function that finds it.
pub(super) struct Rule {
    pub(super) kind: Kind,
    pub(super) judge: fn(&Evidence<'_>) -> Option<Finding>,
}

/// What a rule found. The rule's code goes with it.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) severity: Trust,
    pub(super) text: String,
    pub(super) remedy: String,
}

pub(super) fn void(text: String, remedy: &str) -> Finding {
    Finding { severity: Trust::Void, text, remedy: remedy.to_owned() }
}

pub(super) fn degraded(text: String, remedy: &str) -> Finding {
    Finding { severity: Trust::Degraded, text, remedy: remedy.to_owned() }
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
