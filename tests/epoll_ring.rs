//! What is special in the ring on epoll: sends that wait for room, and receives without buffers.
//!
//! The far end is an ordinary TCP socket of the standard library. What the worker does on either ring
//! is tested where the worker is.

#[path = "common/nobody.rs"]
mod nobody;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use fanstorm::engine::ring::epoll::EpollRing;
use fanstorm::engine::ring::{Completion, Op, Ring, RingConfig, SendBuf, Slot, Wait};
use fanstorm::units::Nanos;
use rustix::io::Errno;

/// Turns until what must come has come; a ring that never delivers fails the test.
const TURNS: u32 = 2_000;

fn ring(buffers: u16, buffer_bytes: usize) -> EpollRing {
    EpollRing::new(RingConfig { slots: 8, buffers, buffer_bytes, direct: false }).unwrap()
}

/// What one turn brings, within 10 ms.
fn turn(ring: &mut EpollRing) -> Vec<Completion> {
    ring.wait(Wait::first(Nanos::from_millis(10))).unwrap();
    std::iter::from_fn(|| ring.next_completion()).collect()
}

/// The next completions, in as many turns as it takes.
fn some(ring: &mut EpollRing) -> Vec<Completion> {
    let came = (0..TURNS).map(|_| turn(ring)).find(|came| !came.is_empty());
    came.expect("a completion")
}

fn only(ring: &mut EpollRing) -> Completion {
    let came = some(ring);
    assert_eq!(came.len(), 1, "{came:?}");
    came[0]
}

/// Turns in which nothing may come.
fn silence(ring: &mut EpollRing) {
    for _ in 0..5 {
        let came = turn(ring);
        assert!(came.is_empty(), "{came:?}");
    }
}

/// Connects a slot, with a receive armed, and gives the far end of it.
fn connected(ring: &mut EpollRing, slot: Slot) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    ring.connect(slot, listener.local_addr().unwrap(), None).unwrap();
    let (far, _) = listener.accept().unwrap();
    let done = only(ring);
    assert_eq!((done.op, done.slot, done.result), (Op::Connect, slot, 0));
    ring.receive(slot);
    far
}

/// Its bytes, given back to the ring.
fn take(ring: &mut EpollRing, completion: &Completion) -> Vec<u8> {
    assert_eq!(completion.op, Op::Receive, "{completion:?}");
    let buffer = completion.buffer.expect("bytes");
    let bytes = ring.received(buffer, completion.result as usize).to_vec();
    ring.recycle(buffer);
    bytes
}

/// No two stretches of it are alike: what is lost or sent twice shows.
fn numbers(count: u32) -> Bytes {
    (0..count).flat_map(u32::to_be_bytes).collect()
}

#[test]
fn a_send_without_room_waits_and_nothing_of_it_is_lost_or_sent_twice() {
    let mut ring = ring(4, 64);
    let mut far = connected(&mut ring, 0);
    // More than loopback's buffers hold at the most (tcp_wmem, tcp_rmem).
    let all = numbers(32 << 20);
    let mut taken = 0;
    let parked = (0..TURNS).any(|_| {
        ring.send(0, SendBuf::Arena(all.clone()), taken..all.len());
        match turn(&mut ring).first() {
            None => true,
            Some(done) => {
                taken += done.result as usize;
                assert!(ring.take_sent(0).is_some());
                false
            }
        }
    });
    assert!(parked && 0 < taken && taken < all.len(), "{taken} bytes");
    assert!(ring.take_sent(0).is_none(), "it is in flight");

    far.write_all(b"hello").unwrap();
    let heard = some(&mut ring).into_iter().find(|done| done.op == Op::Receive).unwrap();
    assert_eq!(take(&mut ring, &heard), b"hello", "a socket without room to send still hears");

    let mut read = vec![0; taken];
    far.read_exact(&mut read).unwrap();
    let sent = only(&mut ring);
    assert_eq!((sent.op, sent.slot), (Op::Send, 0));
    assert!(sent.result > 0 && ring.take_sent(0).is_some(), "{sent:?}");
    let total = taken + sent.result as usize;
    ring.close(0);
    far.read_to_end(&mut read).unwrap();
    assert_eq!(read.len(), total);
    assert!(read == all[..total], "the bytes are those that were sent");
}

#[test]
fn sends_leave_in_the_order_in_which_they_were_asked_for() {
    let mut ring = ring(4, 64);
    let far: Vec<_> = (0..4).map(|slot| connected(&mut ring, slot)).collect();
    for slot in [2, 0, 3, 1] {
        ring.send(slot, SendBuf::Owned(vec![slot as u8]), 0..1);
    }
    let sent: Vec<_> = some(&mut ring).iter().map(|done| (done.op, done.slot)).collect();
    assert_eq!(sent, [2, 0, 3, 1].map(|slot| (Op::Send, slot)));
    for (number, mut far) in far.into_iter().enumerate() {
        let mut byte = [0];
        far.read_exact(&mut byte).unwrap();
        assert_eq!(usize::from(byte[0]), number);
    }
}

#[test]
fn what_came_before_the_end_is_received_and_then_the_end() {
    let mut ring = ring(4, 64);
    let mut far = connected(&mut ring, 3);
    far.write_all(b"bye").unwrap();
    drop(far);
    let bytes = only(&mut ring);
    assert!(bytes.more);
    assert_eq!(take(&mut ring, &bytes), b"bye");
    let end = only(&mut ring);
    assert_eq!((end.op, end.slot, end.result, end.more), (Op::Receive, 3, 0, false));
    assert_eq!(end.buffer, None);
}

#[test]
fn resets_are_told_with_their_errno_and_take_no_buffers_with_them() {
    let mut ring = ring(2, 64);
    for slot in 0..5 {
        let far = connected(&mut ring, slot);
        rustix::net::sockopt::set_socket_linger(&far, Some(Duration::ZERO)).unwrap();
        drop(far);
        let end = only(&mut ring);
        let reset = -Errno::CONNRESET.raw_os_error();
        assert_eq!((end.op, end.slot, end.result, end.more), (Op::Receive, slot, reset, false));
        assert_eq!(end.buffer, None);
        ring.close(slot);
    }
    let mut far = connected(&mut ring, 5);
    far.write_all(b"still here").unwrap();
    let heard = only(&mut ring);
    assert_eq!(take(&mut ring, &heard), b"still here");
}

#[test]
fn without_buffers_the_bytes_wait_in_the_socket() {
    let mut ring = ring(2, 8);
    let mut far = connected(&mut ring, 0);
    let all = numbers(25);
    far.write_all(&all).unwrap();
    let mut held = Vec::new();
    while held.len() < 2 {
        held.extend(some(&mut ring));
    }
    assert_eq!(held.len(), 2, "as many as there are buffers");
    silence(&mut ring);
    let mut bytes: Vec<u8> = held.iter().flat_map(|done| take(&mut ring, done)).collect();
    while bytes.len() < all.len() {
        for done in some(&mut ring) {
            bytes.extend(take(&mut ring, &done));
        }
    }
    assert_eq!(bytes, all);
}

#[test]
fn a_connection_that_is_refused_is_told_with_its_errno() {
    let nobody = nobody::nobody();
    let mut ring = ring(2, 64);
    ring.connect(0, nobody.address, None).unwrap();
    let done = only(&mut ring);
    let refused = -Errno::CONNREFUSED.raw_os_error();
    assert_eq!((done.op, done.slot, done.result), (Op::Connect, 0, refused));
}

#[test]
fn a_closed_socket_takes_its_unsent_bytes_along_and_disturbs_no_other() {
    let mut ring = ring(2, 64);
    let (mut gone, mut other) = (connected(&mut ring, 0), connected(&mut ring, 1));
    ring.send(0, SendBuf::Owned(b"never".to_vec()), 0..5);
    ring.send(1, SendBuf::Owned(b"other".to_vec()), 0..5);
    ring.close(0);
    let sent = only(&mut ring);
    assert_eq!((sent.op, sent.slot, sent.result), (Op::Send, 1, 5));
    let mut read = Vec::new();
    gone.read_to_end(&mut read).unwrap();
    assert_eq!(read, b"");
    let mut five = [0; 5];
    other.read_exact(&mut five).unwrap();
    assert_eq!(&five, b"other");
}
