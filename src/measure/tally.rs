//! What leaves a worker at the end of a trial, by value, and how all of it becomes one outcome.
//!
//! Belongs here: merging. Only histograms and counts are merged, never percentiles. Does not: what
//! the numbers are worth (`verdict`).

use std::sync::Arc;

use super::correlate::Key;
use super::gaps::gaps;
use super::interval::Rest;
use super::late::{Late, LateLog, Past};
use super::latencies::Latencies;
use super::messages::{Messages, PerMessage};
use super::outcome::{
    Class, CoreUse, Delivery, Ending, Interval, LostSocket, MatrixCell, Opcodes, StreamGap,
    TrialOutcome, Untaught, WarmUp,
};
use super::reached::{Places, who_took};
use super::recorder::{Copies, Recorder};
use super::reordering::Reordering;
use super::sent::SentTimes;
use super::series::{Collector, Series};
use crate::load::schedule::{Schedule, Timetable};
use crate::load::trial::Trial;
use crate::plan::Plan;
use crate::population::audience::Audience;
use crate::units::Nanos;
use crate::wire::deflate::DeflateCounts;

/// One worker's share of a trial.
#[derive(Debug)]
pub struct Tally {
    /// Account and latency.
    pub recorder: Recorder,
    /// What the core did.
    pub core: CoreUse,
    /// Copies of earlier trials, as they came.
    pub late: LateLog,
    /// Sockets that were lost during the trial.
    pub lost: Vec<LostSocket>,
    /// Frames received.
    pub opcodes: Opcodes,
    /// Messages that were compressed.
    pub deflate: DeflateCounts,
    /// Messages that the kernel took whole.
    pub sent: u64,
    /// The same by push socket, of those that this worker has.
    pub sent_each: Vec<(u16, u32)>,
    /// Open loop only: how late the worker turned to each message that was due.
    pub lag: Option<Latencies>,
    /// How late a sample of reads was stamped.
    pub stamps: Option<Latencies>,
    /// The wall clock was set meanwhile, so that this cannot be told.
    pub clock_was_set: bool,
    /// The same of messages due in the warm-up, where there is one.
    pub warmup_lag: Option<Latencies>,
    /// What was not handed over while the clock ran; its records are the recorder's.
    pub rest: Rest,
    /// First submission; `None` when this worker sent nothing.
    pub first_send: Option<Nanos>,
    /// Completion of the last send.
    pub last_send: Nanos,
}

/// A trial as all workers together saw it.
#[derive(Debug)]
pub struct TrialMerge<'a> {
    /// The plan that the trial belongs to.
    pub plan: &'a Plan,
    /// What was to be sent.
    pub trial: &'a Trial,
    /// When each was sent.
    pub sent: &'a SentTimes,
    /// How it ended.
    pub ending: Ending,
}

/// What no worker knows of a trial.
#[derive(Clone, Debug, Default)]
pub struct TrialContext {
    /// Wall-clock start, milliseconds since 1970.
    pub started_unix_ms: u64,
    /// CPU time of all threads of this process meanwhile; `None` where it is not known.
    pub process_cpu: Option<Nanos>,
    /// Sockets that had been lost and were connected again before it.
    pub reconnected: u64,
    /// Present where a header names the nodes that took the sockets: recorders are by them.
    pub places: Option<Arc<Places>>,
}

impl TrialMerge<'_> {
    /// Merges the tallies of workers that handed over nothing while the clock ran, led by nobody.
    ///
    /// # Panics
    /// When the account does not add up: that would be a defect of ours, and no number of such a run
    /// could be believed.
    pub fn merge(&self, tallies: Vec<Tally>) -> TrialOutcome {
        let schedule = timetable(&tallies).map(Timetable::schedule);
        let start = tallies.iter().map(|t| t.rest.began).min().unwrap_or(Nanos::ZERO);
        let (mut collector, _) = Collector::new(self.plan, self.trial, schedule, 0);
        collector.begin(start);
        let collector = collector.of(self.audience(&tallies));
        let past = &mut Past::new(self.plan.audience.clone());
        self.merge_with(tallies, collector, TrialContext::default(), past).0
    }

    /// The same, of workers that handed over intervals to `collector`, after the trials of `past`. Their
    /// recorders come back: what comes late is held against them.
    ///
    /// # Panics
    /// See [`Self::merge`].
    pub fn merge_with(
        &self,
        mut tallies: Vec<Tally>,
        collector: Collector,
        context: TrialContext,
        past: &mut Past,
    ) -> (TrialOutcome, Vec<Recorder>) {
        past.credit_all(tallies.iter().map(|t| (&t.recorder.seats[..], &t.late)));
        attribute_leftovers(&mut tallies, past);
        let (audience, delivery) = self.account(&tallies);
        let [start, last_send, last_copy] = span(&tallies);
        let sent: u64 = tallies.iter().map(|t| t.sent).sum();
        let (begun, measured_from) = (collector.start(), collector.measured_from());
        let rests = tallies.iter().map(|t| (&t.recorder.records, t.rest));
        let Series { mut intervals, totals } = collector.finish(rests, last_send.max(last_copy));
        self.check(&tallies, &delivery, &intervals);
        let messages = self.messages_of(&tallies, &audience, measured_from);
        if self.plan.keep_intervals {
            messages.keep(&mut intervals, begun);
        }
        let (of_measured, of_warmup) = messages.latencies();
        let classes = classes(&totals.measured, of_measured);
        let warmup = totals.warmup.map(|heard| self.warmup(&tallies, &audience, &heard, of_warmup));
        let (gaps, gaps_total) = self.gaps(&tallies, context.places.as_deref());
        let outcome = TrialOutcome {
            id: self.trial.id.clone(),
            messages: self.trial.messages,
            sent,
            sent_each: self.sent_each(&tallies),
            push_sockets: self.plan.population().push_sockets().into(),
            receive_sockets: u64::from(self.plan.population().receive_sockets())
                - audience.left_out().len() as u64,
            nodes: self.plan.nodes.len(),
            late: Late::default(),
            started_unix_ms: context.started_unix_ms,
            untaught: self.untaught(&tallies),
            send_time: (sent > 0).then(|| last_send.since(start)),
            receive_time: (delivery.delivered > 0).then(|| last_copy.since(start)),
            scheduled_per_s: self.scheduled_per_s(&tallies, sent),
            delivery,
            unattributable: tallies.iter().map(|t| t.recorder.counts.unattributable).sum(),
            saturated: classes.iter().map(|(_, latencies)| latencies.saturated()).sum(),
            matrix: self.matrix(&tallies, context.places.as_deref(), totals.measured.headline),
            latency_ns: classes,
            warmup,
            intervals,
            reordering: reordering(&tallies),
            stamps_ns: sum(tallies.iter().filter_map(|t| t.stamps.as_ref())),
            clock_was_set: tallies.iter().any(|t| t.clock_was_set),
            stamp_resolution: self.plan.generator.wait.resolution(),
            process_cpu: context.process_cpu,
            lag_ns: sum(tallies.iter().filter_map(|t| t.lag.as_ref())),
            gaps,
            gaps_total,
            opcodes: tallies.iter().fold(Opcodes::default(), |sum, t| sum.plus(&t.opcodes)),
            deflate: tallies.iter().fold(DeflateCounts::default(), |sum, t| sum.plus(&t.deflate)),
            reconnected: context.reconnected,
            lost: lost(&tallies, context.places.as_deref()),
            cores: by_cpu(tallies.iter().map(|t| &t.core)),
            ending: self.ending,
        };
        (outcome, tallies.into_iter().map(|t| t.recorder).collect())
    }

    /// What the schedule asked for, as far as the trial went.
    fn scheduled_per_s(&self, tallies: &[Tally], sent: u64) -> Option<f64> {
        let cut = self.ending == Ending::Interrupted;
        timetable(tallies)?.schedule().per_second(if cut { sent } else { self.trial.messages })
    }

    /// Empty where every message was sent.
    fn sent_each(&self, tallies: &[Tally]) -> Vec<u64> {
        if tallies.iter().map(|t| t.sent).sum::<u64>() == self.trial.messages {
            return Vec::new();
        }
        let mut each = vec![0; self.plan.population().push_sockets() as usize];
        for &(socket, sent) in tallies.iter().flat_map(|t| &t.sent_each) {
            each[usize::from(socket)] = sent.into();
        }
        each
    }

    /// Of whom copies are expected, and what came of them.
    fn account(&self, tallies: &[Tally]) -> (Audience, Delivery) {
        let audience = self.audience(tallies);
        let delivery = self.delivery(tallies, &audience);
        (audience, delivery)
    }

    /// The audience without the sockets that some worker left out.
    fn audience(&self, tallies: &[Tally]) -> Audience {
        self.plan.audience.without(tallies.iter().flat_map(|t| t.recorder.left_out.iter().copied()))
    }

    fn delivery(&self, tallies: &[Tally], audience: &Audience) -> Delivery {
        let sum = |of: fn(&Recorder) -> u64| tallies.iter().map(|t| of(&t.recorder)).sum::<u64>();
        let delivery = Delivery {
            expected: audience.expected(self.trial.messages),
            delivered: sum(|r| r.counts.delivered),
            missing: sum(Recorder::missing),
            duplicate: sum(|r| r.counts.duplicate),
            misdelivered: sum(|r| r.counts.misdelivered),
            out_of_order: sum(|r| r.counts.out_of_order),
            earlier: sum(|r| r.counts.earlier),
            foreign: sum(|r| r.counts.foreign),
            corrupt: sum(|r| r.counts.corrupt),
            seen: sum(|r| r.seen() - r.counts.earlier),
        };
        let d = &delivery;
        assert_eq!(d.expected, d.delivered + d.missing, "expected = delivered + missing");
        let kinds = d.delivered + d.duplicate + d.misdelivered + d.foreign + d.corrupt;
        let law = "seen = delivered + duplicate + misdelivered + foreign + corrupt";
        assert_eq!(d.seen, kinds, "{law}");
        delivery
    }

    /// Copies by ids that no text has taught, where they may be ours: of those messages nothing else came.
    fn untaught(&self, tallies: &[Tally]) -> Untaught {
        let copies = tallies.iter().map(|t| t.recorder.counts.untaught).sum();
        if copies == 0 {
            return Untaught::default();
        }
        let unheard = |&index: &u32| {
            let heard = |t: &Tally| t.recorder.times[index as usize].copies > 0;
            self.sent.sent(index).is_some() && !tallies.iter().any(heard)
        };
        Untaught { copies, messages: (0..self.sent.len() as u32).filter(unheard).count() as u64 }
    }

    fn messages_of<'a>(
        &'a self,
        tallies: &'a [Tally],
        audience: &'a Audience,
        measured_from: Nanos,
    ) -> Messages<'a> {
        Messages {
            sent: self.sent,
            times: tallies.iter().map(|t| t.recorder.times.as_slice()).collect(),
            timetable: timetable(tallies),
            measured_from,
            audience,
        }
    }

    /// What was handed over while the clock ran is all that there is, each copy once.
    fn check(&self, tallies: &[Tally], delivery: &Delivery, intervals: &[Interval]) {
        let copies: u64 = intervals.iter().map(|interval| interval.copies).sum();
        assert_eq!(copies, delivery.delivered, "the copies of all intervals are all copies");
        let misdelivered: u64 = intervals.iter().map(|interval| interval.misdelivered).sum();
        let law = "the misdelivered copies of all intervals are all misdelivered copies";
        assert_eq!(misdelivered, delivery.misdelivered, "{law}");
        let sent: u64 = intervals.iter().map(|interval| interval.sent).sum();
        let all: u64 = tallies.iter().map(|t| t.sent).sum();
        assert_eq!(sent, all, "the messages of all intervals are all messages");
    }

    fn warmup(
        &self,
        tallies: &[Tally],
        audience: &Audience,
        copies: &Copies,
        messages: PerMessage,
    ) -> WarmUp {
        let due = |schedule: Arc<Schedule>| schedule.due_before(self.trial.warmup);
        let due = timetable(tallies).map(Timetable::schedule).map_or(0, due);
        let lag = sum(tallies.iter().filter_map(|t| t.warmup_lag.as_ref())).unwrap_or_default();
        WarmUp {
            duration: self.trial.warmup,
            messages: due,
            expected: audience.expected(due),
            delivered: copies.count(),
            latency_ns: classes(copies, messages),
            lag_ns: lag,
        }
    }

    fn gaps(&self, tallies: &[Tally], places: Option<&Places>) -> (Vec<StreamGap>, u64) {
        gaps(tallies.iter().map(|t| &t.recorder), self.plan.population(), places)
    }

    fn matrix(
        &self,
        tallies: &[Tally],
        places: Option<&Places>,
        by_node: Vec<Latencies>,
    ) -> Vec<MatrixCell> {
        let cell = |(at, latencies): (usize, Latencies)| {
            let reached = places.map(|places| places.all()[at].clone());
            MatrixCell {
                from: self.plan.push_node(),
                to: reached.as_ref().map_or(at, |reached| reached.node),
                reached,
                expected: 0,
                delivered: 0,
                latency_ns: latencies,
            }
        };
        let mut cells: Vec<_> = by_node.into_iter().enumerate().map(cell).collect();
        for recorder in tallies.iter().map(|t| &t.recorder) {
            for (local, seat) in recorder.seats.iter().enumerate() {
                let cell = &mut cells[seat.node as usize];
                cell.expected += recorder.expected[local];
                cell.delivered += recorder.delivered[local];
            }
        }
        cells
    }
}

/// All classes that the mode has, the headline first.
fn classes(copies: &Copies, messages: PerMessage) -> Vec<(Class, Latencies)> {
    let headline = sum(copies.headline.iter()).unwrap_or_default();
    let PerMessage { wait, completion, spread } = messages;
    let mut classes = match &copies.service {
        None => vec![(Class::Service, headline)],
        Some(service) => vec![
            (Class::Response, headline),
            (Class::Service, service.clone()),
            (Class::Wait, wait),
        ],
    };
    classes.push((Class::Completion, completion));
    classes.extend(spread.map(|spread| (Class::Spread, spread)));
    classes
}

/// The timetable of the trial, which all workers share.
fn timetable(tallies: &[Tally]) -> Option<&Timetable> {
    tallies.iter().find_map(|t| t.recorder.schedule.as_ref()).map(|schedule| &schedule.timetable)
}

fn reordering(tallies: &[Tally]) -> Reordering {
    let mut all = Reordering::default();
    tallies.iter().for_each(|t| all.add(&t.recorder.reordering));
    all
}

/// All of them together; `None` of none.
fn sum<'a>(mut all: impl Iterator<Item = &'a Latencies>) -> Option<Latencies> {
    let first = all.next()?.clone();
    Some(all.fold(first, |mut sum, latencies| {
        sum.add(latencies);
        sum
    }))
}

impl Recorder {
    /// Copies that did not come, counted stream by stream: not derived from what did come, so that
    /// the two can be held against each other.
    pub(super) fn missing(&self) -> u64 {
        let of =
            |local| self.ledger.heard(local).map(move |k| self.ledger.missing_copies(local, k));
        (0..self.seats.len()).flat_map(of).sum()
    }
}

/// Attributes the copies that still wait from the tables of all workers and of earlier trials; what no
/// table knows is foreign: another user's message that a node passed on without text.
fn attribute_leftovers(tallies: &mut [Tally], past: &mut Past) {
    for index in 0..tallies.len() {
        let Some(own) = &tallies[index].recorder.correlator else { continue };
        let mut left: Vec<_> = own.unattributed().collect();
        // In the order in which they came, which is no order of the table.
        left.sort_by_key(|(_, pending)| pending.at_ns);
        for (key, pending) in left {
            let message = known(tallies, key);
            let recorder = &mut tallies[index].recorder;
            match message {
                Some(message) => {
                    recorder.attributed(pending.socket, message, Nanos(pending.at_ns));
                }
                None if past.attribute(
                    key,
                    recorder.seats[pending.socket as usize].socket,
                    Nanos(pending.at_ns),
                ) =>
                {
                    recorder.counts.earlier += 1;
                }
                None => recorder.strangers(1),
            }
        }
        if let Some(own) = &mut tallies[index].recorder.correlator {
            own.forget_unattributed();
        }
    }
}

fn known(tallies: &[Tally], key: Key) -> Option<u32> {
    tallies.iter().find_map(|t| t.recorder.correlator.as_ref()?.message(key))
}

/// The first send, the last one, and the last copy; of a trial that sent nothing, zero.
fn span(tallies: &[Tally]) -> [Nanos; 3] {
    let start = tallies.iter().filter_map(|t| t.first_send).min().unwrap_or(Nanos::ZERO);
    let last_send = tallies.iter().map(|t| t.last_send).max().unwrap_or(start);
    let last_copy = tallies.iter().map(|t| t.recorder.last_copy).max().unwrap_or(start);
    [start, last_send, last_copy]
}

fn lost(tallies: &[Tally], places: Option<&Places>) -> Vec<LostSocket> {
    let named =
        |lost: &LostSocket| LostSocket { reached: who_took(places, lost.socket), ..lost.clone() };
    tallies.iter().flat_map(|t| t.lost.iter().map(named)).collect()
}

/// What the workers of each CPU did together: one that carries several is as busy as all of them.
fn by_cpu<'a>(workers: impl Iterator<Item = &'a CoreUse>) -> Vec<CoreUse> {
    let mut cores: Vec<CoreUse> = Vec::new();
    for worker in workers {
        match cores.iter_mut().find(|core| core.cpu == worker.cpu) {
            Some(core) => core.add(worker),
            None => cores.push(worker.clone()),
        }
    }
    cores
}

impl CoreUse {
    /// Adds another worker on the same CPU.
    fn add(&mut self, other: &Self) {
        let Self { cpu: _, sockets, copies, cpu_time, spun, wall, .. } = *other;
        self.sockets += sockets;
        self.copies += copies;
        self.cpu_time = self.cpu_time.plus(cpu_time);
        self.spun = self.spun.plus(spun);
        self.wall = self.wall.max(wall);
        self.cq_overflow += other.cq_overflow;
        self.enobufs += other.enobufs;
        self.short_sends += other.short_sends;
        self.stale += other.stale;
        self.enters += other.enters;
        self.reads += other.reads;
        self.longest_turn = self.longest_turn.max(other.longest_turn);
    }
}

impl Opcodes {
    fn plus(self, other: &Self) -> Self {
        Self {
            text: self.text + other.text,
            binary: self.binary + other.binary,
            continuation: self.continuation + other.continuation,
            ping: self.ping + other.ping,
            pong: self.pong + other.pong,
            close: self.close + other.close,
        }
    }
}
