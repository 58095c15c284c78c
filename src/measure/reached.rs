//! Which node took each socket behind an address, as the answers to the upgrades name it.
//!
//! Belongs here: counting, and what counts as a node of its own in a trial. Does not: the header
//! (`plan::upgrade_options`), reading it (`engine`).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::plan::memory::FURTHER_PLACES_MAX;
use crate::population::sockets::{Population, Role, SocketId};

/// Names of one worker that are kept: a header that differs from socket to socket names no nodes.
const NAMES_MAX: usize = 1_000;

/// In place of further names.
const OTHERS: &str = "(others)";

/// Characters of a name that are kept.
const NAME_CHARS_MAX: usize = 100;

/// Sockets to a node of the plan, by the name that answered.
#[derive(Clone, Debug, Default)]
pub struct ReachedBy {
    seats: BTreeMap<(u32, Option<String>), Vec<u32>>,
}

/// Sockets to one node of the plan that one name took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Index of the node that they were to.
    pub node: usize,
    /// Who took them; `None` where the answer did not say.
    pub name: Option<String>,
    /// How many.
    pub sockets: u64,
    /// Those of them that push.
    pub push_sockets: u64,
}

impl ReachedBy {
    /// An answer came.
    pub fn note(&mut self, seat: SocketId, name: Option<String>) {
        let name = name.map(|name| name.chars().take(NAME_CHARS_MAX).collect());
        let mut key = (seat.node, name);
        if self.seats.len() >= NAMES_MAX && !self.seats.contains_key(&key) {
            key.1 = Some(OTHERS.to_owned());
        }
        self.seats.entry(key).or_default().push(seat.socket);
    }

    /// Over all workers.
    pub fn merged<'r>(
        shares: impl Iterator<Item = &'r Self>,
        population: &Population,
    ) -> Vec<Reached> {
        let mut all: BTreeMap<(u32, Option<&str>), Vec<u32>> = BTreeMap::new();
        for ((node, name), sockets) in shares.flat_map(|share| &share.seats) {
            all.entry((*node, name.as_deref())).or_default().extend(sockets);
        }
        let reached = |((node, name), sockets): ((u32, Option<&str>), Vec<u32>)| Reached {
            node: node as usize,
            name: name.map(str::to_owned),
            sockets: sockets.len() as u64,
            push_sockets: sockets
                .iter()
                .filter(|&&socket| population.role(socket) == Role::Push)
                .count() as u64,
        };
        all.into_iter().map(reached).collect()
    }
}

/// Who took each socket when it was connected last.
#[derive(Clone, Debug)]
pub struct Takers {
    /// Each with a number.
    names: BTreeMap<(u32, Option<String>), u32>,
    /// By socket, the number of its name; none of a socket that nobody has taken.
    of_socket: Vec<Option<u32>>,
}

/// The nodes of a trial where a header names them, and which of them has each socket: behind one address
/// may be many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    all: Vec<Reached>,
    of_socket: Vec<u32>,
}

impl Takers {
    /// Nobody has taken a socket so far.
    pub fn new(population: &Population) -> Self {
        Self { names: BTreeMap::new(), of_socket: vec![None; population.sockets() as usize] }
    }

    /// Further sockets were taken, or the same ones anew.
    pub fn note(&mut self, reached: &ReachedBy) {
        for (key, sockets) in &reached.seats {
            let next = self.names.len() as u32;
            let name = *self.names.entry(key.clone()).or_insert(next);
            for &socket in sockets {
                self.of_socket[socket as usize] = Some(name);
            }
        }
    }

    /// The nodes of a trial without the sockets `left_out`. Each address has at least one, and those behind it
    /// that took the fewest sockets share one where there are too many.
    pub fn places(&self, population: &Population, left_out: &[u32]) -> Places {
        let left_out: BTreeSet<u32> = left_out.iter().copied().collect();
        let mut names = vec![(0, None); self.names.len()];
        for ((node, name), &number) in &self.names {
            names[number as usize] = (*node, name.as_deref());
        }
        let name_of = |socket: u32| {
            let name = self.of_socket[socket as usize].filter(|_| !left_out.contains(&socket))?;
            Some(names[name as usize])
        };
        let sockets = 0..population.sockets();
        let mut taken: BTreeMap<Name<'_>, u64> = BTreeMap::new();
        for name in sockets.clone().filter_map(name_of) {
            *taken.entry(name).or_default() += 1;
        }
        let addresses: BTreeSet<u32> = taken.keys().map(|(node, _)| *node).collect();
        let own = with_a_place(&taken, addresses.len());
        let mut keys: BTreeSet<_> = taken.keys().map(|name| place_of(*name, &own)).collect();
        let untaken = (0..population.nodes()).filter(|node| !addresses.contains(node));
        keys.extend(untaken.map(|node| (node, None)));
        let keys: Vec<_> = keys.into_iter().collect();
        let at = |key: Name<'_>| keys.partition_point(|other| *other < key);
        let place = |socket: u32| match name_of(socket) {
            Some(name) => at(place_of(name, &own)),
            // Nothing is expected of it.
            None => at((population.id(socket).node, None)),
        };
        let of_socket: Vec<u32> = sockets.map(|socket| place(socket) as u32).collect();
        let mut all: Vec<_> =
            keys.iter().map(|(node, name)| Reached::nobody(*node, *name)).collect();
        for (socket, &place) in
            (0..).zip(&of_socket).filter(|(socket, _)| !left_out.contains(socket))
        {
            all[place as usize].count(population.role(socket));
        }
        Places { all, of_socket }
    }
}

/// Node of the plan, and who answered behind it.
type Name<'n> = (u32, Option<&'n str>);

/// The names that have a place for themselves: all, or those that took most sockets.
fn with_a_place<'n>(taken: &BTreeMap<Name<'n>, u64>, addresses: usize) -> BTreeSet<Name<'n>> {
    let fit = taken.len() <= addresses + FURTHER_PLACES_MAX;
    let mut most_first: Vec<_> = taken.iter().collect();
    most_first.sort_by_key(|(name, sockets)| (Reverse(**sockets), **name));
    let places = if fit { taken.len() } else { FURTHER_PLACES_MAX };
    most_first.into_iter().take(places).map(|(name, _)| *name).collect()
}

fn place_of<'n>(name: Name<'n>, own: &BTreeSet<Name<'n>>) -> Name<'n> {
    if own.contains(&name) { name } else { (name.0, Some(OTHERS)) }
}

impl Reached {
    fn nobody(node: u32, name: Option<&str>) -> Self {
        Self { node: node as usize, name: name.map(str::to_owned), sockets: 0, push_sockets: 0 }
    }

    fn count(&mut self, role: Role) {
        self.sockets += 1;
        self.push_sockets += u64::from(role == Role::Push);
    }
}

impl Places {
    /// All of them, by the nodes of the plan.
    pub fn all(&self) -> &[Reached] {
        &self.all
    }

    /// Index of the one that has a socket.
    pub fn of(&self, socket: u32) -> usize {
        self.of_socket[socket as usize] as usize
    }

    /// Who has a socket, where that is known.
    pub fn name(&self, socket: u32) -> Option<&str> {
        self.all[self.of(socket)].name.as_deref()
    }
}

/// The name of the node that has a socket, where a header told it.
pub(super) fn who_took(places: Option<&Places>, socket: u32) -> Option<String> {
    places.and_then(|places| places.name(socket)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_socket_is_counted_once_under_the_name_that_took_it() {
        let population = Population::new(2, 1, 3, 4).unwrap();
        let mut workers = [ReachedBy::default(), ReachedBy::default()];
        for socket in 0..11 {
            let name = (socket % 3 != 2).then(|| format!("n{}", socket % 3));
            workers[socket as usize % 2].note(population.id(socket), name);
        }
        let merged = ReachedBy::merged(workers.iter(), &population);
        assert_eq!(merged.iter().map(|reached| reached.sockets).sum::<u64>(), 11);
        assert_eq!(merged.iter().map(|reached| reached.push_sockets).sum::<u64>(), 3);
        for reached in merged {
            let is_it = |socket: &u32| {
                let name = (socket % 3 != 2).then(|| format!("n{}", socket % 3));
                population.id(*socket).node as usize == reached.node && name == reached.name
            };
            assert_eq!((0..11).filter(is_it).count() as u64, reached.sockets, "{reached:?}");
        }
    }

    proptest! {
        /// The twin looks for each socket's own name, and for how many others have it.
        #[test]
        fn each_socket_counts_where_it_was_taken_last_and_those_of_many_names_share_a_place(
            nodes in 1_usize..4,
            receivers in 0_u32..60,
            names in prop_oneof![1_u32..5, Just(200)],
            again in prop::collection::vec((any::<prop::sample::Index>(), 0_u32..5), 0..8),
            gone in prop::collection::btree_set(0_u32..60, 0..9),
        ) {
            let population = Population::new(nodes, 0, 2, receivers).unwrap();
            let sockets = population.sockets();
            let gone: Vec<u32> = gone.into_iter().filter(|socket| *socket < sockets).collect();
            let name = |number: u32| (number > 0).then(|| format!("n{number}"));
            let mut last: Vec<_> = (0..sockets).map(|socket| name(socket % names)).collect();
            let mut takers = Takers::new(&population);
            let mut shares = [ReachedBy::default(), ReachedBy::default(), ReachedBy::default()];
            for socket in 0..sockets {
                shares[socket as usize % 2].note(population.id(socket), last[socket as usize].clone());
            }
            for (at, number) in again {
                let socket = at.index(sockets as usize) as u32;
                shares[2] = ReachedBy::default();
                shares[2].note(population.id(socket), name(number));
                last[socket as usize] = name(number);
                takers.note(&shares[0]);
                takers.note(&shares[1]);
                shares[..2].iter_mut().for_each(|share| *share = ReachedBy::default());
                takers.note(&shares[2]);
            }
            takers.note(&shares[0]);
            takers.note(&shares[1]);
            let places = takers.places(&population, &gone);
            prop_assert!(places.all().len() <= nodes + FURTHER_PLACES_MAX);
            let node = |socket| population.id(socket).node as usize;
            let there = |socket: &u32| !gone.contains(socket);
            for socket in 0..sockets {
                prop_assert_eq!(places.all()[places.of(socket)].node, node(socket));
            }
            let mut own: Vec<_> =
                (0..sockets).filter(there).map(|socket| (node(socket), &last[socket as usize])).collect();
            own.sort();
            own.dedup();
            let fit = own.len() <= nodes + FURTHER_PLACES_MAX;
            for socket in (0..sockets).filter(there) {
                let name = places.name(socket);
                prop_assert!(name == last[socket as usize].as_deref() || (!fit && name == Some(OTHERS)));
                let place = &places.all()[places.of(socket)];
                let beside: Vec<_> = (0..sockets).filter(there).filter(|other| places.of(*other) == places.of(socket)).collect();
                prop_assert_eq!(place.sockets, beside.len() as u64);
                prop_assert_eq!(place.push_sockets, beside.iter().filter(|other| **other < 2).count() as u64);
                if fit {
                    let same = |other: &u32| node(*other) == node(socket) && last[*other as usize] == last[socket as usize];
                    prop_assert_eq!(beside, (0..sockets).filter(there).filter(same).collect::<Vec<_>>());
                }
            }
        }
    }

    #[test]
    fn a_header_that_differs_from_socket_to_socket_takes_bounded_memory() {
        let mut worker = ReachedBy::default();
        for socket in 0..5_000 {
            worker
                .note(SocketId { socket, node: 0 }, Some(format!("{socket}{}", "x".repeat(5_000))));
        }
        assert_eq!(worker.seats.len(), NAMES_MAX + 1);
        assert!(
            worker.seats.keys().all(|(_, name)| name.as_ref().unwrap().len() <= NAME_CHARS_MAX)
        );
        assert_eq!(worker.seats.values().map(Vec::len).sum::<usize>(), 5_000);
    }
}
