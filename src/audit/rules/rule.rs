//! The shape of a rule.
//!
//! Belongs here: what the table's rows are made of. Does not: any rule.

use crate::audit::facts::Facts;
use crate::audit::finding::{Finding, Severity};
use crate::audit::requirements::PlanRequirements;

/// Where a rule stands in the report, and which page of `tuning/` explains it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Files and their limits.
    Descriptors,
    /// Local ports.
    Ports,
    /// Queues, TCP, network cards.
    Network,
    /// Memory.
    Memory,
    /// Processors, clocks, control groups.
    Cpu,
    /// io_uring.
    Uring,
}

impl Group {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 6] =
        [Self::Descriptors, Self::Ports, Self::Network, Self::Memory, Self::Cpu, Self::Uring];

    /// For headings and result files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Descriptors => "descriptors",
            Self::Ports => "ports",
            Self::Network => "network",
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Uring => "io_uring",
        }
    }

    /// The page under `tuning/` that explains it.
    pub const fn page(self) -> &'static str {
        match self {
            Self::Descriptors | Self::Ports => "sockets-and-ports.md",
            Self::Network => "network.md",
            Self::Memory => "memory.md",
            Self::Cpu => "cpu-and-irq.md",
            Self::Uring => "io_uring-and-containers.md",
        }
    }
}

/// One row of the table.
#[derive(Debug)]
pub struct Rule {
    /// The sysctl, limit or thing that it looks at.
    pub knob: &'static str,
    /// Where it belongs.
    pub group: Group,
    /// The worst that it says.
    pub worst: Severity,
    /// A warning of it bears on a run's figures, not only on getting it started.
    pub figures: bool,
    /// What is wanted, for any plan.
    pub wants: &'static str,
    /// Why, for any plan.
    pub why: &'static str,
    /// The host shows what the rule looks at.
    pub visible: fn(&Facts) -> bool,
    /// What stands in the way of this plan, if anything does.
    pub check: fn(&Facts, &PlanRequirements) -> Option<Finding>,
}

impl Rule {
    /// This finding of it bears on a run's figures, so that its verdict says so.
    pub fn degrades(&self, finding: &Finding) -> bool {
        self.figures && finding.severity >= Severity::Warn
    }
}
