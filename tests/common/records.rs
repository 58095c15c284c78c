//! A transport of the tests' own: a handshake of four bytes, then records of altered bytes, so that no length
//! and no byte on the wire is that of the plaintext.
//!
//! Every few records the far end asks for a word of the client's transport itself, as TLS asks for new keys.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use fanstorm::engine::connection::transport::{Transport, TransportError};
use fanstorm::engine::ring::SendBuf;
use fanstorm::engine::ring::fake::FarTransport;
use fanstorm::population::nodes::Node;

const ASK: &[u8] = b"cli?";
const ANSWER: &[u8] = b"srv!";
const DATA: u8 = 1;
const WORD_PLEASE: u8 = 2;
const WORD: u8 = 3;
const BYE: u8 = 4;
const KEY: u8 = 0x5a;
/// Client and far end cut at different places.
const CLIENT_RECORD: usize = 100;
const FAR_RECORD: usize = 70;
const RECORDS_A_WORD: u64 = 5;

/// Words that far ends asked for and that they got.
pub(crate) static WORDS_ASKED: AtomicU64 = AtomicU64::new(0);
pub(crate) static WORDS_GIVEN: AtomicU64 = AtomicU64::new(0);

fn write_record(kind: u8, plain: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    out.extend((plain.len() as u16).to_be_bytes());
    out.extend(plain.iter().map(|byte| byte ^ KEY));
}

/// Takes a whole record off the front: its kind and its plaintext.
fn take_record(wire: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    let [kind, high, low, rest @ ..] = &wire[..] else { return None };
    let (kind, len) = (*kind, usize::from(u16::from_be_bytes([*high, *low])));
    let plain = rest.get(..len)?.iter().map(|byte| byte ^ KEY).collect();
    wire.drain(..3 + len);
    Some((kind, plain))
}

/// Clients that said their last word.
pub(crate) static BYES: AtomicU64 = AtomicU64::new(0);

/// The client's end.
pub(crate) struct Records {
    is_handshaking: bool,
    outgoing: Vec<u8>,
    /// What is no whole record yet.
    wire: Vec<u8>,
    plain: Vec<u8>,
    /// Of the send in flight: the buffer of the plaintext, and where each record ends on the wire and in it.
    sealed: Option<(SendBuf, Vec<(usize, usize)>)>,
    is_closed: bool,
    refused: Option<String>,
}

impl Transport for Records {
    type Shared = ();
    const NAME: &'static str = "records";

    fn new((): &()) -> Self {
        let (wire, plain) = (Vec::new(), Vec::new());
        let (outgoing, sealed, refused) = (Vec::new(), None, None);
        Self { is_handshaking: true, outgoing, wire, plain, sealed, is_closed: false, refused }
    }

    fn begin(&mut self, (): &mut (), node: &Node) {
        assert_eq!((node.name.as_str(), node.host.as_str()), ("127.0.0.1", "127.0.0.1:1"));
        self.outgoing.extend_from_slice(ASK);
    }

    fn is_handshaking(&self) -> bool {
        self.is_handshaking
    }

    fn open<'b>(&'b mut self, wire: &'b [u8], (): &'b mut ()) -> &'b [u8] {
        self.wire.extend_from_slice(wire);
        self.plain.clear();
        if self.is_handshaking {
            if self.wire.len() < ANSWER.len() {
                return &[];
            }
            let answer: Vec<u8> = self.wire.drain(..ANSWER.len()).collect();
            if answer != ANSWER {
                let answer = String::from_utf8_lossy(&answer);
                self.refused = Some(format!("answered the handshake with {answer}"));
                return &[];
            }
            self.is_handshaking = false;
        }
        while let Some((kind, plain)) = take_record(&mut self.wire) {
            match kind {
                DATA => self.plain.extend(plain),
                WORD_PLEASE => write_record(WORD, b"word", &mut self.outgoing),
                other => self.refused = Some(format!("sent a record of kind {other}")),
            }
        }
        &self.plain
    }

    fn over(&self) -> Option<TransportError> {
        self.refused.clone().map(TransportError)
    }

    fn has_outgoing(&self) -> bool {
        !self.outgoing.is_empty()
    }

    fn take_outgoing(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.outgoing)
    }

    fn seal(&mut self, plain: SendBuf, part: Range<usize>, (): &mut ()) -> (SendBuf, Range<usize>) {
        assert!(!self.is_handshaking && self.sealed.is_none(), "one send at a time");
        assert!(!self.is_closed, "its last word was said");
        let (mut wire, mut ends, mut taken) = (Vec::new(), Vec::new(), 0);
        for record in plain.as_slice()[part].chunks(CLIENT_RECORD) {
            write_record(DATA, record, &mut wire);
            taken += record.len();
            ends.push((wire.len(), taken));
        }
        self.sealed = Some((plain, ends));
        let len = wire.len();
        (SendBuf::Owned(wire), 0..len)
    }

    fn plain_len(&self, taken: usize) -> usize {
        let ends = self.sealed.iter().flat_map(|(_, ends)| ends);
        ends.take_while(|(wire, _)| *wire <= taken).last().map_or(0, |(_, plain)| *plain)
    }

    fn sent(&mut self, _: SendBuf, (): &mut ()) -> SendBuf {
        self.sealed.take().expect("something was sealed").0
    }

    fn close(&mut self) {
        if !std::mem::replace(&mut self.is_closed, true) {
            write_record(BYE, b"", &mut self.outgoing);
        }
    }
}

/// The far end, which answers the handshake with `answer`.
struct FarRecords {
    answer: &'static [u8],
    is_asked: bool,
    is_answered: bool,
    wire: Vec<u8>,
    records: u64,
}

impl FarTransport for FarRecords {
    fn open(&mut self, wire: &[u8]) -> Vec<u8> {
        self.wire.extend_from_slice(wire);
        if !self.is_asked && self.wire.len() >= ASK.len() {
            assert_eq!(self.wire.drain(..ASK.len()).collect::<Vec<_>>(), ASK);
            self.is_asked = true;
        }
        let mut plain = Vec::new();
        while self.is_asked
            && let Some((kind, bytes)) = take_record(&mut self.wire)
        {
            assert!(self.is_answered, "no record before the handshake's end");
            match kind {
                DATA => plain.extend(bytes),
                WORD => {
                    assert_eq!(bytes, b"word");
                    WORDS_GIVEN.fetch_add(1, Ordering::Relaxed);
                }
                BYE => {
                    assert!(self.wire.is_empty(), "nothing follows the last word");
                    BYES.fetch_add(1, Ordering::Relaxed);
                }
                other => panic!("the client sent a record of kind {other}"),
            }
        }
        plain
    }

    fn seal(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut wire = Vec::new();
        if self.is_asked && !std::mem::replace(&mut self.is_answered, self.is_asked) {
            wire.extend_from_slice(self.answer);
        }
        for record in plain.chunks(FAR_RECORD) {
            write_record(DATA, record, &mut wire);
            self.records += 1;
            if self.records.is_multiple_of(RECORDS_A_WORD) {
                write_record(WORD_PLEASE, b"", &mut wire);
                WORDS_ASKED.fetch_add(1, Ordering::Relaxed);
            }
        }
        wire
    }
}

fn far(answer: &'static [u8]) -> Box<dyn FarTransport> {
    let (is_asked, is_answered) = (false, false);
    Box::new(FarRecords { answer, is_asked, is_answered, wire: Vec::new(), records: 0 })
}

/// A far end that understands.
pub(crate) fn far_end() -> Box<dyn FarTransport> {
    far(ANSWER)
}

/// One that answers the handshake with something else.
pub(crate) fn wrong_far_end() -> Box<dyn FarTransport> {
    far(b"nope")
}

/// One that says nothing.
pub(crate) fn silent_far_end() -> Box<dyn FarTransport> {
    far(b"")
}
