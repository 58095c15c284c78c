//! `--calibrate`: the same plan, first against the null cluster.
//!
//! Belongs here: starting it, pointing the plan at it, ending it. Does not: what its figures mean
//! (`verdict::baseline`). Nothing that goes wrong here costs the measurement: a floor that is not there
//! is said, and the run goes on.

use std::io;

use super::view::View;
use crate::cluster::{Audience, Cluster, ClusterConfig};
use crate::engine::{self, Stop, Surroundings};
use crate::host::cpus::{self, Cores, Demand, Placement};
use crate::host::ports::LocalPorts;
use crate::host::topology::Topology;
use crate::measure::outcome::Outcome;
use crate::plan::Plan;
use crate::plan::backend::Engine;
use crate::population::fan_out::FanOut;
use crate::population::nodes::{NodeUrl, PushNode, Targets};
use crate::verdict::Beside;
use crate::verdict::baseline::Baseline;

/// Each node is a process of this machine.
const NODES_MAX: usize = 256;

/// Runs `plan` against relays on loopback, as many as it has nodes, on the CPUs that it leaves.
pub fn calibrate(plan: &Plan, stop: &Stop, view: &mut View<'_>) -> Baseline {
    let (cpus, surroundings) = apart(plan);
    let shares_cores = surroundings.beside != Beside::Nobody;
    let cluster = clause(plan.nodes.len(), &cpus);
    let (runs, failure) = match against_relays(plan, cpus, surroundings, stop, view) {
        Ok(outcome) => {
            (outcome.runs, outcome.skipped.into_iter().next().map(|skipped| skipped.reason))
        }
        Err(error) => (Vec::new(), Some(error.to_string().replace('\n', "; "))),
    };
    // Of an interruption in the last row nothing else tells.
    let interrupted = stop.requested().then(|| "interrupted".to_owned());
    Baseline { cluster, shares_cores, runs, failure: interrupted.or(failure) }
}

/// The CPUs without a worker; all of them, shared, where there is none.
fn apart(plan: &Plan) -> (Vec<usize>, Surroundings) {
    let most_workers = plan.cores.len();
    let demand = Demand { sockets: plan.sockets(), most_workers, embedded: true, nic: None };
    let (allowed, cores) = (cpus::allowed(), Cores::List(plan.cores.clone()));
    let cpus_allowed = Some(allowed.len());
    match cpus::place(&allowed, &Topology::read(), &cores, &demand) {
        Ok(Placement { cluster, shared, siblings: smt_siblings, .. }) => {
            // What the host lacks for the plan is said of the run itself.
            let shortfalls = Vec::new();
            let beside = Beside::embedded(shared);
            let surroundings = Surroundings { cpus_allowed, beside, smt_siblings, shortfalls };
            (cluster, surroundings)
        }
        Err(_) => (
            Vec::new(),
            Surroundings { cpus_allowed, beside: Beside::Embedded, ..Surroundings::default() },
        ),
    }
}

fn clause(nodes: usize, cpus: &[usize]) -> String {
    let relays = if nodes == 1 { "relay" } else { "relays" };
    let cpus: Vec<_> = cpus.iter().map(usize::to_string).collect();
    format!("{nodes} {relays} on CPU {}", cpus.join(", "))
}

const fn audience(fan_out: FanOut) -> Audience {
    match fan_out {
        FanOut::All => Audience::All,
        FanOut::Others => Audience::Others,
        FanOut::Own => Audience::Own,
    }
}

/// The cluster ends with this function, however it ends.
fn against_relays(
    plan: &Plan,
    cpus: Vec<usize>,
    surroundings: Surroundings,
    stop: &Stop,
    view: &mut View<'_>,
) -> anyhow::Result<Outcome> {
    let nodes = plan.nodes.len();
    anyhow::ensure!(nodes <= NODES_MAX, "{nodes} nodes: the null cluster has {NODES_MAX} at most");
    let config = ClusterConfig {
        nodes,
        relay: true,
        audience: audience(plan.audience.fan_out()),
        cpus,
        seed: plan.seed,
        clients: Some(plan.sockets()),
        io_uring: plan.engine == Engine::IoUring,
        ..ClusterConfig::default()
    };
    let cluster = Cluster::start(&config)?;
    let urls: Vec<NodeUrl> =
        cluster.node_urls().iter().map(|url| url.parse()).collect::<Result<_, _>>()?;
    let addresses = |_: &str, _: u16| Err(io::Error::other("relays have addresses, not names"));
    let push_node = PushNode::Index(plan.push_node());
    let targets = Targets::new(&urls, &push_node, &addresses, &mut Vec::new())?;
    let plan = plan.against(targets).from_ports(LocalPorts::read())?;
    Ok(engine::run(&plan, surroundings, stop, &mut view.calibrating())?)
}
