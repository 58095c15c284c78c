//! Reads a discovery's answer: which nodes are active.
//!
//! Belongs here: the answer's shape. Does not: fetching it (`cli::discover`).

use std::fmt;
use std::str::FromStr;

use simd_json::BorrowedValue;
use simd_json::prelude::{ValueAsArray, ValueAsScalar, ValueObjectAccess};
use url::Url;

use crate::population::nodes::{NodeUrl, Scheme, UrlError};
use crate::population::shown_url::shown;

/// Where a discovery lists its nodes: `http://HOST:8080/api/clients`, or `https://`. Without a path, that
/// one is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoveryUrl {
    url: String,
    is_tls: bool,
}

impl DiscoveryUrl {
    /// The URL as it is asked for.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// It is asked over TLS.
    pub const fn is_tls(&self) -> bool {
        self.is_tls
    }
}

impl fmt::Display for DiscoveryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.url))
    }
}

/// Why a text is not the URL of a discovery.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryUrlError {
    /// A node's URL.
    #[error("`{0}` is a node, not a discovery: name it with --node")]
    Node(String),
    /// Anything else.
    #[error("`{0}` is not a URL: write http://HOST:PORT/api/clients")]
    Malformed(String),
}

impl FromStr for DiscoveryUrl {
    type Err = DiscoveryUrlError;

    fn from_str(text: &str) -> Result<Self, DiscoveryUrlError> {
        let text = text.trim().to_owned();
        let Ok(mut url) = Url::parse(&text) else {
            return Err(DiscoveryUrlError::Malformed(shown(&text)));
        };
        let is_tls = match url.scheme() {
            "http" => false,
            "https" => true,
            "ws" | "wss" => return Err(DiscoveryUrlError::Node(shown(&text))),
            _ => return Err(DiscoveryUrlError::Malformed(shown(&text))),
        };
        if url.path() == "/" && url.query().is_none() {
            url.set_path("/api/clients");
        }
        Ok(Self { url: url.into(), is_tls })
    }
}

/// Why an answer names no nodes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    /// The body is something else, a web page perhaps.
    #[error("the answer is not JSON (it begins with `{beginning}`)")]
    NotJson {
        /// The first characters of the body.
        beginning: String,
    },
    /// JSON of another shape.
    #[error("the answer has no list `activeNodes`: is this the discovery's /api/clients?")]
    NoList,
    /// No node has registered.
    #[error("the list `activeNodes` is empty: no node is registered with the discovery")]
    Empty,
    /// An entry without an address.
    #[error("entry {index} of `activeNodes` has no text `address`")]
    NoAddress {
        /// Place in the list, from 0.
        index: usize,
    },
    /// An entry without a port from 1 to 65535.
    #[error("entry {index} of `activeNodes` ({address}) has no `clientport` from 1 to 65535")]
    BadPort {
        /// Place in the list, from 0.
        index: usize,
        /// Its address.
        address: String,
    },
    /// An entry whose address makes no URL.
    #[error("entry {index} of `activeNodes`: {source}")]
    BadAddress {
        /// Place in the list, from 0.
        index: usize,
        /// What is wrong with it.
        source: UrlError,
    },
}

/// The nodes of an answer to `GET /api/clients`, which say nothing of the scheme, sorted: the discovery shuffles them on every
/// request, and a run must be repeatable. Parses in place, so the body is spoilt afterwards.
///
/// # Errors
/// When the body is not JSON of the expected shape, or lists nothing that can be connected to.
pub fn parse(body: &mut [u8], scheme: Scheme) -> Result<Vec<NodeUrl>, DiscoveryError> {
    let beginning = beginning(body);
    let answer =
        simd_json::to_borrowed_value(body).map_err(|_| DiscoveryError::NotJson { beginning })?;
    let list =
        answer.get("activeNodes").and_then(|l| l.as_array()).ok_or(DiscoveryError::NoList)?;
    let entries = list.iter().enumerate().map(|(index, entry)| node(scheme, index, entry));
    let mut nodes = entries.collect::<Result<Vec<_>, _>>()?;
    if nodes.is_empty() {
        return Err(DiscoveryError::Empty);
    }
    nodes.sort_by_key(NodeUrl::sort_key);
    Ok(nodes)
}

fn node(
    scheme: Scheme,
    index: usize,
    entry: &BorrowedValue<'_>,
) -> Result<NodeUrl, DiscoveryError> {
    let address = entry.get("address").and_then(|a| a.as_str());
    let address = address.ok_or(DiscoveryError::NoAddress { index })?;
    let port = entry.get("clientport").and_then(port);
    let port =
        port.ok_or_else(|| DiscoveryError::BadPort { index, address: address.to_owned() })?;
    NodeUrl::of_address(scheme, address, port)
        .map_err(|source| DiscoveryError::BadAddress { index, source })
}

/// A port as a number, or as the text of one.
fn port(value: &BorrowedValue<'_>) -> Option<u16> {
    let port = value.as_u16().or_else(|| value.as_str()?.parse().ok());
    port.filter(|&port| port != 0)
}

/// What a person needs to recognise a wrong answer: its first printable characters.
fn beginning(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(60)]);
    let shown = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(40);
    shown.collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use crate::population::discovery::*;
    use proptest::prelude::*;

    #[test]
    fn a_discovery_is_an_http_url_and_its_path_may_be_left_out() {
        for (text, url) in [
            ("http://127.0.0.1:8080/api/clients", "http://127.0.0.1:8080/api/clients"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/api/clients"),
            ("http://[::1]:8080/", "http://[::1]:8080/api/clients"),
            ("http://d.example/nodes?all=1", "http://d.example/nodes?all=1"),
            ("https://d.example", "https://d.example/api/clients"),
        ] {
            let parsed = text.parse::<DiscoveryUrl>().unwrap();
            assert_eq!((parsed.as_str(), parsed.is_tls()), (url, text.starts_with("https")));
        }
        for (text, hint) in [
            ("ws://127.0.0.1:1/", "--node"),
            ("127.0.0.1:8080", "write http://"),
            ("localhost:8080", "write http://"),
            ("", "write http://"),
        ] {
            let error = text.parse::<DiscoveryUrl>().unwrap_err().to_string();
            assert!(error.contains(hint), "{text}: {error}");
        }
    }

    fn urls(body: &str) -> Result<Vec<String>, String> {
        let nodes = parse(&mut body.as_bytes().to_vec(), Scheme::Ws).map_err(|e| e.to_string())?;
        Ok(nodes.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_answer_of_the_real_discovery_is_read_and_sorted() {
        let body = r#"{"activeNodes":[{"address":"::ffff:127.0.0.1","clientport":55003},{"address":"::ffff:127.0.0.1","clientport":55001},{"address":"::ffff:127.0.0.1","clientport":55002}]}"#;
        assert_eq!(
            urls(body).unwrap(),
            [
                "ws://[::ffff:127.0.0.1]:55001/",
                "ws://[::ffff:127.0.0.1]:55002/",
                "ws://[::ffff:127.0.0.1]:55003/"
            ]
        );
    }

    #[test]
    fn every_form_of_address_becomes_a_url() {
        let body = r#"{"activeNodes":[
            {"address":"node-b.example","clientport":"55004"},
            {"address":"::1","clientport":55003},
            {"address":"[fd00::2]","clientport":55002},
            {"address":"10.0.0.7","clientport":55001,"more":null}]}"#;
        let mut found = urls(body).unwrap();
        found.sort();
        assert_eq!(
            found,
            [
                "ws://10.0.0.7:55001/",
                "ws://[::1]:55003/",
                "ws://[fd00::2]:55002/",
                "ws://node-b.example:55004/"
            ]
        );
    }

    #[test]
    fn an_answer_that_names_no_nodes_says_why_in_one_line() {
        for (body, reason) in [
            ("<html>\n404", "not JSON (it begins with `<html> 404`)"),
            ("", "not JSON"),
            (r#"{"activeNodes":["#, "not JSON"),
            ("[]", "no list `activeNodes`"),
            ("{}", "no list `activeNodes`"),
            (r#"{"activeNodes":{}}"#, "no list `activeNodes`"),
            (r#"{"activeNodes":[]}"#, "is empty"),
            (r#"{"activeNodes":[{"clientport":1}]}"#, "entry 0 of `activeNodes` has no text"),
            (r#"{"activeNodes":[{"address":7,"clientport":1}]}"#, "has no text `address`"),
            (r#"{"activeNodes":[{"address":"::1"}]}"#, "(::1) has no `clientport` from 1"),
            (r#"{"activeNodes":[{"address":"::1","clientport":0}]}"#, "no `clientport` from 1"),
            (r#"{"activeNodes":[{"address":"::1","clientport":65536}]}"#, "no `clientport`"),
            (r#"{"activeNodes":[{"address":"::1","clientport":-1}]}"#, "no `clientport`"),
            (r#"{"activeNodes":[{"address":"::1","clientport":"x"}]}"#, "no `clientport`"),
            (r#"{"activeNodes":[{"address":"::zz","clientport":1}]}"#, "entry 0"),
        ] {
            let error = urls(body).unwrap_err();
            assert!(error.contains(reason), "{body}: {error}");
            assert_eq!(error.lines().count(), 1, "{body}: {error}");
        }
    }

    proptest! {
        #[test]
        fn the_order_of_the_answer_does_not_matter(ports in prop::collection::vec(1_u16.., 1..8)) {
            let body = |ports: &[u16]| {
                let entry = |p: &u16| format!(r#"{{"address":"127.0.0.{}","clientport":{p}}}"#, p % 9);
                let entries: Vec<_> = ports.iter().map(entry).collect();
                format!(r#"{{"activeNodes":[{}]}}"#, entries.join(","))
            };
            let reversed: Vec<u16> = ports.iter().rev().copied().collect();
            prop_assert_eq!(urls(&body(&ports)), urls(&body(&reversed)));
        }

        #[test]
        fn no_body_makes_the_parser_panic(mut body: Vec<u8>) {
            let _ = parse(&mut body, Scheme::Ws);
        }
    }
}
