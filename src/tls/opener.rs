//! Records of application data opened in place, beside `rustls`, which reads all others.
//!
//! Belongs here: the keys that `rustls` reads with, shared with it, and whose turn a record is. Does not: the bytes'
//! way (`engine::connection::transport`), sealing, and what any other record means, which is `rustls`' alone.
//!
//! `rustls` gives each record that it opens as a vector of its own, and has a state machine to go through for it. It
//! opens them by what its provider makes of a key: here that is shared, so that records of data can be opened with the
//! same key and the same numbers without it. A record that turns out to be something else, or wrong, is told to
//! `rustls` as what it is, when it comes to it.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, KeyBlockShape, MessageDecrypter,
    MessageEncrypter, Tls12AeadAlgorithm, Tls13AeadAlgorithm, UnsupportedOperationError,
};
use rustls::crypto::{CipherSuiteCommon, CryptoProvider, ring};
use rustls::{
    ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion, SupportedCipherSuite,
    Tls12CipherSuite, Tls13CipherSuite,
};

const HEADER_BYTES: usize = 5;

/// A record of data (RFC 8446, section 5.2; of TLS 1.2 it begins so, too).
const DATA: [u8; 3] = [23, 3, 3];

/// The most that a record of data may have behind its header, in either version (RFC 5246, section 6.2.3).
const PAYLOAD_BYTES_MAX: usize = (1 << 14) + 2_048;

thread_local! {
    /// The last one that was made on this thread: its connection takes it when `rustls` comes back.
    static MADE: RefCell<Option<Opener>> = const { RefCell::new(None) };
}

/// The ciphers of `ring`, whose keys for reading can be shared.
pub fn provider() -> CryptoProvider {
    static PROVIDER: LazyLock<CryptoProvider> = LazyLock::new(|| sharing(ring::default_provider()));
    PROVIDER.clone()
}

/// The same ciphers, with keys for reading that can be shared. What it makes lives as long as the program: `rustls`
/// wants suites that do.
pub fn sharing(provider: CryptoProvider) -> CryptoProvider {
    let suites = provider.cipher_suites.iter().map(|suite| match *suite {
        SupportedCipherSuite::Tls13(suite) => {
            let aead_alg = Box::leak(Box::new(Shared13(suite.aead_alg)));
            let common = CipherSuiteCommon { ..suite.common };
            let suite = Tls13CipherSuite { common, aead_alg, ..*suite };
            SupportedCipherSuite::Tls13(Box::leak(Box::new(suite)))
        }
        SupportedCipherSuite::Tls12(suite) => {
            let aead_alg = Box::leak(Box::new(Shared12(suite.aead_alg)));
            let common = CipherSuiteCommon { ..suite.common };
            let suite = Tls12CipherSuite { common, aead_alg, ..*suite };
            SupportedCipherSuite::Tls12(Box::leak(Box::new(suite)))
        }
    });
    CryptoProvider { cipher_suites: suites.collect(), ..provider }
}

/// What stopped an opener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// No whole record is left.
    NoMore,
    /// The next record is for `rustls`.
    AtAnother,
}

/// A connection's key for reading, shared with `rustls`.
#[derive(Clone)]
pub struct Opener(Arc<Mutex<Key>>);

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opener")
    }
}

impl Opener {
    /// The one that `rustls` has made on this thread since this was asked last.
    pub fn made() -> Option<Self> {
        MADE.take()
    }

    /// Opens records of data off the front of `wire` and adds what is in them to `plain`. How much of `wire` is done
    /// with.
    pub fn open(&self, wire: &mut [u8], plain: &mut Vec<u8>) -> (usize, Stopped) {
        let mut key = self.key();
        let mut done = 0;
        loop {
            let rest = &mut wire[done..];
            let Some((header, body)) = rest.split_first_chunk_mut::<HEADER_BYTES>() else {
                return (done, Stopped::NoMore);
            };
            let len = usize::from(u16::from_be_bytes([header[3], header[4]]));
            if !header.starts_with(&DATA) || !(1..=PAYLOAD_BYTES_MAX).contains(&len) {
                return (done, Stopped::AtAnother);
            }
            let Some(body) = body.get_mut(..len) else { return (done, Stopped::NoMore) };
            if !key.open(body, plain) {
                return (done, Stopped::AtAnother);
            }
            done += HEADER_BYTES + len;
        }
    }

    fn key(&self) -> MutexGuard<'_, Key> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Key {
    inner: Box<dyn MessageDecrypter>,
    /// Of the next record.
    number: u64,
    /// What came of a record that was opened, and is for `rustls`.
    found: Option<Result<Found, Error>>,
}

/// What a record is, and where in it that lies.
struct Found {
    typ: ContentType,
    version: ProtocolVersion,
    at: Range<usize>,
}

impl Key {
    /// Opens a record, and adds what is in it to `plain`. False where it is for `rustls`: it is no data, or none is in
    /// it (`rustls` counts those), or it is wrong.
    fn open(&mut self, body: &mut [u8], plain: &mut Vec<u8>) -> bool {
        let start = body.as_ptr() as usize;
        let record =
            InboundOpaqueMessage::new(ContentType::ApplicationData, ProtocolVersion::TLSv1_2, body);
        match self.inner.decrypt(record, self.number) {
            Ok(InboundPlainMessage { typ: ContentType::ApplicationData, payload, .. })
                if !payload.is_empty() =>
            {
                self.number += 1;
                plain.extend_from_slice(payload);
                true
            }
            Ok(other) => {
                self.number += 1;
                // One without bytes may lie anywhere.
                let start = match other.payload.is_empty() {
                    true => 0,
                    false => other.payload.as_ptr() as usize - start,
                };
                let at = start..start + other.payload.len();
                self.found = Some(Ok(Found { typ: other.typ, version: other.version, at }));
                false
            }
            Err(error) => {
                self.found = Some(Err(error));
                false
            }
        }
    }
}

/// What `rustls` has of a key.
struct Theirs(Opener);

impl MessageDecrypter for Theirs {
    /// It counts the records that it is given: the number is ours, since we have them all.
    fn decrypt<'a>(
        &mut self,
        record: InboundOpaqueMessage<'a>,
        _: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let mut key = self.0.key();
        if let Some(found) = key.found.take() {
            let Found { typ, version, at } = found?;
            let plain = record.into_plain_message_range(at);
            return Ok(InboundPlainMessage { typ, version, ..plain });
        }
        let number = key.number;
        let opened = key.inner.decrypt(record, number);
        key.number += u64::from(opened.is_ok());
        opened
    }
}

/// Shares a key with the connection that is being read on this thread.
fn share(inner: Box<dyn MessageDecrypter>) -> Box<dyn MessageDecrypter> {
    let opener = Opener(Arc::new(Mutex::new(Key { inner, number: 0, found: None })));
    MADE.set(Some(opener.clone()));
    Box::new(Theirs(opener))
}

struct Shared13(&'static dyn Tls13AeadAlgorithm);

impl Tls13AeadAlgorithm for Shared13 {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        self.0.encrypter(key, iv)
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        share(self.0.decrypter(key, iv))
    }

    fn key_len(&self) -> usize {
        self.0.key_len()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.0.extract_keys(key, iv)
    }

    fn fips(&self) -> bool {
        self.0.fips()
    }
}

struct Shared12(&'static dyn Tls12AeadAlgorithm);

impl Tls12AeadAlgorithm for Shared12 {
    fn encrypter(&self, key: AeadKey, iv: &[u8], extra: &[u8]) -> Box<dyn MessageEncrypter> {
        self.0.encrypter(key, iv, extra)
    }

    fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
        share(self.0.decrypter(key, iv))
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        self.0.key_block_shape()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: &[u8],
        explicit: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.0.extract_keys(key, iv, explicit)
    }

    fn fips(&self) -> bool {
        self.0.fips()
    }
}
