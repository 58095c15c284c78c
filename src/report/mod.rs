//! What is told: a plan and its outcome become a [`document`], and a document a [`story`]: what a report
//! says, in words and figures. Each format for people writes the story, each for machines the document; all
//! are pure over what they are given and write to.
//!
//! Belongs here: the result as it is kept, and its renderings. Does not: measuring (`measure`), judging (`verdict`), and
//! deciding where output goes (`cli`). [`progress`] alone owns a terminal, because a line that moves
//! needs one.

pub mod audit;
mod columns;
pub mod compare;
pub mod document;
pub mod export;
#[cfg(test)]
mod fixture;
pub mod hgrm;
pub mod hlog;
pub mod html;
pub mod json;
#[cfg(feature = "live")]
pub mod live;
pub mod metrics;
pub mod progress;
pub mod sanitize;
pub mod saved;
#[cfg(test)]
mod search_situations;
pub mod selection;
mod silent_nodes;
#[cfg(test)]
mod situations;
pub mod sniff;
pub mod story;
pub mod text;

use crate::host::facts::HostFacts;
use crate::units::Bytes;

/// What a report says about a run beyond plan and outcome.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Invocation {
    /// Arguments, without the program's name.
    pub args: Vec<String>,
    /// Wall-clock start, milliseconds since 1970.
    pub started_unix_ms: u64,
    /// Where the nodes come from, as a clause: `embedded, discovery http://…`, `--node`.
    pub cluster: String,
    /// Why these CPUs carry the workers, as a clause.
    pub placement: String,
    /// CPUs of the embedded cluster; empty without one.
    pub cluster_cpus: Vec<usize>,
    /// What the largest trial takes in memory at most.
    pub memory: Bytes,
    /// The machine.
    pub host: HostFacts,
}

/// The program's version.
const VERSION: &str = env!("CARGO_PKG_VERSION");
