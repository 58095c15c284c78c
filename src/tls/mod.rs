//! TLS as a client: whom to trust, who we are, and what went wrong in words that a person can act on.
//!
//! Belongs here: what `rustls` is told, its keys and reading certificates, and its errors in words. Does not: the way of
//! records and sockets (`engine::connection::transport`), flags (`cli::tls_args`).

mod distinguished_name;
pub mod opener;
mod verifier;
pub mod words;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::{ClientSessionMemoryCache, Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ClientConfig, Error, InconsistentKeys, RootCertStore, SupportedProtocolVersion, version,
};
use zeroize::Zeroizing;

use self::verifier::{Named, Unverified};
use crate::host::io_words::unread;

/// What is spoken inside: HTTP/2 has another upgrade (RFC 8441).
const ALPN: &[u8] = b"http/1.1";

/// The most plaintext of a record (RFC 8446, section 5.1): of one that we send, too.
pub const RECORD_BYTES: usize = 1 << 14;

/// Names whose tickets are kept, where sessions are resumed: nodes of a cluster.
const NAMES_RESUMED: usize = 1_024;

/// The longest file of certificates that is read: a bundle of all public authorities has 0.2 MiB.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// The oldest version that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinVersion {
    /// 1.2 and 1.3.
    #[default]
    Tls12,
    /// 1.3 alone.
    Tls13,
}

impl MinVersion {
    /// As a person writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }

    fn versions(self) -> Vec<&'static SupportedProtocolVersion> {
        match self {
            Self::Tls12 => vec![&version::TLS13, &version::TLS12],
            Self::Tls13 => vec![&version::TLS13],
        }
    }
}

/// What is asked for of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// A file of certificates to trust, or a directory of such files, in place of this host's.
    pub cacert: Option<PathBuf>,
    /// The certificate of the embedded cluster in PEM, to trust it alone where nothing else is asked for.
    pub embedded: Option<String>,
    /// Any certificate is taken.
    pub insecure: bool,
    /// Our own certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The oldest version that is spoken.
    pub min_version: MinVersion,
    /// Sessions are resumed; else every handshake is a full one, as of a client that comes for the first time.
    pub resume: bool,
    /// The name that is asked for and that the certificate must be for, where it is not the host's.
    pub server_name: Option<ServerName<'static>>,
}

/// Why nothing can be said over TLS.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// A file that a flag names.
    #[error("{flag} {}: {reason}", path.display())]
    File {
        /// The flag.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// This host trusts nobody.
    #[error(
        "this host has no certificates of authorities to trust ({0}): name them with --cacert FILE, or check \
         nothing with --insecure"
    )]
    NoRoots(String),
}

impl TlsError {
    fn file(flag: &'static str, path: &Path, reason: impl fmt::Display) -> Self {
        Self::File { flag, path: path.to_owned(), reason: reason.to_string() }
    }
}

/// A client that knows whom to trust.
#[derive(Clone, Debug)]
pub struct TlsClient {
    options: TlsOptions,
    config: Arc<ClientConfig>,
}

impl TlsClient {
    /// Reads what `options` name.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn load(options: &TlsOptions) -> Result<Self, TlsError> {
        Self::load_with(options, opener::provider())
    }

    /// The same with another provider of ciphers: tests have some whose keys are soon used up, or are not shared.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn load_with(options: &TlsOptions, provider: CryptoProvider) -> Result<Self, TlsError> {
        let provider = Arc::new(provider);
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&options.min_version.versions())
            .expect("the provider has a suite of a version that is spoken")
            .dangerous();
        let builder = if options.insecure {
            builder.with_custom_certificate_verifier(Arc::new(Unverified::new(&provider)))
        } else {
            builder.with_custom_certificate_verifier(Arc::new(verifier(options, provider)?))
        };
        let mut config = match &options.identity {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let chain = certificates("--cert", cert)?;
                let identity = identity(chain, &*private_key(key)?)
                    .map_err(|error| TlsError::file("--key", key, error))?;
                builder.with_client_cert_resolver(Arc::new(identity))
            }
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Self { options: options.clone(), config: Arc::new(config) })
    }

    /// What was asked for.
    pub const fn options(&self) -> &TlsOptions {
        &self.options
    }

    /// For one worker: tickets are behind a lock, so each has its own.
    pub fn config(&self) -> Arc<ClientConfig> {
        if !self.options.resume {
            return Arc::clone(&self.config);
        }
        let mut config = ClientConfig::clone(&self.config);
        let tickets = ClientSessionMemoryCache::new(NAMES_RESUMED);
        config.resumption = Resumption::store(Arc::new(tickets));
        Arc::new(config)
    }
}

/// A certificate with its key, which is borrowed: the library would not wipe it.
fn identity(
    chain: Vec<CertificateDer<'static>>,
    key: &PrivateKeyDer<'static>,
) -> Result<SingleCertAndKey, Error> {
    let certified = CertifiedKey::new(chain, ring::sign::any_supported_type(key)?);
    match certified.keys_match() {
        // Not every kind of key can tell.
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified.into()),
        Err(error) => Err(error),
    }
}

fn verifier(options: &TlsOptions, provider: Arc<CryptoProvider>) -> Result<Named, TlsError> {
    let roots = match (&options.cacert, &options.embedded) {
        (Some(path), _) => named_roots(path)?,
        (None, Some(certificate)) => {
            let mut roots = RootCertStore::empty();
            let certificates = CertificateDer::pem_slice_iter(certificate.as_bytes()).flatten();
            roots.add_parsable_certificates(certificates);
            roots
        }
        (None, None) => system_roots()?,
    };
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    Ok(Named::new(inner.build().expect("there are roots, and no revocation lists")))
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Some of a host's are odd; the others do.
    roots.add_parsable_certificates(found.certs);
    if !roots.is_empty() {
        return Ok(roots);
    }
    let why = found.errors.first().map_or_else(|| "none found".to_owned(), ToString::to_string);
    Err(TlsError::NoRoots(why))
}

fn named_roots(path: &Path) -> Result<RootCertStore, TlsError> {
    const FLAG: &str = "--cacert";
    let mut roots = RootCertStore::empty();
    let mut add = |file: &Path| {
        for certificate in certificates(FLAG, file)? {
            roots.add(certificate).map_err(|error| TlsError::file(FLAG, file, error))?;
        }
        Ok(())
    };
    if !path.is_dir() {
        add(path)?;
        return Ok(roots);
    }
    let failed = |error: std::io::Error| TlsError::file(FLAG, path, unread(&error));
    for entry in fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        // Beside certificates lie keys, lists and notes: what is no certificate is passed over.
        if file.is_file() && certificates(FLAG, &file).is_ok() {
            add(&file)?;
        }
    }
    if roots.is_empty() {
        return Err(TlsError::file(FLAG, path, "no file in it holds a certificate (PEM)"));
    }
    Ok(roots)
}

/// At least one.
fn certificates(flag: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |reason: String| TlsError::file(flag, path, reason);
    let text = read(flag, path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match all {
        Ok(all) if all.is_empty() => {
            Err(failed("there is no certificate in it (PEM: -----BEGIN CERTIFICATE-----)".into()))
        }
        Ok(all) => Ok(all),
        Err(error) => Err(failed(format!("it is no file of certificates: {error}"))),
    }
}

/// Wiped from memory when it was read: what signs with it keeps it in a form of its own.
fn private_key(path: &Path) -> Result<Zeroizing<PrivateKeyDer<'static>>, TlsError> {
    const FLAG: &str = "--key";
    let text = Zeroizing::new(read(FLAG, path)?);
    let none =
        "there is no private key in it (PEM, without a password: -----BEGIN PRIVATE KEY-----)";
    let key = PrivateKeyDer::from_pem_slice(&text);
    key.map(Zeroizing::new).map_err(|_| TlsError::file(FLAG, path, none))
}

fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |error: std::io::Error| TlsError::file(flag, path, unread(&error));
    if fs::metadata(path).map_err(failed)?.len() > FILE_BYTES_MAX {
        return Err(TlsError::file(flag, path, "it is larger than 16 MiB"));
    }
    fs::read(path).map_err(failed)
}
