//! The worker: one core, one ring, one slice of the sockets, one loop.
//!
//! Belongs here: the turn (wait, dispatch, send), and what every phase shares: replies, losses, re-arming. Does not:
//! what a phase wants (`connect`, `probe`, `trial`, each a `Script` or a driver of one), threads (`fleet`).
//!
//! There is one loop. A phase is data handed to it: the script hears messages and gives frames. The
//! worker runs unchanged on the real ring and on the fake one.

mod between;
mod connect;
mod connect_pacing;
mod control;
mod ear;
mod echo;
mod errno;
mod goodbyes;
mod handshake;
mod heard;
mod late_arrivals;
mod losses;
mod opening;
mod probe;
mod reconnect;
mod script;
mod sending;
mod streams;
mod timers;
mod timestamp_lag;
mod trial;
mod voices;

use std::io;
use std::sync::Arc;

use self::connect_pacing::ConnectTurn;
pub use self::connect_pacing::{WorkerShard, under_way_max};
pub use self::control::{Control, Directive, TrialProgress};
use self::ear::{Closed, Replies, Tools, feed_wire};
pub use self::echo::Echoed;
use self::errno::{Received, describe, receive_outcome};
use self::goodbyes::Goodbyes;
use self::heard::Heard;
use self::late_arrivals::Hark;
use self::losses::{Lost, with_cut};
pub use self::probe::HeardInstead;
pub use self::reconnect::Reconnected;
use self::script::Script;
use self::streams::Streams;
use self::timers::Timers;
use self::timestamp_lag::Stamps;
pub use self::trial::TrialPlan;
use self::voices::Voices;
use super::connection::cookies::Cookies;
use super::connection::outbox::Outbox;
use super::connection::state::{Event, State};
use super::connection::transport::{Plain, Transport, TransportError};
use super::connection::{Connection, Loss, Setup};
use super::key_rng::KeyRng;
use super::ring::{Completion, Op, Ring, Slot, Wait};
use crate::dialect::{Reading, TextShape};
use crate::host::clock::Clock;
use crate::measure::interval::IntervalSink;
use crate::measure::outcome::LostSocket;
use crate::measure::reached::Places;
use crate::plan::Plan;
use crate::population::sockets::SocketId;
use crate::units::Nanos;
use crate::wire::decoder::{BufferPool, FrameCounts};
use crate::wire::frame::{CloseCode, Opcode, Violation};

/// Completions between two clock reads in a long batch of small reads: at 30 to 60 ns each, a stamp is
/// at most 1 to 2 µs old.
const STAMP_EVERY: u32 = 16;
/// Bytes between two clock reads: a read of 32 KiB holds some 200 copies, 6 µs of work.
const STAMP_BYTES: u32 = 8 << 10;
/// The loop looks up at least so often: for signals, the drain and the other workers.
const TICK: Nanos = Nanos::from_millis(5);
/// The same where nothing more is expected and a word from the coordinator is what comes next: between
/// two phases, and while the line must stay quiet. No figure counts what a worker does then.
const SOON: Nanos = Nanos::from_micros(500);
/// Buffers for frames that end in a later read. One for each socket would be wasteful, none would
/// allocate in the loop; more than so many sockets seldom stop mid-frame at once.
const POOL_BUFFERS: usize = 1024;

/// Counters of the worker since it was built.
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    reads: u64,
    enobufs: u64,
    short_sends: u64,
    stale: u64,
    longest_turn: Nanos,
    /// Completions handled.
    handled: u64,
    /// Sends handed to the ring.
    launched: u64,
    /// Time in turns that polled and found nothing.
    spun: Nanos,
}

/// One core's share of the run.
pub struct Worker<'a, R, C, T: Transport = Plain> {
    plan: &'a Plan,
    ring: R,
    clock: C,
    connections: Vec<Connection<T>>,
    /// What their transports share.
    shared: T::Shared,
    pool: BufferPool,
    outbox: Outbox,
    opcodes: FrameCounts,
    lost: Vec<Lost>,
    /// Sockets that were lost before the first trial: nothing is expected of them.
    absent: Vec<Slot>,
    /// Receives that ended and must be armed again.
    rearm: Vec<Slot>,
    counters: Counters,
    dial: ConnectTurn,
    stamps: Stamps,
    timers: Timers,
    replies: Replies,
    goodbyes: Goodbyes,
    voices: Voices,
    /// Messages of the probes and trials so far, of the socket that sent most.
    said: u64,
    /// Where messages do not end with frames.
    streams: Option<Streams>,
    hark: Hark,
    heard: Heard,
    /// For sockets that are connected again.
    cookies: Cookies,
    /// A push socket heard its own probe, where it should not.
    hears_itself: bool,
    /// When the last trial began.
    trial_began: Nanos,
    rng: KeyRng,
    /// Where the intervals of the next trial go.
    port: Option<IntervalSink>,
    /// By which nodes the next trial is recorded, where a header names them.
    places: Option<Arc<Places>>,
    reading: Reading,
}

impl<'a, R: Ring, C: Clock> Worker<'a, R, C> {
    /// A worker for the sockets of `seats`, on a ring with at least as many slots.
    pub fn new(
        plan: &'a Plan,
        ring: R,
        clock: C,
        seats: &[SocketId],
        rng: impl Into<KeyRng>,
    ) -> Self {
        Self::over((), plan, (ring, clock), seats, rng)
    }
}

impl<'a, R: Ring, C: Clock, T: Transport> Worker<'a, R, C, T> {
    /// The same, over another transport.
    pub fn over(
        shared: T::Shared,
        plan: &'a Plan,
        (ring, clock): (R, C),
        seats: &[SocketId],
        rng: impl Into<KeyRng>,
    ) -> Self {
        let connection =
            |&seat: &SocketId| Connection::new(seat, T::new(&shared), plan.messages.max_bytes);
        let mut rng = rng.into();
        let buffer_bytes = (plan.messages.payload_bytes + 512).next_power_of_two();
        Self {
            plan,
            ring,
            clock,
            connections: seats.iter().map(connection).collect(),
            shared,
            pool: BufferPool::new(seats.len().min(POOL_BUFFERS) * 2, buffer_bytes)
                .within(plan.partial_memory_each())
                .of_fragments(plan.messages.max_fragments)
                .of_period(TextShape::PERIOD),
            outbox: Outbox::of(&plan.dialect, rng.fork(), seats.len()),
            opcodes: FrameCounts::default(),
            lost: Vec::with_capacity(seats.len()),
            absent: Vec::new(),
            rearm: Vec::with_capacity(seats.len()),
            counters: Counters::default(),
            dial: ConnectTurn::new(plan.nodes.len()),
            stamps: Stamps::default(),
            timers: Timers::new(plan, seats.len()),
            replies: Replies::new(&plan.dialect),
            goodbyes: Goodbyes::default(),
            voices: Voices::new(plan, seats, rng.u64()),
            said: 0,
            streams: plan
                .dialect
                .stream
                .then(|| Streams::of(&plan.dialect, seats.len(), plan.messages.payload_bytes)),
            hark: Hark::default(),
            heard: Heard::default(),
            cookies: Cookies::default(),
            hears_itself: false,
            trial_began: Nanos::ZERO,
            rng,
            port: None,
            places: None,
            reading: Reading::default(),
        }
    }

    /// Compares frames in this way: a dial for tests, since all ways must come to the same.
    pub fn read_by(&mut self, reading: Reading) {
        self.reading = reading;
    }

    /// The UUID that a socket has in its opening.
    pub fn uuid_of(&self, socket: u32) -> u128 {
        self.voices.uuid_of(socket)
    }

    /// The ring, for what only the caller knows about it (fault dials).
    pub fn ring(&mut self) -> &mut R {
        &mut self.ring
    }

    /// One turn: submit what is queued, wait, handle what came. Returns the time after all that.
    fn turn<S: Script>(&mut self, script: &mut S, wait: Wait) -> io::Result<Nanos> {
        self.ring.wait(wait)?;
        let woke = self.clock.now();
        let mut now = woke;
        let mut handled: u32 = 0;
        let mut bytes_since_stamp: u32 = 0;
        while let Some(completion) = self.ring.next_completion() {
            handled += 1;
            if handled.is_multiple_of(STAMP_EVERY) || bytes_since_stamp >= STAMP_BYTES {
                now = self.clock.now();
                bytes_since_stamp = 0;
            }
            bytes_since_stamp += completion.result.max(0) as u32;
            match completion.op {
                Op::Receive => self.received(script, completion, now),
                Op::Send => self.sent(script, completion, now),
                Op::Connect => self.connected(script, completion, now),
            }
        }
        while let Some(slot) = self.rearm.pop() {
            self.ring.receive(slot);
        }
        if self.timers.is_due(now) {
            self.beat(now);
        }
        if !self.outbox.is_empty() {
            self.answer();
        }
        self.counters.handled += u64::from(handled);
        if handled > 0 {
            // What is sent next is timed from it.
            now = self.clock.now();
            self.counters.longest_turn = self.counters.longest_turn.max(now.since(woke));
        }
        Ok(now)
    }

    fn received<S: Script>(&mut self, script: &mut S, completion: Completion, now: Nanos) {
        let Completion { slot, result, .. } = completion;
        self.counters.reads += 1;
        self.keep_acks_late(slot);
        let state = self.connections[slot as usize].state();
        let stale = matches!(state, State::Closing | State::Closed);
        if let Some(arrived) = self.ring.arrived(&completion) {
            self.stamps.note(arrived, now);
        }
        if let (Some(buffer), Ok(len)) = (completion.buffer, usize::try_from(result)) {
            match state {
                State::Open => self.read(script, completion, len, now),
                State::TransportHandshake | State::Upgrading | State::Opening => {
                    self.read_setup(script, slot, (buffer, len), now);
                }
                State::Idle | State::Connecting | State::Closing | State::Closed => {}
            }
            self.ring.recycle(buffer);
            if self.connections[slot as usize].owes_transport() {
                self.send_next(script, slot, now);
            }
        }
        if stale {
            self.counters.stale += 1;
            return;
        }
        match receive_outcome(result) {
            Received::Data if completion.more => {}
            Received::Data => self.rearm.push(slot),
            Received::Ended => self.ended(script, slot, now),
            Received::NoBuffers => {
                // All buffers are with us. They go back in this turn; armed again after it, the
                // receive finds them.
                self.counters.enobufs += 1;
                self.rearm.push(slot);
            }
            Received::Again => self.rearm.push(slot),
            Received::Failed(errno) => {
                let reason = self.cut(slot, describe("receive", errno));
                self.lose(script, slot, Loss::plain(reason), now);
            }
        }
    }

    /// Decodes a read of an open socket.
    #[inline]
    fn read<S: Script>(&mut self, script: &mut S, completion: Completion, len: usize, now: Nanos) {
        let Some(buffer) = completion.buffer else { return };
        // A closed socket may be dropped within this turn: the borrow of the ring ends first.
        let wire = self.ring.received(buffer, len);
        let connection = &mut self.connections[completion.slot as usize];
        if len > 0 {
            connection.since = now;
        }
        let fed = feed_wire(
            connection,
            (completion.slot, wire),
            &mut self.shared,
            Tools {
                pool: &mut self.pool,
                opcodes: &mut self.opcodes,
                outbox: &mut self.outbox,
                replies: &self.replies,
                goodbyes: &mut self.goodbyes,
                voices: &mut self.voices,
                streams: self.streams.as_mut(),
            },
            script,
            now,
        );
        self.after_read(script, completion.slot, fed, now);
    }

    fn after_read<S: Script>(
        &mut self,
        script: &mut S,
        slot: Slot,
        fed: Result<Option<Closed>, Violation>,
        now: Nanos,
    ) {
        match fed {
            Ok(None) => self.end_with_transport(script, slot, now),
            Ok(Some(closed)) => self.closed_by_node(script, slot, closed, now),
            Err(violation) => self.violated(script, slot, violation, now),
        }
    }

    /// Gives a socket up whose transport can bring nothing more.
    #[inline]
    fn end_with_transport<S: Script>(&mut self, script: &mut S, slot: Slot, now: Nanos) {
        let transport = &self.connections[slot as usize].transport;
        if let Some(error) = transport.over() {
            self.end_for(script, slot, error, now);
        } else if transport.has_ended() {
            self.ended(script, slot, now);
        }
    }

    /// Gives a socket up whose transport cannot go on, and lets that say why to the node.
    #[cold]
    fn end_for<S: Script>(&mut self, script: &mut S, slot: Slot, by: TransportError, now: Nanos) {
        let loss = Loss::plain(self.cut(slot, by.0));
        let connection = &mut self.connections[slot as usize];
        if !connection.speaks_for_transport() || connection.state() == State::Closing {
            return self.lose(script, slot, loss, now);
        }
        // Nothing else can be said any more.
        if std::mem::take(&mut connection.owed) {
            self.outbox.discard(slot);
        }
        self.lose_politely(script, slot, loss, now);
    }

    fn closed_by_node<S: Script>(&mut self, script: &mut S, slot: Slot, by: Closed, now: Nanos) {
        // The closing handshake (RFC 6455, section 5.5.1): the same code goes back.
        let payload = by.code.map(u16::to_be_bytes);
        self.last_words(script, slot);
        self.farewell(slot, payload.as_ref().map_or(&[][..], |code| code));
        let code = by.code.map_or_else(|| "without a code".into(), |code| code.to_string());
        let loss = Loss {
            reason: format!("closed by the node: {code} {}", by.reason).trim_end().into(),
            close_code: by.code,
            our_close_code: None,
        };
        self.lose_politely(script, slot, loss, now);
    }

    fn violated<S: Script>(&mut self, script: &mut S, slot: Slot, by: Violation, now: Nanos) {
        self.last_words(script, slot);
        self.farewell(slot, &by.code.0.to_be_bytes());
        let loss = Loss {
            reason: format!("the node broke the protocol: {} (closed with {})", by.what, by.code),
            close_code: None,
            our_close_code: Some(by.code.0),
        };
        self.lose_politely(script, slot, loss, now);
    }

    fn ended<S: Script>(&mut self, script: &mut S, slot: Slot, now: Nanos) {
        let connection = &self.connections[slot as usize];
        let cut_off = connection.transport.cut_off();
        let reason = match (connection.state(), cut_off) {
            (State::Upgrading, _) => self.refused(slot).unwrap_or_else(|| {
                "the node closed the connection without answering the upgrade".to_owned()
            }),
            (State::TransportHandshake, Some(cut_off)) => {
                format!("the node closed the connection {cut_off}")
            }
            (_, cut_off) => {
                let cut_off = cut_off.map(|how| format!(" and {how}")).unwrap_or_default();
                let reason =
                    format!("the node closed the connection without a Close frame{cut_off}");
                self.cut(slot, reason)
            }
        };
        self.lose(script, slot, Loss::plain(reason), now);
    }

    /// Closes a socket because the run is over.
    fn close_normally(&mut self, slot: Slot) {
        self.farewell(slot, &CloseCode::NORMAL.0.to_be_bytes());
        self.connections[slot as usize].advance(Event::Close);
    }

    /// Queues a Close frame, behind the Pongs that wait.
    fn farewell(&mut self, slot: Slot, payload: &[u8]) {
        let owed = &mut self.connections[slot as usize].owed;
        self.outbox.frame(slot, Opcode::Close, payload, owed);
    }

    /// Queues what a phase has to say before that.
    fn last_words<S: Script>(&mut self, script: &mut S, slot: Slot) {
        let Some(frames) = script.last_words(slot) else { return };
        self.outbox.frames(slot, &frames, &mut self.connections[slot as usize].owed);
    }

    /// Gives a socket up after its last control frame.
    fn lose_politely<S: Script>(&mut self, script: &mut S, slot: Slot, loss: Loss, now: Nanos) {
        self.note_loss(script, slot, loss, now);
        self.connections[slot as usize].advance(Event::Close);
        if self.connections[slot as usize].in_flight.is_none() {
            self.send_next(script, slot, now);
        }
    }

    /// Gives a socket up at once.
    fn lose<S: Script>(&mut self, script: &mut S, slot: Slot, loss: Loss, now: Nanos) {
        if self.connections[slot as usize].state() != State::Closing {
            self.note_loss(script, slot, loss, now);
        }
        self.shut(slot);
    }

    fn note_loss<S: Script>(&mut self, script: &mut S, slot: Slot, loss: Loss, now: Nanos) {
        let connection = &mut self.connections[slot as usize];
        connection.decoder.release(&mut self.pool);
        connection.transport.release(&mut self.shared);
        if connection.state().is_under_way() {
            self.dial.settle(now);
        }
        let Connection { seat, since, .. } = *connection;
        let state = connection.state();
        let mut loss = loss;
        if let Some(Setup::Opening(progress)) = connection.setup.as_deref() {
            loss.reason = progress.ended(&self.plan.dialect.opening, &loss.reason);
        }
        loss.reason = self.goodbyes.with(slot, loss.reason);
        loss.reason = self.plan.upgrade.hide(seat.socket, loss.reason);
        connection.setup = None;
        let idle = connection.state().is_open().then(|| now.since(since));
        self.lost.push(Lost { loss, slot, seat, at: now, state, idle });
        let taken = connection.transport.plain_len(connection.in_flight.messages_taken());
        script.lost(slot, taken);
    }

    fn shut(&mut self, slot: Slot) {
        let connection = &mut self.connections[slot as usize];
        connection.advance(Event::Gone);
        if std::mem::take(&mut connection.owed) {
            self.outbox.discard(slot);
        }
        self.ring.close(slot);
    }

    /// The reason of an end, with what it cut off.
    fn cut(&self, slot: Slot, reason: String) -> String {
        with_cut(reason, self.connections[slot as usize].decoder.cut_off())
    }

    /// The losses since the last call, with their times counted from `start`.
    fn take_losses(&mut self, start: Nanos) -> Vec<LostSocket> {
        self.lost.drain(..).map(|lost| lost.since(start)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ring::uring::bytes_per_slot;
    use crate::plan::memory::CONNECTION_BYTES;

    /// Everything that is there once for each connection, whether it is touched or not: this struct and
    /// its slot, places in the lists of the worker (lost, to be armed, dead, seen by the probe) and in the
    /// recorder (seat, expected, delivered), and the fleet's list of seats.
    #[test]
    fn an_idle_connection_takes_less_of_ours_than_the_plan_says() {
        assert_eq!(size_of::<Connection<Plain>>(), 128);
        let counted = size_of::<u32>();
        let lists = size_of::<Lost>() + 2 * size_of::<Slot>() + size_of::<bool>() + counted;
        let recorder = 2 * size_of::<SocketId>() + 2 * size_of::<u64>();
        for slots in [10_000, 16_384, 20_000] {
            let all = size_of::<Connection<Plain>>() + bytes_per_slot(slots) + lists + recorder;
            assert!(all as u64 <= CONNECTION_BYTES, "{all} bytes at {slots} sockets");
        }
    }
}
