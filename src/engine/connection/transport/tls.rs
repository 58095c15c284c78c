//! TLS: records in and out, for the connections to `wss://` nodes.
//!
//! Belongs here: `rustls` driven by bytes, and where they are kept meanwhile. Does not: whom to trust and the
//! words of errors (`tls`), when it is asked (`worker`).
//!
//! The records of a read become one plaintext, in memory that all connections of a worker share; what is no
//! whole record yet is kept with its connection. Each send is cut into records of 16 KiB: a message that leaves
//! alone has a record of its own, a burst fills them. `rustls` allocates once for each record that leaves, and
//! nothing else does once the buffers are there.
//!
//! Records of data are opened in place with `rustls`' key (`tls::opener`). `rustls` reads any other record, and all that
//! come behind it up to the first data: so it sees every run of records that it keeps count of, and where a message of
//! its own is not whole it hears what comes between.
//!
//! The API of `rustls` without buffers of its own is used, whose successor in 0.24 (`TlsInputBuffer`,
//! `next_payload`) has the shape of `Link::pump`.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls::{ClientConfig, HandshakeKind, ProtocolVersion};

use super::{Transport, TransportError};
use crate::engine::ring::SendBuf;
use crate::measure::sessions::Session;
use crate::population::nodes::Node;
use crate::tls::opener::{Opener, Stopped};
use crate::tls::words::words;
use crate::tls::{RECORD_BYTES, TlsClient};

/// The most that a record is longer than its plaintext, as `rustls` makes it: header, nonce, tag, type.
const OVERHEAD_BYTES: usize = 5 + 8 + 16 + 1;

/// Keys of TLS 1.2 are good for so many records, and cannot be changed.
const USED_UP: &str = "the keys of this TLS 1.2 session are used up: it may send no more records";

/// Bytes that are kept of what a node says first, for the error where it is no TLS.
const FIRST_BYTES: usize = 64;

/// Buffers that wait for their next use: more than sockets of a worker that send, or stop within a record, at
/// once.
const SPARE_BUFFERS: usize = 1_024;

/// Sockets for which buffers are there from the beginning.
const READY_BUFFERS: usize = 64;

/// How large they are made: a burst is 64 KiB, and has records around it.
const SPARE_BYTES: usize = 68 << 10;

/// Those that are kept are no larger than this.
const SPARE_BYTES_MAX: usize = 128 << 10;

/// A connection that is encrypted, or not: plans may mix both.
#[derive(Debug, Default)]
pub struct Tls {
    /// None of a `ws://` node, and before a connection begins.
    link: Option<Box<Link>>,
}

/// What the connections of a worker share.
#[derive(Debug)]
pub struct Shared {
    config: Option<Arc<ClientConfig>>,
    server_name: Option<ServerName<'static>>,
    /// The read that is taken apart.
    wire: Vec<u8>,
    /// What became of it.
    plain: Vec<u8>,
    spare: Vec<Vec<u8>>,
    idle: Vec<Sealed>,
}

impl Shared {
    /// For so many sockets of a plan with `wss://` nodes; without a client it takes `ws://` alone. Room for what
    /// they do at once is made here, and not in a trial.
    pub fn new(client: Option<&TlsClient>, sockets: usize) -> Self {
        let ready = if client.is_some() { sockets.min(READY_BUFFERS) } else { 0 };
        let room = if client.is_some() { SPARE_BYTES } else { 0 };
        let sealed = || Sealed { plain: SendBuf::Owned(Vec::new()), ends: Vec::with_capacity(8) };
        Self {
            config: client.map(TlsClient::config),
            server_name: client.and_then(|client| client.options().server_name.clone()),
            wire: Vec::with_capacity(room),
            plain: Vec::with_capacity(room),
            // For a record that is not whole, and for a send.
            spare: (0..2 * ready).map(|_| Vec::with_capacity(SPARE_BYTES)).collect(),
            idle: (0..ready).map(|_| sealed()).collect(),
        }
    }

    fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    fn give_back(&mut self, mut buffer: Vec<u8>) {
        let is_room = (1..=SPARE_BYTES_MAX).contains(&buffer.capacity());
        if self.spare.len() < SPARE_BUFFERS && is_room {
            buffer.clear();
            self.spare.push(buffer);
        }
    }
}

/// A send: the buffer of its plaintext, and where each record ends on the wire and in it.
#[derive(Debug)]
struct Sealed {
    plain: SendBuf,
    ends: Vec<(usize, usize)>,
}

struct Link {
    /// None where it could not even begin.
    session: Option<UnbufferedClientConnection>,
    is_handshaking: bool,
    is_closed: bool,
    /// The key for reading, where it is shared.
    opener: Option<Opener>,
    /// The next record is the opener's, if it is data.
    opens_data: bool,
    /// What came and is no whole record yet.
    kept: Vec<u8>,
    /// Its own words that wait for the wire.
    outgoing: Vec<u8>,
    sealed: Option<Sealed>,
    /// What came first, until the handshake is over.
    first: Vec<u8>,
    over: Option<Over>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("over", &self.over).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
enum Over {
    /// The node's `close_notify`.
    Closed,
    Failed(String),
}

impl Link {
    fn new(shared: &Shared, node: &Node) -> Self {
        let name = shared.server_name.clone().or_else(|| node.server_name.clone());
        let begun = match (&shared.config, name) {
            (Some(config), Some(name)) => UnbufferedClientConnection::new(Arc::clone(config), name)
                .map_err(|error| words(&error, &[])),
            _ => unreachable!("a plan with a wss:// node has a client and a name for it"),
        };
        let (session, over) = match begun {
            Ok(session) => (Some(session), None),
            Err(reason) => (None, Some(Over::Failed(reason))),
        };
        let mut link = Self {
            session,
            is_handshaking: true,
            is_closed: false,
            opener: None,
            opens_data: false,
            kept: Vec::new(),
            outgoing: Vec::new(),
            sealed: None,
            first: Vec::new(),
            over,
        };
        link.pump(&mut [], &mut Vec::new());
        link
    }

    /// Takes records off the front of `wire` and adds their plaintext to `plain`. How much of `wire` is done with.
    fn pump(&mut self, wire: &mut [u8], plain: &mut Vec<u8>) -> usize {
        let mut done = 0;
        // Not another connection's.
        Opener::made();
        while self.over.is_none()
            && let Some(session) = &mut self.session
        {
            if self.opens_data
                && let Some(opener) = &self.opener
            {
                let (opened, stopped) = opener.open(&mut wire[done..], plain);
                done += opened;
                if stopped == Stopped::NoMore {
                    break;
                }
                self.opens_data = false;
            }
            let UnbufferedStatus { discard, state, .. } =
                session.process_tls_records(&mut wire[done..]);
            done += discard;
            self.opener = Opener::made().or_else(|| self.opener.take());
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        match record {
                            Ok(record) => {
                                plain.extend_from_slice(record.payload);
                                done += record.discard;
                            }
                            Err(error) => {
                                self.over = Some(Over::Failed(words(&error, &self.first)));
                                break;
                            }
                        }
                    }
                    self.opens_data = !self.is_handshaking;
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    append(&mut self.outgoing, |out| data.encode(out));
                }
                // It leaves in order, and before what is sealed next.
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                    self.over = Some(Over::Closed);
                }
                Ok(ConnectionState::WriteTraffic(_)) => {
                    self.is_handshaking = false;
                    break;
                }
                Ok(_) => break,
                Err(error) => {
                    self.over = Some(Over::Failed(words(&error, &self.first)));
                    done += last_words(session, &mut wire[done..], &mut self.outgoing);
                }
            }
        }
        done
    }

    fn open(&mut self, wire: &[u8], shared: &mut Shared) {
        let mut plain = std::mem::take(&mut shared.plain);
        plain.clear();
        if self.is_handshaking && self.first.len() < FIRST_BYTES {
            let missing = FIRST_BYTES - self.first.len();
            self.first.extend_from_slice(&wire[..wire.len().min(missing)]);
        }
        let had_kept = !self.kept.is_empty();
        let mut bytes = match had_kept {
            true => std::mem::take(&mut self.kept),
            false => std::mem::take(&mut shared.wire),
        };
        bytes.extend_from_slice(wire);
        let done = self.pump(&mut bytes, &mut plain);
        let is_rest = done < bytes.len() && self.over.is_none();
        if is_rest && !had_kept {
            let mut kept = shared.buffer();
            kept.extend_from_slice(&bytes[done..]);
            self.kept = kept;
        } else if is_rest {
            bytes.drain(..done);
            self.kept = std::mem::take(&mut bytes);
        }
        bytes.clear();
        if had_kept {
            shared.give_back(bytes);
        } else {
            shared.wire = bytes;
        }
        if !self.is_handshaking {
            self.first = Vec::new();
        }
        shared.plain = plain;
    }

    /// Makes records of `plain` behind what waits for the wire, and notes where each ends.
    fn seal(&mut self, plain: &[u8], wire: &mut Vec<u8>, ends: &mut Vec<(usize, usize)>) {
        wire.append(&mut self.outgoing);
        let mut sealed = 0;
        for record in plain.chunks(RECORD_BYTES) {
            let room = record.len() + OVERHEAD_BYTES;
            if !self.write(wire, room, |traffic, out| traffic.encrypt(record, out)) {
                // TLS 1.3 changes keys in time. The node is told by the last record that they are good for.
                if let Some(session) = &mut self.session {
                    let done = last_words(session, &mut self.kept, wire);
                    self.kept.drain(..done);
                }
                self.over.get_or_insert_with(|| Over::Failed(USED_UP.to_owned()));
                return;
            }
            sealed += record.len();
            ends.push((wire.len(), sealed));
        }
    }

    /// Lets the session write to the end of `wire`, behind what it has to say by itself. Whether it could.
    fn write(
        &mut self,
        wire: &mut Vec<u8>,
        room: usize,
        mut what: impl FnMut(&mut Traffic<'_>, &mut [u8]) -> Result<usize, EncryptError>,
    ) -> bool {
        let Some(session) = &mut self.session else { return false };
        loop {
            // What is no whole record yet is shown again: the session counts from its beginning.
            let UnbufferedStatus { discard, state, .. } =
                session.process_tls_records(&mut self.kept);
            let written = match state {
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    append(wire, |out| data.encode(out));
                    None
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    None
                }
                Ok(ConnectionState::PeerClosed) => None,
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    let start = wire.len();
                    wire.resize(start + room, 0);
                    let taken = match what(&mut traffic, &mut wire[start..]) {
                        Err(EncryptError::InsufficientSize(needed)) => {
                            wire.resize(start + needed.required_size, 0);
                            what(&mut traffic, &mut wire[start..])
                        }
                        other => other,
                    };
                    wire.truncate(start + taken.as_ref().map_or(0, |taken| *taken));
                    Some(taken.is_ok())
                }
                Ok(_) | Err(_) => Some(false),
            };
            self.kept.drain(..discard);
            if let Some(written) = written {
                return written;
            }
        }
    }
}

type Traffic<'c> = rustls::unbuffered::WriteTraffic<'c, rustls::client::ClientConnectionData>;

/// After an error: adds why the session ends. Nothing more of `wire` is looked at, since a second error has no alert;
/// how much of it is done with.
fn last_words(
    session: &mut UnbufferedClientConnection,
    wire: &mut [u8],
    out: &mut Vec<u8>,
) -> usize {
    let mut done = 0;
    while session.wants_write() {
        let UnbufferedStatus { discard, state, .. } =
            session.process_tls_records(&mut wire[done..]);
        done += discard;
        let Ok(ConnectionState::EncodeTlsData(mut data)) = state else { return done };
        append(out, |room| data.encode(room));
    }
    done
}

/// Adds what `encode` writes, however long that is.
fn append(out: &mut Vec<u8>, mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>) {
    let start = out.len();
    let written = match encode(&mut []) {
        Err(EncodeError::InsufficientSize(needed)) => {
            out.resize(start + needed.required_size, 0);
            encode(&mut out[start..])
        }
        other => other,
    };
    out.truncate(start + written.unwrap_or(0));
}

impl Transport for Tls {
    type Shared = Shared;

    const NAME: &'static str = "TLS";

    fn new(_: &Shared) -> Self {
        Self::default()
    }

    fn begin(&mut self, shared: &mut Shared, node: &Node) {
        self.link = node.server_name.is_some().then(|| Box::new(Link::new(shared, node)));
    }

    fn is_handshaking(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.is_handshaking)
    }

    #[inline]
    fn open<'b>(&'b mut self, wire: &'b [u8], shared: &'b mut Shared) -> &'b [u8] {
        let Some(link) = &mut self.link else { return wire };
        link.open(wire, shared);
        &shared.plain
    }

    #[inline]
    fn over(&self) -> Option<TransportError> {
        match self.link.as_ref()?.over.as_ref()? {
            Over::Closed => None,
            Over::Failed(reason) => Some(TransportError(reason.clone())),
        }
    }

    #[inline]
    fn has_ended(&self) -> bool {
        self.link.as_ref().is_some_and(|link| matches!(link.over, Some(Over::Closed)))
    }

    fn cut_off(&self) -> Option<&'static str> {
        let link = self.link.as_ref()?;
        match link.is_handshaking {
            _ if self.has_ended() => None,
            true => Some("in the TLS handshake: does it speak TLS on this port?"),
            false => Some("without close_notify, as if the line had been cut"),
        }
    }

    fn session(&self) -> Option<Session> {
        let session = self.link.as_ref()?.session.as_ref()?;
        Some(Session {
            version: match session.protocol_version()? {
                ProtocolVersion::TLSv1_3 => "TLS 1.3",
                _ => "TLS 1.2",
            },
            suite: session.negotiated_cipher_suite()?.suite().as_str().unwrap_or("unnamed"),
            is_resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
        })
    }

    #[inline]
    fn has_outgoing(&self) -> bool {
        self.link.as_ref().is_some_and(|link| !link.outgoing.is_empty())
    }

    fn take_outgoing(&mut self) -> Vec<u8> {
        self.link.as_mut().map(|link| std::mem::take(&mut link.outgoing)).unwrap_or_default()
    }

    fn seal(
        &mut self,
        plain: SendBuf,
        part: Range<usize>,
        shared: &mut Shared,
    ) -> (SendBuf, Range<usize>) {
        let Some(link) = &mut self.link else { return (plain, part) };
        let mut wire = shared.buffer();
        let mut sealed = shared
            .idle
            .pop()
            .unwrap_or_else(|| Sealed { plain: SendBuf::Owned(Vec::new()), ends: Vec::new() });
        sealed.ends.clear();
        link.seal(&plain.as_slice()[part], &mut wire, &mut sealed.ends);
        sealed.plain = plain;
        link.sealed = Some(sealed);
        let len = wire.len();
        (SendBuf::Owned(wire), 0..len)
    }

    fn plain_len(&self, taken: usize) -> usize {
        let Some(link) = &self.link else { return taken };
        let ends = link.sealed.iter().flat_map(|sealed| &sealed.ends);
        ends.take_while(|(wire, _)| *wire <= taken).last().map_or(0, |(_, plain)| *plain)
    }

    fn sent(&mut self, wire: SendBuf, shared: &mut Shared) -> SendBuf {
        let Some(link) = &mut self.link else { return wire };
        let mut sealed = link.sealed.take().expect("something was sealed");
        if let SendBuf::Owned(wire) = wire {
            shared.give_back(wire);
        }
        let plain = std::mem::replace(&mut sealed.plain, SendBuf::Owned(Vec::new()));
        shared.idle.push(sealed);
        plain
    }

    fn close(&mut self) {
        let Some(link) = &mut self.link else { return };
        // What has failed has said so by its alert, and says no more.
        let is_failed = matches!(link.over, Some(Over::Failed(_)));
        if !std::mem::replace(&mut link.is_closed, true) && !is_failed {
            let mut wire = std::mem::take(&mut link.outgoing);
            link.write(&mut wire, OVERHEAD_BYTES, |traffic, out| traffic.queue_close_notify(out));
            link.outgoing = wire;
        }
    }
}
