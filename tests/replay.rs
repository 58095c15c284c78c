//! What repeats from run to run: upgrade and mask keys only where a replay is asked for (issue 11, D3).

#[path = "common/engine.rs"]
mod engine;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread;

use fanstorm::wire::upgrade;

/// The `Sec-WebSocket-Key` of a run's one connection, and the mask key of its first frame.
fn keys(words: &str) -> (String, [u8; 4]) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
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
        // A text of 128 bytes has its length in two bytes of their own, and the mask key after them.
        let mut frame = [0; 8];
        stream.read_exact(&mut frame).unwrap();
        assert_eq!(frame[1], 0x80 | 126, "a masked frame of medium length");
        (key.to_owned(), [frame[4], frame[5], frame[6], frame[7]])
    });
    let words =
        format!("--node {url} --dialect raw --fan-out own --push-sockets 1 --quiet {words}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanstorm"));
    command.args(words.split_whitespace()).args(engine::flags(&words)).args(["--messages", "1"]);
    // It ends with an error, since the server leaves it alone.
    command.stdin(Stdio::null()).output().unwrap();
    server.join().unwrap()
}

#[test]
fn keys_differ_from_run_to_run_unless_a_seed_is_given() {
    let (first, second) = (keys(""), keys(""));
    assert_ne!(first.0, second.0, "the upgrade's key");
    assert_ne!(first.1, second.1, "the mask of the first frame");
    assert_eq!(keys("--seed 7"), keys("--seed 7"));
    assert_ne!(keys("--seed 7"), keys("--seed 8"));
}
