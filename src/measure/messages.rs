//! What is known of each message when the trial is over: how long it waited, when everybody had it.
//!
//! Belongs here: one pass over all messages. Does not: copies (`recorder`), which are timed as they
//! come.

use super::latencies::Latencies;
use super::outcome::{Class, Interval};
use super::recorder::MessageTimes;
use super::sent::SentTimes;
use super::series::track;
use crate::load::schedule::Timetable;
use crate::population::audience::Audience;
use crate::units::Nanos;

/// Where to look, and since when messages are measured.
#[derive(Clone, Debug)]
pub(super) struct Messages<'a> {
    pub(super) sent: &'a SentTimes,
    /// As each worker saw them.
    pub(super) times: Vec<&'a [MessageTimes]>,
    pub(super) timetable: Option<&'a Timetable>,
    pub(super) measured_from: Nanos,
    /// Who must hear them.
    pub(super) audience: &'a Audience,
}

/// Times of a message that was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    /// It was due in the warm-up.
    warmup: bool,
    sent: Nanos,
    /// How much later than due it was handed to the kernel, for whatever reason.
    wait: Option<Nanos>,
    /// The time of its last copy, how long that took, and how long after the first it was; of
    /// messages of which every copy came.
    whole: Option<(Nanos, Nanos, Option<Nanos>)>,
}

/// Latencies of messages, as opposed to copies.
#[derive(Clone, Debug, Default)]
pub(super) struct PerMessage {
    pub(super) wait: Latencies,
    pub(super) completion: Latencies,
    /// None where every message has one copy: there is nothing between its first and its last.
    pub(super) spread: Option<Latencies>,
}

impl Messages<'_> {
    /// Every message that was sent.
    pub(super) fn iter(&self) -> impl Iterator<Item = Message> + '_ {
        (0..self.audience.population().push_sockets()).flat_map(move |sender| {
            let copies = self.audience.copies_of(sender);
            let indices = self.sent.of_sender(sender as usize);
            (0..).zip(indices).filter_map(move |(sequence, index)| {
                self.message(index, (sender, sequence), copies)
            })
        })
    }

    fn message(&self, index: u32, (sender, sequence): (u32, u32), copies: u64) -> Option<Message> {
        let sent = self.sent.sent(index)?;
        let due = self.timetable.map(|timetable| timetable.intended_of(sender as usize, sequence));
        let since = due.unwrap_or(sent);
        let whole = self.whole(index, copies).map(|all| {
            let last = Nanos(all.last_ns);
            let spread = (copies > 1).then(|| last.since(Nanos(all.first_ns)));
            (last, last.since(since), spread)
        });
        Some(Message {
            warmup: due.is_some_and(|due| due < self.measured_from),
            sent,
            wait: due.map(|due| sent.since(due)),
            whole,
        })
    }

    fn has_spread(&self) -> bool {
        let mut senders = 0..self.audience.population().push_sockets();
        senders.any(|sender| self.audience.copies_of(sender) > 1)
    }

    /// First and last of `copies` over all workers, where every copy came.
    fn whole(&self, index: u32, copies: u64) -> Option<MessageTimes> {
        let times = self.times.iter().map(|times| times[index as usize]);
        let all = times.filter(|t| t.copies > 0).reduce(|a, b| MessageTimes {
            first_ns: a.first_ns.min(b.first_ns),
            last_ns: a.last_ns.max(b.last_ns),
            copies: a.copies + b.copies,
        })?;
        (u64::from(all.copies) == copies).then_some(all)
    }

    /// The latencies of all messages: measured ones, and those of the warm-up.
    pub(super) fn latencies(&self) -> (PerMessage, PerMessage) {
        let spread = || self.has_spread().then(Latencies::new);
        let none = || PerMessage { spread: spread(), ..PerMessage::default() };
        let (mut measured, mut warmup) = (none(), none());
        for message in self.iter() {
            let phase = if message.warmup { &mut warmup } else { &mut measured };
            if let Some(wait) = message.wait {
                phase.wait.record(wait);
            }
            if let Some((_, completion, spread)) = message.whole {
                phase.completion.record(completion);
                if let Some((all, spread)) = phase.spread.as_mut().zip(spread) {
                    all.record(spread);
                }
            }
        }
        (measured, warmup)
    }

    /// Adds tracks of messages to a series that began at `start`: waits when the message was sent,
    /// the rest when its last copy came.
    pub(super) fn keep(&self, intervals: &mut [Interval], start: Nanos) {
        let mut events = self.events(intervals, start);
        events.sort_unstable_by_key(|&(place, class, _)| (place, class));
        let mut latencies = Latencies::new();
        for events in events.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            latencies.clear();
            events.iter().for_each(|&(_, _, took)| latencies.record(took));
            let (place, class, _) = events[0];
            intervals[place].tracks.push(track(class, None, &latencies.histogram()));
        }
    }

    /// What happened to messages: in which interval, what, and how long it took.
    fn events(&self, intervals: &[Interval], start: Nanos) -> Vec<(usize, Class, Nanos)> {
        let mut events = Vec::new();
        for message in self.iter() {
            let place = |at: Nanos| place(intervals, at.since(start), message.warmup);
            if let Some((place, wait)) = place(message.sent).zip(message.wait) {
                events.push((place, Class::Wait, wait));
            }
            let Some((last, completion, spread)) = message.whole else { continue };
            if let Some(place) = place(last) {
                events.push((place, Class::Completion, completion));
                events.extend(spread.map(|spread| (place, Class::Spread, spread)));
            }
        }
        events
    }
}

/// The interval of a phase that holds an instant; the nearest before it, else after it, where none
/// does: a message may be handed over in one interval and be taken in the next.
fn place(intervals: &[Interval], at: Nanos, warmup: bool) -> Option<usize> {
    let begun = intervals.partition_point(|interval| interval.start <= at);
    let same = |&place: &usize| intervals[place].warmup == warmup;
    (0..begun).rev().find(same).or_else(|| (begun..intervals.len()).find(same))
}
