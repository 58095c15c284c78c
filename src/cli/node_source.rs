//! Where the nodes of a run come from.
//!
//! Belongs here: the three ways. Does not: which flags ask for which (`args`), finding the nodes (`run`).

use super::embedded::Embedded;
use crate::population::discovery::DiscoveryUrl;
use crate::population::nodes::NodeUrl;

/// Where the nodes come from.
#[derive(Clone, Copy, Debug)]
pub enum NodeSource<'a> {
    /// A discovery lists them.
    Discovery(&'a DiscoveryUrl),
    /// The user does.
    Nodes(&'a [NodeUrl]),
    /// We start them.
    Embedded(Embedded<'a>),
}
