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
//!
//! Where a connection holds several subscriptions, as many copies of a message are expected on it. Each
//! further one has streams of its own, beside the first: the second copies of all messages are one stream,
//! the third ones another. A copy goes to the first of them that has not had its number, and is a duplicate
//! where all have. So an ordinary run pays nothing for them: they are looked at where a copy came before.

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

/// The streams of second copies, or of third ones, and so on: at the places of the first.
#[derive(Clone, Debug)]
struct Again {
    streams: Vec<Stream>,
    bitmaps: Vec<u64>,
}

/// All streams of one worker: those of its sockets and the senders that each can hear.
#[derive(Debug)]
pub struct Ledger {
    layout: Layout,
    /// Of the first copies.
    streams: Vec<Stream>,
    bitmaps: Vec<u64>,
    /// Number of messages of each sender.
    counts: Vec<u32>,
    words: usize,
    /// Empty where each message is expected once.
    again: Vec<Again>,
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
        let further = audience.subscriptions() as usize - 1;
        // Zeroed anew for each: a copy of zeroes would be memory that was touched.
        let again = |_| Again { streams: streams.clone(), bitmaps: vec![0; pairs * words] };
        let again = (0..further).map(again).collect();
        Self { layout, streams, bitmaps, counts: counts.to_vec(), words, again }
    }

    /// Bytes that the ledger takes at most.
    pub fn bytes(&self) -> usize {
        let each = size_of_val(&*self.streams) + size_of_val(&*self.bitmaps);
        self.layout.bytes() + each * (1 + self.again.len())
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
        let place = self.layout.full_place(socket, sender);
        if let Some(stream) = self.streams.get_mut(place) {
            return stream.takes(sequence, many)
                || !self.again.is_empty() && self.arrive_again_in_order(place, sequence, many);
        }
        self.arrive_in_order_in_group(socket, sender, sequence, many)
    }

    /// The same of copies that have come before: they must be the next of one stream of further ones.
    fn arrive_again_in_order(&mut self, place: usize, sequence: u32, many: u32) -> bool {
        let mut before = self.streams[place];
        for again in &mut self.again {
            let all_came = before.floor != UNHEARD && sequence + many <= before.floor;
            if !all_came || again.streams[place].takes(sequence, many) {
                return all_came;
            }
            before = again.streams[place];
        }
        false
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
            || self.arrive_again_in_order(place, sequence, many)
    }

    /// The path of streams with a gap, of further copies, of duplicates and of streams that must not be there.
    fn arrive_displaced(&mut self, index: usize, sequence: u32) -> Classification {
        let stream = &mut self.streams[index];
        if stream.floor == UNHEARD {
            return Classification::Misdelivered;
        }
        let bits = &mut self.bitmaps[index * self.words..][..self.words];
        match displaced(stream, bits, sequence) {
            Classification::Duplicate if !self.again.is_empty() => {
                self.arrive_again(index, sequence)
            }
            first => first,
        }
    }

    /// A copy of what has come before, where several are expected. In one function with the first copies it
    /// made these 0.4 ns of 3.4 slower where they come out of order.
    #[inline(never)]
    fn arrive_again(&mut self, index: usize, sequence: u32) -> Classification {
        for again in &mut self.again {
            let stream = &mut again.streams[index];
            if stream.takes(sequence, 1) {
                return Classification::InOrder;
            }
            let bits = &mut again.bitmaps[index * self.words..][..self.words];
            let arrival = displaced(stream, bits, sequence);
            if arrival != Classification::Duplicate {
                return arrival;
            }
        }
        Classification::Duplicate
    }

    /// The senders of which a socket has a stream, ascending.
    pub fn heard(&self, socket: usize) -> impl Iterator<Item = usize> + '_ {
        self.layout.heard(socket)
    }

    /// Whether the copy of this number that came last was not the first one.
    pub fn came_before(&self, socket: usize, sender: usize, sequence: u32) -> bool {
        let place = self.layout.place(socket, sender);
        let has = |again: &Again| has(&again.streams, &again.bitmaps, self.words, place, sequence);
        self.again.first().is_some_and(has)
    }

    /// The numbers of a stream of which a copy is missing, ascending. Nothing for a stream that has everything.
    pub fn missing(&self, socket: usize, sender: usize) -> impl Iterator<Item = u32> + '_ {
        // Who has had the last copy has had those before it.
        let (streams, bitmaps) = self.rounds().last().expect("first copies");
        self.missing_of(streams, bitmaps, self.layout.place(socket, sender), sender)
    }

    /// How many copies are missing of a stream.
    pub fn missing_copies(&self, socket: usize, sender: usize) -> u64 {
        let place = self.layout.place(socket, sender);
        let of =
            |(streams, bitmaps)| self.missing_of(streams, bitmaps, place, sender).count() as u64;
        self.rounds().map(of).sum()
    }

    /// The streams of the first copies, the second ones and so on, with their bitmaps.
    fn rounds(&self) -> impl Iterator<Item = (&[Stream], &[u64])> {
        let again = self.again.iter().map(|again| (&*again.streams, &*again.bitmaps));
        std::iter::once((&*self.streams, &*self.bitmaps)).chain(again)
    }

    fn missing_of<'a>(
        &'a self,
        streams: &'a [Stream],
        bitmaps: &'a [u64],
        place: usize,
        sender: usize,
    ) -> impl Iterator<Item = u32> + 'a {
        (streams[place].floor..self.counts[sender])
            .filter(move |&n| !has(streams, bitmaps, self.words, place, n))
    }
}

/// Whether the stream at `place` has a number, or never expected it.
fn has(streams: &[Stream], bitmaps: &[u64], words: usize, place: usize, sequence: u32) -> bool {
    let word = || bitmaps[place * words + sequence as usize / 64];
    sequence < streams[place].floor || word() >> (sequence % 64) & 1 == 1
}

/// What an arrival is to a stream that does not take it as its next one.
#[inline(always)]
fn displaced(stream: &mut Stream, bits: &mut [u64], sequence: u32) -> Classification {
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
    use std::collections::HashMap;
    use std::num::NonZeroU16;

    use proptest::prelude::*;

    use super::*;
    use crate::population::audience::tests::{Naive as NaiveAudience, audiences};
    use crate::population::fan_out::FanOut;
    use crate::population::sockets::Population;

    /// The first sockets of a run in which each hears every sender.
    fn ledger_of(sockets: u32, counts: &[u32]) -> Ledger {
        subscribed(1, sockets, counts)
    }

    /// The same where each message comes so often.
    fn subscribed(subscriptions: u16, sockets: u32, counts: &[u32]) -> Ledger {
        let population = Population::new(1, 0, counts.len() as u32, sockets).unwrap();
        let seats: Vec<_> = (0..sockets).map(|socket| population.id(socket)).collect();
        let audience = Audience::new(population, FanOut::All);
        let subscriptions = NonZeroU16::new(subscriptions).unwrap();
        Ledger::new(&audience.with_subscriptions(subscriptions), &seats, counts)
    }

    /// The obviously correct ledger of one stream: how often each number came.
    #[derive(Default)]
    struct Naive {
        came: HashMap<u32, u32>,
    }

    impl Naive {
        /// A copy came where `most` are expected of each message.
        fn arrive(&mut self, sequence: u32, most: u32) -> Classification {
            let before = self.came.get(&sequence).copied().unwrap_or(0);
            if before == most {
                return Classification::Duplicate;
            }
            // Second copies are held against second copies, and so on.
            let as_often = self.came.iter().filter(|(_, times)| **times > before);
            let behind =
                as_often.map(|(other, _)| other).max().and_then(|most| most.checked_sub(sequence));
            self.came.insert(sequence, before + 1);
            behind.map_or(Classification::InOrder, |behind| Classification::OutOfOrder { behind })
        }

        /// Copies that did not come of number `sequence`.
        fn lacks(&self, sequence: u32, most: u32) -> u32 {
            most - self.came.get(&sequence).copied().unwrap_or(0)
        }
    }

    proptest! {
        #[test]
        fn the_ledger_agrees_with_counting_on_any_arrivals(
            count in 1_u32..300,
            subscriptions in prop_oneof![Just(1_u16), 1_u16..5],
            arrivals in prop::collection::vec((0_usize..2, 0_usize..2, any::<u32>()), 0..900),
        ) {
            let most = u32::from(subscriptions);
            let mut ledger = subscribed(subscriptions, 2, &[count, count]);
            let mut naive: [[Naive; 2]; 2] = Default::default();
            for (socket, sender, raw) in arrivals {
                // Mostly what came lately, so that streams have second copies of much.
                let sequence = if raw % 3 == 0 { raw / 3 % count } else { raw / 3 % count.min(9) };
                let twin = &mut naive[socket][sender];
                prop_assert_eq!(ledger.arrive(socket, sender, sequence), twin.arrive(sequence, most));
                let before = most > 1 && twin.came[&sequence] > 1;
                prop_assert_eq!(ledger.came_before(socket, sender, sequence), before);
            }
            for (socket, row) in naive.iter().enumerate() {
                for (sender, stream) in row.iter().enumerate() {
                    let missing: Vec<_> = ledger.missing(socket, sender).collect();
                    let expected: Vec<_> =
                        (0..count).filter(|&n| stream.lacks(n, most) > 0).collect();
                    prop_assert_eq!(missing, expected);
                    let copies: u32 = (0..count).map(|n| stream.lacks(n, most)).sum();
                    prop_assert_eq!(ledger.missing_copies(socket, sender), u64::from(copies));
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
            subscriptions in prop_oneof![Just(1_u16), 1_u16..4],
            in_order in any::<bool>(),
            arrivals in prop::collection::vec((0_u32..40, 1_u32..9), 0..60),
        ) {
            let ledger = || subscribed(subscriptions, 1, &[48]);
            let (mut at_once, mut singly) = (ledger(), ledger());
            let mut next = 0;
            for (first, many) in arrivals {
                // Else hardly anything would come in order twice.
                let first = if in_order { next } else { first };
                next = (first + many) % 40;
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
        let (counts, most) = (turns.share(messages), naive.subscriptions);
        let mut ledger = Ledger::new(&audience, &seats, &counts);
        let mut streams: HashMap<(usize, u32), Naive> = HashMap::new();
        for (raw, message) in arrivals {
            let (local, (sender, sequence)) =
                (raw as usize % seats.len(), turns.of(message % messages));
            let hears = naive.hears(seats[local].socket, sender);
            let expected = match hears {
                Hearing::Must => {
                    streams.entry((local, sender)).or_default().arrive(sequence as u32, most)
                }
                Hearing::May => Classification::Duplicate,
                Hearing::MustNot => Classification::Misdelivered,
            };
            prop_assert_eq!(ledger.arrive(local, sender as usize, sequence as u32), expected);
            if most == 1 {
                let again = ledger.arrive(local, sender as usize, sequence as u32);
                prop_assert_ne!(again, Classification::InOrder);
                prop_assert_eq!(again == Classification::Misdelivered, hears == Hearing::MustNot);
            }
        }
        let mut missing = 0;
        for (local, seat) in seats.iter().enumerate() {
            let heard: Vec<_> = ledger.heard(local).collect();
            prop_assert!(heard.is_sorted());
            for (sender, &count) in (0..).zip(&counts) {
                let must = naive.hears(seat.socket, sender) == Hearing::Must;
                let lacks = |n| streams.get(&(local, sender)).map_or(most, |s| s.lacks(n, most));
                let lost: Vec<_> = (0..count).filter(|&n| must && lacks(n) > 0).collect();
                let copies: u32 = lost.iter().map(|&n| lacks(n)).sum();
                let found: Vec<_> = ledger.missing(local, sender as usize).collect();
                prop_assert_eq!(&found, &lost);
                prop_assert!(heard.contains(&(sender as usize)) || !must);
                prop_assert_eq!(ledger.missing_copies(local, sender as usize), u64::from(copies));
                missing += copies;
            }
        }
        let left = (0..population.sockets()).filter(|k| k % 2 == 1);
        let expected = audience.without(left).expected(messages);
        let delivered: u32 = streams.values().flat_map(|stream| stream.came.values()).sum();
        prop_assert_eq!(expected, u64::from(delivered + missing), "expected = delivered + missing");
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
    fn a_copy_less_is_missing_and_a_copy_more_is_a_duplicate_where_three_are_expected() {
        let mut ledger = subscribed(3, 1, &[2]);
        for sequence in [0, 0, 1, 1, 1] {
            assert_eq!(ledger.arrive(0, 0, sequence), Classification::InOrder);
        }
        assert_eq!(ledger.arrive(0, 0, 1), Classification::Duplicate);
        assert!(ledger.missing(0, 0).eq([0]));
        assert_eq!(ledger.missing_copies(0, 0), 1);
        // A third copy behind the third of the next message.
        assert_eq!(ledger.arrive(0, 0, 0), Classification::OutOfOrder { behind: 1 });
        assert_eq!((ledger.missing(0, 0).count(), ledger.missing_copies(0, 0)), (0, 0));
        assert_eq!(ledger.bytes(), 3 * ledger_of(1, &[2]).bytes());
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
