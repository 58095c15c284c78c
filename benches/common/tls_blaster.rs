//! A blaster over TLS: what it sends is sealed before the start, for each socket with its own keys, so that its
//! CPU has no more to do than that of a plain one.
//!
//! `rustls` as a server, TLS 1.3 with AES-128-GCM. Its certificate is made anew; who connects checks none.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::{CipherSuite, ServerConfig, ServerConnection, StreamOwned, version};

use super::blaster::{self, Blaster, Shape};

/// What is in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Records {
    /// One frame.
    Each,
    /// As much as fits, 16 KiB.
    Full,
}

impl Records {
    const ALL: [Self; 2] = [Self::Each, Self::Full];

    const fn argument(self) -> &'static str {
        match self {
            Self::Each => "--tls-blaster-each",
            Self::Full => "--tls-blaster-full",
        }
    }

    /// A blaster that fills its records so.
    pub(crate) fn blaster(self, shape: Shape, cpu: usize) -> Blaster {
        Blaster::start_as(self.argument(), shape, cpu)
    }
}

/// Runs as the child if the arguments say so.
pub(crate) fn child() -> bool {
    for records in Records::ALL {
        if let Some(shape) = blaster::shape_of(records.argument()) {
            blast(shape, records);
            return true;
        }
    }
    false
}

fn blast(shape: Shape, records: Records) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    println!("{}", listener.local_addr().expect("bound"));
    let config = Arc::new(server());
    let writes = blaster::render(shape);
    let frame = writes[0].len() / shape.batch.min(shape.frames) as usize;
    let accepted: Vec<_> = (0..shape.sockets).map(|_| accept(&listener, &config)).collect();
    let (mut sockets, mut sealed) = (Vec::new(), Vec::new());
    for (socket, mut connection) in accepted {
        let seal = |write: &Vec<u8>| seal(&mut connection, write, records, frame);
        sealed.push(writes.iter().map(seal).collect::<Vec<_>>());
        sockets.push(socket);
    }
    blaster::send(shape, &mut sockets, |round, socket| &sealed[socket][round]);
}

fn server() -> ServerConfig {
    let made = rcgen::generate_simple_self_signed(vec!["bench".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let mut provider = ring::default_provider();
    provider.cipher_suites.retain(|suite| suite.suite() == CipherSuite::TLS13_AES_128_GCM_SHA256);
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&version::TLS13])
        .expect("a suite of it")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("its certificate");
    config.send_tls13_tickets = 0;
    config
}

fn accept(listener: &TcpListener, config: &Arc<ServerConfig>) -> (TcpStream, ServerConnection) {
    let (stream, _) = listener.accept().expect("a client");
    stream.set_nodelay(true).expect("an option");
    let socket = stream.try_clone().expect("a descriptor");
    let connection = ServerConnection::new(Arc::clone(config)).expect("a configuration");
    let accepted = tungstenite::accept(StreamOwned::new(connection, stream));
    let Ok(mut upgraded) = accepted else { panic!("a WebSocket client over TLS") };
    let stand_in = ServerConnection::new(Arc::clone(config)).expect("a configuration");
    let connection = std::mem::replace(&mut upgraded.get_mut().conn, stand_in);
    std::mem::forget(upgraded);
    (socket, connection)
}

/// Records of what one write has, in the order in which they are sent.
fn seal(
    connection: &mut ServerConnection,
    write: &[u8],
    records: Records,
    frame: usize,
) -> Vec<u8> {
    let mut wire = Vec::with_capacity(write.len() * 5 / 4);
    connection.set_buffer_limit(None);
    let len = if records == Records::Each { frame } else { write.len() };
    for plain in write.chunks(len) {
        connection.writer().write_all(plain).expect("no limit");
    }
    while connection.wants_write() {
        connection.write_tls(&mut wire).expect("memory");
    }
    wire
}
