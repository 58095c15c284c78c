//! What the kernel's answers mean.
//!
//! Belongs here: results and errnos of receives, connects and sends, in the worker's words and in a
//! person's. Does not: what to do about them (`worker`).

use rustix::io::Errno;

/// What a receive's result means.
pub(super) enum Received {
    Data,
    Ended,
    NoBuffers,
    Again,
    Failed(Errno),
}

pub(super) fn receive_outcome(result: i32) -> Received {
    match result {
        1.. => Received::Data,
        0 => Received::Ended,
        _ => match Errno::from_raw_os_error(-result) {
            Errno::NOBUFS => Received::NoBuffers,
            // ECANCELED without our asking: the kernel ended the multishot (it may, at any time).
            Errno::CANCELED | Errno::INTR | Errno::AGAIN => Received::Again,
            errno => Received::Failed(errno),
        },
    }
}

/// An errno as a clause: what the node did, where that is known.
pub(super) fn describe(doing: &str, errno: Errno) -> String {
    match errno {
        Errno::CONNRESET => "reset by the node (ECONNRESET)".into(),
        Errno::PIPE => "the node had closed the connection (EPIPE)".into(),
        Errno::CONNREFUSED => "connection refused (ECONNREFUSED): nothing listens there".into(),
        Errno::TIMEDOUT => format!("{doing} timed out in the kernel (ETIMEDOUT)"),
        Errno::ADDRNOTAVAIL => "no free local port to this node (EADDRNOTAVAIL): give \
             --source-ip more addresses, or widen net.ipv4.ip_local_port_range"
            .into(),
        errno => format!("{doing} failed: {errno}"),
    }
}
