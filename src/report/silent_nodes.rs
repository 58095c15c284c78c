//! What the missing copies of a trial have in common: nodes that stopped delivering, and messages that a
//! whole node never had. A total hides both.
//!
//! Belongs here: deciding it from the shape of what is missing. Does not: the words for it (`story`).

use crate::population::turns::Turns;
use crate::report::document::figures::Place;
use crate::report::document::reached::ReachedNode;
use crate::report::document::trial::{Ending, Gap, MatrixCell, TrialResult};
use crate::report::document::{FanOut, Plan};

/// A shorter end of a stream may be missing by chance.
const TAIL_MIN: u64 = 10;

/// Something that missing copies have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MissingPattern<'a> {
    /// A node is silent.
    Silent(SilentNode<'a>),
    /// Every node is silent but the one that takes the pushes.
    PushNodeAlone,
    /// Every node is silent, and there are several.
    All,
    /// A node misses the same messages on all of its sockets.
    SameOnAll(SameOnAll<'a>),
}

/// A node from which nothing came any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SilentNode<'a> {
    /// Which node.
    pub(super) place: Place<'a>,
    /// Copies delivered over its sockets before.
    pub(super) delivered: u64,
    /// Copies expected over its sockets.
    pub(super) expected: u64,
    /// From this message of the trial on (counted from 0) nothing came over any of its sockets.
    pub(super) from_message: u64,
}

/// Messages that came over none of a node's sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SameOnAll<'a> {
    /// Which node.
    pub(super) place: Place<'a>,
    /// Its sockets that should have heard them, at least two.
    pub(super) sockets: u64,
    /// How many messages.
    pub(super) messages: u64,
    /// The first of them, as numbered in the trial.
    pub(super) first: u64,
    /// The last.
    pub(super) last: u64,
}

/// What a trial's missing copies have in common: silent nodes in plan order, what they have in common
/// themselves, and the nodes that miss the same messages everywhere.
pub(super) fn missing_patterns<'a>(plan: &Plan, run: &'a TrialResult) -> Vec<MissingPattern<'a>> {
    let Some(sent) = sent_each(plan, run) else { return Vec::new() };
    let trial = SentTrial { plan, run, sent };
    let silent = trial.silent_nodes();
    let is_silent = |cell: &MatrixCell| silent.iter().any(|s| s.place == cell.place());
    let of_others = run.matrix.iter().filter(|cell| cell.to != plan.push_node && cell.expected > 0);
    let (others, silent_others) = of_others
        .fold((0, 0), |(all, silent), cell| (all + 1, silent + u64::from(is_silent(cell))));
    let mut at_push_node = run.matrix.iter().filter(|cell| cell.to == plan.push_node);
    let together =
        (others > 0 && silent_others == others).then(|| match at_push_node.all(is_silent) {
            true => MissingPattern::All,
            false => MissingPattern::PushNodeAlone,
        });
    let same = run.matrix.iter().filter(|cell| cell.missing > 0 && !is_silent(cell));
    let same = same.filter_map(|cell| trial.same_on_all(cell)).map(MissingPattern::SameOnAll);
    let silent = silent.iter().copied().map(MissingPattern::Silent);
    silent.chain(together).chain(same).collect()
}

/// Messages that each push socket sent: its first ones. `None` where it is not known, or where a signal
/// kept the last of them from coming: then nothing follows from what is missing at the end.
pub(super) fn sent_each(plan: &Plan, run: &TrialResult) -> Option<Vec<u64>> {
    // A document holds no more of them than a plan.
    let senders = u32::try_from(plan.push_sockets).unwrap_or(u32::MAX);
    if run.sent == run.messages {
        return Some(Turns::new(senders).share(run.messages).into_iter().map(u64::from).collect());
    }
    let known = run.sent_by_push_socket.len() as u64 == plan.push_sockets;
    (known && run.ending != Ending::Interrupted).then(|| run.sent_by_push_socket.clone())
}

/// A stream's gap without the messages that were never sent, of each of which `copies` come; `None` if nothing
/// is left of it.
pub(super) fn of_sent(gap: &Gap, sent: &[u64], copies: u64) -> Option<Gap> {
    let sent = sent.get(usize::try_from(gap.sender).ok()?).copied()?;
    let within = gap.ranges.iter().filter(|[first, _]| *first < sent);
    let ranges: Vec<[u64; 2]> =
        within.map(|&[first, last]| [first, last.min(sent.saturating_sub(1))]).collect();
    let reaches = gap.ranges.last().is_some_and(|[_, last]| *last >= sent);
    let truncated = gap.truncated && !reaches;
    let (listed, most) = (messages_in(&ranges), messages_in(&ranges).saturating_mul(copies));
    let unsent = messages_in(&gap.ranges).saturating_sub(listed).saturating_mul(copies);
    let missing = match truncated {
        true => gap.missing.max(listed),
        false => gap.missing.saturating_sub(unsent).clamp(listed, most),
    };
    (missing > 0).then(|| Gap { missing, ranges, truncated, ..gap.clone() })
}

fn messages_in(ranges: &[[u64; 2]]) -> u64 {
    ranges.iter().fold(0, |sum: u64, &[first, last]| {
        sum.saturating_add(last.saturating_sub(first).saturating_add(1))
    })
}

/// A trial, and what was sent in it.
struct SentTrial<'p, 'a> {
    plan: &'p Plan,
    run: &'a TrialResult,
    sent: Vec<u64>,
}

impl<'a> SentTrial<'_, 'a> {
    fn silent_nodes(&self) -> Vec<SilentNode<'a>> {
        let Self { run, .. } = self;
        // Nothing may have come because hardly anything was sent.
        let has_begun = run.delivery.delivered > 0 || run.sent == run.messages;
        let begun =
            has_begun || self.sent.iter().fold(0, |a: u64, b| a.saturating_add(*b)) >= TAIL_MIN;
        let cells = run.matrix.iter().filter(|cell| cell.missing > 0);
        cells
            .filter_map(|cell| {
                let from_message = match cell.copies {
                    0 => begun.then_some(0)?,
                    _ => self.silent_from(cell)?,
                };
                Some(SilentNode {
                    place: cell.place(),
                    delivered: cell.copies,
                    expected: cell.expected,
                    from_message,
                })
            })
            .collect()
    }

    /// The message from which on everything that was sent is missing on every socket of a node.
    fn silent_from(&self, cell: &MatrixCell) -> Option<u64> {
        let gaps = self.gaps(cell);
        let mut from = 0;
        for sender in 0..self.senders() {
            let streams: Vec<_> = gaps.iter().filter(|gap| gap.sender == sender).collect();
            let heard = self.sockets_hearing(cell, sender);
            if (streams.len() as u64) < heard {
                // One of its sockets has them all, as far as the account goes.
                self.is_whole().then_some(())?;
                from = from.max(self.behind(sender, self.sent_by(sender)));
            }
            for gap in streams {
                from = from.max(self.after(gap)?);
            }
        }
        let of_sender = |sender: u64| {
            let before = from.saturating_sub(sender).div_ceil(self.senders());
            let late = self.sent_by(sender).saturating_sub(before);
            late.saturating_mul(self.sockets_hearing(cell, sender))
        };
        let at_the_end = (0..self.senders()).map(of_sender).fold(0, u64::saturating_add);
        let missing = gaps.iter().fold(0, |sum: u64, gap| sum.saturating_add(gap.missing));
        // A lossy node misses copies everywhere; what a silent one misses lies at the end.
        let mostly = at_the_end.saturating_mul(2 * self.plan.subscriptions) > missing;
        (at_the_end >= TAIL_MIN && mostly).then_some(from)
    }

    /// The message behind the last one of a stream that came; `None` if it is not known.
    fn after(&self, gap: &Gap) -> Option<u64> {
        let sent = self.sent_by(gap.sender);
        let &[first, last] = gap.ranges.last()?;
        // Where a message has several copies, some of the last one that came may be among what is missing;
        // where more than those came of what is missing, the end of the stream is no silence.
        let partly = u64::from(self.in_part(gap)? > 0);
        let came = if last.saturating_add(1) == sent { first.saturating_add(partly) } else { sent };
        (!gap.truncated).then(|| self.behind(gap.sender, came))
    }

    /// Copies that came of messages of which others are missing, if they may be those of one message.
    fn in_part(&self, gap: &Gap) -> Option<u64> {
        let copies = self.plan.subscriptions;
        let came = messages_in(&gap.ranges).saturating_mul(copies).saturating_sub(gap.missing);
        (came < copies).then_some(came)
    }

    /// The message behind the first `count` ones of a push socket, as numbered in the trial.
    fn behind(&self, sender: u64, count: u64) -> u64 {
        let last = count.checked_sub(1).map(|last| last.saturating_mul(self.senders()));
        last.map_or(0, |last| last.saturating_add(sender).saturating_add(1))
    }

    fn same_on_all(&self, cell: &'a MatrixCell) -> Option<SameOnAll<'a>> {
        let gaps = self.gaps(cell);
        self.is_whole().then_some(())?;
        let place = cell.place();
        let mut same = SameOnAll { place, sockets: 0, messages: 0, first: u64::MAX, last: 0 };
        for sender in 0..self.senders() {
            let mut streams = gaps.iter().filter(|gap| gap.sender == sender);
            let Some(one) = streams.next() else { continue };
            let alike = |gap: &&Gap| {
                !gap.truncated && gap.ranges == one.ranges && gap.missing == one.missing
            };
            let others = streams.try_fold(1, |count: u64, gap| alike(&gap).then_some(count + 1))?;
            let sockets = self.sockets_hearing(cell, sender);
            (others == sockets && sockets > 1 && !one.truncated).then_some(())?;
            (self.in_part(one)? == 0).then_some(())?;
            let numbered =
                |number: u64| self.behind(sender, number.saturating_add(1)).saturating_sub(1);
            same.sockets = same.sockets.max(sockets);
            same.messages = same.messages.saturating_add(messages_in(&one.ranges));
            same.first = same.first.min(numbered(one.ranges.first()?[0]));
            same.last = same.last.max(numbered(one.ranges.last()?[1]));
        }
        (same.messages > 0).then_some(same)
    }

    /// What is missing of what was sent on the sockets of a node.
    fn gaps(&self, cell: &MatrixCell) -> Vec<Gap> {
        let of_node = self.run.gaps.iter().filter(|gap| gap.place() == cell.place());
        of_node.filter_map(|gap| of_sent(gap, &self.sent, self.plan.subscriptions)).collect()
    }

    /// The account names every stream with missing copies.
    fn is_whole(&self) -> bool {
        self.run.gaps_total <= self.run.gaps.len() as u64
    }

    fn senders(&self) -> u64 {
        self.sent.len() as u64
    }

    fn sent_by(&self, sender: u64) -> u64 {
        usize::try_from(sender).ok().and_then(|k| self.sent.get(k).copied()).unwrap_or(0)
    }

    /// Sockets of a node to which a push socket's messages must come.
    fn sockets_hearing(&self, cell: &MatrixCell, sender: u64) -> u64 {
        let Plan { fan_out, push_node, receivers_per_node, .. } = *self.plan;
        if let Some(ReachedNode { sockets, push_sockets, .. }) = cell.reached {
            // Whether this sender is one of those that push here is known where all are, or none; else it is
            // one more than there may be, and no node is called silent for it.
            let is_here = u64::from(push_sockets == self.senders());
            return match fan_out {
                FanOut::All => sockets,
                FanOut::Others => sockets.saturating_sub(is_here),
                FanOut::Own => push_sockets.min(1),
            };
        }
        let is_pushing = u64::from(cell.to == push_node && sender < self.senders());
        match fan_out {
            FanOut::All => receivers_per_node.saturating_add(is_pushing * self.senders()),
            FanOut::Others => receivers_per_node.saturating_add(is_pushing * (self.senders() - 1)),
            FanOut::Own => is_pushing,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::measure::outcome::{StreamGap, TrialOutcome};
    use crate::report::document::trial::MatrixCell;
    use crate::report::fixture::{begun, cell, trusted, whole};
    use crate::report::silent_nodes::*;
    use proptest::prelude::*;

    const NODE_2: Place<'static> = Place { node: 2, reached: None };

    /// A trial in which node 2's one socket missed the messages that `missed` names.
    fn missing(messages: u64, missed: impl Fn(u64) -> bool) -> TrialOutcome {
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
                    reached: None,
                    missing,
                    ranges,
                    truncated: false,
                });
            }
        }
        run.gaps_total = run.gaps.len() as u64;
        let missing = (0..messages).filter(|&i| missed(i)).count() as u64;
        run.matrix[2] = cell(2, messages, messages - missing);
        run
    }

    fn trial(messages: u64, missed: impl Fn(u64) -> bool) -> TrialResult {
        TrialResult::of(&trusted(missing(messages, missed)))
    }

    fn silent_nodes<'a>(plan: &Plan, run: &'a TrialResult) -> Vec<SilentNode<'a>> {
        let silence = |finding| match finding {
            MissingPattern::Silent(silence) => Some(silence),
            _ => None,
        };
        missing_patterns(plan, run).into_iter().filter_map(silence).collect()
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
            let run = trial(messages, missed);
            let last_that_came = (0..messages).rev().find(|&i| !missed(i)).unwrap();
            prop_assume!(messages - cut >= 3 * TAIL_MIN);
            let silent = silent_nodes(&plan(messages), &run);
            prop_assert_eq!(silent.len(), 1);
            prop_assert_eq!((silent[0].place, silent[0].from_message), (NODE_2, last_that_came + 1));
        }

        #[test]
        fn a_lossy_node_is_not_silent(messages in 100_u64..2_000, seed: u64) {
            let mut rng = fastrand::Rng::with_seed(seed);
            let lost: Vec<bool> = (0..messages).map(|_| rng.u64(0..100) < 20).collect();
            let run = trial(messages, |i| lost[i as usize]);
            prop_assert_eq!(silent_nodes(&plan(messages), &run), []);
        }
    }

    #[test]
    fn a_node_that_delivered_nothing_is_silent_from_the_start() {
        let run = trial(5, |_| true);
        let silence = SilentNode { place: NODE_2, delivered: 0, expected: 5, from_message: 0 };
        assert_eq!(silent_nodes(&plan(5), &run), [silence]);
    }

    #[test]
    fn messages_that_were_never_sent_make_no_node_silent() {
        let mut run = trial(1_000, |i| i >= 300);
        run.sent = 300;
        assert_eq!(
            silent_nodes(&plan(1_000), &run),
            [],
            "an old result does not say who sent what"
        );
        run.sent_by_push_socket = vec![100; 3];
        assert_eq!(silent_nodes(&plan(1_000), &run), []);
    }

    #[test]
    fn a_lost_push_socket_hides_no_silence() {
        // Socket 1 was lost after 30 messages of its own, the last of which nobody has.
        let mut run = trial(1_000, |i| i >= 300 || i % 3 == 1 && i / 3 >= 29);
        run.sent = 334 + 30 + 333;
        run.sent_by_push_socket = vec![334, 30, 333];
        let silent = silent_nodes(&plan(1_000), &run);
        assert_eq!(
            silent.iter().map(|s| (s.place, s.from_message)).collect::<Vec<_>>(),
            [(NODE_2, 300)]
        );
        run.ending = Ending::Interrupted;
        assert_eq!(silent_nodes(&plan(1_000), &run), [], "what was under way had no time to come");
    }

    /// All nodes of `missed` miss what the trial says of node 2.
    fn missing_at(nodes: &[u64]) -> TrialResult {
        let mut run = trial(100, |_| true);
        let (gaps, cell) = (std::mem::take(&mut run.gaps), run.matrix[2].clone());
        for &node in nodes {
            let sockets = if node == 0 { vec![0, 1, 2, 3] } else { vec![3 + node] };
            for socket in sockets {
                run.gaps.extend(gaps.iter().map(|gap| Gap { node, socket, ..gap.clone() }));
            }
            run.matrix[node as usize] = MatrixCell { to: node, ..cell.clone() };
        }
        for node in (0..3).filter(|node| !nodes.contains(node)) {
            run.matrix[node as usize] =
                MatrixCell { to: node, copies: 100, missing: 0, ..cell.clone() };
        }
        run.gaps_total = run.gaps.len() as u64;
        run
    }

    #[test]
    fn where_every_other_node_is_silent_the_push_node_is_named() {
        let together = |nodes: &[u64]| {
            let (plan, run) = (plan(100), missing_at(nodes));
            let found = missing_patterns(&plan, &run);
            let silent = |f: &&MissingPattern<'_>| matches!(f, MissingPattern::Silent(_));
            assert_eq!(found.iter().filter(silent).count(), nodes.len());
            let other = found.iter().find(|finding| !silent(finding));
            (other == Some(&MissingPattern::All), other == Some(&MissingPattern::PushNodeAlone))
        };
        assert_eq!(together(&[1, 2]), (false, true));
        assert_eq!(together(&[0, 1, 2]), (true, false));
        assert_eq!(together(&[2]), (false, false));
        assert_eq!(together(&[0, 1]), (false, false));
    }

    proptest! {
        /// The twin looks at one message after the other.
        #[test]
        fn what_all_sockets_of_a_node_miss_is_told_once(
            lost in prop::collection::btree_set(0_u64..300, 1..20),
            sockets in 1_u64..4,
            odd in prop::option::of(0_u64..300),
        ) {
            let mut plan = plan(300);
            plan.receivers_per_node = sockets;
            let mut run = trial(300, |i| lost.contains(&i));
            let one = std::mem::take(&mut run.gaps);
            for socket in 0..sockets {
                run.gaps.extend(one.iter().map(|gap| Gap { socket: 5 + socket, ..gap.clone() }));
            }
            // One socket misses another message alone.
            let alone = odd.filter(|odd| !lost.contains(odd) && sockets > 1);
            if let Some(odd) = alone {
                let other = trial(300, |i| i == odd || lost.contains(&i));
                run.gaps.retain(|gap| gap.socket != 5);
                run.gaps.extend(other.gaps.iter().map(|gap| Gap { socket: 5, ..gap.clone() }));
            }
            run.gaps_total = run.gaps.len() as u64;
            let silent = silent_nodes(&plan, &run);
            prop_assume!(silent.is_empty());
            let expected = SameOnAll {
                place: NODE_2,
                sockets,
                messages: lost.len() as u64,
                first: *lost.first().unwrap(),
                last: *lost.last().unwrap(),
            };
            let expected = (sockets > 1 && alone.is_none()).then_some(MissingPattern::SameOnAll(expected));
            prop_assert_eq!(missing_patterns(&plan, &run), Vec::from_iter(expected));
        }
    }

    #[test]
    fn what_was_cut_from_the_account_proves_nothing() {
        let mut run = trial(1_000, |i| i >= 300);
        run.gaps[1].truncated = true;
        assert_eq!(missing_patterns(&plan(1_000), &run), []);
        run.gaps[1].truncated = false;
        assert_eq!(silent_nodes(&plan(1_000), &run).len(), 1);
        run.gaps.pop();
        assert_eq!(missing_patterns(&plan(1_000), &run), []);
    }
}
