//! Whose turn it is: which push socket sends message `i` of a trial.
//!
//! Belongs here: the one rule, and its inverse. Does not: when a message is due (`load`).

/// Messages go round the push sockets: message `i` is number `i / senders` of sender `i % senders`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turns {
    senders: u64,
}

impl Turns {
    /// Over so many senders, at least 1.
    pub const fn new(senders: u32) -> Self {
        Self { senders: senders as u64 }
    }

    /// Sender of message `i`, and its number there.
    pub const fn of(self, message: u64) -> (u32, u64) {
        ((message % self.senders) as u32, message / self.senders)
    }

    /// How many of the first `messages` each sender sends.
    pub fn share(self, messages: u64) -> Vec<u32> {
        (0..self.senders).map(|sender| self.share_of(sender as u32, messages) as u32).collect()
    }

    /// How many of the first `messages` one sender sends.
    pub const fn share_of(self, sender: u32, messages: u64) -> u64 {
        let (rounds, rest) = (messages / self.senders, messages % self.senders);
        rounds + ((sender as u64) < rest) as u64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::population::turns::*;

    proptest! {
        #[test]
        fn the_shares_are_what_counting_turns_finds(messages in 0_u64..5_000, senders in 1_u32..70) {
            let turns = Turns::new(senders);
            let mut counted = vec![0; senders as usize];
            for message in 0..messages {
                let (sender, sequence) = turns.of(message);
                prop_assert_eq!(u64::from(counted[sender as usize]), sequence, "in order, without a gap");
                counted[sender as usize] += 1;
            }
            prop_assert_eq!(turns.share(messages), counted);
        }
    }
}
