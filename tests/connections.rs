//! Connections: where they come from, how many fit, and what happens when some are not to be had.
//!
//! Belongs here: thousands of sockets against real nodes and against listeners of the test's own.
//! Does not: how fast that is.

#[path = "common/descriptors.rs"]
mod descriptors;
#[path = "common/engine.rs"]
mod engine;
#[path = "common/io_uring.rs"]
mod io_uring;
#[path = "common/nobody.rs"]
mod nobody;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;

use fanstorm::engine::ring::uring::UringRing;
use fanstorm::engine::ring::{Op, Ring, RingConfig, Wait};
use fanstorm::units::Nanos;
use nobody::nobody;
use serde_json::Value;
use tungstenite::handshake::derive_accept_key;

/// Runs the program; its result file and its output.
fn run(words: &str) -> (Value, Output) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanstorm"));
    let output = command
        .args(words.split_whitespace())
        .args(engine::flags(words))
        .args(["--json", "-"])
        .output()
        .unwrap();
    let result = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (result, output)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// An echo server that notes where its connections come from.
fn echo() -> (SocketAddr, Arc<Mutex<Vec<SocketAddr>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, peers) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let seen = Arc::clone(&peers);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            seen.lock().unwrap().push(stream.peer_addr().unwrap());
            thread::spawn(|| serve(stream));
        }
    });
    (address, peers)
}

fn serve(mut stream: TcpStream) -> Option<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))?;
    let accept = derive_accept_key(key.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).ok()?;
    let mut socket =
        tungstenite::WebSocket::from_raw_socket(stream, tungstenite::protocol::Role::Server, None);
    loop {
        let message = socket.read().ok()?;
        if message.is_text() {
            socket.send(message).ok()?;
        }
    }
}

#[test]
fn every_socket_comes_from_the_addresses_that_were_named_and_from_no_other() {
    let (node, peers) = echo();
    let (result, output) = run(&format!(
        "--node ws://{node}/ --dialect raw --fan-out own --push-sockets 90 --messages 90 \
         --source-ip 127.3.0.0/29,127.4.5.6 --connect-rate 5k"
    ));
    assert_eq!(result["connecting"]["connected"], 90, "{}", text(&output));
    assert_eq!(result["dialing"]["sources"]["addresses"], 7);
    let peers = peers.lock().unwrap();
    let mut expected: BTreeSet<IpAddr> =
        (1..=6).map(|host| Ipv4Addr::new(127, 3, 0, host).into()).collect();
    expected.insert(Ipv4Addr::new(127, 4, 5, 6).into());
    let seen: BTreeSet<IpAddr> = peers.iter().map(SocketAddr::ip).collect();
    assert_eq!(seen, expected);
    let pairs: BTreeSet<_> = peers.iter().collect();
    assert_eq!(pairs.len(), peers.len(), "no pair of address and port twice");
    for address in expected {
        let from = peers.iter().filter(|peer| peer.ip() == address).count();
        assert!((12..=13).contains(&from), "{from} of 90 from {address}");
    }
}

#[test]
fn a_port_that_another_program_holds_is_passed_over() {
    let (node, peers) = echo();
    let run = || {
        run(&format!(
            "--node ws://{node}/ --dialect raw --fan-out own --push-sockets 1 --messages 1 \
             --source-ip 127.5.0.1"
        ))
    };
    let (result, output) = run();
    assert_eq!(result["connecting"]["ports_passed_over"], 0, "{}", text(&output));
    let first = peers.lock().unwrap()[0];
    // Listening on the port keeps everybody else from binding it, whatever they say.
    let _held = TcpListener::bind(first).unwrap();
    let (result, output) = run();
    assert_eq!(result["connecting"]["connected"], 1, "{}", text(&output));
    assert_eq!(result["connecting"]["ports_passed_over"], 1);
    let second = peers.lock().unwrap()[1];
    assert_eq!(second.ip(), first.ip());
    assert_ne!(second.port(), first.port());
}

#[test]
fn an_address_of_nobody_is_one_line_that_names_the_flag() {
    // RFC 5737: documentation.
    let (_, output) = run("--source-ip 192.0.2.9 --node ws://192.0.2.1:9/ --messages 1");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let errors = text(&output);
    assert!(errors.starts_with("error: --source-ip 192.0.2.9 is not an address"), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
}

#[test]
fn thousands_of_sockets_live_in_the_tables_of_rings_and_all_hear_a_broadcast() {
    for descriptors in ["direct", "process"] {
        // Those of the busier node, and in a process of our own all of them.
        let needed = if descriptors == "direct" { 1_600 } else { 3_100 };
        if !descriptors::are_granted(needed, "thousands of sockets") {
            continue;
        }
        if descriptors == "direct" && !io_uring::is_granted("sockets in the tables of rings") {
            continue;
        }
        let (result, output) = run(&format!(
            "--nodes 2 --relay --receivers-per-node 1500 --messages 2 --descriptors {descriptors} \
             --source-ip 127.6.0.0/16 --ready-timeout 60s --connect-timeout 60s"
        ));
        assert_eq!(result["dialing"]["direct_descriptors"], descriptors == "direct");
        let connecting = &result["connecting"];
        assert_eq!(connecting["connected"], 3_003, "{}", text(&output));
        for phase in ["connect_us", "upgrade_us"] {
            assert_eq!(connecting[phase]["count"], 3_003, "{phase} of every socket");
        }
        assert_eq!(result["summary"]["delivered"], 2 * 3_003, "{}", text(&output));
    }
}

#[test]
fn a_deficit_that_was_allowed_is_told_and_nothing_is_expected_of_it() {
    let (living, _) = echo();
    let nobody = nobody();
    let dead = nobody.address;
    let words = |least: &str| {
        format!(
            "--node ws://{living}/ --node ws://{dead}/ --dialect raw --fan-out all \
             --push-sockets 1 --receivers-per-node 3 --messages 4 --drain 200ms {least}"
        )
    };
    let (_, output) = run(&words(""));
    assert_eq!(output.status.code(), Some(4), "all must be there unless told otherwise");
    let (_, output) = run(&words("--min-connected 5"));
    assert_eq!(output.status.code(), Some(4));
    assert!(text(&output).contains("4 of 7 sockets are connected"), "{}", text(&output));
    assert!(text(&output).contains("ECONNREFUSED"), "{}", text(&output));
    // An echo server tells nobody else, so its receive sockets stay deaf: that, too, is said.
    let (_, output) = run(&format!("{} --ready-timeout 1500ms", words("--min-connected 50%")));
    assert!(text(&output).contains("did not reach 3 of its 4 sockets"), "{}", text(&output));
}

#[test]
fn a_trial_without_some_sockets_expects_the_copies_of_the_others() {
    let (result, output) =
        run("--nodes 2 --relay --receivers-per-node 40 --messages 5 --fault 1:refuse=503 \
         --min-connected 50%");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let connecting = &result["connecting"];
    assert_eq!((&connecting["connected"], &connecting["failed"]), (&43.into(), &40.into()));
    let failures = connecting["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 1);
    assert_eq!((&failures[0]["node"], &failures[0]["sockets"]), (&1.into(), &40.into()));
    assert_eq!(failures[0]["phase"], "upgrade");
    let row = &result["trials"][0];
    assert_eq!(row["delivery"]["expected"], 5 * 43, "push sockets and those of the living node");
    assert_eq!(row["delivery"]["missing"], 0);
    assert_eq!(row["receive_sockets"], 40);
    let codes: Vec<_> = row["verdict"]["caveats"].as_array().unwrap().iter().collect();
    assert!(codes.iter().any(|caveat| caveat["code"] == "sockets-left-out"), "{codes:?}");
}

/// A ring's table holds as many sockets as it has slots, and none of the process's descriptors.
#[test]
fn sockets_in_a_rings_table_take_none_of_the_processs_descriptors() {
    // Fewer than std's listen queue of 128 holds: nobody accepts them.
    const SOCKETS: u32 = 100;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let config = RingConfig::for_sockets(SOCKETS).direct(1);
    if !io_uring::is_granted("sockets in a ring's table take no descriptors") {
        return;
    }
    let mut ring = UringRing::new(config).unwrap();
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open();
    (0..SOCKETS).for_each(|slot| ring.connect(slot, to, None).unwrap());
    let mut connected = 0;
    while connected < SOCKETS {
        ring.wait(Wait::first(Nanos::from_millis(100))).unwrap();
        while let Some(completion) = ring.next_completion() {
            assert_eq!((completion.op, completion.result), (Op::Connect, 0));
            connected += 1;
        }
    }
    // Other tests of this process open some, too; so many they do not.
    assert!(open() < before + SOCKETS as usize / 2, "{} were {before}", open());
    let (mut far_end, _) = listener.accept().unwrap();
    (0..SOCKETS).for_each(|slot| ring.close(slot));
    ring.wait(Wait::POLL).unwrap();
    assert_eq!(far_end.read(&mut [0]).unwrap(), 0, "a closed slot ends its connection");
}
