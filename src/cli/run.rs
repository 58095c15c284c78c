//! `fanstorm run`: the whole program on one screen.
//!
//! Belongs here: the order of things, and which exit code an error means. Does not: any of the
//! things themselves.

use std::io::{self, Write};
use std::net::ToSocketAddrs;
use std::time::{SystemTime, UNIX_EPOCH};

use super::args::{Embedded, RunArgs, Source};
use super::discover;
use super::exit::{Exit, exit_code};
use super::output::{JsonTarget, Pipe, ResultFile};
use super::signals::Signals;
use super::view::View;
use crate::cluster::{Cluster, ClusterConfig};
use crate::engine::ring::uring::{RingConfig, UringRing};
use crate::engine::{self, EngineError, Stop, Surroundings};
use crate::host::cpus::{self, Demand, Placement};
use crate::host::facts::HostFacts;
use crate::host::{HostError, io_uring, limits};
use crate::plan::Plan;
use crate::plan::load::Load;
use crate::plan::notice::Notice;
use crate::plan::targets::{NodeUrl, TargetError, Targets};
use crate::report::json::document::Document;
use crate::report::{Invocation, json};
use crate::units::Bytes;

/// Runs what the flags ask for. Whatever happens, the answer is an exit code and, if it is no
/// success, at least one line that says what is wrong, where, and what to do.
pub fn run(args: &RunArgs) -> Exit {
    attempt(args).unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "error: {error}");
        error.exit()
    })
}

fn attempt(args: &RunArgs) -> Result<Exit, RunError> {
    let (source, load) = (args.source()?, Load::new(args.spec())?);
    let stop = Stop::default();
    let signals = Signals::ending_the_program(stop.flag()).map_err(RunError::Signals)?;
    let mut result_file = open_result(args)?;
    io_uring::probe(smallest_ring).map_err(HostError::from)?;
    limits::raise_descriptors();

    let mut notices = Vec::new();
    let Stage { targets, placement, cluster } = stage(args, source, &load, &mut notices)?;
    let surroundings = Surroundings {
        cpus_allowed: Some(cpus::allowed().len()),
        cluster_shares_cores: placement.shared,
    };
    let plan = Plan::new(load, targets, placement.workers)?;
    limits::check(&limits::Facts::read(), &need(&plan)).map_err(HostError::from)?;
    notices.iter().for_each(|notice| warn(&notice.to_string()));

    let invocation = invocation(args, &plan);
    let mut view = View::new(&plan, &invocation, report_writer(args), args.quiet());
    view.header();
    signals.stop_the_run_first();
    let outcome = engine::run(&plan, surroundings, &stop, &mut view)?;
    view.end(&outcome);
    drop(cluster);
    if let Some(target) = args.json() {
        write_result(target, result_file.as_mut(), &json::document(&plan, &invocation, &outcome));
    }
    Ok(exit_code(&outcome))
}

/// Who is talked to, from which CPUs; the embedded cluster lives as long as this does.
struct Stage {
    targets: Targets,
    placement: Placement,
    cluster: Option<Cluster>,
}

fn stage(
    args: &RunArgs,
    source: Source<'_>,
    load: &Load,
    notices: &mut Vec<Notice>,
) -> Result<Stage, RunError> {
    match source {
        Source::Embedded(embedded) => {
            let placement = place(args, load, embedded.nodes.into(), true, notices)?;
            let cluster = start(&embedded, &placement)?;
            let url = cluster.discovery_url().parse().expect("our own discovery has a URL");
            let mut urls = discover::nodes(&url, args.connect_timeout())?;
            // The discovery shuffles; --fault and its log count the nodes as the cluster does.
            urls.sort_by_key(|url| place_of(url, &cluster));
            let targets = targets(args, &urls, notices)?;
            Ok(Stage { targets, placement, cluster: Some(cluster) })
        }
        Source::Discovery(url) => {
            let urls = discover::nodes(url, args.connect_timeout())?;
            outside(args, &urls, load, notices)
        }
        Source::Nodes(urls) => outside(args, urls, load, notices),
    }
}

fn place_of(url: &NodeUrl, cluster: &Cluster) -> Option<usize> {
    let is_it = |own: &String| own.parse().is_ok_and(|own: NodeUrl| own.port() == url.port());
    cluster.node_urls().iter().position(is_it)
}

fn outside(
    args: &RunArgs,
    urls: &[NodeUrl],
    load: &Load,
    notices: &mut Vec<Notice>,
) -> Result<Stage, RunError> {
    let targets = targets(args, urls, notices)?;
    let placement = place(args, load, targets.len(), false, notices)?;
    Ok(Stage { targets, placement, cluster: None })
}

fn targets(
    args: &RunArgs,
    urls: &[NodeUrl],
    notices: &mut Vec<Notice>,
) -> Result<Targets, TargetError> {
    let resolver = |host: &str, port: u16| Ok((host, port).to_socket_addrs()?.collect());
    Targets::new(urls, &args.push_node(), &resolver, notices)
}

fn place(
    args: &RunArgs,
    load: &Load,
    nodes: usize,
    embedded: bool,
    notices: &mut Vec<Notice>,
) -> Result<Placement, RunError> {
    let demand =
        Demand { sockets: load.sockets(nodes), most_workers: load.most_workers(nodes), embedded };
    let placement = cpus::place(&cpus::allowed(), &args.cores(), demand)?;
    if placement.dropped > 0 {
        let taken = placement.workers.len();
        let asked = taken + placement.dropped;
        notices.push(Notice::FewerCores { asked, taken, correlates: load.correlates() });
    }
    if placement.shared {
        notices.push(Notice::SharedCpus);
    }
    Ok(placement)
}

fn start(embedded: &Embedded<'_>, placement: &Placement) -> Result<Cluster, RunError> {
    let faults = embedded.faults.iter().map(|spec| spec.parse());
    let faults = faults.collect::<Result<_, _>>().map_err(RunError::Fault)?;
    let config = ClusterConfig {
        nodes: embedded.nodes.into(),
        relay: embedded.relay,
        faults,
        fault_log: embedded.fault_log.map(ToOwned::to_owned),
        seed: embedded.seed,
        cpus: placement.cluster.clone(),
        ..ClusterConfig::default()
    };
    Cluster::start(&config).map_err(RunError::Cluster)
}

/// A ring like a worker's, as small as it can be: whether the host lets us.
fn smallest_ring() -> io::Result<()> {
    UringRing::new(RingConfig { slots: 1, buffers: 1, buffer_bytes: 4096 }).map(drop)
}

/// What the reports say beyond plan and outcome.
fn invocation(args: &RunArgs, plan: &Plan) -> Invocation {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Invocation {
        args: std::env::args().skip(1).collect(),
        started_unix_ms: since.as_millis() as u64,
        cluster: args.cluster(),
        memory: Bytes(plan.largest_memory().total()),
        host: HostFacts::read(),
    }
}

fn need(plan: &Plan) -> limits::Need {
    let busiest = plan.push_node;
    limits::Need {
        sockets: plan.sockets(),
        sockets_to_busiest: plan.sockets_to(busiest),
        busiest: plan.nodes[busiest].url.clone(),
        memory: plan.largest_memory().parts().to_vec(),
    }
}

/// Standard output, unless the result has it.
fn report_writer(args: &RunArgs) -> Box<dyn Write> {
    match (args.quiet(), args.json()) {
        (true, _) => Box::new(io::sink()),
        (false, Some(JsonTarget::Stdout)) => Box::new(Pipe::new(io::stderr())),
        (false, _) => Box::new(Pipe::new(io::stdout())),
    }
}

fn open_result(args: &RunArgs) -> Result<Option<ResultFile>, RunError> {
    match args.json() {
        Some(JsonTarget::File(path)) => Ok(Some(ResultFile::open(path)?)),
        _ => Ok(None),
    }
}

/// A result is never lost: where its file fails it, it goes to standard output.
fn write_result(target: &JsonTarget, file: Option<&mut ResultFile>, document: &Document) {
    let result = json::to_bytes(document).expect("memory takes what it is given");
    let written = match (target, file) {
        (JsonTarget::File(_), Some(file)) => file.write(&result),
        _ => return print(&result),
    };
    if let Err(error) = written {
        warn(&format!("{error}; the result goes to standard output"));
        print(&result);
    }
}

fn print(result: &[u8]) {
    if let Err(error) = Pipe::new(io::stdout().lock()).write_all(result) {
        warn(&format!("standard output: {error}"));
    }
}

fn warn(text: &str) {
    let _ = writeln!(io::stderr(), "warning: {text}");
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum RunError {
    /// Flags exclude each other.
    Contradiction(#[from] super::args::Contradiction),
    /// The load cannot be run.
    Load(#[from] crate::plan::load::LoadError),
    /// The load does not fit the targets.
    Plan(#[from] crate::plan::PlanError),
    /// The CPUs asked for are not there.
    Cores(#[from] cpus::CoresError),
    /// There is no such node.
    Target(#[from] TargetError),
    /// The result has nowhere to go.
    Unwritable(#[from] super::output::UnwritableError),
    /// The host cannot run it.
    Host(#[from] HostError),
    /// The discovery names no nodes.
    Discover(#[from] discover::DiscoverError),
    /// The cluster cannot be reached, or the run broke down.
    Engine(#[from] EngineError),
    /// A fault that the embedded cluster does not know.
    #[error("--fault: {0}")]
    Fault(crate::cluster::faults::FaultError),
    /// The embedded cluster does not start.
    #[error("the embedded cluster does not start: {0}")]
    Cluster(crate::cluster::ClusterError),
    /// Handlers cannot be installed.
    #[error("cannot take signals: {0}")]
    Signals(io::Error),
}

impl RunError {
    fn exit(&self) -> Exit {
        match self {
            Self::Target(TargetError::Unresolved { .. }) | Self::Discover(_) => Exit::Unreachable,
            Self::Contradiction(_)
            | Self::Load(_)
            | Self::Plan(_)
            | Self::Cores(_)
            | Self::Target(_)
            | Self::Fault(_)
            | Self::Unwritable(_) => Exit::Usage,
            Self::Host(_) | Self::Cluster(_) | Self::Signals(_) => Exit::Host,
            Self::Engine(error) => match error {
                EngineError::Unreachable(_) | EngineError::NotReady(..) => Exit::Unreachable,
                EngineError::Interrupted => Exit::Interrupted,
                EngineError::Host { .. } => Exit::Host,
            },
        }
    }
}
