//! Who took sockets behind an address, as the document names it.
//!
//! Belongs here: its keys and their meaning. Does not: what it is told of (`connecting`, `trial`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::measure::reached::Reached;
use crate::report::sanitize::UntrustedText;

/// Sockets to one node of the plan that one node behind it took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReachedNode {
    /// Index of the node of the plan.
    pub node: u64,
    /// Who took them; null where the answer did not say.
    pub name: Option<UntrustedText>,
    /// How many.
    pub sockets: u64,
    /// Those of them that push.
    pub push_sockets: u64,
}

impl From<&Reached> for ReachedNode {
    fn from(reached: &Reached) -> Self {
        let Reached { node, name, sockets, push_sockets } = reached;
        Self {
            node: *node as u64,
            name: name.as_deref().map(Into::into),
            sockets: *sockets,
            push_sockets: *push_sockets,
        }
    }
}
