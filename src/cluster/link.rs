//! One connection of a node: bytes between tokio-uring and tungstenite.
//!
//! Belongs here: the in-memory stream that tungstenite speaks to, the queue of what leaves, and the
//! limit on all queues together. Does not: what is said (`node`).
//!
//! The limit is backpressure, not loss: a node whose clients do not read stops reading itself, as a
//! real one does whose socket buffers are full.

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::rc::Rc;

use tokio::sync::Notify;
use tokio_uring::net::TcpStream;
use tungstenite::handshake::{HandshakeError, HandshakeRole, MidHandshake};

/// Bytes that may wait in all queues of a node before it stops reading.
const QUEUED_MAX: usize = 64 << 20;
/// One read. Each connection holds a buffer of this size: 200 000 take 800 MB.
pub(super) const READ_BYTES: usize = 4 << 10;
/// A buffer that has grown larger in a burst is not kept.
const QUEUE_KEPT: usize = 256 << 10;

/// Both directions of a connection, in memory.
#[derive(Clone, Default)]
pub(super) struct Pipe(Rc<RefCell<Buffers>>);

#[derive(Default)]
struct Buffers {
    inbound: Vec<u8>,
    taken: usize,
    outbound: Vec<u8>,
}

impl Pipe {
    /// What came from the network.
    pub(super) fn feed(&self, bytes: &[u8]) {
        let mut buffers = self.0.borrow_mut();
        if buffers.taken == buffers.inbound.len() {
            buffers.inbound.clear();
            buffers.taken = 0;
        }
        buffers.inbound.extend_from_slice(bytes);
    }

    /// What tungstenite wants to leave.
    pub(super) fn take_outbound(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.borrow_mut().outbound)
    }
}

impl Read for Pipe {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut buffers = self.0.borrow_mut();
        let rest = &buffers.inbound[buffers.taken..];
        if rest.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let len = rest.len().min(out.len());
        out[..len].copy_from_slice(&rest[..len]);
        buffers.taken += len;
        Ok(len)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().outbound.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Drives a handshake to its end. `doctor` may alter what leaves.
pub(super) async fn shake<Role: HandshakeRole>(
    stream: &TcpStream,
    pipe: &Pipe,
    mut state: Result<Role::FinalResult, HandshakeError<Role>>,
    doctor: impl Fn(Vec<u8>) -> Vec<u8>,
) -> io::Result<Role::FinalResult> {
    loop {
        let outbound = doctor(pipe.take_outbound());
        if !outbound.is_empty() {
            stream.write_all(outbound).await.0?;
        }
        let middle: MidHandshake<Role> = match state {
            Ok(done) => return Ok(done),
            Err(HandshakeError::Failure(error)) => return Err(io::Error::other(error.to_string())),
            Err(HandshakeError::Interrupted(middle)) => middle,
        };
        let (read, buffer) = stream.read(Vec::with_capacity(READ_BYTES)).await;
        if read? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        pipe.feed(&buffer);
        state = middle.handshake();
    }
}

/// Bytes that wait over all connections of a node.
#[derive(Default)]
pub(super) struct Budget {
    queued: Cell<usize>,
    freed: Notify,
}

impl Budget {
    /// Returns when the node may take more in.
    pub(super) async fn room(&self) {
        while self.queued.get() > QUEUED_MAX {
            self.freed.notified().await;
        }
    }

    fn free(&self, bytes: usize) {
        self.queued.set(self.queued.get() - bytes);
        self.freed.notify_waiters();
    }
}

/// What leaves on one connection.
pub(super) struct Outlet {
    queue: RefCell<Vec<u8>>,
    wake: Notify,
    finished: Cell<Option<Shutdown>>,
    budget: Rc<Budget>,
}

impl Outlet {
    pub(super) fn new(budget: Rc<Budget>) -> Rc<Self> {
        Rc::new(Self {
            queue: RefCell::default(),
            wake: Notify::new(),
            finished: Cell::new(None),
            budget,
        })
    }

    /// Queues bytes; whole frames only.
    pub(super) fn push(&self, bytes: &[u8]) {
        if bytes.is_empty() || self.finished.get().is_some() {
            return;
        }
        self.queue.borrow_mut().extend_from_slice(bytes);
        self.budget.queued.set(self.budget.queued.get() + bytes.len());
        self.wake.notify_one();
    }

    /// Ends the connection once the queue has left.
    pub(super) fn finish(&self) {
        self.end(Shutdown::Both);
    }

    /// Ends it without a FIN: with `SO_LINGER` 0 on the socket, its close is a reset.
    pub(super) fn reset(&self) {
        self.end(Shutdown::Read);
    }

    fn end(&self, how: Shutdown) {
        if self.finished.get().is_none() {
            self.finished.set(Some(how));
            self.wake.notify_one();
        }
    }

    /// Writes what is queued until the connection ends. `pause` holds writing back.
    pub(super) async fn drain<P: Future<Output = ()>>(
        self: Rc<Self>,
        stream: Rc<TcpStream>,
        pause: impl Fn() -> P,
    ) {
        let mut spare = Vec::new();
        loop {
            if self.queue.borrow().is_empty() {
                if let Some(how) = self.finished.get() {
                    // The read in flight ends with it. It fails when the peer was quicker.
                    let _ = stream.shutdown(how);
                    return;
                }
                self.wake.notified().await;
                continue;
            }
            pause().await;
            let bytes = self.queue.replace(spare);
            let len = bytes.len();
            let (written, mut back) = stream.write_all(bytes).await;
            self.budget.free(len);
            if written.is_err() {
                self.finish();
                self.budget.free(std::mem::take(&mut *self.queue.borrow_mut()).len());
            }
            back.clear();
            spare = if back.capacity() > QUEUE_KEPT { Vec::new() } else { back };
        }
    }
}
