//! Whether the sockets that are there, and have heard the probe, are enough to begin.
//!
//! Belongs here: the decision, and its words. Does not: connecting (`worker`), waiting for it (`fleet`).

use std::collections::BTreeMap;

use crate::engine::orders::Probed;
use crate::engine::{DeafNode, EngineError, NodeFailure};
use crate::measure::connecting::{Connecting, FailedSockets};
use crate::plan::Plan;
use crate::plan::connect_options::MinConnected;
use crate::population::fan_out::FanOut;
use crate::population::sockets::SocketId;
use crate::units::Count;

/// `hearing` are the sockets of each worker that hear the text of every message.
///
/// # Errors
/// [`EngineError::Unreachable`] where all must be there, [`EngineError::TooFew`] where not all need.
pub(super) fn reached(
    plan: &Plan,
    connecting: &Connecting,
    hearing: &[usize],
) -> Result<(), EngineError> {
    let Connecting { sockets, connected, push_failed, ref failures, .. } = *connecting;
    if failures.is_empty() {
        return Ok(());
    }
    let failure = |failed: &FailedSockets| NodeFailure {
        url: plan.nodes[failed.node].url.clone(),
        phase: failed.phase,
        reason: failed.reason.clone(),
        sockets: failed.sockets,
    };
    let failures = failures.iter().map(failure).collect();
    let least = plan.connect.least;
    let there = format!("{} of {} sockets are connected", Count(connected), Count(sockets));
    let why = if least == MinConnected::All {
        return Err(EngineError::Unreachable(failures));
    } else if connected < least.of(sockets) {
        format!("{there}: fewer than --min-connected {least}")
    } else if push_failed > 0 {
        format!("{there}, but not {push_failed} of the push sockets: they are the load itself")
    } else if plan.dialect.correlates() && hearing.contains(&0) {
        format!(
            "{there}, but none to the push node on one of the workers, which this dialect needs: \
             give fewer --cores"
        )
    } else {
        return Ok(());
    };
    Err(EngineError::TooFew { failures, why })
}

/// Whether every socket heard a probe that should, and none that should not.
///
/// # Errors
/// [`EngineError::NotReady`] where one did not, [`EngineError::HearsItself`] where a sender did.
pub(super) fn heard(plan: &Plan, answers: &[Probed]) -> Result<(), EngineError> {
    let mut seats: BTreeMap<u32, Vec<SocketId>> = BTreeMap::new();
    let unseen = answers.iter().flat_map(|probed| &probed.unseen);
    unseen.for_each(|&seat| seats.entry(seat.node).or_default().push(seat));
    if answers.iter().any(|probed| probed.hears_itself) {
        let node = plan.nodes[plan.push_node()].url.clone();
        return Err(EngineError::HearsItself { node, nobody_else: !seats.is_empty() });
    }
    if seats.is_empty() {
        return Ok(());
    }
    let heard =
        |node| answers.iter().flat_map(|probed| &probed.heard).filter(move |h| h.node == node);
    let all = plan.audience.fan_out() == FanOut::All;
    let node = |(node, unseen): (u32, Vec<SocketId>)| DeafNode {
        url: plan.nodes[node as usize].url.clone(),
        unseen: unseen.len() as u64,
        sockets: plan.sockets_to(node as usize),
        is_push_node: node as usize == plan.push_node(),
        only_the_sender: all && unseen.iter().all(|seat| seat.socket == 0),
        others_heard: heard(node).map(|heard| heard.messages).sum(),
        first_heard: heard(node).find_map(|heard| heard.first.clone()),
    };
    let nodes = seats.into_iter().map(node).collect();
    Err(EngineError::NotReady(nodes, plan.timeouts.ready.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use crate::engine::min_connected::*;
    use crate::measure::connecting::{ConnectRecord, Failure};
    use crate::plan::fixture;
    use crate::units::Nanos;

    /// Whether 3 push and 97 receive sockets to one node are enough without some of them.
    fn decided(least: &str, failed: &[u32], hearing: &[usize]) -> Result<(), String> {
        let plan = fixture::plan(&[1], |spec| {
            spec.receivers_per_node = Some(97);
            spec.dialing.least = least.parse().unwrap();
        });
        let failure = |&socket: &u32| Failure {
            seat: SocketId { socket, node: 0 },
            phase: "connect",
            reason: "refused".to_owned(),
        };
        let failures: Vec<_> = failed.iter().map(failure).collect();
        let share = [ConnectRecord::default()];
        let connecting = Connecting::merge(plan.population(), Nanos::ZERO, &share, &failures);
        reached(&plan, &connecting, hearing).map_err(|error| error.to_string())
    }

    #[test]
    fn a_deficit_is_gone_on_with_as_far_as_it_was_allowed() {
        assert_eq!(decided("99%", &[50], &[99]), Ok(()));
        assert_eq!(decided("100%", &[], &[100]), Ok(()));
        let error = decided("99", &[50, 51], &[98]).unwrap_err();
        assert!(error.contains("98 of 100 sockets are connected: fewer than --min-connected 99"));
        assert!(error.contains("refused (2 sockets)"), "{error}");
    }

    #[test]
    fn the_push_sockets_and_one_that_hears_the_text_must_be_there() {
        let error = decided("0%", &[2], &[99]).unwrap_err();
        assert!(error.contains("not 1 of the push sockets"), "{error}");
        let error = decided("0%", &[50], &[99, 0]).unwrap_err();
        assert!(error.contains("fewer --cores"), "{error}");
    }
}
