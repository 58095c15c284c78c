//! What to run. A [`Plan`] that exists can be run: what comes before it is a [`draft`].
//!
//! Belongs here: targets, load, expectation, and the arithmetic on them. Does not: clap (`cli`),
//! sockets (`engine`), the machine's limits (`host`).

pub mod backend;
pub mod connect_options;
pub mod descriptors;
pub mod draft;
#[cfg(test)]
pub(crate) mod fixture;
pub mod load;
pub mod local_addrs;
pub mod memory;
pub mod source_ip;
pub mod upgrade_options;
pub mod wait;

use std::net::SocketAddr;
use std::num::NonZeroU16;

use self::backend::Engine;
use self::connect_options::MinConnected;
use self::descriptors::Rings;
use self::local_addrs::{LocalAddrError, LocalAddrs};
use self::source_ip::SourceIps;
use self::upgrade_options::UpgradeOptions;
use self::wait::WaitMode;
use crate::dialect::Dialect;
use crate::dialect::pattern::{USER, column_name};
use crate::dialect::text::TextShape;
use crate::host::ports::LocalPorts;
use crate::load::trial::Trial;
use crate::population::audience::Audience;
pub use crate::population::nodes::Node;
use crate::population::nodes::Targets;
use crate::population::sockets::{Population, SocketId};
use crate::tls::TlsClient;
use crate::units::{Nanos, Rate};
use crate::wire::encode;

/// Everything a run needs to know.
#[derive(Clone, Debug)]
pub struct Plan {
    /// All nodes; receive sockets go to each of them.
    pub nodes: Vec<Node>,
    /// Which sockets there are, and who hears each message.
    pub audience: Audience,
    /// How they are connected.
    pub connect: Connect,
    /// Whom they trust; `wss://` nodes cannot be connected to without it.
    pub tls: Option<TlsClient>,
    /// What they ask for in their upgrades.
    pub upgrade: UpgradeOptions,
    /// What the cluster speaks inside frames.
    pub dialect: Dialect,
    /// How large messages are, and what may be taken for them.
    pub messages: MessageSizes,
    /// What is measured, one after another; at least one, each with a name of its own.
    pub trials: Vec<Trial>,
    /// The histograms of every interval are kept, for a log of them.
    pub keep_intervals: bool,
    /// How long is waited for what does not come.
    pub timeouts: Timeouts,
    /// Who does it, and through what.
    pub generator: Generator,
    /// What is drawn from what.
    pub seeds: Seeds,
}

/// From where, how fast and how completely sockets are connected, and how they are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// From where.
    pub local_addrs: LocalAddrs,
    /// Connects begun in a second, over all workers, at most.
    pub rate: Option<Rate>,
    /// How many sockets must be connected for the run to go on.
    pub least: MinConnected,
    /// Acknowledge late: cheaper for us, and not what clients elsewhere do.
    pub delayed_ack: bool,
    /// A WebSocket Ping is sent on every open socket so often.
    pub ping: Option<Nanos>,
    /// No trial runs after one that lost a socket; else lost sockets are connected again.
    pub stop_on_loss: bool,
}

/// Sizes of messages, and the memory that they may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageSizes {
    /// Length of each message's text, at least [`crate::dialect::tag::TAG_LEN`] and its lead-in.
    pub payload_bytes: usize,
    /// Largest message that is taken from a node; a larger one closes the socket with 1009.
    pub max_bytes: usize,
    /// The most fragments of one; more close the socket with 1009.
    pub max_fragments: u32,
    /// Frames that need more than this are patched in place instead of being laid out in full.
    pub frame_memory_bytes: usize,
    /// What messages that have begun and not ended take at most, over all workers: as asked. See
    /// [`Plan::partial_memory_each`].
    pub partial_memory_bytes: Option<usize>,
}

impl MessageSizes {
    /// The most bytes and the most fragments of one message.
    pub const fn of_one(&self) -> (usize, u32) {
        (self.max_bytes, self.max_fragments)
    }
}

/// How long is waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// A trial ends when no copy has come for so long.
    pub drain: Nanos,
    /// A socket that is not connected, upgraded and opened by then is given up.
    pub connect: Nanos,
    /// A probe that was not seen on every socket by then ends the program.
    pub ready: Nanos,
}

/// The workers: where they run, what they ask the kernel through, how they wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generator {
    /// The CPUs that carry workers; at least one, each once.
    pub cores: Vec<usize>,
    /// What the workers ask the kernel through.
    pub engine: Engine,
    /// The rings of each worker.
    pub rings: Rings,
    /// How workers wait while the clock runs.
    pub wait: WaitMode,
    /// Every turn of a worker takes so much longer. For tests of the verdict only: 0 elsewhere.
    pub test_turn_delay: Nanos,
}

impl Generator {
    /// Workers over all cores: one on each.
    pub fn workers(&self) -> usize {
        self.cores.len()
    }

    /// Rings over all workers.
    pub fn rings(&self) -> usize {
        self.workers() * self.rings.each
    }

    /// Bells over all workers, each a descriptor: a worker with several rings has one, on which it sleeps
    /// for all of them.
    pub fn bells(&self) -> usize {
        if self.rings.each > 1 { self.workers() } else { 0 }
    }
}

/// Where what is drawn comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seeds {
    /// Seed of the schedule and of an embedded cluster's faults.
    pub seed: u64,
    /// Upgrade and mask keys come from the seed as well.
    pub replay: bool,
}

impl Seeds {
    /// Seed of upgrade and mask keys, which are the system's where there is none. RFC 6455, section 10.3: who can
    /// foretell them can aim bytes at what lies between us and a node.
    pub fn of_keys(&self) -> Option<u64> {
        self.replay.then_some(self.seed)
    }
}

impl Plan {
    /// The same load by the same workers on as many other nodes, from addresses of nobody's choice: those
    /// that lead to the nodes of this plan may not lead to them. What is asked of these in the upgrade is no
    /// matter of theirs: it may be a secret. Nor do they know of subscriptions: they pass each message on once.
    ///
    /// # Errors
    /// See [`LocalAddrError`].
    pub fn against(&self, targets: Targets, ports: LocalPorts) -> Result<Self, LocalAddrError> {
        let Targets { nodes, push_node } = targets;
        assert_eq!(nodes.len(), self.nodes.len(), "as many nodes");
        let audience = self.audience.with_push_node(push_node).with_subscriptions(NonZeroU16::MIN);
        let local_addrs = LocalAddrs::deal(&[], ports, &nodes, audience.population())?;
        let connect = Connect { local_addrs, ..self.connect.clone() };
        let upgrade = UpgradeOptions::default();
        Ok(Self { nodes, audience, connect, tls: None, upgrade, ..self.clone() })
    }

    /// The addresses from which a node is reached, where we choose them.
    pub fn sources_to(&self, node: usize) -> Option<&SourceIps> {
        self.connect.local_addrs.to(&self.nodes[node])
    }

    /// See [`LocalAddrs::origin`].
    pub fn origin(&self, seat: SocketId, attempt: u32) -> Option<SocketAddr> {
        self.connect.local_addrs.origin(&self.nodes, self.population(), seat, attempt)
    }

    /// The sockets that there are.
    pub const fn population(&self) -> &Population {
        self.audience.population()
    }

    /// Index into `nodes` of the node that takes every push.
    pub const fn push_node(&self) -> usize {
        self.population().push_node() as usize
    }

    /// What the dialect takes from the row of `--data` of a socket; `{user}` takes a column that need not be there.
    pub fn opening_row(&self, socket: u32) -> Vec<(String, Vec<u8>)> {
        let data = &self.upgrade.data;
        let columns = self.dialect.opening.columns.iter().map(String::as_str);
        let user = Some(USER).filter(|user| self.dialect.opening.columns.iter().all(|c| c != user));
        let value = |column: &str| {
            let value = data.value(socket, data.column(column)?);
            Some((column_name(column), value.as_bytes().to_vec()))
        };
        columns.chain(user).filter_map(value).collect()
    }

    /// Sockets to `wss://` nodes.
    pub fn tls_sockets(&self) -> u64 {
        let nodes = self.nodes.iter().enumerate();
        let tls = nodes.filter(|(_, node)| node.server_name.is_some());
        tls.map(|(node, _)| self.sockets_to(node)).sum()
    }

    /// Sockets to one node.
    pub fn sockets_to(&self, node: usize) -> u64 {
        self.population().sockets_to(node as u32).into()
    }

    /// All sockets: push and receive.
    pub fn sockets(&self) -> u64 {
        self.population().sockets().into()
    }

    /// Whether all frames of a trial are laid out before the clock, or a window that is patched.
    pub fn lays_all(&self, messages: u64, text: &TextShape) -> bool {
        let frame_len = encode::frame_len(self.dialect.message_len(text)) as u64;
        messages.saturating_mul(frame_len) <= self.messages.frame_memory_bytes as u64
    }
}

#[cfg(test)]
mod tests {
    use super::load::Spec;
    use super::*;

    /// A plan for three nodes on loopback and one core.
    pub(super) fn plan(change: impl FnOnce(&mut Spec)) -> Plan {
        fixture::plan_pushing_to(1, &[1, 2, 3], change)
    }

    #[test]
    fn the_seeds_table_expects_the_seeds_copies() {
        let plan = plan(|_| {});
        let copies: Vec<_> =
            plan.trials.iter().map(|t| plan.audience.expected(t.messages)).collect();
        assert_eq!(copies, [60, 600, 6_000, 12_000, 24_000, 48_000]);
    }

    #[test]
    fn the_sockets_of_all_nodes_are_all_sockets() {
        let plan = plan(|spec| spec.receivers_per_node = Some(5));
        let to_each: Vec<_> = (0..3).map(|node| plan.sockets_to(node)).collect();
        assert_eq!(to_each, [5, 8, 5], "pushes go to node 1");
        assert_eq!(to_each.iter().sum::<u64>(), plan.sockets());
    }
}
