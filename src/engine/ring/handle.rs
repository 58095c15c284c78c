//! Where a socket of a ring is found: in the process's table of descriptors, or in the ring's own.
//!
//! Belongs here: telling the two apart. Does not: who opens and closes them (`uring`).

use std::os::fd::{AsRawFd, OwnedFd};

use io_uring::types::{Fd, Fixed};

use super::Slot;

/// Where a socket is found.
pub(super) enum Handle {
    /// In the process's table.
    Process(OwnedFd),
    /// In the ring's own, at the number of its slot.
    Direct,
}

/// A handle as a submission entry takes it.
pub(super) enum Aim {
    Process(Fd),
    Direct(Fixed),
}

/// An entry for either kind of handle: the crate tells them apart by type.
macro_rules! aimed {
    ($aim:expr, |$fd:ident| $entry:expr) => {
        match $aim {
            Aim::Process($fd) => $entry,
            Aim::Direct($fd) => $entry,
        }
    };
}

impl Handle {
    /// As an entry takes it.
    pub(super) fn aim(&self, slot: Slot) -> Aim {
        match self {
            Self::Process(fd) => Aim::Process(Fd(fd.as_raw_fd())),
            Self::Direct => Aim::Direct(Fixed(slot)),
        }
    }
}

pub(super) use aimed;
