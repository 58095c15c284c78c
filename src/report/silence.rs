//! Nodes that stopped delivering: the failure that a total hides best.
//!
//! Belongs here: telling a silent node from a lossy one by the shape of what is missing. Does not:
//! why it fell silent.

use super::document::row::{Gap, Run};
use super::document::{FanOut, Plan};
use crate::measure::sent::share;

/// A shorter end of a stream may be missing by chance.
const TAIL_MIN: u64 = 10;

/// A node from which nothing came any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Silence {
    /// Index of the node.
    pub(super) node: u64,
    /// Copies delivered over its sockets before.
    pub(super) delivered: u64,
    /// Copies expected over its sockets.
    pub(super) expected: u64,
    /// From this message of the row on (counted from 0) nothing came over any of its sockets.
    pub(super) from_message: u64,
}

/// The silent nodes of a row, in plan order.
pub(super) fn silent_nodes(plan: &Plan, run: &Run) -> Vec<Silence> {
    // A document holds no more of them than a plan.
    let senders = u32::try_from(plan.push_sockets).unwrap_or(u32::MAX);
    let counts = share(run.messages, senders);
    let cells = run.matrix.iter().filter(|cell| cell.missing > 0);
    // Where messages were never sent, every node seems to fall silent at that point.
    let all_sent = run.sent == run.messages;
    cells
        .filter_map(|cell| {
            let from_message = match cell.copies {
                0 => (all_sent || run.delivery.delivered > 0).then_some(0)?,
                _ if all_sent => silent_from(plan, run, &counts, cell.to)?,
                _ => return None,
            };
            Some(Silence {
                node: cell.to,
                delivered: cell.copies,
                expected: cell.expected,
                from_message,
            })
        })
        .collect()
}

/// The message from which on every stream of every socket of `node` is missing.
fn silent_from(plan: &Plan, run: &Run, counts: &[u32], node: u64) -> Option<u64> {
    let gaps: Vec<_> = run.gaps.iter().filter(|gap| gap.node == node).collect();
    if gaps.len() as u64 != streams_of(plan, node) {
        return None;
    }
    let tails: Option<Vec<_>> = gaps.iter().map(|gap| tail(gap, counts)).collect();
    let (starts, lengths): (Vec<_>, Vec<_>) = tails?.into_iter().unzip();
    let (missing, at_the_end): (u64, u64) =
        (gaps.iter().map(|gap| gap.missing).sum(), lengths.iter().sum());
    // A lossy node misses copies everywhere; what a silent one misses lies at the end.
    (at_the_end >= TAIL_MIN && 2 * at_the_end > missing).then(|| starts.into_iter().max())?
}

/// Streams that come in over the sockets of a node.
fn streams_of(plan: &Plan, node: u64) -> u64 {
    let senders = plan.push_sockets;
    let (to_a_receiver, to_a_sender) = match plan.fan_out {
        FanOut::All => (senders, senders),
        FanOut::Others => (senders, senders.saturating_sub(1)),
        FanOut::Own => (0, 1),
    };
    let pushes = if node == plan.push_node { senders } else { 0 };
    let received = plan.receivers_per_node.saturating_mul(to_a_receiver);
    received.saturating_add(pushes.saturating_mul(to_a_sender))
}

/// The message after the last one of a stream that came, as numbered in the row, and the length of
/// the missing end.
fn tail(gap: &Gap, counts: &[u32]) -> Option<(u64, u64)> {
    let senders = counts.len() as u64;
    let count = u64::from(*counts.get(usize::try_from(gap.sender).ok()?)?);
    let &[first, last] = gap.ranges.last()?;
    let after = first.checked_sub(1).map_or(0, |came| came * senders + gap.sender + 1);
    (!gap.truncated && last + 1 == count).then_some((after, last - first + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::outcome::{RunOutcome, StreamGap};
    use crate::report::fixture::{begun, cell, whole};
    use proptest::prelude::*;

    /// A row in which node 2's one socket missed the messages that `missed` names.
    fn missing(messages: u64, missed: impl Fn(u64) -> bool) -> RunOutcome {
        let mut run = whole(messages);
        for sender in 0..3 {
            let mut ranges: Vec<(u64, u64)> = Vec::new();
            for i in (sender..messages).step_by(3).filter(|&i| missed(i)).map(|i| i / 3) {
                match ranges.last_mut() {
                    Some(range) if range.1 + 1 == i => range.1 = i,
                    _ => ranges.push((i, i)),
                }
            }
            let missing = ranges.iter().map(|(first, last)| last - first + 1).sum();
            if missing > 0 {
                run.gaps.push(StreamGap {
                    sender: sender as u32,
                    socket: 5,
                    node: 2,
                    missing,
                    ranges,
                    truncated: false,
                });
            }
        }
        let missing = (0..messages).filter(|&i| missed(i)).count() as u64;
        run.matrix[2] = cell(2, messages, messages - missing);
        run
    }

    fn row(messages: u64, missed: impl Fn(u64) -> bool) -> Run {
        Run::of(&missing(messages, missed))
    }

    fn plan(messages: u64) -> Plan {
        begun(&[messages]).plan
    }

    proptest! {
        #[test]
        fn a_node_is_silent_from_behind_the_last_message_that_it_delivered(
            messages in 100_u64..2_000,
            percent_before in 50_u64..90,
            seed: u64,
        ) {
            let cut = messages * percent_before / 100;
            let mut rng = fastrand::Rng::with_seed(seed);
            // Out of order at the cut, and a few losses before it.
            let lost: Vec<bool> =
                (0..messages).map(|i| i >= cut || rng.u64(0..100) < if i + 9 > cut { 50 } else { 1 }).collect();
            let missed = |i: u64| lost[i as usize];
            let run = row(messages, missed);
            let last_that_came = (0..messages).rev().find(|&i| !missed(i)).unwrap();
            prop_assume!(messages - cut >= 3 * TAIL_MIN);
            let silent = silent_nodes(&plan(messages), &run);
            prop_assert_eq!(silent.len(), 1);
            prop_assert_eq!((silent[0].node, silent[0].from_message), (2, last_that_came + 1));
        }

        #[test]
        fn a_lossy_node_is_not_silent(messages in 100_u64..2_000, seed: u64) {
            let mut rng = fastrand::Rng::with_seed(seed);
            let lost: Vec<bool> = (0..messages).map(|_| rng.u64(0..100) < 20).collect();
            prop_assert_eq!(silent_nodes(&plan(messages), &row(messages, |i| lost[i as usize])), []);
        }
    }

    #[test]
    fn a_node_that_delivered_nothing_is_silent_from_the_start() {
        let run = row(5, |_| true);
        let silence = Silence { node: 2, delivered: 0, expected: 5, from_message: 0 };
        assert_eq!(silent_nodes(&plan(5), &run), [silence]);
    }

    #[test]
    fn messages_that_were_never_sent_make_no_node_silent() {
        let mut run = row(1_000, |i| i >= 300);
        run.sent = 300;
        assert_eq!(silent_nodes(&plan(1_000), &run), []);
    }

    #[test]
    fn what_was_cut_from_the_account_proves_nothing() {
        let mut run = row(1_000, |i| i >= 300);
        run.gaps[1].truncated = true;
        assert_eq!(silent_nodes(&plan(1_000), &run), []);
    }
}
