//! Records opened by our own opener against `rustls` alone: its twin, with a provider that shares no key.
//!
//! Belongs here: a server in memory that may say anything in any record, right or wrong. Does not: whether either
//! reads TLS (`tests/tls.rs`, against s2n-tls).

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use fanstorm::engine::connection::transport::Transport;
use fanstorm::engine::connection::transport::tls::{Shared, Tls};
use fanstorm::engine::ring::SendBuf;
use fanstorm::population::nodes::{Node, PushNode, Targets};
use fanstorm::tls::opener::sharing;
use fanstorm::tls::{MinVersion, TlsClient, TlsOptions};
use proptest::prelude::*;
use rustls::crypto::cipher::{
    InboundOpaqueMessage, MessageDecrypter, MessageEncrypter, OutboundPlainMessage,
};
use rustls::crypto::{CipherSuiteCommon, CryptoProvider, ring};
use rustls::kernel::KernelConnection;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError};
use rustls::{
    CipherSuite, ConnectionTrafficSecrets, ContentType, ProtocolVersion, ServerConfig,
    SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite, version,
};

/// So many records may be sealed with a key, that some tests come to its end.
const RECORDS_OF_A_KEY: u64 = 24;

const SUITES: [CipherSuite; 4] = [
    CipherSuite::TLS13_AES_128_GCM_SHA256,
    CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
];

/// One suite, whose keys for sealing are soon used up.
fn provider(wanted: CipherSuite) -> CryptoProvider {
    let provider = ring::default_provider();
    let suite = provider.cipher_suites.iter().find(|suite| suite.suite() == wanted).unwrap();
    let confidentiality_limit = RECORDS_OF_A_KEY;
    let suite = match *suite {
        SupportedCipherSuite::Tls13(suite) => {
            let common = CipherSuiteCommon { confidentiality_limit, ..suite.common };
            let suite = Tls13CipherSuite { common, ..*suite };
            SupportedCipherSuite::Tls13(Box::leak(Box::new(suite)))
        }
        SupportedCipherSuite::Tls12(suite) => {
            let common = CipherSuiteCommon { confidentiality_limit, ..suite.common };
            let suite = Tls12CipherSuite { common, ..*suite };
            SupportedCipherSuite::Tls12(Box::leak(Box::new(suite)))
        }
    };
    CryptoProvider { cipher_suites: vec![suite], ..provider }
}

/// For each suite a client with an opener, one without, and their server.
static ENDS: LazyLock<Vec<([TlsClient; 2], Arc<ServerConfig>)>> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(vec!["node.example".to_owned()]).unwrap();
    let ends = SUITES.map(|suite| {
        let options = TlsOptions { insecure: true, ..TlsOptions::default() };
        let client = |provider| TlsClient::load_with(&options, provider).unwrap();
        let clients = [client(sharing(provider(suite))), client(provider(suite))];
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider(suite)))
            .with_protocol_versions(&[&version::TLS12, &version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        config.enable_secret_extraction = true;
        (clients, Arc::new(config))
    });
    ends.into()
});

static NODE: LazyLock<Node> = LazyLock::new(|| {
    let at_home = |_: &str, port| Ok(vec![([127, 0, 0, 1], port).into()]);
    let urls = ["wss://node.example/".parse().unwrap()];
    Targets::new(&urls, &PushNode::First, &at_home, &mut Vec::new()).unwrap().node(0).clone()
});

/// A server that has shaken hands and seals whatever it is told to.
struct Server {
    kernel: KernelConnection<ServerConnectionData>,
    sealing: (Box<dyn MessageEncrypter>, u64),
    opening: (Box<dyn MessageDecrypter>, u64),
}

impl Server {
    fn new(
        kernel: KernelConnection<ServerConnectionData>,
        sealing: (u64, ConnectionTrafficSecrets),
        opening: (u64, ConnectionTrafficSecrets),
    ) -> Self {
        let suite = kernel.negotiated_cipher_suite();
        let (sealing, opening) = (encrypter(suite, sealing), decrypter(suite, opening));
        Self { kernel, sealing, opening }
    }

    fn seal(&mut self, typ: u8, plain: &[u8]) -> Vec<u8> {
        let (cipher, number) = &mut self.sealing;
        let payload = plain.into();
        let (typ, version) = (ContentType::from(typ), ProtocolVersion::TLSv1_2);
        let sealed = cipher.encrypt(OutboundPlainMessage { typ, version, payload }, *number);
        *number += 1;
        sealed.unwrap().encode()
    }

    fn is_13(&self) -> bool {
        self.kernel.protocol_version() == ProtocolVersion::TLSv1_3
    }

    /// A KeyUpdate (RFC 8446), and the new key.
    fn update_key(&mut self, asks_back: bool) -> Vec<u8> {
        let record = self.seal(22, &[24, 0, 0, 1, asks_back.into()]);
        if self.is_13() {
            let suite = self.kernel.negotiated_cipher_suite();
            self.sealing = encrypter(suite, self.kernel.update_tx_secret().unwrap());
        }
        record
    }

    /// What the client's records say.
    fn heard(&mut self, mut wire: Vec<u8>) -> Vec<(u8, Vec<u8>)> {
        let (mut rest, mut heard) = (&mut wire[..], Vec::new());
        while !rest.is_empty() {
            let len = usize::from(u16::from_be_bytes([rest[3], rest[4]]));
            let (record, after) = rest.split_at_mut(5 + len);
            let typ = ContentType::from(record[0]);
            let version = ProtocolVersion::TLSv1_2;
            let (cipher, number) = &mut self.opening;
            let record = InboundOpaqueMessage::new(typ, version, &mut record[5..]);
            let plain = cipher.decrypt(record, *number).expect("the client seals well");
            *number += 1;
            let (typ, payload) = (u8::from(plain.typ), plain.payload.to_vec());
            if self.is_13() && typ == 22 && payload[0] == 24 {
                let suite = self.kernel.negotiated_cipher_suite();
                self.opening = decrypter(suite, self.kernel.update_rx_secret().unwrap());
            }
            heard.push((typ, payload));
            rest = after;
        }
        heard
    }
}

fn parts(
    secrets: ConnectionTrafficSecrets,
) -> (rustls::crypto::cipher::AeadKey, rustls::crypto::cipher::Iv, usize) {
    match secrets {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (key, iv, 4),
        ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (key, iv, 12),
        _ => unreachable!("of no suite here"),
    }
}

fn encrypter(
    suite: SupportedCipherSuite,
    (number, secrets): (u64, ConnectionTrafficSecrets),
) -> (Box<dyn MessageEncrypter>, u64) {
    let (key, iv, fixed) = parts(secrets);
    let cipher = match suite {
        SupportedCipherSuite::Tls13(suite) => suite.aead_alg.encrypter(key, iv),
        SupportedCipherSuite::Tls12(suite) => {
            let (fixed, explicit) = iv.as_ref().split_at(fixed);
            suite.aead_alg.encrypter(key, fixed, explicit)
        }
    };
    (cipher, number)
}

fn decrypter(
    suite: SupportedCipherSuite,
    (number, secrets): (u64, ConnectionTrafficSecrets),
) -> (Box<dyn MessageDecrypter>, u64) {
    let (key, iv, fixed) = parts(secrets);
    let cipher = match suite {
        SupportedCipherSuite::Tls13(suite) => suite.aead_alg.decrypter(key, iv),
        SupportedCipherSuite::Tls12(suite) => suite.aead_alg.decrypter(key, &iv.as_ref()[..fixed]),
    };
    (cipher, number)
}

#[derive(Clone, Debug)]
enum Step {
    /// Records with so many bytes of data each.
    Data(Vec<usize>),
    /// Sealed: of a type, with these bytes.
    Sealed(u8, Vec<u8>),
    /// Data behind which so many zeros lie in the record (RFC 8446, section 5.2).
    Padded(usize, usize),
    KeyUpdate(bool),
    /// Not sealed.
    Bare([u8; 3], Vec<u8>),
    /// A record of data with a bit of it turned.
    Damaged(usize, usize),
    /// The client sends so many messages.
    ClientSends(usize),
    ClientCloses,
}

/// What one has made of it: after each step all that it has heard, what it says of its end, and what it has said.
type Told = (Vec<u8>, Option<String>, bool, Option<&'static str>, Vec<(u8, Vec<u8>)>);

struct Talk {
    tls: Tls,
    shared: Shared,
    server: Server,
    plain: Vec<u8>,
    cuts: Vec<usize>,
    cut: usize,
    is_closed: bool,
}

impl Talk {
    fn new(client: &TlsClient, server: &Arc<ServerConfig>, cuts: &[usize]) -> Self {
        let mut shared = Shared::new(Some(client), 1);
        let mut tls = Tls::new(&shared);
        tls.begin(&mut shared, &NODE);
        let mut server = UnbufferedServerConnection::new(Arc::clone(server)).unwrap();
        let (mut theirs, mut is_ready) = (Vec::new(), false);
        while !is_ready || tls.is_handshaking() || tls.has_outgoing() {
            theirs.extend(tls.take_outgoing());
            let (said, ready) = pump(&mut server, &mut theirs);
            is_ready |= ready;
            assert!(tls.open(&said, &mut shared).is_empty());
            assert_eq!(tls.over(), None);
        }
        let (secrets, kernel) = server.dangerous_into_kernel_connection().unwrap();
        let server = Server::new(kernel, secrets.tx, secrets.rx);
        let (plain, cuts) = (Vec::new(), cuts.to_vec());
        Self { tls, shared, server, plain, cuts, cut: 0, is_closed: false }
    }

    fn hears(&mut self, mut wire: &[u8]) {
        while !wire.is_empty() && self.tls.over().is_none() && !self.tls.has_ended() {
            let cut = self.cuts[self.cut % self.cuts.len()].min(wire.len());
            self.cut += 1;
            let (now, later) = wire.split_at(cut);
            self.plain.extend_from_slice(self.tls.open(now, &mut self.shared));
            wire = later;
        }
    }

    fn sends(&mut self, len: usize) -> Vec<(u8, Vec<u8>)> {
        let plain = SendBuf::Owned(vec![b'c'; len]);
        let (wire, part) = self.tls.seal(plain, 0..len, &mut self.shared);
        let sealed = wire.as_slice()[part].to_vec();
        self.tls.sent(wire, &mut self.shared);
        self.server.heard(sealed)
    }

    fn step(&mut self, step: &Step) -> Told {
        let mut said = Vec::new();
        let is_open = self.tls.over().is_none() && !self.tls.has_ended();
        match step {
            // `rustls` 0.23 asserts, where it is built for tests, that nothing is wrong after our close_notify.
            wrong if self.is_closed && !matches!(wrong, Step::Data(_)) => {}
            Step::Data(lens) => {
                let wire: Vec<_> =
                    lens.iter().flat_map(|len| self.server.seal(23, &vec![b's'; *len])).collect();
                self.hears(&wire);
            }
            Step::Sealed(typ, bytes) => {
                let wire = self.server.seal(*typ, bytes);
                self.hears(&wire);
            }
            Step::Padded(len, zeros) => {
                let bytes = [vec![b'p'; *len], vec![23], vec![0; *zeros]].concat();
                let typ = if self.server.is_13() { 0 } else { 23 };
                let wire = self.server.seal(typ, &bytes);
                self.hears(&wire);
            }
            Step::KeyUpdate(asks_back) => {
                let wire = self.server.update_key(*asks_back);
                self.hears(&wire);
            }
            Step::Bare(head, bytes) => {
                let len = u16::try_from(bytes.len()).unwrap().to_be_bytes();
                self.hears(&[&head[..], &len, bytes].concat());
            }
            Step::Damaged(len, at) => {
                let mut wire = self.server.seal(23, &vec![b'd'; *len]);
                let bit = at % (8 * (wire.len() - 5));
                wire[5 + bit / 8] ^= 1 << (bit % 8);
                self.hears(&wire);
            }
            // The worker does not send either when all is over.
            Step::ClientSends(count) if is_open => {
                for _ in 0..*count {
                    said.extend(self.sends(150));
                }
            }
            Step::ClientCloses if is_open => {
                self.tls.close();
                self.is_closed = true;
            }
            Step::ClientSends(_) | Step::ClientCloses => {}
        }
        let outgoing = self.tls.take_outgoing();
        said.extend(self.server.heard(outgoing));
        let over = self.tls.over().map(|error| error.0);
        (self.plain.clone(), over, self.tls.has_ended(), self.tls.cut_off(), said)
    }
}

/// Drives the server through its handshake: what it says, and whether it is done.
fn pump(server: &mut UnbufferedServerConnection, heard: &mut Vec<u8>) -> (Vec<u8>, bool) {
    let mut said = Vec::new();
    loop {
        let status = server.process_tls_records(heard);
        let discard = status.discard;
        let (is_over, is_ready) = match status.state.unwrap() {
            ConnectionState::EncodeTlsData(mut data) => {
                let Err(EncodeError::InsufficientSize(needed)) = data.encode(&mut []) else {
                    unreachable!("there is something")
                };
                let start = said.len();
                said.resize(start + needed.required_size, 0);
                data.encode(&mut said[start..]).unwrap();
                (false, false)
            }
            ConnectionState::TransmitTlsData(data) => {
                data.done();
                (false, false)
            }
            ConnectionState::BlockedHandshake => (true, false),
            ConnectionState::WriteTraffic(_) => (true, true),
            other => panic!("{other:?}"),
        };
        heard.drain(..discard);
        if is_over {
            return (said, is_ready);
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let len = || prop_oneof![8 => 1_usize..400, 1 => Just(0), 1 => 1_usize..=16_384];
    let bytes = || prop::collection::vec(any::<u8>(), 0..40);
    // A ticket that says nothing right, a request to begin again, half of one, and what belongs into a handshake.
    let handshake = prop_oneof![
        Just(vec![0, 0, 0, 0]),
        Just(vec![0, 0]),
        Just(vec![24, 0, 0, 1]),
        Just(vec![24, 0, 0, 1, 7]),
        Just(vec![4, 0, 0, 3, 1, 2, 3]),
        Just(vec![20, 0, 0, 2, 0, 0]),
        bytes(),
    ];
    let alert = prop_oneof![
        Just(vec![1, 0]),
        Just(vec![1, 90]),
        Just(vec![1, 100]),
        Just(vec![2, 40]),
        Just(vec![2, 0]),
        bytes(),
    ];
    prop_oneof![
        24 => prop::collection::vec(len(), 1..6).prop_map(Step::Data),
        4 => (0_usize..300, 0_usize..40).prop_map(|(len, zeros)| Step::Padded(len, zeros)),
        6 => any::<bool>().prop_map(Step::KeyUpdate),
        6 => (1_usize..6).prop_map(Step::ClientSends),
        1 => Just(Step::Data(vec![0; 33])),
        1 => Just(Step::Data(vec![0; 20])),
        1 => handshake.prop_map(|bytes| Step::Sealed(22, bytes)),
        1 => alert.prop_map(|bytes| Step::Sealed(21, bytes)),
        1 => (any::<u8>(), bytes()).prop_map(|(typ, bytes)| Step::Sealed(typ, bytes)),
        1 => (20_u8..25, bytes()).prop_map(|(typ, bytes)| Step::Bare([typ, 3, 3], bytes)),
        1 => (any::<[u8; 3]>(), bytes()).prop_map(|(head, bytes)| Step::Bare(head, bytes)),
        1 => Just(Step::Bare([23, 3, 3], vec![1; 20_000])),
        1 => (0_usize..300, 0_usize..4_000)
            .prop_map(|(len, at)| Step::Damaged(len, at)),
        1 => Just(Step::ClientCloses),
    ]
}

/// What both have told of the same steps, which must be the same.
fn both(suite: usize, cuts: &[usize], steps: &[Step]) -> Vec<Told> {
    let (clients, server) = &ENDS[suite];
    let mut talks = clients.each_ref().map(|client| Talk::new(client, server, cuts));
    let mut all = Vec::new();
    for (place, step) in steps.iter().enumerate() {
        let [ours, rustls] = talks.each_mut().map(|talk| talk.step(step));
        assert_eq!(ours, rustls, "step {place}, {step:?}");
        all.push(ours);
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn our_opener_and_rustls_alone_make_the_same_of_whatever_a_server_says(
        suite in 0..SUITES.len(),
        cuts in prop::collection::vec(
            prop_oneof![1_usize..8, 1_usize..600, Just(16_406), Just(60_000)],
            1..9,
        ),
        steps in prop::collection::vec(step(), 1..24),
    ) {
        both(suite, &cuts, &steps);
    }
}

/// What the property must come across: else it would hold of a pair that never gets anywhere.
#[test]
fn data_goes_on_behind_all_that_rustls_reads_and_ends_where_it_says() {
    let mut reasons = BTreeSet::new();
    for (suite, name) in SUITES.into_iter().enumerate() {
        let is_13 = suite < 2;
        let data = || Step::Data(vec![150; 3]);
        let mut steps = vec![data(), Step::Data(vec![0; 32]), data(), Step::ClientSends(2)];
        if is_13 {
            steps.extend([Step::KeyUpdate(false), data(), Step::KeyUpdate(true), data()]);
            steps.extend([Step::ClientSends(30), Step::Padded(150, 9), data()]);
        } else {
            steps.extend([Step::Sealed(22, vec![0; 4]), data(), Step::ClientSends(1)]);
        }
        let told = both(suite, &[700], &steps);
        let (plain, over, ..) = told.last().unwrap();
        let copies = if is_13 { 15 + 1 } else { 9 };
        assert_eq!((plain.len(), over), (copies * 150, &None), "{name:?}");
        for end in [
            Step::Sealed(21, vec![1, 0]),
            Step::Sealed(21, vec![2, 40]),
            Step::Sealed(20, vec![1]),
            Step::Data(vec![0; 33]),
            Step::Bare([23, 3, 3], vec![1; 20_000]),
            Step::Bare([23, 3, 3], Vec::new()),
            Step::Damaged(150, 1_000),
        ] {
            let told = both(suite, &[700], &[data(), end.clone(), data()]);
            let (plain, over, has_ended, ..) = told.last().unwrap();
            assert_eq!(plain.len(), 450, "{end:?}");
            let is_closed = matches!(&end, Step::Sealed(21, alert) if alert[1] == 0);
            assert!(*has_ended == is_closed && over.is_some() != is_closed, "{end:?}");
            reasons.extend(over.clone());
        }
    }
    assert!(reasons.len() > 4, "{reasons:?}");
}

#[test]
fn a_client_that_must_not_read_1_2_has_an_opener_too() {
    let (_, server) = &ENDS[0];
    let options =
        TlsOptions { insecure: true, min_version: MinVersion::Tls13, ..TlsOptions::default() };
    let client = TlsClient::load(&options).unwrap();
    let mut talk = Talk::new(&client, server, &[60_000]);
    assert_eq!(talk.step(&Step::Data(vec![150; 4])).0.len(), 600);
}
