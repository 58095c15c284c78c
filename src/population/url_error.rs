//! Why a text is not the URL of a node.
//!
//! Belongs here: the reasons, in words that say what to write instead. Does not: finding most of them (`nodes`).

use url::Url;

use super::shown_url::shown;

/// Why a text is not the URL of a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// No scheme: `127.0.0.1:8080`.
    #[error("`{0}` has no scheme: write ws://{0}")]
    NoScheme(String),
    /// `http://` or any other scheme.
    #[error("`{url}` is not a WebSocket URL: write ws://… or wss://… (the scheme is {scheme}://)")]
    Scheme {
        /// As written.
        url: String,
        /// Its scheme.
        scheme: String,
    },
    /// RFC 6455, section 3 forbids fragments; we send no credentials.
    #[error("`{url}` has a {part}, which a node's URL cannot have")]
    Part {
        /// As written.
        url: String,
        /// What it should not have.
        part: &'static str,
    },
    /// Port 0.
    #[error("`{0}` names port 0, on which nothing can listen")]
    PortZero(String),
    /// A discovery's `address` that is more than that.
    #[error("`{0}` is neither an IP address nor the name of a host")]
    Address(String),
    /// `fe80::1%eth0`.
    #[error("`{0}` names a zone (%…) of an IPv6 address, which is not supported yet")]
    Zone(String),
    /// Anything else.
    #[error("`{url}` is not a URL ({reason}): write ws://HOST:PORT/, an IPv6 address in brackets")]
    Malformed {
        /// As written.
        url: String,
        /// What the URL standard says.
        reason: String,
    },
}

impl UrlError {
    /// What a URL has that no node's may have.
    pub(super) fn of_parts(url: &Url, written: &str) -> Result<(), Self> {
        let part = if url.fragment().is_some() {
            "#fragment"
        } else if !url.username().is_empty() || url.password().is_some() {
            "user name or password"
        } else {
            return Ok(());
        };
        Err(Self::Part { url: written.to_owned(), part })
    }

    /// The same without what may be a secret in the URL.
    pub(super) fn without_secrets(self) -> Self {
        match self {
            Self::NoScheme(url) => Self::NoScheme(shown(&url)),
            Self::Scheme { scheme, url } => Self::Scheme { scheme, url: shown(&url) },
            Self::Part { url, part } => Self::Part { url: shown(&url), part },
            Self::PortZero(url) => Self::PortZero(shown(&url)),
            Self::Address(address) => Self::Address(shown(&address)),
            Self::Zone(url) => Self::Zone(shown(&url)),
            Self::Malformed { url, reason } => Self::Malformed { url: shown(&url), reason },
        }
    }
}
