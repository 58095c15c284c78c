//! A child process: learns its role from its parent, plays it, and never outlives the parent.
//!
//! The parent speaks on the child's stdin, the child answers on stdout, a line of JSON each:
//! role → port → peers → ready. After that a thread of its own waits for the end of stdin, which comes
//! when the parent ends, however it ends, SIGKILL included.

use std::io::{self, BufRead, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use super::{discovery, node};

/// What a child is to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Role {
    /// Index of the node; `None` for the discovery.
    pub(super) node: Option<usize>,
    /// Forward bytes without reading them.
    pub(super) relay: bool,
    /// Fault specifications of the whole cluster.
    pub(super) faults: Vec<String>,
    /// Seed of everything random.
    pub(super) seed: u64,
    /// CPU to run on.
    pub(super) cpu: Option<usize>,
    /// Port to listen on; 0 lets the system choose.
    pub(super) port: u16,
    /// Where faults are logged.
    pub(super) fault_log: Option<PathBuf>,
}

/// The child's first answer.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Bound {
    /// The port that it listens on.
    pub(super) port: u16,
}

/// Who else there is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Peers {
    /// Ports of the nodes, by index.
    pub(super) ports: Vec<u16>,
}

/// The child's second answer.
pub(super) const READY: &str = "ready";

/// Plays a child until the parent ends; the exit code is for the parent's eyes only.
pub fn child_main() -> ExitCode {
    match play() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cluster child: {error}");
            ExitCode::FAILURE
        }
    }
}

fn play() -> io::Result<()> {
    let role: Role = hear()?;
    if let Some(cpu) = role.cpu {
        core_affinity::set_for_current(core_affinity::CoreId { id: cpu });
    }
    raise_descriptors();
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, role.port)))?;
    say(&to_json(&Bound { port: listener.local_addr()?.port() })?)?;
    let peers: Peers = hear()?;
    std::thread::spawn(|| {
        // Nothing more is said: this ends with the parent.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });
    match role.node {
        None => discovery::serve(&listener, &peers.ports, role.seed),
        Some(index) => node::serve(listener, index, &peers.ports, &role),
    }
}

/// Every descriptor that we may have: a cluster under test holds many clients.
fn raise_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // As far as it goes: too few show as refused connections.
    let _ = setrlimit(Resource::Nofile, limit);
}

fn hear<T: serde::de::DeserializeOwned>() -> io::Result<T> {
    let mut line = String::new();
    // Not more than the line may be read: the rest belongs to the next one.
    io::stdin().lock().read_line(&mut line)?;
    let mut bytes = line.into_bytes();
    if bytes.is_empty() {
        // The parent is gone already.
        std::process::exit(0);
    }
    simd_json::serde::from_slice(&mut bytes).map_err(io::Error::other)
}

pub(super) fn say(line: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

pub(super) fn to_json<T: Serialize>(value: &T) -> io::Result<String> {
    simd_json::serde::to_string(value).map_err(io::Error::other)
}
