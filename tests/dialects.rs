//! Dialects as a user meets them: files, the commands about them, and runs against servers of the test's own.
//!
//! Belongs here: the binary with a dialect. Does not: what a file may say (`dialect::file`), steps of an
//! opening by themselves (`engine::connection`).

#[path = "common/engine.rs"]
mod engine;
#[path = "common/websocket.rs"]
mod websocket;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use flate2::{Compress, Compression, FlushCompress};
use serde_json::Value;
use tempfile::TempDir;
use tungstenite::Message;
use tungstenite::handshake::derive_accept_key;
use websocket::server;

fn fanstorm(words: &[&str]) -> (Option<i32>, String, String) {
    let all = words.join(" ");
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanstorm"));
    command.args(words).env("TOKEN", "s3cret");
    if words[0] != "dialect" {
        command.args(engine::flags(&all));
    }
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// A file with a dialect, for as long as its folder lives.
fn file(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    fs::write(&path, text).unwrap();
    (folder, path)
}

/// A run of some messages on sockets that hear their own, and its only trial.
fn echo_run(dialect: &str, node: SocketAddr, more: &[&str]) -> Value {
    let (_folder, path) = file(dialect);
    let (path, node) = (path.to_str().unwrap(), format!("ws://{node}/"));
    let words = ["--dialect", path, "--node", &node, "--fan-out", "own", "--push-sockets", "3"];
    let rest = ["--messages", "300", "--quiet", "--json", "-"];
    let (code, out, err) = fanstorm(&[&words[..], &rest, more].concat());
    assert!(matches!(code, Some(0 | 5)), "{code:?} {err}");
    let result: Value = serde_json::from_str(&out).unwrap();
    result["trials"][0].clone()
}

const LOGIN: &str = r##"
schema = "fanstorm.dialect/1"
name = "mine"
[parameters]
room = "hall"
[[opening]]
expect = { starting_with = "hello" }
capture.id = { after = "#", until = "." }
[[opening]]
send = '{"join":"{room}","as":"user{socket}","id":"{capture:id}","token":"{env:TOKEN}"}'
expect = { exactly = "joined {room}" }
refuse = ["denied"]
[message]
template = '{"say":"{text}","n":{seq},"by":{socket}}'
copy = { starting_with = '{"said"' }
"##;

/// Says hello, takes a login to `room`, and answers each message with an acknowledgement that repeats it and
/// with the message.
fn chat(room: &'static str) -> SocketAddr {
    server(move |mut socket| {
        let id = socket.get_ref().peer_addr().unwrap().port().to_string();
        socket.send(Message::text(format!("hello #{id}. How are you?")))?;
        let login: Value = serde_json::from_str(socket.read()?.to_text()?).unwrap();
        let wanted = (login["id"].as_str(), login["token"].as_str());
        assert_eq!(wanted, (Some(&id[..]), Some("s3cret")));
        assert!(login["as"].as_str().unwrap().starts_with("user"));
        if login["join"] != room {
            socket.send(Message::text(format!("denied: {} is closed", login["join"])))?;
        }
        socket.send(Message::text(format!("joined {room}")))?;
        loop {
            let message = socket.read()?;
            let said: Value = serde_json::from_str(message.to_text()?).unwrap();
            assert!(
                said["n"].as_u64().unwrap() >= 1_000_000_000 && said["by"].as_u64().unwrap() < 3
            );
            socket.send(Message::text(format!(r#"{{"ok":{said}}}"#)))?;
            socket.send(Message::text(format!(
                r#"{{"said":"{}"}}"#,
                said["say"].as_str().unwrap()
            )))?;
        }
    })
}

#[test]
fn a_protocol_of_its_own_is_spoken_from_a_file() {
    let trial = echo_run(LOGIN, chat("hall"), &[]);
    assert_eq!(trial["delivery"]["delivered"], 300);
    assert_eq!(trial["delivery"]["duplicate"], 0, "an acknowledgement is no copy");
    assert_eq!(trial["delivery"]["foreign"], 300);
    let trial = echo_run(LOGIN, chat("lobby"), &["--set", "room=lobby"]);
    assert_eq!(trial["delivery"]["delivered"], 300);
}

#[test]
fn a_refused_opening_says_so_in_the_nodes_words_and_without_secrets() {
    let (_folder, path) = file(LOGIN);
    let node = format!("ws://{}/", chat("lobby"));
    let words = ["--dialect", path.to_str().unwrap(), "--node", &node, "--messages", "10"];
    let (code, out, err) = fanstorm(&words);
    assert_eq!(code, Some(4), "{out}{err}");
    assert!(err.contains("was refused: `denied: \"hall\" is closed`"), "{err}");
    assert!(!format!("{out}{err}").contains("s3cret"));
}

#[test]
fn messages_that_are_too_many_for_memory_are_patched_with_their_numbers() {
    // A window of frames in place of all.
    let trial = echo_run(LOGIN, chat("hall"), &["--frame-memory", "1KiB"]);
    assert_eq!(trial["delivery"]["delivered"], 300);
}

#[test]
fn the_built_in_dialects_are_listed_shown_and_are_files_to_begin_with() {
    let (code, list, _) = fanstorm(&["dialect", "list"]);
    assert_eq!(code, Some(0));
    for name in list.lines().filter_map(|line| line.split_whitespace().next()) {
        let (_, text, _) = fanstorm(&["dialect", "show", name]);
        let (_folder, path) = file(&text);
        let (code, checked, err) = fanstorm(&["dialect", "check", path.to_str().unwrap()]);
        assert_eq!(code, Some(0), "{name}: {err}");
        assert!(checked.starts_with(&format!("dialect  {name}\n")), "{checked}");
    }
    assert!(list.starts_with("dsatter ") && list.contains("\nraw "));
}

#[test]
fn a_wrong_dialect_is_exit_code_2_with_one_line() {
    let (_folder, path) = file("name = 'x'\n");
    let path = path.to_str().unwrap();
    for (words, hint) in [
        (&["dialect", "check", path][..], "mine.toml:1:1: `name = 'x'`: missing key `schema`"),
        (&["--dialect", path], "mine.toml:1:1: `name = 'x'`: missing key `schema`"),
        (&["--dialect", "dsater"], "error: dialect dsater: neither a file nor a built-in dialect"),
        (&["--dialect", "/"], "dialect /: this is a folder"),
        (&["--set", "room=x"], "--set room=…: dsatter has no parameter `room`: it has none"),
        (
            &["dialect", "show", "nothing"],
            "error: dialect nothing: neither a file nor a built-in dialect: those are dsatter, raw",
        ),
        (&["--dialect", path, "--set", "room"], "like room=lobby"),
    ] {
        let (code, _, err) = fanstorm(words);
        assert_eq!(code, Some(2), "{words:?}: {err}");
        assert!(err.contains(hint), "{words:?}: {err}");
    }
}

/// Asks before each of its answers, and waits for heartbeats and Pings before it says anything. How often it
/// asked and was answered is told when the client goes.
fn needy() -> (SocketAddr, mpsc::Receiver<(u32, u32)>) {
    let (told, counts) = mpsc::channel();
    let node = server(move |mut socket| {
        let (mut asked, mut answered, mut beats, mut pings, mut waiting) = (0, 0, 0, 0, Vec::new());
        loop {
            match socket.read() {
                Ok(Message::Text(text)) if text == "3" => answered += 1,
                Ok(Message::Text(text)) if text == "beat" => beats += 1,
                Ok(Message::Text(text)) => waiting.push(text),
                Ok(Message::Ping(_)) => pings += 1,
                Ok(_) => {}
                Err(_) => {
                    told.send((asked, answered)).unwrap();
                    return Ok(());
                }
            }
            if beats >= 3 && pings >= 3 {
                for text in waiting.drain(..) {
                    socket.send(Message::text("2"))?;
                    socket.send(Message::Text(text))?;
                    asked += 1;
                }
            }
        }
    });
    (node, counts)
}

#[test]
fn a_node_that_asks_is_answered_and_one_that_waits_for_signs_of_life_hears_them() {
    let (node, counts) = needy();
    let dialect = r#"
schema = "fanstorm.dialect/1"
name = "needy"
[[reply]]
when = { exactly = "2" }
send = "3"
[[heartbeat]]
every = "20ms"
send = "beat"
[message]
template = "{text}"
"#;
    let trial = echo_run(dialect, node, &["--ping", "20ms"]);
    assert_eq!(trial["delivery"]["delivered"], 300);
    assert_eq!(trial["delivery"]["foreign"], 0, "what is asked is the protocol's");
    let counts: Vec<_> = (0..3).map(|_| counts.recv().unwrap()).collect();
    assert!(counts.iter().all(|(asked, answered)| asked == answered && *asked > 100), "{counts:?}");
}

#[test]
fn a_dialect_is_tried_on_one_socket_and_what_passes_is_told() {
    let (_folder, path) = file(LOGIN);
    let path = path.to_str().unwrap();
    let node = format!("ws://{}/", chat("hall"));
    let (code, out, err) =
        fanstorm(&["dialect", "try", path, "--node", &node, "--payload-bytes", "60B"]);
    assert_eq!(code, Some(0), "{out}{err}");
    let lines: Vec<_> = out.lines().map(str::trim).collect();
    for (said, note) in [
        ("-> `GET / HTTP/1.1`", "the upgrade"),
        ("<- `HTTP/1.1 101 Switching Protocols`", "the upgrade"),
        ("<- `hello #", "answers step 1"),
        ("-> `{\"join\":\"hall\",\"as\":\"user0\",\"id\":\"", "step 2 of the opening"),
        ("<- `joined hall`", "answers step 2"),
        ("-> `{\"say\":\"fanstorm message fs", "the message"),
        ("<- `{\"ok\":{", "no copy"),
        ("<- `{\"said\":\"fanstorm message fs", "a copy of the message"),
        ("-> ``", "close"),
    ] {
        let told = lines.windows(2).any(|pair| pair[0].starts_with(said) && pair[1] == note);
        assert!(told, "{said} {note}: {out}");
    }
    assert!(out.contains("[hidden]") && !out.contains("s3cret"), "{out}");
    assert_eq!(lines.last(), Some(&"The message came back: a run can count its copies."));
}

#[test]
fn a_dialect_that_does_not_fit_is_told_where_it_ends() {
    let (_folder, path) = file(LOGIN);
    let path = path.to_str().unwrap();
    let lobby = format!("ws://{}/", chat("lobby"));
    let (code, out, err) = fanstorm(&["dialect", "try", path, "--node", &lobby]);
    assert_eq!(code, Some(4), "{out}{err}");
    assert!(
        out.contains("was refused: `denied: \"hall\" is closed`") && err.contains("step 2 of 2"),
        "{out}{err}"
    );
    // What it takes for a copy never comes.
    let wrong = LOGIN.replace("{ starting_with = '{\"said\"' }", "'nobody says this'");
    let (_folder, path) = file(&wrong);
    let node = format!("ws://{}/", chat("hall"));
    let path = path.to_str().unwrap();
    let (code, out, _) =
        fanstorm(&["dialect", "try", path, "--node", &node, "--ready-timeout", "1s"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("does `copy` match what came?"), "{out}");
    let (code, _, err) = fanstorm(&["dialect", "try", path]);
    assert_eq!((code, err.contains("--node")), (Some(2), true), "{err}");
}

#[test]
fn a_node_that_ends_the_connection_over_the_message_is_told_so() {
    let node = server(|mut socket| {
        while !socket.read()?.is_text() {}
        socket.send(Message::text("NO log in first"))?;
        socket.close(None)?;
        loop {
            socket.read()?;
        }
    });
    let node = format!("ws://{node}/");
    let (code, out, err) = fanstorm(&["dialect", "try", "raw", "--node", &node]);
    assert_eq!(code, Some(1), "{out}{err}");
    let last = out.lines().last().unwrap();
    assert!(last.starts_with("The message did not come back before the connection ended"), "{out}");
    assert!(out.contains("<- `NO log in first`"), "{out}");
}

/// Agrees to compression and says back, compressed, what it hears; its greeting comes with the answer. Before either it
/// says more than is inflated at a time.
fn compressing_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let (mut reader, mut stream) = (BufReader::new(stream.try_clone().unwrap()), stream);
        let mut key = String::new();
        for line in reader.by_ref().lines().map_while(Result::ok).take_while(|l| !l.is_empty()) {
            if let Some(value) = line.strip_prefix("Sec-WebSocket-Key: ") {
                key = derive_accept_key(value.as_bytes());
            }
        }
        let packed = |text: &[u8]| {
            let mut out = Vec::with_capacity(text.len() + 64);
            let mut deflate = Compress::new(Compression::default(), false);
            deflate.compress_vec(text, &mut out, FlushCompress::Sync).unwrap();
            out.truncate(out.len() - 4);
            [&[0xc1, u8::try_from(out.len()).unwrap()][..], &out].concat()
        };
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {key}\r\nSec-WebSocket-Extensions: permessage-deflate; \
             server_no_context_takeover\r\n\r\n"
        );
        let much = packed(&[b'x'; 20_000]).repeat(40);
        let greeting = [answer.as_bytes(), &much, &packed(b"hello, hello, hello")].concat();
        stream.write_all(&greeting).unwrap();
        let mut frame = [0; 2];
        while reader.read_exact(&mut frame).is_ok() && frame[0] == 0x81 {
            let mut rest = vec![0; 4 + usize::from(frame[1] & 0x7f)];
            reader.read_exact(&mut rest).unwrap();
            let (mask, said) = rest.split_at(4);
            let said: Vec<u8> = said.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b).collect();
            stream.write_all(&[&much[..], &packed(&said)].concat()).unwrap();
        }
    });
    address
}

#[test]
fn with_compression_a_try_shows_what_is_meant_and_what_was_agreed_to() {
    let tried = |flags: &[&str]| {
        let node = format!("ws://{}/", compressing_server());
        let words = ["dialect", "try", "raw", "--node", &node, "--payload-bytes", "60B"];
        fanstorm(&[&words[..], flags].concat())
    };
    let (code, out, err) = tried(&["--deflate"]);
    assert_eq!(code, Some(0), "{out}{err}");
    let agreed = "the upgrade, with `permessage-deflate; server_no_context_takeover`";
    assert!(out.contains(agreed), "{out}");
    assert!(out.contains("<- `hello, hello, hello`"), "{out}");
    assert!(out.ends_with("The message came back: a run can count its copies.\n"), "{out}");
    // Nobody has offered it.
    let (code, out, err) = tried(&[]);
    assert_eq!(code, Some(4), "{out}{err}");
    assert!(err.contains("extension"), "{err}");
}

#[test]
fn each_socket_opens_with_its_own_row_of_the_data() {
    let names = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&names);
    let node = server(move |mut socket| {
        let hello = socket.read()?;
        seen.lock().unwrap().push(hello.to_text()?.to_owned());
        socket.send(Message::text(format!("welcome {hello}")))?;
        loop {
            let message = socket.read()?;
            if message.is_text() {
                socket.send(message)?;
            }
        }
    });
    let dialect = r#"
schema = "fanstorm.dialect/1"
name = "named"
[[opening]]
send = "I am {data:user} {socket}"
expect = { exactly = "welcome I am {data:user} {socket}" }
[message]
template = "{text}"
"#;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("users.csv");
    fs::write(&data, "token,user\nt,anna\nt,bert\nt,carl\n").unwrap();
    let trial = echo_run(dialect, node, &["--data", data.to_str().unwrap()]);
    assert_eq!(trial["delivery"]["delivered"], 300);
    names.lock().unwrap().sort();
    assert_eq!(*names.lock().unwrap(), ["I am anna 0", "I am bert 1", "I am carl 2"]);
    let (_folder, path) = file(dialect);
    let (code, _, err) =
        fanstorm(&["--dialect", path.to_str().unwrap(), "--node", "ws://127.0.0.1:1/"]);
    assert_eq!((code, err.contains("{data:user} without --data")), (Some(2), true), "{err}");
}

#[test]
fn a_first_word_and_an_answer_need_no_file() {
    let node = server(|mut socket| {
        assert_eq!(socket.read()?.to_text()?, "I am 0, s3cret");
        socket.send(Message::text("{}"))?;
        loop {
            let message = socket.read()?;
            socket.send(Message::text("2"))?;
            while socket.read()?.to_text()? != "3" {}
            socket.send(message)?;
        }
    });
    let node = format!("ws://{node}/");
    let words = ["--dialect", "raw", "--fan-out", "own", "--push-sockets", "1", "--in-flight", "1"];
    let first = ["--opening", "I am {socket}, {env:TOKEN}", "--reply", "2=3", "--node", &node];
    let rest = ["--messages", "50", "--quiet", "--json", "-"];
    let (code, out, err) = fanstorm(&[&words[..], &first, &rest].concat());
    assert!(matches!(code, Some(0 | 5)), "{code:?} {err}");
    let result: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(result["trials"][0]["delivery"]["delivered"], 50);
    assert!(!out.contains("s3cret"), "{out}");
    for (words, hint) in [
        (
            ["--opening", "{text}"],
            "--opening: `{text}`: this place has a value in the [message] alone",
        ),
        (["--reply", "{socket}=1"], "--reply: `{socket}`: this place has a value in"),
        (["--reply", "2"], "like 2=3"),
    ] {
        let (code, _, err) = fanstorm(&words);
        assert_eq!((code, err.contains(hint)), (Some(2), true), "{words:?}: {err}");
    }
}

/// Passes each message on to its sender, once for each `sub` that this has said.
fn subscribed() -> SocketAddr {
    server(|mut socket| {
        let mut subscriptions = 0;
        loop {
            let message = socket.read()?;
            if message.to_text()? == "sub" {
                subscriptions += 1;
                socket.send(Message::text("ok"))?;
            } else {
                for _ in 0..subscriptions {
                    socket.send(message.clone())?;
                }
            }
        }
    })
}

fn with_subscriptions(said: usize, expected: u16) -> String {
    let step = "[[opening]]\nsend = 'sub'\nexpect = 'ok'\n".repeat(said);
    format!(
        "schema = 'fanstorm.dialect/1'\nname = 't'\nsubscriptions = {expected}\n{step}[message]\ntemplate = '{{text}}'\n"
    )
}

#[test]
fn as_many_copies_come_as_a_connection_holds_subscriptions_and_each_is_accounted_for() {
    let node = subscribed();
    for (said, account) in [(1, [300, 300, 0]), (2, [600, 0, 0]), (3, [600, 0, 300])] {
        let flags = ["--drain", "300ms", "--in-flight", "4"];
        let dialect = with_subscriptions(said, 2);
        let (_folder, path) = file(&dialect);
        let node = format!("ws://{node}/");
        let words = ["--dialect", path.to_str().unwrap(), "--node", &node, "--fan-out", "own"];
        let rest = ["--push-sockets", "3", "--messages", "300", "--quiet", "--json", "-"];
        let (code, out, err) = fanstorm(&[&words[..], &rest, &flags].concat());
        assert_eq!(said == 2, matches!(code, Some(0 | 5)), "{code:?} {err}");
        let result: Value = serde_json::from_str(&out).unwrap();
        let delivery = &result["trials"][0]["delivery"];
        let told = ["delivered", "missing", "duplicate"].map(|key| delivery[key].as_u64().unwrap());
        assert_eq!(told, account, "{said} subscriptions where 2 are expected");
        assert_eq!(delivery["expected"], 600);
        assert_eq!(delivery["out_of_order"], 0);
        assert_eq!(result["plan"]["subscriptions"], 2);
        // A message is whole when it came as often as it must.
        let whole = if said > 1 { 300 } else { 0 };
        let completion = &result["trials"][0]["latency_us"]["completion"];
        assert_eq!(completion["count"].as_u64().unwrap_or(0), whole, "{completion}");
    }
}

#[test]
fn a_report_says_how_often_each_message_comes_and_which_came_less_often() {
    let (_folder, path) = file(&with_subscriptions(1, 2));
    let node = format!("ws://{}/", subscribed());
    let words = ["--dialect", path.to_str().unwrap(), "--node", &node, "--fan-out", "own"];
    let rest = ["--push-sockets", "1", "--messages", "30", "--drain", "300ms"];
    let (code, out, err) = fanstorm(&[&words[..], &rest].concat());
    assert_eq!(code, Some(1), "{out}{err}");
    for told in [
        "messages x 1 x 2 copies: each message comes back 2 times on its own socket",
        "30 copies missing of 0..29",
    ] {
        assert!(out.contains(told), "{told}: {out}");
    }
    assert!(!out.contains("nothing came"), "half of it came: {out}");
}

#[test]
fn a_wrong_number_of_subscriptions_is_told_when_a_dialect_is_tried() {
    let node = format!("ws://{}/", subscribed());
    for (said, exit, told) in [
        (
            1,
            1,
            "came back 1 times on a socket, and the dialect says subscriptions = 2: a run would report the difference as missing",
        ),
        (2, 0, "a run can count its copies"),
        (
            3,
            1,
            "came back 3 times on a socket, and the dialect says subscriptions = 2: a run would report the difference as duplicates",
        ),
    ] {
        let (_folder, path) = file(&with_subscriptions(said, 2));
        let (code, out, _) = fanstorm(&["dialect", "try", path.to_str().unwrap(), "--node", &node]);
        assert_eq!((code, out.contains(told)), (Some(exit), true), "{out}");
    }
    let (_folder, path) = file(&with_subscriptions(2, 2));
    let path = path.to_str().unwrap();
    let (_, out, _) = fanstorm(&["dialect", "check", path]);
    assert!(out.contains("each message 2 times on a socket (subscriptions)"), "{out}");
    let opening = with_subscriptions(0, 2);
    let (_folder, path) = file(&opening);
    let (code, _, err) = fanstorm(&["--dialect", path.to_str().unwrap(), "--relay"]);
    assert_eq!(
        (code, err.contains("subscriptions = 2 and the embedded")),
        (Some(2), true),
        "{err}"
    );
}

/// What one socket has sent: messages, heartbeats, answers, and what it said of itself in each.
type Sent = (u32, u32, u32, std::collections::BTreeSet<String>);

/// Checks each number that a socket sends, and asks in between. What it has sent is told when it goes.
fn numbered() -> (SocketAddr, mpsc::Receiver<Sent>) {
    let (told, sockets) = mpsc::channel();
    let node = server(move |mut socket| {
        let id = socket.get_ref().peer_addr().unwrap().port().to_string();
        let (mut refs, mut own) = (Vec::new(), std::collections::BTreeSet::new());
        let (mut messages, mut beats, mut asked) = (0, 0, 0);
        while let Ok(message) = socket.read() {
            let Ok(text) = message.to_text() else { continue };
            let words: Vec<&str> = text.split('|').collect();
            let [kind, reference, rest @ ..] = &words[..] else { continue };
            refs.push(reference.parse::<u64>().unwrap());
            match *kind {
                "join" => {
                    socket.send(Message::text(format!("joined {reference} #{id}.")))?;
                    continue;
                }
                "beat" => beats += 1,
                "pong" => asked += 1,
                "say" => {
                    messages += 1;
                    assert_eq!(reference.len(), 10);
                    if messages % 10 == 0 {
                        socket.send(Message::text("ping?"))?;
                    }
                    socket.send(Message::text(rest[4]))?;
                }
                other => panic!("{other}"),
            }
            assert_eq!(rest[0], id);
            own.insert(rest[1..4].join("|"));
        }
        let all = refs.len();
        refs.sort_unstable();
        refs.dedup();
        assert_eq!(refs.len(), all, "a number came twice");
        told.send((messages, beats, asked, own)).unwrap();
        Ok(())
    });
    (node, sockets)
}

#[test]
fn all_that_a_socket_sends_may_hold_what_is_its_own_and_numbers_that_nothing_else_has() {
    let (node, sockets) = numbered();
    let dialect = r##"
schema = "fanstorm.dialect/1"
name = "own"
[[opening]]
send = "join|{ref}"
expect = { starting_with = "joined {ref} " }
capture.id = { after = "#", until = "." }
[[reply]]
when = { exactly = "ping?" }
send = "pong|{ref}|{capture:id}|{user}|{node}|{uuid}"
[[heartbeat]]
every = "20ms"
send = "beat|{ref}|{capture:id}|{user}|{node}|{uuid}"
[message]
template = "say|{ref}|{capture:id}|{user}|{node}|{uuid}|{text}"
"##;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("users.csv");
    fs::write(&data, "user\nanna\nbertram\n").unwrap();
    let data = data.to_str().unwrap();
    // All frames laid out, a window of them, and without a table. Two trials, so that numbers go on.
    for more in [&["--data", data][..], &["--data", data, "--frame-memory", "1KiB"], &[]] {
        let flags = [more, &["--messages", "300,200", "--rate", "2000"]].concat();
        let (_folder, path) = file(dialect);
        let (path, node) = (path.to_str().unwrap(), format!("ws://{node}/"));
        let words = ["--dialect", path, "--node", &node, "--fan-out", "own", "--push-sockets", "3"];
        let (code, out, err) =
            fanstorm(&[&words[..], &flags, &["--quiet", "--json", "-"]].concat());
        assert!(matches!(code, Some(0 | 5)), "{code:?} {err}");
        let result: Value = serde_json::from_str(&out).unwrap();
        for (trial, messages) in result["trials"].as_array().unwrap().iter().zip([300, 200]) {
            assert_eq!(trial["delivery"]["delivered"], messages);
            assert_eq!(trial["delivery"]["foreign"], 0);
        }
        let mut users: Vec<String> = (0..3)
            .map(|_| {
                let (messages, beats, asked, own) = sockets.recv().unwrap();
                assert!(messages >= 166 && beats > 2 && asked > 10, "{messages} {beats} {asked}");
                // All that one socket said of itself is the same everywhere.
                assert_eq!(own.len(), 1, "{own:?}");
                let own = own.into_iter().next().unwrap();
                let words: Vec<_> = own.split('|').collect();
                assert_eq!((words[1], words[2].len()), ("0", 36));
                words[0].to_owned()
            })
            .collect();
        users.sort();
        let expected =
            if more.is_empty() { ["user0", "user1", "user2"] } else { ["anna", "anna", "bertram"] };
        assert_eq!(users, expected);
    }
}

#[test]
fn a_captured_value_that_is_too_long_for_messages_refuses_the_socket() {
    let node = server(|mut socket| {
        socket.send(Message::text(format!("#{}.", "x".repeat(4097))))?;
        loop {
            socket.read()?;
        }
    });
    let dialect = "schema = 'fanstorm.dialect/1'\nname = 't'\n[[opening]]\nexpect = '#'\n\
                   capture.id = { after = '#', until = '.' }\n[message]\ntemplate = '{capture:id}{text}'\n";
    let (_folder, path) = file(dialect);
    let node = format!("ws://{node}/");
    let (code, _, err) = fanstorm(&["--dialect", path.to_str().unwrap(), "--node", &node]);
    assert_eq!(code, Some(4), "{err}");
    assert!(
        err.contains("4097 bytes of what it calls `id`: a message repeats 4096 at most"),
        "{err}"
    );
}

#[test]
fn a_socket_that_a_node_ends_with_a_goodbye_is_told_in_the_nodes_words() {
    for stream in [false, true] {
        let node = server(move |mut socket| {
            for passed in 0.. {
                let message = socket.read()?;
                socket.send(message)?;
                if passed == 20 {
                    // In a stream it may come in pieces.
                    let pieces = if stream {
                        &["-ERR 'Slow ", "Consumer'\r\n"][..]
                    } else {
                        &["-ERR 'Slow Consumer'"]
                    };
                    for piece in pieces {
                        socket.send(Message::text(*piece))?;
                    }
                    socket.close(None)?;
                }
            }
            Ok(())
        });
        let goodbye =
            if stream { "['BYE', \"-ERR 'Slow Consumer\"]" } else { "{ starting_with = '-ERR' }" };
        let dialect = format!(
            "schema = 'fanstorm.dialect/1'\nname = 't'\nstream = {stream}\ngoodbye = {goodbye}\n[message]\ntemplate = '{{text}}'\n"
        );
        let (_folder, path) = file(&dialect);
        let (path, node) = (path.to_str().unwrap(), format!("ws://{node}/"));
        let words = ["--dialect", path, "--node", &node, "--fan-out", "own", "--push-sockets", "1"];
        let rest =
            ["--messages", "100", "--in-flight", "1", "--drain", "300ms", "--quiet", "--json", "-"];
        let (code, out, err) = fanstorm(&[&words[..], &rest].concat());
        assert_eq!(code, Some(1), "{err}");
        let result: Value = serde_json::from_str(&out).unwrap();
        let trial = &result["trials"][0];
        assert_eq!(trial["delivery"]["foreign"], 0, "{stream}");
        let reason = trial["lost_sockets"][0]["reason"].as_str().unwrap();
        assert!(reason.starts_with("the node said goodbye with `-ERR 'Slow Consumer"), "{reason}");
        assert!(reason.contains("; closed by the node"), "{reason}");
    }
}

/// The server decodes each text with a crate of its own, and passes it on in another message.
#[test]
fn texts_may_travel_in_base64() {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
    let node = server(|mut socket| {
        loop {
            let message = socket.read()?;
            let Ok(said) = serde_json::from_str::<Value>(message.to_text()?) else { continue };
            let text = STANDARD.decode(said["data"].as_str().unwrap()).unwrap();
            assert!(text.starts_with(b"fanstorm message fs"), "{said}");
            assert_eq!(said["len"], said["data"].as_str().unwrap().len());
            let data = STANDARD_NO_PAD.encode(&text);
            socket.send(Message::text(format!(r#"{{"ok":{}}}"#, said["n"])))?;
            socket.send(Message::text(format!(r#"{{"from":"x","data":"{data}"}}"#)))?;
        }
    });
    let dialect = "schema = 'fanstorm.dialect/1'\nname = 'coded'\n[message]\n\
                   template = '{\"n\":{seq},\"len\":{len},\"data\":\"{text}\"}'\ntext = 'base64'\n";
    for more in [&["--payload-bytes", "151B"][..], &["--frame-memory", "1KiB"]] {
        let trial = echo_run(dialect, node, more);
        assert_eq!(trial["delivery"]["delivered"], 300);
        assert_eq!(trial["delivery"]["foreign"], 300, "acknowledgements");
    }
}

#[test]
fn push_and_receive_sockets_upgrade_as_the_dialect_says_of_each() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let node = format!("ws://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let seen = Arc::clone(&seen);
            thread::spawn(move || {
                use tungstenite::handshake::server::{Request, Response};
                #[expect(clippy::result_large_err, reason = "the crate's own signature")]
                let note = |request: &Request, response: Response| {
                    let key = request.headers()["X-Key"].to_str().unwrap();
                    seen.lock().unwrap().push(format!("{} {key}", request.uri()));
                    Ok(response)
                };
                let mut socket = tungstenite::accept_hdr(stream, note).unwrap();
                while let Ok(message) = socket.read() {
                    let _ = socket.send(message);
                }
            });
        }
    });
    let dialect = "schema = 'fanstorm.dialect/1'\nname = 't'\n[upgrade]\npath = '/both'\nheaders = { X-Key = 'k' }\n\
                   [upgrade.push]\npath = '/push'\n[upgrade.receive]\nquery = 'as={user}'\nheaders = { x-key = 'r' }\n\
                   [message]\ntemplate = '{text}'\n";
    let (_folder, path) = file(dialect);
    let path = path.to_str().unwrap();
    let words =
        ["--dialect", path, "--node", &node, "--push-sockets", "2", "--receivers-per-node", "2"];
    // It echoes: receive sockets hear nothing, and the run ends before the clock.
    let (code, _, err) = fanstorm(&[&words[..], &["--ready-timeout", "1s"]].concat());
    assert_eq!(code, Some(4), "{err}");
    let expected = ["/both?as=user2 r", "/both?as=user3 r", "/push k", "/push k"];
    let mut all = std::mem::take(&mut *asked.lock().unwrap());
    all.sort();
    assert_eq!(all, expected);
    // A trial of the dialect tries both.
    let (_, out, _) = fanstorm(&["dialect", "try", path, "--node", &node, "--ready-timeout", "1s"]);
    for told in ["`GET /push HTTP/1.1`", "`GET /both?as=user1 HTTP/1.1`"] {
        assert!(out.contains(told), "{told}: {out}");
    }
}

/// Echoes, but for `/no`, which it refuses and repeats; notes what it is asked.
fn repeating(asked: &Arc<Mutex<Vec<String>>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::clone(asked);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let seen = Arc::clone(&seen);
            thread::spawn(move || {
                use tungstenite::handshake::server::{ErrorResponse, Request, Response};
                #[expect(clippy::result_large_err, reason = "the crate's own signature")]
                let note =
                    |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
                        seen.lock().unwrap().push(request.uri().to_string());
                        match request.uri().path() {
                            "/no" => Err(Response::builder()
                                .status(403)
                                .body(Some(format!("{} may not", request.uri())))
                                .unwrap()),
                            _ => Ok(response),
                        }
                    };
                let Ok(mut socket) = tungstenite::accept_hdr(stream, note) else { return };
                while let Ok(message) = socket.read() {
                    let _ = socket.send(message);
                }
            });
        }
    });
    address
}

/// Wherever a URL may come up: in errors, reports, results, in what a node repeats.
#[test]
fn no_output_shows_a_secret_of_a_url() {
    const SECRET: &str = "s3cret-of-url";
    let asked = Arc::new(Mutex::new(Vec::new()));
    let address = repeating(&asked);
    let folder = tempfile::tempdir().unwrap();
    let result = folder.path().join("result.json");
    let result = result.to_str().unwrap();
    let url = |path: &str| format!("ws://{address}{path}?token={SECRET}&t={SECRET}");
    let (good, refused) = (url("/"), url("/no"));
    let nowhere = format!("ws://no-such-host.invalid/?t={SECRET}");
    let with_user = format!("ws://me:{SECRET}@127.0.0.1:1/");
    let discovery = format!("http://me:{SECRET}@127.0.0.1:1/list?t={SECRET}");
    let joined = format!("--node=http://127.0.0.1:1/?t={SECRET}");
    let bare = format!("127.0.0.1:1/?t={SECRET}");
    let run = ["--dialect", "raw", "--fan-out", "own", "--messages", "10"];
    let tries: [(Option<i32>, &[&str]); 11] = [
        (None, &["--node", &good, "--json", result]),
        (Some(4), &["--node", &refused]),
        (Some(4), &["--node", &good, "--fan-out", "all", "--ready-timeout", "300ms"]),
        (Some(4), &["--node", &nowhere]),
        (Some(2), &["--node", &with_user]),
        (Some(2), &[&joined]),
        (Some(2), &["--node", &bare]),
        (Some(2), &[&good]),
        (Some(2), &["--node", "ws://127.0.0.1:1/", "--push-node", &good]),
        (Some(4), &["--discovery", &discovery]),
        (Some(2), &["--discovery", &good]),
    ];
    for (exit, words) in tries {
        let run = if words.contains(&"--fan-out") { &run[..2] } else { &run };
        let (code, out, err) = fanstorm(&[run, words].concat());
        assert!(!format!("{out}{err}").contains(SECRET), "{words:?}: {out}{err}");
        match exit {
            Some(exit) => assert_eq!(code, Some(exit), "{words:?}: {out}{err}"),
            None => assert!(matches!(code, Some(0 | 5)), "{code:?}: {err}"),
        }
    }
    let kept = fs::read_to_string(result).unwrap();
    assert!(!kept.contains(SECRET) && kept.contains("/?token=[hidden]&t=[hidden]"), "{kept}");
    for words in [&["dialect", "try", "raw", "--node", &good][..], &["audit", "--node", &good]] {
        let (_, out, err) = fanstorm(words);
        assert!(!format!("{out}{err}").contains(SECRET), "{words:?}: {out}{err}");
    }
    let asked = asked.lock().unwrap();
    assert!(asked.iter().all(|uri| uri.contains(&format!("?token={SECRET}&t={SECRET}"))));
    assert!(asked.len() > 5, "nothing is hidden from the node");
}
