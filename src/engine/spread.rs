//! Which socket lives on which core.
//!
//! Belongs here: a pure function of sockets and workers. Does not: threads (`fleet`).

use crate::population::sockets::{Population, Role, SocketId};

/// Which sockets each worker holds.
///
/// Push sockets first, evenly: they carry the sends. Where the cluster passes on ids in place of
/// text, every worker needs a socket that hears the text, so that it can attribute copies by itself:
/// push sockets and receive sockets of the push node are such. The rest goes where the fewest are.
pub fn spread(population: &Population, workers: usize) -> Vec<Vec<SocketId>> {
    let mut slices: Vec<Vec<SocketId>> = vec![Vec::new(); workers];
    for seat in population.of_role(Role::Push) {
        slices[seat.socket as usize % workers].push(seat);
    }
    let receivers = population.of_role(Role::Receive);
    let (hearing, others): (Vec<_>, Vec<_>) =
        receivers.partition(|seat| seat.node == population.push_node());
    for seat in hearing.into_iter().chain(others) {
        let least = slices.iter_mut().min_by_key(|slice| slice.len());
        least.expect("at least one worker").push(seat);
    }
    slices
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::{Plan, fixture};

    fn plan(nodes: usize, push_sockets: u32, receivers_per_node: u32, workers: usize) -> Plan {
        let ports: Vec<_> = (0..nodes).map(|i| 9000 + i as u16).collect();
        let cores: Vec<_> = (0..workers).collect();
        fixture::plan_of(nodes / 2, &cores, &ports, |spec| {
            spec.push_sockets = push_sockets;
            spec.receivers_per_node = Some(receivers_per_node);
        })
    }

    proptest! {
        #[test]
        fn every_socket_has_one_worker_and_every_worker_hears_the_text(
            nodes in 1_usize..6,
            push in 1_u32..40,
            receivers in 0_u32..40,
            workers in 1_usize..9,
        ) {
            let workers = workers.min((push + receivers) as usize);
            let plan = plan(nodes, push, receivers, workers);
            let slices = spread(plan.population(), workers);
            let mut sockets: Vec<_> = slices.iter().flatten().map(|seat| seat.socket).collect();
            sockets.sort_unstable();
            let all: Vec<_> = (0..plan.sockets() as u32).collect();
            prop_assert_eq!(sockets, all);
            for slice in &slices {
                prop_assert!(slice.iter().any(|seat| seat.node as usize == plan.push_node()));
                let pushing = slice.iter().filter(|seat| seat.socket < push).count();
                prop_assert!(pushing.abs_diff(push as usize / workers) <= 1, "pushes are even");
                let first = &slice[..pushing];
                prop_assert!(first.iter().all(|seat| seat.socket < push), "push sockets first");
            }
            let sizes = slices.iter().map(Vec::len);
            let (least, most) = (sizes.clone().min().unwrap(), sizes.max().unwrap());
            prop_assert!(most - least <= 1, "{least} to {most}");
            for (node, _) in plan.nodes.iter().enumerate() {
                let count = slices.iter().flatten().filter(|seat| {
                    seat.socket >= push && seat.node as usize == node
                });
                prop_assert_eq!(count.count(), receivers as usize);
            }
        }
    }
}
