//! Which sockets there are, in which roles, and to which nodes.
//!
//! Belongs here: numbering and counting them. Does not: who hears whom (`audience`), which worker holds
//! a socket (`engine::spread`).
//!
//! Sockets are numbered over the run: push sockets first, all of them to the push node; then receive
//! sockets, node by node in turn.

use crate::population::turns::Turns;

/// What a socket is there for. Sockets of both roles receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It sends messages.
    Push,
    /// It only listens.
    Receive,
}

/// A socket: its number over the run, and its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketId {
    /// Number of the socket over the whole run: push sockets first.
    pub socket: u32,
    /// Index of its node in the plan.
    pub node: u32,
}

/// More sockets than 32 bits can number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManySockets(pub u64);

/// All sockets of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Population {
    nodes: u32,
    push_node: u32,
    push_sockets: u32,
    receivers_per_node: u32,
}

impl Population {
    /// `push_sockets` to node `push_node` and `receivers_per_node` to each of the `nodes`.
    ///
    /// # Errors
    /// When that makes more sockets than can be numbered.
    ///
    /// # Panics
    /// Without a push socket, or with a push node that is none of the nodes.
    pub fn new(
        nodes: usize,
        push_node: usize,
        push_sockets: u32,
        receivers_per_node: u32,
    ) -> Result<Self, TooManySockets> {
        assert!(push_sockets > 0, "no push socket");
        assert!(push_node < nodes, "push node {push_node} of {nodes}");
        let receivers = (nodes as u64).saturating_mul(receivers_per_node.into());
        let sockets = receivers.saturating_add(push_sockets.into());
        match u32::try_from(nodes) {
            Ok(nodes) if sockets <= u32::MAX.into() => {
                Ok(Self { nodes, push_node: push_node as u32, push_sockets, receivers_per_node })
            }
            _ => Err(TooManySockets(sockets)),
        }
    }

    /// The same when the pushes go to node `push_node` of as many nodes.
    ///
    /// # Panics
    /// With a push node that is none of the nodes.
    #[must_use]
    pub fn with_push_node(self, push_node: usize) -> Self {
        assert!(push_node < self.nodes as usize, "push node {push_node} of {}", self.nodes);
        Self { push_node: push_node as u32, ..self }
    }

    /// How many nodes there are.
    pub const fn nodes(&self) -> u32 {
        self.nodes
    }

    /// The push sockets: they are the sockets from 0 on. At least 1.
    pub const fn push_sockets(&self) -> u32 {
        self.push_sockets
    }

    /// Receive sockets to each node. May be 0: then only the push sockets receive.
    pub const fn receivers_per_node(&self) -> u32 {
        self.receivers_per_node
    }

    /// Receive sockets over all nodes.
    pub const fn receive_sockets(&self) -> u32 {
        self.nodes * self.receivers_per_node
    }

    /// All sockets: push and receive.
    pub const fn sockets(&self) -> u32 {
        self.push_sockets + self.receive_sockets()
    }

    /// Index of the node that takes every push.
    pub const fn push_node(&self) -> u32 {
        self.push_node
    }

    /// Sockets to one node.
    pub fn sockets_to(&self, node: u32) -> u32 {
        let pushing = if node == self.push_node { self.push_sockets } else { 0 };
        pushing + self.receivers_per_node
    }

    /// What a socket is there for.
    pub const fn role(&self, socket: u32) -> Role {
        if socket < self.push_sockets { Role::Push } else { Role::Receive }
    }

    /// A socket with its node.
    pub const fn id(&self, socket: u32) -> SocketId {
        let node = match socket.checked_sub(self.push_sockets) {
            None => self.push_node,
            Some(receiver) => receiver % self.nodes,
        };
        SocketId { socket, node }
    }

    /// Every socket of a role, in the order of their numbers.
    pub fn of_role(&self, role: Role) -> impl Iterator<Item = SocketId> + use<> {
        let all = *self;
        let numbers = match role {
            Role::Push => 0..all.push_sockets,
            Role::Receive => all.push_sockets..all.sockets(),
        };
        numbers.map(move |socket| all.id(socket))
    }

    /// A socket's place among those of its node, counted from 0 in the order of their numbers.
    pub fn place_at_node(&self, socket: u32) -> u32 {
        let Some(receiver) = socket.checked_sub(self.push_sockets) else { return socket };
        let pushing = if self.id(socket).node == self.push_node { self.push_sockets } else { 0 };
        receiver / self.nodes + pushing
    }

    /// Which push socket sends which message.
    pub const fn turns(&self) -> Turns {
        Turns::new(self.push_sockets)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::population::sockets::*;

    proptest! {
        #[test]
        fn counts_and_places_are_what_listing_all_sockets_finds(
            nodes in 1_usize..6, push_node in 0_usize..6, push in 1_u32..9, receivers in 0_u32..9,
        ) {
            let push_node = push_node % nodes;
            let population = Population::new(nodes, push_node, push, receivers).unwrap();
            // The naive twin opens them one after another.
            let mut listed: Vec<(Role, usize)> = vec![(Role::Push, push_node); push as usize];
            for _ in 0..receivers {
                listed.extend((0..nodes).map(|node| (Role::Receive, node)));
            }
            prop_assert_eq!(population.sockets() as usize, listed.len());
            let mut at_node = vec![0; nodes];
            for (socket, &(role, node)) in (0..).zip(&listed) {
                prop_assert_eq!(population.id(socket), SocketId { socket, node: node as u32 });
                prop_assert_eq!(population.role(socket), role);
                prop_assert_eq!(population.place_at_node(socket), at_node[node]);
                at_node[node] += 1;
            }
            for (node, &count) in (0..).zip(&at_node) {
                prop_assert_eq!(population.sockets_to(node), count);
            }
            for role in [Role::Push, Role::Receive] {
                let numbers = population.of_role(role).map(|id| id.socket);
                let of_role = (0..).zip(&listed).filter(|(_, listed)| listed.0 == role);
                prop_assert!(numbers.eq(of_role.map(|(socket, _)| socket)));
            }
        }
    }

    #[test]
    fn more_sockets_than_32_bits_can_number_are_refused() {
        assert!(Population::new(3, 0, 3, u32::MAX / 3 - 1).is_ok());
        assert_eq!(Population::new(3, 0, 1, u32::MAX / 3), Err(TooManySockets(1 << 32)));
        assert_eq!(Population::new(9, 0, 1, u32::MAX), Err(TooManySockets(9 * 0xffff_ffff + 1)));
    }
}
