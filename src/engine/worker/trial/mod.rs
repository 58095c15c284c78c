//! A trial: all messages out, all copies in, while the clock runs.
//!
//! Belongs here: what is recorded and sent in a trial. Does not: how a turn works (`worker`), when the
//! trial is over (`drain`). From the start barrier to the last copy nothing here allocates.

mod pace;
mod plan;
mod sender;
mod spent;
mod tally;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use self::pace::Pace;
pub use self::plan::TrialPlan;
use self::sender::{Sender, Senders};
use self::spent::Spent;
use crate::dialect::{MessageKind, Recognized, Scanner};
use crate::engine::connection::transport::Transport;
use crate::engine::frames::{FrameShape, SenderFrames};
use crate::engine::pacing::{self, Moment};
use crate::engine::ring::{Ring, SendBuf, Slot};
use crate::engine::worker::control::{Control, Directive, TrialProgress};
use crate::engine::worker::{SOON, STAMP_EVERY, Script, TICK, Worker};
use crate::host::clock::Clock;
use crate::measure::interval::{Intervals, Sent};
use crate::measure::late::{LateCopy, LateLog, Said};
use crate::measure::recorder::Recorder;
use crate::measure::sent::SentTimes;
use crate::measure::tally::Tally;
use crate::plan::wait::WaitMode;
use crate::population::sockets::SocketId;
use crate::units::Nanos;
use crate::wire::decoder::{LeftOut, Message};
use crate::wire::frame::Violation;

/// A poll that finds nothing takes less than a microsecond. In a longer one the kernel worked for us,
/// or the CPU was another's: neither is polling.
const POLL_MAX: Nanos = Nanos::from_micros(2);

struct Running<C> {
    scanner: Scanner,
    /// Copies of earlier trials.
    late: LateLog,
    /// Whether copies come in text and in binary messages; in neither where they come in a stream.
    hears: [bool; 2],
    /// Whether frames may be taken whole.
    takes_frames: bool,
    recorder: Recorder,
    senders: Senders,
    pace: Pace,
    intervals: Intervals,
    spent: Spent,
    /// Length of the warm-up.
    warmup: Nanos,
    began: Nanos,
    measured_from: Nanos,
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

impl<C> Running<C> {
    /// The clock starts at `start`.
    fn begin(&mut self, start: Nanos) {
        self.began = start;
        self.measured_from = start.plus(self.warmup);
        self.pace.begin(start, self.measured_from);
        self.intervals.begin(start, self.measured_from);
        if let Some(schedule) = &mut self.recorder.schedule {
            schedule.timetable.begin(start);
            schedule.measured_from = self.measured_from;
        }
    }

    /// It is `now`: an interval may be over.
    #[inline]
    fn advance(&mut self, now: Nanos) {
        let Self { intervals, recorder: Recorder { records, counts, .. }, pace, spent, .. } = self;
        intervals.advance(now, records, || spent.told(counts, pace, now));
    }

    fn note_sent(&mut self, sent: Sent) {
        self.sent += sent.all();
        self.intervals.note_sent(sent);
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

    /// The longest latency so far.
    fn slowest(&self) -> Nanos {
        self.intervals.slowest(&self.recorder.records)
    }

    /// A copy that waits for its id may be a stranger's, and an altered one may come again and again.
    fn doubtful(&self) -> u64 {
        self.recorder.waiting() + self.recorder.counts.corrupt
    }

    /// When our next message is due, if any is still to be sent.
    fn next_due(&self) -> Option<Nanos> {
        if self.stopped { None } else { self.pace.next_due() }
    }

    /// Moves the limits of all senders to where time and answers allow them to be.
    fn release(&mut self, now: Nanos) {
        if !self.stopped {
            self.pace.release(now, &mut self.recorder, &mut self.senders);
        }
    }

    fn is_sending(&self) -> bool {
        self.senders.all.iter().any(Sender::is_under_way)
    }

    fn all_sent(&self) -> bool {
        self.senders.all.iter().all(|sender| sender.is_done(self.stopped))
    }
}

impl<C: Clock> Script for Running<C> {
    #[inline]
    fn on_message(&mut self, slot: Slot, message: Message<'_>, at: Nanos) -> Result<(), Violation> {
        self.advance(at);
        let Self { recorder, scanner, hears, late, began, .. } = self;
        if !hears[usize::from(message.is_binary())] {
            message.checked()?;
            recorder.counts.foreign += 1;
            return Ok(());
        }
        let mut note = |sighting| note(recorder, late, (slot, at, *began), sighting);
        match scanner.recognise(message.unchecked()) {
            Some(sighting) => note(sighting),
            None => scanner.search(message.checked()?, &mut note),
        }
        Ok(())
    }

    fn hears_abridged(&self) -> bool {
        self.scanner.hears_abridged()
    }

    fn on_abridged(&mut self, slot: Slot, message: Message<'_>, gap: LeftOut, at: Nanos) -> bool {
        let is_heard = self.hears[usize::from(message.is_binary())];
        let read = || self.scanner.recognise_abridged(message.unchecked(), gap);
        let Some(sighting) = is_heard.then(read).flatten() else { return false };
        self.advance(at);
        note(&mut self.recorder, &mut self.late, (slot, at, self.began), sighting);
        true
    }

    fn on_protocol(
        &mut self,
        slot: Slot,
        message: Message<'_>,
        at: Nanos,
    ) -> Result<(), Violation> {
        self.advance(at);
        let Self { recorder, scanner, hears, late, began, .. } = self;
        let bytes = message.checked()?;
        if hears[usize::from(message.is_binary())] {
            scanner.scan(bytes, &mut |sighting| {
                if sighting != Recognized::Foreign {
                    note(recorder, late, (slot, at, *began), sighting);
                }
            });
        }
        Ok(())
    }

    fn on_protocol_stream(&mut self, slot: Slot, window: &[u8], from: usize, at: Nanos) -> usize {
        self.advance(at);
        let Self { recorder, scanner, late, began, .. } = self;
        scanner.stream(window, from, &mut |sighting| {
            note(recorder, late, (slot, at, *began), sighting);
        })
    }

    #[inline]
    fn on_stream(&mut self, slot: Slot, window: &[u8], from: usize, at: Nanos) -> usize {
        self.advance(at);
        let Self { recorder, scanner, late, began, .. } = self;
        let mut ours = false;
        let open = scanner.stream(window, from, &mut |sighting| {
            ours = true;
            note(recorder, late, (slot, at, *began), sighting);
        });
        if !ours && open == window.len() {
            recorder.counts.foreign += 1;
        }
        open
    }

    #[inline]
    fn note_frame(&mut self, payload: &[u8], is_binary: bool) {
        self.scanner.note_frame(payload, is_binary);
    }

    #[inline(always)]
    fn hear_frames(&mut self, slot: Slot, bytes: &[u8], at: Nanos) -> (u64, usize) {
        let Self { recorder, scanner, takes_frames, intervals, pace, spent, .. } = self;
        if !*takes_frames {
            return (0, 0);
        }
        let taken = scanner.run(bytes, &mut |sighting, many| {
            let Recorder { records, counts, .. } = &mut *recorder;
            intervals.advance(at, records, || spent.told(counts, pace, at));
            match sighting {
                Recognized::Copy { sender, sequence, id: None } => {
                    recorder.copies(slot, sender, sequence, many, at);
                }
                Recognized::Copy { sender, sequence, id } => {
                    recorder.copy(slot, sender, sequence, id, at);
                }
                Recognized::Id(id) => recorder.id_only(slot, id, at),
                Recognized::Earlier { .. } | Recognized::Corrupt | Recognized::Foreign => {
                    unreachable!("no layout is learned of these")
                }
            }
        });
        (taken.frames, taken.bytes)
    }

    fn next_send(&mut self, slot: Slot, now: Nanos) -> Option<(SendBuf, Range<usize>)> {
        let sender = self.senders.get_mut(slot)?;
        if self.stopped {
            return None;
        }
        let flight = sender.take()?;
        let Range { start, end } = flight.sequence;
        // The copies of this flight are timed from it, and many frames may have been patched since.
        let at = if end - start > 1 { self.clock.now() } else { now };
        self.times.stamp(flight.sender.into(), start, end, at);
        self.first_send.get_or_insert(at);
        Some((flight.buf, flight.bytes))
    }

    fn on_sent(&mut self, slot: Slot, buf: SendBuf, now: Nanos) {
        let landed = self.senders.get_mut(slot).and_then(|sender| sender.landed(buf));
        let Some(sent) = landed else { return };
        self.advance(now);
        self.note_sent(sent);
        self.last_send = now;
    }

    fn lost(&mut self, slot: Slot, taken_bytes: usize) {
        self.dead.push(slot);
        if let Some(sender) = self.senders.get_mut(slot) {
            let sent = sender.lose(taken_bytes);
            self.note_sent(sent);
        }
    }
}

/// Puts down what came to a socket at a time, in a trial that began at another.
#[inline(always)]
fn note(
    recorder: &mut Recorder,
    late: &mut LateLog,
    (slot, at, began): (Slot, Nanos, Nanos),
    sighting: Recognized,
) {
    match sighting {
        Recognized::Copy { sender, sequence, id } => recorder.copy(slot, sender, sequence, id, at),
        Recognized::Id(id) => recorder.id_only(slot, id, at),
        Recognized::Earlier { run, sender, sequence, id } => {
            let said = Said::Text { run, sender, sequence, id };
            late.note(LateCopy { local: slot, said, at });
            recorder.earlier(at.since(began));
        }
        Recognized::Corrupt => recorder.counts.corrupt += 1,
        Recognized::Foreign => recorder.counts.foreign += 1,
    }
}

impl<R: Ring, C: Clock, T: Transport> Worker<'_, R, C, T> {
    /// Runs one trial. `ready` is called when all is laid out: it returns when every worker is, and
    /// says at which instant the schedule starts.
    ///
    /// # Errors
    /// The ring failed.
    pub fn trial(
        &mut self,
        plan: &TrialPlan,
        ready: impl FnOnce() -> Nanos,
        conductor: &mut impl Control,
    ) -> io::Result<Tally> {
        let mut trial = self.lay_out(plan);
        trial.begin(ready());
        let opcodes = self.opcodes;
        let mut warming = trial.warmup > Nanos::ZERO;
        let mut before = self.before(&mut trial, warming);
        let mut now = before.read.at;
        // A trial may be called off while it is laid out: nothing leaves then.
        trial.stopped = conductor.turn(TrialProgress::default(), now) == Directive::End;
        self.release(&mut trial, now);
        let (mut finished, mut told) = (None, 0);
        loop {
            let tick = if finished.is_some() { SOON } else { TICK };
            now = self.paced_turn(&mut trial, now, tick)?;
            if warming && now >= trial.measured_from {
                // What the warm-up cost is no part of what measuring costs.
                warming = false;
                before = self.before(&mut trial, warming);
            }
            let complete = trial.complete();
            if complete && finished.is_none() {
                let used = self.used(now);
                trial.spent.finished = Some(used.read);
                finished = Some(used);
            }
            let progress = TrialProgress {
                seen: trial.recorder.seen(),
                delivered: trial.recorder.counts.delivered,
                doubtful: trial.doubtful(),
                sent: trial.sent,
                complete,
                lost: !self.lost.is_empty(),
                slowest: if complete { trial.slowest() } else { Nanos::ZERO },
                straggler: trial.recorder.straggler,
                spun: self.counters.spun,
            };
            while let Some(lost) = self.lost.get(told) {
                conductor.lost(lost.seat.node);
                told += 1;
            }
            match conductor.turn(progress, now) {
                Directive::Continue => {}
                Directive::StopSending => trial.stopped = true,
                Directive::End => break,
            }
        }
        let finished = finished.unwrap_or_else(|| self.used(self.clock.now()));
        let missing = trial.expected - trial.recorder.counts.delivered;
        self.hark.listen(&self.plan.dialect, plan.run, missing);
        Ok(self.tally(trial, &before, finished, &opcodes))
    }

    /// One turn that ends in time for the next message, and the sends that are due after it.
    fn paced_turn(
        &mut self,
        trial: &mut Running<C>,
        before: Nanos,
        tick: Nanos,
    ) -> io::Result<Nanos> {
        let moment = Moment {
            now: before,
            active: trial.active,
            next_due: trial.next_due(),
            // Looked at only where it matters: there may be thousands of senders.
            sending: self.plan.generator.wait == WaitMode::Throughput && trial.is_sending(),
        };
        let wait = pacing::wait(self.plan.generator.wait, moment, tick);
        let handled = self.counters.handled;
        // What was launched since the last turn began is handed to the kernel in this one: work.
        let submits =
            std::mem::replace(&mut trial.launched, self.counters.launched) != trial.launched;
        let now = self.turn(trial, wait)?;
        if submits || self.counters.handled != handled {
            trial.active = now;
        } else if wait.want == 0 {
            self.counters.spun = self.counters.spun.plus(now.since(before).min(POLL_MAX));
            trial.spent.spun = self.counters.spun;
        }
        let now = self.dawdle(now);
        // Messages are turned to in the interval that holds this.
        trial.advance(now);
        self.release(trial, now);
        Ok(now)
    }

    /// The test dial that makes a slow generator; the time after it.
    fn dawdle(&self, now: Nanos) -> Nanos {
        let until = now.plus(self.plan.generator.test_turn_delay);
        let mut now = now;
        while now < until {
            now = self.clock.now();
        }
        now
    }

    /// Sends what may leave by now.
    fn release(&mut self, trial: &mut Running<C>, now: Nanos) {
        trial.release(now);
        let (mut place, mut now) = (0, now);
        while let Some(slot) = trial.senders.ready(place) {
            self.prompt(trial, slot, now);
            place += 1;
            if place.is_multiple_of(STAMP_EVERY as usize) {
                now = self.clock.now();
            }
        }
        trial.senders.ready.clear();
    }

    fn lay_out(&mut self, plan: &TrialPlan) -> Running<C> {
        let (dialect, schedule) = (&self.plan.dialect, plan.schedule.as_ref());
        let shape = FrameShape::new(dialect.clone(), plan.text.clone(), plan.run);
        let seats: Vec<_> = self.connections.iter().map(|connection| connection.seat).collect();
        let senders = self.senders(plan, &shape);
        let absent = self.absent.iter().map(|&slot| seats[slot as usize].socket);
        let audience = self.plan.audience.without(absent);
        let (seats, rows) = self.rows(seats);
        let mut recorder = Recorder::new(
            seats,
            rows,
            &plan.counts,
            &audience,
            dialect.correlates(),
            Arc::clone(&plan.sent),
        );
        let pace = Pace::new(&plan.trial, schedule, plan.counts.len(), &senders, &mut recorder);
        let mut trial = Running {
            scanner: self.hark.scanner(dialect, &plan.text, plan.run).read_by(self.reading),
            late: self.hark.take_log(),
            hears: [MessageKind::Text, MessageKind::Binary]
                .map(|kind| !dialect.stream && dialect.hears(kind)),
            takes_frames: dialect.stream || dialect.hears(MessageKind::Text),
            expected: recorder.expected.iter().sum(),
            recorder,
            senders,
            pace,
            intervals: Intervals::new(self.port.take()),
            spent: Spent::of(self.counters.spun),
            warmup: plan.trial.warmup,
            began: Nanos::ZERO,
            measured_from: Nanos::ZERO,
            times: Arc::clone(&plan.sent),
            clock: self.clock.clone(),
            sent: 0,
            first_send: None,
            last_send: Nanos::ZERO,
            stopped: false,
            dead: Vec::with_capacity(self.connections.len()),
            launched: 0,
            active: Nanos::ZERO,
        };
        // Sockets that an earlier trial lost cannot deliver anything in this one.
        for slot in 0..self.connections.len() as Slot {
            if !self.connections[slot as usize].state().is_open() {
                trial.lost(slot, 0);
            }
        }
        trial
    }

    /// Sockets by the rows of the matrix that they count in, and how many rows there are.
    fn rows(&self, mut seats: Vec<SocketId>) -> (Vec<SocketId>, usize) {
        let Some(places) = &self.places else { return (seats, self.plan.nodes.len()) };
        seats.iter_mut().for_each(|seat| seat.node = places.of(seat.socket) as u32);
        (seats, places.all().len())
    }

    fn senders(&mut self, plan: &TrialPlan, shape: &FrameShape) -> Senders {
        let measured = self.first_measured(plan);
        let mut senders = Vec::new();
        for slot in 0..self.connections.len() as Slot {
            let seat = self.connections[slot as usize].seat;
            let (socket, sender) = (seat.socket as usize, seat.socket as u16);
            let Some(&count) = plan.counts.get(socket) else { continue };
            let known = self.known_of(slot, seat);
            let speaker = self.voices.speaker(seat, &known, self.said);
            let of = (sender, count);
            let frames = SenderFrames::said_by(&speaker, shape, of, plan.lay_all, &mut self.rng);
            let limit = Pace::first_limit(&plan.trial.profile);
            senders.push(Sender::new(sender, frames, limit, measured[socket]));
        }
        self.said += plan.counts.iter().max().copied().map_or(0, u64::from);
        Senders::new(senders)
    }

    /// The first message of each sender that is due after the warm-up.
    fn first_measured(&self, plan: &TrialPlan) -> Vec<u32> {
        let due = plan.schedule.as_ref().map_or(0, |all| all.due_before(plan.trial.warmup));
        self.plan.population().turns().share(due)
    }
}
