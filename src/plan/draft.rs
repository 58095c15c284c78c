//! From what was asked for to a plan: each step takes what it needs of this host, and only the last makes a
//! [`Plan`].
//!
//! Belongs here: the steps and their order. Does not: dealing addresses (`local_addrs`), placing descriptors
//! (`descriptors`), asking the host (`cli`).

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::host::ports::LocalPorts;
use crate::load::trial::Trial;
use crate::plan::backend::Engine;
use crate::plan::connect_options::ConnectOptions;
use crate::plan::descriptors::{DescriptorError, Rings};
use crate::plan::load::{Load, Spec};
use crate::plan::local_addrs::{LocalAddrError, LocalAddrs};
use crate::plan::wait::WaitMode;
use crate::plan::{Connect, Generator, MessageSizes, Plan, Seeds, Timeouts};
use crate::population::audience::Audience;
use crate::population::nodes::{Node, Targets};
use crate::population::sockets::{Population, TooManySockets};
use crate::tls::TlsClient;
use crate::units::Count;

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

/// Whose the workers' CPUs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cpus {
    /// The workers' alone.
    Own,
    /// Others', too, or rationed: to poll would take them from others.
    Shared,
}

/// What is to be sent, to whom, and by whom.
#[derive(Clone, Debug)]
pub struct Draft {
    spec: Spec,
    nodes: Vec<Node>,
    audience: Audience,
    cores: Vec<usize>,
    engine: Engine,
    tls: Option<TlsClient>,
}

impl Draft {
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
        let unique: BTreeSet<_> = cores.iter().collect();
        assert!(!cores.is_empty() && unique.len() == cores.len(), "cores {cores:?}");
        let Targets { nodes, push_node } = targets;
        let Load { spec, receivers_per_node } = load;
        let too_many =
            |TooManySockets(sockets)| PlanError::TooManySockets { sockets, nodes: nodes.len() };
        let population =
            Population::new(nodes.len(), push_node, spec.push_sockets, receivers_per_node)
                .map_err(too_many)?;
        let audience =
            Audience::new(population, spec.fan_out).with_subscriptions(spec.dialect.subscriptions);
        Ok(Self { spec, nodes, audience, cores, engine, tls: None })
    }

    /// With somebody who knows whom to trust: without, `wss://` nodes cannot be connected to.
    #[must_use]
    pub fn trusting(self, tls: Option<TlsClient>) -> Self {
        Self { tls, ..self }
    }

    /// With sources dealt out over the ports of this host.
    ///
    /// # Errors
    /// See [`LocalAddrError`].
    pub fn from_ports(self, ports: LocalPorts) -> Result<Addressed, LocalAddrError> {
        let asked = &self.spec.dialing.sources;
        let population = self.audience.population();
        let local_addrs = LocalAddrs::deal(asked, ports, &self.nodes, population)?;
        Ok(Addressed { draft: self, local_addrs })
    }

    /// With address and port of every socket left to the kernel, whatever was asked for.
    pub const fn from_kernels_choice(self) -> Addressed {
        Addressed { draft: self, local_addrs: LocalAddrs::Kernel }
    }
}

/// A draft that knows from where its sockets connect.
#[derive(Clone, Debug)]
pub struct Addressed {
    draft: Draft,
    local_addrs: LocalAddrs,
}

impl Addressed {
    /// Some of the addresses that sockets will come from, where the user named them: the ends of
    /// every range.
    pub fn source_samples(&self) -> Vec<IpAddr> {
        self.local_addrs.samples(&self.draft.nodes, self.draft.audience.population())
    }

    /// The plan, with its descriptors placed where a process may open `open_files`, on these CPUs.
    ///
    /// # Errors
    /// See [`DescriptorError`].
    pub fn plan(self, open_files: u64, cpus: Cpus) -> Result<Plan, DescriptorError> {
        let Self { draft: Draft { spec, nodes, audience, cores, engine, tls }, local_addrs } = self;
        let sockets = audience.population().sockets().into();
        let rings =
            Rings::within(open_files, spec.dialing.descriptors, engine, sockets, cores.len())?;
        let by_itself = match cpus {
            Cpus::Own => WaitMode::default(),
            Cpus::Shared => WaitMode::Sleep,
        };
        // A limit beyond what can be addressed is no limit.
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        // Sources and descriptors have become addresses and rings.
        let ConnectOptions {
            rate,
            least,
            delayed_ack,
            ping,
            stop_on_loss,
            sources: _,
            descriptors: _,
        } = spec.dialing;
        Ok(Plan {
            nodes,
            audience,
            connect: Connect { local_addrs, rate, least, delayed_ack, ping, stop_on_loss },
            tls,
            upgrade: spec.upgrade,
            dialect: spec.dialect,
            messages: MessageSizes {
                payload_bytes: size(spec.payload_bytes),
                max_bytes: size(spec.max_message_bytes),
                max_fragments: spec.max_fragments,
                frame_memory_bytes: size(spec.frame_memory_bytes),
                partial_memory_bytes: spec.partial_memory_bytes.map(size),
            },
            trials: Trial::distinct(spec.trials),
            keep_intervals: spec.keep_intervals,
            timeouts: Timeouts {
                drain: spec.drain,
                connect: spec.connect_timeout,
                ready: spec.ready_timeout,
            },
            generator: Generator {
                cores,
                engine,
                rings,
                wait: spec.wait.unwrap_or(by_itself),
                test_turn_delay: spec.test_turn_delay,
            },
            seeds: Seeds { seed: spec.seed, replay: spec.replay },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::nodes::PushNode;

    fn draft(spec: Spec) -> Result<Draft, PlanError> {
        let urls = [1, 2, 3].map(|port| format!("ws://127.0.0.1:{port}/").parse().unwrap());
        let no_names = |_: &str, _: u16| unreachable!("no host names here");
        let targets = Targets::new(&urls, &PushNode::Index(1), &no_names, &mut Vec::new()).unwrap();
        Draft::new(Load::new(spec).unwrap(), targets, vec![0], Engine::IoUring)
    }

    #[test]
    fn more_sockets_than_can_be_numbered_are_refused() {
        let error = draft(Spec { receivers_per_node: Some(u32::MAX), ..Spec::default() });
        let error = error.unwrap_err().to_string();
        assert!(error.contains("12 884 901 888 sockets to 3 nodes"), "{error}");
    }

    #[test]
    fn workers_sleep_on_shared_cpus_unless_they_were_told_how_to_wait() {
        let wait = |asked, cpus| {
            let draft = draft(Spec { wait: asked, ..Spec::default() }).unwrap();
            draft.from_kernels_choice().plan(u64::MAX, cpus).unwrap().generator.wait
        };
        assert_eq!(wait(None, Cpus::Own), WaitMode::Latency);
        assert_eq!(wait(None, Cpus::Shared), WaitMode::Sleep);
        assert_eq!(wait(Some(WaitMode::Spin), Cpus::Shared), WaitMode::Spin);
    }
}
