//! Who hears what a push socket sends.
//!
//! Belongs here: which streams exist, and so what must come back. Does not: counting it (`measure`).

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
    /// Whether `socket` must hear the messages of push socket `sender`: where it must not, a copy is
    /// misdelivered. Nobody else decides that.
    pub const fn must_hear(self, socket: u32, sender: u32) -> bool {
        match self {
            Self::All => true,
            Self::Others => socket != sender,
            Self::Own => socket == sender,
        }
    }

    /// Copies of each message over `sockets` sockets.
    pub const fn copies_each(self, sockets: u64) -> u64 {
        match self {
            Self::All => sockets,
            Self::Others => sockets - 1,
            Self::Own => 1,
        }
    }
}
