//! Who must, may and must not hear each message, and how many copies that is: the one answer.
//!
//! Belongs here: rooms, the fan-out within a room, sockets that are left out, and the arithmetic on them.
//! Does not: which sockets there are (`sockets`), counting what came (`measure`).
//!
//! Every socket is in one room, and a push socket publishes into its own. Without rooms all sockets are in
//! the same one. Within a room the fan-out decides.

use std::num::NonZeroU16;
use std::sync::Arc;

use crate::population::fan_out::FanOut;
use crate::population::sockets::{Population, Role};

/// Whether a socket hears the messages of a push socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hearing {
    /// Each of them is expected once for each subscription: a copy that does not come is missing.
    Must,
    /// None of them is expected, and none is misdelivered: the socket was left out.
    May,
    /// A copy is misdelivered.
    MustNot,
}

/// The room of a socket that no push socket publishes into.
const SILENT: u32 = u32::MAX;

/// One room into which messages go.
#[derive(Clone, Copy, Debug, Default)]
struct Room {
    senders: u32,
    /// All its sockets, the senders among them.
    sockets: u32,
    /// Sockets that were left out.
    left_out: u32,
}

/// The audience of every message.
#[derive(Clone, Debug)]
pub struct Audience {
    population: Population,
    fan_out: FanOut,
    /// Room of each socket, by number; `None` where all are in room 0.
    room_of: Option<Arc<[u32]>>,
    /// The rooms that have senders, in the order of their first ones.
    rooms: Arc<[Room]>,
    /// Sockets of which nothing is expected, ascending.
    left_out: Arc<[u32]>,
    /// So often each message comes to a socket that must hear it; at least 1.
    subscriptions: u32,
}

impl Audience {
    /// All sockets are in one room.
    pub fn new(population: Population, fan_out: FanOut) -> Self {
        let (senders, sockets) = (population.push_sockets(), population.sockets());
        let rooms = [Room { senders, sockets, left_out: 0 }].into();
        let left_out = Arc::default();
        Self { population, fan_out, room_of: None, rooms, left_out, subscriptions: 1 }
    }

    /// Socket `k` is in room `rooms[k]`, whatever number that is.
    ///
    /// # Panics
    /// Without a room for each socket.
    pub fn in_rooms(population: Population, fan_out: FanOut, rooms: &[u32]) -> Self {
        assert_eq!(rooms.len(), population.sockets() as usize, "a room for each socket");
        let (senders, _) = rooms.split_at(population.push_sockets() as usize);
        let mut places = std::collections::HashMap::new();
        for &room in senders {
            let next = places.len() as u32;
            places.entry(room).or_insert(next);
        }
        let place = |room| places.get(room).copied().unwrap_or(SILENT);
        let room_of: Arc<[u32]> = rooms.iter().map(place).collect();
        let mut rooms = vec![Room::default(); places.len()];
        for (socket, &room) in (0..).zip(&*room_of) {
            let Some(room) = rooms.get_mut(room as usize) else { continue };
            room.sockets += 1;
            room.senders += u32::from(population.role(socket) == Role::Push);
        }
        let (room_of, rooms) = (Some(room_of), rooms.into());
        let left_out = Arc::default();
        Self { population, fan_out, room_of, rooms, left_out, subscriptions: 1 }
    }

    /// The same where these sockets, too, are left out: nothing is expected of them.
    #[must_use]
    pub fn without(&self, sockets: impl IntoIterator<Item = u32>) -> Self {
        let mut left_out: Vec<u32> = self.left_out.iter().copied().chain(sockets).collect();
        left_out.sort_unstable();
        left_out.dedup();
        let mut rooms = self.rooms.to_vec();
        rooms.iter_mut().for_each(|room| room.left_out = 0);
        for &socket in &left_out {
            if let Some(room) = self.room(socket) {
                rooms[room as usize].left_out += 1;
            }
        }
        Self { rooms: rooms.into(), left_out: left_out.into(), ..self.clone() }
    }

    /// The same when the pushes go to node `push_node` of as many nodes.
    #[must_use]
    pub fn with_push_node(&self, push_node: usize) -> Self {
        Self { population: self.population.with_push_node(push_node), ..self.clone() }
    }

    /// The same where each connection holds so many subscriptions, and hears each message as often.
    #[must_use]
    pub fn with_subscriptions(&self, subscriptions: NonZeroU16) -> Self {
        Self { subscriptions: subscriptions.get().into(), ..self.clone() }
    }

    /// How often each message comes to a socket that must hear it; at least 1.
    pub const fn subscriptions(&self) -> u32 {
        self.subscriptions
    }

    /// The sockets that there are.
    pub const fn population(&self) -> &Population {
        &self.population
    }

    /// Who hears a message within its room.
    pub const fn fan_out(&self) -> FanOut {
        self.fan_out
    }

    /// Sockets of which nothing is expected, ascending.
    pub fn left_out(&self) -> &[u32] {
        &self.left_out
    }

    /// Nothing is expected of the socket.
    pub fn is_left_out(&self, socket: u32) -> bool {
        self.left_out.binary_search(&socket).is_ok()
    }

    /// Whether `socket` hears the messages of push socket `sender`. Nobody else decides that.
    pub fn hears(&self, socket: u32, sender: u32) -> Hearing {
        let same_room = self.room(socket).is_some_and(|room| self.room(sender) == Some(room));
        if !same_room || !self.fan_out.must_hear(socket, sender) {
            Hearing::MustNot
        } else if self.is_left_out(socket) {
            Hearing::May
        } else {
            Hearing::Must
        }
    }

    /// Copies that must come of a message of `sender`: one for each subscription of each socket that must
    /// hear it.
    pub fn copies_of(&self, sender: u32) -> u64 {
        let room = self.room(sender).map(|room| self.rooms[room as usize]).unwrap_or_default();
        let there = u64::from(room.sockets - room.left_out);
        self.fan_out.copies_each(there, !self.is_left_out(sender)) * u64::from(self.subscriptions)
    }

    /// Copies that must come of the first `messages`. Saturates.
    pub fn expected(&self, messages: u64) -> u64 {
        let turns = self.population.turns();
        let of = |sender| turns.share_of(sender, messages).saturating_mul(self.copies_of(sender));
        (0..self.population.push_sockets()).map(of).fold(0, u64::saturating_add)
    }

    /// As few senders as every socket hears one of, of those that hear any: ascending.
    pub fn probers(&self) -> Vec<u32> {
        let senders = 0..self.population.push_sockets();
        let most = match self.fan_out {
            FanOut::All => 1,
            // The first of a room does not hear itself; the second tells it.
            FanOut::Others => 2,
            FanOut::Own => return senders.collect(),
        };
        let mut of_room = vec![0; self.rooms.len()];
        let mut is_next = |sender: &u32| {
            let Some(room) = self.room(*sender) else { return false };
            of_room[room as usize] += 1;
            of_room[room as usize] <= most
        };
        senders.filter(|sender| is_next(sender)).collect()
    }

    /// Whether `socket` hears any sender.
    pub fn hears_any(&self, socket: u32) -> bool {
        let is_sender = self.population.role(socket) == Role::Push;
        let senders = self.room(socket).map_or(0, |room| self.rooms[room as usize].senders);
        match self.fan_out {
            FanOut::All => senders > 0,
            FanOut::Others => senders > u32::from(is_sender),
            FanOut::Own => is_sender,
        }
    }

    /// Every socket can hear every sender, but for itself perhaps.
    pub fn is_undivided(&self) -> bool {
        self.room_of.is_none() && self.fan_out != FanOut::Own
    }

    /// How many groups of senders there are, each heard as a whole: see [`Self::group`].
    pub fn groups(&self) -> u32 {
        match self.fan_out {
            FanOut::All | FanOut::Others => self.rooms.len() as u32,
            FanOut::Own => self.population.push_sockets(),
        }
    }

    /// The group of a socket: those senders that it can hear (among them itself, with
    /// [`FanOut::Others`]), and those alone. `None` of a socket that can hear nobody.
    pub fn group(&self, socket: u32) -> Option<u32> {
        match self.fan_out {
            FanOut::All | FanOut::Others => self.room(socket),
            FanOut::Own => (self.population.role(socket) == Role::Push).then_some(socket),
        }
    }

    /// Pairs of a socket and a sender of its group, once for each subscription: so many streams can there be.
    pub fn streams(&self) -> u64 {
        let pairs: u64 = match self.fan_out {
            FanOut::All | FanOut::Others => self
                .rooms
                .iter()
                .map(|room| u64::from(room.sockets) * u64::from(room.senders))
                .sum(),
            FanOut::Own => self.population.push_sockets().into(),
        };
        pairs.saturating_mul(self.subscriptions.into())
    }

    fn room(&self, socket: u32) -> Option<u32> {
        match &self.room_of {
            None => Some(0),
            Some(room_of) => room_of.get(socket as usize).copied().filter(|&room| room != SILENT),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use crate::population::audience::*;

    /// The obviously correct audience: it looks at every pair.
    #[derive(Clone, Debug)]
    pub(crate) struct Naive {
        pub(crate) population: Population,
        fan_out: FanOut,
        rooms: Vec<u32>,
        left_out: BTreeSet<u32>,
        /// So often each message comes to a socket.
        pub(crate) subscriptions: u32,
    }

    impl Naive {
        pub(crate) fn hears(&self, socket: u32, sender: u32) -> Hearing {
            let same_room = self.rooms[socket as usize] == self.rooms[sender as usize];
            let wanted = match self.fan_out {
                FanOut::All => same_room,
                FanOut::Others => same_room && socket != sender,
                FanOut::Own => socket == sender,
            };
            match (wanted, self.left_out.contains(&socket)) {
                (false, _) => Hearing::MustNot,
                (true, true) => Hearing::May,
                (true, false) => Hearing::Must,
            }
        }

        fn sockets(&self) -> std::ops::Range<u32> {
            0..self.rooms.len() as u32
        }

        fn senders(&self) -> std::ops::Range<u32> {
            0..self.population.push_sockets()
        }

        pub(crate) fn must_hear(&self, sender: u32) -> u64 {
            let hears = |&socket: &u32| self.hears(socket, sender) == Hearing::Must;
            self.sockets().filter(hears).count() as u64
        }
    }

    /// A population in up to four rooms, or without rooms, and the twin of its audience.
    pub(crate) fn audiences() -> impl Strategy<Value = (Audience, Naive)> {
        let fan_out = prop_oneof![Just(FanOut::All), Just(FanOut::Others), Just(FanOut::Own)];
        let left_out = prop::collection::vec(any::<u32>(), 0..4);
        let rooms = prop::collection::vec(0_u32..4, 9 + 4 * 5);
        let parts = (1_usize..5, 0_usize..4, 1_u32..10, 0_u32..6, fan_out, any::<bool>());
        let made = (parts, rooms, left_out, prop_oneof![Just(1_u16), 1_u16..5]);
        made.prop_map(|(parts, mut rooms, left_out, subscriptions)| {
            let (nodes, push_node, push, receivers, fan_out, one) = parts;
            let push_node = push_node % nodes;
            let population = Population::new(nodes, push_node, push, receivers).unwrap();
            let sockets = population.sockets();
            rooms.truncate(sockets as usize);
            let audience = if one {
                rooms.fill(7);
                Audience::new(population, fan_out)
            } else {
                Audience::in_rooms(population, fan_out, &rooms)
            };
            let left_out: BTreeSet<u32> = left_out.iter().map(|raw| raw % sockets).collect();
            // In two steps, as sockets are lost.
            let (first, then): (Vec<u32>, Vec<u32>) = left_out.iter().partition(|&&k| k % 2 == 0);
            let audience = audience.without(first.clone()).without(then).without(first);
            let audience = audience.with_subscriptions(NonZeroU16::new(subscriptions).unwrap());
            let subscriptions = subscriptions.into();
            (audience, Naive { population, fan_out, rooms, left_out, subscriptions })
        })
    }

    proptest! {
        #[test]
        fn the_audience_says_what_looking_at_every_pair_finds(
            (audience, naive) in audiences(),
            messages in 0_u64..40,
        ) {
            for (socket, sender) in
                naive.sockets().flat_map(|socket| naive.senders().map(move |k| (socket, k)))
            {
                prop_assert_eq!(audience.hears(socket, sender), naive.hears(socket, sender));
            }
            for sender in naive.senders() {
                let copies = naive.must_hear(sender) * u64::from(naive.subscriptions);
                prop_assert_eq!(audience.copies_of(sender), copies);
            }
            let expected: u64 = (0..messages)
                .map(|message| naive.must_hear(message as u32 % naive.population.push_sockets()))
                .sum();
            let expected = expected * u64::from(naive.subscriptions);
            prop_assert_eq!(audience.expected(messages), expected);
            let left_out: Vec<_> = naive.left_out.iter().copied().collect();
            prop_assert_eq!(audience.left_out(), left_out);
        }

        #[test]
        fn groups_hold_every_pair_that_can_exist_and_no_pair_of_two_rooms(
            (audience, naive) in audiences(),
        ) {
            let mut streams = 0;
            for socket in naive.sockets() {
                let group = audience.group(socket);
                prop_assert!(group.is_none_or(|group| group < audience.groups()));
                for sender in naive.senders() {
                    let paired = group.is_some() && group == audience.group(sender);
                    streams += u64::from(paired);
                    let itself = naive.fan_out == FanOut::Others && socket == sender;
                    let exists = naive.hears(socket, sender) != Hearing::MustNot;
                    prop_assert_eq!(paired, exists || itself);
                }
            }
            let each = u64::from(naive.subscriptions);
            prop_assert_eq!(audience.streams(), streams * each);
            if audience.is_undivided() {
                let all = u64::from(naive.population.sockets());
                prop_assert_eq!(streams, all * u64::from(naive.population.push_sockets()));
            }
        }

        #[test]
        fn every_socket_that_hears_anyone_hears_a_prober((audience, naive) in audiences()) {
            let probers = audience.probers();
            prop_assert!(probers.is_sorted());
            for socket in naive.sockets() {
                let hears = |&sender: &u32| naive.hears(socket, sender) != Hearing::MustNot;
                let any = naive.senders().any(|sender| hears(&sender));
                prop_assert_eq!(audience.hears_any(socket), any);
                prop_assert_eq!(probers.iter().any(hears), any);
            }
            // One fewer would not do, but where the first sender of a room has a second for itself alone.
            for &prober in &probers {
                let needed = naive.sockets().any(|socket| {
                    let hears = |sender| naive.hears(socket, sender) != Hearing::MustNot;
                    hears(prober) && !probers.iter().any(|&other| other != prober && hears(other))
                });
                let alone = naive.fan_out == FanOut::Others && naive.must_hear(prober) == 0;
                let left_out = !naive.left_out.is_empty();
                prop_assert!(needed || alone || left_out, "prober {} is not needed", prober);
            }
        }
    }

    #[test]
    fn one_room_of_all_numbers_is_no_rooms() {
        let population = Population::new(3, 1, 3, 1).unwrap();
        for (fan_out, copies) in [(FanOut::All, 6), (FanOut::Others, 5), (FanOut::Own, 1)] {
            let audiences = [
                Audience::new(population, fan_out),
                Audience::in_rooms(population, fan_out, &[9; 6]),
            ];
            for audience in audiences {
                assert_eq!(audience.expected(10), 10 * copies, "{fan_out:?}");
                let without = audience.without([5]);
                let lost = u64::from(fan_out != FanOut::Own);
                assert_eq!(without.expected(10), 10 * (copies - lost), "{fan_out:?}");
            }
        }
    }
}
