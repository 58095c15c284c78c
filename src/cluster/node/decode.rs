//! Bytes to messages, by tungstenite over memory: no socket, no clock.
//!
//! Belongs here: what tungstenite is told and how its answers are read. Does not: what a message
//! means.

use std::io::{self, Read, Write};

use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

/// The largest message taken, the default of the seed's `ws`.
const MESSAGE_BYTES_MAX: usize = 100 << 20;

/// tungstenite allocates this for every connection, idle or not.
const BUFFER_BYTES: usize = 512;

/// Where a connection stands after some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Open,
    /// The peer's Close has come, and its answer is among the replies.
    Closed,
    /// The peer broke the protocol, and is to be told with this code.
    Broken(u16),
}

/// The reading side of one connection.
pub(super) struct MessageDecoder {
    context: WebSocketContext,
}

impl MessageDecoder {
    /// From a client.
    pub(super) fn of_client() -> Self {
        Self::new(Role::Server, Some(MESSAGE_BYTES_MAX))
    }

    /// From another node, whose server we have dialled. No limit: what it tells of a message is
    /// longer than the message that it took.
    pub(super) fn of_link() -> Self {
        Self::new(Role::Client, None)
    }

    fn new(role: Role, most: Option<usize>) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER_BYTES)
            .max_message_size(most)
            .max_frame_size(most);
        Self { context: WebSocketContext::new(role, Some(config)) }
    }

    /// Gives every message in `bytes` to `take`; Pongs and Close that are owed go to `replies`.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        replies: &mut Vec<u8>,
        mut take: impl FnMut(Message),
    ) -> Flow {
        let mut memory = Memory { bytes, replies };
        loop {
            match self.context.read(&mut memory) {
                Ok(message) => take(message),
                Err(Error::Io(e)) if e.kind() == io::ErrorKind::WouldBlock => return Flow::Open,
                Err(Error::ConnectionClosed | Error::AlreadyClosed) => return Flow::Closed,
                Err(Error::Capacity(_)) => return Flow::Broken(1009),
                Err(Error::Utf8(_)) => return Flow::Broken(1007),
                Err(_) => return Flow::Broken(1002),
            }
        }
    }
}

/// What has been read, and what is to be written.
struct Memory<'a> {
    bytes: &'a [u8],
    replies: &'a mut Vec<u8>,
}

impl Read for Memory<'_> {
    /// No bytes left is "not yet": the end of the stream is seen by whoever reads the socket.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.bytes.read(buffer)
    }
}

impl Write for Memory<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.replies.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
