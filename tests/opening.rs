//! The dialect's opening, against servers of the test's own: sockets log in, or the failure says where and why.
//!
//! Belongs here: openings on a real ring. Does not: their steps by themselves (`engine::connection`).

#[path = "common/plan.rs"]
mod common;
#[path = "common/websocket.rs"]
mod websocket;

use std::net::SocketAddr;
use std::sync::Arc;

use fanstorm::dialect::file::{self, Source};
use fanstorm::dialect::{Dialect, TextShape};
use fanstorm::engine::drain::DrainWatch;
use fanstorm::engine::ring::RingConfig;
use fanstorm::engine::ring::epoll::EpollRing;
use fanstorm::engine::spread::spread;
use fanstorm::engine::worker::{Control, Directive, TrialProgress, Worker};
use fanstorm::host::clock::{Clock, Monotonic};
use fanstorm::load::trial::Trial;
use fanstorm::plan::load::Spec;
use fanstorm::units::Nanos;
use tungstenite::Message;
use websocket::{Socket, server};

/// The next text, which is never a Close before the test ends.
fn hear(socket: &mut Socket) -> tungstenite::Result<String> {
    loop {
        if let Message::Text(text) = socket.read()? {
            return Ok(text.to_string());
        }
    }
}

fn say(socket: &mut Socket, text: &str) -> tungstenite::Result<()> {
    socket.send(Message::text(text))
}

/// Listens until the client goes.
fn linger(mut socket: Socket) -> tungstenite::Result<()> {
    loop {
        socket.read()?;
    }
}

/// A greeting is awaited, a name that no other socket has is taken, a room is joined.
const LOGIN: &str = r#"
schema = "fanstorm.dialect/1"
name = "login"
frames = "any"
[[opening]]
expect = "hello"
[[opening]]
send = '{"name":"client{socket}"}'
expect = "welcome client{socket}"
refuse = "denied"
[[opening]]
send = "join"
[message]
template = "{text}"
"#;

fn login() -> Dialect {
    let source = Source { file: "login", text: LOGIN, settings: &[], environment: &|_| None };
    file::read(&source).unwrap()
}

/// Ends a phase when it is complete, or after some seconds.
struct Phase(DrainWatch);

impl Control for Phase {
    fn turn(&mut self, progress: TrialProgress, now: Nanos) -> Directive {
        match self.0.look(progress, now) {
            Some(_) => Directive::End,
            None => Directive::Continue,
        }
    }
}

struct Patient;

impl Control for Patient {
    fn turn(&mut self, _: TrialProgress, _: Nanos) -> Directive {
        Directive::Continue
    }
}

/// Connects so many sockets to the node, and if all are there, sends a probe. The failures of connecting,
/// and how many sockets did not see the probe.
fn open(node: SocketAddr, sockets: u32, dialect: Dialect) -> (Vec<String>, usize) {
    let spec = Spec {
        dialect,
        push_sockets: sockets,
        receivers_per_node: Some(0),
        trials: Trial::bursts(&[sockets.into()]),
        connect_timeout: Nanos::from_millis(700),
        ..Spec::default()
    };
    let plan = common::plan(&[format!("ws://{node}/")], spec);
    let ring = EpollRing::new(RingConfig::for_sockets(sockets)).unwrap();
    let (seats, rng) =
        (&spread(plan.population(), plan.generator.workers())[0], fastrand::Rng::with_seed(1));
    let mut worker = Worker::new(&plan, ring, Monotonic, seats, rng);
    let failures = worker.connect(&mut Patient).unwrap();
    if failures.is_empty() {
        let text = TextShape::new(plan.messages.payload_bytes).unwrap();
        let mut phase = Phase(DrainWatch::new(Nanos::from_secs(5), Monotonic.now()));
        return (Vec::new(), worker.probe(&text, 7, &mut phase).unwrap().len());
    }
    let told = |failure: fanstorm::measure::connecting::Failure| {
        assert_eq!(failure.seat.node, 0);
        format!("{}: {}", failure.phase, failure.reason)
    };
    (failures.into_iter().map(told).collect(), 0)
}

/// The only failure of the only socket.
fn failure(node: SocketAddr) -> String {
    let (failures, _) = open(node, 1, login());
    let [failure] = &failures[..] else { panic!("{failures:?}") };
    failure.clone()
}

#[test]
fn a_socket_that_was_let_in_step_by_step_carries_messages() {
    let node = server(|mut socket| {
        say(&mut socket, "news of somebody else")?;
        say(&mut socket, "hello")?;
        assert_eq!(hear(&mut socket)?, r#"{"name":"client0"}"#);
        // Pings come at any time, too.
        socket.send(Message::Ping(b"there?".as_slice().into()))?;
        say(&mut socket, "more news")?;
        say(&mut socket, "welcome client0")?;
        assert_eq!(hear(&mut socket)?, "join");
        loop {
            let text = hear(&mut socket)?;
            say(&mut socket, &text)?;
        }
    });
    assert_eq!(open(node, 1, login()), (Vec::new(), 0));
}

#[test]
fn every_socket_says_its_own_number_and_waits_for_it() {
    let names = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&names);
    let node = server(move |mut socket| {
        say(&mut socket, "hello")?;
        let name = hear(&mut socket)?;
        let number = name.trim_start_matches(r#"{"name":"client"#).trim_end_matches(r#""}"#);
        // The welcome of another socket is none.
        say(&mut socket, "welcome client999")?;
        say(&mut socket, &format!("welcome client{number}"))?;
        assert_eq!(hear(&mut socket)?, "join");
        seen.lock().unwrap().push(number.parse::<u32>().unwrap());
        linger(socket)
    });
    // All are open; only an echo server would let the probe come back.
    let (failures, _) = open(node, 40, login());
    assert_eq!(failures, Vec::<String>::new());
    let mut names = names.lock().unwrap().clone();
    names.sort_unstable();
    assert_eq!(names, (0..40).collect::<Vec<_>>());
}

const STEP_2: &str = "step 2 of 3 of the dialect's opening (sent `{\"name\":\"client{socket}\"}`, \
    expects `welcome client{socket}`)";

#[test]
fn a_refusal_names_the_step_and_quotes_the_node() {
    let node = server(|mut socket| {
        say(&mut socket, "hello")?;
        hear(&mut socket)?;
        say(&mut socket, "denied: \u{1b}[31m no such user")?;
        linger(socket)
    });
    let expected = format!("opening: {STEP_2} was refused: `denied: \\u{{1b}}[31m no such user`");
    assert_eq!(failure(node), expected);
}

#[test]
fn an_answer_that_does_not_come_names_the_step_and_what_came_instead() {
    let node = server(|mut socket| {
        say(&mut socket, "hello")?;
        hear(&mut socket)?;
        say(&mut socket, "who are you?")?;
        say(&mut socket, "hm")?;
        linger(socket)
    });
    let expected = format!(
        "opening: {STEP_2} was not done within 0.7 s (--connect-timeout): the node said `who are \
         you?` instead"
    );
    assert_eq!(failure(node), expected);
    let silent = server(linger);
    assert_eq!(
        failure(silent),
        "opening: step 1 of 3 of the dialect's opening (expects `hello`) was not done within 0.7 s \
         (--connect-timeout): the node said nothing"
    );
}

#[test]
fn a_node_that_closes_instead_of_answering_is_quoted_with_its_code_and_the_step() {
    let node = server(|mut socket| {
        say(&mut socket, "hello")?;
        hear(&mut socket)?;
        let code = tungstenite::protocol::frame::coding::CloseCode::Library(4401);
        let reason = "log in first".into();
        socket.close(Some(tungstenite::protocol::CloseFrame { code, reason }))?;
        linger(socket)
    });
    assert_eq!(
        failure(node),
        format!("opening: closed by the node: 4401 log in first, in {STEP_2}")
    );
    let gone = server(|mut socket| {
        say(&mut socket, "hello")?;
        hear(&mut socket)?;
        say(&mut socket, "bye")
    });
    let failure = failure(gone);
    assert!(failure.ends_with(&format!("in {STEP_2}: the node said `bye` instead")), "{failure}");
}
