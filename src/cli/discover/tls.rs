//! A discovery behind TLS: the connection that the request goes over.
//!
//! Belongs here: `rustls` on a blocking stream of `ureq`. Does not: whom to trust (`tls`), the request.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
    TransportAdapter,
};

use crate::host::clock::{Clock, Monotonic};
use crate::tls::TlsClient;
use crate::tls::words::words;
use crate::units::Nanos;

/// The handshake failed, for this reason.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refused(String);

/// Bytes that are kept of what came first: enough to tell that it is no TLS.
const FIRST_BYTES: usize = 64;

/// Puts TLS between a connection and an `https://` request on it.
#[derive(Debug)]
pub(super) struct TlsConnector {
    config: Option<Arc<ClientConfig>>,
    server_name: Option<ServerName<'static>>,
}

impl TlsConnector {
    pub(super) fn new(client: Option<&TlsClient>) -> Self {
        Self {
            config: client.map(TlsClient::config),
            server_name: client.and_then(|client| client.options().server_name.clone()),
        }
    }
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else { return Ok(None) };
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let refused = |reason: String| ureq::Error::Other(Box::new(Refused(reason)));
        let Some(config) = &self.config else {
            return Err(refused("redirected to https://: ask that URL".to_owned()));
        };
        let host = details.uri.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned())
                .map_err(|_| refused("no certificate can be for this host".to_owned()))?,
        };
        let mut connection = ClientConnection::new(Arc::clone(config), name)
            .map_err(|error| refused(words(&error, &[])))?;
        let inner = TransportAdapter::new(transport.boxed(), details.current_time.clone());
        let until = Monotonic
            .now()
            .plus(Nanos(u64::try_from(details.timeout.after.as_nanos()).unwrap_or(u64::MAX)));
        let mut wire = Wire { inner, first: Vec::new(), until: Some((until, details.timeout)) };
        shake_hands(&mut connection, &mut wire)?;
        wire.until = None;
        let buffers = LazyBuffers::new(
            details.config.input_buffer_size(),
            details.config.output_buffer_size(),
        );
        let stream = StreamOwned { conn: connection, sock: wire };
        Ok(Some(Either::B(TlsTransport { buffers, stream })))
    }
}

fn shake_hands(connection: &mut ClientConnection, wire: &mut Wire) -> Result<(), ureq::Error> {
    let refused = |reason: String| ureq::Error::Other(Box::new(Refused(reason)));
    let Err(error) = connection.complete_io(wire) else { return Ok(()) };
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(tls) => Err(refused(words(tls, &wire.first))),
        None if error.kind() == io::ErrorKind::UnexpectedEof => Err(refused(
            "the connection was closed in the TLS handshake: does it speak TLS on this port?"
                .to_owned(),
        )),
        None => Err(error.into()),
    }
}

/// A connection that remembers how its peer began.
struct Wire {
    inner: TransportAdapter,
    first: Vec<u8>,
    /// The end of all of the handshake, however many reads it takes, and which limit that is.
    until: Option<(Nanos, NextTimeout)>,
}

impl Wire {
    fn mind_the_time(&mut self) {
        if let Some((until, limit)) = self.until {
            let after = std::time::Duration::from(until.since(Monotonic.now())).into();
            self.inner.set_timeout(NextTimeout { after, ..limit });
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.mind_the_time();
        let count = self.inner.read(buffer)?;
        let missing = FIRST_BYTES - self.first.len();
        self.first.extend_from_slice(&buffer[..count.min(missing)]);
        Ok(count)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.mind_the_time();
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// A connection with TLS on it.
pub(super) struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, Wire>,
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTransport").finish_non_exhaustive()
    }
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.inner.set_timeout(timeout);
        self.stream.write_all(&self.buffers.output()[..amount])?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.inner.set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.inner.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}
