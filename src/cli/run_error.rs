//! Why a run came to no report, and which exit code that means.

use std::io;

use super::claims::OutputError;
use super::discover::DiscoverError;
use super::exit::Exit;
use super::metrics::MetricsError;
use crate::cluster::ClusterError;
use crate::engine::EngineError;
use crate::experiment::search::search_plan::SearchError;
use crate::host::HostError;
use crate::host::cpus;
use crate::host::io_words::unnumbered;
use crate::host::limits::LimitError;
use crate::plan::backend::EngineRefused;
use crate::plan::descriptors::DescriptorError;
use crate::plan::local_addrs::LocalAddrError;
use crate::population::nodes::TargetError;
use crate::tls::TlsError;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) enum RunError {
    /// Flags exclude each other.
    FlagConflict(#[from] crate::cli::conflicts::FlagConflict),
    /// The load cannot be run.
    Load(#[from] crate::plan::load::LoadError),
    /// The search cannot be made.
    Search(#[from] SearchError),
    /// The load does not fit the targets.
    Plan(#[from] crate::plan::draft::PlanError),
    /// Descriptors cannot live where they should.
    Descriptors(#[from] DescriptorError),
    /// The sources do not suit the nodes.
    Origin(#[from] LocalAddrError),
    /// The CPUs asked for are not there.
    Cores(#[from] cpus::CoresError),
    /// There is no such node.
    Target(#[from] TargetError),
    /// Certificates cannot be read.
    Tls(#[from] TlsError),
    /// An output has nowhere to go.
    Output(#[from] OutputError),
    /// The host refuses what the workers are to stand on.
    Refused(#[from] EngineRefused),
    /// The host cannot run it.
    Host(#[from] HostError),
    /// A trial that does not fit into memory, and how large a one would.
    #[error("{error}; with all else as it is, {fits}")]
    TooLarge {
        /// What takes it.
        error: LimitError,
        /// As flags.
        fits: String,
    },
    /// The discovery names no nodes.
    Discover(#[from] DiscoverError),
    /// The cluster cannot be reached, or the run broke down.
    Engine(#[from] EngineError),
    /// The embedded cluster does not start.
    #[error("{}", unnumbered(.0))]
    Cluster(#[from] ClusterError),
    /// Nobody can scrape there.
    Metrics(#[from] MetricsError),
    /// A file of the audit has nowhere to go.
    Fix(#[from] super::fix::FixError),
    /// Handlers cannot be installed.
    #[error("cannot take signals: {}", unnumbered(.0))]
    Signals(io::Error),
}

impl RunError {
    /// When it happened, as a result file says it; none where the engine has been about it.
    pub(super) fn phase(&self) -> Option<&'static str> {
        Some(match self {
            Self::Target(TargetError::Unresolved { .. }) => "resolve",
            Self::Discover(DiscoverError::Trust(_)) => "arguments",
            Self::Discover(_) => "discover",
            Self::Cluster(error) if error.is_wrong_flag() => "arguments",
            Self::Cluster(_) => "cluster",
            Self::Engine(EngineError::Unreachable(failures)) => failures.first()?.phase,
            Self::Engine(EngineError::TooFew { failures, .. }) => failures.first()?.phase,
            Self::Engine(EngineError::NotReady(..)) => "probe",
            Self::Engine(_) => return None,
            _ if self.exit() == Exit::Host => "host",
            _ => "arguments",
        })
    }

    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Origin(LocalAddrError::Ports { .. }) => Exit::Host,
            Self::Discover(DiscoverError::Trust(_)) => Exit::Usage,
            Self::Target(TargetError::Unresolved { .. }) | Self::Discover(_) => Exit::Unreachable,
            Self::FlagConflict(_)
            | Self::Load(_)
            | Self::Search(_)
            | Self::Plan(_)
            | Self::Origin(_)
            | Self::Descriptors(_)
            | Self::Cores(_)
            | Self::Target(_)
            | Self::Tls(_)
            | Self::Output(_)
            | Self::Fix(_) => Exit::Usage,
            Self::Refused(_) | Self::Host(_) | Self::TooLarge { .. } | Self::Signals(_) => {
                Exit::Host
            }
            Self::Cluster(error) if error.is_wrong_flag() => Exit::Usage,
            Self::Metrics(error) if error.is_wrong_flag() => Exit::Usage,
            Self::Cluster(_) | Self::Metrics(_) => Exit::Host,
            Self::Engine(error) => match error {
                EngineError::Unreachable(_)
                | EngineError::TooFew { .. }
                | EngineError::NotReady(..)
                | EngineError::HearsItself { .. } => Exit::Unreachable,
                EngineError::Interrupted => Exit::Interrupted,
                EngineError::NoThread(_) | EngineError::Host { .. } => Exit::Host,
            },
        }
    }
}
