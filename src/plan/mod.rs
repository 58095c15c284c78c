//! What to run. A [`Plan`] that exists can be run: it is checked while it is built, never after.
//!
//! Belongs here: targets, load, expectation, and the arithmetic on them. Does not: clap (`cli`),
//! sockets (`engine`), the machine's limits (`host`).

pub mod backend;
pub mod connect_options;
pub mod descriptors;
#[cfg(test)]
pub(crate) mod fixture;
pub mod load;
pub mod local_addrs;
pub mod memory;
pub mod source_ip;
pub mod upgrade_options;
pub mod wait;

use std::hash::{BuildHasher, RandomState};

use self::backend::Engine;
use self::connect_options::ConnectOptions;
use self::load::{Load, Spec};
use self::source_ip::LocalAddrs;
use self::upgrade_options::UpgradeOptions;
use self::wait::WaitMode;
use crate::dialect::Dialect;
use crate::dialect::text::TextShape;
use crate::load::trial::Trial;
use crate::population::audience::Audience;
pub use crate::population::nodes::Node;
use crate::population::nodes::Targets;
use crate::population::sockets::{Population, TooManySockets};
use crate::units::{Count, Nanos};
use crate::wire::encode;

/// Everything a run needs to know.
#[derive(Clone, Debug)]
pub struct Plan {
    /// All nodes; receive sockets go to each of them.
    pub nodes: Vec<Node>,
    /// What the cluster speaks inside frames.
    pub dialect: Dialect,
    /// Which sockets there are, and who hears each message.
    pub audience: Audience,
    /// The CPUs that carry workers; at least one, each once.
    pub cores: Vec<usize>,
    /// Rings of each worker: 1, unless a ring's table of descriptors is too small for its sockets.
    pub rings_each: usize,
    /// Sockets live in the rings' tables of descriptors, not in the process's.
    pub direct: bool,
    /// What the workers ask the kernel through.
    pub engine: Engine,
    /// What is measured, one after another; at least one, each with a name of its own.
    pub trials: Vec<Trial>,
    /// How workers wait while the clock runs.
    pub wait: WaitMode,
    /// The histograms of every interval are kept, for a log of them.
    pub keep_intervals: bool,
    /// Length of each message's text, at least [`crate::dialect::tag::TAG_LEN`] and its lead-in.
    pub payload_bytes: usize,
    /// The run ends when no copy has come for so long.
    pub drain: Nanos,
    /// A socket that is not connected, upgraded and opened by then is given up.
    pub connect_timeout: Nanos,
    /// A probe that was not seen on every socket by then ends the program.
    pub ready_timeout: Nanos,
    /// Largest message that is taken from a node; a larger one closes the socket with 1009.
    pub max_message_bytes: usize,
    /// Frames that need more than this are patched in place instead of being laid out in full.
    pub frame_memory_bytes: usize,
    /// What messages that have begun and not ended take at most, over all workers: as asked. See
    /// [`Plan::partial_memory_each`].
    pub partial_memory_bytes: Option<usize>,
    /// Seed of the schedule and of an embedded cluster's faults.
    pub seed: u64,
    /// Upgrade and mask keys come from the seed as well.
    pub replay: bool,
    /// How sockets are connected.
    pub dialing: ConnectOptions,
    /// What they ask for in their upgrades.
    pub upgrade: UpgradeOptions,
    /// From where; the kernel's choice until [`Plan::from_ports`].
    pub origins: LocalAddrs,
    /// Every turn of a worker takes so much longer. For tests of the verdict only: 0 elsewhere.
    pub test_turn_delay: Nanos,
}

/// Why load and targets do not make a plan together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Sockets are numbered with 32 bits.
    #[error(
        "--push-sockets and --receivers-per-node make {} sockets to {nodes} nodes: at most {}",
        Count(*.sockets), Count(u32::MAX.into())
    )]
    TooManySockets {
        /// All of them.
        sockets: u64,
        /// How many nodes.
        nodes: usize,
    },
}

impl Plan {
    /// Joins what to send with whom to send it to, who does it, and through what.
    ///
    /// # Errors
    /// See [`PlanError`].
    ///
    /// # Panics
    /// Without cores, or with a core twice: `host::cpus` shares them out.
    pub fn new(
        load: Load,
        targets: Targets,
        cores: Vec<usize>,
        engine: Engine,
    ) -> Result<Self, PlanError> {
        let unique: std::collections::BTreeSet<_> = cores.iter().collect();
        assert!(!cores.is_empty() && unique.len() == cores.len(), "cores {cores:?}");
        let nodes = targets.nodes.len();
        let Load { spec, receivers_per_node } = load;
        let population =
            Population::new(nodes, targets.push_node, spec.push_sockets, receivers_per_node)
                .map_err(|TooManySockets(sockets)| PlanError::TooManySockets { sockets, nodes })?;
        let Spec { dialect, fan_out, trials, drain, seed, .. } = spec;
        // A limit beyond what can be addressed is no limit.
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Ok(Self {
            nodes: targets.nodes,
            dialect,
            audience: Audience::new(population, fan_out),
            cores,
            rings_each: 1,
            direct: false,
            engine,
            trials: Trial::distinct(trials),
            wait: spec.wait.unwrap_or_default(),
            keep_intervals: spec.keep_intervals,
            payload_bytes: size(spec.payload_bytes),
            drain,
            connect_timeout: spec.connect_timeout,
            ready_timeout: spec.ready_timeout,
            max_message_bytes: size(spec.max_message_bytes),
            frame_memory_bytes: size(spec.frame_memory_bytes),
            partial_memory_bytes: spec.partial_memory_bytes.map(size),
            seed,
            replay: spec.replay,
            dialing: spec.dialing,
            upgrade: spec.upgrade,
            origins: LocalAddrs::Kernel,
            test_turn_delay: spec.test_turn_delay,
        })
    }

    /// The same plan on CPUs that are not the workers' alone: to poll would take them from others.
    pub fn on_shared_cpus(self) -> Self {
        Self { wait: WaitMode::Sleep, ..self }
    }

    /// Seed of upgrade and mask keys. RFC 6455, section 10.3: who can foretell them can aim bytes at what
    /// lies between us and a node. The keys of the standard library's hasher are the system's.
    pub fn key_seed(&self) -> u64 {
        if self.replay { self.seed } else { RandomState::new().hash_one(self.seed) }
    }

    /// Workers over all cores: one on each.
    pub fn workers(&self) -> usize {
        self.cores.len()
    }

    /// Rings over all workers.
    pub fn rings(&self) -> usize {
        self.workers() * self.rings_each
    }

    /// Bells over all workers, each a descriptor: a worker with several rings has one, on which it sleeps
    /// for all of them.
    pub fn bells(&self) -> usize {
        if self.rings_each > 1 { self.workers() } else { 0 }
    }

    /// The same load by the same workers on as many other nodes, from the kernel's choice of addresses: those
    /// that lead to the nodes of this plan may not lead to them. What is asked of these in the upgrade is no
    /// matter of theirs: it may be a secret.
    pub fn against(&self, targets: Targets) -> Self {
        let dialing = ConnectOptions { sources: Vec::new(), ..self.dialing.clone() };
        let origins = LocalAddrs::Kernel;
        let Targets { nodes, push_node } = targets;
        assert_eq!(nodes.len(), self.nodes.len(), "as many nodes");
        let audience = self.audience.with_push_node(push_node);
        let upgrade = UpgradeOptions::default();
        Self { nodes, audience, dialing, upgrade, origins, ..self.clone() }
    }

    /// The sockets that there are.
    pub const fn population(&self) -> &Population {
        self.audience.population()
    }

    /// Index into `nodes` of the node that takes every push.
    pub const fn push_node(&self) -> usize {
        self.population().push_node() as usize
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
        messages.saturating_mul(frame_len) <= self.frame_memory_bytes as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::nodes::PushNode;

    /// A plan for three nodes on loopback and one core.
    pub(super) fn plan(change: impl FnOnce(&mut Spec)) -> Plan {
        fixture::plan_pushing_to(1, &[1, 2, 3], change)
    }

    fn three_nodes() -> Targets {
        let urls = [1, 2, 3].map(|port| format!("ws://127.0.0.1:{port}/").parse().unwrap());
        let no_names = |_: &str, _: u16| unreachable!("no host names here");
        Targets::new(&urls, &PushNode::Index(1), &no_names, &mut Vec::new()).unwrap()
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

    #[test]
    fn more_sockets_than_can_be_numbered_are_refused() {
        let spec = Spec { receivers_per_node: Some(u32::MAX), ..Spec::default() };
        let load = Load::new(spec).unwrap();
        let error = Plan::new(load, three_nodes(), vec![0], Engine::IoUring).unwrap_err();
        assert!(error.to_string().contains("12 884 901 888 sockets to 3 nodes"), "{error}");
    }
}
