//! `fanstorm cluster`: the reference cluster alone, in the foreground.
//!
//! Belongs here: its flags, what it prints, when it ends. Does not: the cluster itself.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;

use super::exit::Exit;
use super::grant;
use super::output::{ResultFile, UnwritableError};
use super::signals;
use crate::cli::values::EngineArg;
use crate::cluster::{Audience, Cluster, ClusterConfig, ClusterError, FAULTS, FaultSpec};
use crate::host::io_uring::Refusal;
use crate::host::io_words::{unnumbered, unwritten};
use crate::plan::backend;
use crate::plan::backend::{BackendChoice, Engine, EngineRefused};
use crate::report::sanitize::{plain, plain_lines};

/// How often signals are looked at.
const WATCH_PERIOD: Duration = Duration::from_millis(100);

/// The most nodes: each is a process.
const NODES_MAX: i64 = 256;

/// Flags of `cluster`.
#[derive(Args, Clone, Debug)]
#[command(after_help = faults_help())]
pub struct ClusterArgs {
    /// Nodes, each a process and linked with every other one
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u16).range(1..=NODES_MAX))]
    nodes: u16,

    /// Pass on bytes without reading them: the cluster that costs least
    #[arg(long)]
    relay: bool,

    /// A fault of all nodes, or of one with its number before it (0:drop=0.1%); may be repeated
    #[arg(long, value_name = "[NODE:]FAULT")]
    fault: Vec<FaultSpec>,

    /// Write down what each fault did, one JSON object a line
    #[arg(long, value_name = "FILE")]
    fault_log: Option<PathBuf>,

    /// Port of the discovery [default: any free one]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,

    /// Client port of the first node, the others' follow it [default: any free ones]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    node_port: Option<u16>,

    /// CPUs to spread the processes over, like 0,2
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    cores: Vec<usize>,

    /// What its processes ask the kernel through: io_uring, or epoll where the host withholds it (auto)
    #[arg(long, value_name = "NAME", default_value = "auto")]
    engine: EngineArg,

    /// Let clients in over TLS alone, with a certificate made for this cluster: it is written to FILE, which
    /// --cacert takes
    #[arg(long, hide = !cfg!(feature = "cluster-tls"), value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "fanstorm-cluster.pem")]
    tls: Option<PathBuf>,

    /// Seed of everything random: the discovery's order, ids, faults
    #[arg(long, value_name = "NUMBER", default_value = "42")]
    seed: u64,
}

fn faults_help() -> String {
    let mut help = String::from("Faults:\n");
    for (form, what) in FAULTS {
        help += &format!("  {form:<19}{what}\n");
    }
    help + "P is a probability (0.001 or 0.1%) for each copy, DUR a time (250ms), CODE a close code \
            (1001), K a count: of messages that the node has handled (stall, exit, cut), or of \
            copies on each connection (close, reset, bad-frame).\n\n\
            Example:\n  fanstorm cluster --port 8080 --fault 1:drop=0.1%\n      then, elsewhere: \
            fanstorm --discovery http://127.0.0.1:8080/api/clients"
}

/// Why it does not stand.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error(transparent)]
    File(#[from] UnwritableError),
    #[error("{0}")]
    Unwritten(UnwritableError),
    #[error(transparent)]
    Engine(#[from] EngineRefused),
    #[error("{}", unnumbered(.0))]
    Cluster(#[from] ClusterError),
    #[error("cannot take signals: {}", unnumbered(.0))]
    Signals(io::Error),
    #[error("the addresses cannot be printed: {}", unwritten(.0))]
    Addresses(io::Error),
}

impl StartError {
    const fn exit(&self) -> Exit {
        match self {
            Self::File(_) => Exit::Usage,
            Self::Cluster(error) if error.is_wrong_flag() => Exit::Usage,
            _ => Exit::Host,
        }
    }
}

/// Starts the cluster, prints its addresses, and waits for Ctrl-C or SIGTERM.
///
/// Exit code 0 after a signal, 1 when every node has ended by itself.
pub fn run(args: &ClusterArgs) -> ExitCode {
    stand(args).unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "error: {}", plain_lines(&error.to_string()));
        error.exit().into()
    })
}

fn stand(args: &ClusterArgs) -> Result<ExitCode, StartError> {
    // Before the first child: a signal during the start must not leave it to chance who cleans up.
    let is_asked_to_end = end_signal().map_err(StartError::Signals)?;
    let (engine, notice) = args.engine()?;
    let open = |flag, path: &Option<PathBuf>| {
        path.as_deref().map(|path| ResultFile::open(flag, path)).transpose()
    };
    // A pipe has its reader as long as it is open here.
    let _log = open("--fault-log", &args.fault_log)?.map(ResultFile::into_stream);
    let trust = open("--tls", &args.tls)?;
    let mut cluster = Cluster::start(&args.config(engine))?;
    if let Some((mut file, certificate)) = trust.zip(cluster.certificate()) {
        file.write(certificate.as_bytes()).map_err(StartError::Unwritten)?;
    }
    if notice || (engine == Engine::IoUring && !cluster.is_on_io_uring()) {
        let _ = writeln!(
            io::stderr(),
            "note: this host refuses io_uring (`fanstorm audit` says why): the cluster uses epoll"
        );
    }
    announce(&mut io::stdout().lock(), &cluster, args.tls.as_deref())
        .map_err(StartError::Addresses)?;
    Ok(watch(&mut cluster, &is_asked_to_end))
}

impl ClusterArgs {
    /// What it stands on, and whether that is for want of io_uring. Memory is no refusal here: the
    /// queues of a cluster are of another size than those that were tried.
    fn engine(&self) -> Result<(Engine, bool), EngineRefused> {
        match self.engine.into() {
            BackendChoice::Only(engine) => {
                backend::choose(BackendChoice::Only(engine), grant::io_uring)
                    .map(|(engine, _)| (engine, false))
            }
            BackendChoice::Auto => match grant::io_uring() {
                Ok(()) | Err(Refusal::Memory) => Ok((Engine::IoUring, false)),
                Err(_) => Ok((Engine::Epoll, true)),
            },
        }
    }

    fn config(&self, engine: Engine) -> ClusterConfig {
        ClusterConfig {
            nodes: self.nodes.into(),
            relay: self.relay,
            audience: Audience::All,
            faults: self.fault.clone(),
            seed: self.seed,
            cpus: self.cores.clone(),
            fault_log: self.fault_log.clone(),
            executable: None,
            port: self.port,
            node_port: self.node_port,
            clients: None,
            io_uring: engine == Engine::IoUring,
            tls: self.tls.is_some(),
        }
    }
}

fn end_signal() -> io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in signals::ends() {
        signal_hook::flag::register(signal, flag.clone())?;
    }
    Ok(flag)
}

fn announce(out: &mut impl Write, cluster: &Cluster, trust: Option<&Path>) -> io::Result<()> {
    writeln!(out, "discovery  {}", cluster.discovery_url())?;
    for (index, url) in cluster.node_urls().iter().enumerate() {
        writeln!(out, "node {index:<5} {url}")?;
    }
    if let Some(path) = trust {
        writeln!(out, "trust      --cacert {}", path.display())?;
    }
    out.flush()
}

/// A cluster with a dead node is a legitimate test: only without any node there is nothing to do.
fn watch(cluster: &mut Cluster, is_asked_to_end: &AtomicBool) -> ExitCode {
    while !is_asked_to_end.load(Ordering::Relaxed) {
        let mut death = cluster.wait_for_death(WATCH_PERIOD);
        while let Some(text) = death {
            let _ = writeln!(io::stderr(), "{}", plain(&text));
            death = cluster.child_died();
        }
        if !cluster.has_running_nodes() {
            let _ = writeln!(io::stderr(), "no node is left");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
