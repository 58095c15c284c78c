//! Asks a discovery for its nodes.
//!
//! Belongs here: one HTTP request, bounded in time and size. Does not: reading the answer
//! (`population::discovery`), TLS below it (`tls`).

mod tls;

use std::io::{self, ErrorKind};

use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector as _, TcpConnector};

use self::tls::{Refused, TlsConnector};
use crate::cli::tls_args::TlsArgs;
use crate::host::io_words::unnumbered;
use crate::population::discovery;
use crate::population::discovery::{DiscoveryError, DiscoveryUrl};
use crate::population::nodes::NodeUrl;
use crate::population::shown_url::shown;
use crate::tls::{TlsClient, TlsError};
use crate::units::{Bytes, Nanos};

/// A discovery that has moved may say where to, but not for ever.
const REDIRECTS: u32 = 3;

/// Why a discovery named no nodes: its URL, the phase, and what came.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// Certificates cannot be read.
    #[error(transparent)]
    Trust(#[from] TlsError),
    /// No connection.
    #[error("discovery {url}: connect: {reason}")]
    Connect {
        /// As asked for.
        url: String,
        /// What the system said.
        reason: String,
    },
    /// A connection, but no TLS on it.
    #[error("discovery {url}: handshake: {reason}")]
    Handshake {
        /// As asked for.
        url: String,
        /// What was wrong.
        reason: String,
    },
    /// A connection, but no answer.
    #[error("discovery {url}: answer: {reason}")]
    Answer {
        /// As asked for.
        url: String,
        /// What was wrong.
        reason: String,
    },
    /// An answer other than 200.
    #[error("discovery {url}: answer: {status}")]
    Status {
        /// As asked for.
        url: String,
        /// Code and reason.
        status: String,
    },
    /// A 200 that lists no nodes.
    #[error("discovery {url}: list: {source}")]
    List {
        /// As asked for.
        url: String,
        /// What was wrong.
        source: DiscoveryError,
    },
}

/// The nodes that a discovery lists, sorted.
///
/// # Errors
/// When it cannot be reached within `timeout`, or does not answer with a list of nodes, of `most` at most.
pub fn nodes(
    url: &DiscoveryUrl,
    tls: &TlsArgs,
    timeout: Nanos,
    most: Bytes,
) -> Result<Vec<NodeUrl>, DiscoverError> {
    let client = url.is_tls().then(|| TlsClient::load(&tls.options())).transpose()?;
    let mut body = fetch(url.as_str(), client.as_ref(), timeout, most)?;
    discovery::parse(&mut body, tls.scheme_of_nodes(url))
        .map_err(|source| DiscoverError::List { url: url.to_string(), source })
}

fn fetch(
    url: &str,
    client: Option<&TlsClient>,
    timeout: Nanos,
    most: Bytes,
) -> Result<Vec<u8>, DiscoverError> {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(timeout.into()))
        .http_status_as_error(false)
        // The cluster under test is reached directly or not at all: a proxy would not carry the
        // run, so it must not carry the list of nodes either.
        .proxy(None)
        .max_redirects(REDIRECTS)
        .user_agent(concat!("fanstorm/", env!("CARGO_PKG_VERSION")))
        .build();
    let failed = |error| failure(url, (timeout, most), error);
    let connector = ().chain(TcpConnector::default()).chain(TlsConnector::new(client));
    let agent = ureq::Agent::with_parts(config, connector, DefaultResolver::default());
    let mut answer = agent.get(url).call().map_err(failed)?;
    if answer.status() != 200 {
        return Err(DiscoverError::Status { url: shown(url), status: answer.status().to_string() });
    }
    let body = answer.body_mut().with_config().limit(most.0);
    body.read_to_vec().map_err(failed)
}

fn failure(url: &str, (timeout, most): (Nanos, Bytes), error: ureq::Error) -> DiscoverError {
    let url = shown(url);
    let reason = match &error {
        ureq::Error::Timeout(_) => format!("none within {timeout} (--connect-timeout)"),
        ureq::Error::BodyExceedsLimit(_) => format!("larger than {most} (--max-discovery-bytes)"),
        error => error.to_string(),
    };
    match error {
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => {
            DiscoverError::Connect { url, reason }
        }
        ureq::Error::Io(error) => io_failure(url, &error),
        ureq::Error::Other(other) if other.is::<Refused>() => {
            DiscoverError::Handshake { url, reason: other.to_string() }
        }
        _ => DiscoverError::Answer { url, reason },
    }
}

/// An error of the system comes before the connection, or it is the end of one.
fn io_failure(url: String, error: &io::Error) -> DiscoverError {
    let reason = unnumbered(error);
    match error.kind() {
        ErrorKind::UnexpectedEof => {
            DiscoverError::Answer { url, reason: "the connection was closed before its end".into() }
        }
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            DiscoverError::Answer { url, reason }
        }
        ErrorKind::ConnectionRefused => {
            DiscoverError::Connect { url, reason: format!("{reason}: is it running?") }
        }
        _ => DiscoverError::Connect { url, reason },
    }
}
