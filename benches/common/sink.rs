//! The far end of the send bench: a thread that reads all it can and counts the bytes.
//!
//! It runs apart on its own CPU and never sleeps, so that no sender pays for waking it, and it shows
//! how far it is, so that a sender can wait for an empty line. It accepts WebSocket clients with
//! tungstenite and counts what comes after the upgrades.

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

/// A sink at work.
pub(crate) struct Sink {
    thread: JoinHandle<()>,
    seen: Arc<AtomicU64>,
    /// Where to connect.
    pub(crate) addr: SocketAddr,
}

impl Sink {
    /// Starts on `cpu`, for so many connections.
    pub(crate) fn start(sockets: u32, cpu: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("bound");
        let seen = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&seen);
        let serve = move || {
            super::common::pin(cpu);
            drain((0..sockets).map(|_| accept(&listener)).collect(), &counter);
        };
        let named = std::thread::Builder::new().name("sink".to_owned());
        let thread = named.spawn(serve).expect("a thread");
        Self { thread, seen, addr }
    }

    /// Waits until so many bytes have come in all.
    pub(crate) fn await_bytes(&self, bytes: u64) {
        while self.seen.load(Ordering::Relaxed) < bytes {
            std::hint::spin_loop();
        }
    }

    /// Bytes that came on all connections; they must be closed.
    pub(crate) fn bytes(self) -> u64 {
        self.thread.join().expect("no panic");
        self.seen.load(Ordering::Relaxed)
    }
}

fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().expect("a client");
    let socket = tungstenite::accept(stream).expect("a WebSocket client");
    let stream = socket.get_ref().try_clone().expect("a descriptor");
    stream.set_nonblocking(true).expect("an option");
    stream
}

/// Reads until every connection has ended.
fn drain(mut sockets: Vec<TcpStream>, seen: &AtomicU64) {
    let mut memory = vec![0; 256 << 10];
    while !sockets.is_empty() {
        sockets.retain_mut(|socket| match socket.read(&mut memory) {
            Ok(0) => false,
            Ok(len) => {
                seen.fetch_add(len as u64, Ordering::Relaxed);
                true
            }
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        });
    }
}
