//! What sockets and nodes have settled on in their TLS handshakes.
//!
//! Belongs here: counting. Does not: the handshake (`engine::connection::transport`).

use std::collections::BTreeMap;

/// What one handshake came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// `TLS 1.3`.
    pub version: &'static str,
    /// As the register of the IANA spells it.
    pub suite: &'static str,
    /// It goes on with the keys of an earlier one.
    pub is_resumed: bool,
}

/// Handshakes of one worker, or of all.
#[derive(Clone, Debug, Default)]
pub struct SessionsBy(BTreeMap<(u32, &'static str, &'static str), Counts>);

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    all: u64,
    resumed: u64,
}

/// Handshakes with one node that came to the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sessions {
    /// Index of the node.
    pub node: usize,
    /// See [`Session::version`].
    pub version: &'static str,
    /// See [`Session::suite`].
    pub suite: &'static str,
    /// How many.
    pub handshakes: u64,
    /// Those of them that went on with an earlier one.
    pub resumed: u64,
}

impl SessionsBy {
    /// A handshake with this node is over.
    pub fn note(&mut self, node: u32, session: Session) {
        let counts = self.0.entry((node, session.version, session.suite)).or_default();
        counts.all += 1;
        counts.resumed += u64::from(session.is_resumed);
    }

    /// Over all workers, by node.
    pub fn merged<'s>(shares: impl Iterator<Item = &'s Self>) -> Vec<Sessions> {
        let mut all = Self::default();
        for (key, counts) in shares.flat_map(|share| &share.0) {
            let sum = all.0.entry(*key).or_default();
            sum.all += counts.all;
            sum.resumed += counts.resumed;
        }
        let sessions = |((node, version, suite), counts): ((u32, _, _), Counts)| Sessions {
            node: node as usize,
            version,
            suite,
            handshakes: counts.all,
            resumed: counts.resumed,
        };
        all.0.into_iter().map(sessions).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handshakes_of_all_workers_add_up_by_node_version_and_suite() {
        let session = |suite, is_resumed| Session { version: "TLS 1.3", suite, is_resumed };
        let (mut one, mut other) = (SessionsBy::default(), SessionsBy::default());
        one.note(1, session("A", false));
        one.note(0, session("A", true));
        other.note(1, session("A", true));
        other.note(1, session("B", false));
        let all = SessionsBy::merged([one, other].iter());
        let counted: Vec<_> =
            all.iter().map(|s| (s.node, s.suite, s.handshakes, s.resumed)).collect();
        assert_eq!(counted, [(0, "A", 1, 1), (1, "A", 2, 1), (1, "B", 1, 0)]);
    }
}
