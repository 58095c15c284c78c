//! `--calibrate`: the null cluster.
//!
//! Belongs here: starting it as the plan needs it. Does not: running the plan against it
//! (`experiment::calibration`).

use super::view::View;
use crate::cluster::{Audience, Cluster, ClusterConfig};
use crate::engine::Stop;
use crate::experiment::calibration::{self, NullCluster};
use crate::plan::Plan;
use crate::plan::backend::Engine;
use crate::population::fan_out::FanOut;
use crate::verdict::baseline::Baseline;

impl NullCluster for Cluster {
    fn node_urls(&self) -> Vec<String> {
        self.node_urls().to_vec()
    }
}

/// Runs `plan` against relays on loopback, as many as it has nodes.
pub fn calibrate(plan: &Plan, stop: &Stop, view: &mut View) -> Baseline {
    calibration::calibrate(plan, stop, |cpus| relays(plan, cpus), &mut view.calibrating())
}

fn relays(plan: &Plan, cpus: Vec<usize>) -> Result<Cluster, String> {
    let config = ClusterConfig {
        nodes: plan.nodes.len(),
        relay: true,
        audience: audience(plan.audience.fan_out()),
        cpus,
        seed: plan.seeds.seed,
        clients: Some(plan.sockets()),
        io_uring: plan.generator.engine == Engine::IoUring,
        ..ClusterConfig::default()
    };
    Cluster::start(&config).map_err(|error| error.to_string())
}

const fn audience(fan_out: FanOut) -> Audience {
    match fan_out {
        FanOut::All => Audience::All,
        FanOut::Others => Audience::Others,
        FanOut::Own => Audience::Own,
    }
}
