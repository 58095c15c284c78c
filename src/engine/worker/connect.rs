//! Connecting: TCP, the upgrade, and the dialect's opening, for all sockets of a worker.
//!
//! Belongs here: what follows what for one socket, and when one is given up. Does not: how many are
//! under way (`connect_pacing`), the bytes of the upgrade (`wire::upgrade`).

use std::io;
use std::net::IpAddr;

use super::between::ListenOnly;
use super::{Control, Directive, Script, Stamps, State, TICK, TrialProgress, Worker, describe};
use crate::engine::connection::cookies;
use crate::engine::connection::state::Event;
use crate::engine::connection::transport::Transport;
use crate::engine::connection::upgrade::{Answer, Upgrade};
use crate::engine::connection::{Loss, Setup};
use crate::engine::ring::{Completion, Ring, Slot, Wait};
use crate::engine::worker::connect_pacing::{BLACK_HOLE, Ramp, WorkerShard};
use crate::host::clock::Clock;
use crate::measure::connecting::{ConnectRecord, Failure};
use crate::units::Nanos;
use rustix::io::Errno;

/// Ports that are tried for a socket: others may hold some, or have just let go of them. In a small range that
/// is nearly used up these are all of them: 64 left out the last free ones of 100.
const PORTS_TRIED: u8 = 200;

/// Reads between two of which a socket is asked again to acknowledge late: the kernel goes back to doing
/// so at once whenever nothing followed for 40 ms (tcp(7): the option is not permanent).
const ASK_AGAIN: u8 = 16;

impl<R: Ring, C: Clock, T: Transport> Worker<'_, R, C, T> {
    /// Tells which of how many workers this is: they share `--connect-rate`.
    pub fn in_lane(mut self, lane: WorkerShard) -> Self {
        self.dial.lane = lane;
        self
    }

    /// The CPU that it is to run on.
    pub(super) fn cpu(&self) -> usize {
        self.plan.generator.cores[self.dial.lane.index]
    }

    /// Connects, upgrades and opens every socket. Returns those that failed.
    ///
    /// # Errors
    /// The ring failed, or a socket could not even be made (descriptors, memory).
    pub fn connect(&mut self, conductor: &mut impl Control) -> io::Result<Vec<Failure>> {
        self.dial_all(self.connections.len(), |place| place, conductor)?;
        Ok(self.take_failures())
    }

    /// Connects so many sockets; `slot` names them.
    pub(super) fn dial_all(
        &mut self,
        count: usize,
        slot: impl Fn(Slot) -> Slot,
        conductor: &mut impl Control,
    ) -> io::Result<()> {
        let mut now = self.clock.now();
        let rate = self.plan.connect.rate;
        let mut ramp = Ramp::new(count, rate, self.dial.lane, now);
        (self.dial.settled, self.dial.dialled.settled_at) = (0, now);
        while !ramp.is_over(self.dial.settled) {
            while let Some(place) = ramp.take(self.dial.settled, now) {
                self.start(slot(place), now)?;
            }
            let timeout = Nanos(ramp.until_next(now).0.min(TICK.0));
            now = self.listen(Wait::first(timeout))?;
            self.give_up_late(&mut ramp, &slot, now);
            let progress = TrialProgress { seen: self.dial.settled, ..TrialProgress::default() };
            if conductor.turn(progress, now) != Directive::Continue {
                break;
            }
        }
        Ok(())
    }

    /// How fast connecting was, once it is over.
    pub fn take_dialled(&mut self) -> ConnectRecord {
        std::mem::take(&mut self.dial.dialled)
    }

    /// Sockets lost before the first trial, since the last call. They are left out of what is expected.
    pub fn take_failures(&mut self) -> Vec<Failure> {
        self.absent.extend(self.lost.iter().map(|lost| lost.slot));
        let (heard, upgrade) = (&self.heard, &self.plan.upgrade);
        let failure = |lost: super::Lost| Failure {
            seat: lost.seat,
            phase: lost.state.name(),
            reason: match heard.of(lost.slot).filter(|_| lost.state != State::Opening) {
                Some(said) => {
                    let said = upgrade.hide(lost.seat.socket, said.to_owned());
                    format!("{}; before that it said {said}", lost.loss.reason)
                }
                None => lost.loss.reason,
            },
        };
        self.lost.drain(..).map(failure).collect()
    }

    /// Closes every open socket as RFC 6455 asks: a Close frame, then the end.
    ///
    /// # Errors
    /// The ring failed.
    pub fn say_goodbye(&mut self) -> io::Result<()> {
        let deadline = self.clock.now().plus(GOODBYE);
        for slot in 0..self.connections.len() as Slot {
            if self.connections[slot as usize].state().is_open() {
                self.close_normally(slot);
            }
        }
        let open = |worker: &Self| worker.connections.iter().any(|c| c.state() == State::Closing);
        while open(self) && self.clock.now() < deadline {
            self.listen(Wait::first(TICK))?;
        }
        Ok(())
    }

    pub(super) fn start(&mut self, slot: Slot, now: Nanos) -> io::Result<()> {
        let connection = &mut self.connections[slot as usize];
        connection.since = now;
        connection.advance(Event::Connect);
        if self.dial.is_black_hole(connection.seat.node) {
            let reason = format!(
                "not tried: {BLACK_HOLE} sockets to this node ran into --connect-timeout, and none \
                 was ever taken"
            );
            self.lose(&mut ListenOnly::default(), slot, Loss::plain(reason), now);
            return Ok(());
        }
        self.open(slot, now)
    }

    /// Connects from the first of the socket's ports that nobody else holds.
    fn open(&mut self, slot: Slot, now: Nanos) -> io::Result<()> {
        loop {
            let connection = &self.connections[slot as usize];
            let (seat, tries) = (connection.seat, connection.ports_tried);
            let to = self.plan.nodes[seat.node as usize].addr;
            let from = self.plan.origin(seat, tries.into());
            let Err(error) = self.ring.connect(slot, to, from) else { return Ok(()) };
            let (Some(from), Some(errno)) = (from, Errno::from_io_error(&error)) else {
                return Err(error);
            };
            match errno {
                Errno::ADDRINUSE if self.pass_port_over(slot) => {}
                Errno::ADDRINUSE | Errno::ADDRNOTAVAIL => {
                    let reason = unbound(from.ip(), errno);
                    self.lose(&mut ListenOnly::default(), slot, Loss::plain(reason), now);
                    return Ok(());
                }
                _ => return Err(error),
            }
        }
    }

    /// Turns to the next port of a socket, if it has tried few enough.
    fn pass_port_over(&mut self, slot: Slot) -> bool {
        let tried = &mut self.connections[slot as usize].ports_tried;
        *tried += 1;
        self.dial.dialled.ports_passed_over += 1;
        *tried < PORTS_TRIED
    }

    /// A connect failed because the pair of both ends exists already: the remains of an earlier run,
    /// or of another program. Another port may do.
    fn try_next_port(&mut self, slot: Slot, errno: Errno, now: Nanos) -> bool {
        let seat = self.connections[slot as usize].seat;
        let is_ours = self.plan.sources_to(seat.node as usize).is_some();
        let is_taken = matches!(errno, Errno::ADDRNOTAVAIL | Errno::ADDRINUSE);
        // What cannot be opened a second time failed for want of descriptors or memory: the first
        // answer stands.
        is_ours && is_taken && self.pass_port_over(slot) && self.open(slot, now).is_ok()
    }

    pub(super) fn connected<S: Script>(&mut self, script: &mut S, done: Completion, now: Nanos) {
        let slot = done.slot;
        if self.connections[slot as usize].state() != State::Connecting {
            self.counters.stale += 1;
            return;
        }
        if done.result < 0 {
            let errno = Errno::from_raw_os_error(-done.result);
            if self.try_next_port(slot, errno, now) {
                return;
            }
            if errno == Errno::TIMEDOUT {
                self.dial.note_timeout(self.connections[slot as usize].seat.node);
            }
            return self.lose(script, slot, Loss::plain(describe("connect", errno)), now);
        }
        let connection = &mut self.connections[slot as usize];
        connection.advance(Event::Connected);
        self.dial.dialled.connect.record(now.since(connection.since));
        if Stamps::samples(slot, self.connections.len() as u32) {
            self.ring.time_arrivals(slot);
        }
        if self.plan.connect.delayed_ack {
            self.ring.delay_acks(slot);
        }
        self.ring.receive(slot);
        self.begin_handshake(script, slot, now);
    }

    /// Takes what came of the answer to the upgrade.
    pub(super) fn hear_upgrade<S: Script>(
        &mut self,
        script: &mut S,
        slot: Slot,
        plain: &[u8],
        now: Nanos,
    ) {
        let connection = &mut self.connections[slot as usize];
        let Some(mut setup) = connection.setup.take() else { return };
        let Setup::Upgrade(upgrade) = &mut *setup else { return };
        let options = self.plan.upgrade.of(connection.seat.socket);
        match upgrade.take(plain, options) {
            Answer::Partial => connection.setup = Some(setup),
            Answer::Accepted { consumed } => {
                self.dial.dialled.upgrade.record(now.since(upgrade.since));
                self.note_answer(slot, upgrade, consumed);
                let agreed = upgrade.agreed(consumed, options);
                let connection = &mut self.connections[slot as usize];
                if options.deflate.is_some() {
                    self.dial.dialled.extensions.note(connection.seat.node, agreed);
                }
                connection.transport.upgraded(agreed, &mut self.shared);
                let rest = upgrade.rest(consumed);
                let rest = connection.transport.behind_answer(rest, &mut self.shared).to_vec();
                self.upgraded(script, slot, &rest, now);
            }
            Answer::Refused(reason) => self.lose(script, slot, Loss::plain(reason), now),
        }
    }

    /// What is to be remembered of an answer: cookies, and the node that took the socket, if it is named.
    fn note_answer(&mut self, slot: Slot, upgrade: &Upgrade, consumed: usize) {
        for cookie in upgrade.answered(consumed, "Set-Cookie") {
            if let Some(name) = self.cookies.keep(slot, cookie) {
                cookies::count(&mut self.dial.dialled.cookies, name);
            }
        }
        let Some(header) = &self.plan.upgrade.node_header else { return };
        let seat = self.connections[slot as usize].seat;
        let name = upgrade.answered(consumed, header).next().map(str::to_owned);
        let name = name.map(|name| self.plan.upgrade.hide(seat.socket, name));
        self.dial.dialled.reached.note(seat, name);
    }

    /// Why the node does not take the socket, as far as its answer came; `None` before any of it.
    pub(super) fn refused(&self, slot: Slot) -> Option<String> {
        let connection = &self.connections[slot as usize];
        match connection.setup.as_deref()? {
            Setup::Upgrade(upgrade) => {
                upgrade.refused(self.plan.upgrade.of(connection.seat.socket))
            }
            Setup::Handshake(_) | Setup::Opening(_) => None,
        }
    }

    /// A socket was read: with `--delayed-ack` it may have to be asked again.
    #[inline]
    pub(super) fn keep_acks_late(&mut self, slot: Slot) {
        if !self.plan.connect.delayed_ack {
            return;
        }
        // Each socket counts for itself: of all reads together, every 16th may always be of the same few.
        let reads = &mut self.connections[slot as usize].reads;
        *reads = (*reads + 1) % ASK_AGAIN;
        if *reads == 0 {
            self.ring.delay_acks(slot);
        }
    }

    /// Gives up what has been under way for too long. The oldest come first, so that a turn looks at
    /// those alone that have something to be told.
    fn give_up_late(&mut self, ramp: &mut Ramp, slot: &impl Fn(Slot) -> Slot, now: Nanos) {
        let limit = self.plan.timeouts.connect;
        let settled =
            |worker: &Self, place| !worker.connections[slot(place) as usize].state().is_under_way();
        while let Some(place) = ramp.oldest(|place| settled(self, place)) {
            let slot = slot(place);
            let connection = &self.connections[slot as usize];
            if now.since(connection.since) <= limit {
                return;
            }
            let (node, waited) = (connection.seat.node, limit.as_secs_f64());
            let reason = match connection.state() {
                State::Connecting => format!("no answer to the TCP connect within {waited} s"),
                State::TransportHandshake => {
                    format!("the {} handshake did not end within {waited} s", T::NAME)
                }
                _ => match connection.setup.as_deref() {
                    Some(Setup::Opening(progress)) => {
                        progress.timed_out(&self.plan.dialect.opening, waited)
                    }
                    _ => self.refused(slot).unwrap_or_else(|| {
                        format!("no answer to the upgrade request within {waited} s")
                    }),
                },
            };
            self.connections[slot as usize].setup = None;
            self.dial.note_timeout(node);
            self.lose(&mut ListenOnly::default(), slot, Loss::plain(reason), now);
        }
    }
}

/// Why a socket could not be bound, for the address that it was to come from.
fn unbound(source: IpAddr, errno: Errno) -> String {
    match errno {
        Errno::ADDRINUSE => format!(
            "no free port on {source} after {PORTS_TRIED} tries: give --source-ip more addresses"
        ),
        _ => format!("--source-ip: {source} is not an address of this host (EADDRNOTAVAIL)"),
    }
}

/// Time for Close frames at the end: nothing is measured any more.
const GOODBYE: Nanos = Nanos::from_millis(250);
