//! The delivery ledger: which messages each stream has delivered, exactly.
//!
//! Belongs here: order, loss and duplication of sequence numbers within a stream (all messages of
//! one push socket as one of our sockets sees them). Does not: latency (`recorder`), recognising a
//! copy (`dialect`).
//!
//! A stream that keeps order costs one comparison and one increment for each copy. The first gap
//! opens the stream's bitmap, which then holds every number at or above the gap; it closes when the
//! gap is filled. All bitmaps are laid out before the clock starts, in zeroed memory that the kernel
//! backs only where it is touched, so that an ordered run pays nothing for them.

use crate::measure::layout::Layout;
use crate::population::audience::{Audience, Hearing};
use crate::population::sockets::SocketId;

/// What one arrival was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Classification {
    /// The first copy of this number, in order.
    InOrder,
    /// The first copy of this number, after a higher one: reordered in the sense of RFC 4737,
    /// section 3.3 (its number is below the next expected one).
    OutOfOrder {
        /// How far the highest number that had come is above it; at least 1.
        behind: u32,
    },
    /// A number that had come.
    Duplicate,
    /// A message of a sender that this socket must not hear.
    Misdelivered,
}

/// One stream. In order as long as `floor == next`.
#[derive(Clone, Copy, Debug, Default)]
struct Stream {
    /// Everything below has come.
    floor: u32,
    /// One above the highest number that has come.
    next: u32,
}

impl Stream {
    /// Notes `many` copies from `sequence` on if they are next and no gap is open; else says no.
    #[inline(always)]
    fn takes(&mut self, sequence: u32, many: u32) -> bool {
        let next = sequence == self.next && self.floor == self.next;
        if next {
            self.floor += many;
            self.next += many;
        }
        next
    }
}

/// The floor of a stream that must not be there: above every number, so that nothing is missing.
const UNHEARD: u32 = u32::MAX;

/// All streams of one worker: those of its sockets and the senders that each can hear.
#[derive(Debug)]
pub struct Ledger {
    layout: Layout,
    streams: Vec<Stream>,
    bitmaps: Vec<u64>,
    /// Number of messages of each sender.
    counts: Vec<u32>,
    words: usize,
}

impl Ledger {
    /// A ledger for sockets that hear of sender `k` what the audience says, `counts[k]` messages.
    pub fn new(audience: &Audience, seats: &[SocketId], counts: &[u32]) -> Self {
        let words = counts.iter().max().map_or(0, |&count| count.div_ceil(64) as usize);
        let stream = |socket, sender: usize| {
            let start = match audience.hears(socket, sender as u32) {
                Hearing::Must => 0,
                // Nothing is missing: as if all had come.
                Hearing::May => counts[sender],
                Hearing::MustNot => UNHEARD,
            };
            Stream { floor: start, next: start }
        };
        let layout = Layout::new(audience, seats);
        let pairs = layout.nowhere().unwrap_or(seats.len() * counts.len());
        let mut streams = Vec::with_capacity(pairs + 1);
        for (local, seat) in seats.iter().enumerate() {
            streams.extend(layout.heard(local).map(|sender| stream(seat.socket, sender)));
        }
        let bitmaps = vec![0; pairs * words];
        // All pairs that cannot exist are one stream without a bitmap.
        let nowhere = Stream { floor: UNHEARD, next: UNHEARD };
        streams.extend(layout.nowhere().map(|_| nowhere));
        Self { layout, streams, bitmaps, counts: counts.to_vec(), words }
    }

    /// Bytes that the ledger takes at most.
    pub fn bytes(&self) -> usize {
        self.layout.bytes() + size_of_val(&*self.streams) + size_of_val(&*self.bitmaps)
    }

    /// Notes the arrival of a copy.
    ///
    /// # Panics
    /// `sequence` must be below the sender's count.
    #[inline]
    pub fn arrive(&mut self, socket: usize, sender: usize, sequence: u32) -> Classification {
        let place = self.layout.full_place(socket, sender);
        if place >= self.streams.len() {
            return self.arrive_in_group(socket, sender, sequence);
        }
        if self.streams[place].takes(sequence, 1) {
            return Classification::InOrder;
        }
        self.arrive_displaced(place, sequence)
    }

    /// Notes the arrival of `many` copies from `sequence` on, all below the sender's count, if they are the
    /// next of a stream without a gap. Else it notes nothing and says so.
    #[inline]
    pub fn arrive_in_order(
        &mut self,
        socket: usize,
        sender: usize,
        sequence: u32,
        many: u32,
    ) -> bool {
        if let Some(stream) = self.streams.get_mut(self.layout.full_place(socket, sender)) {
            return stream.takes(sequence, many);
        }
        self.arrive_in_order_in_group(socket, sender, sequence, many)
    }

    /// Out of the hot path, as [`Self::arrive_in_order_in_group`] is: with the branch on groups a copy in a
    /// run of one sender cost 1 ns of 11 more.
    #[inline(never)]
    fn arrive_in_group(&mut self, socket: usize, sender: usize, sequence: u32) -> Classification {
        let place = self.layout.place(socket, sender);
        if self.streams[place].takes(sequence, 1) {
            return Classification::InOrder;
        }
        self.arrive_displaced(place, sequence)
    }

    #[inline(never)]
    fn arrive_in_order_in_group(
        &mut self,
        socket: usize,
        sender: usize,
        sequence: u32,
        many: u32,
    ) -> bool {
        let place = self.layout.place(socket, sender);
        self.streams[place].takes(sequence, many)
    }

    /// The path of streams with a gap, of duplicates and of streams that must not be there.
    fn arrive_displaced(&mut self, index: usize, sequence: u32) -> Classification {
        let stream = &mut self.streams[index];
        if stream.floor == UNHEARD {
            return Classification::Misdelivered;
        }
        let bits = &mut self.bitmaps[index * self.words..][..self.words];
        let (word, bit) = (sequence as usize / 64, 1_u64 << (sequence % 64));
        if sequence < stream.floor || bits[word] & bit != 0 {
            return Classification::Duplicate;
        }
        bits[word] |= bit;
        let arrival = match stream.next.checked_sub(sequence + 1) {
            Some(behind @ 1..) => Classification::OutOfOrder { behind },
            _ => Classification::InOrder,
        };
        stream.next = stream.next.max(sequence + 1);
        if sequence == stream.floor {
            stream.floor = first_unset(bits, stream.floor).min(stream.next);
        }
        arrival
    }

    /// The senders of which a socket has a stream, ascending.
    pub fn heard(&self, socket: usize) -> impl Iterator<Item = usize> + '_ {
        self.layout.heard(socket)
    }

    /// Whether a copy of this number has come (or was never expected).
    pub fn has(&self, socket: usize, sender: usize, sequence: u32) -> bool {
        let index = self.layout.place(socket, sender);
        let word = || self.bitmaps[index * self.words + sequence as usize / 64];
        sequence < self.streams[index].floor || word() >> (sequence % 64) & 1 == 1
    }

    /// The missing numbers of a stream, ascending. Nothing for a stream that has everything.
    pub fn missing(&self, socket: usize, sender: usize) -> impl Iterator<Item = u32> + '_ {
        let floor = self.streams[self.layout.place(socket, sender)].floor;
        (floor..self.counts[sender]).filter(move |&n| !self.has(socket, sender, n))
    }
}

/// The first number at or above `from` whose bit is not set; the end of the bitmap if all are.
fn first_unset(bits: &[u64], from: u32) -> u32 {
    let mut word = from as usize / 64;
    let mut unset = !bits[word] & (u64::MAX << (from % 64));
    while unset == 0 {
        word += 1;
        match bits.get(word) {
            Some(bits) => unset = !bits,
            None => return word as u32 * 64,
        }
    }
    word as u32 * 64 + unset.trailing_zeros()
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use proptest::prelude::*;

    use super::*;
    use crate::population::audience::tests::{Naive as NaiveAudience, audiences};
    use crate::population::fan_out::FanOut;
    use crate::population::sockets::Population;

    /// The first sockets of a run in which each hears every sender.
    fn ledger_of(sockets: u32, counts: &[u32]) -> Ledger {
        let population = Population::new(1, 0, counts.len() as u32, sockets).unwrap();
        let seats: Vec<_> = (0..sockets).map(|socket| population.id(socket)).collect();
        Ledger::new(&Audience::new(population, FanOut::All), &seats, counts)
    }

    /// The obviously correct ledger of one stream.
    #[derive(Default)]
    struct Naive {
        seen: HashSet<u32>,
        highest: Option<u32>,
    }

    impl Naive {
        fn arrive(&mut self, sequence: u32) -> Classification {
            if !self.seen.insert(sequence) {
                return Classification::Duplicate;
            }
            let behind = self.highest.and_then(|highest| highest.checked_sub(sequence));
            self.highest = self.highest.max(Some(sequence));
            behind.map_or(Classification::InOrder, |behind| Classification::OutOfOrder { behind })
        }
    }

    proptest! {
        #[test]
        fn the_ledger_agrees_with_a_set_on_any_arrivals(
            count in 1_u32..300,
            arrivals in prop::collection::vec((0_usize..2, 0_usize..2, any::<u32>()), 0..900),
        ) {
            let mut ledger = ledger_of(2, &[count, count]);
            let mut naive: [[Naive; 2]; 2] = Default::default();
            for (socket, sender, raw) in arrivals {
                let sequence = raw % count;
                prop_assert_eq!(
                    ledger.arrive(socket, sender, sequence),
                    naive[socket][sender].arrive(sequence)
                );
            }
            for (socket, row) in naive.iter().enumerate() {
                for (sender, stream) in row.iter().enumerate() {
                    let missing: Vec<_> = ledger.missing(socket, sender).collect();
                    let expected: Vec<_> =
                        (0..count).filter(|n| !stream.seen.contains(n)).collect();
                    prop_assert_eq!(missing, expected);
                }
            }
        }

        #[test]
        fn any_shuffle_of_a_whole_run_ends_with_nothing_missing(
            order in Just((0..700_u32).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let mut ledger = ledger_of(1, &[700]);
            for &sequence in &order {
                prop_assert_ne!(ledger.arrive(0, 0, sequence), Classification::Duplicate);
            }
            prop_assert_eq!(ledger.missing(0, 0).count(), 0);
            prop_assert_eq!(ledger.streams[0].floor, 700);
        }
    }

    #[test]
    fn a_stream_returns_to_the_ordered_path_when_its_gap_is_filled() {
        let mut ledger = ledger_of(1, &[10]);
        assert_eq!(ledger.arrive(0, 0, 1), Classification::InOrder);
        assert_eq!(ledger.arrive(0, 0, 0), Classification::OutOfOrder { behind: 1 });
        assert_eq!(ledger.streams[0].floor, ledger.streams[0].next);
        assert_eq!(ledger.arrive(0, 0, 2), Classification::InOrder);
        assert_eq!(ledger.arrive(0, 0, 1), Classification::Duplicate);
    }

    proptest! {
        #[test]
        fn copies_noted_at_once_are_as_copies_noted_one_by_one(
            arrivals in prop::collection::vec((0_u32..40, 1_u32..9), 0..60),
        ) {
            let (mut at_once, mut singly) = (ledger_of(1, &[48]), ledger_of(1, &[48]));
            for (first, many) in arrivals {
                let in_order = at_once.arrive_in_order(0, 0, first, many);
                let each: Vec<_> = (first..first + many).map(|n| singly.arrive(0, 0, n)).collect();
                if in_order {
                    prop_assert!(each.iter().all(|arrival| *arrival == Classification::InOrder));
                } else {
                    let again: Vec<_> = (first..first + many).map(|n| at_once.arrive(0, 0, n)).collect();
                    prop_assert_eq!(again, each);
                }
                prop_assert!(at_once.missing(0, 0).eq(singly.missing(0, 0)));
            }
        }
    }

    /// What a trial of `messages` comes to when `arrivals` are drawn from all copies that there could be.
    fn account(
        (audience, naive): (Audience, NaiveAudience),
        messages: u64,
        arrivals: Vec<(u32, u64)>,
    ) -> Result<(), TestCaseError> {
        let (population, turns) = (*audience.population(), audience.population().turns());
        // Every second socket is another worker's.
        let seats: Vec<_> =
            (0..population.sockets()).step_by(2).map(|k| population.id(k)).collect();
        let counts = turns.share(messages);
        let mut ledger = Ledger::new(&audience, &seats, &counts);
        let mut streams: HashMap<(usize, u32), Naive> = HashMap::new();
        for (raw, message) in arrivals {
            let (local, (sender, sequence)) =
                (raw as usize % seats.len(), turns.of(message % messages));
            let hears = naive.hears(seats[local].socket, sender);
            let expected = match hears {
                Hearing::Must => {
                    streams.entry((local, sender)).or_default().arrive(sequence as u32)
                }
                Hearing::May => Classification::Duplicate,
                Hearing::MustNot => Classification::Misdelivered,
            };
            prop_assert_eq!(ledger.arrive(local, sender as usize, sequence as u32), expected);
            let again = ledger.arrive(local, sender as usize, sequence as u32);
            prop_assert_ne!(again, Classification::InOrder);
            prop_assert_eq!(again == Classification::Misdelivered, hears == Hearing::MustNot);
        }
        let mut missing = 0;
        for (local, seat) in seats.iter().enumerate() {
            let heard: Vec<_> = ledger.heard(local).collect();
            prop_assert!(heard.is_sorted());
            for (sender, &count) in (0..).zip(&counts) {
                let must = naive.hears(seat.socket, sender) == Hearing::Must;
                let seen = |n| streams.get(&(local, sender)).is_some_and(|s| s.seen.contains(&n));
                let lost: Vec<_> = (0..count).filter(|&n| must && !seen(n)).collect();
                let found: Vec<_> = ledger.missing(local, sender as usize).collect();
                prop_assert_eq!(&found, &lost);
                prop_assert!(heard.contains(&(sender as usize)) || !must);
                missing += lost.len();
            }
        }
        let left = (0..population.sockets()).filter(|k| k % 2 == 1);
        let expected = audience.without(left).expected(messages);
        let delivered: usize = streams.values().map(|stream| stream.seen.len()).sum();
        prop_assert_eq!(expected, (delivered + missing) as u64, "expected = delivered + missing");
        Ok(())
    }

    proptest! {
        #[test]
        fn the_ledger_of_any_audience_agrees_with_sets_and_a_look_at_every_pair(
            audience in audiences(),
            messages in 1_u64..200,
            arrivals in prop::collection::vec((any::<u32>(), any::<u64>()), 0..400),
        ) {
            account(audience, messages, arrivals)?;
        }
    }

    #[test]
    fn a_million_sockets_and_a_thousand_senders_in_rooms_cost_what_can_exist() {
        const ROOMS: u32 = 1_000;
        let population = Population::new(2, 0, ROOMS, (1_000_000 - ROOMS) / 2).unwrap();
        let rooms: Vec<_> = (0..population.sockets()).map(|socket| socket % ROOMS).collect();
        let audience = Audience::in_rooms(population, FanOut::All, &rooms);
        assert_eq!((population.sockets(), audience.streams()), (1_000_000, 1_000_000));
        let seats: Vec<_> = (0..population.sockets()).map(|socket| population.id(socket)).collect();
        let counts = population.turns().share(64_000);
        let mut ledger = Ledger::new(&audience, &seats, &counts);
        // 16 bytes for each pair that can exist, ends and bits, and as many for each socket's place.
        let bytes = ledger.bytes() as u64;
        assert!((32_000_000..32_100_000).contains(&bytes), "{bytes}");
        assert_eq!(audience.expected(64_000), 64_000 * 1_000);
        for sequence in 0..64 {
            assert_eq!(ledger.arrive(999_999, 999, sequence), Classification::InOrder);
            assert_eq!(ledger.arrive(999_999, 998, sequence), Classification::Misdelivered);
        }
        assert_eq!(ledger.missing(999_999, 999).count(), 0);
        assert_eq!(ledger.missing(999_998, 998).count(), 64);
        assert!(ledger.heard(999_998).eq([998]));
    }

    #[test]
    fn a_copy_on_a_stream_that_must_not_be_there_is_misdelivered_each_time() {
        let mut ledger = {
            let population = Population::new(1, 0, 2, 0).unwrap();
            let own = Audience::new(population, FanOut::Own);
            Ledger::new(&own, &[population.id(0), population.id(1)], &[4, 4])
        };
        for sequence in [3, 0, 1, 0, 3] {
            assert_eq!(ledger.arrive(0, 1, sequence), Classification::Misdelivered);
        }
        assert_eq!(ledger.arrive(0, 0, 0), Classification::InOrder);
        assert_eq!(ledger.arrive(0, 0, 0), Classification::Duplicate);
        assert_eq!(ledger.missing(0, 1).count(), 0);
        assert_eq!(ledger.missing(1, 1).count(), 4);
    }
}
