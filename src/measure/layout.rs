//! Where the ledger keeps the stream of a socket and a sender.
//!
//! Belongs here: a place for each pair that can exist, and for no other. Does not: what a stream holds
//! (`ledger`), which pairs there are (`population::audience`).
//!
//! Where every socket can hear every sender the place is a product and a sum. Else a socket has a place for
//! each sender of its group and no more: a million sockets and a thousand senders, a thousand in each room,
//! are a million streams and not a thousand million.

use crate::population::audience::Audience;
use crate::population::sockets::SocketId;

/// Places of the streams of one worker's sockets.
#[derive(Debug)]
pub(super) struct Layout {
    /// Of the product and the sum: 0, or beyond all places where that is not how they are found.
    base: usize,
    /// Of the product: the number of senders.
    stride: usize,
    /// Present where not every socket can hear every sender.
    groups: Option<Groups>,
}

/// Beyond all places.
const BEYOND: usize = 1 << 62;

/// The groups of senders, and where the sockets that hear them have their streams.
#[derive(Debug)]
pub(super) struct Groups {
    /// By local index.
    sockets: Vec<Row>,
    /// By sender.
    senders: Vec<Member>,
    /// The senders of each group, ascending, group after group.
    members: Vec<u32>,
    /// Where each group begins in `members`, and the end.
    starts: Vec<u32>,
    /// The place of all pairs that cannot exist: behind those of all others.
    nowhere: usize,
}

/// The streams of one socket.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// Place of the first.
    first: usize,
    /// [`NO_GROUP`] of a socket that hears nobody.
    group: u32,
}

/// A sender's place in its group.
#[derive(Clone, Copy, Debug)]
struct Member {
    group: u32,
    place: u32,
}

/// No sender is in it.
const NO_GROUP: u32 = u32::MAX;

impl Layout {
    /// For these sockets.
    pub(super) fn new(audience: &Audience, seats: &[SocketId]) -> Self {
        let senders = audience.population().push_sockets() as usize;
        if audience.is_undivided() {
            return Self { base: 0, stride: senders, groups: None };
        }
        Self { base: BEYOND, stride: 0, groups: Some(Groups::new(audience, seats)) }
    }

    /// Place of a stream where every socket can hear every sender; elsewhere beyond all places. So the
    /// check of bounds is the only branch that the hot path takes: one more was 0.1 ns of the 1.4 that a
    /// copy in order costs the ledger.
    #[inline(always)]
    pub(super) const fn full_place(&self, socket: usize, sender: usize) -> usize {
        self.base + socket * self.stride + sender
    }

    /// Place of a stream. All pairs that have none share one, for which [`Self::nowhere`] has the number.
    #[inline]
    pub(super) fn place(&self, socket: usize, sender: usize) -> usize {
        match &self.groups {
            None => self.full_place(socket, sender),
            Some(groups) => groups.place(socket, sender),
        }
    }

    /// The place of all pairs that cannot exist, where there are such pairs.
    pub(super) fn nowhere(&self) -> Option<usize> {
        self.groups.as_ref().map(|groups| groups.nowhere)
    }

    /// The senders of which a socket has a stream, ascending.
    pub(super) fn heard(&self, socket: usize) -> impl Iterator<Item = usize> + '_ {
        let members = self.groups.as_ref().map_or(&[][..], |groups| groups.heard(socket));
        // Without groups, all of them.
        (0..self.stride).chain(members.iter().map(|&sender| sender as usize))
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.groups.as_ref().map_or(0, Groups::bytes)
    }
}

impl Groups {
    fn new(audience: &Audience, seats: &[SocketId]) -> Self {
        let group_of = |socket| audience.group(socket).unwrap_or(NO_GROUP);
        let senders = 0..audience.population().push_sockets();
        let mut sizes = vec![0; audience.groups() as usize];
        let member = |sender| {
            let group = group_of(sender);
            let place = sizes[group as usize];
            sizes[group as usize] += 1;
            Member { group, place }
        };
        let senders: Vec<_> = senders.map(member).collect();
        let mut starts = vec![0];
        starts.extend(sizes.iter().scan(0, |sum, size| {
            *sum += size;
            Some(*sum)
        }));
        let mut members = vec![0; senders.len()];
        for (sender, member) in (0..).zip(&senders) {
            members[(starts[member.group as usize] + member.place) as usize] = sender;
        }
        let mut nowhere = 0;
        let row = |seat: &SocketId| {
            let (first, group) = (nowhere, group_of(seat.socket));
            nowhere += sizes.get(group as usize).copied().unwrap_or(0) as usize;
            Row { first, group }
        };
        let sockets = seats.iter().map(row).collect();
        Self { sockets, senders, members, starts, nowhere }
    }

    #[inline]
    fn place(&self, socket: usize, sender: usize) -> usize {
        let (row, member) = (self.sockets[socket], self.senders[sender]);
        if row.group == member.group { row.first + member.place as usize } else { self.nowhere }
    }

    fn heard(&self, socket: usize) -> &[u32] {
        let group = self.sockets[socket].group as usize;
        match self.starts.get(group..=group.saturating_add(1)) {
            Some(&[from, until]) => &self.members[from as usize..until as usize],
            _ => &[],
        }
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.sockets)
            + size_of_val(&*self.senders)
            + size_of_val(&*self.members)
            + size_of_val(&*self.starts)
    }
}
