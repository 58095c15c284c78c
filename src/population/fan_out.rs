//! Who hears what a push socket sends, within its room.
//!
//! Belongs here: the values of `--fan-out`. Does not: rooms and the sums over all sockets (`audience`).

/// Who expects a message of a push socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FanOut {
    /// Every socket, the pushing one included.
    #[default]
    All,
    /// Every socket but the pushing one.
    Others,
    /// The pushing socket alone: an echo server.
    Own,
}

impl FanOut {
    /// Whether `socket` must hear push socket `sender`, which is in the same room.
    pub(super) const fn must_hear(self, socket: u32, sender: u32) -> bool {
        match self {
            Self::All => true,
            Self::Others => socket != sender,
            Self::Own => socket == sender,
        }
    }

    /// Copies of a message in a room of `sockets`. Whether its sender is one of them is
    /// `with_sender`: it may have been left out.
    pub const fn copies_each(self, sockets: u64, with_sender: bool) -> u64 {
        match self {
            Self::All => sockets,
            Self::Others => sockets - with_sender as u64,
            Self::Own => with_sender as u64,
        }
    }
}
