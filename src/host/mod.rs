//! The machine we run on: its clock, CPUs and limits, and whether it lets us run at all.
//!
//! Belongs here: recorded facts, and pure rules over them that end in a decision or in an error
//! which says what to do. Does not: what to run (`plan`), io_uring itself (`engine::ring`).

mod cgroup;
pub mod clock;
pub mod cpus;
pub mod facts;
pub mod io_uring;
pub mod io_words;
pub mod limits;
pub mod ports;
pub mod process_limits;
pub mod socket_cost;
pub mod topology;

/// Why this host cannot run the plan. One line each, with the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Descriptors, ports or memory are too few.
    #[error(transparent)]
    Limit(#[from] limits::LimitError),
    /// A source address is not one of this host's.
    #[error(transparent)]
    Source(#[from] ports::SourceError),
}
