//! What the sockets ask for in their upgrades, beyond what RFC 6455 demands.
//!
//! Belongs here: one value of what a dialect wishes and what flags override, and the request that it makes for a
//! socket. Does not: the flags (`cli::upgrade_args`), the request's bytes (`wire::upgrade`).
//!
//! Much of it are secrets: nothing here shows them, and [`UpgradeOptions::hide`] takes them out of what nodes say.

use std::sync::Arc;

use crate::dialect;
use crate::population::data::DataTable;
use crate::population::nodes::Node;
use crate::population::socket_text::{Asker, Environment, SocketText, SocketTextError};
use crate::wire::bounds::AnswerBounds;
use crate::wire::deflate::DeflateOffer;
use crate::wire::header::{FieldError, check_name, is_value, query_part};
use crate::wire::upgrade::EXTENSIONS;

/// Names and the values that they have.
pub type Fields = Vec<(String, SocketText)>;

/// What the sockets ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpgradeOptions {
    /// The `Host` header, where it is not that of the node's URL.
    pub host: Option<String>,
    /// Path for nodes whose URL has none of its own.
    pub path: SocketText,
    /// Joined to the query of the node's URL.
    pub query: Fields,
    /// Subprotocols to offer, the preferred one first.
    pub subprotocols: Vec<String>,
    /// A node that chooses none of them is refused.
    pub requires_subprotocol: bool,
    /// Further headers, in order.
    pub headers: Fields,
    /// One header for all of them.
    pub cookies: Fields,
    /// The field of an answer that names the node which a socket has reached.
    pub node_header: Option<String>,
    /// Of which the texts above take columns.
    pub data: Arc<DataTable>,
    /// Further texts that nobody may read, such as the password in an encoded header.
    pub secrets: Vec<SocketText>,
    /// Compression that is offered.
    pub deflate: Option<DeflateOffer>,
    /// How much of an answer is taken.
    pub bounds: AnswerBounds,
    /// Where receive sockets ask for something else.
    pub receivers: Option<Receivers>,
}

/// What receive sockets ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receivers {
    /// The first of them.
    pub first: u32,
    /// It has no receivers of its own.
    options: Box<UpgradeOptions>,
}

/// Why a dialect's wishes cannot be granted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WishError {
    /// A header.
    #[error("the dialect's header: {0}")]
    Field(#[from] FieldError),
    /// A value.
    #[error("the dialect's upgrade: {0}")]
    Text(#[from] SocketTextError),
}

/// What one socket asks for.
#[derive(Clone, PartialEq, Eq)]
pub struct UpgradeRequest {
    /// The `Host` header.
    pub host: String,
    /// Path and query.
    pub target: String,
    /// Further headers.
    pub headers: Vec<(String, String)>,
}

/// In place of a secret.
const HIDDEN: &str = "[hidden]";

/// Shorter texts are in many words by chance, and protect nothing.
const SECRET_BYTES_MIN: usize = 4;

/// How an excerpt of what a node said ends where it was cut.
const CUTS: [&str; 2] = ["...`", "…"];

impl UpgradeOptions {
    /// What flags ask for (`self`) goes before what a dialect wishes.
    ///
    /// # Errors
    /// The dialect wishes what cannot be sent.
    pub fn over(
        self,
        wishes: &dialect::Upgrade,
        push_sockets: u32,
        env: &Environment<'_>,
    ) -> Result<Self, WishError> {
        let receive = wishes.receive.as_deref();
        let receivers = receive.map(|wishes| self.clone().over_one(wishes, env)).transpose()?;
        let receivers =
            receivers.map(|options| Receivers { first: push_sockets, options: Box::new(options) });
        Ok(Self { receivers, ..self.over_one(wishes, env)? })
    }

    /// All sockets offer this compression.
    pub fn offer_deflate(&mut self, offer: Option<DeflateOffer>) {
        self.deflate = offer;
        if let Some(receivers) = &mut self.receivers {
            receivers.options.deflate = offer;
        }
    }

    /// No socket takes more of an answer.
    pub fn bound_answers(&mut self, bounds: AnswerBounds) {
        self.bounds = bounds;
        if let Some(receivers) = &mut self.receivers {
            receivers.options.bounds = bounds;
        }
    }

    /// What this socket asks for.
    pub fn of(&self, socket: u32) -> &Self {
        match &self.receivers {
            Some(Receivers { first, options }) if socket >= *first => options,
            _ => self,
        }
    }

    fn over_one(
        mut self,
        wishes: &dialect::Upgrade,
        env: &Environment<'_>,
    ) -> Result<Self, WishError> {
        self.path = SocketText::parse(&wishes.path, &self.data, env)?;
        if self.subprotocols.is_empty() {
            self.subprotocols.clone_from(&wishes.subprotocols);
            self.requires_subprotocol = wishes.require_subprotocol;
        }
        let origin = Some(("Origin".to_owned(), wishes.origin.clone()));
        let origin = origin.filter(|(_, origin)| !origin.is_empty());
        let mut headers = Vec::new();
        for (name, value) in wishes.headers.iter().chain(&origin) {
            check_name(name)?;
            let text = SocketText::parse(value, &self.data, env)?.secret();
            check_values(name, &text, &self.data)?;
            let is_given = is_cookie(name) && !self.cookies.is_empty();
            if !is_given && !has(&self.headers, name) {
                headers.push((name.clone(), text));
            }
        }
        headers.append(&mut self.headers);
        self.headers = headers;
        let mut query = Vec::new();
        for (key, value) in url::form_urlencoded::parse(wishes.query.as_bytes()) {
            if !self.query.iter().any(|(other, _)| *other == key) {
                let text = SocketText::parse(&value, &self.data, env)?;
                query.push((key.into_owned(), text));
            }
        }
        query.append(&mut self.query);
        self.query = query;
        Ok(self)
    }

    /// What a socket asks of a node, with cookies that were set for it before.
    pub fn request(&self, node: &Node, asker: Asker, kept: &[(String, String)]) -> UpgradeRequest {
        self.of(asker.socket).request_of(node, asker, kept)
    }

    fn request_of(&self, node: &Node, asker: Asker, kept: &[(String, String)]) -> UpgradeRequest {
        let host = self.host.as_ref().unwrap_or(&node.host).clone();
        let render = |text: &SocketText| text.render(asker, &self.data);
        let mut headers: Vec<_> =
            self.headers.iter().map(|(name, text)| (name.clone(), render(text))).collect();
        if !self.subprotocols.is_empty() {
            headers.push(("Sec-WebSocket-Protocol".to_owned(), self.subprotocols.join(", ")));
        }
        if let Some(offer) = &self.deflate {
            headers.push((EXTENSIONS.to_owned(), offer.value()));
        }
        // What a node has set goes before what it was shown first.
        let is_given = |name: &String| !kept.iter().any(|(other, _)| other == name);
        let given = self.cookies.iter().filter(|(name, _)| is_given(name));
        let given = given.map(|(name, text)| format!("{name}={}", render(text)));
        let kept = kept.iter().map(|(name, value)| format!("{name}={value}"));
        let pairs: Vec<_> = given.chain(kept).collect();
        if !pairs.is_empty() {
            headers.push(("Cookie".to_owned(), pairs.join("; ")));
        }
        UpgradeRequest { host, target: self.target(&node.target, asker), headers }
    }

    /// The node's own path goes before the dialect's, what was asked for before the node's own query.
    fn target(&self, own: &str, asker: Asker) -> String {
        let (path, query) = own.split_once('?').unwrap_or((own, ""));
        let wished = self.path.render_with(asker, &self.data, &path_segment);
        let path = if path == "/" && !self.path.is_empty() { &wished } else { path };
        let asked = |pair: &&str| {
            let key = pair.split('=').next().unwrap_or_default();
            self.query.iter().any(|(other, _)| query_part(other) == key)
        };
        let own = query.split('&').filter(|pair| !pair.is_empty() && !asked(pair));
        let mut pairs: Vec<String> = own.map(str::to_owned).collect();
        pairs.extend(self.query.iter().map(|(key, text)| {
            format!("{}={}", query_part(key), query_part(&text.render(asker, &self.data)))
        }));
        let slash = if path.starts_with('/') { "" } else { "/" };
        let mark = if pairs.is_empty() { "" } else { "?" };
        format!("{slash}{path}{mark}{}", pairs.join("&"))
    }

    /// What a node said to a socket, without the secrets that the socket told it. A part of one at the end of a
    /// text that was cut is hidden, too.
    pub fn hide(&self, socket: u32, said: String) -> String {
        let mut secrets = self.secrets_of(socket);
        if secrets.is_empty() {
            return said;
        }
        // The whole goes before its parts.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let mut said = said;
        for secret in secrets {
            if said.contains(&secret) {
                said = said.replace(&secret, HIDDEN);
            }
            for cut in CUTS {
                said = without_cut_off(said, &secret, cut);
            }
        }
        said
    }

    fn secrets_of(&self, socket: u32) -> Vec<String> {
        let asked = self.of(socket);
        let fields = asked.headers.iter().chain(&asked.cookies).chain(&asked.query);
        let texts = fields.map(|(_, text)| text).chain([&asked.path]).chain(&self.secrets);
        let mut secrets = Vec::new();
        for secret in texts.flat_map(|text| text.secrets(socket, &self.data)) {
            if secret.len() >= SECRET_BYTES_MIN {
                // As it is, as an excerpt escapes it, and as it is in a query.
                secrets.extend([secret.escape_debug().to_string(), query_part(&secret), secret]);
            }
        }
        secrets.sort();
        secrets.dedup();
        secrets
    }
}

/// `said` without the beginning of `secret` in front of `cut`.
fn without_cut_off(said: String, secret: &str, cut: &str) -> String {
    let Some(end) = said.find(cut) else { return said };
    let before = &said[..end];
    let cut_off = (SECRET_BYTES_MIN..secret.len())
        .rev()
        .find(|&len| secret.is_char_boundary(len) && before.ends_with(&secret[..len]));
    match cut_off {
        Some(len) => format!("{}{HIDDEN}{}", &said[..end - len], &said[end..]),
        None => said,
    }
}

/// A value within one segment of a path.
fn path_segment(value: &str) -> String {
    query_part(value).replace('/', "%2F").replace('?', "%3F")
}

/// Whether a value can be sent, whichever socket says it.
///
/// # Errors
/// The name of the header; never the value.
pub fn check_values(name: &str, text: &SocketText, data: &DataTable) -> Result<(), FieldError> {
    let said = |socket| text.render(Asker { socket, ..Asker::default() }, data);
    let is_sent = (0..text.variants(data)).all(|socket| is_value(&said(socket)));
    if is_sent { Ok(()) } else { Err(FieldError::Value(name.to_owned())) }
}

fn has(fields: &Fields, name: &str) -> bool {
    fields.iter().any(|(other, _)| other.eq_ignore_ascii_case(name))
}

/// Whether a header holds cookies.
pub fn is_cookie(name: &str) -> bool {
    name.eq_ignore_ascii_case("Cookie")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn no_variables(_: &str) -> Option<String> {
        None
    }

    fn asker(socket: u32) -> Asker {
        Asker { socket, node: 4, uuid: 5 }
    }

    fn text(text: &str) -> SocketText {
        let data = DataTable::parse("token\nt0ken-of-0\nt0ken-of-1\n").unwrap();
        SocketText::parse(text, &data, &no_variables).unwrap()
    }

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect()
    }

    fn data() -> Arc<DataTable> {
        Arc::new(DataTable::parse("token\nt0ken-of-0\nt0ken-of-1\n").unwrap())
    }

    fn node(target: &str) -> Node {
        let urls = [format!("ws://127.0.0.1:1{target}").parse().unwrap()];
        let push = crate::population::nodes::PushNode::First;
        let targets = crate::population::nodes::Targets::new(
            &urls,
            &push,
            &|_, _| unreachable!("no names here"),
            &mut Vec::new(),
        );
        targets.unwrap().nodes.remove(0)
    }

    #[test]
    fn nothing_asked_for_changes_nothing_of_the_nodes_url() {
        for target in ["/", "/a?b", "/a?b=1&c=%20&d"] {
            let request = UpgradeOptions::default().request(&node(target), asker(3), &[]);
            assert_eq!((request.target.as_str(), request.host.as_str()), (target, "127.0.0.1:1"));
            assert_eq!(request.headers, []);
        }
    }

    #[test]
    fn a_path_names_the_socket_in_segments_of_its_own() {
        let wishes = dialect::Upgrade {
            path: "/{node}/{socket}/{uuid}/{data:token}".into(),
            query: "of={node}".into(),
            ..dialect::Upgrade::default()
        };
        let data = Arc::new(DataTable::parse("token\na/b ?c\n").unwrap());
        let flags = UpgradeOptions { data, ..UpgradeOptions::default() };
        let asked = flags.over(&wishes, 1, &no_variables).unwrap();
        let target = asked.request(&node("/"), asker(3), &[]).target;
        let uuid = "00000000-0000-4000-8000-000000000005";
        assert_eq!(target, format!("/4/3/{uuid}/a%2Fb%20%3Fc?of=4"));
        // What a node repeats of it is hidden as it is said and as it was given.
        assert_eq!(asked.hide(3, "no a/b ?c here".into()), "no [hidden] here");
    }

    #[test]
    fn a_flag_goes_before_the_url_and_the_url_before_the_dialect() {
        let wishes = dialect::Upgrade {
            path: "/socket.io/".into(),
            query: "EIO=4&room=dialect".into(),
            subprotocols: vec!["mqtt".into()],
            require_subprotocol: true,
            headers: vec![("X-A".into(), "dialect".into()), ("X-B".into(), "dialect".into())],
            origin: "http://dialect".into(),
            receive: None,
        };
        let flags = UpgradeOptions {
            host: Some("chat.test".into()),
            query: fields(&[("room", "a b"), ("of", "{socket}")]),
            headers: fields(&[("x-a", "{data:token}"), ("Origin", "http://flag")]),
            cookies: fields(&[("s", "1"), ("t", "2")]),
            data: data(),
            ..UpgradeOptions::default()
        };
        let asked = flags.over(&wishes, 1, &no_variables).unwrap();
        let request = asked.request(&node("/?room=url&x=1"), asker(1), &[]);
        assert_eq!(request.target, "/socket.io/?x=1&EIO=4&room=a%20b&of=1");
        assert_eq!(request.host, "chat.test");
        let headers: Vec<_> =
            request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            headers,
            [
                ("X-B", "dialect"),
                ("x-a", "t0ken-of-1"),
                ("Origin", "http://flag"),
                ("Sec-WebSocket-Protocol", "mqtt"),
                ("Cookie", "s=1; t=2"),
            ]
        );
        assert_eq!(
            asked.request(&node("/own"), asker(0), &[]).target,
            "/own?EIO=4&room=a%20b&of=0"
        );
    }

    #[test]
    fn receive_sockets_ask_for_what_the_dialect_wishes_of_them_and_flags_go_before_it() {
        let wishes = |path: &str, token: &str| dialect::Upgrade {
            path: path.into(),
            headers: vec![("X-Key".into(), token.into()), ("X-Both".into(), "dialect".into())],
            ..dialect::Upgrade::default()
        };
        let receive = Some(Box::new(wishes("/listen", "{data:token}")));
        let wishes = dialect::Upgrade { receive, ..wishes("/push", "pushkey") };
        let flags = UpgradeOptions {
            headers: fields(&[("X-Both", "flag")]),
            data: data(),
            ..UpgradeOptions::default()
        };
        let asked = flags.over(&wishes, 2, &no_variables).unwrap();
        for (socket, target, key) in
            [(0, "/push", "pushkey"), (1, "/push", "pushkey"), (3, "/listen", "t0ken-of-1")]
        {
            let request = asked.request(&node("/"), asker(socket), &[]);
            let headers: Vec<_> = request
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            assert_eq!(request.target, target);
            assert_eq!(headers, [("X-Key", key), ("X-Both", "flag")]);
            assert_eq!(asked.hide(socket, format!("no {key}")), "no [hidden]");
        }
    }

    #[test]
    fn a_cookie_that_was_set_takes_the_place_of_the_one_that_was_shown() {
        let flags = UpgradeOptions {
            cookies: fields(&[("srv", "first"), ("t", "2")]),
            ..UpgradeOptions::default()
        };
        let set = [("srv".to_owned(), "n1".to_owned()), ("u".to_owned(), "3".to_owned())];
        let request = flags.request(&node("/"), asker(0), &set);
        assert_eq!(request.headers, [("Cookie".to_owned(), "t=2; srv=n1; u=3".to_owned())]);
        let request = UpgradeOptions::default().request(&node("/"), asker(0), &set);
        assert_eq!(request.headers, [("Cookie".to_owned(), "srv=n1; u=3".to_owned())]);
    }

    #[test]
    fn a_secret_is_taken_out_of_what_a_node_says_however_it_is_written_and_cut() {
        let asked = UpgradeOptions {
            headers: vec![("Authorization".into(), text("Bearer {data:token}"))],
            query: vec![("key".into(), text("a\\b&longer").secret())],
            data: data(),
            ..UpgradeOptions::default()
        };
        for (said, shown) in [
            ("no `Bearer t0ken-of-1` here", "no `[hidden]` here"),
            ("401 for t0ken-of-1, Bearer wanted", "401 for [hidden], Bearer wanted"),
            ("`... t0ken-of...`", "`... [hidden]...`"),
            ("it said t0ke…", "it said [hidden]…"),
            ("at /?key=a%5Cb%26longer", "at /?key=[hidden]"),
            ("`a\\\\b&longer`", "`[hidden]`"),
            ("t0ken-of-0 is another's", "t0ken-of-0 is another's"),
        ] {
            assert_eq!(asked.hide(1, said.to_owned()), shown);
        }
        let shown = format!("{asked:?}");
        assert!(!shown.contains("t0ken") && !shown.contains("longer"), "{shown}");
    }

    #[test]
    fn what_a_dialect_wishes_is_held_to_the_same_rules() {
        let wishes = |name: &str, value: &str| dialect::Upgrade {
            headers: vec![(name.into(), value.into())],
            ..dialect::Upgrade::default()
        };
        for (name, value, told) in [
            ("Host", "x", "give --host"),
            ("X A", "x", "is not the name of a header"),
            ("X", "a\r\nB: c", "the value of X has a line break"),
            ("X", "{data:y}", "without --data"),
        ] {
            let over = UpgradeOptions::default().over(&wishes(name, value), 1, &no_variables);
            let error = over.unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }

    proptest! {
        /// The oracle searches.
        #[test]
        fn no_secret_is_left_in_an_excerpt_of_whatever_a_node_says(
            secret in "[a-z]{4,12}", before in "[A-Z]{0,90}", after in "[A-Z]{0,90}",
        ) {
            let asked = UpgradeOptions {
                headers: vec![("X".into(), text(&secret).secret())],
                ..UpgradeOptions::default()
            };
            let said = crate::wire::excerpt::excerpt(format!("{before}{secret}{after}").as_bytes());
            let shown = asked.hide(0, said);
            for len in SECRET_BYTES_MIN..=secret.len() {
                let part = &secret[..len];
                prop_assert!(!shown.replace(HIDDEN, "").contains(part), "{}", shown);
            }
        }
    }
}
