//! What repeats from run to run: upgrade and mask keys only where a replay is asked for (issue 11, D3; issue 15).

#[path = "common/engine.rs"]
mod engine;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;

use fanstorm::wire::upgrade;

/// Of one connection: its `Sec-WebSocket-Key`, and the mask key of its first frame, if it sent one.
type Keys = (String, Option<[u8; 4]>);

/// What a connection of a run shows to its server.
fn shown(mut stream: TcpStream) -> Keys {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let accept = upgrade::accept(key);
    let answer = format!(
        "HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).unwrap();
    // A text of 128 bytes has its length in two bytes of their own, and the mask key after them; a Close of the
    // end has neither.
    let mut frame = [0; 8];
    let mask = stream.read_exact(&mut frame).is_ok().then_some(frame);
    let mask = mask.filter(|frame| frame[1] == 0x80 | 126);
    (key.to_owned(), mask.map(|frame| [frame[4], frame[5], frame[6], frame[7]]))
}

/// What the two connections of a run show, in no order.
fn keys(words: &str) -> [Keys; 2] {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let of = || listener.accept().unwrap().0;
        let both = [of(), of()].map(|stream| thread::spawn(|| shown(stream)));
        both.map(|one| one.join().unwrap())
    });
    let words = format!(
        "--node {url} --dialect raw --fan-out own --push-sockets 2 --ready-timeout 200ms --quiet {words}"
    );
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanstorm"));
    command.args(words.split_whitespace()).args(engine::flags(&words)).args(["--messages", "1"]);
    // It ends with an error, since the server leaves it alone.
    command.stdin(Stdio::null()).output().unwrap();
    let mut keys = server.join().unwrap();
    keys.sort();
    assert!(keys.iter().all(|(_, mask)| mask.is_some()), "each has said something: {keys:?}");
    keys
}

/// No key is that of any other connection: RFC 6455, sections 4.1 and 5.3.
fn assert_all_differ(runs: &[[Keys; 2]]) {
    let all = || runs.iter().flatten();
    let upgrades: BTreeSet<_> = all().map(|(key, _)| key).collect();
    let masks: BTreeSet<_> = all().map(|(_, mask)| mask).collect();
    let connections = 2 * runs.len();
    assert_eq!((upgrades.len(), masks.len()), (connections, connections), "{runs:?}");
}

#[test]
fn keys_differ_between_connections_and_from_run_to_run_with_a_seed_and_without_one() {
    assert_all_differ(&["", "", "--seed 7", "--seed 7"].map(keys));
}

#[test]
fn a_replay_has_the_keys_of_its_seed() {
    let (first, again) = (keys("--seed 7 --replay"), keys("--seed 7 --replay"));
    assert_eq!(first, again);
    assert_all_differ(&[first, keys("--seed 8 --replay")]);
}
