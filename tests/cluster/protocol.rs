//! What the cluster says when nothing is wrong with it.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::{Bytes, Message};

use crate::peer::{Client, Copy, PATIENCE, eventually, http, start, start_with, texts, texts_of};

const CAPTURED_PUSH: &str = r#"{"type":"newMessageFromClient","payload":{"text":"Test message 0 from client","sender":"pythonClientUser","chatId":11}}"#;

/// A text with digits in place of every digit but those of the seed's own fixed words.
fn shape(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect()
}

#[test]
fn both_kinds_of_copies_are_letter_by_letter_those_of_the_seeds_cluster() {
    let bench = start(2, &[]);
    let (mut near, mut far) = (bench.client(0), bench.client(1));
    near.send(CAPTURED_PUSH);
    let copy = near.text();
    let document: Value = serde_json::from_str(&copy).expect("JSON");
    let element = &document["payload"][0];
    let (id, time) = (element["id"].as_u64().expect("an id"), element["dateTime"].as_str());
    let time = time.expect("a time");
    assert_eq!(shape(time), "0000-00-00T00:00:00.000Z");
    assert_eq!(
        copy,
        format!(
            r#"{{"type":"newMessagesForClient","source":1001,"payload":[{{"nodeId":1001,"id":{id},"messageId":"1001{id}","chatId":11,"text":"Test message 0 from client","dateTime":"{time}","sender":"pythonClientUser"}}]}}"#
        )
    );
    assert_eq!(
        far.text(),
        format!(
            r#"{{"type":"newMessagesForClient","source":1002,"payload":[{{"messageId":"1001{id}"}}]}}"#
        )
    );
}

#[test]
fn every_message_reaches_every_socket_once() {
    let (m, push_sockets, nodes) = (300, 3, 3);
    let bench = start(nodes, &[]);
    let mut pushers: Vec<Client> = (0..push_sockets).map(|_| bench.client(0)).collect();
    let mut receivers: Vec<Client> = (0..nodes).map(|node| bench.client(node)).collect();
    for (pusher, texts) in pushers.iter_mut().zip(texts(m).chunks(m / push_sockets)) {
        pusher.push(texts);
    }
    let all = pushers.iter_mut().chain(&mut receivers);
    let seen: Vec<Vec<Copy>> = all.map(|client| client.copies(m)).collect();
    assert_eq!(seen.iter().map(Vec::len).sum::<usize>(), m * (push_sockets + nodes));

    let ids = |copies: &[Copy]| -> BTreeSet<String> {
        copies.iter().map(|copy| copy.id.clone()).collect()
    };
    let first = ids(&seen[0]);
    assert_eq!(first.len(), m, "ids are unique");
    assert!(seen.iter().all(|copies| ids(copies) == first), "everyone gets the same messages");
    let pushed: BTreeSet<String> = texts(m).into_iter().collect();
    assert_eq!(texts_of(&seen[0]).into_iter().collect::<BTreeSet<_>>(), pushed);
    let far = push_sockets + 1;
    assert!(seen[far..].iter().flatten().all(|copy| copy.text.is_none()));
    let last: usize =
        first.iter().map(|id| id[4..].parse().expect("a number")).max().expect("some");
    assert!(last > m, "the nodes' own messages take ids too, but {m} messages end with id {last}");
}

#[test]
fn a_relay_passes_text_and_binary_on_verbatim_to_every_client_of_every_node() {
    let bench = start_with(2, &[], |config| config.relay = true);
    let mut clients = [bench.client(0), bench.client(0), bench.client(1)];
    let sent = [
        Message::text("not JSON, {\"and\" ä"),
        Message::binary(vec![0u8, 255, 128, 7]),
        Message::text(""),
        Message::text("x".repeat(70_000)),
    ];
    for message in &sent {
        clients[0].socket.send(message.clone()).expect("sent");
    }
    for client in &mut clients {
        for message in &sent {
            assert_eq!(&client.socket.read().expect("a message"), message);
        }
    }
}

#[test]
fn what_it_does_not_understand_is_ignored_and_the_connection_stays() {
    let bench = start(1, &[]);
    let mut client = bench.client(0);
    for text in [
        "",
        "hello",
        "[1]",
        r#" {"type":"newMessageFromClient","payload":{"text":"led by a space"}}"#,
        r#"{"payload":{"text":"no type"}}"#,
        r#"{"type":"newMessageFromClient"}"#,
        r#"{"type":"unheard","payload":{"text":"of"}}"#,
        r#"{"type":"newMessageFromClient","payload":{"sender":"no text"}}"#,
        r#"{"type":"newMessageFromClient","payload":{"text":"x","nodeId":1}}"#,
        r#"{"type":"newMessageFromClient","payload":{"text":"broken""#,
    ] {
        client.send(text);
    }
    client.socket.send(Message::binary(CAPTURED_PUSH.as_bytes().to_vec())).expect("sent");
    client.push(&texts(1));
    assert_eq!(texts_of(&client.copies_until_answered()), texts(1));
}

#[test]
fn large_and_fragmented_messages_are_taken_and_broadcast_whole() {
    let bench = start(2, &[]);
    let (mut near, mut far) = (bench.client(0), bench.client(1));
    for bytes in [64 << 10, 1 << 20, 20 << 20] {
        let text = "x".repeat(bytes);
        near.socket.set_config(|config| {
            config.max_frame_size = None;
            config.max_message_size = None;
        });
        near.push(std::slice::from_ref(&text));
        assert_eq!(texts_of(&near.frame()), [text]);
        assert_eq!(far.frame().len(), 1);
    }
    let (head, tail) = CAPTURED_PUSH.as_bytes().split_at(40);
    for (bytes, opcode, is_final) in [(head, Data::Text, false), (tail, Data::Continue, true)] {
        let frame = Frame::message(bytes.to_vec(), OpCode::Data(opcode), is_final);
        near.socket.send(Message::Frame(frame)).expect("sent");
    }
    assert_eq!(texts_of(&near.frame()), texts(1));
}

#[track_caller]
fn assert_closed(client: &mut Client, code: u16) {
    match client.end() {
        (_, Ok(Message::Close(Some(close)))) => assert_eq!(u16::from(close.code), code),
        other => panic!("{other:?} instead of Close {code}"),
    }
}

#[test]
fn a_message_over_100_mib_is_answered_with_close_1009() {
    let bench = start(1, &[]);
    let mut client = bench.client(0);
    let mut header = vec![0x81, 0x80 | 127];
    header.extend_from_slice(&(101u64 << 20).to_be_bytes());
    header.extend_from_slice(&[0; 4]);
    client.socket.get_mut().write_all(&header).expect("written");
    assert_closed(&mut client, 1009);
}

#[test]
fn invalid_utf_8_is_answered_with_close_1007_and_an_unmasked_frame_with_1002() {
    let bench = start(1, &[]);
    let mut client = bench.client(0);
    let bad = Frame::message(vec![b'{', 0xff], OpCode::Data(Data::Text), true);
    client.socket.send(Message::Frame(bad)).expect("sent");
    assert_closed(&mut client, 1007);

    let mut client = bench.client(0);
    client.socket.get_mut().write_all(&[0x81, 1, b'{']).expect("written");
    assert_closed(&mut client, 1002);
}

#[test]
fn a_ping_is_answered_with_its_payload_and_a_close_with_itself() {
    let bench = start(1, &[]);
    let mut client = bench.client(0);
    let payload = Bytes::from_static(b"are you there");
    client.socket.send(Message::Ping(payload.clone())).expect("sent");
    assert_eq!(client.socket.read().expect("a message"), Message::Pong(payload));
    let close = CloseFrame { code: CloseCode::Normal, reason: "bye".into() };
    client.socket.close(Some(close.clone())).expect("sent");
    assert_eq!(client.socket.read().expect("a message"), Message::Close(Some(close)));
    assert!(matches!(client.socket.read(), Err(tungstenite::Error::ConnectionClosed)));
}

#[test]
fn any_path_is_accepted_and_neither_extension_nor_subprotocol_negotiated() {
    let bench = start(1, &[]);
    let mut stream = bench.connect(0);
    let request = "GET /any/path?and=query HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\n\
                   Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                   Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Protocol: chat\r\n\r\n";
    // The example of RFC 6455, section 1.3; a Ping follows the request in the same write.
    stream.write_all(&[request.as_bytes(), &[0x89, 0x80, 0, 0, 0, 0]].concat()).expect("written");
    let mut answer = Vec::new();
    while !answer.ends_with(&[0x8a, 0]) {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("an answer and a Pong");
        answer.push(byte[0]);
    }
    let answer = String::from_utf8_lossy(&answer).to_lowercase();
    assert!(answer.starts_with("http/1.1 101 "), "{answer}");
    assert!(answer.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{answer}");
    assert!(!answer.contains("extensions") && !answer.contains("protocol:"), "{answer}");
}

#[test]
fn a_plain_request_to_a_node_is_told_to_upgrade() {
    let bench = start(1, &[]);
    let (head, _) = http(&bench.cluster.node_urls()[0], "/");
    assert!(head.starts_with("HTTP/1.1 426 "), "{head}");
}

#[test]
fn a_client_that_answers_pings_stays_and_one_that_does_not_is_dropped_at_the_next() {
    let bench = start(1, &["ping=100ms"]);
    let (mut answering, mut silent) = (bench.client(0), bench.client(0));
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..5 {
                assert_eq!(answering.socket.read().expect("a Ping"), Message::Ping(Bytes::new()));
            }
        });
        let mut seen = Vec::new();
        silent.socket.get_mut().read_to_end(&mut seen).expect("the end of the stream");
        assert_eq!(seen, [0x89, 0x00], "one Ping, and no Close");
    });
}

fn order(discovery_url: &str) -> Vec<u64> {
    let (head, body) = http(discovery_url, "/api/clients");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("Content-Type: application/json"), "{head}");
    let document: Value = serde_json::from_str(&body).expect("JSON");
    let nodes = document["activeNodes"].as_array().expect("an array");
    let ports: Vec<u64> = nodes.iter().filter_map(|node| node["clientport"].as_u64()).collect();
    let expected = |port: &u64| json!({ "address": "::ffff:127.0.0.1", "clientport": port });
    let expected: Vec<Value> = ports.iter().map(expected).collect();
    assert_eq!(document, json!({ "activeNodes": expected }));
    ports
}

#[test]
fn the_discovery_lists_every_node_in_an_order_that_changes_with_every_request() {
    let mut bench = start(3, &[]);
    let url = bench.cluster.discovery_url().to_owned();
    let ports = |url: &String| url.trim_end_matches('/').rsplit(':').next()?.parse::<u64>().ok();
    let ports: Vec<u64> = bench.cluster.node_urls().iter().filter_map(ports).collect();
    assert!(ports.is_sorted(), "whoever sorts the nodes counts them as their faults do: {ports:?}");
    let expected: BTreeSet<u64> = ports.into_iter().collect();
    let orders: Vec<Vec<u64>> = (0..40).map(|_| order(&url)).collect();
    assert!(orders.iter().all(|order| order.iter().copied().collect::<BTreeSet<_>>() == expected));
    assert!(orders.iter().collect::<BTreeSet<_>>().len() == 6, "all orders of three come up");

    bench.cluster.kill_node(1);
    assert_eq!(order(&url).len(), 3, "a node that was killed stays listed");
    assert!(http(&url, "/api/nodes").0.starts_with("HTTP/1.1 404 "));
    assert!(http(&url, "/").0.starts_with("HTTP/1.1 404 "));
}

#[test]
fn a_client_that_does_not_read_slows_the_pushers_and_loses_nothing() {
    const MESSAGES: usize = 120;
    let bench = start_with(1, &[], |config| config.relay = true);
    let mut slow = bench.client(0);
    let mut pusher = bench.client(0);
    let mut stream = pusher.socket.get_ref().try_clone().expect("a socket");
    let pushed = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let frame = {
                let mut frame = vec![0x82, 0x80 | 127];
                frame.extend_from_slice(&(1u64 << 20).to_be_bytes());
                frame.extend_from_slice(&[0; 4 + (1 << 20)]);
                frame
            };
            for _ in 0..MESSAGES {
                stream.write_all(&frame).expect("written");
                pushed.fetch_add(1, Ordering::Relaxed);
            }
        });
        let own = scope.spawn(move || read_binary(&mut pusher, MESSAGES));
        let mut last = (0, std::time::Instant::now());
        eventually("the pusher has to wait", || {
            let now = pushed.load(Ordering::Relaxed);
            if now != last.0 {
                last = (now, std::time::Instant::now());
            }
            (now > 0 && last.1.elapsed() > PATIENCE / 60).then_some(())
        });
        assert!(pushed.load(Ordering::Relaxed) < MESSAGES, "nothing held the pusher up");
        read_binary(&mut slow, MESSAGES);
        own.join().expect("the pusher's copies");
    });
}

fn read_binary(client: &mut Client, mut count: usize) {
    while count > 0 {
        match client.socket.read().expect("a message") {
            Message::Binary(bytes) => {
                assert_eq!(bytes.len(), 1 << 20);
                count -= 1;
            }
            Message::Ping(_) => {}
            other => panic!("{other:?} instead of a copy"),
        }
    }
}
