//! `fanstorm run`: the whole program on one screen.
//!
//! Belongs here: the order of things, and which exit code an error means. Does not: any of the
//! things themselves.

use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};

use super::args::RunArgs;
use super::calibrate::calibrate;
use super::claims::OutputError;
use super::conflicts::FlagConflict;
use super::discover;
use super::embedded::{Embedded, end};
use super::exit::{Exit, exit_code, search_exit};
use super::grant;
use super::need;
use super::node_source::NodeSource;
use super::output::warn;
use super::outputs::Outputs;
use super::resolve::Names;
use super::run_error::RunError;
use super::signals::Signals;
use super::tls_args::TlsArgs;
use super::upgrade_args::recorded;
use super::view::{Output, View};
use crate::audit;
use crate::cluster::Cluster;
use crate::engine::{EngineError, Stop};
use crate::experiment::search::search_plan::SearchPlan;
use crate::experiment::search::{Search, Searched};
use crate::experiment::{Experiment, Outcome};
use crate::host::cpus::{self, Demand, Placement};
use crate::host::facts::HostFacts;
use crate::host::limits::LimitError;
use crate::host::ports::{LocalPorts, check_source, is_this_host};
use crate::host::topology::{Nic, Topology};
use crate::host::{HostError, clock, limits};
use crate::notice::Notice;
use crate::plan::Plan;
use crate::plan::backend as engine_choice;
use crate::plan::backend::Engine;
use crate::plan::draft::{Cpus, Draft};
use crate::plan::load::Load;
use crate::population::nodes::{Node, NodeUrl, PushNode, TargetError, Targets, distinct};
use crate::report::Invocation;
use crate::report::document::failed::Failed;
use crate::report::document::{Document, Tool};
use crate::report::sanitize::plain_lines;
use crate::units::{Bytes, Rate};
use crate::verdict::baseline::Baseline;
use crate::verdict::{Beside, Surroundings};

/// What is searched, where that is asked for.
pub(super) type Question<'a> = &'a dyn Fn() -> Result<SearchPlan, FlagConflict>;

/// Runs what the flags ask for.
pub fn run(args: &RunArgs) -> Exit {
    answered(args, None)
}

/// Runs what the flags ask for, or searches where there is a question. Whatever happens, the answer is an exit code
/// and, if it is no success, at least one line that says what is wrong, where, and what to do.
pub(super) fn answered(args: &RunArgs, question: Option<Question<'_>>) -> Exit {
    let started_unix_ms = clock::unix_ms();
    let mut outputs = Outputs::default();
    let attempted = panic::catch_unwind(AssertUnwindSafe(|| {
        attempt(args, question, started_unix_ms, &mut outputs)
    }));
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

fn attempt(
    args: &RunArgs,
    question: Option<Question<'_>>,
    started_unix_ms: u64,
    outputs: &mut Outputs,
) -> Result<Exit, RunError> {
    outputs.entering("host");
    let source = args.source()?;
    let search = question.map(|question| question()).transpose()?;
    let (search, load) = (search.as_ref(), load(args, search.as_ref())?);
    let stop = Stop::default();
    outputs.signals = Some(Signals::ending_the_program(stop.flag()).map_err(RunError::Signals)?);
    outputs.open(args)?;
    outputs.metrics = args.metrics().open(started_unix_ms, args.sheet() != Output::Quiet)?;
    let embedded = matches!(source, NodeSource::Embedded(_));
    let (engine, notice) = engine_choice::choose(args.engine(), grant::io_uring)?;
    limits::raise_descriptors();
    // Before an embedded cluster takes its part of what there is.
    let host = limits::HostLimits::read();
    room(&host, &source)?;

    let Stage { cluster, cluster_is, tls, targets, placement, notices } =
        stage(args, source, &load, engine)?;
    let facts = audit::facts::Facts::read();
    let beside = beside(&targets.nodes, embedded, placement.shared);
    let tls = tls.client(&targets.nodes)?;
    let draft = Draft::new(load, targets, placement.workers, engine)?.trusting(tls);
    let plan = of_search(settled(draft, whose_cpus(beside, &facts.host))?, search)?;
    let need = need::of(&plan, embedded, args.engine());
    let too_large = |error| too_large(error, &plan, embedded, search);
    limits::check(&host, &need.limits).map_err(too_large)?;
    let surroundings = Surroundings {
        cpus_allowed: Some(cpus::allowed().len()),
        beside,
        smt_siblings: placement.siblings,
        shortfalls: audit::audit(&facts, &need).shortfalls(),
    };
    let why = (placement.why, placement.cluster);
    let of_plan = notices_of(args, &plan, beside);
    notice.iter().chain(&notices).chain(&of_plan).for_each(|notice| warn(&notice.to_string()));

    let invocation = invocation(started_unix_ms, cluster_is, why, &plan, facts.host);
    let begun = Document::begun(&plan, &invocation).searching(search);
    outputs.open_plots(args, &begun)?;
    let mut view = View::begin(&begun, args.sheet(), outputs.metrics.as_ref());
    #[cfg(feature = "live")]
    view.show_live(args.live(), &begun, outputs.signals.as_mut());
    let floor = floor(args, &plan, &stop, outputs, &mut view)?;
    outputs.entering("run");
    let (surroundings, baseline) = (&surroundings, floor.as_ref());
    let experiment = Experiment { plan: &plan, surroundings, baseline, stop: &stop };
    let ran = ran(experiment, search, &mut view);
    outputs.entering(view.phase());
    let (outcome, searched) = ran?;
    view.finish();
    // Its processes are gone before the report says that all is over.
    let logged = end(cluster);
    let document = begun.calibrated(baseline).ended(&outcome).searched(searched.as_ref());
    let written = outputs.write(&document, (&plan, &outcome), || view.end(&document));
    let exit =
        searched.map_or_else(|| exit_code(&outcome), |searched| search_exit(&outcome, &searched));
    Ok(exit.with_outputs(written && logged))
}

fn load(args: &RunArgs, search: Option<&SearchPlan>) -> Result<Load, RunError> {
    // Before the load finds it in flags that a search does not have.
    search.map_or(Ok(()), |search| search.check(u64::MAX))?;
    let spec = match search {
        // As many messages as it can have: how many copies come of each is not known yet.
        Some(search) => args.spec_of(vec![search.largest(1)])?,
        None => args.spec()?,
    };
    Ok(Load::new(spec)?)
}

/// Whether the process may do at all what every run does.
fn room(host: &limits::HostLimits, source: &NodeSource<'_>) -> Result<(), HostError> {
    limits::mappings(host, &limits::ResourceDemand::default())?;
    let nodes = match source {
        NodeSource::Embedded(embedded) => Some(usize::from(embedded.nodes)),
        _ => None,
    };
    Ok(limits::tasks(host, need::tasks(1, nodes))?)
}

/// With the largest trial that a search may choose, now that it is known how many copies come of a message.
fn of_search(mut plan: Plan, search: Option<&SearchPlan>) -> Result<Plan, RunError> {
    if let Some(search) = search {
        let copies_each = plan.audience.expected(1);
        search.check(copies_each)?;
        plan.trials = vec![search.largest(copies_each)];
    }
    Ok(plan)
}

fn ran(
    experiment: Experiment<'_>,
    search: Option<&SearchPlan>,
    view: &mut View,
) -> Result<(Outcome, Option<Searched>), EngineError> {
    match search {
        Some(plan) => {
            let (outcome, searched) = Search { experiment, plan }.run(view)?;
            Ok((outcome, Some(searched)))
        }
        None => Ok((experiment.run(view)?, None)),
    }
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

/// What the user should know of how the flags were taken.
fn notices_of(args: &RunArgs, plan: &Plan, beside: Beside) -> Vec<Notice> {
    let nodes_here = args.waits_by_itself().then(|| nodes_here(plan, beside)).flatten();
    let rows = args.upgrade().too_few_rows(&plan.upgrade, plan.sockets());
    [nodes_here, args.like_one_number(), rows].into_iter().flatten().collect()
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
fn too_large(
    error: LimitError,
    plan: &Plan,
    embedded: bool,
    search: Option<&SearchPlan>,
) -> RunError {
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
    if let Some(search) = search {
        let share = messages as f64 / plan.largest_trial().messages as f64;
        let most = Rate::per_second((search.range[1].as_f64() * share).floor());
        return RunError::TooLarge { error, fits: format!("--rate up to {most} would fit") };
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
