//! What one worker records while the clock runs: account, latency, times of each message.
//!
//! Belongs here: the few nanoseconds that follow the recognition of a copy. Does not: merging
//! (`tally`), trusting (`verdict`). Nothing here allocates after [`Recorder::new`].

use std::sync::Arc;

use super::correlate::{Attribution, Correlator, Key};
use super::latencies::Latencies;
use super::ledger::{Classification, Ledger};
use super::reordering::Reordering;
use super::sent::SentTimes;
use crate::load::schedule::Timetable;
use crate::measure::credits::Answers;
use crate::population::audience::{Audience, Hearing};
use crate::population::sockets::SocketId;
use crate::units::Nanos;

/// When the copies of one message came, as one worker saw it.
#[derive(Clone, Copy, Debug, Default)]
pub struct MessageTimes {
    /// Its first copy; 0 when none came.
    pub first_ns: u64,
    /// Its last copy so far.
    pub last_ns: u64,
    /// Copies delivered.
    pub copies: u32,
}

impl MessageTimes {
    /// One more copy came.
    #[inline]
    fn note(&mut self, at: Nanos) {
        // Copies that waited for their id are recorded late, with their own, earlier time.
        if self.copies == 0 || at.0 < self.first_ns {
            self.first_ns = at.0;
        }
        self.last_ns = self.last_ns.max(at.0);
        self.copies += 1;
    }
}

/// Counts that are no latency.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// First copies.
    pub delivered: u64,
    /// Further copies.
    pub duplicate: u64,
    /// Copies on sockets that must not hear their sender.
    pub misdelivered: u64,
    /// First copies that came late in their stream.
    pub out_of_order: u64,
    /// Messages that are not ours.
    pub foreign: u64,
    /// Copies of the probe and of earlier trials.
    pub earlier: u64,
    /// Copies that were altered.
    pub corrupt: u64,
    /// Of the foreign ones: those whose id found no place to wait in. They may be ours.
    pub unattributable: u64,
    /// Of the foreign ones: those that came by an id which no text has taught.
    pub untaught: u64,
}

impl Counts {
    /// Both together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self {
            delivered: self.delivered + other.delivered,
            duplicate: self.duplicate + other.duplicate,
            misdelivered: self.misdelivered + other.misdelivered,
            out_of_order: self.out_of_order + other.out_of_order,
            foreign: self.foreign + other.foreign,
            earlier: self.earlier + other.earlier,
            corrupt: self.corrupt + other.corrupt,
            unattributable: self.unattributable + other.unattributable,
            untaught: self.untaught + other.untaught,
        }
    }
}

/// Latency of the copies of some messages.
#[derive(Clone, Debug)]
pub struct Copies {
    /// Of the headline class by node (of the plan, or of `reached::Places`): response where there is a timetable, else service.
    pub headline: Vec<Latencies>,
    /// From sent to copy, where that is not the headline.
    pub service: Option<Latencies>,
}

impl Copies {
    /// Of no messages so far.
    pub fn new(nodes: usize, on_schedule: bool) -> Self {
        Self {
            headline: (0..nodes).map(|_| Latencies::new()).collect(),
            service: on_schedule.then(Latencies::new),
        }
    }

    /// How many copies.
    pub fn count(&self) -> u64 {
        self.headline.iter().map(Latencies::count).sum()
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        for (sum, node) in self.headline.iter_mut().zip(&other.headline) {
            sum.add(node);
        }
        if let (Some(sum), Some(service)) = (&mut self.service, &other.service) {
            sum.add(service);
        }
    }

    /// Forgets everything and keeps the room.
    pub fn clear(&mut self) {
        self.headline.iter_mut().chain(&mut self.service).for_each(Latencies::clear);
    }
}

/// Latency of the copies of one stretch of time, those of the warm-up apart. It is what a worker
/// records into, and what it hands over whole when an interval ends.
#[derive(Clone, Debug)]
pub struct Records {
    /// Copies of messages that are measured.
    pub measured: Copies,
    /// Copies of messages that were due in the warm-up; present where there is one.
    pub warmup: Option<Copies>,
    /// Copies on sockets that must not hear them, whenever they were due.
    pub misdelivered: u64,
}

impl Records {
    /// Of nothing so far.
    pub fn new(nodes: usize, on_schedule: bool, warms_up: bool) -> Self {
        let copies = || Copies::new(nodes, on_schedule);
        Self { measured: copies(), warmup: warms_up.then(copies), misdelivered: 0 }
    }

    /// The longest latency, from when the message was sent.
    pub fn slowest(&self) -> Nanos {
        let of = |copies: &Copies| {
            let sent = copies.service.as_ref().map_or(&copies.headline[..], std::slice::from_ref);
            sent.iter().filter_map(Latencies::max).max()
        };
        let warmup = self.warmup.as_ref().and_then(of);
        of(&self.measured).max(warmup).unwrap_or(Nanos::ZERO)
    }

    /// How many copies of both kinds.
    pub fn count(&self) -> u64 {
        self.measured.count() + self.warmup.as_ref().map_or(0, Copies::count)
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.measured.add(&other.measured);
        if let (Some(sum), Some(warmup)) = (&mut self.warmup, &other.warmup) {
            sum.add(warmup);
        }
        self.misdelivered += other.misdelivered;
    }

    /// Forgets everything and keeps the room.
    pub fn clear(&mut self) {
        self.measured.clear();
        self.warmup.iter_mut().for_each(Copies::clear);
        self.misdelivered = 0;
    }
}

/// Messages have due times.
#[derive(Debug)]
pub struct OnSchedule {
    /// When each message is due.
    pub timetable: Timetable,
    /// Messages due from then on are measured; those before are the warm-up.
    pub measured_from: Nanos,
}

/// One worker's record of one trial.
#[derive(Debug)]
pub struct Recorder {
    /// This worker's sockets, by local index; their nodes are those of `reached::Places`, where there are such.
    pub seats: Vec<SocketId>,
    /// Copies that each of them expects.
    pub expected: Vec<u64>,
    /// Copies that each of them has got.
    pub delivered: Vec<u64>,
    /// The account of each stream.
    pub ledger: Ledger,
    /// Present when the dialect correlates.
    pub correlator: Option<Correlator>,
    /// Latencies since the interval began.
    pub records: Records,
    /// Present where messages have due times.
    pub schedule: Option<OnSchedule>,
    /// Present where sends wait for answers.
    pub answers: Option<Answers>,
    /// By message index.
    pub times: Vec<MessageTimes>,
    /// The rest of the account.
    pub counts: Counts,
    /// How far out of order copies came.
    pub reordering: Reordering,
    /// When the last copy came.
    pub last_copy: Nanos,
    /// Sockets that were never connected: nothing is expected of them.
    pub left_out: Vec<u32>,
    /// The longest latency of a copy that came twice: what [`Records`] do not hold.
    pub straggler: Nanos,
    sent: Arc<SentTimes>,
}

impl Recorder {
    /// Lays out everything that a trial needs on a worker with these sockets.
    pub fn new(
        seats: Vec<SocketId>,
        nodes: usize,
        senders: &[u32],
        audience: &Audience,
        correlates: bool,
        sent: Arc<SentTimes>,
    ) -> Self {
        let ledger = Ledger::new(audience, &seats, senders);
        let must_hear = |socket: u32, sender| {
            let hears = audience.hears(socket, sender as u32) == Hearing::Must;
            let subscriptions = u64::from(audience.subscriptions());
            if hears { subscriptions * u64::from(senders[sender]) } else { 0 }
        };
        let expected = |(local, seat): (usize, &SocketId)| {
            ledger.heard(local).map(|sender| must_hear(seat.socket, sender)).sum()
        };
        let expected: Vec<u64> = seats.iter().enumerate().map(expected).collect();
        let sockets = seats.iter().map(|seat| seat.socket);
        let left_out = sockets.filter(|&socket| audience.is_left_out(socket)).collect();
        // Copies without text come to sockets of other nodes only, but nothing is lost by room for
        // all: memory that is not touched is not there.
        let pending = expected.iter().sum::<u64>() as usize;
        Self {
            delivered: vec![0; seats.len()],
            expected,
            ledger,
            correlator: correlates.then(|| Correlator::new(sent.len(), pending)),
            records: Records::new(nodes, false, false),
            reordering: Reordering::default(),
            schedule: None,
            answers: None,
            times: vec![MessageTimes::default(); sent.len()],
            counts: Counts::default(),
            last_copy: Nanos::ZERO,
            left_out,
            straggler: Nanos::ZERO,
            seats,
            sent,
        }
    }

    /// When the messages were sent.
    pub fn sent_times(&self) -> &Arc<SentTimes> {
        &self.sent
    }

    /// Messages are due as `timetable` says, the first of them in a warm-up perhaps: before the
    /// clock.
    pub fn follow(&mut self, timetable: Timetable, warms_up: bool) {
        self.records = Records::new(self.records.measured.headline.len(), true, warms_up);
        self.schedule = Some(OnSchedule { timetable, measured_from: Nanos::ZERO });
    }

    /// Messages that come back to their sender are noted for it, each once: before the clock.
    pub fn note_answers(&mut self) {
        self.answers = Some(Answers::new(self.seats.len()));
    }

    /// Everything that arrived so far, of whatever kind and of earlier trials too: progress.
    pub fn seen(&self) -> u64 {
        let c = &self.counts;
        let ours = c.delivered + c.duplicate + c.misdelivered + c.earlier;
        ours + c.foreign + c.corrupt + self.waiting()
    }

    /// Copies that wait for their id to be learned.
    pub fn waiting(&self) -> u64 {
        self.correlator.as_ref().map_or(0, Correlator::waiting)
    }

    /// A copy with a tag, and perhaps an id, came to local socket `local`. Always inlined: a call with an
    /// optional id goes through memory, 0.7 ns of the 25 that a copy costs.
    #[inline(always)]
    pub fn copy(&mut self, local: u32, sender: u16, sequence: u64, id: Option<Key>, at: Nanos) {
        let Some(index) = self.sent.index(usize::from(sender), sequence) else {
            // A message that we do not have: no honest cluster makes it.
            self.counts.corrupt += 1;
            return;
        };
        self.deliver(local, usize::from(sender), sequence as u32, index, at);
        if let Some(key) = id {
            self.learn(key, index);
        }
    }

    /// Copies `first` and those that follow it in its stream, `many` in all, came to local socket `local` in
    /// one read. As [`Self::copy`] for each, but where they are in order they are one step of the ledger, and
    /// one of the histogram for all that left at one time.
    #[inline(always)]
    pub fn copies(&mut self, local: u32, sender: u16, first: u64, many: u32, at: Nanos) {
        if many == 1 || !self.deliver_in_order(local, usize::from(sender), first, many, at) {
            for sequence in first..first + u64::from(many) {
                self.copy(local, sender, sequence, None, at);
            }
        }
    }

    /// A copy with an id alone came to local socket `local`.
    #[inline]
    pub fn id_only(&mut self, local: u32, key: Key, at: Nanos) {
        let attribution = match &mut self.correlator {
            Some(correlator) => correlator.attribute(key, local, at.0),
            None => Attribution::Overflow,
        };
        match attribution {
            Attribution::Message(index) => self.attributed(local, index, at),
            Attribution::Waits(0) => {}
            Attribution::Waits(strangers) => self.strangers(strangers.into()),
            Attribution::Overflow => {
                self.counts.foreign += 1;
                self.counts.unattributable += 1;
            }
        }
    }

    /// A copy of an earlier trial came; since this one began `elapsed` is over.
    #[cold]
    pub fn earlier(&mut self, elapsed: Nanos) {
        self.counts.earlier += 1;
        self.straggler = self.straggler.max(elapsed);
    }

    /// A copy that carried no tag turned out to be one of message `index`.
    pub fn attributed(&mut self, local: u32, index: u32, at: Nanos) {
        let (sender, sequence) = self.sent.message(index);
        self.deliver(local, sender, sequence, index, at);
    }

    /// So many copies waited in vain for their id to be learned.
    pub fn strangers(&mut self, copies: u64) {
        self.counts.foreign += copies;
        self.counts.untaught += copies;
    }

    fn learn(&mut self, key: Key, index: u32) {
        let Some(correlator) = &mut self.correlator else { return };
        let mut waiters = correlator.learn(key, index);
        while let Some(pending) = self.correlator.as_mut().and_then(|c| c.release(&mut waiters)) {
            self.attributed(pending.socket, index, Nanos(pending.at_ns));
        }
    }

    #[inline(always)]
    fn deliver(&mut self, local: u32, sender: usize, sequence: u32, index: u32, at: Nanos) {
        let Some(sent) = self.sent.sent(index) else {
            // A copy before its message was sent.
            self.counts.corrupt += 1;
            return;
        };
        match self.ledger.arrive(local as usize, sender, sequence) {
            Classification::InOrder => {}
            Classification::OutOfOrder { behind } => {
                self.counts.out_of_order += 1;
                self.reordering.note(behind);
            }
            Classification::Duplicate => {
                self.counts.duplicate += 1;
                self.straggler = self.straggler.max(at.since(sent));
                return;
            }
            Classification::Misdelivered => {
                self.counts.misdelivered += 1;
                self.records.misdelivered += 1;
                self.straggler = self.straggler.max(at.since(sent));
                return;
            }
        }
        self.counts.delivered += 1;
        self.delivered[local as usize] += 1;
        self.last_copy = self.last_copy.max(at);
        let seat = self.seats[local as usize];
        self.record(seat.node as usize, sender, sequence, sent, at);
        if let Some(answers) = &mut self.answers
            && seat.socket as usize == sender
            && !self.ledger.came_before(local as usize, sender, sequence)
        {
            answers.note(local);
        }
        self.times[index as usize].note(at);
    }

    /// Delivers copies that are the next of their stream, or none of them and says so.
    #[inline]
    fn deliver_in_order(
        &mut self,
        local: u32,
        sender: usize,
        first: u64,
        many: u32,
        at: Nanos,
    ) -> bool {
        let last = first + u64::from(many) - 1;
        let (Some(index), Some(_)) =
            (self.sent.index(sender, first), self.sent.index(sender, last))
        else {
            return false;
        };
        // Each message of a schedule has a due time of its own.
        if self.schedule.is_some() {
            return false;
        }
        let Some(stretches) = self.sent.stretches(index, many) else { return false };
        if !self.ledger.arrive_in_order(local as usize, sender, first as u32, many) {
            return false;
        }
        self.counts.delivered += u64::from(many);
        self.delivered[local as usize] += u64::from(many);
        self.last_copy = self.last_copy.max(at);
        let seat = self.seats[local as usize];
        let latencies = &mut self.records.measured.headline[seat.node as usize];
        for (sent, copies) in stretches {
            latencies.record_many(at.since(sent), copies);
        }
        if let Some(answers) = &mut self.answers
            && seat.socket as usize == sender
            && !self.ledger.came_before(local as usize, sender, first as u32)
        {
            (0..many).for_each(|_| answers.note(local));
        }
        for times in &mut self.times[index as usize..][..many as usize] {
            times.note(at);
        }
        true
    }

    #[inline(always)]
    fn record(&mut self, node: usize, sender: usize, sequence: u32, sent: Nanos, at: Nanos) {
        if self.schedule.is_none() {
            return self.records.measured.headline[node].record(at.since(sent));
        }
        self.record_on_schedule(node, sender, sequence, sent, at);
    }

    /// Apart, since its divisions made every copy without a schedule save and restore seven registers.
    #[inline(never)]
    fn record_on_schedule(
        &mut self,
        node: usize,
        sender: usize,
        sequence: u32,
        sent: Nanos,
        at: Nanos,
    ) {
        let Records { measured, warmup, .. } = &mut self.records;
        let Some(schedule) = &self.schedule else { return };
        let due = schedule.timetable.intended_of(sender, sequence);
        let copies = match warmup {
            Some(warmup) if due < schedule.measured_from => warmup,
            _ => measured,
        };
        if let Some(service) = &mut copies.service {
            service.record(at.since(sent));
        }
        copies.headline[node].record(at.since(due));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::population::fan_out::FanOut;
    use crate::population::sockets::Population;

    const SENT: [u64; 12] = [10, 10, 10, 11, 11, 20, 20, 20, 20, 30, 0, 0];

    /// Two senders of 12 messages, the last two of each not sent; socket 0 is the first one's own.
    fn recorder() -> Recorder {
        let sent = SentTimes::new(&[12, 12]);
        for sender in 0..2 {
            for (n, &at) in (0..).zip(&SENT) {
                sent.stamp(sender, n, n + 1, Nanos(at));
            }
        }
        let seats = vec![SocketId { socket: 0, node: 0 }, SocketId { socket: 7, node: 1 }];
        let audience = Audience::new(Population::new(2, 0, 2, 3).unwrap(), FanOut::All);
        let mut recorder = Recorder::new(seats, 2, &[12, 12], &audience, false, Arc::new(sent));
        recorder.note_answers();
        recorder
    }

    proptest! {
        #[test]
        fn copies_that_come_together_are_recorded_as_if_each_came_alone(
            reads in prop::collection::vec(
                (0_u32..2, 0_u16..3, prop_oneof![Just(None), (0_u64..14).prop_map(Some)], 1_u32..14, 0_u64..60),
                0..20,
            ),
        ) {
            let (mut together, mut alone) = (recorder(), recorder());
            let mut next = [[0; 3]; 2];
            for (local, sender, first, many, at) in reads {
                // Mostly what is next, so that there are stretches in order.
                let next = &mut next[local as usize][usize::from(sender)];
                let first = first.unwrap_or(*next);
                *next = first + u64::from(many);
                together.copies(local, sender, first, many, Nanos(at));
                for sequence in first..first + u64::from(many) {
                    alone.copy(local, sender, sequence, None, Nanos(at));
                }
            }
            let told = |recorder: &Recorder| {
                let Recorder { counts, delivered, last_copy, times, reordering, answers, .. } = recorder;
                let figures = recorder.records.measured.headline.iter().map(|ns| {
                    (ns.histogram().iter_recorded().map(|v| (v.value_iterated_to(), v.count_at_value())).collect::<Vec<_>>(), ns.min(), ns.max(), ns.saturated())
                });
                let missing: Vec<Vec<u32>> = (0..4).map(|i| recorder.ledger.missing(i / 2, i % 2).collect()).collect();
                format!("{counts:?} {delivered:?} {last_copy:?} {times:?} {reordering:?} {answers:?} {:?} {missing:?}", figures.collect::<Vec<_>>())
            };
            prop_assert_eq!(told(&together), told(&alone));
        }
    }
}
