//! How the sockets came to be there, and why some did not.

use super::content::{Block, Emphasis, Section, Sentence};
use super::phrase::{Phrase, Value, counted, phrase};
use super::{names, pictures};
use crate::report::document::connecting::{ConnectFailure, Connecting, SetCookie, TlsSessions};
use crate::report::document::deflate::AgreedDeflate;
use crate::report::document::reached::ReachedNode;
use crate::report::document::trial::Latency;
use crate::report::document::{Document, Plan};
use crate::units::{Bytes, Count};

/// Reasons that a person reads; the result file has all.
const REASONS_MAX: usize = 8;

/// Nodes behind addresses that a person reads.
const REACHED_MAX: usize = 16;

/// What TLS came to with nodes, that a person reads.
const SESSIONS_MAX: usize = 8;

/// Cookies that a person reads.
const COOKIES_MAX: usize = 4;

/// One line, and more only where something went wrong.
pub(super) fn section(document: &Document) -> Option<Section> {
    let connecting = document.connecting.as_ref()?;
    let mut blocks = vec![Block::Sentence(line(connecting))];
    blocks.extend(pictures::connecting(connecting));
    if connecting.failed > 0 {
        let failed = counted(connecting.failed, "socket is", "sockets are");
        let rest = ", and nothing is expected of them (--min-connected):";
        let lead = phrase![failed, " not there"];
        blocks.push(Block::Sentence(Sentence::about(lead, Emphasis::Bad, rest.into())));
    }
    let failures = &connecting.failures;
    let told = failures.iter().take(REASONS_MAX).map(|failure| reason(&document.plan, failure));
    blocks.push(Block::List(told.collect()));
    let more = failures.len().saturating_sub(REASONS_MAX) as u64;
    if more > 0 {
        blocks.push(phrase!["and ", Count(more), " more reasons (--json has them)"].into());
    }
    blocks.push(Block::List(sessions(document, &connecting.sessions)));
    blocks.push(Block::List(compression(document, &connecting.deflate)));
    let reached = &connecting.reached;
    let told = reached.iter().take(REACHED_MAX).map(|reached| taken(&document.plan, reached));
    blocks.push(Block::List(told.collect()));
    let more = reached.len().saturating_sub(REACHED_MAX) as u64;
    if more > 0 {
        blocks.push(phrase!["and ", Count(more), " more names (--json has them)"].into());
    }
    if !connecting.cookies.is_empty() {
        blocks.push(cookies(&connecting.cookies).into());
    }
    Some(Section { key: "connections", heading: Some("Connections".into()), blocks })
}

fn line(connecting: &Connecting) -> Sentence {
    let rate = connecting.rate_per_s.map(|rate| phrase![" (", Value::PerSecond(rate), "/s)"]);
    let passed_over = match connecting.ports_passed_over {
        0 => Phrase::default(),
        ports => phrase!["; ", counted(ports, "port was", "ports were"), " held by others"],
    };
    let sockets = counted(connecting.connected, "socket", "sockets");
    let lead = phrase![sockets, " in ", Value::seconds(Some(connecting.wall_s)), rate, ":"];
    let times = phrase![
        " connect ",
        latency(&connecting.connect_us),
        connecting.handshake_us.as_ref().map(|us| phrase![", TLS handshake ", latency(us)]),
        ", upgrade ",
        latency(&connecting.upgrade_us),
        passed_over
    ];
    Sentence::about(lead, Emphasis::Plain, times)
}

/// What the handshakes came to: one line where it is the same with all nodes.
fn sessions(document: &Document, all: &[TlsSessions]) -> Vec<Phrase> {
    let tls = document.dialing.as_ref().and_then(|dialing| dialing.tls.as_ref());
    let asks = tls.is_some_and(|tls| tls.resumes);
    let came = |sessions: &TlsSessions, handshakes: u64, resumed: u64| {
        let resumed = asks.then(|| {
            phrase![
                ", ",
                Count(resumed),
                " of ",
                counted(handshakes, "session", "sessions"),
                " resumed"
            ]
        });
        phrase![&sessions.version, ", ", &sessions.suite, resumed]
    };
    let alike = |a: &TlsSessions, b: &TlsSessions| (&a.version, &a.suite) == (&b.version, &b.suite);
    if let Some(first) = all.first().filter(|first| all.iter().all(|other| alike(first, other))) {
        let sum = |of: fn(&TlsSessions) -> u64| all.iter().map(of).sum();
        return vec![came(first, sum(|s| s.handshakes), sum(|s| s.resumed))];
    }
    let one = |sessions: &TlsSessions| {
        let sockets = counted(sessions.handshakes, "socket", "sockets");
        let node = names::node(&document.plan, sessions.node);
        let came = came(sessions, sessions.handshakes, sessions.resumed);
        phrase![sockets, " to ", node, ": ", came]
    };
    let mut told: Vec<_> = all.iter().take(SESSIONS_MAX).map(one).collect();
    let more = all.len().saturating_sub(SESSIONS_MAX) as u64;
    if more > 0 {
        told.push(phrase!["and ", Count(more), " more (--json has them)"]);
    }
    told
}

/// What was agreed on compression, with what it takes in memory.
fn compression(document: &Document, all: &[AgreedDeflate]) -> Vec<Phrase> {
    let one = |agreed: &AgreedDeflate| {
        let sockets = counted(agreed.sockets, "socket", "sockets");
        let node = names::node(&document.plan, agreed.node);
        let Some(parameters) = &agreed.parameters else {
            return phrase![sockets, " to ", node, " without compression: the node took none"];
        };
        let takes = |bytes: u64, what: &'static str| {
            (bytes > 0).then(|| phrase!["; ", Bytes(bytes), " each ", what])
        };
        let inflate = takes(agreed.inflate_bytes, "to inflate");
        let deflate = takes(agreed.deflate_bytes, "to compress what it sends");
        phrase![sockets, " to ", node, " with ", parameters, inflate, deflate]
    };
    let mut told: Vec<_> = all.iter().take(SESSIONS_MAX).map(one).collect();
    let more = all.len().saturating_sub(SESSIONS_MAX) as u64;
    if more > 0 {
        told.push(phrase!["and ", Count(more), " more (--json has them)"]);
    }
    told
}

fn latency(us: &Latency) -> Phrase {
    // Of a handful of sockets only the largest can be told.
    let known = [("p50 ", us.p50), ("p99 ", us.p99), ("max ", us.max)].into_iter();
    let known = known.filter(|(_, us)| us.is_some());
    Phrase::joined(known.map(|(name, us)| phrase![name, Value::micros(us)]), ", ")
}

fn cookies(cookies: &[SetCookie]) -> Phrase {
    let cookie = |cookie: &SetCookie| {
        let sockets = counted(cookie.sockets, "socket", "sockets");
        phrase![&cookie.name, " (", sockets, ")"]
    };
    let told = Phrase::joined(cookies.iter().take(COOKIES_MAX).map(cookie), ", ");
    phrase!["cookies were set: ", told, "; a socket that is connected again shows its own"]
}

fn taken(plan: &Plan, reached: &ReachedNode) -> Phrase {
    let ReachedNode { node, name, sockets, push_sockets } = reached;
    let sockets = counted(*sockets, "socket", "sockets");
    let name = match name {
        Some(name) => phrase!["were taken by ", name],
        None => phrase!["were taken by a node that did not name itself"],
    };
    let pushing = (*push_sockets > 0).then(|| phrase![", ", Count(*push_sockets), " of them push"]);
    phrase![sockets, " to ", names::node(plan, *node), " ", name, pushing]
}

fn reason(plan: &Plan, failure: &ConnectFailure) -> Phrase {
    let ConnectFailure { node, phase, reason, sockets } = failure;
    let sockets = counted(*sockets, "socket", "sockets");
    phrase![sockets, " to ", names::node(plan, *node), ": ", phase, ": ", reason]
}
