//! The calibration: the same plan, first against the null cluster.
//!
//! Belongs here: where that cluster runs, pointing the plan at it, what becomes of it where it fails.
//! Does not: starting it (`cli`: client and cluster share no code), what its figures mean
//! (`verdict::baseline`). Nothing that goes wrong here costs the measurement: a floor that is not there is
//! said, and the run goes on.

use std::io;

use super::{Experiment, Outcome, Watch};
use crate::engine::{EngineError, Stop};
use crate::host::cpus::{self, Cores, Demand, Placement};
use crate::host::ports::LocalPorts;
use crate::host::topology::Topology;
use crate::plan::Plan;
use crate::plan::local_addrs::LocalAddrError;
use crate::population::nodes::{NodeUrl, PushNode, TargetError, Targets, UrlError};
use crate::verdict::baseline::Baseline;
use crate::verdict::{Beside, Surroundings};

/// Each node is a process of this machine.
const NODES_MAX: usize = 256;

/// A null cluster that runs: it ends when this is dropped.
pub trait NullCluster {
    /// Its nodes, in order.
    fn node_urls(&self) -> Vec<String>;
}

/// What ends a calibration before it has begun.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
enum CalibrationError {
    #[error("{0} nodes: the null cluster has {NODES_MAX} at most")]
    Nodes(usize),
    #[error("{0}")]
    Start(String),
    Url(#[from] UrlError),
    Target(#[from] TargetError),
    Ports(#[from] LocalAddrError),
    Engine(#[from] EngineError),
}

/// Runs `plan` against relays on loopback, as many as it has nodes, on the CPUs that it leaves: `start`
/// starts them on these CPUs.
pub fn calibrate<C: NullCluster>(
    plan: &Plan,
    stop: &Stop,
    start: impl FnOnce(Vec<usize>) -> Result<C, String>,
    watch: &mut dyn Watch,
) -> Baseline {
    let (cpus, surroundings) = apart(plan);
    let shares_cores = surroundings.beside != Beside::Nobody;
    let has_tls = plan.nodes.iter().any(|node| node.server_name.is_some());
    let cluster = clause(plan.nodes.len(), &cpus, has_tls);
    let ran = against(plan, &surroundings, stop, || start(cpus), watch);
    let (trials, failure) = match ran {
        Ok(outcome) => {
            (outcome.trials, outcome.skipped.into_iter().next().map(|skipped| skipped.reason))
        }
        Err(error) => (Vec::new(), Some(error.to_string().replace('\n', "; "))),
    };
    // Of an interruption in the last trial nothing else tells.
    let interrupted = stop.requested().then(|| "interrupted".to_owned());
    Baseline { cluster, shares_cores, trials, failure: interrupted.or(failure) }
}

/// The CPUs without a worker; all of them, shared, where there is none.
fn apart(plan: &Plan) -> (Vec<usize>, Surroundings) {
    let most_workers = plan.generator.cores.len();
    let demand = Demand { sockets: plan.sockets(), most_workers, embedded: true, nic: None };
    let (allowed, cores) = (cpus::allowed(), Cores::List(plan.generator.cores.clone()));
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

/// Relays speak no TLS: of a plan that does, what it costs is in no floor.
fn clause(nodes: usize, cpus: &[usize], has_tls: bool) -> String {
    let relays = if nodes == 1 { "relay" } else { "relays" };
    let cpus: Vec<_> = cpus.iter().map(usize::to_string).collect();
    let without = if has_tls { ", over ws:// and so without the cost of TLS" } else { "" };
    format!("{nodes} {relays} on CPU {}{without}", cpus.join(", "))
}

/// The cluster ends with this function, however it ends.
fn against<C: NullCluster>(
    plan: &Plan,
    surroundings: &Surroundings,
    stop: &Stop,
    start: impl FnOnce() -> Result<C, String>,
    watch: &mut dyn Watch,
) -> Result<Outcome, CalibrationError> {
    let nodes = plan.nodes.len();
    if nodes > NODES_MAX {
        return Err(CalibrationError::Nodes(nodes));
    }
    let cluster = start().map_err(CalibrationError::Start)?;
    let urls: Vec<NodeUrl> =
        cluster.node_urls().iter().map(|url| url.parse()).collect::<Result<_, _>>()?;
    let addresses = |_: &str, _: u16| Err(io::Error::other("relays have addresses, not names"));
    let push_node = PushNode::Index(plan.push_node());
    let targets = Targets::new(&urls, &push_node, &addresses, &mut Vec::new())?;
    let plan = plan.against(targets, LocalPorts::read())?;
    Ok(Experiment { plan: &plan, surroundings, baseline: None, stop }.run(watch)?)
}

#[cfg(test)]
mod tests {
    use super::clause;

    #[test]
    fn a_floor_says_that_tls_is_not_in_it() {
        assert_eq!(clause(1, &[0], false), "1 relay on CPU 0");
        let floor = clause(3, &[0, 2], true);
        assert_eq!(floor, "3 relays on CPU 0, 2, over ws:// and so without the cost of TLS");
    }
}
