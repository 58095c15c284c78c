//! What waits for one socket, and the task that writes it.
//!
//! Belongs here: queues, writing, the count of those that are too long, and how a connection ends.
//! Does not: what is written.
//!
//! Bytes are shared: a batch of copies is one allocation, however many clients it waits for. A task
//! writes only while there is something to write; an idle connection has none.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::Shutdown;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::sync::Notify;

use crate::cluster::stream::{Stream, spawn};

/// Above this, what waits for one connection is *congestion*: the node then stops reading pushes.
pub(super) const BACKLOG_BYTES_MAX: usize = 16 << 20;

/// Small pieces are put together up to this much for one write.
const WRITE_BYTES: usize = 64 << 10;

/// How long an ending connection is waited for.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// How many outboxes of one kind are over the limit.
#[derive(Default)]
pub(super) struct Congestion {
    over: Cell<usize>,
    eased: Notify,
}

impl Congestion {
    pub(super) fn is_on(&self) -> bool {
        self.over.get() > 0
    }

    /// Returns when nothing is over the limit.
    pub(super) async fn ease(&self) {
        while self.is_on() {
            self.eased.notified().await;
        }
    }

    fn begin(&self) {
        self.over.set(self.over.get() + 1);
    }

    fn end(&self) {
        self.over.set(self.over.get() - 1);
        if !self.is_on() {
            self.eased.notify_waiters();
        }
    }
}

/// How a connection goes on when all that waits has been written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// The peer owes a Close: wait for it.
    AwaitClose,
    /// End our half, the peer will end its own.
    EndHalf,
    /// Leave without a word: whoever reads closes the socket, and its linger time of zero resets
    /// the connection.
    Reset,
}

/// The writing side of one connection.
pub(super) struct Outbox {
    stream: Rc<Stream>,
    queue: RefCell<VecDeque<Bytes>>,
    waiting_bytes: Cell<usize>,
    written_bytes: Cell<u64>,
    is_writing: Cell<bool>,
    is_over: Cell<bool>,
    finish: Cell<Option<Finish>>,
    is_dead: Cell<bool>,
    congestion: Rc<Congestion>,
}

impl Outbox {
    pub(super) fn new(stream: Rc<Stream>, congestion: Rc<Congestion>) -> Rc<Self> {
        Rc::new(Self {
            stream,
            queue: RefCell::default(),
            waiting_bytes: Cell::new(0),
            written_bytes: Cell::new(0),
            is_writing: Cell::new(false),
            is_over: Cell::new(false),
            finish: Cell::new(None),
            is_dead: Cell::new(false),
            congestion,
        })
    }

    /// Queues bytes; after [`Outbox::finish`] and on a dead connection they are dropped.
    pub(super) fn push(self: &Rc<Self>, bytes: Bytes) {
        if self.finish.get().is_some() || self.is_dead.get() || bytes.is_empty() {
            return;
        }
        self.add_waiting(bytes.len());
        self.queue.borrow_mut().push_back(bytes);
        self.wake();
    }

    /// Nothing more will be pushed; what waits is written first. A second call changes how.
    pub(super) fn finish(self: &Rc<Self>, how: Finish) {
        if self.finish.replace(Some(how)).is_none() {
            self.limit_the_end();
        }
        self.wake();
    }

    /// Ends the connection now, in both directions.
    pub(super) fn cut(&self) {
        self.die();
        // Fails when the peer was faster.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    pub(super) fn is_finishing(&self) -> bool {
        self.finish.get().is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting_bytes.get() == 0
    }

    /// Bytes handed to the kernel since the beginning.
    pub(super) fn written_bytes(&self) -> u64 {
        self.written_bytes.get()
    }

    /// A peer that neither takes our bytes nor ends its half does not keep the connection.
    fn limit_the_end(self: &Rc<Self>) {
        let outbox = Rc::downgrade(self);
        spawn(async move {
            tokio::time::sleep(END_TIMEOUT).await;
            if let Some(outbox) = outbox.upgrade() {
                outbox.cut();
            }
        });
    }

    fn wake(self: &Rc<Self>) {
        if !self.is_writing.replace(true) {
            spawn(self.clone().write_all());
        }
    }

    async fn write_all(self: Rc<Self>) {
        while let Some(piece) = self.next_piece() {
            if !self.write(piece).await {
                self.die();
            }
        }
        self.is_writing.set(false);
        match self.finish.get() {
            Some(Finish::EndHalf) => drop(self.stream.shutdown(Shutdown::Write)),
            Some(Finish::Reset) => drop(self.stream.shutdown(Shutdown::Read)),
            Some(Finish::AwaitClose) | None => {}
        }
    }

    /// The next bytes to write: one large piece as it is, or many small ones in one.
    fn next_piece(&self) -> Option<Bytes> {
        let mut queue = self.queue.borrow_mut();
        let first = queue.pop_front()?;
        let Some(second) = queue.front() else {
            return Some(first);
        };
        if first.len() + second.len() > WRITE_BYTES {
            return Some(first);
        }
        let mut piece = Vec::with_capacity(WRITE_BYTES);
        piece.extend_from_slice(&first);
        while let Some(next) = queue.front().filter(|next| piece.len() + next.len() <= WRITE_BYTES)
        {
            piece.extend_from_slice(next);
            queue.pop_front();
        }
        Some(piece.into())
    }

    async fn write(&self, mut piece: Bytes) -> bool {
        while piece.has_remaining() {
            let (written, back) = self.stream.write(piece).await;
            piece = back;
            let Ok(count @ 1..) = written else {
                return false;
            };
            piece.advance(count);
            self.note_written(count);
        }
        true
    }

    fn add_waiting(&self, bytes: usize) {
        self.waiting_bytes.set(self.waiting_bytes.get() + bytes);
        if self.waiting_bytes.get() > BACKLOG_BYTES_MAX && !self.is_over.replace(true) {
            self.congestion.begin();
        }
    }

    fn note_written(&self, bytes: usize) {
        self.written_bytes.set(self.written_bytes.get() + bytes as u64);
        // A dead connection has forgotten what waited, a write that was in flight may still end.
        self.set_waiting(self.waiting_bytes.get().saturating_sub(bytes));
    }

    fn set_waiting(&self, bytes: usize) {
        self.waiting_bytes.set(bytes);
        if bytes <= BACKLOG_BYTES_MAX && self.is_over.replace(false) {
            self.congestion.end();
        }
    }

    fn die(&self) {
        self.is_dead.set(true);
        self.queue.borrow_mut().clear();
        self.set_waiting(0);
    }
}

impl Drop for Outbox {
    /// A connection may be forgotten while it is over the limit.
    fn drop(&mut self) {
        self.set_waiting(0);
    }
}
