//! What is open at the end of a frame, where messages do not end with frames.
//!
//! Belongs here: keeping the last bytes of each socket's stream until more has come. Does not: which of them
//! are open (`dialect::scan`, `ear`).

use crate::dialect::Dialect;
use crate::dialect::mqtt::{PUBACK_LEN, PacketReader, puback};
use crate::engine::ring::Slot;

/// Memory that is laid out for open ends before the clock; more allocate.
const LAID_OUT_BYTES: usize = 64 << 20;
/// Room for the first frame that is joined to what was open.
const WINDOW_BYTES: usize = 256 << 10;

/// The streams of a worker's sockets.
#[derive(Debug)]
pub(super) struct Streams {
    ends: Vec<End>,
    window: Vec<u8>,
    /// Where messages are acknowledged.
    packets: Option<Packets>,
}

/// The packets of each socket's stream.
#[derive(Debug)]
struct Packets {
    readers: Vec<PacketReader>,
    /// Acknowledgements of what a frame held.
    answer: Vec<u8>,
}

/// Acknowledgements of a frame that are laid out before the clock; more allocate.
const ANSWERS: usize = 4096;

/// What is open of a stream, by either of its readers.
#[derive(Debug, Default)]
struct End {
    bytes: Vec<u8>,
    /// Where in `bytes` each reader goes on.
    at: Places,
}

/// Where the script and the replies are in a stretch of a stream: each looks at what the other may have judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) script: usize,
    pub(super) replies: usize,
}

impl Streams {
    /// For so many sockets, where texts of `text_bytes` may be open.
    pub(super) fn new(sockets: usize, text_bytes: usize) -> Self {
        let laid_out = sockets.saturating_mul(text_bytes) <= LAID_OUT_BYTES;
        let end = || End {
            bytes: Vec::with_capacity(if laid_out { text_bytes } else { 0 }),
            at: Places::default(),
        };
        let ends = (0..sockets).map(|_| end()).collect();
        Self { ends, window: Vec::with_capacity(WINDOW_BYTES), packets: None }
    }

    /// The streams of a dialect.
    pub(super) fn of(dialect: &Dialect, sockets: usize, text_bytes: usize) -> Self {
        let streams = Self::new(sockets, text_bytes);
        if dialect.acknowledges.is_some() { streams.acknowledging() } else { streams }
    }

    fn acknowledging(mut self) -> Self {
        let readers = vec![PacketReader::default(); self.ends.len()];
        self.packets = Some(Packets { readers, answer: Vec::with_capacity(ANSWERS * PUBACK_LEN) });
        self
    }

    /// A socket was connected anew.
    pub(super) fn begin(&mut self, slot: Slot) {
        let end = &mut self.ends[slot as usize];
        end.bytes.clear();
        end.at = Places::default();
        if let Some(packets) = &mut self.packets {
            packets.readers[slot as usize] = PacketReader::default();
        }
    }

    /// Answers the messages that are whole with these bytes of a socket's stream, where they are acknowledged;
    /// says whether any bytes are of other packets than messages.
    #[inline]
    pub(super) fn acknowledge(
        &mut self,
        slot: Slot,
        bytes: &[u8],
        answer: impl FnOnce(&[u8]),
    ) -> bool {
        let Some(Packets { readers, answer: all }) = &mut self.packets else { return false };
        all.clear();
        let others = readers[slot as usize]
            .read(bytes, |identifier| all.extend_from_slice(&puback(identifier)));
        if !all.is_empty() {
            answer(all);
        }
        others
    }

    /// Nothing of a socket's stream is open.
    #[inline]
    pub(super) fn is_closed(&self, slot: Slot) -> bool {
        self.ends[slot as usize].bytes.is_empty()
    }

    /// More of a socket's stream has come: `read` sees what was open and that, says how far both readers came, and
    /// what follows is kept.
    #[inline]
    pub(super) fn feed(
        &mut self,
        slot: Slot,
        bytes: &[u8],
        read: impl FnOnce(&[u8], Places) -> Places,
    ) {
        let Self { ends, window, .. } = self;
        let end = &mut ends[slot as usize];
        if end.bytes.is_empty() {
            let came = read(bytes, Places::default());
            return end.keep(bytes, came);
        }
        window.clear();
        window.extend_from_slice(&end.bytes);
        window.extend_from_slice(bytes);
        let came = read(window, end.at);
        end.keep(window, came);
    }
}

impl End {
    #[inline]
    fn keep(&mut self, window: &[u8], came: Places) {
        let from = came.script.min(came.replies);
        self.bytes.clear();
        self.bytes.extend_from_slice(&window[from..]);
        self.at = Places { script: came.script - from, replies: came.replies - from };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::memory::STREAM_END_BYTES;

    #[test]
    fn the_end_of_a_stream_takes_what_the_plan_says() {
        assert_eq!(size_of::<End>() as u64, STREAM_END_BYTES);
    }
}
