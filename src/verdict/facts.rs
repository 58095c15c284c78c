//! What a verdict rests on, and how it is worded.
//!
//! Belongs here: the facts as others gathered them, a caveat's two severities. Does not: any rule.

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

pub(super) fn void(code: &'static str, text: String, remedy: &str) -> Caveat {
    Caveat { code, severity: Trust::Void, text, remedy: remedy.to_owned() }
}

pub(super) fn degraded(code: &'static str, text: String, remedy: &str) -> Caveat {
    Caveat { code, severity: Trust::Degraded, text, remedy: remedy.to_owned() }
}
