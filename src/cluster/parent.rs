//! The parent's handle on the cluster: start, addresses, who died, CPU time, end.
//!
//! Belongs here: which children there are and in what order they are introduced to each other.
//! Does not: a single process (`process`), nor what the children do.

use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::audience::Audience;
use super::discovery;
use super::faults::{Fault, FaultSpec};
use super::handshake::{Bound, Listen, NodeOrder, Order, Ready, Role};
use super::process::{Process, started_no_more};
use super::tls::Identity;
use crate::units::Nanos;

/// Who may ask the discovery at the same time: more of them wait for their turn.
const ASKING_AT_ONCE: u64 = 64;

/// How often children are looked at while their end is waited for.
const WATCH_PERIOD: Duration = Duration::from_millis(20);

/// How long the end of another child is waited for, where one has ended that may only have missed it.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What to start.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// Nodes, at least 1; their ids are 1001, 1002, … in the order of their ports.
    pub nodes: usize,
    /// The null cluster: every text or binary message goes verbatim to every client of every node.
    pub relay: bool,
    /// Who hears what a relay passes on; nodes that read messages send them to everybody.
    pub audience: Audience,
    /// What the nodes do wrong.
    pub faults: Vec<FaultSpec>,
    /// Of the discovery's shuffling, the gaps between ids, and every fault's decisions.
    pub seed: u64,
    /// CPUs to pin the children to, round robin; empty leaves them to the scheduler.
    pub cpus: Vec<usize>,
    /// Where the faults' account goes; what the file held before is lost.
    pub fault_log: Option<PathBuf>,
    /// The executable whose subcommand `cluster-child` is [`child_main`](super::child_main); the
    /// running one without it.
    pub executable: Option<PathBuf>,
    /// The discovery's port; any free one without it.
    pub port: Option<u16>,
    /// The first node's client port, the next one's is one higher and so on; any free ones without.
    pub node_port: Option<u16>,
    /// Clients of any one node at most, where that is known: it makes room for no more.
    pub clients: Option<u64>,
    /// Its processes take io_uring where the kernel grants it; without this they do not ask.
    pub io_uring: bool,
    /// Clients come in over TLS, with a certificate that is made for this cluster.
    pub tls: bool,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            nodes: 3,
            relay: false,
            audience: Audience::All,
            faults: Vec::new(),
            seed: 42,
            cpus: Vec::new(),
            fault_log: None,
            executable: None,
            port: None,
            node_port: None,
            clients: None,
            io_uring: true,
            tls: false,
        }
    }
}

/// Why the cluster did not start.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Nothing to start.
    #[error("a cluster needs at least one node: --nodes 1 or more")]
    NoNodes,
    /// A fault of a node that is not there.
    #[error("--fault {fault}: there is no node {node}; the {nodes} nodes are counted from 0")]
    NoSuchNode {
        /// As written.
        fault: FaultSpec,
        /// The node that it names.
        node: usize,
        /// How many there are.
        nodes: usize,
    },
    /// The nodes' ports would go beyond the last one.
    #[error("--node-port {first}: {nodes} nodes from there go beyond port 65535")]
    Ports {
        /// The first.
        first: u16,
        /// How many.
        nodes: usize,
    },
    /// The faults' account cannot be written.
    #[error("--fault-log {}: {source}", path.display())]
    FaultLog {
        /// Of the log.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There is no certificate to show.
    #[error("the cluster's TLS: {0}")]
    Tls(io::Error),
    /// A child could not be started.
    #[error("the cluster's {child} cannot be started: {source}{}", started_no_more(source))]
    Spawn {
        /// Which.
        child: String,
        /// What the system says.
        source: io::Error,
    },
    /// A child ended before it was ready.
    #[error("the cluster's {child} ended at its start ({status}): {reason}")]
    Ended {
        /// Which.
        child: String,
        /// Its exit status.
        status: String,
        /// The last line of its stderr.
        reason: String,
    },
    /// A child did not answer.
    #[error("the cluster's {child} did not answer ({source}): is the machine overloaded?")]
    Silent {
        /// Which.
        child: String,
        /// What went wrong with its line.
        source: io::Error,
    },
}

impl ClusterError {
    /// Whether whoever wrote the command line can mend it.
    pub const fn is_wrong_flag(&self) -> bool {
        match self {
            Self::NoNodes
            | Self::NoSuchNode { .. }
            | Self::Ports { .. }
            | Self::FaultLog { .. }
            | Self::Tls(_) => true,
            Self::Spawn { .. } | Self::Ended { .. } | Self::Silent { .. } => false,
        }
    }
}

/// A running cluster. Dropping it kills its processes and waits for their end.
#[derive(Debug)]
pub struct Cluster {
    /// The nodes in order, then the discovery.
    children: Vec<Process>,
    discovery_url: String,
    node_urls: Vec<String>,
    io_uring: bool,
    certificate: Option<String>,
}

impl Cluster {
    /// Starts all processes and returns when the discovery answers and the mesh is whole.
    ///
    /// # Errors
    /// When the configuration asks for what cannot be, or a child does not come up; whatever was
    /// started is ended again.
    pub fn start(config: &ClusterConfig) -> Result<Self, ClusterError> {
        config.check()?;
        let tls = config.tls.then(Identity::new).transpose().map_err(ClusterError::Tls)?;
        if let Some(path) = &config.fault_log {
            // The nodes append: emptied once, before the first of them.
            let failed = |source| ClusterError::FaultLog { path: path.clone(), source };
            std::fs::write(path, "").map_err(failed)?;
        }
        let executable = match &config.executable {
            Some(path) => Ok(path.clone()),
            None => std::env::current_exe(),
        };
        let executable = executable.map_err(|source| spawn_error("executable", source))?;
        let mut cluster = Self {
            children: Vec::with_capacity(config.nodes + 1),
            discovery_url: String::new(),
            node_urls: Vec::new(),
            io_uring: false,
            certificate: None,
        };
        for (index, process) in start_all(&executable, config.nodes + 1).into_iter().enumerate() {
            let failed = |source| spawn_error(&name(index, config.nodes), source);
            cluster.children.push(process.map_err(failed)?);
        }
        let bound = cluster.bind(config)?;
        cluster.introduce(config, &bound, tls.as_ref())?;
        cluster.certificate = tls.map(|identity| identity.certificate);
        Ok(cluster)
    }

    /// Lets all children listen, and orders the nodes by their ports.
    ///
    /// Every line goes to all children before the first answer is waited for: they start together.
    fn bind(&mut self, config: &ClusterConfig) -> Result<Vec<Bound>, ClusterError> {
        self.each(|index, child| child.say(&config.listen(index)))?;
        let mut bound: Vec<Bound> = self.each(|_, child| child.hear())?;
        let mut children: Vec<_> = self.children.drain(..).zip(bound.drain(..)).collect();
        children[..config.nodes].sort_by_key(|(_, bound)| bound.client_port);
        (self.children, bound) = children.into_iter().unzip();
        Ok(bound)
    }

    fn introduce(
        &mut self,
        config: &ClusterConfig,
        bound: &[Bound],
        tls: Option<&Identity>,
    ) -> Result<(), ClusterError> {
        let (discovery, nodes) = bound.split_last().expect("the discovery is always there");
        let client_ports: Vec<u16> = nodes.iter().map(|node| node.client_port).collect();
        let mesh_ports: Vec<u16> = nodes.iter().filter_map(|node| node.mesh_port).collect();
        let s = if tls.is_some() { "s" } else { "" };
        self.discovery_url =
            format!("http{s}://127.0.0.1:{}{}", discovery.client_port, discovery::PATH);
        let url = |port| format!("ws{s}://127.0.0.1:{port}/");
        self.node_urls = client_ports.iter().map(url).collect();
        self.each(|index, child| {
            let role = match index {
                index if index == config.nodes => Role::Discovery(client_ports.clone()),
                index => Role::Node(config.node_order(index, mesh_ports.clone())),
            };
            let (seed, cpu, connections) =
                (config.seed, config.cpu(index), config.connections(index));
            let (io_uring, tls) = (config.io_uring, tls.cloned());
            child.say(&Order { role, seed, cpu, connections, io_uring, tls })
        })?;
        let ready = self.each(|_, child| child.hear::<Ready>())?;
        self.io_uring = ready.iter().all(|child| child.io_uring);
        Ok(())
    }

    fn each<T>(
        &mut self,
        mut act: impl FnMut(usize, &mut Process) -> io::Result<T>,
    ) -> Result<Vec<T>, ClusterError> {
        let mut answers = Vec::with_capacity(self.children.len());
        for index in 0..self.children.len() {
            match act(index, &mut self.children[index]) {
                Ok(answer) => answers.push(answer),
                Err(source) => return Err(self.why_silent(index, source)),
            }
        }
        Ok(answers)
    }

    /// A line did not come: because the child has ended, most likely.
    fn why_silent(&mut self, index: usize, source: io::Error) -> ClusterError {
        let nodes = self.children.len() - 1;
        let child = name(index, nodes);
        let Some(status) = self.children[index].status_soon() else {
            return ClusterError::Silent { child, source };
        };
        let mut reason = self.children[index].end();
        // A node ends when one that it links to has: the other may know more.
        if let Some((other, words)) = self.other_words(index, &reason) {
            reason = format!("{reason}; {}: {words}", name(other, nodes));
        }
        ClusterError::Ended { child, status: status.to_string(), reason }
    }

    /// The last words of another child that ends at its start and says something else. Its links end before its
    /// process does: that is waited for a little.
    fn other_words(&mut self, index: usize, words: &str) -> Option<(usize, String)> {
        let until = Instant::now() + LAST_WORDS;
        loop {
            let others = self.children.iter_mut().enumerate().filter(|(other, _)| *other != index);
            let mut ended = others.filter_map(|(other, child)| Some((other, child.ended()?.1)));
            let found = ended.find(|(_, other)| other != words);
            if found.is_some() || Instant::now() >= until {
                return found;
            }
            thread::sleep(WATCH_PERIOD);
        }
    }

    /// Where the nodes are asked for: `http://127.0.0.1:PORT/api/clients`, with TLS `https://`.
    pub fn discovery_url(&self) -> &str {
        &self.discovery_url
    }

    /// `ws://127.0.0.1:PORT/` (with TLS `wss://`) of each node, in order; the ports ascend.
    pub fn node_urls(&self) -> &[String] {
        &self.node_urls
    }

    /// Whom to trust to be let in, in PEM, where clients come in over TLS.
    pub fn certificate(&self) -> Option<&str> {
        self.certificate.as_deref()
    }

    /// Whether its processes stand on io_uring; on a host that refuses it they use epoll.
    pub fn is_on_io_uring(&self) -> bool {
        self.io_uring
    }

    /// The process ids: the nodes in order, then the discovery.
    pub fn pids(&self) -> Vec<u32> {
        self.children.iter().map(Process::pid).collect()
    }

    /// Kills a node as `SIGKILL` does, and waits for its end. The discovery goes on listing it.
    ///
    /// # Panics
    /// When there is no node `index`.
    pub fn kill_node(&mut self, index: usize) {
        assert!(index < self.node_urls.len(), "there is no node {index}");
        self.children[index].end();
        self.children[index].forgive();
    }

    /// User and system time of all children since their start, from `/proc`; of children that have
    /// ended, up to the last look at them.
    pub fn cpu_time(&self) -> Nanos {
        let times = self.children.iter().map(Process::cpu_time);
        times.fold(Nanos::ZERO, Nanos::plus)
    }

    /// A child that has ended by itself since the last call: which, how, and its last line.
    pub fn child_died(&mut self) -> Option<String> {
        let nodes = self.node_urls.len();
        self.children.iter_mut().enumerate().find_map(|(index, child)| {
            let (status, reason) = child.ended()?;
            let colon = if reason.is_empty() { "" } else { ": " };
            Some(format!("{} ended ({status}){colon}{reason}", name(index, nodes)))
        })
    }

    /// As [`Cluster::child_died`], and waits for it to happen, but not longer than `at_most`.
    pub fn wait_for_death(&mut self, at_most: Duration) -> Option<String> {
        let deadline = Instant::now() + at_most;
        loop {
            let death = self.child_died();
            let left = deadline.saturating_duration_since(Instant::now());
            if death.is_some() || left.is_zero() {
                return death;
            }
            std::thread::sleep(left.min(WATCH_PERIOD));
        }
    }

    /// Whether any node's process is running.
    pub fn has_running_nodes(&mut self) -> bool {
        let nodes = self.node_urls.len();
        self.children[..nodes].iter_mut().any(Process::is_running)
    }
}

impl Drop for Cluster {
    /// Kills all of them before the first is waited for: they end together.
    fn drop(&mut self) {
        self.children.iter_mut().for_each(Process::kill);
    }
}

impl ClusterConfig {
    fn check(&self) -> Result<(), ClusterError> {
        if self.nodes == 0 {
            return Err(ClusterError::NoNodes);
        }
        if let Some(first) = self.node_port
            && usize::from(first) + self.nodes > 1 << 16
        {
            return Err(ClusterError::Ports { first, nodes: self.nodes });
        }
        for fault in &self.faults {
            let named = match fault.fault {
                Fault::Cut { from, to, .. } => [Some(from), Some(to)],
                _ => [fault.node, None],
            };
            if let Some(node) = named.into_iter().flatten().find(|node| *node >= self.nodes) {
                let (fault, nodes) = (fault.clone(), self.nodes);
                return Err(ClusterError::NoSuchNode { fault, node, nodes });
            }
        }
        Ok(())
    }

    /// For each child, the discovery last.
    fn listen(&self, child: usize) -> Listen {
        let is_node = child < self.nodes;
        let node_port = || self.node_port.map(|first| first + child as u16);
        Listen { port: if is_node { node_port() } else { self.port }, mesh: is_node }
    }

    fn cpu(&self, child: usize) -> Option<usize> {
        (!self.cpus.is_empty()).then(|| self.cpus[child % self.cpus.len()])
    }

    /// Of a child: nodes listen to each other, one connection in each direction.
    fn connections(&self, child: usize) -> Option<u64> {
        if child == self.nodes {
            return Some(ASKING_AT_ONCE);
        }
        self.clients.map(|clients| clients + 2 * self.nodes as u64)
    }

    fn node_order(&self, index: usize, mesh_ports: Vec<u16>) -> NodeOrder {
        NodeOrder {
            index,
            mesh_ports,
            relay: self.relay.then_some(self.audience),
            faults: self.faults.iter().map(ToString::to_string).collect(),
            fault_log: self.fault_log.clone(),
        }
    }
}

/// Starts so many processes, on as many CPUs as there are: until a process has begun to run its
/// executable, the thread that starts it stands still. After a failure the rest is missing.
fn start_all(executable: &Path, count: usize) -> Vec<io::Result<Process>> {
    let hands = thread::available_parallelism().map_or(1, usize::from).min(count);
    let share = |hand: usize| {
        let mut started = Vec::new();
        for index in (hand..count).step_by(hands) {
            let process = Process::start(executable);
            let failed = process.is_err();
            started.push((index, process));
            if failed {
                break;
            }
        }
        started
    };
    let mut started = thread::scope(|scope| {
        let start = |hand| thread::Builder::new().spawn_scoped(scope, move || share(hand));
        let helpers: Vec<_> = (1..hands).map(|hand| (hand, start(hand))).collect();
        let mut started = share(0);
        for (hand, helper) in helpers {
            started.extend(match helper {
                Ok(helper) => helper.join().expect("what starts processes does not panic"),
                // The system has no more threads: it may have processes.
                Err(_) => share(hand),
            });
        }
        started
    });
    started.sort_by_key(|(index, _)| *index);
    started.into_iter().map(|(_, process)| process).collect()
}

fn name(index: usize, nodes: usize) -> String {
    if index < nodes { format!("node {index}") } else { "discovery".to_owned() }
}

fn spawn_error(child: &str, source: io::Error) -> ClusterError {
    ClusterError::Spawn { child: child.to_owned(), source }
}
