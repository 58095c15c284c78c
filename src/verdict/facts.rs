//! What a verdict rests on.
//!
//! Belongs here: the facts as others gathered them, what a rule is. Does not: any rule, nor how a caveat is
//! worded (`kind`).

use crate::audit::Shortfall;
use crate::host::facts::HostCounters;
use crate::load::profile::Profile;
use crate::measure::connecting::Connecting;
use crate::measure::outcome::TrialOutcome;
use crate::plan::connect_options::MinConnected;
use crate::verdict::baseline::Baseline;
pub use crate::verdict::kind::Kind;
pub(super) use crate::verdict::kind::{DEGRADED, EITHER, Grounds, VOID, degraded, percent, void};

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

/// Where a run takes place, as far as a verdict must know.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// CPUs that this process may use, where known.
    pub cpus_allowed: Option<usize>,
    /// Who may use the CPUs that carry workers.
    pub beside: Beside,
    /// Settings of this host that this plan needs otherwise, as the audit found them.
    pub shortfalls: Vec<Shortfall>,
    /// CPUs of workers that are two threads of one core.
    pub smt_siblings: Vec<(usize, usize)>,
}

/// All that the verdict on a trial rests on.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// What was measured.
    pub outcome: &'a TrialOutcome,
    /// The shape of its load: the schedule that sends follow, if they follow one.
    pub profile: &'a Profile,
    /// The host when what is measured began.
    pub host_before: &'a HostCounters,
    /// The host at its end.
    pub host_after: &'a HostCounters,
    /// How the sockets were connected.
    pub connecting: &'a Connecting,
    /// How many of them there had to be.
    pub least: MinConnected,
    /// The calibration that it is held against, if there was one.
    pub baseline: Option<&'a Baseline>,
    /// Where it took place.
    pub surroundings: &'a Surroundings,
}

/// A kind of caveat and the pure function that finds it.
pub(super) struct Rule {
    pub(super) kind: Kind,
    pub(super) judge: fn(&Evidence<'_>) -> Option<Grounds>,
}
