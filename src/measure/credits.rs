//! Which push sockets have got their own messages back: what a window opens on.
//!
//! Belongs here: counting. Does not: what a sender may do then (`engine`).

/// Own copies of each local push socket, and where there are new ones. Allocates nothing after
/// [`Answers::new`].
#[derive(Debug)]
pub struct Answers {
    counts: Vec<u32>,
    fresh: Vec<u32>,
    is_fresh: Vec<bool>,
}

impl Answers {
    /// For so many local sockets.
    pub fn new(sockets: usize) -> Self {
        Self {
            counts: vec![0; sockets],
            fresh: Vec::with_capacity(sockets),
            is_fresh: vec![false; sockets],
        }
    }

    /// A message of local socket `local` came back to it.
    pub fn note(&mut self, local: u32) {
        self.counts[local as usize] += 1;
        if !std::mem::replace(&mut self.is_fresh[local as usize], true) {
            self.fresh.push(local);
        }
    }

    /// A socket with answers since it was taken last, and how many it has got in all.
    pub fn take(&mut self) -> Option<(u32, u32)> {
        let local = self.fresh.pop()?;
        self.is_fresh[local as usize] = false;
        Some((local, self.counts[local as usize]))
    }
}

#[cfg(test)]
mod tests {
    use crate::measure::credits::*;

    #[test]
    fn a_socket_is_named_once_for_all_of_its_new_answers() {
        let mut answers = Answers::new(3);
        [2, 0, 2, 2].iter().for_each(|&local| answers.note(local));
        let mut taken: Vec<_> = std::iter::from_fn(|| answers.take()).collect();
        taken.sort_unstable();
        assert_eq!(taken, [(0, 1), (2, 3)]);
        answers.note(2);
        assert_eq!((answers.take(), answers.take()), (Some((2, 4)), None));
    }
}
