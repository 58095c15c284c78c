//! When each message was handed to the kernel.
//!
//! Belongs here: the one thing that workers share while the clock runs. Does not: anything that two
//! of them write.
//!
//! A copy may come back to another core than the one that sent the message, so the sent times must
//! be seen by all. Each time is written once, by the worker that owns the sender, before the send is
//! submitted; the copy can only come after that. Loads and stores are relaxed: on every machine that
//! we know they are plain moves, and the way through two kernels and a network orders them. A zero
//! that is read all the same (no time yet) is reported as corrupt, never as a latency.
//! Sender after sender, so that no cache line is written by two workers but at the seams.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::units::Nanos;

/// Sent times of a trial, by message index: sender after sender, each in order of sequence.
#[derive(Debug)]
pub struct SentTimes {
    /// Index of each sender's first message, and the total.
    starts: Vec<u32>,
    times_ns: Vec<AtomicU64>,
}

impl SentTimes {
    /// For senders with so many messages each.
    pub fn new(counts: &[u32]) -> Self {
        let mut starts = vec![0];
        starts.extend(counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        }));
        let total = starts[counts.len()] as usize;
        Self { starts, times_ns: (0..total).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Index of a message; `None` when the sender has no such message.
    #[inline]
    pub fn index(&self, sender: usize, sequence: u64) -> Option<u32> {
        let (&start, &end) = (self.starts.get(sender)?, self.starts.get(sender + 1)?);
        (sequence < u64::from(end - start)).then(|| start + sequence as u32)
    }

    /// Indices of a sender's messages, in order of sequence.
    pub fn of_sender(&self, sender: usize) -> Range<u32> {
        self.starts[sender]..self.starts[sender + 1]
    }

    /// Sender and sequence of a message index.
    pub fn message(&self, index: u32) -> (usize, u32) {
        let sender = self.starts.partition_point(|&start| start <= index) - 1;
        (sender, index - self.starts[sender])
    }

    /// Notes that messages `from..to` of `sender` are handed over at `at`.
    pub fn stamp(&self, sender: usize, from: u32, to: u32, at: Nanos) {
        let start = self.starts[sender] as usize;
        for time in &self.times_ns[start + from as usize..start + to as usize] {
            time.store(at.0, Ordering::Relaxed);
        }
    }

    /// When a message was handed over; `None` before.
    #[inline]
    pub fn sent(&self, index: u32) -> Option<Nanos> {
        match self.times_ns[index as usize].load(Ordering::Relaxed) {
            0 => None,
            at => Some(Nanos(at)),
        }
    }

    /// When messages from `index` on were handed over, all of one sender: each time with the number of
    /// neighbours that share it. `None` where one was not handed over yet.
    #[inline]
    pub fn stretches(&self, index: u32, many: u32) -> Option<impl Iterator<Item = (Nanos, u64)>> {
        let times = &self.times_ns[index as usize..][..many as usize];
        let at = |time: &AtomicU64| time.load(Ordering::Relaxed);
        if times.iter().any(|time| at(time) == 0) {
            return None;
        }
        // No time that is there changes.
        let stretches = times.chunk_by(move |a, b| at(a) == at(b));
        Some(stretches.map(move |stretch| (Nanos(at(&stretch[0])), stretch.len() as u64)))
    }

    /// Number of messages.
    pub fn len(&self) -> usize {
        self.times_ns.len()
    }

    /// True when there is no message.
    pub fn is_empty(&self) -> bool {
        self.times_ns.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::population::turns::Turns;

    proptest! {
        #[test]
        fn every_message_has_one_place(messages in 0_u64..5_000, senders in 1_u32..70) {
            let turns = Turns::new(senders);
            let sent = SentTimes::new(&turns.share(messages));
            prop_assert_eq!(sent.len() as u64, messages);
            let mut places = vec![false; sent.len()];
            for message in 0..messages {
                let (sender, sequence) = turns.of(message);
                let sender = sender as usize;
                let index = sent.index(sender, sequence).unwrap();
                prop_assert!(sent.of_sender(sender).contains(&index));
                prop_assert!(!std::mem::replace(&mut places[index as usize], true));
                prop_assert_eq!(sent.message(index), (sender, sequence as u32));
            }
        }
    }

    #[test]
    fn a_message_that_was_not_sent_has_no_time() {
        let sent = SentTimes::new(&[2, 1]);
        sent.stamp(0, 1, 2, Nanos(5));
        assert_eq!([0, 1, 2].map(|index| sent.sent(index)), [None, Some(Nanos(5)), None]);
        let stretches = |from, many| sent.stretches(from, many).map(Iterator::collect::<Vec<_>>);
        assert_eq!(stretches(0, 2), None);
        assert_eq!(stretches(1, 1), Some(vec![(Nanos(5), 1)]));
        assert_eq!((sent.index(0, 2), sent.index(2, 0), sent.index(9, 0)), (None, None, None));
    }
}
