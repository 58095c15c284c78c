//! Several io_urings that look like one: every socket hears what its peer says, and nobody sleeps over
//! any of them.
//!
//! Belongs here: `SeveralRings` itself and a run that needs it. Does not: how fast that is.

#[path = "common/descriptors.rs"]
mod descriptors;
#[path = "common/io_uring.rs"]
mod io_uring;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use fanstorm::engine::ring::several::SeveralRings;
use fanstorm::engine::ring::{Op, Ring, RingConfig, SendBuf, Slot, Wait};
use fanstorm::units::Nanos;
use serde_json::Value;

/// Few, as the locked memory of a user is, which each ring takes from.
const SLOTS: u32 = 11;
/// Nothing here takes so long: a sleep that nobody ends is seen by it.
const LONG: Nanos = Nanos::from_secs(3_600);

fn rings(number: usize) -> SeveralRings {
    let config = RingConfig::for_sockets(SLOTS).direct(number);
    SeveralRings::new(config, number).expect("io_uring is refused here")
}

/// Connects every slot; the far ends, by slot.
fn connect(ring: &mut SeveralRings) -> BTreeMap<Slot, TcpStream> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to: SocketAddr = listener.local_addr().unwrap();
    let mut ends = BTreeMap::new();
    for slot in 0..SLOTS {
        ring.connect(slot, to, None).unwrap();
        let completion = next(ring);
        assert_eq!((completion.0, completion.1, completion.2), (Op::Connect, slot, 0));
        ends.insert(slot, listener.accept().unwrap().0);
    }
    ends
}

/// Sleeps for the next completion: operation, slot, result and bytes, which go back at once.
fn next(ring: &mut SeveralRings) -> (Op, Slot, i32, Vec<u8>) {
    loop {
        if let Some(completion) = ring.next_completion() {
            let mut bytes = Vec::new();
            if let Some(filled) = completion.buffer {
                bytes.extend_from_slice(ring.received(filled, completion.result as usize));
                ring.recycle(filled);
            }
            if completion.op == Op::Receive && !completion.more {
                ring.receive(completion.slot);
            }
            return (completion.op, completion.slot, completion.result, bytes);
        }
        ring.wait(Wait::first(LONG)).unwrap();
    }
}

/// Ends the test where it hangs.
fn within_a_minute(test: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel();
    let thread = thread::spawn(move || {
        test();
        // Whoever waited for it has given up otherwise.
        let _ = done.send(());
    });
    let ended = ended.recv_timeout(Duration::from_secs(60));
    assert!(ended != Err(mpsc::RecvTimeoutError::Timeout), "a completion was slept over");
    thread.join().unwrap();
}

#[test]
fn every_slot_hears_its_own_peer_whatever_ring_it_is_on() {
    if !io_uring::is_granted("several rings") {
        return;
    }
    within_a_minute(|| {
        for number in [1, 2, 5, 11] {
            let mut ring = rings(number);
            let mut ends = connect(&mut ring);
            // The sample of timestamps reads in another way: on the first and on the last ring.
            [0, SLOTS - 1].into_iter().for_each(|slot| ring.time_arrivals(slot));
            (0..SLOTS).for_each(|slot| ring.receive(slot));
            ring.wait(Wait::POLL).unwrap();
            let mut heard: BTreeMap<Slot, Vec<u8>> = BTreeMap::new();
            let mut said = heard.clone();
            for round in 0..3_000_u32 {
                // Any order of slots, often the same one again, and reads that cross buffers.
                let slot = round.wrapping_mul(2_654_435_761) % SLOTS;
                let bytes = [slot as u8, round as u8].repeat(1 + (round % 300) as usize);
                ends.get_mut(&slot).unwrap().write_all(&bytes).unwrap();
                said.entry(slot).or_default().extend(bytes);
                while round % 7 == 0 && total(&heard) < total(&said) {
                    let (op, slot, result, bytes) = next(&mut ring);
                    assert!(op == Op::Receive && result > 0, "{op:?} on {slot}: {result}");
                    heard.entry(slot).or_default().extend(bytes);
                }
            }
            while total(&heard) < total(&said) {
                let (_, slot, _, bytes) = next(&mut ring);
                heard.entry(slot).or_default().extend(bytes);
            }
            assert!(heard == said, "with {number} rings");
        }
    });
}

fn total(bytes: &BTreeMap<Slot, Vec<u8>>) -> usize {
    bytes.values().map(Vec::len).sum()
}

#[test]
fn a_sleep_over_all_rings_ends_with_the_first_completion_on_any() {
    if !io_uring::is_granted("several rings") {
        return;
    }
    within_a_minute(|| {
        let mut ring = rings(4);
        let mut ends = connect(&mut ring);
        (0..SLOTS).for_each(|slot| ring.receive(slot));
        ring.wait(Wait::POLL).unwrap();
        for slot in (0..SLOTS).chain([3, 3, SLOTS - 1, 0]) {
            let mut end = ends[&slot].try_clone().unwrap();
            let late = thread::spawn(move || {
                // Most likely we sleep by then; where not, the test only shows less.
                thread::sleep(Duration::from_millis(5));
                end.write_all(b"wake").unwrap();
            });
            assert_eq!(next(&mut ring), (Op::Receive, slot, 4, b"wake".to_vec()));
            late.join().unwrap();
        }
        drop(ends.remove(&7));
        let (op, slot, result, _) = next(&mut ring);
        assert_eq!((op, slot, result), (Op::Receive, 7, 0), "the end of a stream, too");
    });
}

#[test]
fn what_is_sent_and_closed_reaches_the_slots_peer_and_gives_its_buffer_back() {
    if !io_uring::is_granted("several rings") {
        return;
    }
    within_a_minute(|| {
        let mut ring = rings(3);
        let mut ends = connect(&mut ring);
        for slot in 0..SLOTS {
            let frame = vec![slot as u8; 10];
            ring.send(slot, SendBuf::Owned(frame.clone()), 2..10);
            let (op, of, result, _) = next(&mut ring);
            assert_eq!((op, of, result), (Op::Send, slot, 8));
            assert_eq!(ring.take_sent(slot).unwrap().as_slice(), frame);
            ring.close(slot);
            ring.wait(Wait::POLL).unwrap();
            let mut heard = Vec::new();
            ends.get_mut(&slot).unwrap().read_to_end(&mut heard).unwrap();
            assert_eq!(heard, frame[2..]);
        }
        assert!(ring.counters().enters > 0);
    });
}

#[test]
fn a_table_that_is_too_small_is_made_up_for_by_more_rings_of_the_one_worker() {
    if !io_uring::is_granted("several rings") || !descriptors::are_granted(400, "several rings") {
        return;
    }
    for wait in ["latency", "sleep", "throughput"] {
        let limited = format!(
            "ulimit -n 400 && exec \"$0\" --nodes 4 --relay --receivers-per-node 250 --messages 20 \
             --cores 1 --wait {wait} --ready-timeout 60s --json -"
        );
        let mut command = Command::new("sh");
        command.args(["-c", &limited, env!("CARGO_BIN_EXE_fanstorm")]);
        let output = command.output().unwrap();
        // Lines are broken anywhere.
        let errors = String::from_utf8_lossy(&output.stderr);
        let errors = errors.split_whitespace().collect::<Vec<_>>().join(" ");
        let result: Value = serde_json::from_slice(&output.stdout).expect(&errors);
        let dialing = &result["dialing"];
        assert_eq!((&dialing["workers"], &dialing["rings"]), (&1.into(), &3.into()), "{errors}");
        let summary = &result["summary"];
        assert_eq!(summary["delivered"], 20 * 1_003, "{errors}");
        assert!(errors.contains("1 worker, with direct descriptors in 3 rings"), "{errors}");
    }
}
