//! One client connection: its copies, and the faults that strike them.
//!
//! Belongs here: from a copy that is due to bytes in the outbox. Does not: which copies are due.
//!
//! A copy passes the faults in this order: deaf, drop, corrupt, duplicate, delay, reorder, batch,
//! split; then the connection's count is looked at (close, reset, bad-frame). Each writes its line
//! before its effect can be on the way.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use super::frame;
use super::outbox::{Finish, Outbox};
use crate::cluster::node::delivery::{Copy, Envelope, frames};
use crate::cluster::node::fault_injector::{End, FaultInjector, Party};
use crate::cluster::stream::spawn;

/// A copy that is held back goes anyway when nothing comes that could pass it.
const HOLD_TIMEOUT: Duration = Duration::from_millis(50);

/// Most copies that pass one that is held back.
const PASSING_MAX: u64 = 3;

/// A client connection after its upgrade.
pub(super) struct Client {
    pub(super) number: u64,
    port: u16,
    pub(super) outbox: Rc<Outbox>,
    /// Whether a Pong has come since the last Ping.
    is_alive: Cell<bool>,
    written_at_ping: Cell<u64>,
    state: RefCell<State>,
}

/// What faults remember of a connection.
#[derive(Default)]
struct State {
    /// Copies that have gone into the outbox.
    delivered: u64,
    is_over: bool,
    batch: Vec<Copy>,
    held: Vec<Held>,
    holds: u64,
}

/// A copy that waits for others to pass.
struct Held {
    hold: u64,
    copy: Copy,
    to_pass: u64,
    passed: u64,
}

/// What every step needs to know about the node.
#[derive(Clone)]
pub(super) struct Means {
    pub(super) meddling: Rc<FaultInjector>,
    pub(super) envelope: Rc<Envelope>,
}

impl Client {
    pub(super) fn new(number: u64, port: u16, outbox: Rc<Outbox>) -> Rc<Self> {
        Rc::new(Self {
            number,
            port,
            outbox,
            is_alive: Cell::new(true),
            written_at_ping: Cell::new(0),
            state: RefCell::default(),
        })
    }

    fn party(&self) -> Party {
        Party::Client { number: self.number, port: self.port }
    }

    pub(super) fn heard_pong(&self) {
        self.is_alive.set(true);
    }

    /// One round of the server's Pings: drops a connection that has not answered the last one.
    ///
    /// While the node reads nothing (`is_unread`) no Pong can come; then whoever still takes bytes,
    /// or has none to take, is alive.
    pub(super) fn ping(&self, is_unread: bool) -> Liveness {
        let written = self.outbox.written_bytes();
        let moves = written > self.written_at_ping.replace(written) || self.outbox.is_empty();
        let has_answered = self.is_alive.replace(false);
        if has_answered || is_unread && moves {
            return Liveness::Alive;
        }
        self.outbox.cut();
        Liveness::Dropped
    }

    /// A copy is due: the faults decide what becomes of it.
    pub(super) fn offer(self: &Rc<Self>, copy: &Copy, means: &Means) {
        let Means { meddling, envelope } = means;
        let (dice, log) = (&meddling.dice, |fault: &str| {
            meddling.log(fault, self.party(), Some(&copy.message), |_| {});
        });
        if self.state.borrow().is_over {
            return;
        }
        if meddling.is_deaf {
            return log("deaf");
        }
        if dice.drop.as_ref().is_some_and(|die| die.strikes()) {
            return log("drop");
        }
        let corrupted = meddling.corrupt(copy, self.party(), envelope);
        let copy = corrupted.as_ref().unwrap_or(copy);
        if dice.duplicate.as_ref().is_some_and(|die| die.strikes()) {
            log("duplicate");
            self.send_in_time(copy, means);
        }
        self.send_in_time(copy, means);
    }

    /// Now, after a delay, or when others have passed.
    fn send_in_time(self: &Rc<Self>, copy: &Copy, means: &Means) {
        let dice = &means.meddling.dice;
        if let Some((die, by)) = &dice.delay
            && die.strikes()
        {
            means.meddling.log("delay", self.party(), Some(&copy.message), |_| {});
            let (client, copy, means) = (self.clone(), copy.clone(), means.clone());
            return self.later(*by, move || client.send(copy, &means));
        }
        if let Some(die) = &dice.reorder
            && die.strikes()
        {
            return self.hold(copy.clone(), 1 + die.below(PASSING_MAX), means);
        }
        self.send(copy.clone(), means);
    }

    fn later(&self, after: Duration, act: impl FnOnce() + 'static) {
        spawn(async move {
            tokio::time::sleep(after).await;
            act();
        });
    }

    fn hold(self: &Rc<Self>, copy: Copy, to_pass: u64, means: &Means) {
        let mut state = self.state.borrow_mut();
        state.holds += 1;
        let hold = state.holds;
        state.held.push(Held { hold, copy, to_pass, passed: 0 });
        let (client, means) = (self.clone(), means.clone());
        self.later(HOLD_TIMEOUT, move || {
            client.release(&means, |held| held.hold == hold);
            client.flush(&means);
        });
    }

    /// Sends a copy, and those that it was the last to pass.
    fn send(&self, copy: Copy, means: &Means) {
        self.deliver(copy, means);
        for held in &mut self.state.borrow_mut().held {
            held.passed += 1;
        }
        self.release(means, |held| held.passed >= held.to_pass);
        if means.meddling.batch == 1 {
            self.flush(means);
        }
    }

    /// Sends what was held back and is `due`. What nothing has passed was not reordered.
    fn release(&self, means: &Means, due: impl Fn(&Held) -> bool) {
        let released: Vec<Held> =
            self.state.borrow_mut().held.extract_if(.., |held| due(held)).collect();
        for held in released {
            if held.passed > 0 && !self.state.borrow().is_over {
                means.meddling.log("reorder", self.party(), Some(&held.copy.message), |event| {
                    event.count = Some(held.passed);
                });
            }
            self.deliver(held.copy, means);
        }
    }

    /// Adds a copy to the batch; sends the batch when it is full, or the connection's end is due.
    fn deliver(&self, copy: Copy, means: &Means) {
        let mut state = self.state.borrow_mut();
        if state.is_over {
            return;
        }
        state.batch.push(copy);
        let delivered = state.delivered + state.batch.len() as u64;
        let is_full = state.batch.len() >= means.meddling.batch;
        drop(state);
        if is_full || means.meddling.ends.iter().any(|(after, _)| *after == delivered) {
            self.flush(means);
        }
    }

    /// Sends the batch as far as it has come.
    pub(super) fn flush(&self, means: &Means) {
        let batch = std::mem::take(&mut self.state.borrow_mut().batch);
        let Some(first) = batch.first() else {
            return;
        };
        let (bytes, frame_count) = frames(&batch, &means.envelope, means.meddling.split_bytes);
        let copy_count = batch.len() as u64;
        for (fault, count) in [("batch", copy_count), ("split", frame_count)] {
            if count > 1 {
                means.meddling.log(fault, self.party(), Some(&first.message), |event| {
                    event.count = Some(count);
                });
            }
        }
        self.outbox.push(bytes);
        self.state.borrow_mut().delivered += copy_count;
        self.end_when_due(means);
    }

    /// Strikes when the connection has had its number of copies; also right after the upgrade.
    pub(super) fn end_when_due(&self, means: &Means) {
        let delivered = self.state.borrow().delivered;
        for (after, end) in &means.meddling.ends {
            if *after == delivered && !self.state.borrow().is_over {
                self.end(*end, delivered, &means.meddling);
            }
        }
    }

    fn end(&self, end: End, delivered: u64, meddling: &FaultInjector) {
        self.state.borrow_mut().is_over = true;
        let fault = match end {
            End::Close(_) => "close",
            End::Reset => "reset",
            End::BadFrame(_) => "bad-frame",
        };
        meddling.log(fault, self.party(), None, |event| event.count = Some(delivered));
        match end {
            End::Close(code) => {
                self.outbox.push(frame::close(code));
                self.outbox.finish(Finish::AwaitClose);
            }
            End::Reset => self.outbox.finish(Finish::Reset),
            End::BadFrame(kind) => self.outbox.push(frame::broken(kind)),
        }
    }
}

/// What a round of Pings found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Liveness {
    Alive,
    Dropped,
}
