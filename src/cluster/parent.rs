//! Starting the cluster and ending it.
//!
//! Belongs here: child processes, from this side. Nothing else in the crate starts one.

use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::child::{Bound, Peers, READY, Role, to_json};
use super::fault::FaultSpec;
use crate::units::Nanos;

/// The hidden subcommand that makes a process a child.
pub(super) const CHILD_COMMAND: &str = "cluster-child";

/// What cluster to start.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// Number of nodes, at least 1.
    pub nodes: usize,
    /// Forward bytes without JSON: the null cluster.
    pub relay: bool,
    /// What shall go wrong.
    pub faults: Vec<FaultSpec>,
    /// Seed of ids, shuffling and faults.
    pub seed: u64,
    /// CPUs of the children, in turn; none: wherever the system puts them.
    pub cpus: Vec<usize>,
    /// File to which the children append what each fault did.
    pub fault_log: Option<PathBuf>,
    /// The executable with the hidden subcommand; `None` is this one.
    pub executable: Option<PathBuf>,
    /// Port of the discovery; `None` lets the system choose.
    pub port: Option<u16>,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            nodes: 3,
            relay: false,
            faults: Vec::new(),
            seed: 42,
            cpus: Vec::new(),
            fault_log: None,
            executable: None,
            port: None,
        }
    }
}

/// Why a cluster did not start.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The system refused a process.
    #[error("the reference cluster: cannot start {what}: {source}")]
    Spawn {
        /// Which child.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
    /// A child ended before it was ready.
    #[error("the reference cluster: {what} ended before it was ready; its message is above")]
    Died {
        /// Which child.
        what: String,
    },
    /// The fault log cannot be written.
    #[error("--fault-log {}: {source}", path.display())]
    FaultLog {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

/// One child and how to speak with it.
struct Member {
    what: String,
    child: Child,
    /// Held open: its end is the child's end.
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    reported: bool,
}

/// A running cluster. Dropping it ends the children.
pub struct Cluster {
    discovery: Member,
    nodes: Vec<Member>,
    discovery_url: String,
    node_urls: Vec<String>,
}

impl Cluster {
    /// Starts discovery and nodes and waits until the mesh is complete.
    ///
    /// # Errors
    /// See [`ClusterError`].
    pub fn start(config: &ClusterConfig) -> Result<Self, ClusterError> {
        if let Some(path) = &config.fault_log {
            std::fs::write(path, "")
                .map_err(|source| ClusterError::FaultLog { path: path.clone(), source })?;
        }
        let mut discovery = Member::start(config, None)?;
        let mut nodes = (0..config.nodes)
            .map(|index| Member::start(config, Some(index)))
            .collect::<Result<Vec<_>, _>>()?;
        let discovery_port = discovery.port()?;
        let ports = nodes.iter_mut().map(Member::port).collect::<Result<Vec<_>, _>>()?;
        let peers = Peers { ports: ports.clone() };
        for member in nodes.iter_mut().chain([&mut discovery]) {
            member.tell(&peers)?;
        }
        for member in nodes.iter_mut().chain([&mut discovery]) {
            member.await_ready()?;
        }
        Ok(Self {
            discovery,
            nodes,
            discovery_url: format!("http://127.0.0.1:{discovery_port}/api/clients"),
            node_urls: ports.iter().map(|port| format!("ws://127.0.0.1:{port}/")).collect(),
        })
    }

    /// Where the nodes are listed.
    pub fn discovery_url(&self) -> &str {
        &self.discovery_url
    }

    /// The nodes, by index.
    pub fn node_urls(&self) -> &[String] {
        &self.node_urls
    }

    /// Process ids: the discovery's, then the nodes'.
    pub fn pids(&self) -> Vec<u32> {
        std::iter::once(&self.discovery).chain(&self.nodes).map(|m| m.child.id()).collect()
    }

    /// Kills a node with SIGKILL; it stays listed, as the seed's dead nodes do.
    pub fn kill_node(&mut self, index: usize) {
        if let Some(node) = self.nodes.get_mut(index) {
            node.end();
        }
    }

    /// CPU time of the nodes so far, user and system, in steps of 10 ms (proc_pid_stat(5)).
    pub fn cpu_time(&self) -> Nanos {
        Nanos(self.nodes.iter().map(|node| cpu_time_ns(node.child.id())).sum())
    }

    /// A child that has ended by itself since the last call.
    pub fn child_died(&mut self) -> Option<String> {
        let died = |member: &mut &mut Member| {
            !member.reported && member.child.try_wait().is_ok_and(|status| status.is_some())
        };
        let member = std::iter::once(&mut self.discovery)
            .chain(&mut self.nodes)
            .find_map(|mut member| died(&mut member).then_some(member))?;
        member.reported = true;
        Some(member.what.clone())
    }

    /// True while a node lives.
    pub fn alive(&mut self) -> bool {
        let lives = |node: &mut Member| node.child.try_wait().is_ok_and(|status| status.is_none());
        self.nodes.iter_mut().any(lives)
    }
}

impl Member {
    fn start(config: &ClusterConfig, node: Option<usize>) -> Result<Self, ClusterError> {
        let what = node.map_or_else(|| "the discovery".into(), |index| format!("node {index}"));
        let failed = |source| ClusterError::Spawn { what: what.clone(), source };
        let executable = match &config.executable {
            Some(path) => path.clone(),
            None => std::env::current_exe().map_err(failed)?,
        };
        let mut child = Command::new(executable)
            .arg(CHILD_COMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let stdout = BufReader::new(stdout.expect("stdout is piped"));
        let mut member = Self { what, child, stdin, stdout, reported: false };
        let place = node.map_or(0, |index| index + 1);
        let cpu = config.cpus.get(place % config.cpus.len().max(1)).copied();
        member.tell(&Role {
            node,
            relay: config.relay,
            faults: config.faults.iter().map(ToString::to_string).collect(),
            seed: config.seed,
            cpu,
            port: if node.is_none() { config.port.unwrap_or(0) } else { 0 },
            fault_log: config.fault_log.clone(),
        })?;
        Ok(member)
    }

    fn died(&self) -> ClusterError {
        ClusterError::Died { what: self.what.clone() }
    }

    fn tell<T: serde::Serialize>(&mut self, value: &T) -> Result<(), ClusterError> {
        let written = to_json(value).and_then(|line| {
            let stdin = self.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
            writeln!(stdin, "{line}")
        });
        written.map_err(|_| self.died())
    }

    fn hear(&mut self) -> Result<String, ClusterError> {
        let mut line = String::new();
        match self.stdout.read_line(&mut line) {
            Ok(1..) => Ok(line),
            _ => Err(self.died()),
        }
    }

    fn port(&mut self) -> Result<u16, ClusterError> {
        let mut line = self.hear()?.into_bytes();
        let bound: Result<Bound, _> = simd_json::serde::from_slice(&mut line);
        bound.map(|bound| bound.port).map_err(|_| self.died())
    }

    fn await_ready(&mut self) -> Result<(), ClusterError> {
        if self.hear()?.trim() == READY { Ok(()) } else { Err(self.died()) }
    }

    fn end(&mut self) {
        self.reported = true;
        self.stdin = None;
        // It may have ended by itself: then there is nothing to kill, and the wait returns at once.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.end();
    }
}

/// User and system time of a process, 0 when it is gone.
fn cpu_time_ns(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The command's name may hold spaces and parentheses; fields are counted after the last one.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks * 1_000_000_000 / rustix::param::clock_ticks_per_second()
}
