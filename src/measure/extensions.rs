//! What sockets and nodes have agreed on in their upgrades.
//!
//! Belongs here: counting. Does not: what may be agreed (`wire::deflate`).

use std::collections::BTreeMap;

use crate::wire::deflate::Agreed;

/// Upgrades of one worker, or of all, by node: with compression in which way, or without.
#[derive(Clone, Debug, Default)]
pub struct ExtensionsBy(BTreeMap<(u32, Option<Agreed>), u64>);

/// Sockets to one node that agreed on the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extensions {
    /// Index of the node.
    pub node: usize,
    /// `None` where the node took the socket without compression.
    pub agreed: Option<Agreed>,
    /// How many.
    pub sockets: u64,
}

impl ExtensionsBy {
    /// A node has taken a socket that offered compression.
    pub fn note(&mut self, node: u32, agreed: Option<Agreed>) {
        *self.0.entry((node, agreed)).or_default() += 1;
    }

    /// Over all workers, by node.
    pub fn merged<'s>(shares: impl Iterator<Item = &'s Self>) -> Vec<Extensions> {
        let mut all = BTreeMap::new();
        for (key, sockets) in shares.flat_map(|share| &share.0) {
            *all.entry(*key).or_default() += sockets;
        }
        let extensions = |((node, agreed), sockets): ((u32, _), u64)| Extensions {
            node: node as usize,
            agreed,
            sockets,
        };
        all.into_iter().map(extensions).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upgrades_of_all_workers_add_up_by_node_and_parameters() {
        let agreed = |server_bits| {
            let (server_no_takeover, client_no_takeover) = (true, true);
            Some(Agreed { server_no_takeover, client_no_takeover, server_bits, client_bits: 15 })
        };
        let (mut one, mut other) = (ExtensionsBy::default(), ExtensionsBy::default());
        one.note(1, agreed(10));
        one.note(0, None);
        other.note(1, agreed(10));
        other.note(1, agreed(15));
        let all = ExtensionsBy::merged([one, other].iter());
        let counted: Vec<_> = all.iter().map(|e| (e.node, e.agreed, e.sockets)).collect();
        assert_eq!(counted, [(0, None, 1), (1, agreed(10), 2), (1, agreed(15), 1)]);
    }
}
