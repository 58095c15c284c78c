//! An address of loopback at which nobody listens.

use std::net::{Ipv4Addr, SocketAddr};

use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};

/// While it is held nobody else is given its port: one that was only let go of is soon a listener's of
/// the test beside.
pub(crate) struct Nobody {
    /// Where.
    pub(crate) address: SocketAddr,
    _held: OwnedFd,
}

/// Bound, and never listening: connections are refused.
pub(crate) fn nobody() -> Nobody {
    let held = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&held, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let address = getsockname(&held).unwrap().try_into().unwrap();
    Nobody { address, _held: held }
}
