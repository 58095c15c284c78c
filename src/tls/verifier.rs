//! Who checks a node's certificate.
//!
//! Belongs here: what the check of the library does not tell, and the one that checks nothing. Does not: the
//! check itself (`rustls`), its words (`words`).

use std::cell::Cell;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::distinguished_name::readable;

/// A certificate is not trusted since nobody that we trust made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnknownIssuer {
    pub(super) issuer: String,
    /// It made itself.
    pub(super) is_self_signed: bool,
}

thread_local! {
    /// Of the last certificate that this thread did not trust. An error of the library that carries more than
    /// `UnknownIssuer` is told to the node as `certificate_unknown`, and not as the `unknown_ca` that it is (RFC 8446,
    /// section 6.2); whoever gets the error asks here before anything else is checked.
    static UNTRUSTED: Cell<Option<UnknownIssuer>> = const { Cell::new(None) };
}

/// Who made the certificate that was not trusted last, asked once.
pub(super) fn untrusted() -> Option<UnknownIssuer> {
    UNTRUSTED.take()
}

/// Checks as the library does, and says who made what it does not trust.
#[derive(Debug)]
pub(super) struct Named {
    inner: Arc<WebPkiServerVerifier>,
}

impl Named {
    pub(super) const fn new(inner: Arc<WebPkiServerVerifier>) -> Self {
        Self { inner }
    }
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.inner.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verified {
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
                // The last of a chain names who is missing.
                let last = intermediates.last().unwrap_or(end_entity);
                UNTRUSTED.set(unknown_issuer(last));
                verified
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

fn unknown_issuer(of: &CertificateDer<'_>) -> Option<UnknownIssuer> {
    let certificate = webpki::EndEntityCert::try_from(of).ok()?;
    let issuer = readable(certificate.issuer());
    let is_self_signed = certificate.issuer() == certificate.subject();
    Some(UnknownIssuer { issuer, is_self_signed })
}

/// Takes any certificate; only that the peer has its key is checked.
#[derive(Debug)]
pub(super) struct Unverified {
    algorithms: WebPkiSupportedAlgorithms,
}

impl Unverified {
    pub(super) fn new(provider: &CryptoProvider) -> Self {
        Self { algorithms: provider.signature_verification_algorithms }
    }
}

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
