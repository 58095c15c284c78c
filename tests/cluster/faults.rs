//! Each fault provoked, and its account compared with what was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::Duration;

use fanstorm::cluster::FaultEvent;
use tungstenite::error::{CapacityError, ProtocolError};
use tungstenite::protocol::frame::FrameSocket;
use tungstenite::{Error, Message};

use crate::peer::{Bench, Client, Copy, eventually, start, start_with, texts, texts_of};

/// What was seen of a message, and what the log says of it, are joined by its id.
fn ids(copies: &[Copy]) -> Vec<String> {
    copies.iter().map(|copy| copy.id.clone()).collect()
}

fn logged_ids(bench: &Bench, client: &Client) -> Vec<String> {
    let events = client.events(bench).into_iter();
    events.map(|event| event.message_id.expect("an id")).collect()
}

fn set<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    items.into_iter().collect()
}

#[test]
fn each_dropped_copy_is_missing_where_the_log_says_and_no_other_is() {
    let m = 500;
    let bench = start(2, &["drop=10%"]);
    let (mut near, mut far) = (bench.client(0), bench.client(1));
    near.push(&texts(m));
    let near_copies = near.copies_until_answered();
    let dropped = logged_ids(&bench, &near);
    assert!(!dropped.is_empty() && dropped.len() < m);
    let whole = ids(&near_copies).into_iter().chain(dropped.clone());
    let all = set(whole);
    assert_eq!(near_copies.len() + dropped.len(), m);
    assert_eq!(all.len(), m);

    let mut far_copies = Vec::new();
    while far_copies.len() + logged_ids(&bench, &far).len() < m {
        far_copies.extend(far.frame());
    }
    let dropped = logged_ids(&bench, &far);
    assert_eq!(set(ids(&far_copies).into_iter().chain(dropped)), all);
    let texts = set(texts(m));
    assert!(bench.log().iter().all(|event| texts.contains(event.text.as_ref().expect("a text"))));
}

#[test]
fn the_account_of_a_connection_holds_nothing_of_another_from_the_same_port() {
    let bench = start(2, &["drop=100%"]);
    let mut near = bench.client_from(0, 0);
    let far = bench.client_from(1, near.port());
    assert_eq!(near.port(), far.port());
    near.push(&texts(5));
    eventually("both accounts", || (bench.log().len() == 10).then_some(()));
    let accounts = [logged_ids(&bench, &near), logged_ids(&bench, &far)];
    assert_eq!((accounts[0].len(), &accounts[0]), (5, &accounts[1]));
}

#[test]
fn each_duplicated_copy_comes_twice_and_every_other_once() {
    let m = 300;
    let bench = start(2, &["1:duplicate=0.2"]);
    let (mut near, mut far) = (bench.client(0), bench.client(1));
    near.push(&texts(m));
    assert_eq!(near.copies_until_answered().len(), m, "the fault is node 1's alone");
    let logged = |bench: &Bench| bench.log().len();
    let mut copies = far.copies(m);
    while copies.len() < m + logged(&bench) {
        copies.extend(far.frame());
    }
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for copy in &copies {
        *counts.entry(copy.id.clone()).or_default() += 1;
    }
    let twice = counts.iter().filter(|(_, count)| **count == 2).map(|(id, _)| id.clone());
    assert_eq!(counts.len(), m);
    assert_eq!(set(twice), set(logged_ids(&bench, &far)));
    assert!(logged(&bench) > 0 && counts.values().all(|count| *count <= 2));
}

#[test]
fn a_copy_is_passed_by_later_ones_if_and_only_if_the_log_says_so() {
    let m = 400;
    let bench = start(1, &["reorder=0.2"]);
    let mut client = bench.client(0);
    client.push(&texts(m));
    let seen = texts_of(&client.copies(m));
    assert_eq!(set(seen.clone()), set(texts(m)));
    let place: BTreeMap<String, usize> =
        texts(m).into_iter().enumerate().map(|(place, text)| (text, place)).collect();
    let mut newest = 0;
    let mut passed = BTreeSet::new();
    for text in seen {
        if place[&text] < newest {
            passed.insert(text.clone());
        }
        newest = newest.max(place[&text]);
    }
    let log = bench.log();
    assert!(!passed.is_empty());
    assert_eq!(passed, set(log.iter().map(|event| event.text.clone().expect("a text"))));
    assert!(log.iter().all(|event| (1..=3).contains(&event.count.expect("a count"))));
}

#[test]
fn a_delayed_copy_comes_all_the_same() {
    let m = 100;
    let bench = start(1, &["delay=0.3:150ms"]);
    let mut client = bench.client(0);
    client.push(&texts(m));
    let seen = texts_of(&client.copies(m));
    let delayed: Vec<String> = bench.log().into_iter().filter_map(|event| event.text).collect();
    assert_eq!(set(seen.clone()), set(texts(m)));
    assert!(!delayed.is_empty() && delayed.len() < m);
    assert_ne!(seen, texts(m), "those behind a delayed copy pass it");
}

#[test]
fn a_corrupted_text_differs_in_one_character_and_is_logged_with_what_it_became() {
    let m = 300;
    let bench = start(2, &["corrupt=0.2"]);
    let (mut near, mut far) = (bench.client(0), bench.client(1));
    near.push(&texts(m));
    let seen = texts_of(&near.copies(m));
    let became: BTreeMap<String, String> = bench
        .log()
        .into_iter()
        .map(|event| (event.text.expect("a text"), event.became.expect("another text")))
        .collect();
    let expected: Vec<String> =
        texts(m).into_iter().map(|text| became.get(&text).cloned().unwrap_or(text)).collect();
    assert_eq!(seen, expected);
    assert!(!became.is_empty() && became.len() < m);
    for (text, became) in &became {
        let differing = text.chars().zip(became.chars()).filter(|(old, new)| old != new).count();
        assert_eq!((differing, text.len()), (1, became.len()), "{text} became {became}");
    }
    assert_eq!(far.copies(m).len(), m);
    assert!(bench.log().iter().all(|event| event.node == 0), "ids are left as they are");
}

#[test]
fn a_stalled_node_handles_nothing_for_as_long_as_it_was_told() {
    let bench = start(1, &["stall=300ms@1"]);
    let mut client = bench.client(0);
    client.push(&texts(1));
    eventually("the stall", || (!bench.log().is_empty()).then_some(()));
    client.push(&texts(1));
    let stamps = [client.text(), client.text()].map(|text| unix_ms_of_day(&text));
    let between = (stamps[1] + 86_400_000 - stamps[0]) % 86_400_000;
    assert!(between >= 300, "the stamps are {between} ms apart");
    let log = bench.log();
    assert_eq!((log.len(), log[0].count), (1, Some(1)), "it stalls once");
}

fn unix_ms_of_day(copy: &str) -> u64 {
    let document: serde_json::Value = serde_json::from_str(copy).expect("JSON");
    let time = document["payload"][0]["dateTime"].as_str().expect("a time");
    let part = |from: usize, to: usize| time[from..to].parse::<u64>().expect("digits");
    (part(11, 13) * 3600 + part(14, 16) * 60 + part(17, 19)) * 1000 + part(20, 23)
}

/// Exactly one event, of this connection, after so many copies.
#[track_caller]
fn assert_ended(bench: &Bench, client: &Client, fault: &str, copies: u64) {
    let events = client.events(bench);
    assert_eq!(events.len(), 1, "{:?}", bench.log());
    assert_eq!((events[0].fault.as_str(), events[0].count), (fault, Some(copies)));
}

#[test]
fn a_connection_is_closed_with_the_code_after_exactly_so_many_copies() {
    let bench = start(1, &["close=4001@5"]);
    let mut clients = [bench.client(0), bench.client(0)];
    clients[0].push(&texts(20));
    for client in &mut clients {
        let (copies, end) = client.end();
        assert_eq!(texts_of(&copies), texts(5));
        let Ok(Message::Close(Some(close))) = end else {
            panic!("{end:?} instead of a Close");
        };
        assert_eq!(u16::from(close.code), 4001);
        assert_ended(&bench, client, "close", 5);
        assert!(matches!(client.socket.read(), Err(Error::ConnectionClosed)));
    }
}

#[test]
fn a_close_after_no_copies_comes_right_after_the_upgrade() {
    let bench = start(1, &["close=1013@0"]);
    let mut client = bench.client(0);
    let (copies, end) = client.end();
    assert!(copies.is_empty() && matches!(end, Ok(Message::Close(Some(_)))), "{end:?}");
    assert_ended(&bench, &client, "close", 0);
}

#[test]
fn a_connection_is_reset_without_a_close_after_exactly_so_many_copies() {
    let bench = start(1, &["reset@5"]);
    let mut client = bench.client(0);
    client.push(&texts(20));
    let (copies, end) = client.end();
    assert_eq!(texts_of(&copies), texts(5));
    let Err(Error::Io(e)) = end else {
        panic!("{end:?} instead of a reset");
    };
    assert_eq!(e.kind(), ErrorKind::ConnectionReset);
    assert_ended(&bench, &client, "reset", 5);
}

#[test]
fn behind_a_cut_link_nothing_more_is_heard_for_good_and_everywhere_else_all() {
    let m = 10;
    let bench = start(3, &["cut=0-1@3"]);
    let mut clients = [0, 1, 2].map(|node| bench.client(node));
    clients[0].push(&texts(m));
    let pushed = ids(&clients[0].copies(m));
    assert_eq!(ids(&clients[2].copies(m)), pushed);
    assert_eq!(ids(&clients[1].copies(3)), pushed[..3]);
    let log = bench.log();
    let cut: Vec<_> = log.iter().map(|event| event.message_id.clone().expect("an id")).collect();
    assert_eq!(cut, pushed[3..]);
    assert!(log.iter().all(|event| (event.node, event.peer) == (0, Some(1))));

    clients[1].push(&texts(1));
    let back = ids(&clients[1].copies(1));
    assert_eq!(ids(&clients[0].copies(1)), back, "the other direction is whole");
    assert!(clients[1].is_quiet(), "and the cut one stays cut");
}

#[test]
fn spoilt_upgrades_are_refused_wrong_or_never_answered_and_logged_by_port() {
    let bench = start(3, &["0:refuse=503", "1:bad-accept", "2:mute"]);
    match bench.try_client(0) {
        Err(Error::Http(response)) => assert_eq!(response.status().as_u16(), 503),
        other => panic!("{:?} instead of 503", other.map(|_| ())),
    }
    let mismatch = Error::Protocol(ProtocolError::SecWebSocketAcceptKeyMismatch).to_string();
    assert_eq!(bench.try_client(1).map(|_| ()).expect_err("a wrong key").to_string(), mismatch);

    let stream = bench.connect(2);
    stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    let port = stream.local_addr().expect("connected").port();
    assert!(tungstenite::client(&bench.cluster.node_urls()[2], stream).is_err());
    // We may have given up before the node has read what we asked.
    let log = eventually("three deeds", || Some(bench.log()).filter(|log| log.len() == 3));
    let done: Vec<_> = log.iter().map(|event| (event.node, event.fault.as_str())).collect();
    assert_eq!(done, [(0, "refuse"), (1, "bad-accept"), (2, "mute")]);
    assert_eq!(log[2].port, Some(port));
}

#[test]
fn a_deaf_node_tells_the_others_and_sends_its_own_clients_nothing() {
    let m = 10;
    let bench = start(2, &["0:deaf", "0:ping=20ms"]);
    let (mut deaf, mut far) = (bench.client(0), bench.client(1));
    deaf.push(&texts(m));
    let heard = ids(&far.copies(m));
    assert!(deaf.is_quiet());
    let log = bench.log();
    assert_eq!(logged_ids(&bench, &deaf), heard);
    assert!(log.iter().all(|event| event.fault == "deaf"));
}

#[test]
fn a_split_copy_comes_in_frames_of_at_most_so_many_bytes() {
    let bench = start(1, &["split=50"]);
    let mut client = bench.client(0);
    client.push(&texts(1));
    let socket: TcpStream = client.socket.get_ref().try_clone().expect("a socket");
    let mut frames = FrameSocket::new(socket);
    let mut payload = Vec::new();
    let mut count = 0;
    loop {
        let frame = frames.read(None).expect("a frame").expect("not the end");
        assert!(frame.payload().len() <= 50);
        payload.extend_from_slice(frame.payload());
        count += 1;
        if frame.header().is_final {
            break;
        }
    }
    let copy: serde_json::Value = serde_json::from_slice(&payload).expect("JSON");
    assert_eq!(copy["payload"][0]["text"], texts(1)[0]);
    assert!(count > 1);
    assert_eq!(bench.log()[0].count, Some(count));
}

#[test]
fn batched_copies_share_a_payload_array_of_at_most_so_many() {
    let m = 50;
    let bench = start(1, &["batch=4"]);
    let mut client = bench.client(0);
    client.push(&texts(m));
    let mut sizes = Vec::new();
    let mut seen = Vec::new();
    while seen.len() < m {
        let frame = client.frame();
        sizes.push(frame.len() as u64);
        seen.extend(texts_of(&frame));
    }
    assert_eq!(seen, texts(m));
    let batches: Vec<u64> = sizes.into_iter().filter(|size| *size > 1).collect();
    let logged: Vec<u64> = bench.log().iter().filter_map(|event| event.count).collect();
    assert!(batches.contains(&4) && batches.iter().all(|size| *size <= 4), "{batches:?}");
    assert_eq!(batches, logged);
}

#[test]
fn a_node_that_exits_loses_its_connections_without_a_close_and_is_told_of() {
    let mut bench = start(2, &["0:exit@3"]);
    let mut client = bench.client(0);
    client.push(&texts(10));
    let (copies, end) = client.end();
    assert!(copies.len() <= 3 && end.is_err(), "{end:?}");
    let death = bench.cluster.wait_for_death(Duration::from_secs(30)).expect("a death");
    assert!(death.contains("node 0 ended") && death.contains("70"), "{death}");
    assert_eq!(bench.cluster.child_died(), None, "a death is told once");
    assert!(bench.cluster.has_running_nodes());
    let log = bench.log();
    assert_eq!((log.len(), log[0].fault.as_str(), log[0].count), (1, "exit", Some(3)));
    assert!(bench.client(1).is_quiet());
}

#[test]
fn each_kind_of_bad_frame_comes_after_exactly_so_many_copies() {
    let protocol = |e| Error::Protocol(e).to_string();
    let size = 1 << 40;
    let too_long = CapacityError::MessageTooLong { size, max_size: 16 << 20 };
    let expected = [
        ("masked", protocol(ProtocolError::MaskedFrameFromServer)),
        ("rsv", protocol(ProtocolError::NonZeroReservedBits)),
        ("opcode", protocol(ProtocolError::InvalidOpcode(11))),
        ("utf8", "UTF-8".to_owned()),
        ("oversize", Error::Capacity(too_long).to_string()),
        ("fragment", protocol(ProtocolError::UnexpectedContinueFrame)),
    ];
    for (kind, expected) in expected {
        let bench = start(1, &[&format!("bad-frame={kind}@2")]);
        let mut client = bench.client(0);
        client.push(&texts(5));
        let (copies, end) = client.end();
        let error = end.expect_err(kind).to_string();
        assert_eq!(texts_of(&copies), texts(2), "{kind}");
        assert!(error.contains(&expected), "{kind}: {error}");
        assert_ended(&bench, &client, "bad-frame", 2);
    }
}

#[test]
fn a_relays_faults_name_messages_by_their_text() {
    let m = 200;
    let relay = |faults| start_with(1, faults, |config| config.relay = true);
    let bench = relay(&["drop=0.1", "corrupt=0.1"]);
    let mut client = bench.client(0);
    for text in texts(m) {
        client.send(&text);
    }
    client.socket.send(Message::Ping("end".into())).expect("sent");
    let mut seen = Vec::new();
    loop {
        match client.socket.read().expect("a message") {
            Message::Text(text) => seen.push(text.to_string()),
            Message::Pong(_) => break,
            other => panic!("{other:?}"),
        }
    }
    let events = |fault: &str| -> BTreeMap<String, Option<String>> {
        let log = bench.log().into_iter().filter(|event| event.fault == fault);
        log.map(|event| (event.text.expect("a text"), event.became)).collect()
    };
    let (dropped, became) = (events("drop"), events("corrupt"));
    let expected: Vec<String> = texts(m)
        .into_iter()
        .filter(|text| !dropped.contains_key(text))
        .map(|text| became.get(&text).cloned().flatten().unwrap_or(text))
        .collect();
    assert!(!dropped.is_empty() && !became.is_empty());
    assert_eq!(seen, expected);
}

#[test]
fn the_same_seed_does_the_same_and_another_one_something_else() {
    let run = |seed| {
        let bench = start_with(1, &["drop=0.2", "duplicate=0.2", "corrupt=0.2"], |config| {
            config.seed = seed;
        });
        let mut client = bench.client(0);
        client.push(&texts(100));
        client.copies_until_answered();
        let log = bench.log().into_iter();
        log.map(|event| FaultEvent { port: None, ..event }).collect::<Vec<_>>()
    };
    let first = run(7);
    assert!(!first.is_empty());
    assert_eq!(run(7), first);
    assert_ne!(run(8), first);
}
