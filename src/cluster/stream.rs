//! Connections of a child, over whatever the kernel grants: io_uring, or readiness where it is refused.
//!
//! Belongs here: that difference, hidden behind one type. Does not: what is read and written. Whatever a
//! client can see of the cluster is the same on both; only its cost is not.

use std::future::Future;
use std::io;
use std::net::{Shutdown, SocketAddr};

use bytes::Bytes;
use rustix::io::Errno;
use tokio::task::LocalSet;

#[cfg(target_env = "musl")]
use super::no_uring as tokio_uring;
use super::tls::{Acceptor, Secured};

/// Submission entries: one turn's reads and writes of a few thousand connections.
const RING_ENTRIES: u32 = 2048;
const RING_ENTRIES_MIN: u32 = 256;

/// Completion entries: every connection of a large node may complete in the same turn, and
/// tokio-uring looks at the overflow list only when it submits.
const RING_COMPLETIONS: u32 = 32 << 10;
const RING_COMPLETIONS_MIN: u32 = 1024;

/// How large the queues are. Since Linux 6.14 they count as locked memory of the *user*, all processes
/// together, unless these have CAP_IPC_LOCK; the usual `RLIMIT_MEMLOCK` is 8 MiB, and the largest queues
/// are 0.7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Queues {
    entries: u32,
    completions: u32,
}

impl Queues {
    /// For so many connections, of all kinds; as large as is of use where nobody knows.
    pub(super) fn of(connections: Option<u64>) -> Self {
        let connections = connections.map_or(u32::MAX, |n| u32::try_from(n).unwrap_or(u32::MAX));
        let several =
            |times: u32, most: u32| connections.saturating_mul(times).min(most).next_power_of_two();
        Self {
            entries: several(4, RING_ENTRIES).max(RING_ENTRIES_MIN),
            completions: several(8, RING_COMPLETIONS).max(RING_COMPLETIONS_MIN),
        }
    }

    /// None where they are as small as they may be.
    fn halved(self) -> Option<Self> {
        let smaller = Self {
            entries: (self.entries / 2).max(RING_ENTRIES_MIN),
            completions: (self.completions / 2).max(RING_COMPLETIONS_MIN),
        };
        (smaller != self).then_some(smaller)
    }
}

/// What all sockets of this process stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kernel {
    /// tokio-uring.
    Uring,
    /// tokio, on epoll: a container's seccomp profile, a sysctl or an old kernel withholds io_uring.
    Readiness,
}

/// Runs one thread's work to its end on the best that the kernel grants; without queues, on epoll.
///
/// # Errors
/// The work's own, or that not even epoll is to be had.
pub(super) fn block_on<F: Future<Output = io::Result<()>> + 'static>(
    queues: Option<Queues>,
    work: impl FnOnce(Kernel) -> F,
) -> io::Result<()> {
    let Some(queues) = queues else { return on_readiness(work) };
    match runtime(queues) {
        // Never dropped while reads are in flight: see `child`.
        Ok(runtime) => runtime.block_on(work(Kernel::Uring)),
        Err(error) if is_refused(&error) => on_readiness(work),
        // Memory or descriptors: a cluster on something else would be another cluster, and nobody told.
        Err(error) => Err(explained(error)),
    }
}

fn on_readiness<F: Future<Output = io::Result<()>> + 'static>(
    work: impl FnOnce(Kernel) -> F,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, work(Kernel::Readiness))
}

/// As large as the queues are to be, or as the kernel lets them be.
fn runtime(queues: Queues) -> io::Result<tokio_uring::Runtime> {
    let mut ring = tokio_uring::uring_builder();
    ring.setup_cqsize(queues.completions);
    let mut builder = tokio_uring::builder();
    builder.entries(queues.entries).uring_builder(&ring);
    let made = tokio_uring::Runtime::new(&builder);
    match (&made, queues.halved()) {
        (Err(error), Some(smaller)) if lacks_memory(error) => runtime(smaller),
        _ => made,
    }
}

fn lacks_memory(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::NOMEM)
}

fn explained(error: io::Error) -> io::Error {
    if !lacks_memory(&error) {
        return error;
    }
    io::Error::other(format!(
        "{error} for io_uring's queues, which count as locked memory of this user: raise `ulimit -l`, \
         LimitMEMLOCK= (systemd) or --ulimit memlock= (docker)"
    ))
}

/// By seccomp or a sysctl, or since the kernel is too old.
fn is_refused(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::PERM | Errno::NOSYS | Errno::INVAL))
}

/// A task of this thread; `tokio_uring::spawn` is the same, and says so less plainly.
pub(super) fn spawn(task: impl Future<Output = ()> + 'static) {
    tokio::task::spawn_local(task);
}

/// Where clients come in.
pub(super) enum Listener {
    Uring(tokio_uring::net::TcpListener),
    Readiness(tokio::net::TcpListener),
}

impl Listener {
    pub(super) fn new(kernel: Kernel, listener: std::net::TcpListener) -> io::Result<Self> {
        if kernel == Kernel::Uring {
            return Ok(Self::Uring(tokio_uring::net::TcpListener::from_std(listener)));
        }
        listener.set_nonblocking(true)?;
        Ok(Self::Readiness(tokio::net::TcpListener::from_std(listener)?))
    }

    /// Where clients come in: over readiness where there is TLS, whose library reads and writes by itself.
    pub(super) fn of_clients(
        kernel: Kernel,
        listener: std::net::TcpListener,
        tls: Option<&Acceptor>,
    ) -> io::Result<Self> {
        Self::new(if tls.is_some() { Kernel::Readiness } else { kernel }, listener)
    }

    pub(super) async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        let (stream, peer) = match self {
            Self::Uring(listener) => {
                let (stream, peer) = listener.accept().await?;
                (Stream::Uring(stream), peer)
            }
            Self::Readiness(listener) => {
                let (stream, peer) = listener.accept().await?;
                (Stream::Readiness(stream), peer)
            }
        };
        // Only fails on a socket that is dead already; its first read says so.
        let _ = stream.set_nodelay();
        Ok((stream, peer))
    }
}

/// One connection. Buffers travel by value, as io_uring demands it.
pub(super) enum Stream {
    Uring(tokio_uring::net::TcpStream),
    Readiness(tokio::net::TcpStream),
    Secured(Secured),
}

impl Stream {
    pub(super) async fn connect(kernel: Kernel, to: SocketAddr) -> io::Result<Self> {
        match kernel {
            Kernel::Uring => tokio_uring::net::TcpStream::connect(to).await.map(Self::Uring),
            Kernel::Readiness => tokio::net::TcpStream::connect(to).await.map(Self::Readiness),
        }
    }

    /// With TLS on it, where there is any; `None` where the client does not go through with that.
    pub(super) async fn secured(self, tls: Option<Acceptor>) -> Option<Self> {
        match (tls, self) {
            (None, stream) => Some(stream),
            (Some(tls), Self::Readiness(stream)) => tls.accept(stream).await.map(Self::Secured),
            (Some(_), _) => unreachable!("clients of TLS come in over readiness"),
        }
    }

    fn set_nodelay(&self) -> io::Result<()> {
        match self {
            Self::Secured(_) => Ok(()),
            Self::Uring(stream) => stream.set_nodelay(true),
            Self::Readiness(stream) => stream.set_nodelay(true),
        }
    }

    /// Reads once, into an empty buffer and no more than it has room for; 0 is the peer's end.
    pub(super) async fn read(&self, mut buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        match self {
            Self::Secured(stream) => {
                tokio::task::yield_now().await;
                stream.read(buffer).await
            }
            Self::Uring(stream) => stream.read(buffer).await,
            Self::Readiness(stream) => {
                // A stream with much to read would never wait, and what is to be written would: a ring
                // gives every task its turn after each read.
                tokio::task::yield_now().await;
                let count = once_ready(|| stream.readable(), || stream.try_read_buf(&mut buffer));
                (count.await, buffer)
            }
        }
    }

    /// Writes once: as much as the kernel takes.
    pub(super) async fn write(&self, piece: Bytes) -> (io::Result<usize>, Bytes) {
        match self {
            Self::Secured(stream) => stream.write(piece).await,
            Self::Uring(stream) => stream.write(piece).submit().await,
            Self::Readiness(stream) => {
                (once_ready(|| stream.writable(), || stream.try_write(&piece)).await, piece)
            }
        }
    }

    pub(super) async fn write_all(&self, bytes: Vec<u8>) -> io::Result<()> {
        let mut rest = Bytes::from(bytes);
        while !rest.is_empty() {
            let (written, mut back) = self.write(rest).await;
            match written? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => drop(back.split_to(count)),
            }
            rest = back;
        }
        Ok(())
    }

    pub(super) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        use rustix::net::Shutdown as Half;
        match self {
            Self::Secured(stream) => stream.shutdown(how),
            Self::Uring(stream) => stream.shutdown(how),
            // tokio's own ends one half only, and wants the stream to itself.
            Self::Readiness(stream) => Ok(rustix::net::shutdown(
                stream,
                match how {
                    Shutdown::Read => Half::Read,
                    Shutdown::Write => Half::Write,
                    Shutdown::Both => Half::Both,
                },
            )?),
        }
    }
}

/// Waits for readiness and tries, until the trying does not find that it was a false alarm.
async fn once_ready<W: Future<Output = io::Result<()>>>(
    ready: impl Fn() -> W,
    mut attempt: impl FnMut() -> io::Result<usize>,
) -> io::Result<usize> {
    loop {
        ready().await?;
        match attempt() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_as_large_as_the_connections_and_may_be_halved_down_to_what_any_user_may_lock() {
        let smallest = Queues { entries: RING_ENTRIES_MIN, completions: RING_COMPLETIONS_MIN };
        let largest = Queues { entries: RING_ENTRIES, completions: RING_COMPLETIONS };
        assert_eq!(Queues::of(Some(12)), smallest);
        assert_eq!(Queues::of(Some(1_000)), Queues { entries: 2_048, completions: 8_192 });
        assert_eq!((Queues::of(Some(u64::MAX)), Queues::of(None)), (largest, largest));
        let mut halved = std::iter::successors(Some(largest), |queues| queues.halved());
        assert_eq!(halved.by_ref().take(7).last(), Some(smallest));
        // The kernel's 64 and 16 bytes for each.
        assert!(smallest.entries * 64 + smallest.completions * 16 <= 32 << 10);
    }
}
