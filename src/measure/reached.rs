//! Which node took each socket behind an address, as the answers to the upgrades name it.
//!
//! Belongs here: counting. Does not: the header (`plan::upgrade_options`), reading it (`engine`).

use std::collections::BTreeMap;

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

#[cfg(test)]
mod tests {
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
