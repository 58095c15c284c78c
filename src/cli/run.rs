//! `fanstorm run`: the whole program on one screen.
//!
//! Belongs here: the order of things, and which exit code an error means. Does not: any of the
//! things themselves.

use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};

use super::args::{NodeSource, RunArgs};
use super::calibrate::calibrate;
use super::claims::OutputError;
use super::discover::{self, DiscoverError};
use super::embedded::{Embedded, end};
use super::exit::{Exit, exit_code};
use super::grant;
use super::metrics::MetricsError;
use super::need;
use super::output::warn;
use super::outputs::Outputs;
use super::resolve::Names;
use super::signals::Signals;
use super::tls_args::TlsArgs;
use super::upgrade_args::recorded;
use super::view::{Output, View};
use crate::audit;
use crate::cluster::{Cluster, ClusterError};
use crate::engine::{EngineError, Stop};
use crate::experiment::Experiment;
use crate::host::cpus::{self, Demand, Placement};
use crate::host::facts::HostFacts;
use crate::host::io_words::unnumbered;
use crate::host::limits::LimitError;
use crate::host::ports::{LocalPorts, check_source, is_this_host};
use crate::host::topology::{Nic, Topology};
use crate::host::{HostError, clock, limits};
use crate::notice::Notice;
use crate::plan::Plan;
use crate::plan::backend as engine_choice;
use crate::plan::backend::{Engine, EngineRefused};
use crate::plan::descriptors::DescriptorError;
use crate::plan::draft::{Cpus, Draft};
use crate::plan::load::Load;
use crate::plan::local_addrs::LocalAddrError;
use crate::population::nodes::{Node, NodeUrl, PushNode, TargetError, Targets, distinct};
use crate::report::Invocation;
use crate::report::document::failed::Failed;
use crate::report::document::{Document, Tool};
use crate::report::sanitize::plain_lines;
use crate::tls::TlsError;
use crate::units::Bytes;
use crate::verdict::baseline::Baseline;
use crate::verdict::{Beside, Surroundings};

/// Runs what the flags ask for. Whatever happens, the answer is an exit code and, if it is no
/// success, at least one line that says what is wrong, where, and what to do.
pub fn run(args: &RunArgs) -> Exit {
    let started_unix_ms = clock::unix_ms();
    let mut outputs = Outputs::default();
    let attempted =
        panic::catch_unwind(AssertUnwindSafe(|| attempt(args, started_unix_ms, &mut outputs)));
    let tool = || Tool::of(&arguments(), args.seed(), started_unix_ms);
    match attempted {
        Ok(Ok(exit)) => {
            outputs.linger(args, exit);
            exit
        }
        Ok(Err(error)) => {
            let exit = fail(&error);
            let is_safe = match &error {
                // One of the two may be somebody's file.
                RunError::Output(OutputError::SameFile(_)) => false,
                RunError::Output(OutputError::Unwritable(_)) => outputs.has_json(),
                _ => true,
            };
            if is_safe {
                let phase = error.phase().unwrap_or_else(|| outputs.phase()).into();
                let cause = error.to_string().replace('\n', "; ").into();
                outputs.write_failure(
                    args,
                    tool(),
                    Failed { phase, cause, exit_code: exit.code() },
                );
            }
            exit
        }
        Err(panic) => {
            let (phase, exit_code) = (outputs.phase().into(), PANICKED);
            let cause = "a defect of fanstorm: it panicked; standard error says where".into();
            outputs.write_failure(args, tool(), Failed { phase, cause, exit_code });
            panic::resume_unwind(panic)
        }
    }
}

/// The exit code of a Rust program that panics.
const PANICKED: u8 = 101;

/// Says what is wrong, and gives the exit code for it.
pub(super) fn fail(error: &RunError) -> Exit {
    let _ = writeln!(io::stderr(), "error: {}", plain_lines(&error.to_string()));
    error.exit()
}

fn attempt(args: &RunArgs, started_unix_ms: u64, outputs: &mut Outputs) -> Result<Exit, RunError> {
    outputs.entering("host");
    let (source, load) = (args.source()?, Load::new(args.spec()?)?);
    let stop = Stop::default();
    outputs.signals = Some(Signals::ending_the_program(stop.flag()).map_err(RunError::Signals)?);
    outputs.open(args)?;
    outputs.metrics = args.metrics().open(started_unix_ms, args.sheet() != Output::Quiet)?;
    let embedded = matches!(source, NodeSource::Embedded(_));
    let (engine, notice) = engine_choice::choose(args.engine(), grant::io_uring)?;
    limits::raise_descriptors();
    // Before an embedded cluster takes its part of what there is.
    let host = limits::HostLimits::read();
    limits::mappings(&host, &limits::ResourceDemand::default()).map_err(HostError::from)?;
    let nodes = match &source {
        NodeSource::Embedded(embedded) => Some(usize::from(embedded.nodes)),
        _ => None,
    };
    limits::tasks(&host, need::tasks(1, nodes)).map_err(HostError::from)?;

    let Stage { cluster, cluster_is, tls, targets, placement, notices } =
        stage(args, source, &load, engine)?;
    let facts = audit::facts::Facts::read();
    let beside = beside(&targets.nodes, embedded, placement.shared);
    let cpus = whose_cpus(beside, &facts.host);
    let tls = tls.client(&targets.nodes)?;
    let draft = Draft::new(load, targets, placement.workers, engine)?.trusting(tls);
    let plan = settled(draft, cpus)?;
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
    let (grouped, rows) =
        (args.like_one_number(), args.upgrade().too_few_rows(&plan.upgrade, plan.sockets()));
    let notices = notice.iter().chain(&notices).chain(&nodes_here).chain(&grouped).chain(&rows);
    notices.for_each(|notice| warn(&notice.to_string()));

    let invocation = invocation(started_unix_ms, cluster_is, why, &plan, facts.host);
    let begun = Document::begun(&plan, &invocation);
    outputs.open_plots(args, &begun)?;
    let mut view = View::begin(&begun, args.sheet(), outputs.metrics.as_ref());
    #[cfg(feature = "live")]
    view.show_live(args.live(), &begun, outputs.signals.as_mut());
    let floor = floor(args, &plan, &stop, outputs, &mut view)?;
    outputs.entering("run");
    let (surroundings, baseline) = (&surroundings, floor.as_ref());
    let experiment = Experiment { plan: &plan, surroundings, baseline, stop: &stop };
    let outcome = experiment.run(&mut view);
    outputs.entering(view.phase());
    let outcome = outcome?;
    view.finish();
    // Its processes are gone before the report says that all is over.
    let logged = end(cluster);
    let document = begun.clone().calibrated(floor.as_ref()).ended(&outcome);
    let written = outputs.write(&document, (&plan, &outcome), || view.end(&document));
    Ok(exit_code(&outcome).with_outputs(written && logged))
}

/// Whether a worker that polls takes its CPU from nobody: neither from the cluster nor from a ration
/// that would then run out.
fn whose_cpus(beside: Beside, host: &HostFacts) -> Cpus {
    let own = beside == Beside::Nobody && host.cgroup_cpus.is_none();
    if own { Cpus::Own } else { Cpus::Shared }
}

/// Who may use the workers' CPUs. Our own cluster was given others, if there were any; of nodes that
/// others started on this host we do not know which they use.
fn beside(nodes: &[Node], embedded: bool, shared: bool) -> Beside {
    match embedded {
        true => Beside::embedded(shared),
        false if here(nodes) > 0 => Beside::Nodes,
        false => Beside::Nobody,
    }
}

/// Nodes whose address is this host's.
fn here(nodes: &[Node]) -> usize {
    nodes.iter().filter(|node| is_this_host(node.addr.ip())).count()
}

fn nodes_here(plan: &Plan, beside: Beside) -> Option<Notice> {
    let notice = || Notice::NodesHere { here: here(&plan.nodes), nodes: plan.nodes.len() };
    (beside == Beside::Nodes).then(notice)
}

/// With addresses and ports for every socket, and descriptors where there is room for them.
pub(super) fn settled(draft: Draft, cpus: Cpus) -> Result<Plan, RunError> {
    let draft = draft.from_ports(LocalPorts::read())?;
    draft.source_samples().into_iter().try_for_each(check_source).map_err(HostError::from)?;
    Ok(draft.plan(limits::HostLimits::read().nofile, cpus)?)
}

/// The floor, and a warning where there is none. Ctrl-C ends the calibration alone: whoever means the run
/// presses it again. Another signal is no person's, and means the run.
fn floor(
    args: &RunArgs,
    plan: &Plan,
    stop: &Stop,
    outputs: &mut Outputs,
    view: &mut View,
) -> Result<Option<Baseline>, RunError> {
    outputs.entering("calibrate");
    let signals = outputs.signals.as_ref().expect("a run has its handlers before it begins");
    signals.stop_the_run_first();
    if !args.calibrate() {
        return Ok(None);
    }
    let floor = calibrate(plan, stop, view);
    if signals.terminated() {
        return Err(EngineError::Interrupted.into());
    }
    signals.stop_the_run_first();
    if let Some(failure) = &floor.failure {
        view.aside(|| {
            warn(&format!("--calibrate: {failure}; the run goes on without a whole floor"))
        });
    }
    Ok(Some(floor))
}

/// Who is talked to, from which CPUs. The embedded cluster lives as long as this does.
struct Stage {
    cluster: Option<Cluster>,
    /// Where the nodes come from, for the report.
    cluster_is: String,
    tls: TlsArgs,
    targets: Targets,
    placement: Placement,
    notices: Vec<Notice>,
}

fn stage(
    args: &RunArgs,
    source: NodeSource<'_>,
    load: &Load,
    engine: Engine,
) -> Result<Stage, RunError> {
    match source {
        NodeSource::Embedded(embedded) => on_embedded(args, &embedded, load, engine),
        NodeSource::Discovery(url) => {
            let mut notices = Vec::new();
            let listed =
                discover::nodes(url, args.tls(), args.connect_timeout(), args.discovery_bytes())?;
            let urls = distinct(listed, &mut notices);
            on_others(args, &urls, format!("discovery {url}"), load, notices)
        }
        NodeSource::Nodes(urls) => on_others(args, urls, "--node".to_owned(), load, Vec::new()),
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
    let tls = args.tls().beside(cluster.certificate());
    let mut urls = discover::nodes(&url, &tls, args.connect_timeout(), args.discovery_bytes())?;
    urls.sort_by_key(|url| place_of(url, cluster.node_urls()));
    let targets = targets(args, &urls, Ask::Only, &mut notices)?;
    let cluster_is = format!("{embedded}, discovery {url}");
    Ok(Stage { cluster: Some(cluster), cluster_is, tls, targets, placement, notices })
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
    let tls = args.tls().clone();
    Ok(Stage { cluster: None, cluster_is, tls, targets, placement, notices })
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
    let urls = &args.upgrade().connected(urls);
    let push_node = match args.push_node() {
        PushNode::Url(url) => PushNode::Url(args.upgrade().connected(&[url]).remove(0)),
        other => other,
    };
    let named = match &push_node {
        PushNode::Url(url) => Some(url),
        PushNode::First | PushNode::Index(_) => None,
    };
    let names = Names::of(urls.iter().chain(named), args.connect_timeout(), ask == Ask::AndTry);
    let resolver = |name: &str, port| names.addresses(name, port);
    let spread: Vec<_> = match args.spreads() {
        true => urls.iter().flat_map(|url| url.at_each_address(&resolver)).collect(),
        false => urls.clone(),
    };
    Targets::new(&spread, &push_node, &resolver, notices)
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
    let available = match &error {
        LimitError::Memory { available, .. } => *available,
        LimitError::Mappings { limit, .. } => limit.free(),
        _ => return HostError::from(error).into(),
    };
    let connections: u64 = plan.connection_memory(embedded).iter().map(|(_, bytes)| bytes).sum();
    let messages = plan.messages_within(available.saturating_sub(connections));
    if messages == 0 {
        return HostError::from(error).into();
    }
    let law = plan.largest_trial().profile.due_times();
    let lasts = law.map(|law| law.seconds_for(messages) as u64);
    let lasts = lasts.map(|s| format!(", or --duration {s}s at this rate")).unwrap_or_default();
    RunError::TooLarge { error, fits: format!("--messages {messages} would fit{lasts}") }
}

/// What the program was called with, without secrets.
pub(super) fn arguments() -> Vec<String> {
    recorded(std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()))
}

fn invocation(
    started_unix_ms: u64,
    cluster: String,
    (placement, cluster_cpus): (String, Vec<usize>),
    plan: &Plan,
    host: HostFacts,
) -> Invocation {
    Invocation {
        args: arguments(),
        started_unix_ms,
        cluster,
        placement,
        cluster_cpus,
        memory: Bytes(plan.largest_memory().total()),
        host,
    }
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum RunError {
    /// Flags exclude each other.
    FlagConflict(#[from] crate::cli::conflicts::FlagConflict),
    /// The load cannot be run.
    Load(#[from] crate::plan::load::LoadError),
    /// The load does not fit the targets.
    Plan(#[from] crate::plan::draft::PlanError),
    /// Descriptors cannot live where they should.
    Descriptors(#[from] DescriptorError),
    /// The sources do not suit the nodes.
    Origin(#[from] LocalAddrError),
    /// The CPUs asked for are not there.
    Cores(#[from] cpus::CoresError),
    /// There is no such node.
    Target(#[from] TargetError),
    /// Certificates cannot be read.
    Tls(#[from] TlsError),
    /// An output has nowhere to go.
    Output(#[from] OutputError),
    /// The host refuses what the workers are to stand on.
    Refused(#[from] EngineRefused),
    /// The host cannot run it.
    Host(#[from] HostError),
    /// A trial that does not fit into memory, and how large a one would.
    #[error("{error}; with all else as it is, {fits}")]
    TooLarge {
        /// What takes it.
        error: LimitError,
        /// As flags.
        fits: String,
    },
    /// The discovery names no nodes.
    Discover(#[from] DiscoverError),
    /// The cluster cannot be reached, or the run broke down.
    Engine(#[from] EngineError),
    /// The embedded cluster does not start.
    #[error("{}", unnumbered(.0))]
    Cluster(#[from] ClusterError),
    /// Nobody can scrape there.
    Metrics(#[from] MetricsError),
    /// A file of the audit has nowhere to go.
    Fix(#[from] super::fix::FixError),
    /// Handlers cannot be installed.
    #[error("cannot take signals: {}", unnumbered(.0))]
    Signals(io::Error),
}

impl RunError {
    /// When it happened, as a result file says it; none where the engine has been about it.
    fn phase(&self) -> Option<&'static str> {
        Some(match self {
            Self::Target(TargetError::Unresolved { .. }) => "resolve",
            Self::Discover(DiscoverError::Trust(_)) => "arguments",
            Self::Discover(_) => "discover",
            Self::Cluster(error) if error.is_wrong_flag() => "arguments",
            Self::Cluster(_) => "cluster",
            Self::Engine(EngineError::Unreachable(failures)) => failures.first()?.phase,
            Self::Engine(EngineError::TooFew { failures, .. }) => failures.first()?.phase,
            Self::Engine(EngineError::NotReady(..)) => "probe",
            Self::Engine(_) => return None,
            _ if self.exit() == Exit::Host => "host",
            _ => "arguments",
        })
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Origin(LocalAddrError::Ports { .. }) => Exit::Host,
            Self::Discover(DiscoverError::Trust(_)) => Exit::Usage,
            Self::Target(TargetError::Unresolved { .. }) | Self::Discover(_) => Exit::Unreachable,
            Self::FlagConflict(_)
            | Self::Load(_)
            | Self::Plan(_)
            | Self::Origin(_)
            | Self::Descriptors(_)
            | Self::Cores(_)
            | Self::Target(_)
            | Self::Tls(_)
            | Self::Output(_)
            | Self::Fix(_) => Exit::Usage,
            Self::Refused(_) | Self::Host(_) | Self::TooLarge { .. } | Self::Signals(_) => {
                Exit::Host
            }
            Self::Cluster(error) if error.is_wrong_flag() => Exit::Usage,
            Self::Metrics(error) if error.is_wrong_flag() => Exit::Usage,
            Self::Cluster(_) | Self::Metrics(_) => Exit::Host,
            Self::Engine(error) => match error {
                EngineError::Unreachable(_)
                | EngineError::TooFew { .. }
                | EngineError::NotReady(..)
                | EngineError::HearsItself { .. } => Exit::Unreachable,
                EngineError::Interrupted => Exit::Interrupted,
                EngineError::NoThread(_) | EngineError::Host { .. } => Exit::Host,
            },
        }
    }
}
