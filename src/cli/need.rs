//! What a plan asks of the host: the numbers that a run is checked against, and an audit too.
//!
//! Belongs here: taking figures out of a plan. Does not: judging them (`host::limits`, `audit`).

use crate::audit::requirements::{Handshakes, Place, PlanRequirements, UringDemand};
use crate::dialect::text::TextShape;
use crate::engine::worker::under_way_max;
use crate::host::limits;
use crate::plan::Plan;
use crate::plan::backend::{BackendChoice, Engine};
use crate::plan::source_ip::SourceIps;
use crate::units::Rate;
use crate::wire::encode;

/// The plan in numbers. `embedded`: the cluster is ours.
pub fn of(plan: &Plan, embedded: bool, wish: BackendChoice) -> PlanRequirements {
    let place = place(plan, embedded);
    let ports = plan.nodes.iter().map(|node| node.addr.port());
    PlanRequirements {
        limits: limits(plan, embedded),
        nodes: plan.nodes.len() as u64,
        place,
        // Those of an embedded cluster are free ones of its own choice.
        node_ports: if place == Place::Loopback { ports.collect() } else { Vec::new() },
        source_addresses: plan.sources_to(plan.push_node()).map_or(1, SourceIps::count),
        push_sockets: plan.population().push_sockets().into(),
        messages: plan.trials.iter().map(|trial| trial.messages).max().unwrap_or(0),
        copies_per_message: plan.audience.copies_of(0),
        copy_bytes: copy_bytes(plan),
        rate_per_s: plan
            .trials
            .iter()
            .filter_map(|trial| trial.profile.peak())
            .map(Rate::as_f64)
            .reduce(f64::max),
        window: window(plan),
        connects_at_once: connects_at_once(plan),
        handshakes: handshakes(plan),
        workers: plan.generator.cores.clone(),
        io_uring: uring_wish(wish),
    }
}

fn place(plan: &Plan, embedded: bool) -> Place {
    let here = plan.nodes.iter().all(|node| node.addr.ip().to_canonical().is_loopback());
    match (embedded, here) {
        (true, _) => Place::Embedded,
        (false, true) => Place::Loopback,
        (false, false) => Place::Elsewhere,
    }
}

fn limits(plan: &Plan, embedded: bool) -> limits::ResourceDemand {
    let busiest = plan.push_node();
    // Nodes listen to each other, one connection in each direction.
    let connections = plan.sockets_to(busiest) + 2 * plan.nodes.len() as u64;
    limits::ResourceDemand {
        sockets: plan.sockets(),
        direct_rings: plan.generator.rings.direct.then(|| limits::DirectRings {
            rings: plan.generator.rings() as u64,
            bells: plan.generator.bells() as u64,
        }),
        embedded_busiest: embedded.then_some(connections),
        sockets_to_busiest: plan.sockets_to(busiest),
        busiest: plan.nodes[busiest].url.clone(),
        own_origins: plan.sources_to(busiest).is_some(),
        tasks: tasks(plan.generator.workers() as u64, embedded.then_some(plan.nodes.len())),
        memory: [&plan.largest_memory().parts()[..], &plan.connection_memory(embedded)].concat(),
    }
}

/// Processes and threads that are yet to be started: one for each worker, and two for each process of an
/// embedded cluster, the discovery among them.
pub fn tasks(workers: u64, embedded_nodes: Option<usize>) -> u64 {
    // Before the workers another thread takes their place: the one that looks up the discovery's name.
    workers + embedded_nodes.map_or(0, |nodes| 2 * (nodes as u64 + 1))
}

/// A copy as we send it; a cluster may wrap it in more.
fn copy_bytes(plan: &Plan) -> u64 {
    let text = TextShape::new(plan.messages.payload_bytes).expect("a plan's payload holds a tag");
    encode::frame_len(plan.dialect.message_len(&text)) as u64
}

fn window(plan: &Plan) -> Option<u64> {
    let in_flight = plan.trials.iter().filter_map(|trial| trial.profile.in_flight()).max()?;
    Some(u64::from(in_flight) * u64::from(plan.population().push_sockets()))
}

fn connects_at_once(plan: &Plan) -> u64 {
    let workers = plan.generator.workers();
    let under_way = workers.saturating_mul(under_way_max(workers)) as u64;
    under_way.min(plan.sockets_to(plan.push_node()))
}

fn handshakes(plan: &Plan) -> Option<Handshakes> {
    let sockets = plan.tls_sockets();
    let share = sockets as f64 / plan.sockets() as f64;
    (sockets > 0).then(|| Handshakes {
        sockets,
        resumes: plan.tls.as_ref().is_some_and(|client| client.options().resume),
        asked_per_s: plan.connect.rate.map(|rate| rate.as_f64() * share),
    })
}

const fn uring_wish(wish: BackendChoice) -> UringDemand {
    match wish {
        BackendChoice::Auto => UringDemand::Preferred,
        BackendChoice::Only(Engine::IoUring) => UringDemand::Required,
        BackendChoice::Only(Engine::Epoll) => UringDemand::Unused,
    }
}
