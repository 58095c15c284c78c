//! Those who scrape, one thread for all of them: it waits for whoever has something to say.
//!
//! Belongs here: connections, their deadlines and their number. Does not: what is asked and answered (`http`).
//!
//! Nobody may harm the run. There are at most [`CLIENTS_MAX`] connections, and a further one takes the place
//! of the oldest; each has [`DEADLINE`] for all that it does; what a client sends is read into bounded memory.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::http::{Asked, HEAD_BYTES_MAX, Refusal, asked, is_head, ok};
use crate::host::clock::{Clock, Monotonic};
use crate::report::metrics::exposition::Format;
use crate::units::Nanos;

/// Connections at once.
const CLIENTS_MAX: usize = 16;
/// From accepting a client to its end.
const DEADLINE: Nanos = Nanos::from_secs(5);
/// What is read of those who have been answered, so that their answer is not lost.
const DRAIN_BYTES_MAX: usize = 64 << 10;
/// How long nobody is accepted after the host refused it.
const PAUSE: Nanos = Nanos::from_secs(1);

/// Where clients come from, and what they get.
pub(super) struct Clients<F> {
    listener: TcpListener,
    /// Its other end is dropped: it is over.
    end: UnixStream,
    /// The metrics as they are now.
    metrics: F,
    clients: Vec<Client>,
    /// Until then nobody is accepted.
    paused_until: Nanos,
}

struct Client {
    stream: TcpStream,
    until: Nanos,
    state: State,
}

enum State {
    Reading(Vec<u8>),
    /// The head, the body, and how much of both has gone.
    Writing(Vec<u8>, Arc<str>, usize),
    /// Answered: so much may still come before it is closed.
    Draining(usize),
    Over,
}

impl<F: FnMut(Format) -> Arc<str>> Clients<F> {
    /// Nobody is there yet.
    pub(super) const fn new(listener: TcpListener, end: UnixStream, metrics: F) -> Self {
        Self { listener, end, metrics, clients: Vec::new(), paused_until: Nanos::ZERO }
    }

    /// Serves until it is over; `woken` is called each time that something is to be done.
    pub(super) fn serve(mut self, mut woken: impl FnMut()) {
        loop {
            let Ok((over, knocks, ready)) = self.wait() else { return };
            if over {
                return;
            }
            woken();
            let now = Monotonic.now();
            for (client, ready) in self.clients.iter_mut().zip(ready) {
                if ready {
                    client.go_on(&mut self.metrics);
                }
                if now >= client.until {
                    client.give_up();
                }
            }
            self.clients.retain(|client| !matches!(client.state, State::Over));
            if knocks {
                self.accept(now);
            }
        }
    }

    /// Sleeps until the end, a knock, a client that can go on, or a deadline.
    fn wait(&self) -> io::Result<(bool, bool, Vec<bool>)> {
        let now = Monotonic.now();
        let paused = now < self.paused_until;
        let deadlines = self.clients.iter().map(|client| client.until);
        let next = deadlines.chain(paused.then_some(self.paused_until)).min();
        let timeout = next.map(|next| timespec(next.since(now)));
        let knocks = if paused { PollFlags::empty() } else { PollFlags::IN };
        let mut fds =
            vec![PollFd::new(&self.end, PollFlags::IN), PollFd::new(&self.listener, knocks)];
        fds.extend(self.clients.iter().map(Client::awaited));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
        let over = ready.next().unwrap_or(true);
        let knocks = ready.next().unwrap_or(false) && !paused;
        Ok((over, knocks, ready.collect()))
    }

    fn accept(&mut self, now: Nanos) {
        for _ in 0..CLIENTS_MAX {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    if stream.set_nonblocking(true).is_err() {
                        continue;
                    }
                    if self.clients.len() == CLIENTS_MAX {
                        self.clients.remove(0);
                    }
                    let (until, state) = (now.plus(DEADLINE), State::Reading(Vec::new()));
                    self.clients.push(Client { stream, until, state });
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                // No descriptors, no memory: whoever knocks goes on knocking.
                Err(_) => {
                    self.paused_until = now.plus(PAUSE);
                    return;
                }
            }
        }
    }
}

fn timespec(time: Nanos) -> Timespec {
    // Rounded up: before the deadline there would be nothing to do.
    let millis = time.0 / 1_000_000 + 1;
    Timespec { tv_sec: (millis / 1_000) as i64, tv_nsec: (millis % 1_000 * 1_000_000) as i64 }
}

impl Client {
    fn awaited(&self) -> PollFd<'_> {
        let flags = match self.state {
            State::Writing(..) => PollFlags::OUT,
            State::Reading(_) | State::Draining(_) | State::Over => PollFlags::IN,
        };
        PollFd::new(&self.stream, flags)
    }

    fn go_on(&mut self, metrics: &mut impl FnMut(Format) -> Arc<str>) {
        if let State::Reading(said) = &mut self.state {
            match read(&mut self.stream, said) {
                Ok(true) => {}
                Ok(false) => return,
                Err(_) => return self.state = State::Over,
            }
            match asked(said) {
                Asked::Nothing => return,
                Asked::Refused(refusal) => self.refuse(refusal),
                Asked::Metrics(format) => {
                    let body = metrics(format);
                    self.answer(ok(format, body.len()), body);
                }
            }
        }
        self.write();
        self.drain();
    }

    fn refuse(&mut self, refusal: Refusal) {
        let (head, why) = refusal.answer();
        self.answer(head, why.into());
    }

    fn answer(&mut self, head: Vec<u8>, body: Arc<str>) {
        let bodiless = matches!(&self.state, State::Reading(said) if is_head(said));
        self.state = State::Writing(head, if bodiless { "".into() } else { body }, 0);
    }

    fn write(&mut self) {
        let State::Writing(head, body, gone) = &mut self.state else { return };
        loop {
            let rest = match head.get(*gone..) {
                Some(rest) if !rest.is_empty() => rest,
                _ => &body.as_bytes()[*gone - head.len()..],
            };
            if rest.is_empty() {
                let _ = self.stream.shutdown(Shutdown::Write);
                self.state = State::Draining(DRAIN_BYTES_MAX);
                return;
            }
            match self.stream.write(rest) {
                Ok(0) => return self.state = State::Over,
                Ok(written) => *gone += written,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.state = State::Over,
            }
        }
    }

    /// A socket that is closed with something unread takes its answer back.
    fn drain(&mut self) {
        let State::Draining(left) = &mut self.state else { return };
        let mut bytes = [0; 4 << 10];
        while *left > 0 {
            match self.stream.read(&mut bytes) {
                Ok(0) => break,
                Ok(read) => *left = left.saturating_sub(read),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => break,
            }
        }
        self.state = State::Over;
    }

    /// Its time is over. Who is still asking is told so, if that can be done at once.
    fn give_up(&mut self) {
        if matches!(self.state, State::Reading(_)) {
            self.refuse(Refusal::TooSlow);
            self.write();
        }
        self.state = State::Over;
    }
}

/// Whether more of a head has come, all that there is.
fn read(stream: &mut TcpStream, head: &mut Vec<u8>) -> io::Result<bool> {
    let before = head.len();
    let mut bytes = [0; 2 << 10];
    while head.len() < HEAD_BYTES_MAX {
        match stream.read(&mut bytes) {
            // Who has said all may say so, and still wants the answer.
            Ok(0) if head.len() > before => break,
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => head.extend_from_slice(&bytes[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(head.len() > before)
}
