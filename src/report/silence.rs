//! Nodes that stopped delivering: the failure that a total hides best.
//!
//! Belongs here: telling a silent node from a lossy one by the shape of what is missing. Does not:
//! why it fell silent.

use crate::measure::outcome::{RunOutcome, StreamGap};
use crate::measure::sent::share;
use crate::plan::Plan;

/// A shorter end of a stream may be missing by chance.
const TAIL_MIN: u64 = 10;

/// A node from which nothing came any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Silence {
    /// Index of the node.
    pub(super) node: usize,
    /// Copies delivered over its sockets before.
    pub(super) delivered: u64,
    /// Copies expected over its sockets.
    pub(super) expected: u64,
    /// From this message of the row on (counted from 0) nothing came over any of its sockets.
    pub(super) from_message: u64,
}

/// The silent nodes of a row, in plan order.
pub(super) fn silent_nodes(plan: &Plan, run: &RunOutcome) -> Vec<Silence> {
    let counts = share(run.messages, plan.push_sockets);
    let cells = run
        .matrix
        .iter()
        .filter(|cell| cell.expected > cell.delivered);
    // Where messages were never sent, every node seems to fall silent at that point.
    let all_sent = run.sent == run.messages;
    cells
        .filter_map(|cell| {
            let from_message = match cell.delivered {
                0 => (all_sent || run.delivery.delivered > 0).then_some(0)?,
                _ if all_sent => silent_from(plan, run, &counts, cell.to)?,
                _ => return None,
            };
            Some(Silence {
                node: cell.to,
                delivered: cell.delivered,
                expected: cell.expected,
                from_message,
            })
        })
        .collect()
}

/// The message from which on every stream of every socket of `node` is missing.
fn silent_from(plan: &Plan, run: &RunOutcome, counts: &[u32], node: usize) -> Option<u64> {
    let gaps: Vec<_> = run.gaps.iter().filter(|gap| gap.node == node).collect();
    if gaps.len() as u64 != streams_of(plan, node) {
        return None;
    }
    let tails: Option<Vec<_>> = gaps.iter().map(|gap| tail(gap, counts)).collect();
    let (starts, lengths): (Vec<_>, Vec<_>) = tails?.into_iter().unzip();
    let (missing, at_the_end): (u64, u64) = (
        gaps.iter().map(|gap| gap.missing).sum(),
        lengths.iter().sum(),
    );
    // A lossy node misses copies everywhere; what a silent one misses lies at the end.
    (at_the_end >= TAIL_MIN && 2 * at_the_end > missing).then(|| starts.into_iter().max())?
}

/// Streams that come in over the sockets of a node.
fn streams_of(plan: &Plan, node: usize) -> u64 {
    let (senders, receivers) = (plan.push_sockets, plan.receivers_per_node);
    let receives = senders..senders + receivers;
    let pushes = if node == plan.push_node {
        0..senders
    } else {
        0..0
    };
    let heard = |socket: u32| {
        (0..senders)
            .filter(|&sender| plan.fan_out.expects(socket, sender))
            .count() as u64
    };
    receives.chain(pushes).map(heard).sum()
}

/// First message of the missing end of a stream, as numbered in the row, and the end's length.
fn tail(gap: &StreamGap, counts: &[u32]) -> Option<(u64, u64)> {
    let count = u64::from(*counts.get(gap.sender as usize)?);
    let &(first, last) = gap.ranges.last()?;
    (!gap.truncated && last + 1 == count).then(|| {
        (
            first * counts.len() as u64 + u64::from(gap.sender),
            last - first + 1,
        )
    })
}
