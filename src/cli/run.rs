//! `fanstorm run`: the whole program on one screen.
//!
//! Belongs here: the order of things, and which exit code an error means. Does not: any of the
//! things themselves.

use std::io::{self, Write};

use super::args::{Embedded, RunArgs, Source};
use super::calibrate::calibrate;
use super::discover;
use super::exit::{Exit, exit_code};
use super::grant;
use super::need;
use super::output::{JsonTarget, Pipe, ResultFile};
use super::plots::Plots;
use super::resolve::Names;
use super::signals::Signals;
use super::view::View;
use crate::cluster::{Cluster, ClusterError};
use crate::engine::{self, EngineError, Stop, Surroundings};
use crate::host::cpus::{self, Demand, Placement};
use crate::host::facts::HostFacts;
use crate::host::limits::LimitError;
use crate::host::ports::{LocalPorts, check_source, is_this_host};
use crate::host::topology::{Nic, Topology};
use crate::host::{HostError, audit, clock, limits};
use crate::measure::floor::Floor;
use crate::measure::outcome::Outcome;
use crate::measure::verdict::Beside;
use crate::plan::Plan;
use crate::plan::descriptors::DescriptorError;
use crate::plan::engine::{self as engine_choice, Engine, EngineRefused};
use crate::plan::load::Load;
use crate::plan::notice::Notice;
use crate::plan::origins::OriginError;
use crate::plan::targets::{NodeUrl, PushNode, TargetError, Targets, distinct};
use crate::report::document::Document;
use crate::report::plain::plain_lines;
use crate::report::{Invocation, hlog, json};
use crate::units::Bytes;

/// Runs what the flags ask for. Whatever happens, the answer is an exit code and, if it is no
/// success, at least one line that says what is wrong, where, and what to do.
pub fn run(args: &RunArgs) -> Exit {
    attempt(args).unwrap_or_else(|error| fail(&error))
}

/// Says what is wrong, and gives the exit code for it.
pub(super) fn fail(error: &RunError) -> Exit {
    let _ = writeln!(io::stderr(), "error: {}", plain_lines(&error.to_string()));
    error.exit()
}

fn attempt(args: &RunArgs) -> Result<Exit, RunError> {
    let started_unix_ms = clock::unix_ms();
    let (source, load) = (args.source()?, Load::new(args.spec()?)?);
    let stop = Stop::default();
    let signals = Signals::ending_the_program(stop.flag()).map_err(RunError::Signals)?;
    let mut result_file = open_result(args)?;
    let mut log_file = args.hlog().map(|path| ResultFile::open("--hlog", path)).transpose()?;
    let embedded = matches!(source, Source::Embedded(_));
    let (engine, notice) = engine_choice::choose(args.engine(), grant::io_uring)?;
    limits::raise_descriptors();
    // Before an embedded cluster takes its part of what there is.
    let host = limits::Facts::read();
    let nodes = match &source {
        Source::Embedded(embedded) => Some(usize::from(embedded.nodes)),
        _ => None,
    };
    limits::tasks(&host, need::tasks(1, nodes)).map_err(HostError::from)?;

    let Stage { cluster, cluster_is, targets, placement, notices } =
        stage(args, source, &load, engine)?;
    let plan = Plan::new(load, targets, placement.workers, engine)?;
    let plan = settled(plan)?;
    let facts = audit::facts::Facts::read();
    let beside = beside(&plan, embedded, placement.shared);
    let shares = args.waits_by_itself() && !has_own_cpus(beside, &facts.host);
    let plan = if shares { plan.on_shared_cpus() } else { plan };
    let need = need::of(&plan, embedded, args.engine());
    limits::check(&host, &need.limits).map_err(|error| too_large(error, &plan, embedded))?;
    let surroundings = Surroundings {
        cpus_allowed: Some(cpus::allowed().len()),
        beside,
        smt_siblings: placement.siblings,
        shortfalls: audit::audit(&facts, &need).shortfalls(),
    };
    let why = (placement.why, placement.cluster);
    let nodes_here = args.waits_by_itself().then(|| nodes_here(&plan, beside)).flatten();
    let grouped = args.like_one_number();
    let notices = notice.iter().chain(&notices).chain(&nodes_here).chain(&grouped);
    notices.for_each(|notice| warn(&notice.to_string()));

    let invocation = invocation(started_unix_ms, cluster_is, why, &plan, facts.host);
    let begun = Document::begun(&plan, &invocation);
    let mut plots = Plots::open(args.hgrm(), &begun)?;
    let mut view = View::begin(&begun, args.sheet());
    signals.stop_the_run_first();
    let floor = args.calibrate().then(|| floor(&plan, &stop, &signals, &mut view));
    if let Some(floor) = &floor {
        view.hold_against(floor);
    }
    let mut outcome = engine::run(&plan, surroundings, &stop, &mut view)?;
    if let Some(floor) = &floor {
        outcome.runs.iter_mut().for_each(|run| floor.hold(run));
    }
    // Its processes are gone before the report says that all is over.
    drop(cluster);
    let document = begun.clone().calibrated(floor.as_ref()).ended(&outcome);
    let shown = view.end(&document);
    if let Some(target) = args.json() {
        let result = json::to_bytes(&document).expect("a document is made of numbers and text");
        write_result(target, result_file.as_mut(), &result);
    }
    plots.write(&document).iter().for_each(|error| warn(&error.to_string()));
    if let Some(file) = &mut log_file {
        write_log(file, &plan, started_unix_ms, &outcome);
    }
    if let Err(error) = shown {
        warn(&format!("the report could not be written: {error}"));
    }
    Ok(exit_code(&outcome))
}

/// Whether a worker that polls takes its CPU from nobody: neither from the cluster nor from a ration
/// that would then run out.
fn has_own_cpus(beside: Beside, host: &HostFacts) -> bool {
    beside == Beside::Nobody && host.cgroup_cpus.is_none()
}

/// Who may use the workers' CPUs. Our own cluster was given others, if there were any; of nodes that
/// others started on this host we do not know which they use.
fn beside(plan: &Plan, embedded: bool, shared: bool) -> Beside {
    match embedded {
        true => Beside::embedded(shared),
        false if here(plan) > 0 => Beside::Nodes,
        false => Beside::Nobody,
    }
}

/// Nodes whose address is this host's.
fn here(plan: &Plan) -> usize {
    plan.nodes.iter().filter(|node| is_this_host(node.addr.ip())).count()
}

fn nodes_here(plan: &Plan, beside: Beside) -> Option<Notice> {
    let notice = || Notice::NodesHere { here: here(plan), nodes: plan.nodes.len() };
    (beside == Beside::Nodes).then(notice)
}

/// With addresses and ports for every socket, and descriptors where there is room for them.
pub(super) fn settled(plan: Plan) -> Result<Plan, RunError> {
    let plan = plan.from_ports(LocalPorts::read())?;
    plan.source_samples().into_iter().try_for_each(check_source).map_err(HostError::from)?;
    Ok(plan.within_descriptors(limits::Facts::read().nofile)?)
}

/// The floor, and a warning where there is none. An interruption ends the calibration alone: whoever
/// means the run interrupts again.
fn floor(plan: &Plan, stop: &Stop, signals: &Signals, view: &mut View<'_>) -> Floor {
    let floor = calibrate(plan, stop, view);
    signals.stop_the_run_first();
    if let Some(failure) = &floor.failure {
        view.aside(|| {
            warn(&format!("--calibrate: {failure}; the run goes on without a whole floor"))
        });
    }
    floor
}

/// Who is talked to, from which CPUs. The embedded cluster lives as long as this does.
struct Stage {
    cluster: Option<Cluster>,
    /// Where the nodes come from, for the report.
    cluster_is: String,
    targets: Targets,
    placement: Placement,
    notices: Vec<Notice>,
}

fn stage(
    args: &RunArgs,
    source: Source<'_>,
    load: &Load,
    engine: Engine,
) -> Result<Stage, RunError> {
    match source {
        Source::Embedded(embedded) => on_embedded(args, &embedded, load, engine),
        Source::Discovery(url) => {
            let mut notices = Vec::new();
            let urls = distinct(discover::nodes(url, args.connect_timeout())?, &mut notices);
            on_others(args, &urls, format!("discovery {url}"), load, notices)
        }
        Source::Nodes(urls) => on_others(args, urls, "--node".to_owned(), load, Vec::new()),
    }
}

fn on_embedded(
    args: &RunArgs,
    embedded: &Embedded<'_>,
    load: &Load,
    engine: Engine,
) -> Result<Stage, RunError> {
    let mut notices = Vec::new();
    let placement = place(args, load, embedded.nodes.into(), None, &mut notices)?;
    let sockets = load.sockets(embedded.nodes.into());
    let cluster = Cluster::start(&embedded.config(&placement.cluster, sockets, engine))?;
    let url = cluster.discovery_url().parse().expect("the cluster makes a URL");
    let mut urls = discover::nodes(&url, args.connect_timeout())?;
    urls.sort_by_key(|url| place_of(url, cluster.node_urls()));
    let targets = targets(args, &urls, Ask::Only, &mut notices)?;
    let cluster_is = format!("{embedded}, discovery {url}");
    Ok(Stage { cluster: Some(cluster), cluster_is, targets, placement, notices })
}

/// Our own nodes keep their numbers, so that `--fault 1:…` and the report mean the same one: the
/// discovery's list is shuffled, and ports come in any order.
fn place_of(url: &NodeUrl, nodes: &[String]) -> Option<usize> {
    let address = |node: &String| node.parse::<NodeUrl>().ok()?.address();
    nodes.iter().position(|node| address(node) == url.address())
}

fn on_others(
    args: &RunArgs,
    urls: &[NodeUrl],
    mut cluster_is: String,
    load: &Load,
    mut notices: Vec<Notice>,
) -> Result<Stage, RunError> {
    let targets = targets(args, urls, Ask::AndTry, &mut notices)?;
    for partial in notices.iter().filter_map(Notice::partial) {
        cluster_is += &format!("; {partial}");
    }
    let placement = place(args, load, targets.len(), Some(&targets), &mut notices)?;
    Ok(Stage { cluster: None, cluster_is, targets, placement, notices })
}

/// What may be done to find out where a name leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// The name service is asked.
    Only,
    /// Also, which of several addresses takes connections.
    AndTry,
}

pub(super) fn targets(
    args: &RunArgs,
    urls: &[NodeUrl],
    ask: Ask,
    notices: &mut Vec<Notice>,
) -> Result<Targets, TargetError> {
    let push_node = args.push_node();
    let named = match &push_node {
        PushNode::Url(url) => Some(url),
        PushNode::First | PushNode::Index(_) => None,
    };
    let names = Names::of(urls.iter().chain(named), args.connect_timeout(), ask == Ask::AndTry);
    Targets::new(urls, &push_node, &|name, port| names.addresses(name, port), notices)
}

/// `others` are the nodes, where they are not our own.
pub(super) fn place(
    args: &RunArgs,
    load: &Load,
    nodes: usize,
    others: Option<&Targets>,
    notices: &mut Vec<Notice>,
) -> Result<Placement, RunError> {
    let demand = Demand {
        sockets: load.sockets(nodes),
        most_workers: load.most_workers(nodes),
        embedded: others.is_none(),
        nic: others.and_then(|targets| Nic::towards(targets.push_addr().ip())),
    };
    let placement = cpus::place(&cpus::allowed(), &Topology::read(), &args.cores(), &demand)?;
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

/// With what would fit, where memory is what there is too little of.
fn too_large(error: LimitError, plan: &Plan, embedded: bool) -> RunError {
    let LimitError::Memory { available, .. } = &error else { return HostError::from(error).into() };
    let connections: u64 = plan.connection_memory(embedded).iter().map(|(_, bytes)| bytes).sum();
    let messages = plan.messages_within(available.saturating_sub(connections));
    if messages == 0 {
        return HostError::from(error).into();
    }
    let lasts = plan.shape.rate().map(|rate| (messages as f64 / rate.as_f64()) as u64);
    let lasts = lasts.map(|s| format!(", or --duration {s}s at this rate")).unwrap_or_default();
    RunError::TooLarge { error, fits: format!("--messages {messages} would fit{lasts}") }
}

fn invocation(
    started_unix_ms: u64,
    cluster: String,
    (placement, cluster_cpus): (String, Vec<usize>),
    plan: &Plan,
    host: HostFacts,
) -> Invocation {
    Invocation {
        args: std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect(),
        started_unix_ms,
        cluster,
        placement,
        cluster_cpus,
        memory: Bytes(plan.largest_memory().total()),
        host,
    }
}

pub(super) fn open_result(args: &RunArgs) -> Result<Option<ResultFile>, RunError> {
    match args.json() {
        Some(JsonTarget::File(path)) => Ok(Some(ResultFile::open("--json", path)?)),
        _ => Ok(None),
    }
}

/// A result is never lost: where its file fails it, it goes to standard output.
pub(super) fn write_result(target: &JsonTarget, file: Option<&mut ResultFile>, result: &[u8]) {
    let written = match (target, file) {
        (JsonTarget::File(_), Some(file)) => file.write(result),
        _ => return print(result),
    };
    if let Err(error) = written {
        warn(&format!("{error}; the result goes to standard output"));
        print(result);
    }
}

/// Unlike the result it is not worth standard output: what it holds beyond the result is of use to
/// programs that read files.
fn write_log(file: &mut ResultFile, plan: &Plan, started_unix_ms: u64, outcome: &Outcome) {
    let mut log = Vec::new();
    hlog::write(&mut log, plan, started_unix_ms, outcome).expect("memory takes every log");
    if let Err(error) = file.write(&log) {
        warn(&format!("{error}; there is no interval log, the result is not affected"));
    }
}

fn print(result: &[u8]) {
    if let Err(error) = Pipe::new(io::stdout().lock()).write_all(result) {
        warn(&format!("standard output: {error}"));
    }
}

pub(super) fn warn(text: &str) {
    let _ = writeln!(io::stderr(), "warning: {}", plain_lines(text));
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum RunError {
    /// Flags exclude each other.
    Contradiction(#[from] super::contradiction::Contradiction),
    /// The load cannot be run.
    Load(#[from] crate::plan::load::LoadError),
    /// The load does not fit the targets.
    Plan(#[from] crate::plan::PlanError),
    /// Descriptors cannot live where they should.
    Descriptors(#[from] DescriptorError),
    /// The sources do not suit the nodes.
    Origin(#[from] OriginError),
    /// The CPUs asked for are not there.
    Cores(#[from] cpus::CoresError),
    /// There is no such node.
    Target(#[from] TargetError),
    /// The result has nowhere to go.
    Unwritable(#[from] super::output::UnwritableError),
    /// The host refuses what the workers are to stand on.
    Refused(#[from] EngineRefused),
    /// The host cannot run it.
    Host(#[from] HostError),
    /// A row that does not fit into memory, and how large a one would.
    #[error("{error}; with all else as it is, {fits}")]
    TooLarge {
        /// What takes it.
        error: LimitError,
        /// As flags.
        fits: String,
    },
    /// The discovery names no nodes.
    Discover(#[from] discover::DiscoverError),
    /// The cluster cannot be reached, or the run broke down.
    Engine(#[from] EngineError),
    /// The embedded cluster does not start.
    Cluster(#[from] ClusterError),
    /// A file of the audit has nowhere to go.
    Fix(#[from] super::fix::FixError),
    /// Handlers cannot be installed.
    #[error("cannot take signals: {0}")]
    Signals(io::Error),
}

impl RunError {
    fn exit(&self) -> Exit {
        match self {
            Self::Origin(OriginError::Ports { .. }) => Exit::Host,
            Self::Target(TargetError::Unresolved { .. }) | Self::Discover(_) => Exit::Unreachable,
            Self::Contradiction(_)
            | Self::Load(_)
            | Self::Plan(_)
            | Self::Origin(_)
            | Self::Descriptors(_)
            | Self::Cores(_)
            | Self::Target(_)
            | Self::Unwritable(_)
            | Self::Fix(_) => Exit::Usage,
            Self::Refused(_) | Self::Host(_) | Self::TooLarge { .. } | Self::Signals(_) => {
                Exit::Host
            }
            Self::Cluster(error) => match error {
                ClusterError::NoNodes
                | ClusterError::NoSuchNode { .. }
                | ClusterError::Ports { .. }
                | ClusterError::FaultLog { .. } => Exit::Usage,
                ClusterError::Spawn { .. }
                | ClusterError::Ended { .. }
                | ClusterError::Silent { .. } => Exit::Host,
            },
            Self::Engine(error) => match error {
                EngineError::Unreachable(_)
                | EngineError::TooFew { .. }
                | EngineError::NotReady(..) => Exit::Unreachable,
                EngineError::Interrupted => Exit::Interrupted,
                EngineError::NoThread(_) | EngineError::Host { .. } => Exit::Host,
            },
        }
    }
}
