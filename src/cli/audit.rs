//! `fanstorm audit`: what of this host stands in the way of a run.
//!
//! Belongs here: its flags, the order of things, the exit code. Does not: rules (`audit`),
//! wording (`report::audit`).
//!
//! Nothing is started and no node is talked to. A discovery is asked, because only it knows how many
//! nodes there are.

use std::env;
use std::io;
use std::path::PathBuf;

use clap::Args;

use super::args::RunArgs;
use super::claims::{Claims, OutputError};
use super::discover;
use super::embedded::Embedded;
use super::exit::Exit;
use super::fix::{FixFiles, limits_path};
use super::grant;
use super::need;
use super::node_source::NodeSource;
use super::output::{JsonTarget, warn};
use super::outputs::Json;
use super::run::{self, Ask, arguments};
use super::run_error::RunError;
use crate::audit;
use crate::audit::Audit;
use crate::audit::facts::Facts;
use crate::engine::ring::RingConfig;
use crate::engine::ring::several::SeveralRings;
use crate::host::io_uring::{self, Refusal};
use crate::host::io_words::unwritten;
use crate::host::limits;
use crate::plan::Plan;
use crate::plan::backend::{BackendChoice, Engine};
use crate::plan::draft::{Cpus, Draft};
use crate::plan::load::Load;
use crate::population::nodes::{NodeUrl, Scheme, distinct};
use crate::report::audit::{Audited, fix, json, text};

/// For `--help`.
pub const EXAMPLES: &str = "\
Examples:
  fanstorm audit --node ws://10.0.0.7:9001/ --receivers-per-node 50k --rate 10/s
      what of this host stands in the way of that run
  sudo fanstorm audit --receivers-per-node 50k --fix-file /etc/sysctl.d/90-fanstorm.conf
      the same, and what to change as a file; `sudo sysctl --system` then applies it

Exit codes: 0 it can run, whatever is listed; 2 usage; 3 it cannot run on this host (`stop`);
4 the discovery does not answer.";

/// Flags of `audit`: those of a run, so that its command line can be pasted, and one of its own.
#[derive(Args, Clone, Debug)]
pub struct AuditArgs {
    #[command(flatten)]
    run: RunArgs,

    /// Write what this plan wants changed for sysctl.d, and beside it FILE's name with .limits for
    /// limits.d; nothing is changed by that
    #[arg(long, value_name = "FILE", help_heading = "Audit")]
    fix_file: Option<PathBuf>,
}

/// Audits the host for the plan that the flags ask for.
pub fn run(args: &AuditArgs) -> Exit {
    attempt(args).unwrap_or_else(|error| run::fail(&error))
}

fn attempt(args: &AuditArgs) -> Result<Exit, RunError> {
    let (source, load) = (args.run.source()?, Load::new(args.run.spec()?)?);
    let mut json = open_outputs(args)?;
    let fix_files = args.fix_file.as_deref().map(FixFiles::claim).transpose()?;
    limits::raise_descriptors();
    let embedded = matches!(source, NodeSource::Embedded(_));
    let plan = plan(&args.run, source, load)?;
    let mut need = need::of(&plan, embedded, args.run.engine());
    if embedded {
        // Its ports are not known before it runs.
        need.limits.busiest = "one node of the embedded cluster".to_owned();
    }
    let mut facts = Facts::read();
    let asks = args.run.engine() != BackendChoice::Only(Engine::Epoll);
    facts.uring.attempt = asks.then(|| try_rings(&plan));
    let audit = audit::audit(&facts, &need);
    let audited =
        Audited { largest: plan.largest_trial(), facts: &facts, need: &need, audit: &audit };

    let shown = show(args, &audited);
    let result = || json::to_bytes(&audited, &arguments());
    let kept = json.as_mut().is_none_or(|json| json.write(&result()));
    if let Some(files) = fix_files {
        files.write(&fix::sysctl_file(&audit, &arguments()), &fix::limits_file(&audit))?;
    }
    Ok(exit_code(&audit).with_outputs(shown && kept))
}

fn open_outputs(args: &AuditArgs) -> Result<Option<Json>, OutputError> {
    let mut claims = Claims::with_stdout();
    if let Some(JsonTarget::File(path)) = args.run.json() {
        claims.claim("--json", path)?;
    }
    for path in args.fix_file.iter().chain(&args.fix_file.as_deref().and_then(limits_path)) {
        claims.claim("--fix-file", path)?;
    }
    Ok(args.run.json().map(Json::open).transpose()?)
}

/// The smallest first, which is refused for reasons of its own; then those of the plan, which may be more
/// than the user's locked memory holds.
fn try_rings(plan: &Plan) -> Result<(), Refusal> {
    grant::io_uring()?;
    let refusal = io_uring::probe(|| rings(plan)).err();
    // Descriptors are the business of rules of their own.
    refusal.filter(|refusal| *refusal == Refusal::Memory).map_or(Ok(()), Err)
}

/// As large as those of the plan's workers, all at once.
fn rings(plan: &Plan) -> io::Result<()> {
    let workers = plan.generator.workers();
    let sockets = plan.sockets().div_ceil(workers as u64);
    let size = RingConfig::for_sockets(u32::try_from(sockets).map_err(io::Error::other)?);
    let size =
        if plan.generator.rings.direct { size.direct(plan.generator.rings.each) } else { size };
    let made = (0..workers).map(|_| SeveralRings::new(size, plan.generator.rings.each));
    made.collect::<io::Result<Vec<_>>>().map(drop)
}

fn exit_code(audit: &Audit) -> Exit {
    if audit.stops() { Exit::Host } else { Exit::Complete }
}

/// Returns whether it was shown.
fn show(args: &AuditArgs, audited: &Audited<'_>) -> bool {
    let sheet = args.run.sheet();
    let (mut out, is_terminal) = (sheet.open(), sheet.obeys_escapes());
    let no_color = env::var_os("NO_COLOR");
    let files = args.fix_file.as_deref();
    let shown = text::write(&mut *out, audited, files, is_terminal, no_color.as_deref())
        .and_then(|()| out.flush());
    if let Err(error) = &shown {
        warn(&format!("the audit could not be written: {}", unwritten(error)));
    }
    shown.is_ok()
}

/// The plan as a run would have it, but for the addresses of an embedded cluster, which has none yet.
fn plan(args: &RunArgs, source: NodeSource<'_>, load: Load) -> Result<Plan, RunError> {
    let mut notices = Vec::new();
    let (urls, embedded) = match source {
        NodeSource::Embedded(embedded) => (stand_ins(&embedded), true),
        NodeSource::Discovery(url) => {
            let listed =
                discover::nodes(url, args.tls(), args.connect_timeout(), args.discovery_bytes())?;
            (distinct(listed, &mut notices), false)
        }
        NodeSource::Nodes(urls) => (urls.to_vec(), false),
    };
    let targets = run::targets(args, &urls, Ask::Only, &mut notices)?;
    let others = (!embedded).then_some(&targets);
    let placement = run::place(args, &load, targets.len(), others, &mut notices)?;
    notices.iter().for_each(|notice| warn(&notice.to_string()));
    let engine = match args.engine() {
        BackendChoice::Only(engine) => engine,
        BackendChoice::Auto => Engine::IoUring,
    };
    // How workers wait makes no difference to what they need.
    run::settled(Draft::new(load, targets, placement.workers, engine)?, Cpus::Own)
}

fn stand_ins(embedded: &Embedded<'_>) -> Vec<NodeUrl> {
    let scheme = if embedded.tls { Scheme::Wss } else { Scheme::Ws };
    let address = |port| NodeUrl::of_address(scheme, "127.0.0.1", port);
    let url = |port| address(port).expect("an address and a port");
    (1..=embedded.nodes).map(url).collect()
}
