//! A readiness ring: the same worker on epoll.
//!
//! Belongs here: turning readiness into completions, for hosts that refuse io_uring and as the honest
//! rival in the benches. Does not: any unsafe code; every call here is an ordinary system call.
//!
//! Sends are tried at once when the worker waits, and parked on `EPOLLOUT` when the socket is full.
//! Receives are level-triggered: what a turn does not read is reported again by the next wait.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::OwnedFd;

use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, sockopt};

use super::{Completion, Filled, Op, Ring, RingConfig, RingCounters, SendBuf, Slot, Wait, open};
use crate::units::Nanos;

/// Sockets whose readiness is taken in one wait.
const EVENTS: usize = 512;
/// Reads of one hot socket before the next one has its turn: enough to empty a burst without another
/// wait, few enough to keep the others' stamps fresh.
const READS_EACH: usize = 4;

#[derive(Default)]
struct Socket {
    fd: Option<OwnedFd>,
    connecting: bool,
    armed: bool,
    interest: Option<EventFlags>,
    sending: Option<(SendBuf, Range<usize>)>,
    sent: Option<SendBuf>,
}

/// An epoll instance and the sockets on it.
pub struct EpollRing {
    epoll: OwnedFd,
    sockets: Vec<Socket>,
    /// Sockets with a send that was not tried yet.
    unsent: Vec<Slot>,
    events: Vec<epoll::Event>,
    memory: Vec<u8>,
    buffer_bytes: usize,
    free: Vec<u16>,
    ready: VecDeque<Completion>,
    counters: RingCounters,
}

impl EpollRing {
    /// An epoll instance with receive buffers of our own.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn new(config: RingConfig) -> io::Result<Self> {
        let RingConfig { slots, buffers, buffer_bytes, direct: _ } = config;
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            sockets: (0..slots).map(|_| Socket::default()).collect(),
            unsent: Vec::with_capacity(slots as usize),
            events: Vec::with_capacity(EVENTS),
            memory: vec![0; usize::from(buffers) * buffer_bytes],
            buffer_bytes,
            free: (0..buffers).rev().collect(),
            ready: VecDeque::with_capacity(usize::from(buffers) + 2 * slots as usize),
            counters: RingCounters::default(),
        })
    }

    fn complete(&mut self, op: Op, slot: Slot, result: i32) {
        self.ready.push_back(Completion { op, slot, result, more: false, buffer: None });
    }

    /// Tells epoll what a socket waits for, when that has changed.
    fn watch(&mut self, slot: Slot) {
        let socket = &mut self.sockets[slot as usize];
        let Some(fd) = &socket.fd else { return };
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::IN, socket.armed);
        flags.set(EventFlags::OUT, socket.connecting || socket.sending.is_some());
        if socket.interest == Some(flags) {
            return;
        }
        let data = EventData::new_u64(slot.into());
        // Neither fails on a descriptor that is open and known; a registration that the kernel has no
        // memory for shows as a socket that stays silent, and the drain names it.
        let _ = match socket.interest {
            None => epoll::add(&self.epoll, fd, data, flags),
            Some(_) => epoll::modify(&self.epoll, fd, data, flags),
        };
        socket.interest = Some(flags);
    }

    fn try_send(&mut self, slot: Slot) {
        let socket = &mut self.sockets[slot as usize];
        let (Some(fd), Some((buf, part))) = (&socket.fd, &socket.sending) else { return };
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let result = match rustix::net::send(fd, &buf.as_slice()[part.clone()], flags) {
            Err(Errno::AGAIN | Errno::INTR) => return self.watch(slot),
            Ok(taken) => taken as i32,
            Err(errno) => -errno.raw_os_error(),
        };
        socket.sent = socket.sending.take().map(|(buf, _)| buf);
        if socket.interest.is_some_and(|interest| interest.contains(EventFlags::OUT)) {
            self.watch(slot);
        }
        self.complete(Op::Send, slot, result);
    }

    fn finish_connect(&mut self, slot: Slot) {
        let socket = &mut self.sockets[slot as usize];
        let Some(fd) = &socket.fd else { return };
        socket.connecting = false;
        let result = match sockopt::socket_error(fd) {
            Ok(Ok(())) => 0,
            Ok(Err(errno)) | Err(errno) => -errno.raw_os_error(),
        };
        self.watch(slot);
        self.complete(Op::Connect, slot, result);
    }

    fn read(&mut self, slot: Slot) {
        for _ in 0..READS_EACH {
            let socket = &self.sockets[slot as usize];
            let (Some(fd), true) = (&socket.fd, socket.armed) else { return };
            // Without a buffer the bytes stay where they are: the next wait reports them again.
            let Some(id) = self.free.pop() else { return };
            let start = usize::from(id) * self.buffer_bytes;
            let memory = &mut self.memory[start..start + self.buffer_bytes];
            let received = rustix::net::recv(fd, memory, RecvFlags::DONTWAIT).map(|(_, len)| len);
            let len = match received {
                Ok(len @ 1..) => len,
                unfilled => {
                    self.free.push(id);
                    return match unfilled {
                        Ok(_) => self.end_receive(slot, 0),
                        Err(Errno::AGAIN | Errno::INTR) => {}
                        Err(errno) => self.end_receive(slot, -errno.raw_os_error()),
                    };
                }
            };
            let (result, buffer) = (len as i32, Some(Filled::whole(id)));
            self.ready.push_back(Completion { op: Op::Receive, slot, result, more: true, buffer });
            // A short read has emptied the socket: another would only answer EAGAIN.
            if len < self.buffer_bytes {
                return;
            }
        }
    }

    fn end_receive(&mut self, slot: Slot, result: i32) {
        self.sockets[slot as usize].armed = false;
        self.watch(slot);
        self.complete(Op::Receive, slot, result);
    }

    fn poll(&mut self, timeout: Nanos) -> io::Result<()> {
        let timeout = Timespec {
            tv_sec: (timeout.0 / 1_000_000_000) as i64,
            tv_nsec: (timeout.0 % 1_000_000_000) as i64,
        };
        self.counters.enters += 1;
        self.events.clear();
        let spare = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(&self.epoll, spare, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        for index in 0..self.events.len() {
            let event = self.events[index];
            let (flags, data) = (event.flags, event.data);
            let slot = data.u64() as Slot;
            let failed = flags.intersects(EventFlags::ERR | EventFlags::HUP);
            if self.sockets[slot as usize].connecting {
                self.finish_connect(slot);
                continue;
            }
            if flags.contains(EventFlags::OUT) || failed {
                self.try_send(slot);
            }
            if flags.contains(EventFlags::IN) || failed {
                self.read(slot);
            }
        }
        Ok(())
    }
}

impl Ring for EpollRing {
    fn connect(&mut self, slot: Slot, to: SocketAddr, from: Option<SocketAddr>) -> io::Result<()> {
        let fd = open(to, from, SocketFlags::NONBLOCK)?;
        let connected = rustix::net::connect(&fd, &to);
        let socket = &mut self.sockets[slot as usize];
        *socket = Socket { fd: Some(fd), ..Socket::default() };
        match connected {
            Err(Errno::INPROGRESS) => {
                socket.connecting = true;
                self.watch(slot);
            }
            Ok(()) => self.complete(Op::Connect, slot, 0),
            Err(errno) => self.complete(Op::Connect, slot, -errno.raw_os_error()),
        }
        Ok(())
    }

    fn receive(&mut self, slot: Slot) {
        self.sockets[slot as usize].armed = true;
        self.watch(slot);
    }

    fn send(&mut self, slot: Slot, buf: SendBuf, part: Range<usize>) {
        let socket = &mut self.sockets[slot as usize];
        assert!(socket.sending.is_none(), "one send in flight for each socket");
        if socket.fd.is_some() {
            socket.sending = Some((buf, part));
            self.unsent.push(slot);
        }
    }

    fn take_sent(&mut self, slot: Slot) -> Option<SendBuf> {
        self.sockets[slot as usize].sent.take()
    }

    fn close(&mut self, slot: Slot) {
        // Closing the only descriptor takes it off the epoll instance, too (epoll(7)).
        self.sockets[slot as usize] = Socket::default();
    }

    fn wait(&mut self, wait: Wait) -> io::Result<()> {
        // In the order in which they were asked for: what was due first leaves first.
        for index in 0..self.unsent.len() {
            self.try_send(self.unsent[index]);
        }
        self.unsent.clear();
        let idle = wait.want > 0 && self.ready.is_empty();
        self.poll(if idle { wait.timeout } else { Nanos::ZERO })
    }

    #[inline]
    fn next_completion(&mut self) -> Option<Completion> {
        self.ready.pop_front()
    }

    #[inline]
    fn received(&self, filled: Filled, len: usize) -> &[u8] {
        &self.memory[usize::from(filled.buffer) * self.buffer_bytes..][..len]
    }

    #[inline]
    fn recycle(&mut self, filled: Filled) {
        self.free.push(filled.buffer);
    }

    fn counters(&self) -> RingCounters {
        self.counters
    }
}
