//! Servers that do what servers should not, on the wire: the program says what is wrong, and ends.
//!
//! Belongs here: what takes a server of its own to provoke. Does not: the reference cluster's faults
//! (`faults`), flags and hosts (`cli`).

#[path = "common/engine.rs"]
mod engine;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tungstenite::Message;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::{Role, WebSocket};

/// What a run came to; `result` is null where none was written.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    err: String,
    result: Value,
}

/// Serves every connection with `serve`, numbered from 0, until the test ends.
fn server(serve: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for (number, stream) in listener.incoming().map_while(Result::ok).enumerate() {
            let serve = Arc::clone(&serve);
            thread::spawn(move || serve(number, stream));
        }
    });
    address
}

/// One push socket against an echo server.
fn run(node: SocketAddr, flags: &str) -> Ran {
    let words = "--dialect raw --fan-out own --push-sockets 1 --quiet --json - --drain 1500ms";
    run_with(&format!("--node ws://{node}/ {words} {flags}"))
}

fn run_with(words: &str) -> Ran {
    let output = Command::new("timeout")
        .args(["60", env!("CARGO_BIN_EXE_fanstorm")])
        .args(words.split(' '))
        .args(engine::flags(words))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(!err.contains("panicked"), "{err}");
    Ran {
        code: output.status.code(),
        err,
        result: serde_json::from_slice(&output.stdout).unwrap_or(Value::Null),
    }
}

impl Ran {
    fn count(&self, row: usize, what: &str) -> u64 {
        let count = self.result["trials"][row]["delivery"][what].as_u64();
        count.unwrap_or_else(|| panic!("no trial {row}: {self:?}"))
    }

    fn is_complete(&self, row: usize) -> bool {
        let clean = ["missing", "duplicate", "corrupt"].iter().all(|w| self.count(row, w) == 0);
        clean && matches!(self.code, Some(0 | 5))
    }
}

/// Reads the upgrade request and makes the answer to it.
fn answer(stream: &mut TcpStream) -> Vec<u8> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).unwrap();
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let accept = derive_accept_key(key.as_bytes());
    let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade";
    format!("{head}\r\nSec-WebSocket-Accept: {accept}\r\n\r\n").into_bytes()
}

fn upgraded(mut stream: TcpStream) -> WebSocket<TcpStream> {
    let answer = answer(&mut stream);
    stream.write_all(&answer).unwrap();
    WebSocket::from_raw_socket(stream, Role::Server, None)
}

/// A text message of less than 64 KiB in one frame, for who writes beside a `WebSocket`.
fn text_frame(text: &[u8]) -> Vec<u8> {
    let length = text.len() as u16;
    let head = match length {
        ..126 => vec![0x81, length as u8],
        _ => [&[0x81, 126][..], &length.to_be_bytes()].concat(),
    };
    [&head[..], text].concat()
}

/// Sends every message back, changed by `back`; `None` says nothing.
fn echo(mut socket: WebSocket<TcpStream>, mut back: impl FnMut(Message) -> Option<Message>) {
    while let Ok(message) = socket.read() {
        let application = message.is_text() || message.is_binary();
        let reply = Some(message).filter(|_| application).and_then(&mut back);
        if reply.is_some_and(|reply| socket.send(reply).is_err()) {
            return;
        }
    }
}

#[test]
fn a_trial_with_a_loss_ends_although_others_never_stop_talking() {
    let node = server(|_, stream| {
        let mut chatter =
            WebSocket::from_raw_socket(stream.try_clone().unwrap(), Role::Server, None);
        let socket = upgraded(stream);
        // Both write, so a message of the one must be whole before the other's: one call each.
        let turn = Arc::new(Mutex::new(()));
        let talking = Arc::clone(&turn);
        thread::spawn(move || {
            loop {
                thread::sleep(Duration::from_millis(20));
                let _turn = talking.lock().unwrap();
                if chatter.send(Message::text("somebody else")).is_err() {
                    return;
                }
            }
        });
        let mut heard = 0;
        echo(socket, |message| {
            let _turn = turn.lock().unwrap();
            heard += 1;
            // The probe is the first.
            (heard != 7).then_some(message)
        });
    });
    let ran = run(node, "--messages 20");
    assert_eq!((ran.code, ran.count(0, "missing")), (Some(1), 1), "{ran:?}");
    assert!(ran.count(0, "foreign") > 0, "{ran:?}");
    assert_eq!(ran.result["trials"][0]["ending"], "drained");
}

/// What the two nodes of a cluster share: the texts that were pushed, and where to write to the clients
/// of each.
#[derive(Default)]
struct Cluster {
    pushed: Mutex<Vec<String>>,
    clients: [Mutex<Vec<TcpStream>>; 2],
}

impl Cluster {
    /// A cluster with the addresses of its nodes: `script` says everything, and sees what was pushed.
    fn start(script: fn(&Self)) -> [SocketAddr; 2] {
        let cluster = Arc::new(Self::default());
        let nodes = [0, 1].map(|node| {
            let cluster = Arc::clone(&cluster);
            server(move |_, stream| {
                let writer = stream.try_clone().unwrap();
                let socket = upgraded(stream);
                cluster.clients[node].lock().unwrap().push(writer);
                echo(socket, |message| {
                    cluster.pushed.lock().unwrap().push(pushed_text(message.to_text().unwrap()));
                    None
                });
            })
        });
        thread::spawn(move || script(&cluster));
        nodes
    }

    /// The text of a message, as soon as it was pushed.
    fn text(&self, message: usize) -> String {
        loop {
            if let Some(text) = self.pushed.lock().unwrap().get(message) {
                return text.clone();
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// To every client of a node.
    fn say(&self, node: usize, payload: &str) {
        let payload = format!(r#"{{"payload":[{{{payload}}}]}}"#);
        for client in self.clients[node].lock().unwrap().iter_mut() {
            let _ = client.write_all(&text_frame(payload.as_bytes()));
        }
    }

    /// A message to the clients of the push node, with its text and an id.
    fn say_text(&self, message: usize) {
        let text = self.text(message);
        self.say(0, &format!(r#""messageId":"m{message}","text":"{text}""#));
    }

    /// A message to the clients of the other node, by its id alone.
    fn say_id(&self, message: usize) {
        self.say(1, &format!(r#""messageId":"m{message}""#));
    }
}

fn pushed_text(message: &str) -> String {
    let message: Value = serde_json::from_str(message).unwrap();
    message["payload"]["text"].as_str().unwrap().to_owned()
}

/// One push socket, and a receive socket to each of two nodes, of which the first takes the pushes.
fn run_two(nodes: [SocketAddr; 2], flags: &str) -> Ran {
    let [first, second] = nodes.map(|node| format!("--node ws://{node}/"));
    run_with(&format!("{first} {second} --push-sockets 1 --quiet --json - {flags}"))
}

#[test]
fn copies_that_come_keep_a_trial_open_however_many_ids_of_strangers_wait() {
    let nodes = Cluster::start(|cluster| {
        [Cluster::say_text, Cluster::say_id].iter().for_each(|say| say(cluster, 0));
        cluster.text(1);
        (0..60).for_each(|stranger| cluster.say(1, &format!(r#""messageId":"s{stranger}""#)));
        for message in 1..=20 {
            thread::sleep(Duration::from_millis(150));
            cluster.say_text(message);
            cluster.say_id(message);
        }
    });
    // All of them take twice as long as the drain time.
    let ran = run_two(nodes, "--messages 20 --drain 1500ms");
    assert_eq!((ran.count(0, "delivered"), ran.count(0, "missing")), (60, 0), "{ran:?}");
    assert_eq!(ran.result["trials"][0]["ending"], "complete");
}

#[test]
fn ids_of_strangers_put_the_end_of_a_trial_off_by_no_more_than_the_drain_time() {
    let nodes = Cluster::start(|cluster| {
        [Cluster::say_text, Cluster::say_id].iter().for_each(|say| say(cluster, 0));
        // The other node is cut off after the probe, and somebody chats there.
        (1..=80).for_each(|message| cluster.say_text(message));
        for stranger in 0.. {
            thread::sleep(Duration::from_millis(50));
            cluster.say(1, &format!(r#""messageId":"s{stranger}""#));
        }
    });
    let ran = run_two(nodes, "--messages 80 --drain 500ms");
    assert_eq!((ran.code, ran.count(0, "missing")), (Some(1), 80), "{ran:?}");
    assert_eq!(ran.result["trials"][0]["ending"], "drained");
    // Twice the drain time is 20 of them; they were as many as what is missing.
    assert!((1..80).contains(&ran.count(0, "foreign")), "{ran:?}");
}

/// Echoes, and sends all but the probe again 60 ms later.
fn twice(stream: TcpStream) {
    let writer = Arc::new(Mutex::new(stream.try_clone().unwrap()));
    let mut heard = 0;
    echo(upgraded(stream), |message| {
        let frame = text_frame(&message.into_data());
        writer.lock().unwrap().write_all(&frame).unwrap();
        heard += 1;
        if heard > 1 {
            let writer = Arc::clone(&writer);
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(60));
                let _ = writer.lock().unwrap().write_all(&frame);
            });
        }
        None
    });
}

#[test]
fn a_copy_that_comes_twice_is_a_duplicate_of_its_own_trial_also_when_that_is_over() {
    let node = server(|_, stream| twice(stream));
    let ran = run(node, "--messages 20");
    assert_eq!((ran.code, ran.count(0, "duplicate")), (Some(1), 20), "{ran:?}");

    let ran = run(node, "--messages 20,30");
    let (first, second) = (&ran.result["trials"][0], &ran.result["trials"][1]);
    // However many of them the end of the first trial made late.
    let late = first["late"]["duplicates"].as_u64().unwrap();
    assert_eq!((ran.code, ran.count(0, "duplicate")), (Some(1), 20), "{ran:?}");
    assert!(late <= 20, "{ran:?}");
    assert_eq!((ran.count(1, "duplicate"), ran.count(1, "foreign")), (30, 0), "{ran:?}");
    for row in [0, 1] {
        let kinds = ["delivered", "duplicate", "misdelivered", "foreign", "corrupt"];
        let sum: u64 = kinds.iter().map(|kind| ran.count(row, kind)).sum();
        assert_eq!(sum, ran.count(row, "seen"), "{ran:?}");
    }
    let caveats = second["verdict"]["caveats"].as_array().unwrap();
    let told = caveats.iter().any(|caveat| caveat["code"] == "late-arrivals");
    assert_eq!(told, ran.count(1, "earlier") > 0, "{ran:?}");
    assert!(late == 0 || first["late"]["up_to_s"].as_f64().unwrap() > 0.0, "{ran:?}");
}

#[test]
fn what_a_stalled_trial_left_behind_comes_late_in_that_trial_and_is_nobody_elses() {
    let nodes = Cluster::start(|cluster| {
        for message in 0..=30 {
            cluster.say_text(message);
            // The other node stalls after the probe, and goes on when the second trial has begun.
            match message {
                0 | 22.. => cluster.say_id(message),
                21 => (1..=21).for_each(|late| cluster.say_id(late)),
                _ => {}
            }
        }
    });
    let ran = run_two(nodes, "--messages 20,10 --drain 500ms");
    let late = &ran.result["trials"][0]["late"];
    assert_eq!((ran.code, ran.count(0, "missing")), (Some(1), 20), "{ran:?}");
    assert_eq!((&late["copies"], &late["duplicates"]), (&20.into(), &0.into()), "{ran:?}");
    let counts = ["delivered", "earlier", "foreign"].map(|what| ran.count(1, what));
    assert_eq!(counts, [30, 20, 0], "{ran:?}");
    let caveats = ran.result["trials"][1]["verdict"]["caveats"].to_string();
    assert!(caveats.contains("late-arrivals"), "{ran:?}");
}

#[test]
fn a_flood_of_pings_from_a_node_that_reads_nothing_meanwhile_is_survived() {
    let node = server(|_, stream| {
        let mut flood = stream.try_clone().unwrap();
        let mut heard = 0;
        echo(upgraded(stream), |message| {
            heard += 1;
            if heard == 2 {
                // 300 000 empty Pings: three times what answers fit into the buffers of a socket.
                flood.write_all(&[0x89, 0].repeat(300_000)).unwrap();
            }
            Some(message)
        });
    });
    let ran = run(node, "--messages 50");
    assert!(ran.is_complete(0), "{ran:?}");
    assert_eq!(ran.result["trials"][0]["opcodes"]["ping"], 300_000);
}

#[test]
fn an_upgrade_in_single_bytes_or_in_one_piece_with_frames_is_taken() {
    for piecewise in [true, false] {
        let node = server(move |_, mut stream| {
            stream.set_nodelay(true).unwrap();
            let mut answer = answer(&mut stream);
            answer.extend(b"\x81\x07welcome\x89\x00\x81\x05he");
            for piece in answer.chunks(if piecewise { 1 } else { answer.len() }) {
                stream.write_all(piece).unwrap();
            }
            stream.write_all(b"llo").unwrap();
            echo(WebSocket::from_raw_socket(stream, Role::Server, None), Some);
        });
        let ran = run(node, "--messages 50");
        assert!(ran.is_complete(0), "{ran:?}");
    }
}

#[test]
fn a_server_of_another_protocol_is_named_as_one() {
    let node = server(|_, mut stream| {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n");
        let _ = io::copy(&mut stream, &mut io::sink());
    });
    let ran = run(node, "--messages 50");
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.err.contains("upgrade") && ran.err.contains("not HTTP"), "{ran:?}");
}

#[test]
fn garbage_after_the_upgrade_is_a_broken_protocol() {
    let node = server(|_, mut stream| {
        let answer = answer(&mut stream);
        stream.write_all(&answer).unwrap();
        let _ = stream.write_all(&[0xff; 3000]);
        let _ = io::copy(&mut stream, &mut io::sink());
    });
    let ran = run(node, "--messages 50");
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.err.contains("broke the protocol"), "{ran:?}");
}

#[test]
fn a_close_in_place_of_the_probe_is_named_with_code_and_reason_and_commands_no_terminal() {
    let node = server(|_, stream| {
        let close = Message::Close(Some(tungstenite::protocol::CloseFrame {
            code: 1013.into(),
            reason: "\u{1b}[2Jtry later".into(),
        }));
        echo(upgraded(stream), |_| Some(close.clone()));
    });
    let ran = run(node, "--messages 50");
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.err.contains("1013") && ran.err.contains("try later"), "{ran:?}");
    assert!(!ran.err.contains('\u{1b}'), "{ran:?}");
}

#[test]
fn a_node_that_closes_between_two_trials_is_lost_and_later_trials_are_not_run_against_nothing() {
    let node = server(|number, stream| {
        let mut ending = stream.try_clone().unwrap();
        let mut heard = 0;
        echo(upgraded(stream), |message| {
            heard += 1;
            if heard == 11 && number == 0 {
                // With the last copy of the first row: it is complete, and then the node is gone.
                thread::spawn({
                    let mut ending = ending.try_clone().unwrap();
                    move || {
                        thread::sleep(Duration::from_millis(5));
                        let _ = ending.write_all(&[0x88, 2, 0x03, 0xe9]);
                    }
                });
            }
            let _ = ending.flush();
            Some(message)
        });
    });
    let ran = run(node, "--messages 10,20,30 --stop-on-loss");
    assert_eq!((ran.code, ran.count(0, "missing")), (Some(1), 0), "{ran:?}");
    let rows = ran.result["trials"].as_array().unwrap();
    let lost: usize = rows.iter().map(|r| r["lost_sockets"].as_array().unwrap().len()).sum();
    assert_eq!(lost, 1, "{ran:?}");
    assert!(rows.len() < 3, "{ran:?}");
}

#[test]
fn copies_of_a_broadcast_server_are_misdelivered_where_each_should_hear_its_own_alone() {
    let clients: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
    let node = server(move |_, stream| {
        let writer = stream.try_clone().unwrap();
        let socket = upgraded(stream);
        clients.lock().unwrap().push(writer);
        let clients = Arc::clone(&clients);
        echo(socket, |message| {
            let text = message.into_data();
            let frame = text_frame(&text);
            for client in clients.lock().unwrap().iter_mut() {
                let _ = client.write_all(&frame);
            }
            None
        });
    });
    // Against an empty line two of three copies came to the wrong socket, and were called duplicates.
    let words = "--dialect raw --fan-out own --push-sockets 3 --messages 30 --drain 1500ms";
    let ran = run_with(&format!("--node ws://{node}/ {words} --quiet --json -"));
    let counts = ["delivered", "missing", "duplicate", "misdelivered"].map(|w| ran.count(0, w));
    assert_eq!((ran.code, counts), (Some(1), [30, 0, 0, 60]), "{ran:?}");
    assert_eq!(ran.result["summary"]["complete"], false);
}

#[test]
fn a_socket_that_ends_between_two_trials_is_lost_once_and_connected_again() {
    let node = server(|number, stream| {
        let ending = stream.try_clone().unwrap();
        let mut heard = 0;
        echo(upgraded(stream), |message| {
            heard += 1;
            if heard == 11 && number == 0 {
                let mut ending = ending.try_clone().unwrap();
                thread::spawn(move || {
                    thread::sleep(Duration::from_millis(5));
                    let _ = ending.write_all(&[0x88, 2, 0x03, 0xe9]);
                });
            }
            Some(message)
        });
    });
    let ran = run(node, "--messages 10,20,30");
    let rows = ran.result["trials"].as_array().unwrap();
    assert_eq!(rows.len(), 3, "{ran:?}");
    for row in 0..3 {
        assert!(ran.is_complete(row), "{ran:?}");
    }
    let count = |of: &dyn Fn(&Value) -> u64| rows.iter().map(of).sum::<u64>();
    assert_eq!(count(&|row| row["lost_sockets"].as_array().unwrap().len() as u64), 1, "{ran:?}");
    assert_eq!(count(&|row| row["reconnected_sockets"].as_u64().unwrap_or(0)), 1, "{ran:?}");
}

#[test]
fn a_server_that_sends_back_bytes_as_binary_messages_is_an_echo_all_the_same() {
    let node = server(|_, stream| {
        echo(upgraded(stream), |m| Some(Message::Binary(m.into_data())));
    });
    let ran = run(node, "--messages 50");
    assert!(ran.is_complete(0), "{ran:?}");
    assert_eq!(ran.result["trials"][0]["opcodes"]["binary"], 50);
}

/// Echoes `before` messages on the first connection and then does `harm`; echoes all on the others.
fn harmed(before: usize, harm: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> SocketAddr {
    server(move |number, stream| {
        let mut raw = stream.try_clone().unwrap();
        let mut socket = upgraded(stream);
        let mut left = if number == 0 { before } else { usize::MAX };
        while let Ok(message) = socket.read() {
            if left == 0 {
                return harm(&mut raw);
            }
            left -= 1;
            if message.is_text() && socket.send(message).is_err() {
                return;
            }
        }
    })
}

#[test]
fn a_lost_socket_is_connected_again_before_the_next_trial_and_the_trial_is_whole() {
    // The probe is one message, the second trial 10 of its own and another probe.
    for (flags, rows) in [("", 3), ("--stop-on-loss", 1)] {
        let node = harmed(4, |_| {});
        let run = run(node, format!("--in-flight 1 --messages 10,11,12 {flags}").trim());
        assert_eq!(run.code, Some(1), "{run:?}");
        let runs = run.result["trials"].as_array().unwrap();
        assert_eq!(runs.len(), rows, "{run:?}");
        assert_eq!(run.result["skipped"].as_array().unwrap().len(), 3 - rows, "{run:?}");
        assert_eq!((run.count(0, "delivered"), run.count(0, "missing")), (3, 7));
        assert_eq!(runs[0]["lost_sockets"][0]["socket"], 0);
        assert_eq!(run.err.contains("1 lost socket was connected again"), rows == 3, "{}", run.err);
        for (row, messages) in (0..rows).skip(1).zip([11, 12]) {
            assert_eq!((run.count(row, "delivered"), run.count(row, "missing")), (messages, 0));
        }
        let again: Vec<_> = runs.iter().map(|run| run["reconnected_sockets"].as_u64()).collect();
        assert_eq!(again, [None, Some(1), None][..rows]);
    }
}

#[test]
fn a_socket_that_cannot_be_connected_again_ends_the_trials_and_the_reason_is_told() {
    let refuses = server(|number, mut stream| {
        if number > 0 {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 503 Full\r\nContent-Length: 4\r\n\r\nfull");
            return;
        }
        let mut socket = upgraded(stream);
        for _ in 0..4 {
            let Ok(message) = socket.read() else { return };
            let _ = socket.send(message);
        }
    });
    let run = run(refuses, "--in-flight 1 --messages 10,11,12");
    assert_eq!(run.code, Some(1), "{run:?}");
    let skipped = run.result["skipped"].as_array().unwrap();
    assert_eq!(skipped.len(), 2, "{run:?}");
    let reason = skipped[0]["reason"].as_str().unwrap();
    assert!(reason.contains("refused the upgrade: 503 Full: `full`"), "{reason}");
}

#[test]
fn the_end_of_a_connection_inside_a_frame_is_told_as_such() {
    // Text of 5 bytes, of which 2 come.
    let node = harmed(4, |raw| raw.write_all(b"\x81\x05he").unwrap());
    let run = run(node, "--in-flight 1 --messages 10");
    let reason = run.result["trials"][0]["lost_sockets"][0]["reason"].as_str().unwrap();
    assert!(
        reason.ends_with("without a Close frame, inside a frame, after 4 bytes of it"),
        "{reason}"
    );
}

#[test]
fn a_socket_that_is_closed_while_idle_says_how_long_it_was() {
    let node = harmed(4, |_| thread::sleep(Duration::from_millis(1_100)));
    let run = run(node, "--messages 10 --in-flight 1");
    let lost = &run.result["trials"][0]["lost_sockets"][0];
    assert!(lost["idle_s"].as_f64().unwrap() >= 1.0, "{lost}");
}

#[test]
fn what_a_node_said_is_in_the_refusal() {
    let speaks = |said: &'static [u8]| {
        server(move |_, stream| {
            let mut raw = stream.try_clone().unwrap();
            let mut socket = upgraded(stream);
            raw.write_all(said).unwrap();
            while socket.read().is_ok() {}
        })
    };
    let told = |node, words: &[&str]| {
        let run = run(node, "--messages 5 --ready-timeout 300ms --connect-timeout 5s");
        assert_eq!(run.code, Some(4), "{run:?}");
        for word in words {
            assert!(run.err.contains(word), "{word}: {}", run.err);
        }
        run.err
    };
    let words =
        told(speaks(b"\x81\x0c0{\"sid\":\"a\"}"), &["what came instead: `0{\"sid\":\"a\"}`"]);
    assert!(!words.contains("link to the push node"), "{words}");
    told(speaks(b"\x81\x01a\x82\x01b\x81\x01c"), &["what came instead: 3 messages, the first `a`"]);
    told(speaks(b""), &["; nothing else came to them"]);
    told(speaks(b"\x81\x08-ERR \x1b[m\x88\x02\x03\xe8"), &["before that it said `-ERR \\u{1b}[m`"]);
    let answers = |said: &'static [u8]| {
        server(move |_, mut stream| {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(said);
        })
    };
    told(answers(b"\x15\x03\x01\x00\x02\x02\x46"), &["speaks TLS"]);
    told(answers(b"-ERR unknown command\r\n"), &["it said `-ERR unknown command`"]);
    told(answers(b"HTTP/1.1 400 No\r\nContent-Length: 9\r\n\r\nno room"), &["400 No: `no room`"]);
}

#[test]
fn a_server_that_answers_the_sender_asks_for_another_fan_out() {
    let flags =
        "--messages 5 --fan-out others --push-sockets 2 --receivers-per-node 0 --ready-timeout 1s";
    let all: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
    let broadcasts = server(move |_, stream| {
        all.lock().unwrap().push(stream.try_clone().unwrap());
        let mut socket = upgraded(stream);
        while let Ok(message) = socket.read() {
            for client in &*all.lock().unwrap() {
                let client = client.try_clone().unwrap();
                let mut client = WebSocket::from_raw_socket(client, Role::Server, None);
                let _ = client.send(message.clone());
            }
        }
    });
    let echoes = server(|_, stream| echo(upgraded(stream), Some));
    for (node, advice) in [(broadcasts, "give --fan-out all"), (echoes, "give --fan-out own")] {
        let run = run_with(&format!("--node ws://{node}/ {flags}"));
        assert_eq!(run.code, Some(4), "{run:?}");
        assert!(run.err.contains(advice), "{}", run.err);
    }
}

/// A text in so many fragments, all but the first and the last one empty.
fn in_fragments(text: &[u8], fragments: usize) -> Vec<u8> {
    let mut first = text_frame(text);
    first[0] = 0x01;
    [first, [0x00, 0x00].repeat(fragments - 2), vec![0x80, 0x00]].concat()
}

#[test]
fn what_a_node_sends_beyond_a_bound_is_refused_by_the_name_of_its_flag() {
    // A message in nine fragments, half a KiB of headers, a body of 3 000 bytes.
    let fragments = server(|_, mut stream| {
        let answer = answer(&mut stream);
        stream.write_all(&answer).unwrap();
        let mut socket =
            WebSocket::from_raw_socket(stream.try_clone().unwrap(), Role::Server, None);
        while let Ok(message) = socket.read() {
            let back = in_fragments(&message.into_data(), 9);
            if stream.write_all(&back).is_err() {
                return;
            }
        }
    });
    let header = server(|_, mut stream| {
        let mut answer = answer(&mut stream);
        let end = answer.len() - 2;
        answer.splice(end..end, format!("X-Long: {}\r\n", "a".repeat(500)).into_bytes());
        stream.write_all(&answer).unwrap();
        echo(WebSocket::from_raw_socket(stream, Role::Server, None), Some);
    });
    let refusal = server(|_, mut stream| {
        answer(&mut stream);
        let body = format!("{}END", "x".repeat(2_997));
        let head = format!("HTTP/1.1 403 No\r\nContent-Length: {}\r\n\r\n", body.len());
        let _ = stream.write_all((head + &body).as_bytes());
    });
    for (node, flags) in [(fragments, "--max-fragments 9"), (header, "--max-header-bytes 16KiB")] {
        let ran = run(node, &format!("--messages 2 {flags}"));
        assert!(ran.is_complete(0), "{flags}: {ran:?}");
    }
    let plan = run(fragments, "--messages 1").result["plan"].clone();
    for (key, default) in
        [("max_fragments", 65_536), ("max_header_bytes", 16_384), ("max_body_bytes", 512)]
    {
        assert_eq!(plan[key], default, "{key}");
    }
    for (node, flags, told) in [
        (fragments, "--max-fragments 8", "in more fragments than --max-fragments takes"),
        (
            larger(),
            "--payload-bytes 140B --max-message-bytes 140B",
            "larger than --max-message-bytes",
        ),
        (header, "--max-header-bytes 256B", "of headers (--max-header-bytes)"),
    ] {
        let ran = run(node, &format!("--messages 2 {flags}"));
        assert_eq!(ran.code, Some(4), "{flags}: {ran:?}");
        assert!(ran.err.contains(told) && ran.err.contains(&node.to_string()), "{flags}: {ran:?}");
    }
    for (flags, shown) in [
        ("--max-body-bytes 512B", format!("`{}...`", "x".repeat(512))),
        ("--max-body-bytes 3000B", format!("`{}END`", "x".repeat(2_997))),
    ] {
        let ran = run(refusal, flags);
        assert!(ran.err.contains(&shown), "{flags}: {}", ran.err);
    }
    let ran = run(refusal, "--max-body-bytes 0B");
    assert!(ran.err.contains("403 No") && !ran.err.contains('x'), "{}", ran.err);
}

/// A node that answers every message with one that is a byte longer.
fn larger() -> SocketAddr {
    server(|_, stream| {
        let longer = |message: Message| Message::text(format!("{} ", message.into_text().unwrap()));
        echo(upgraded(stream), |message| Some(longer(message)));
    })
}
