//! Which nodes there are, and which of them takes the pushes.
//!
//! Belongs here: reading node URLs, turning them into addresses, choosing the push node. Does not:
//! fetching a discovery's list (`cli::discover`); name resolution is a function that is passed in.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use rustls::pki_types::ServerName;
use url::{Host, Url};

use super::connect_to::ConnectTo;
pub use super::scheme::Scheme;
use super::scheme::server_name;
use super::shown_url::{shown, visible};
pub use super::url_error::UrlError;
use crate::notice::Notice;

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
    /// The node's WebSocket URL as a person would write it, without secrets; names the node in every message.
    pub url: String,
    /// Where to connect.
    pub addr: SocketAddr,
    /// The host alone, a name or an address without brackets: what a certificate must be for.
    pub name: String,
    /// Value of the upgrade request's `Host` header.
    pub host: String,
    /// Request target of the upgrade: path and query, beginning with `/`.
    pub target: String,
    /// What its certificate must be for, and what is asked for in the handshake: of a `wss://` node alone.
    pub server_name: Option<ServerName<'static>>,
}

/// A node's URL, read but not yet resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeUrl {
    /// As written, without what may be a secret.
    written: String,
    host: Host<String>,
    port: u16,
    /// Value of the `Host` header: an address stays as it was written.
    host_header: String,
    target: String,
    /// Of `wss://`.
    server_name: Option<ServerName<'static>>,
    /// Where to connect instead.
    connect_to: Option<(Host<String>, u16)>,
}

impl NodeUrl {
    /// The URL of a node that a discovery lists by address and port. Brackets an IPv6 address.
    ///
    /// # Errors
    /// When the address is neither an IP address nor a host name: a path in it would swallow the port,
    /// and the load would go to port 80.
    pub fn of_address(scheme: Scheme, address: &str, port: u16) -> Result<Self, UrlError> {
        let scheme = scheme.name();
        let inside = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let bare = inside.unwrap_or(address);
        let url = match bare.parse::<IpAddr>() {
            Ok(IpAddr::V6(_)) => format!("{scheme}://[{bare}]:{port}/"),
            Ok(IpAddr::V4(_)) if inside.is_none() => format!("{scheme}://{bare}:{port}/"),
            Err(_) if inside.is_none() && is_name(bare) => format!("{scheme}://{bare}:{port}/"),
            _ if bare.contains(':') && bare.contains('%') => {
                return Err(UrlError::Zone(visible(address)));
            }
            _ => return Err(UrlError::Address(visible(address))),
        };
        url.parse()
    }

    /// What the name service is to be asked, if the host is a name.
    pub fn name(&self) -> Option<(&str, u16)> {
        match self.place() {
            (Host::Domain(name), port) => Some((name, port)),
            (Host::Ipv4(_) | Host::Ipv6(_), _) => None,
        }
    }

    /// The same node, connected to where the first of these that is for its host and port says.
    pub fn connected_to(&self, places: &[ConnectTo]) -> Self {
        let place = places.iter().find_map(|place| place.of(&self.host, self.port));
        Self { connect_to: place.cloned(), ..self.clone() }
    }

    /// The same at each address that its name has, each with that in its own name. One that has no or one
    /// address, or those of this host alone, stays as it is.
    pub fn at_each_address(&self, resolver: &Resolver<'_>) -> Vec<Self> {
        let Some((name, port)) = self.name() else { return vec![self.clone()] };
        let addresses = resolver(name, port).unwrap_or_default();
        if addresses.is_empty() || is_one_host(&addresses) {
            return vec![self.clone()];
        }
        let at = |address: SocketAddr| {
            let host = match address.ip() {
                IpAddr::V4(ip) => Host::Ipv4(ip),
                IpAddr::V6(ip) => Host::Ipv6(ip),
            };
            let (connect_to, written) =
                (Some((host, address.port())), format!("{} at {address}", self.written));
            Self { connect_to, written, ..self.clone() }
        };
        addresses.into_iter().map(at).collect()
    }

    /// Where its sockets connect.
    fn place(&self) -> (&Host<String>, u16) {
        self.connect_to.as_ref().map_or((&self.host, self.port), |(host, port)| (host, *port))
    }

    /// What lies between it and us.
    pub const fn scheme(&self) -> Scheme {
        if self.server_name.is_some() { Scheme::Wss } else { Scheme::Ws }
    }

    /// The parameters of its query, as they are written.
    pub fn query(&self) -> impl Iterator<Item = (&str, &str)> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        query.split('&').filter_map(|pair| pair.split_once('='))
    }

    /// The port, written or the default of the scheme.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Orders a shuffled list: addresses before names, then by port.
    pub(crate) fn sort_key(&self) -> (bool, Option<IpAddr>, String, u16) {
        let ip = self.ip();
        let name = if ip.is_some() { String::new() } else { self.host.to_string() };
        (ip.is_none(), ip, name, self.port)
    }

    /// The address, if it was written as one; an IPv4 one also works on hosts without IPv6.
    fn ip(&self) -> Option<IpAddr> {
        ip_of(&self.host)
    }

    /// Where it leads, if that was written as an address.
    pub fn address(&self) -> Option<SocketAddr> {
        let (host, port) = self.place();
        ip_of(host).map(|ip| SocketAddr::new(ip, port))
    }

    /// Looks the host up, if it is a name. The node is at its first address; also all that it has.
    fn resolve(&self, resolver: &Resolver<'_>) -> Result<(Node, Vec<SocketAddr>), TargetError> {
        let addresses = match self.address() {
            Some(addr) => vec![addr],
            None => self.look_up(resolver)?,
        };
        let node = Node {
            url: self.written.clone(),
            addr: addresses[0],
            name: self.bare_name(),
            host: self.host_header.clone(),
            target: self.target.clone(),
            server_name: self.server_name.clone(),
        };
        Ok((node, addresses))
    }

    /// Without port and brackets.
    fn bare_name(&self) -> String {
        self.ip().map_or_else(|| self.host.to_string(), |ip| ip.to_string())
    }

    /// At least one address.
    fn look_up(&self, resolver: &Resolver<'_>) -> Result<Vec<SocketAddr>, TargetError> {
        let (name, port) = self.place();
        let unresolved =
            |reason: String| TargetError::Unresolved { url: self.written.clone(), reason };
        let found = resolver(&name.to_string(), port).map_err(|e| unresolved(e.to_string()))?;
        if found.is_empty() { Err(unresolved("it has no address".to_owned())) } else { Ok(found) }
    }

    /// Where it leads, however it is written. Names that lead to one address are told apart by the
    /// Host header (RFC 9110, section 7.2).
    fn identity(&self) -> (Result<IpAddr, &str>, u16, &str) {
        let host = ip_of(&self.host).ok_or(match &self.host {
            Host::Domain(name) => name.as_str(),
            Host::Ipv4(_) | Host::Ipv6(_) => "",
        });
        (host, self.port, &self.target)
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
        Self::read(text).map_err(UrlError::without_secrets)
    }
}

impl NodeUrl {
    /// Its errors repeat it whole.
    fn read(text: &str) -> Result<Self, UrlError> {
        let written = text.trim().to_owned();
        let Some((scheme, rest)) = written.split_once("://") else {
            return Err(UrlError::NoScheme(written));
        };
        // The URL standard drops some of them, and so would lead elsewhere than what is shown.
        if written.contains(char::is_control) {
            let reason = "control characters in it".to_owned();
            return Err(UrlError::Malformed { url: visible(&written), reason });
        }
        if rest.starts_with('[') && bracketed(rest).contains('%') {
            return Err(UrlError::Zone(written));
        }
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "ws" => Scheme::Ws,
            "wss" => Scheme::Wss,
            other => {
                return Err(UrlError::Scheme { scheme: other.to_owned(), url: written });
            }
        };
        let url = Url::parse(&written)
            .map_err(|e| UrlError::Malformed { url: written.clone(), reason: e.to_string() })?;
        UrlError::of_parts(&url, &written)?;
        let port = url.port_or_known_default().expect("the URL standard knows ws and wss");
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
        let server_name = match scheme {
            Scheme::Ws => None,
            Scheme::Wss => Some(server_name(&host, ip_of(&host), &written)?),
        };
        let written = shown(&written);
        Ok(Self { written, host, port, host_header, target, server_name, connect_to: None })
    }
}

/// A mapped address becomes the IPv4 address inside it.
fn ip_of(host: &Host<String>) -> Option<IpAddr> {
    match host {
        Host::Ipv4(ip) => Some(IpAddr::V4(*ip)),
        Host::Ipv6(ip) => Some(ip.to_canonical()),
        Host::Domain(_) => None,
    }
}

/// What may be the name of a host: nothing in it ends the host of a URL. Letters of all scripts are for
/// the URL standard to judge.
fn is_name(text: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
    !text.is_empty() && text.chars().all(part)
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

/// Each node of a discovery's list once: an entry that is there twice is the list's mistake, unlike a node
/// that somebody names twice.
pub fn distinct(urls: Vec<NodeUrl>, notices: &mut Vec<Notice>) -> Vec<NodeUrl> {
    let mut places: HashMap<(Result<IpAddr, String>, u16, String), usize> = HashMap::new();
    let mut kept: Vec<NodeUrl> = Vec::with_capacity(urls.len());
    let mut same: Option<Notice> = None;
    for url in urls {
        let (host, port, target) = url.identity();
        let identity = (host.map_err(str::to_owned), port, target.to_owned());
        match places.get(&identity) {
            // There may be thousands: they are one line.
            Some(&place) => match &mut same {
                Some(Notice::SameNode { more, .. }) => *more += 1,
                _ => {
                    let (url, first) = (url.to_string(), kept[place].to_string());
                    same = Some(Notice::SameNode { url, first, more: 0 });
                }
            },
            None => {
                places.insert(identity, kept.len());
                kept.push(url);
            }
        }
    }
    notices.extend(same);
    kept
}

/// At least one node, and the one that takes the pushes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    pub(crate) nodes: Vec<Node>,
    pub(crate) push_node: usize,
}

impl Targets {
    /// Resolves the URLs and finds the push node among them. Whoever names an address twice gets two
    /// nodes, as a balancer has them behind it, and a notice: every copy is still accounted for if they
    /// are one.
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
        for url in urls {
            let (node, addresses) = url.resolve(resolver)?;
            if !is_one_host(&addresses) {
                let (url, addr, of) = (node.url.clone(), node.addr, addresses.len());
                notices.push(Notice::OneOfSeveral { url, addr, of });
            }
            nodes.push(node);
        }
        notices.extend(shared_address(&nodes, urls));
        let push_node = find_push_node(&nodes, urls, push_node, resolver)?;
        Ok(Self { nodes, push_node })
    }

    /// Where pushes go.
    pub fn push_addr(&self) -> SocketAddr {
        self.nodes[self.push_node].addr
    }

    /// The node at this place.
    ///
    /// # Panics
    /// There is none.
    pub fn node(&self, place: usize) -> &Node {
        &self.nodes[place]
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

/// One address, or both of `localhost`.
fn is_one_host(addresses: &[SocketAddr]) -> bool {
    let is_local =
        |addr: &SocketAddr| addr.ip() == Ipv4Addr::LOCALHOST || addr.ip() == Ipv6Addr::LOCALHOST;
    addresses.len() == 1 || addresses.iter().all(is_local)
}

/// The first two nodes that are one if the Host header does not tell them apart.
fn shared_address(nodes: &[Node], urls: &[NodeUrl]) -> Option<Notice> {
    let mut places: HashMap<(SocketAddr, &str), usize> = HashMap::new();
    let mut found = None;
    let mut more = 0;
    for (place, node) in nodes.iter().enumerate() {
        match places.get(&(node.addr, node.target.as_str())) {
            Some(&first) if found.is_none() => found = Some((first, place)),
            Some(_) => more += 1,
            None => drop(places.insert((node.addr, &node.target), place)),
        }
    }
    found.map(|(first, second)| Notice::OneAddress {
        url: nodes[second].url.clone(),
        first: nodes[first].url.clone(),
        addr: nodes[first].addr,
        by_host: urls[first].identity() != urls[second].identity(),
        more,
    })
}

fn find_push_node(
    nodes: &[Node],
    urls: &[NodeUrl],
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
            let (node, _) = url.resolve(resolver)?;
            let named = urls.iter().position(|other| other.identity() == url.identity());
            let found = named.or_else(|| nodes.iter().position(|n| same_node(n, &node)));
            found.ok_or_else(|| TargetError::NoSuchNode {
                url: url.to_string(),
                nodes: nodes.iter().map(|n| n.url.as_str()).collect::<Vec<_>>().join(", "),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::population::nodes::*;

    fn url(text: &str) -> NodeUrl {
        text.parse().unwrap()
    }

    fn no_names(name: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        Err(io::Error::other(format!("no name service for {name} in this test")))
    }

    fn node(text: &str) -> Node {
        url(text).resolve(&no_names).unwrap().0
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
            assert_eq!(node.url, shown(text), "the node is named as it was given");
            assert_eq!(node.name, addr.ip().to_string(), "without port and brackets");
        }
    }

    #[test]
    fn a_node_is_connected_to_elsewhere_and_keeps_its_name() {
        let places: Vec<ConnectTo> = ["chat.test:80:127.0.0.1:8081", "[::1]:9:[::2]:8"]
            .map(|place| place.parse().unwrap())
            .to_vec();
        for (text, addr, host) in [
            ("ws://Chat.test/", "127.0.0.1:8081", "chat.test"),
            ("ws://[::1]:9/", "[::2]:8", "[::1]:9"),
            ("ws://127.0.0.1:80/", "127.0.0.1:80", "127.0.0.1"),
        ] {
            let node = url(text).connected_to(&places).resolve(&no_names).unwrap().0;
            assert_eq!((node.addr, node.host.as_str()), (addr.parse().unwrap(), host));
            assert_eq!(node.url, text);
        }
        let by_name: ConnectTo = "a.test:1:b.test:2".parse().unwrap();
        assert_eq!(url("ws://a.test:1").connected_to(&[by_name]).name(), Some(("b.test", 2)));
    }

    #[test]
    fn every_address_of_a_name_can_be_a_node_of_its_own() {
        let addresses: [SocketAddr; 2] =
            ["10.0.0.1:80", "[fd00::1]:80"].map(|a| a.parse().unwrap());
        let several = |_: &str, _: u16| Ok(addresses.to_vec());
        let spread = url("ws://chat.test/").at_each_address(&several);
        let push = PushNode::Url(url("ws://chat.test/"));
        let mut notices = Vec::new();
        let targets = Targets::new(&spread, &push, &several, &mut notices).unwrap();
        let nodes: Vec<_> =
            targets.nodes.iter().map(|n| (n.addr, n.url.as_str(), n.host.as_str())).collect();
        assert_eq!(
            nodes,
            [
                (addresses[0], "ws://chat.test/ at 10.0.0.1:80", "chat.test"),
                (addresses[1], "ws://chat.test/ at [fd00::1]:80", "chat.test"),
            ]
        );
        assert_eq!((targets.push_node, notices), (0, vec![]));
        let local =
            |_: &str, _: u16| Ok(["127.0.0.1:1", "[::1]:1"].map(|a| a.parse().unwrap()).to_vec());
        for (text, resolver) in [
            ("ws://localhost:1", &local as &Resolver<'_>),
            ("ws://10.0.0.1", &no_names),
            ("ws://a", &no_names),
        ] {
            assert_eq!(url(text).at_each_address(resolver), [url(text)]);
        }
    }

    #[test]
    fn a_host_name_is_looked_up_with_its_port() {
        let resolver = |name: &str, port: u16| {
            assert_eq!(name, "chat.example");
            Ok(vec![SocketAddr::from(([10, 0, 0, 7], port))])
        };
        let (node, _) = url("ws://chat.example:8081/ws").resolve(&resolver).unwrap();
        assert_eq!(node.addr, "10.0.0.7:8081".parse().unwrap());
        assert_eq!((node.host.as_str(), node.name.as_str()), ("chat.example:8081", "chat.example"));
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
            ("wss://-a*b/", "no certificate can be for this host"),
            ("http://node:1/", "write ws://"),
            ("ws://node:1/#frag", "#fragment"),
            ("ws://me:secret@node:1/", "user name or password"),
            ("ws://node:0/", "port 0"),
            ("ws://node:99999/", "not a URL"),
            ("ws://::1:8080/", "in brackets"),
            ("ws:///", "not a URL"),
            ("ws://[fe80::1%25eth0]:1/", "zone"),
        ] {
            let error = text.parse::<NodeUrl>().unwrap_err().to_string();
            assert!(error.contains(hint) && error.contains(&shown(text)), "{text}: {error}");
            assert_eq!(error.lines().count(), 1, "{text}: {error}");
        }
    }

    #[test]
    fn however_many_entries_are_one_node_the_notice_is_one_line() {
        let urls: Vec<NodeUrl> =
            (0..5_000).map(|i| format!("ws://127.0.0.1:{}/", 1 + i % 2).parse().unwrap()).collect();
        let mut notices = Vec::new();
        let kept = distinct(urls, &mut notices);
        assert_eq!((kept.len(), notices.len()), (2, 1));
        let told = notices[0].to_string();
        assert!(told.contains("and 4 997 more entries name a node that came before"), "{told}");
        assert_eq!(told.lines().count(), 1);
    }

    #[test]
    fn a_url_with_control_characters_is_refused_and_shown_without_them() {
        for text in
            ["ws://[::\r\n1]:1/", "ws://127.0\n.0.1:1/", "ws://a:1/\u{9b}31m", "ws://a\t:1/"]
        {
            let error = text.parse::<NodeUrl>().unwrap_err().to_string();
            assert!(error.contains("control characters"), "{error:?}");
            assert!(!error.contains(char::is_control), "{error:?}");
        }
    }

    #[test]
    fn an_address_is_an_ip_address_or_a_name_and_nothing_else() {
        for (address, host) in [
            ("127.0.0.1", "127.0.0.1:9"),
            ("::1", "[::1]:9"),
            ("[::ffff:127.0.0.1]", "[::ffff:127.0.0.1]:9"),
            ("node-b.example", "node-b.example:9"),
            ("node_1", "node_1:9"),
            ("bücher.example", "xn--bcher-kva.example:9"),
        ] {
            let url = NodeUrl::of_address(Scheme::Ws, address, 9).unwrap();
            assert_eq!((url.host_header.as_str(), url.port(), &*url.target), (host, 9, "/"));
        }
        for address in [
            "127.0.0.1/evil\u{1b}]0;pwn\u{7}",
            "a@127.0.0.1",
            "127.0.0.1?x=",
            "127.0.0.1#",
            "127.0.0.1\r\nX: y",
            "127.0\n.0.1",
            "::\r\n1",
            "host:80",
            "[127.0.0.1]",
            "[host]",
            "[::1",
            "a b",
            "a\\b",
            "a%2fb",
            "",
            "fe80::1%lo",
            "[fe80::1%25lo]",
        ] {
            let error = NodeUrl::of_address(Scheme::Ws, address, 9).unwrap_err().to_string();
            assert!(!error.contains(char::is_control), "{address:?}: {error:?}");
            let hint =
                if address.contains("%l") || address.contains("%25") { "zone" } else { "neither" };
            assert!(error.contains(hint), "{address:?}: {error}");
        }
    }

    #[test]
    fn a_list_that_repeats_itself_is_taken_once_with_one_notice() {
        let listed = |text: &str| url(text);
        let mut notices = Vec::new();
        let urls = [
            "ws://127.0.0.1:1",
            "ws://[::ffff:127.0.0.1]:1/",
            "ws://127.0.0.1:1/other",
            "ws://127.0.0.1:1/",
        ];
        let kept = distinct(urls.map(listed).to_vec(), &mut notices);
        assert_eq!(kept.len(), 2, "another path is another node");
        let told: Vec<_> = notices.iter().map(ToString::to_string).collect();
        let expected = "ws://[::ffff:127.0.0.1]:1/ is the same node as ws://127.0.0.1:1, and 1 more entry \
                        names a node that came before: each is taken once";
        assert_eq!(told, [expected]);
    }

    #[test]
    fn an_address_named_twice_is_two_nodes_with_a_notice() {
        let at_home = |_: &str, port| Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))]);
        for (second, why) in [
            ("ws://a.test:1/", "a balancer"),
            ("ws://b.test:1/", "Host header"),
            ("ws://127.0.0.1:1/", "Host header"),
        ] {
            let urls = [url("ws://a.test:1/"), url(second), url("ws://a.test:1/path")];
            let mut notices = Vec::new();
            let asked = PushNode::Url(url(second));
            let targets = Targets::new(&urls, &asked, &at_home, &mut notices).unwrap();
            assert_eq!(targets.len(), 3, "{second}");
            let told: Vec<_> = notices.iter().map(ToString::to_string).collect();
            assert!(told.len() == 1 && told[0].contains(why), "{second}: {told:?}");
            // Of two that are the same the first takes the pushes.
            assert_eq!(targets.push_node, usize::from(second != "ws://a.test:1/"), "{second}");
        }
    }

    #[test]
    fn a_name_with_several_addresses_says_which_of_them_is_loaded() {
        let several = |name: &str, port| {
            let all = ["10.0.0.7", "10.0.0.8", "fd00::1"]
                .map(|ip| SocketAddr::new(ip.parse().unwrap(), port));
            let local = ["::1", "127.0.0.1"].map(|ip| SocketAddr::new(ip.parse().unwrap(), port));
            Ok(if name == "localhost" { local.to_vec() } else { all.to_vec() })
        };
        let mut notices = Vec::new();
        let urls = [url("ws://many.test:1/"), url("ws://localhost:1/")];
        Targets::new(&urls, &PushNode::First, &several, &mut notices).unwrap();
        let told: Vec<_> = notices.iter().map(ToString::to_string).collect();
        assert!(
            told.len() == 1 && told[0].contains("10.0.0.7:1, 1 of its 3 addresses"),
            "{told:?}"
        );
        assert_eq!(
            notices[0].partial().unwrap(),
            "ws://many.test:1/ at 10.0.0.7:1, 1 of its 3 addresses"
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
