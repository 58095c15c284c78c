//! What a node is spoken to over, as its URL begins.
//!
//! Belongs here: the schemes, and whom a certificate must be for. Does not: the rest of a URL (`nodes`).

use std::net::IpAddr;

use rustls::pki_types::ServerName;
use url::Host;

use super::url_error::UrlError;

/// What lies between a node and us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `ws://`: nothing.
    Ws,
    /// `wss://`: TLS.
    Wss,
}

impl Scheme {
    /// As it begins a URL.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }
}

/// What a certificate must be for.
pub(super) fn server_name(
    host: &Host<String>,
    ip: Option<IpAddr>,
    written: &str,
) -> Result<ServerName<'static>, UrlError> {
    let name = match (host, ip) {
        (_, Some(ip)) => Ok(ServerName::IpAddress(ip.into())),
        (Host::Domain(name), None) => ServerName::try_from(name.trim_end_matches('.').to_owned()),
        (Host::Ipv4(_) | Host::Ipv6(_), None) => unreachable!("addresses are addresses"),
    };
    let refused = |_| UrlError::Malformed {
        url: written.to_owned(),
        reason: "no certificate can be for this host".to_owned(),
    };
    name.map_err(refused)
}
