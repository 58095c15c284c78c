//! The TLS transport against s2n-tls, which shares no line with it: a mistake of one cannot cancel out
//! against the same mistake of the other.
//!
//! Belongs here: records cut anywhere, and what becomes of each kind of handshake. Does not: whole runs over
//! TLS (`tests/cluster`, `tests/tls.py`).

use std::fs;
use std::path::PathBuf;

use fanstorm::engine::connection::transport::Transport;
use fanstorm::engine::connection::transport::tls::{Shared, Tls};
use fanstorm::engine::ring::SendBuf;
use fanstorm::population::nodes::{Node, PushNode, Targets};
use fanstorm::tls::{MinVersion, TlsClient, TlsOptions};
use proptest::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::crypto::{CipherSuiteCommon, CryptoProvider};
use rustls::{SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite};
use s2n_tls::config::{Builder, Config};
use s2n_tls::enums::{ClientAuthType, PeerKeyUpdate};
use s2n_tls::error::ErrorType;
use s2n_tls::security::Policy;
use s2n_tls_tokio::TlsAcceptor;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// Has TLS 1.2 alone.
const ONLY_12: &str = "20240501";

/// Certificates, written where a client finds them.
struct Authority {
    folder: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key.
struct Identity {
    pem: String,
    key: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { folder: tempfile::tempdir().unwrap(), issuer: Issuer::new(params, key), pem }
    }

    fn of(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        Identity { pem, key: key.serialize_pem() }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Trusted by whoever takes these options.
    fn trusted(&self) -> TlsOptions {
        TlsOptions { cacert: Some(self.file("ca.pem", &self.pem)), ..TlsOptions::default() }
    }
}

fn server(identity: &Identity, policy: &str, change: impl FnOnce(&mut Builder)) -> Config {
    let mut config = Config::builder();
    config.set_security_policy(&Policy::from_version(policy).unwrap()).unwrap();
    config.load_pem(identity.pem.as_bytes(), identity.key.as_bytes()).unwrap();
    config.set_max_blinding_delay(1).unwrap();
    change(&mut config);
    config.build().unwrap()
}

fn node(url: &str) -> Node {
    let at_home = |_: &str, port| Ok(vec![([127, 0, 0, 1], port).into()]);
    let urls = [url.parse().unwrap()];
    Targets::new(&urls, &PushNode::First, &at_home, &mut Vec::new()).unwrap().node(0).clone()
}

/// One connection of ours, driven by hand.
struct Client {
    tls: Tls,
    shared: Shared,
    pipe: DuplexStream,
    plain: Vec<u8>,
}

impl Client {
    fn new(options: &TlsOptions, url: &str, pipe: DuplexStream) -> Self {
        Self::of(&TlsClient::load(options).unwrap(), url, pipe)
    }

    fn of(client: &TlsClient, url: &str, pipe: DuplexStream) -> Self {
        let mut shared = Shared::new(Some(client), 1);
        let mut tls = Tls::new(&shared);
        tls.begin(&mut shared, &node(url));
        Self { tls, shared, pipe, plain: Vec::new() }
    }

    async fn flush(&mut self) {
        while self.tls.has_outgoing() {
            let bytes = self.tls.take_outgoing();
            // A server that has ended hears nothing any more.
            let _ = self.pipe.write_all(&bytes).await;
        }
    }

    /// Reads at most `cut` bytes; false at the end of the wire.
    async fn read(&mut self, cut: usize) -> bool {
        let mut buffer = vec![0; cut];
        let count = self.pipe.read(&mut buffer).await.unwrap_or(0);
        let plain = self.tls.open(&buffer[..count], &mut self.shared);
        self.plain.extend_from_slice(plain);
        self.flush().await;
        count > 0
    }

    /// Until the upgrade could be asked for, or why not.
    async fn shake_hands(&mut self, mut cuts: impl Iterator<Item = usize>) -> Result<(), String> {
        self.flush().await;
        while self.tls.is_handshaking() {
            let has_more = self.read(cuts.next().unwrap()).await;
            if let Some(error) = self.tls.over() {
                return Err(error.0);
            }
            if !has_more {
                return Err(self.tls.cut_off().unwrap().to_owned());
            }
        }
        Ok(())
    }

    /// Sends a part of a buffer, and says where its records end on the wire and in it.
    async fn send(&mut self, plain: Vec<u8>) -> Vec<(usize, usize)> {
        let (len, kept) = (plain.len(), plain.clone());
        let (wire, part) = self.tls.seal(SendBuf::Owned(plain), 0..len, &mut self.shared);
        let lens: Vec<_> = (0..=part.len()).map(|taken| self.tls.plain_len(taken)).collect();
        assert_eq!((lens[0], lens[part.len()]), (0, len));
        assert!(lens.is_sorted());
        let ends = (1..lens.len()).filter(|&at| lens[at] > lens[at - 1]).map(|at| (at, lens[at]));
        let ends = ends.collect();
        self.pipe.write_all(&wire.as_slice()[part]).await.unwrap();
        let back = self.tls.sent(wire, &mut self.shared);
        assert_eq!(back.as_slice(), kept, "the buffer comes back as it was");
        ends
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(work)
}

/// What the server makes of it, if it gets that far.
async fn serve_echo(config: Config, pipe: DuplexStream, records: Vec<usize>) {
    let Ok(mut stream) = TlsAcceptor::new(config).accept(pipe).await else { return };
    let total: usize = records.iter().sum();
    let mut heard = vec![0; total];
    stream.read_exact(&mut heard).await.unwrap();
    let mut rest = &heard[..];
    for (place, len) in records.into_iter().enumerate() {
        if place % 3 == 2
            && stream.as_ref().actual_protocol_version().unwrap() == s2n_tls::enums::Version::TLS13
        {
            stream.as_mut().request_key_update(PeerKeyUpdate::KeyUpdateNotRequested).unwrap();
        }
        let (now, later) = rest.split_at(len);
        stream.write_all(now).await.unwrap();
        stream.flush().await.unwrap();
        rest = later;
    }
    stream.shutdown().await.unwrap();
}

fn payload(len: usize, seed: u64) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..len).map(|_| rng.u8(..)).collect()
}

/// Sends and hears all of these, with the wire cut as `cuts` says again and again.
fn exchange(policy: &str, lens: &[usize], cuts: &[usize]) {
    let authority = Authority::new("Test CA");
    let identity = authority.of(&["node.example"], |_| {});
    let config = server(&identity, policy, |_| {});
    let (ours, theirs) = tokio::io::duplex(8 << 20);
    let mut cut = cuts.iter().copied().cycle();
    let mut client = Client::new(&authority.trusted(), "wss://node.example/", ours);
    block_on(async {
        let serving = serve_echo(config, theirs, lens.to_vec());
        let using = async {
            client.shake_hands(&mut cut).await.unwrap();
            let session = client.tls.session().unwrap();
            let expected = if policy == ONLY_12 { "TLS 1.2" } else { "TLS 1.3" };
            assert_eq!((session.version, session.is_resumed), (expected, false));
            let mut sent = Vec::new();
            for (seed, &len) in lens.iter().enumerate() {
                let plain = payload(len, seed as u64);
                sent.extend_from_slice(&plain);
                let ends = client.send(plain).await;
                let records: Vec<_> =
                    (1..=len.div_ceil(1 << 14)).map(|n| len.min(n << 14)).collect();
                assert_eq!(ends.iter().map(|end| end.1).collect::<Vec<_>>(), records);
            }
            while !client.tls.has_ended() {
                assert!(
                    client.read(cut.next().unwrap()).await,
                    "close_notify comes before the end"
                );
                assert_eq!(client.tls.over(), None);
            }
            assert!(client.plain == sent, "{} of {} bytes", client.plain.len(), sent.len());
            assert_eq!(client.tls.cut_off(), None);
        };
        futures_util::future::join(serving, using).await
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn however_the_wire_is_cut_the_same_bytes_come_out_of_it(
        is_13: bool,
        lens in prop::collection::vec(prop_oneof![4 => 1_usize..400, 1 => 1_usize..70_000], 1..12),
        cuts in prop::collection::vec(prop_oneof![1_usize..8, 1_usize..3_000, Just(40_000)], 1..9),
    ) {
        exchange(if is_13 { "default_tls13" } else { ONLY_12 }, &lens, &cuts);
    }
}

#[test]
fn cut_after_every_single_byte_a_connection_with_key_updates_comes_out_whole() {
    exchange("default_tls13", &[150, 1, 150, 3_000, 17_000, 150, 2, 150], &[1]);
    exchange(ONLY_12, &[150, 17_000], &[1]);
}

/// Why a handshake with such a server fails, and how the server sees that.
fn ended_handshake(options: &TlsOptions, url: &str, config: Config) -> (String, ErrorType) {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let mut client = Client::new(options, url, ours);
    block_on(async {
        let serving = async {
            let accepted = TlsAcceptor::new(config).accept(theirs).await;
            accepted.map(|_| ()).unwrap_err().kind()
        };
        let using = async {
            let Err(reason) = client.shake_hands(std::iter::repeat(1_000)).await else {
                panic!("the handshake fails");
            };
            client.flush().await;
            // As a worker does before the socket closes: what has failed has nothing to add.
            client.tls.close();
            assert!(!client.tls.has_outgoing(), "an alert is the last word");
            client.pipe.shutdown().await.unwrap();
            reason
        };
        let (kind, reason) = futures_util::future::join(serving, using).await;
        (reason, kind)
    })
}

/// Why we refuse such a server: it hears so by an alert, and not by a line that is cut.
fn refusal(options: &TlsOptions, url: &str, config: Config) -> String {
    let (reason, kind) = ended_handshake(options, url, config);
    assert_eq!(kind, ErrorType::Alert, "{reason}");
    reason
}

const URL: &str = "wss://node.example/";

#[test]
fn an_unknown_issuer_is_named_with_the_way_out() {
    let (trusted, other) = (Authority::new("Trusted CA"), Authority::new("Other CA"));
    let identity = other.of(&["node.example"], |_| {});
    let told = refusal(&trusted.trusted(), URL, server(&identity, "default_tls13", |_| {}));
    assert!(told.contains("unknown issuer") && told.contains("`CN=Other CA`"), "{told}");
    assert!(told.contains("--cacert"), "{told}");
}

#[test]
fn a_certificate_that_has_expired_or_is_not_valid_yet_is_told_with_its_date() {
    let authority = Authority::new("Test CA");
    let expired = authority.of(&["node.example"], |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 2, 3);
    });
    let told = refusal(&authority.trusted(), URL, server(&expired, "default_tls13", |_| {}));
    assert!(told.contains("expired on 2021-02-03 00:00 UTC"), "{told}");
    let early =
        authority.of(&["node.example"], |params| params.not_before = date_time_ymd(3000, 1, 1));
    let told = refusal(&authority.trusted(), URL, server(&early, "default_tls13", |_| {}));
    assert!(told.contains("not valid before 3000-01-01 00:00 UTC"), "{told}");
}

#[test]
fn a_certificate_for_another_name_is_told_with_both() {
    let authority = Authority::new("Test CA");
    let identity = authority.of(&["a.example", "10.0.0.7"], |_| {});
    let told = refusal(&authority.trusted(), URL, server(&identity, "default_tls13", |_| {}));
    assert!(told.contains("wanted node.example, got `a.example, 10.0.0.7`"), "{told}");
    let told = refusal(
        &authority.trusted(),
        "wss://10.0.0.8/",
        server(&identity, "default_tls13", |_| {}),
    );
    assert!(told.contains("wanted 10.0.0.8"), "{told}");
}

#[test]
fn the_certificate_of_an_authority_shown_by_a_node_is_told_with_the_way_out() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["node.example".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem();
    let files = Authority::new("only its folder");
    let options =
        TlsOptions { cacert: Some(files.file("self.pem", &pem)), ..TlsOptions::default() };
    let identity = Identity { pem, key: key.serialize_pem() };
    let told = refusal(&options, URL, server(&identity, "default_tls13", |_| {}));
    assert!(told.contains("openssl req -x509") && told.contains("CA:FALSE"), "{told}");
}

#[test]
fn a_node_that_wants_a_certificate_takes_ours() {
    for policy in ["default_tls13", ONLY_12] {
        let authority = Authority::new("Test CA");
        let identity = authority.of(&["node.example"], |_| {});
        let asks = || {
            server(&identity, policy, |config| {
                config.set_client_auth_type(ClientAuthType::Required).unwrap();
                config.trust_pem(authority.pem.as_bytes()).unwrap();
                config.set_verify_host_callback(AnyHost).unwrap();
            })
        };
        let me = authority.of(&["me.example"], |_| {});
        let files = (authority.file("me.pem", &me.pem), authority.file("me.key", &me.key));
        let options = TlsOptions { identity: Some(files), ..authority.trusted() };
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let mut client = Client::new(&options, URL, ours);
        block_on(async {
            let using = async {
                client.shake_hands(std::iter::repeat(1_000)).await.unwrap();
                client.send(payload(9, 0)).await;
                while client.plain.len() < 9 {
                    assert!(client.read(1_000).await);
                }
            };
            futures_util::future::join(serve_echo(asks(), theirs, vec![9]), using).await
        });
    }
}

struct AnyHost;

impl s2n_tls::callbacks::VerifyHostNameCallback for AnyHost {
    fn verify_host_name(&self, _: &str) -> bool {
        true
    }
}

#[test]
fn no_version_in_common_is_told() {
    let authority = Authority::new("Test CA");
    let identity = authority.of(&["node.example"], |_| {});
    let options = TlsOptions { min_version: MinVersion::Tls13, ..authority.trusted() };
    let (told, _) = ended_handshake(&options, URL, server(&identity, ONLY_12, |_| {}));
    assert!(told.contains("no version of TLS in common") && told.contains("--tls-min"), "{told}");
}

#[test]
fn whoever_checks_nothing_is_let_in_by_anybody_but_not_by_plain_text() {
    let authority = Authority::new("Test CA");
    let identity = authority.of(&["other.example"], |_| {});
    let options = TlsOptions { insecure: true, ..TlsOptions::default() };
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let mut client = Client::new(&options, URL, ours);
    block_on(async {
        let using = client.shake_hands(std::iter::repeat(1_000));
        let config = server(&identity, "default_tls13", |_| {});
        futures_util::future::join(serve_echo(config, theirs, vec![]), using).await.1.unwrap();
    });
    let (ours, mut theirs) = tokio::io::duplex(1 << 20);
    let mut client = Client::new(&options, URL, ours);
    let told = block_on(async {
        theirs.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        client.shake_hands(std::iter::repeat(7)).await.unwrap_err()
    });
    assert!(told.contains("does not speak TLS") && told.contains("ws://"), "{told}");
}

#[test]
fn an_altered_record_is_an_error_and_what_came_before_it_is_not_lost() {
    let authority = Authority::new("Test CA");
    let identity = authority.of(&["node.example"], |_| {});
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let mut client = Client::new(&authority.trusted(), URL, ours);
    let config = server(&identity, "default_tls13", |_| {});
    block_on(async {
        let using = async {
            client.shake_hands(std::iter::repeat(1_000)).await.unwrap();
            let sent = payload(300, 1);
            client.send(sent.clone()).await;
            // All records in one read, the last of them altered.
            let mut wire = Vec::new();
            client.pipe.read_to_end(&mut wire).await.unwrap();
            let last = wire.len() - 1;
            wire[last] ^= 1;
            let plain = client.tls.open(&wire, &mut client.shared).to_vec();
            assert_eq!(plain, sent, "close_notify is the record that was altered");
            let told = client.tls.over().unwrap().0;
            assert!(told.contains("bad MAC") || told.contains("altered"), "{told}");
            assert!(client.tls.open(b"more", &mut client.shared).is_empty());
        };
        futures_util::future::join(serve_echo(config, theirs, vec![100; 3]), using).await
    });
}

#[test]
fn a_line_that_is_cut_is_told_from_one_that_ends() {
    let authority = Authority::new("Test CA");
    let identity = authority.of(&["node.example"], |_| {});
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let mut client = Client::new(&authority.trusted(), URL, ours);
    let config = server(&identity, "default_tls13", |_| {});
    block_on(async {
        let serving = async {
            // Dropped without a word.
            drop(TlsAcceptor::new(config).accept(theirs).await.unwrap());
        };
        let using = async {
            client.shake_hands(std::iter::repeat(1_000)).await.unwrap();
            while client.read(1_000).await {}
            assert!(!client.tls.has_ended());
            assert!(client.tls.cut_off().unwrap().contains("close_notify"));
        };
        futures_util::future::join(serving, using).await
    });
}

/// s2n-tls can ask for no new keys of ours: this one server is of rustls.
#[test]
fn keys_that_a_server_asks_for_are_changed_before_what_is_sent_next() {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use std::io::{Read, Write};

    let authority = Authority::new("Test CA");
    let identity = authority.of(&["node.example"], |_| {});
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(identity.pem.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap(),
        )
        .unwrap();
    let mut server = rustls::ServerConnection::new(std::sync::Arc::new(config)).unwrap();
    let client = TlsClient::load(&authority.trusted()).unwrap();
    let (mut shared, mut tls) = (Shared::new(Some(&client), 1), Tls::default());
    tls.begin(&mut shared, &node(URL));
    let deliver = |server: &mut rustls::ServerConnection, mut wire: &[u8]| {
        let mut heard = Vec::new();
        while !wire.is_empty() {
            server.read_tls(&mut wire).unwrap();
            server.process_new_packets().unwrap();
        }
        let _ = server.reader().read_to_end(&mut heard);
        heard
    };
    let answer = |server: &mut rustls::ServerConnection, tls: &mut Tls, shared: &mut Shared| {
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        tls.open(&wire, shared).to_vec()
    };
    while tls.is_handshaking() || server.is_handshaking() {
        let wire = tls.take_outgoing();
        deliver(&mut server, &wire);
        answer(&mut server, &mut tls, &mut shared);
    }
    for round in 0..10_u8 {
        server.refresh_traffic_keys().unwrap();
        server.writer().write_all(&[round; 150]).unwrap();
        assert_eq!(answer(&mut server, &mut tls, &mut shared), [round; 150]);
        let plain = SendBuf::Owned(vec![round; 200]);
        let (wire, part) = tls.seal(plain, 0..200, &mut shared);
        // The answer to the new keys, and the data: whoever has not all of it has none of the data.
        assert!(part.len() > 2 * 5 + 200 && tls.plain_len(part.len() - 1) == 0);
        assert_eq!(deliver(&mut server, &wire.as_slice()[part]), [round; 200]);
        tls.sent(wire, &mut shared);
    }
}

/// The provider with one suite, whose keys are good for so many records: AES-GCM's bound (RFC 8446, section 5.5) is
/// 2 to the power of 24.5 of them.
fn short_lived(suite: SupportedCipherSuite, records: u64) -> CryptoProvider {
    let suite = match suite {
        SupportedCipherSuite::Tls13(suite) => {
            let common = CipherSuiteCommon { confidentiality_limit: records, ..suite.common };
            let short = Tls13CipherSuite { common, ..*suite };
            SupportedCipherSuite::Tls13(Box::leak(Box::new(short)))
        }
        SupportedCipherSuite::Tls12(suite) => {
            let common = CipherSuiteCommon { confidentiality_limit: records, ..suite.common };
            let short = Tls12CipherSuite { common, ..*suite };
            SupportedCipherSuite::Tls12(Box::leak(Box::new(short)))
        }
    };
    let provider = rustls::crypto::ring::default_provider();
    CryptoProvider { cipher_suites: vec![suite], ..provider }
}

#[test]
fn keys_of_tls_1_3_that_are_used_up_are_changed_and_nothing_is_lost() {
    use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;

    let authority = Authority::new("Test CA");
    let identity = authority.of(&["node.example"], |_| {});
    let provider = short_lived(TLS13_AES_128_GCM_SHA256, 16);
    let client = TlsClient::load_with(&authority.trusted(), provider).unwrap();
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let mut client = Client::of(&client, URL, ours);
    let config = server(&identity, "default_tls13", |_| {});
    block_on(async {
        let serving = async {
            let mut stream = TlsAcceptor::new(config).accept(theirs).await.unwrap();
            let mut heard = vec![0; 1_000 * 150];
            stream.read_exact(&mut heard).await.unwrap();
            heard
        };
        let using = async {
            client.shake_hands(std::iter::repeat(1_000)).await.unwrap();
            let (mut sent, mut updates) = (Vec::new(), 0);
            for seed in 0..1_000 {
                let plain = payload(150, seed);
                sent.extend_from_slice(&plain);
                // A record is 22 bytes longer than what is in it: before it lies what changes the keys.
                updates += usize::from(client.send(plain).await[0].0 > 150 + 22);
            }
            (sent, updates)
        };
        let (heard, (sent, updates)) = futures_util::future::join(serving, using).await;
        assert!(heard == sent, "all of 1 000 messages, in order");
        assert!(updates >= 50, "{updates} times in 1 000 records");
    });
}

#[test]
fn keys_of_tls_1_2_that_are_used_up_end_the_connection_with_a_reason() {
    use rustls::crypto::ring::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;

    let authority = Authority::new("Test CA");
    let identity = authority.of(&["node.example"], |_| {});
    let provider = short_lived(TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, 16);
    let client = TlsClient::load_with(&authority.trusted(), provider).unwrap();
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let mut client = Client::of(&client, URL, ours);
    let config = server(&identity, ONLY_12, |_| {});
    block_on(async {
        let serving = async {
            let mut stream = TlsAcceptor::new(config).accept(theirs).await.unwrap();
            let mut heard = Vec::new();
            let end = stream.read_to_end(&mut heard).await;
            (heard, end.is_ok())
        };
        let using = async {
            client.shake_hands(std::iter::repeat(1_000)).await.unwrap();
            for seed in 0..100 {
                let plain = SendBuf::Owned(payload(150, seed));
                let (wire, part) = client.tls.seal(plain, 0..150, &mut client.shared);
                let is_whole = client.tls.plain_len(part.len()) == 150;
                client.pipe.write_all(&wire.as_slice()[part]).await.unwrap();
                client.tls.sent(wire, &mut client.shared);
                let told = client.tls.over().map(|error| error.0);
                assert_eq!(is_whole, told.is_none(), "{told:?}");
                if let Some(told) = told {
                    assert!(told.contains("used up"), "{told}");
                    client.pipe.shutdown().await.unwrap();
                    return seed;
                }
            }
            panic!("keys are good for 16 records");
        };
        let ((heard, is_clean), sent) = futures_util::future::join(serving, using).await;
        // rustls says goodbye with the last record that it may send.
        let all: Vec<u8> = (0..sent).flat_map(|seed| payload(150, seed)).collect();
        assert!(
            (10..16).contains(&sent) && heard == all && is_clean,
            "{sent} messages, {}",
            heard.len()
        );
    });
}

/// A run of the program, and its result.
fn run(words: &[&str]) -> (Option<i32>, serde_json::Value, String) {
    let done = std::process::Command::new(env!("CARGO_BIN_EXE_fanstorm"))
        .args(words)
        .args(["--json", "-", "--drain", "2s"])
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&done.stderr).into_owned();
    let result = serde_json::from_slice(&done.stdout).unwrap_or_else(|_| panic!("{report}"));
    (done.status.code(), result, report)
}

#[test]
fn the_embedded_cluster_over_tls_is_accounted_for_like_the_one_without() {
    for words in [
        &["--cluster-tls", "--messages", "10,2000"][..],
        &["--cluster-tls", "--relay", "--messages", "2000", "--engine", "epoll"],
    ] {
        let (exit, result, report) = run(words);
        assert!(matches!(exit, Some(0 | 5)), "{exit:?}: {report}");
        for trial in result["trials"].as_array().unwrap() {
            let account = &trial["delivery"];
            assert_eq!(account["delivered"], account["expected"], "{account}");
            assert_eq!((&account["duplicate"], &account["corrupt"]), (&0.into(), &0.into()));
        }
        let connecting = &result["connecting"];
        assert_eq!(connecting["handshake_us"]["count"], 6, "{connecting}");
        let sessions = connecting["sessions"].as_array().unwrap();
        assert_eq!(sessions.len(), 3);
        assert!(sessions.iter().all(|session| session["version"] == "TLS 1.3"), "{connecting}");
        assert!(report.contains("TLS handshake"), "{report}");
    }
}

#[test]
fn what_the_embedded_cluster_drops_over_tls_is_missed() {
    let (exit, result, report) =
        run(&["--cluster-tls", "--messages", "2000", "--fault", "1:drop=5%", "--seed", "7"]);
    assert_eq!(exit, Some(1), "{report}");
    let account = &result["trials"][0]["delivery"];
    let count = |key: &str| account[key].as_u64().unwrap();
    assert!(count("missing") > 0, "{account}");
    assert_eq!(count("delivered") + count("missing"), count("expected"));
}
