//! What went wrong, for a person: a clause to be read after the node's name.
//!
//! Belongs here: the words, and which flag is the way out. Does not: noticing it (`rustls`).

use rustls::pki_types::{ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

use super::verifier::{UnknownIssuer, untrusted};
use crate::host::clock::civil;
use crate::wire::excerpt::excerpt;

/// What `error` means. `first` are the first bytes that the node sent.
pub fn words(error: &Error, first: &[u8]) -> String {
    match error {
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::InvalidEmptyPayload,
        ) if !is_record(first) => plain_text(first),
        Error::InvalidCertificate(error) => certificate(error),
        Error::AlertReceived(alert) => alert_words(*alert),
        Error::PeerIncompatible(why) => incompatible(why),
        Error::NoCertificatesPresented => "the node showed no certificate".to_owned(),
        Error::NoApplicationProtocol => {
            "the node wants another protocol than http/1.1 (ALPN), without which there is no upgrade"
                .to_owned()
        }
        Error::DecryptError => "a record of the node was altered on its way (bad MAC)".to_owned(),
        other => format!("the node broke TLS: {other}"),
    }
}

/// A record of TLS of any version (RFC 8446, section 5.1).
fn is_record(bytes: &[u8]) -> bool {
    matches!(bytes, [0x14..=0x17, 0x03, ..])
}

fn plain_text(first: &[u8]) -> String {
    format!(
        "the port does not speak TLS: it answered the handshake with {}; ws:// is for ports without TLS",
        excerpt(first)
    )
}

fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => match untrusted() {
            Some(UnknownIssuer { issuer, is_self_signed: true }) => format!(
                "the certificate is made by itself ({issuer}) and nobody here trusts it: name it with \
                 --cacert FILE, or check nothing with --insecure"
            ),
            Some(UnknownIssuer { issuer, .. }) => format!(
                "unknown issuer: the certificate is made by {issuer}, whom nobody here trusts: name the \
                 issuer's certificate with --cacert FILE, or check nothing with --insecure"
            ),
            None => "unknown issuer of the certificate: name it with --cacert FILE".to_owned(),
        },
        CertificateError::Other(other) => match other.0.downcast_ref::<webpki::Error>() {
            Some(webpki::Error::CaUsedAsEndEntity) => AUTHORITY_AS_NODE.to_owned(),
            _ => format!("the certificate is not valid: {}", other.0),
        },
        CertificateError::Expired => "the certificate has expired".to_owned(),
        CertificateError::ExpiredContext { time, not_after } => format!(
            "the certificate expired on {} (it is {} here): renew it, or check nothing with --insecure",
            date(*not_after),
            date(*time)
        ),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "the certificate is not valid before {} (it is {} here): is a clock wrong?",
            date(*not_before),
            date(*time)
        ),
        CertificateError::NotValidForNameContext { expected, presented } => {
            wrong_name(expected, presented)
        }
        CertificateError::InvalidPurposeContext { .. } | CertificateError::InvalidPurpose => {
            "the certificate is not for servers (its extended key usage lacks serverAuth)"
                .to_owned()
        }
        CertificateError::BadEncoding => "the certificate cannot be read".to_owned(),
        CertificateError::BadSignature => "a signature of the certificate is wrong".to_owned(),
        other => format!("the certificate is not valid: {other}"),
    }
}

/// What `openssl req -x509` makes unless it is told otherwise.
const AUTHORITY_AS_NODE: &str = "the node shows the certificate of an authority (CA:TRUE) as its own, as `openssl req -x509` makes it: \
     make it with -addext basicConstraints=critical,CA:FALSE, or check nothing with --insecure";

fn wrong_name(expected: &ServerName<'_>, presented: &[String]) -> String {
    // As rustls writes them: DnsName("example.org"), IpAddress(127.0.0.1).
    let name = |text: &String| {
        let inner = text.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
        inner.unwrap_or(text).trim_matches('"').to_owned()
    };
    let names: Vec<_> = presented.iter().take(NAMES_SHOWN).map(name).collect();
    let more = presented.len().saturating_sub(NAMES_SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let got = match names.is_empty() {
        true => "no name (subjectAltName)".to_owned(),
        false => format!("{}{more}", excerpt(names.join(", ").as_bytes())),
    };
    format!(
        "the certificate is for another name: wanted {}, got {got}: --sni says which name to ask for",
        expected.to_str()
    )
}

/// A certificate may be for thousands.
const NAMES_SHOWN: usize = 4;

fn alert_words(alert: AlertDescription) -> String {
    let wants = "the node wants a certificate of ours: --cert FILE and --key FILE name one";
    match alert {
        AlertDescription::CertificateRequired => wants.to_owned(),
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
            "the node refused the handshake: no cipher suite in common, or it wants a certificate of ours \
             (--cert, --key)"
                .to_owned()
        }
        AlertDescription::ProtocolVersion => NO_VERSION.to_owned(),
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied => format!(
            "the node does not take our certificate (--cert): it said {}",
            alert_name(alert)
        ),
        AlertDescription::UnrecognisedName => {
            "the node knows no such name: --sni says which one to ask for".to_owned()
        }
        AlertDescription::NoApplicationProtocol => {
            "the node speaks no http/1.1 here (ALPN), without which there is no upgrade".to_owned()
        }
        other => format!("the node ended TLS with the alert {}", alert_name(other)),
    }
}

/// `unknown_ca`, as RFC 8446 spells it, from the library's `UnknownCA`.
fn alert_name(alert: AlertDescription) -> String {
    let mut name = String::new();
    let mut was_lower = false;
    for c in format!("{alert:?}").chars() {
        if c.is_ascii_uppercase() && was_lower {
            name.push('_');
        }
        was_lower = c.is_ascii_lowercase();
        name.push(c.to_ascii_lowercase());
    }
    name
}

const NO_VERSION: &str =
    "no version of TLS in common: we speak 1.2 and 1.3, or with --tls-min 1.3 that alone";

fn incompatible(why: &PeerIncompatible) -> String {
    match why {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::SupportedVersionsExtensionRequired => NO_VERSION.to_owned(),
        PeerIncompatible::NoCipherSuitesInCommon => {
            "no cipher suite in common: we speak those with forward secrecy and AEAD (ECDHE with AES-GCM or \
             ChaCha20-Poly1305)"
                .to_owned()
        }
        PeerIncompatible::NoKxGroupsInCommon => {
            "no key exchange in common: we speak X25519, P-256 and P-384".to_owned()
        }
        other => format!("the node's TLS and ours do not go together: {other:?}"),
    }
}

/// `2026-11-27 14:05 UTC`.
fn date(time: UnixTime) -> String {
    let (days, second) = (time.as_secs() / 86_400, time.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute) = (second / 3_600, second / 60 % 60);
    format!("{year:04}-{:02}-{day:02} {hour:02}:{minute:02} UTC", month + 1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_date_is_written_as_people_sort_it() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        assert_eq!(date(at(0)), "1970-01-01 00:00 UTC");
        assert_eq!(date(at(1_709_164_859)), "2024-02-29 00:00 UTC");
    }

    #[test]
    fn an_alert_is_named_as_the_standard_names_it() {
        assert_eq!(alert_name(AlertDescription::CertificateRequired), "certificate_required");
        assert_eq!(alert_name(AlertDescription::UnknownCA), "unknown_ca");
    }

    #[test]
    fn a_node_that_wants_a_certificate_is_told_by_the_flags_that_name_one() {
        for alert in [
            AlertDescription::CertificateRequired,
            AlertDescription::HandshakeFailure,
            AlertDescription::UnknownCA,
        ] {
            let told = words(&Error::AlertReceived(alert), &[]);
            assert!(told.contains("--cert"), "{told}");
        }
    }

    #[test]
    fn a_port_without_tls_is_told_by_what_it_said() {
        let error = Error::InvalidMessage(InvalidMessage::InvalidContentType);
        let told = words(&error, b"HTTP/1.1 400 Bad Request\r\n");
        assert!(told.contains("`HTTP/1.1 400 Bad Request`") && told.contains("ws://"), "{told}");
    }
}
