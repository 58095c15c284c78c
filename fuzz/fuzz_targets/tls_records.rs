//! TLS with a server in memory, its records cut anywhere: what it said comes out as it was, and after damage no more
//! than the front of it; a failure is one line.
#![no_main]

use std::io::{Read, Write};
use std::sync::{Arc, LazyLock};

use fanstorm::engine::connection::transport::Transport;
use fanstorm::engine::connection::transport::tls::{Shared, Tls};
use fanstorm::engine::ring::SendBuf;
use fanstorm::population::nodes::{Node, PushNode, Targets};
use fanstorm::tls::{TlsClient, TlsOptions};
use fanstorm_fuzz::{Input, cuts};
use libfuzzer_sys::fuzz_target;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, version};

static CLIENT: LazyLock<TlsClient> = LazyLock::new(|| {
    TlsClient::load(&TlsOptions { insecure: true, ..TlsOptions::default() }).unwrap()
});

static NODE: LazyLock<Node> = LazyLock::new(|| {
    let at_home = |_: &str, port| Ok(vec![([127, 0, 0, 1], port).into()]);
    let urls = ["wss://node.example/".parse().unwrap()];
    Targets::new(&urls, &PushNode::First, &at_home, &mut Vec::new()).unwrap().node(0).clone()
});

/// Of TLS 1.2 and of 1.3.
static SERVERS: LazyLock<[Arc<ServerConfig>; 2]> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(vec!["node.example".to_owned()]).unwrap();
    [&version::TLS12, &version::TLS13].map(|version| {
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        Arc::new(config)
    })
});

struct Talk {
    tls: Tls,
    shared: Shared,
    server: ServerConnection,
    steps: [u8; 3],
    /// Bytes of the server until one is altered, and how.
    damage: Option<(usize, u8)>,
    heard: Vec<u8>,
}

impl Talk {
    /// What we have to say reaches the server.
    fn ask(&mut self) {
        while self.tls.has_outgoing() {
            let said = self.tls.take_outgoing();
            self.tell(&said);
        }
    }

    /// What the server hears of it. It takes no more before that was read.
    fn tell(&mut self, mut wire: &[u8]) -> Vec<u8> {
        let mut heard = Vec::new();
        while !wire.is_empty() && self.server.read_tls(&mut wire).is_ok() {
            if self.server.process_new_packets().is_err() {
                break;
            }
            let _ = self.server.reader().read_to_end(&mut heard);
        }
        heard
    }

    /// What the server has to say reaches us, in pieces.
    fn answer(&mut self) {
        let mut wire = Vec::new();
        while self.server.wants_write() && self.server.write_tls(&mut wire).is_ok() {}
        if let Some((left, how)) = &mut self.damage {
            match wire.get_mut(*left) {
                Some(byte) => *byte ^= *how,
                None => *left -= wire.len(),
            }
        }
        for read in cuts(&wire, &self.steps) {
            let plain = self.tls.open(read, &mut self.shared);
            self.heard.extend_from_slice(plain);
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let mut input = Input(input);
    let (how, steps) = (input.byte(), [input.byte(), input.byte(), input.byte()]);
    let is_13 = how & 1 != 0;
    let at = usize::from(input.byte()) << 8 | usize::from(input.byte());
    let damage = Some((at, input.byte())).filter(|(_, how)| *how != 0);
    let mut shared = Shared::new(Some(&*CLIENT), 1);
    let mut tls = Tls::new(&shared);
    tls.begin(&mut shared, &NODE);
    let server = ServerConnection::new(Arc::clone(&SERVERS[usize::from(is_13)])).unwrap();
    let mut talk = Talk { tls, shared, server, steps, damage, heard: Vec::new() };
    if how & 2 != 0 {
        // Somebody who speaks no TLS, or some.
        for read in cuts(input.0, &steps) {
            let plain = talk.tls.open(read, &mut talk.shared);
            assert!(plain.is_empty(), "nobody has shaken hands");
        }
        return is_one_line(&talk.tls);
    }
    for _ in 0..6 {
        talk.ask();
        talk.answer();
    }
    let mut said = Vec::new();
    for part in input.0.split(|byte| *byte == 0xff) {
        if talk.tls.is_handshaking() || talk.tls.over().is_some() {
            break;
        }
        if is_13 && part.first() == Some(&b'k') {
            let _ = talk.server.refresh_traffic_keys();
        }
        let bytes = part.repeat(usize::from(how >> 2) + 1);
        said.extend_from_slice(&bytes);
        let _ = talk.server.writer().write_all(&bytes);
        talk.answer();
        // What we say reaches it, too.
        let (len, echo) = (bytes.len(), SendBuf::Owned(bytes.clone()));
        let (wire, range) = talk.tls.seal(echo, 0..len, &mut talk.shared);
        let sealed = wire.as_slice()[range.clone()].to_vec();
        let all = talk.tls.plain_len(sealed.len());
        talk.tls.sent(wire, &mut talk.shared);
        let there = talk.tell(&sealed);
        if damage.is_none() {
            assert_eq!((all, there), (len, bytes));
        }
    }
    assert!(said.starts_with(&talk.heard), "{} of {} bytes", talk.heard.len(), said.len());
    if damage.is_none() {
        assert!(talk.tls.over().is_none() && !talk.tls.is_handshaking());
        assert_eq!(talk.heard.len(), said.len());
    }
    is_one_line(&talk.tls);
    talk.tls.close();
    talk.ask();
});

fn is_one_line(tls: &Tls) {
    if let Some(error) = tls.over() {
        assert!(!error.0.is_empty() && !error.0.contains(char::is_control), "{:?}", error.0);
    }
}
