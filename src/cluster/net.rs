//! Sockets as every child needs them.
//!
//! Belongs here: listening, accepting, reading the head of a request. Does not: what is answered.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::Duration;

use super::stream::{Listener, Stream, spawn};
use super::tls::Acceptor;

/// A fleet connects all at once; beyond the backlog the kernel drops SYNs and they come 1 s later.
const BACKLOG: i32 = 4096;

/// More than any request that we answer.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// How long accepting rests when the process is out of descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(20);

/// Listens on the loopback; `None` takes any free port.
///
/// The listener is made by `std`: tokio-uring's own sets `SO_REUSEPORT`, by which two clusters with
/// the same port would share the connections instead of the second one being refused.
pub(super) fn listen(port: Option<u16>) -> io::Result<TcpListener> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.unwrap_or(0)));
    let named = |e| {
        io::Error::other(format!(
            "cannot listen on {address}: {e}; --port and --node-port name others"
        ))
    };
    let listener = TcpListener::bind(address).map_err(named)?;
    // Listening again is how the backlog that `std` chose is changed, listen(2).
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}

/// Accepts for ever, each connection on a task of its own, which first shakes hands where there is TLS.
pub(super) async fn accept_each<F: Future<Output = ()> + 'static>(
    listener: Listener,
    tls: Option<Acceptor>,
    serve: impl Fn(Stream, SocketAddr) -> F + 'static,
) {
    let serve = Rc::new(serve);
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (tls, serve) = (tls.clone(), Rc::clone(&serve));
                spawn(async move {
                    if let Some(stream) = stream.secured(tls).await {
                        serve(stream, peer).await;
                    }
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_REST).await,
        }
    }
}

/// Reads until `parse` has found a whole head; gives what it made of it and the bytes behind it.
///
/// `None` when the peer ended, or sent something that is no head or a longer one than 16 KiB.
pub(super) async fn read_head<T, E>(
    stream: &Stream,
    parse: impl Fn(&[u8]) -> Result<Option<(usize, T)>, E>,
) -> Option<(T, Vec<u8>)> {
    let mut seen: Vec<u8> = Vec::new();
    let mut buffer = Vec::with_capacity(1024);
    while seen.len() < HEAD_BYTES_MAX {
        buffer.clear();
        let (count, back) = stream.read(buffer).await;
        buffer = back;
        if count.ok()? == 0 {
            return None;
        }
        seen.extend_from_slice(&buffer);
        if let Some((length, head)) = parse(&seen).ok()? {
            seen.drain(..length);
            return Some((head, seen));
        }
    }
    None
}
