//! A row: all messages out, all copies in, while the clock runs.
//!
//! Belongs here: what is recorded and sent in a row. Does not: how a turn works (`worker`), when the
//! row is over (`drain`). From the start barrier to the last copy nothing here allocates.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::conduct::{Conductor, Directive, WorkerProgress};
use super::{Counters, Script, TICK, Worker};
use crate::dialect::{MessageKind, Scanner, Sighting, TextShape};
use crate::engine::frames::{FrameShape, SenderFrames};
use crate::engine::pacing::{self, Moment, Rounds};
use crate::engine::ring::{Ring, RingCounters, SendBuf, Slot};
use crate::host::clock::{Clock, thread_cpu_time};
use crate::measure::outcome::{CoreUse, Opcodes};
use crate::measure::recorder::{Latencies, Recorder};
use crate::measure::sent::SentTimes;
use crate::measure::tally::Tally;
use crate::plan::Plan;
use crate::plan::schedule::{Schedule, Shape, Timetable};
use crate::units::Nanos;
use crate::wire::decoder::FrameCounts;

/// A poll that finds nothing takes less than a microsecond. In a longer one the kernel worked for us,
/// or the CPU was another's: neither is polling.
const POLL_MAX: Nanos = Nanos::from_micros(2);

/// What all workers need to know of a row.
#[derive(Clone, Debug)]
pub struct RowPlan {
    /// The nonce in its tags.
    pub run: u32,
    /// The text around them.
    pub text: TextShape,
    /// Number of messages of each push socket.
    pub counts: Arc<[u32]>,
    /// Lay out all frames; else a window that is patched.
    pub lay_all: bool,
    /// Where sent times go.
    pub sent: Arc<SentTimes>,
    /// When each message is due, in open loop.
    pub schedule: Option<Arc<Schedule>>,
}

/// One push socket during a row.
struct Sender {
    sender: u16,
    frames: SenderFrames,
    /// First message that was not given to the ring yet.
    next: u32,
    /// First message that may not leave yet.
    limit: u32,
    /// Waits in [`Row::ready`].
    is_ready: bool,
    in_flight: Range<u32>,
    /// Bytes of the flight that the kernel has taken.
    taken_bytes: usize,
    lost: bool,
}

/// What lets messages leave.
enum Pace {
    /// Nothing holds them back.
    Burst,
    /// Answers.
    Window(u32),
    /// Their due times.
    Rate(Box<Due>),
}

/// The schedule as this worker follows it.
struct Due {
    rounds: Rounds,
    timetable: Timetable,
    /// When our next message is due.
    next_due: Option<Nanos>,
    lag: Latencies,
}

struct Row<C> {
    scanner: Scanner,
    /// Whether copies come in text and in binary messages.
    hears: [bool; 2],
    recorder: Recorder,
    /// By slot: push sockets are a worker's first slots.
    senders: Vec<Sender>,
    pace: Pace,
    /// Senders with messages that may leave since this turn.
    ready: Vec<Slot>,
    times: Arc<SentTimes>,
    clock: C,
    sent: u64,
    first_send: Option<Nanos>,
    last_send: Nanos,
    stopped: bool,
    /// Sends handed to the ring before this turn.
    launched: u64,
    /// When something last came or left.
    active: Nanos,
    expected: u64,
    /// Slots of lost sockets: what they did not receive will not come.
    dead: Vec<Slot>,
}

impl<C> Row<C> {
    /// The schedule starts at `start`.
    fn begin(&mut self, start: Nanos) {
        let Pace::Rate(due) = &mut self.pace else { return };
        due.timetable.begin(start);
        due.next_due = due.rounds.next().map(|message| due.timetable.intended(message));
        if let Some(schedule) = &mut self.recorder.schedule {
            schedule.timetable.begin(start);
        }
    }

    fn complete(&self) -> bool {
        self.recorder.counts.delivered + self.written_off() >= self.expected && self.all_sent()
    }

    /// Copies that lost sockets can no longer receive. Counted anew each time: copies that waited for
    /// their id are delivered to a socket after its end, too.
    fn written_off(&self) -> u64 {
        let open = |&slot: &Slot| {
            self.recorder.expected[slot as usize] - self.recorder.delivered[slot as usize]
        };
        self.dead.iter().map(open).sum()
    }

    /// What may be called progress. A copy that waits for its id may be a stranger's, and an altered
    /// one may come again and again: they count only as far as they can fill what is missing, so that
    /// there is an end.
    fn copies(&self) -> u64 {
        let delivered = self.recorder.counts.delivered;
        let perhaps = self.recorder.waiting() + self.recorder.counts.corrupt;
        delivered + perhaps.min(self.expected.saturating_sub(delivered))
    }

    /// When our next message is due, if any is still to be sent.
    fn next_due(&self) -> Option<Nanos> {
        match &self.pace {
            Pace::Rate(due) if !self.stopped => due.next_due,
            Pace::Rate(_) | Pace::Burst | Pace::Window(_) => None,
        }
    }

    /// Moves the limits of all senders to where time and answers allow them to be.
    fn release(&mut self, now: Nanos) {
        match &mut self.pace {
            Pace::Burst => {}
            Pace::Window(in_flight) => {
                let Some(answers) = &mut self.recorder.answers else { return };
                while let Some((local, answered)) = answers.take() {
                    let limit = answered.saturating_add(*in_flight);
                    allow(&mut self.senders, &mut self.ready, local as usize, limit);
                }
            }
            Pace::Rate(due) => {
                if self.stopped || due.next_due.is_none_or(|next| now < next) {
                    return;
                }
                let total = due.timetable.due(now);
                while let Some((message, local)) = due.rounds.take(total) {
                    due.lag.record(now.since(due.timetable.intended(message)));
                    let limit = self.senders[local].limit + 1;
                    allow(&mut self.senders, &mut self.ready, local, limit);
                }
                due.next_due = due.rounds.next().map(|message| due.timetable.intended(message));
            }
        }
    }

    fn all_sent(&self) -> bool {
        let done = |s: &Sender| {
            s.lost || (s.in_flight.is_empty() && (self.stopped || s.next == s.frames.count()))
        };
        self.senders.iter().all(done)
    }
}

/// Lets a sender's messages before `limit` leave.
fn allow(senders: &mut [Sender], ready: &mut Vec<Slot>, local: usize, limit: u32) {
    // Answers are noted for all sockets that may push in some plan; only senders have messages.
    let Some(sender) = senders.get_mut(local) else { return };
    sender.limit = limit;
    if !std::mem::replace(&mut sender.is_ready, true) {
        ready.push(local as Slot);
    }
}

impl<C: Clock> Script for Row<C> {
    #[inline]
    fn hear(&mut self, slot: Slot, message: &[u8], binary: bool, at: Nanos) {
        let recorder = &mut self.recorder;
        if !self.hears[usize::from(binary)] {
            recorder.counts.foreign += 1;
            return;
        }
        self.scanner.scan(message, &mut |sighting| match sighting {
            Sighting::Copy { sender, sequence, id } => {
                recorder.copy(slot, sender, sequence, id.map(|id| id.0), at);
            }
            Sighting::Id(id) => recorder.id_only(slot, id.0, at),
            Sighting::Corrupt => recorder.counts.corrupt += 1,
            Sighting::Foreign => recorder.counts.foreign += 1,
        });
    }

    fn speak(&mut self, slot: Slot, _now: Nanos) -> Option<(SendBuf, Range<usize>)> {
        let sender = self.senders.get_mut(slot as usize)?;
        if self.stopped {
            return None;
        }
        let chunk = sender.frames.take(sender.next, sender.limit)?;
        // Read here, not at the start of the turn: the copies of this chunk are timed from it.
        let at = self.clock.now();
        self.times.stamp(sender.sender.into(), chunk.sequence.start, chunk.sequence.end, at);
        self.first_send.get_or_insert(at);
        sender.next = chunk.sequence.end;
        sender.in_flight = chunk.sequence;
        sender.taken_bytes = 0;
        Some((chunk.buf, chunk.bytes))
    }

    fn spoke(&mut self, slot: Slot, bytes: usize) {
        if let Some(sender) = self.senders.get_mut(slot as usize) {
            sender.taken_bytes += bytes;
        }
    }

    fn spoken(&mut self, slot: Slot, buf: SendBuf, now: Nanos) {
        let Some(sender) = self.senders.get_mut(slot as usize) else { return };
        // The last send of an earlier row, to a node that was stalled until now: its window is not
        // ours, and may be a shorter one.
        if sender.in_flight.is_empty() {
            return;
        }
        self.sent += sender.in_flight.len() as u64;
        self.last_send = now;
        sender.in_flight = 0..0;
        sender.taken_bytes = 0;
        sender.frames.give_back(buf);
    }

    fn lost(&mut self, slot: Slot) {
        let local = slot as usize;
        self.dead.push(slot);
        let Some(sender) = self.senders.get_mut(local) else { return };
        self.sent += (sender.taken_bytes / sender.frames.frame_len()) as u64;
        sender.lost = true;
        sender.in_flight = 0..0;
    }
}

/// What was counted before the row began.
struct Before {
    at: Nanos,
    cpu: Nanos,
    counters: Counters,
    ring: RingCounters,
    opcodes: FrameCounts,
}

impl<R: Ring, C: Clock> Worker<'_, R, C> {
    /// Runs one row. `ready` is called when all is laid out: it returns when every worker is, and
    /// says at which instant the schedule starts.
    ///
    /// # Errors
    /// The ring failed.
    pub fn row(
        &mut self,
        plan: &RowPlan,
        ready: impl FnOnce() -> Nanos,
        conductor: &mut impl Conductor,
    ) -> io::Result<Tally> {
        let mut row = self.lay_out(plan);
        row.begin(ready());
        let before = self.before();
        let mut now = before.at;
        self.release(&mut row, now);
        let mut finished = None;
        loop {
            now = self.paced_turn(&mut row, now)?;
            let complete = row.complete();
            if complete && finished.is_none() {
                finished = Some((now, thread_cpu_time()));
            }
            let progress = WorkerProgress {
                seen: row.recorder.seen(),
                copies: row.copies(),
                sent: row.sent,
                complete,
                lost: !self.lost.is_empty(),
            };
            match conductor.turn(progress, now) {
                Directive::Continue => {}
                Directive::StopSending => row.stopped = true,
                Directive::End => break,
            }
        }
        let finished = finished.unwrap_or_else(|| (self.clock.now(), thread_cpu_time()));
        Ok(self.tally(row, &before, finished))
    }

    /// One turn that ends in time for the next message, and the sends that are due after it.
    fn paced_turn(&mut self, row: &mut Row<C>, before: Nanos) -> io::Result<Nanos> {
        let moment = Moment { now: before, active: row.active, next_due: row.next_due() };
        let wait = pacing::wait(self.plan.wait, moment, TICK);
        let handled = self.counters.handled;
        // What was launched since the last turn began is handed to the kernel in this one: work.
        let submits = std::mem::replace(&mut row.launched, self.counters.launched) != row.launched;
        let now = self.turn(row, wait)?;
        if submits || self.counters.handled != handled {
            row.active = now;
        } else if wait.want == 0 {
            self.counters.spun = self.counters.spun.plus(now.since(before).min(POLL_MAX));
        }
        let now = self.dawdle(now);
        self.release(row, now);
        Ok(now)
    }

    /// The test dial that makes a slow generator; the time after it.
    fn dawdle(&self, now: Nanos) -> Nanos {
        let until = now.plus(self.plan.test_turn_delay);
        let mut now = now;
        while now < until {
            now = self.clock.now();
        }
        now
    }

    /// Sends what may leave by now.
    fn release(&mut self, row: &mut Row<C>, now: Nanos) {
        row.release(now);
        for place in 0..row.ready.len() {
            let slot = row.ready[place];
            row.senders[slot as usize].is_ready = false;
            self.prompt(row, slot, now);
        }
        row.ready.clear();
    }

    fn lay_out(&mut self, plan: &RowPlan) -> Row<C> {
        let dialect = &self.plan.dialect;
        let shape = FrameShape::new(dialect.clone(), plan.text.clone(), plan.run);
        let seats: Vec<_> = self.sessions.iter().map(|session| session.seat).collect();
        let mut senders = Vec::new();
        for seat in seats.iter().filter(|seat| seat.socket < self.plan.push_sockets) {
            let (sender, count) = (seat.socket as u16, plan.counts[seat.socket as usize]);
            senders.push(Sender {
                sender,
                frames: SenderFrames::new(&shape, sender, count, plan.lay_all, &mut self.rng),
                next: 0,
                limit: first_limit(self.plan.shape),
                is_ready: true,
                in_flight: 0..0,
                taken_bytes: 0,
                lost: false,
            });
        }
        let mut recorder = Recorder::new(
            seats,
            self.plan.nodes.len(),
            &plan.counts,
            self.plan.fan_out,
            dialect.correlates(),
            Arc::clone(&plan.sent),
        );
        let pace = pace(self.plan, plan, &senders, &mut recorder);
        let mut row = Row {
            scanner: Scanner::new(dialect, &plan.text, plan.run),
            hears: [MessageKind::Text, MessageKind::Binary].map(|kind| dialect.hears(kind)),
            expected: recorder.expected.iter().sum(),
            recorder,
            ready: (0..senders.len() as Slot).collect(),
            senders,
            pace,
            times: Arc::clone(&plan.sent),
            clock: self.clock.clone(),
            sent: 0,
            first_send: None,
            last_send: Nanos::ZERO,
            stopped: false,
            dead: Vec::with_capacity(self.sessions.len()),
            launched: 0,
            active: Nanos::ZERO,
        };
        // Sockets that an earlier row lost cannot deliver anything in this one.
        for slot in 0..self.sessions.len() as Slot {
            if !self.sessions[slot as usize].is_open() {
                row.lost(slot);
            }
        }
        row
    }

    fn before(&mut self) -> Before {
        self.counters.longest_turn = Nanos::ZERO;
        self.stamps.begin();
        Before {
            at: self.clock.now(),
            cpu: thread_cpu_time(),
            counters: self.counters,
            ring: self.ring.counters(),
            opcodes: self.opcodes,
        }
    }

    fn tally(&mut self, row: Row<C>, before: &Before, (end, cpu): (Nanos, Nanos)) -> Tally {
        let (counters, ring) = (self.counters, self.ring.counters());
        let core = CoreUse {
            cpu: 0,
            sockets: self.sessions.len() as u64,
            copies: row.recorder.seen(),
            cpu_time: cpu.since(before.cpu),
            spun: counters.spun.since(before.counters.spun),
            wall: end.since(before.at),
            cq_overflow: ring.cq_overflow - before.ring.cq_overflow,
            enobufs: counters.enobufs - before.counters.enobufs,
            short_sends: counters.short_sends - before.counters.short_sends,
            stale: counters.stale - before.counters.stale,
            enters: ring.enters - before.ring.enters,
            reads: counters.reads - before.counters.reads,
            longest_turn: counters.longest_turn,
        };
        let start = row.first_send.unwrap_or(before.at);
        Tally {
            core,
            lost: self.take_losses(start),
            opcodes: since(&self.opcodes, &before.opcodes),
            sent: row.sent,
            first_send: row.first_send,
            last_send: row.last_send,
            stamps: self.stamps.take(),
            lag: match row.pace {
                Pace::Rate(due) => Some(due.lag),
                Pace::Burst | Pace::Window(_) => None,
            },
            recorder: row.recorder,
        }
    }
}

/// How many messages of each sender may leave before anything has happened.
const fn first_limit(shape: Shape) -> u32 {
    match shape {
        Shape::Burst => u32::MAX,
        Shape::Window { in_flight } => in_flight,
        Shape::Rate { .. } => 0,
    }
}

/// What lets the messages of these senders leave, and what is recorded for it.
fn pace(plan: &Plan, row: &RowPlan, senders: &[Sender], recorder: &mut Recorder) -> Pace {
    if let Some(schedule) = &row.schedule {
        let timetable = Timetable::new(Arc::clone(schedule), plan.push_sockets);
        recorder.follow(timetable.clone());
        let ours = senders.iter().map(|sender| sender.sender.into()).collect();
        let rounds = Rounds::new(ours, plan.push_sockets, schedule.messages());
        let lag = Latencies::new();
        return Pace::Rate(Box::new(Due { rounds, timetable, next_due: None, lag }));
    }
    match plan.shape {
        Shape::Window { in_flight } => {
            recorder.note_answers();
            Pace::Window(in_flight)
        }
        Shape::Burst | Shape::Rate { .. } => Pace::Burst,
    }
}

fn since(now: &FrameCounts, before: &FrameCounts) -> Opcodes {
    Opcodes {
        text: now.text - before.text,
        binary: now.binary - before.binary,
        continuation: now.continuation - before.continuation,
        ping: now.ping - before.ping,
        pong: now.pong - before.pong,
        close: now.close - before.close,
    }
}
