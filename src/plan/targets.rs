//! Which nodes there are, and which of them takes the pushes.
//!
//! Belongs here: reading node URLs, turning them into addresses, choosing the push node. Does not:
//! fetching a discovery's list (`cli::discover`); name resolution is a function that is passed in.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use url::{Host, Url};

use super::notice::Notice;

/// Why a text is not the URL of a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// No scheme: `127.0.0.1:8080`.
    #[error("`{0}` has no scheme: write ws://{0}")]
    NoScheme(String),
    /// `wss://`.
    #[error("`{0}` asks for TLS, which is not supported yet: use the node's ws:// port")]
    Tls(String),
    /// `http://` or any other scheme.
    #[error("`{url}` is not a WebSocket URL: write ws://… (the scheme is {scheme}://)")]
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
    /// Anything else.
    #[error("`{url}` is not a URL ({reason}): write ws://HOST:PORT/, an IPv6 address in brackets")]
    Malformed {
        /// As written.
        url: String,
        /// What the URL standard says.
        reason: String,
    },
}

/// Why there is no node to talk to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The name service did not answer with an address.
    #[error("cannot resolve the host of {url}: {reason}")]
    Unresolved {
        /// The node.
        url: String,
        /// What the resolver said.
        reason: String,
    },
    /// `--push-node 7` of three nodes.
    #[error(
        "--push-node {index}: there {} only {nodes} node{}, numbered from 0",
        if *.nodes == 1 { "is" } else { "are" }, if *.nodes == 1 { "" } else { "s" }
    )]
    NoSuchIndex {
        /// As asked.
        index: usize,
        /// How many there are.
        nodes: usize,
    },
    /// `--push-node ws://…` of a node that is not in the list.
    #[error("--push-node {url} is none of the nodes: {nodes}")]
    NoSuchNode {
        /// As asked.
        url: String,
        /// The nodes, separated by commas.
        nodes: String,
    },
}

/// One node of the cluster under test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The node's WebSocket URL as a person would write it; names the node in every message.
    pub url: String,
    /// Where to connect.
    pub addr: SocketAddr,
    /// Value of the upgrade request's `Host` header.
    pub host: String,
    /// Request target of the upgrade: path and query, beginning with `/`.
    pub target: String,
}

/// A node's URL, read but not yet resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeUrl {
    /// As written.
    written: String,
    host: Host<String>,
    port: u16,
    /// Value of the `Host` header: an address stays as it was written.
    host_header: String,
    target: String,
}

impl NodeUrl {
    /// The URL of a node that a discovery lists by address and port. Brackets an IPv6 address.
    ///
    /// # Errors
    /// When the address is neither an IP address nor a host name.
    pub fn of_address(address: &str, port: u16) -> Result<Self, UrlError> {
        let bare = address.trim_start_matches('[').trim_end_matches(']');
        let v6 = bare.contains(':');
        let url =
            if v6 { format!("ws://[{bare}]:{port}/") } else { format!("ws://{bare}:{port}/") };
        url.parse()
    }

    /// The port, written or 80.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Orders a shuffled list: addresses before names, then by port.
    pub(super) fn sort_key(&self) -> (bool, Option<IpAddr>, String, u16) {
        let ip = self.ip();
        let name = if ip.is_some() { String::new() } else { self.host.to_string() };
        (ip.is_none(), ip, name, self.port)
    }

    /// The address, if it was written as one. A mapped one becomes the IPv4 address inside it,
    /// which also works on hosts without IPv6.
    fn ip(&self) -> Option<IpAddr> {
        match &self.host {
            Host::Ipv4(ip) => Some(IpAddr::V4(*ip)),
            Host::Ipv6(ip) => Some(ip.to_canonical()),
            Host::Domain(_) => None,
        }
    }

    /// Where it leads, if its host was written as an address.
    pub fn address(&self) -> Option<SocketAddr> {
        self.ip().map(|ip| SocketAddr::new(ip, self.port))
    }

    /// Looks the host up, if it is a name.
    fn resolve(&self, resolver: &Resolver<'_>) -> Result<Node, TargetError> {
        let addr = match (self.address(), &self.host) {
            (Some(addr), _) => addr,
            (None, host) => self.look_up(&host.to_string(), resolver)?,
        };
        Ok(Node {
            url: self.written.clone(),
            addr,
            host: self.host_header.clone(),
            target: self.target.clone(),
        })
    }

    fn look_up(&self, name: &str, resolver: &Resolver<'_>) -> Result<SocketAddr, TargetError> {
        let unresolved =
            |reason: String| TargetError::Unresolved { url: self.written.clone(), reason };
        let found = resolver(name, self.port).map_err(|e| unresolved(e.to_string()))?;
        found.first().copied().ok_or_else(|| unresolved("it has no address".to_owned()))
    }
}

impl fmt::Display for NodeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl FromStr for NodeUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let written = text.trim().to_owned();
        let Some((scheme, rest)) = written.split_once("://") else {
            return Err(UrlError::NoScheme(written));
        };
        match scheme.to_ascii_lowercase().as_str() {
            "ws" => {}
            "wss" => return Err(UrlError::Tls(written)),
            other => {
                return Err(UrlError::Scheme { scheme: other.to_owned(), url: written });
            }
        }
        let url = Url::parse(&written)
            .map_err(|e| UrlError::Malformed { url: written.clone(), reason: e.to_string() })?;
        refuse_parts(&url, &written)?;
        let port = url.port_or_known_default().unwrap_or(80);
        if port == 0 {
            return Err(UrlError::PortZero(written));
        }
        let host = url.host().expect("a ws URL has a host").to_owned();
        let name = match &host {
            Host::Ipv6(_) => bracketed(rest),
            other => other.to_string(),
        };
        // RFC 6455, section 4.1: the port is in the header only when it is not the default.
        let host_header = url.port().map_or_else(|| name.clone(), |port| format!("{name}:{port}"));
        let query = url.query().map(|q| format!("?{q}")).unwrap_or_default();
        let target = format!("{}{query}", url.path());
        Ok(Self { written, host, port, host_header, target })
    }
}

fn refuse_parts(url: &Url, written: &str) -> Result<(), UrlError> {
    let part = if url.fragment().is_some() {
        "#fragment"
    } else if !url.username().is_empty() || url.password().is_some() {
        "user name or password"
    } else {
        return Ok(());
    };
    Err(UrlError::Part { url: written.to_owned(), part })
}

/// The bracketed host of an authority, as it was written: the parser would rewrite the dotted quad
/// of a mapped address in hexadecimal.
fn bracketed(authority: &str) -> String {
    authority.find(']').map_or(authority, |end| &authority[..=end]).to_owned()
}

/// Looks up a name; `std::net::ToSocketAddrs` outside of tests.
pub type Resolver<'a> = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + 'a;

/// Which node takes the pushes, as asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PushNode {
    /// Nobody said: the first one.
    #[default]
    First,
    /// Its place in the list, counted from 0.
    Index(usize),
    /// Its URL.
    Url(NodeUrl),
}

impl FromStr for PushNode {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        text.trim().parse().map_or_else(|_| text.parse().map(Self::Url), |i| Ok(Self::Index(i)))
    }
}

/// At least one node, no node twice, and the one that takes the pushes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    pub(super) nodes: Vec<Node>,
    pub(super) push_node: usize,
}

impl Targets {
    /// Resolves the URLs and finds the push node among them. A node that is listed twice is taken
    /// once, with a notice: two receive sockets to it would be counted as two nodes.
    ///
    /// # Errors
    /// An unknown host name, or a push node that is not in the list.
    ///
    /// # Panics
    /// Without any URL: whoever makes the list refuses an empty one, and says where it came from.
    pub fn new(
        urls: &[NodeUrl],
        push_node: &PushNode,
        resolver: &Resolver<'_>,
        notices: &mut Vec<Notice>,
    ) -> Result<Self, TargetError> {
        assert!(!urls.is_empty(), "no node URLs");
        let mut nodes: Vec<Node> = Vec::with_capacity(urls.len());
        let mut same: Option<Notice> = None;
        for url in urls {
            let node = url.resolve(resolver)?;
            match nodes.iter().find(|n| same_node(n, &node)) {
                // A discovery may list thousands: they are one line.
                Some(first) => match &mut same {
                    Some(Notice::SameNode { more, .. }) => *more += 1,
                    _ => {
                        let (url, first) = (node.url, first.url.clone());
                        same = Some(Notice::SameNode { url, first, more: 0 });
                    }
                },
                None => nodes.push(node),
            }
        }
        notices.extend(same);
        let push_node = find_push_node(&nodes, push_node, resolver)?;
        Ok(Self { nodes, push_node })
    }

    /// Where pushes go.
    pub fn push_addr(&self) -> SocketAddr {
        self.nodes[self.push_node].addr
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Never: a target list has at least one node.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

fn same_node(a: &Node, b: &Node) -> bool {
    a.addr == b.addr && a.target == b.target
}

fn find_push_node(
    nodes: &[Node],
    asked: &PushNode,
    resolver: &Resolver<'_>,
) -> Result<usize, TargetError> {
    match asked {
        PushNode::First => Ok(0),
        PushNode::Index(index) if *index < nodes.len() => Ok(*index),
        PushNode::Index(index) => {
            Err(TargetError::NoSuchIndex { index: *index, nodes: nodes.len() })
        }
        PushNode::Url(url) => {
            let node = url.resolve(resolver)?;
            let found = nodes.iter().position(|n| same_node(n, &node));
            found.ok_or_else(|| TargetError::NoSuchNode {
                url: url.to_string(),
                nodes: nodes.iter().map(|n| n.url.as_str()).collect::<Vec<_>>().join(", "),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> NodeUrl {
        text.parse().unwrap()
    }

    fn no_names(name: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        Err(io::Error::other(format!("no name service for {name} in this test")))
    }

    fn node(text: &str) -> Node {
        url(text).resolve(&no_names).unwrap()
    }

    #[test]
    fn every_address_form_leads_to_an_address_a_host_header_and_a_target() {
        for (text, addr, host, target) in [
            ("ws://127.0.0.1:55001", "127.0.0.1:55001", "127.0.0.1:55001", "/"),
            ("ws://127.0.0.1/", "127.0.0.1:80", "127.0.0.1", "/"),
            ("ws://127.0.0.1:80/chat?room=1", "127.0.0.1:80", "127.0.0.1", "/chat?room=1"),
            ("ws://[::1]:9001/a b", "[::1]:9001", "[::1]:9001", "/a%20b"),
            ("WS://[::1]/?x", "[::1]:80", "[::1]", "/?x"),
            ("ws://[::ffff:127.0.0.1]:55003/", "127.0.0.1:55003", "[::ffff:127.0.0.1]:55003", "/"),
        ] {
            let node = node(text);
            let addr: SocketAddr = addr.parse().unwrap();
            assert_eq!((node.addr, node.host.as_str(), node.target.as_str()), (addr, host, target));
            assert_eq!(node.url, text, "the node is named as it was given");
        }
    }

    #[test]
    fn a_host_name_is_looked_up_with_its_port() {
        let resolver = |name: &str, port: u16| {
            assert_eq!(name, "chat.example");
            Ok(vec![SocketAddr::from(([10, 0, 0, 7], port))])
        };
        let node = url("ws://chat.example:8081/ws").resolve(&resolver).unwrap();
        assert_eq!(node.addr, "10.0.0.7:8081".parse().unwrap());
        assert_eq!(node.host, "chat.example:8081");
    }

    #[test]
    fn a_name_without_an_address_is_an_error_that_names_the_node() {
        let nothing = |_: &str, _: u16| Ok(Vec::new());
        let error = url("ws://chat.example/").resolve(&nothing).unwrap_err().to_string();
        assert_eq!(error, "cannot resolve the host of ws://chat.example/: it has no address");
    }

    #[test]
    fn what_is_no_node_url_says_what_to_write_instead() {
        for (text, hint) in [
            ("localhost:8080", "write ws://localhost:8080"),
            ("wss://node:1/", "TLS, which is not supported yet"),
            ("http://node:1/", "write ws://"),
            ("ws://node:1/#frag", "#fragment"),
            ("ws://me:secret@node:1/", "user name or password"),
            ("ws://node:0/", "port 0"),
            ("ws://node:99999/", "not a URL"),
            ("ws://::1:8080/", "in brackets"),
            ("ws:///", "not a URL"),
        ] {
            let error = text.parse::<NodeUrl>().unwrap_err().to_string();
            assert!(error.contains(hint) && error.contains(text), "{text}: {error}");
            assert_eq!(error.lines().count(), 1, "{text}: {error}");
        }
    }

    #[test]
    fn however_many_entries_are_one_node_the_notice_is_one_line() {
        let urls: Vec<NodeUrl> =
            (0..5_000).map(|i| format!("ws://127.0.0.1:{}/", 1 + i % 2).parse().unwrap()).collect();
        let no_names = |_: &str, _: u16| unreachable!("addresses only");
        let mut notices = Vec::new();
        let targets = Targets::new(&urls, &PushNode::First, &no_names, &mut notices).unwrap();
        assert_eq!((targets.len(), notices.len()), (2, 1));
        let told = notices[0].to_string();
        assert!(told.contains("and 4 997 more entries name a node that came before"), "{told}");
        assert_eq!(told.lines().count(), 1);
    }

    #[test]
    fn a_node_listed_twice_in_two_spellings_is_taken_once_with_a_notice() {
        let urls = [
            url("ws://127.0.0.1:1"),
            url("ws://[::ffff:127.0.0.1]:1/"),
            url("ws://127.0.0.1:1/other"),
        ];
        let mut notices = Vec::new();
        let targets = Targets::new(&urls, &PushNode::First, &no_names, &mut notices).unwrap();
        assert_eq!(targets.len(), 2, "another path is another node");
        assert_eq!(
            notices[0].to_string(),
            "ws://[::ffff:127.0.0.1]:1/ is the same node as ws://127.0.0.1:1: taken once"
        );
    }

    #[test]
    fn the_push_node_is_found_by_place_and_by_any_spelling_of_its_url() {
        let urls = [url("ws://127.0.0.1:1"), url("ws://127.0.0.1:2")];
        let choose = |asked: &str| {
            let asked: PushNode = asked.parse().unwrap();
            Targets::new(&urls, &asked, &no_names, &mut Vec::new()).map(|t| t.push_node)
        };
        assert_eq!(choose("1"), Ok(1));
        assert_eq!(choose("ws://[::ffff:127.0.0.1]:2/"), Ok(1));
        assert_eq!(
            choose("2").unwrap_err().to_string(),
            "--push-node 2: there are only 2 nodes, numbered from 0"
        );
        assert_eq!(
            choose("ws://127.0.0.1:3").unwrap_err().to_string(),
            "--push-node ws://127.0.0.1:3 is none of the nodes: ws://127.0.0.1:1, ws://127.0.0.1:2"
        );
        assert!("second".parse::<PushNode>().is_err());
    }
}
