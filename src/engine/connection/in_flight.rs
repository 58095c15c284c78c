//! The send that the kernel has of a connection, in bytes on the wire.
//!
//! Belongs here: how much of it the kernel has taken: the one account of partial sends. Does not: the
//! buffer, which the ring owns meanwhile, and which messages lie in those bytes (`worker::trial`).

use std::ops::Range;

/// What a send carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Cargo {
    /// Upgrade request or control frame, in a buffer of the outbox.
    Control,
    /// Bytes of the transport itself.
    Transport,
    /// Messages, in a buffer of the script.
    Messages,
}

/// The send in flight, if there is one.
#[derive(Debug)]
pub(in crate::engine) struct InFlightSend {
    cargo: Option<Cargo>,
    /// All of it.
    len: u32,
    /// What the kernel has taken.
    taken: u32,
    /// Where in its buffer it begins.
    start: usize,
}

/// What a completed send leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Left {
    /// This part of the buffer is still to be sent.
    Part(Range<usize>),
    /// Nothing: all of it is on the wire.
    Nothing(Cargo),
}

impl InFlightSend {
    /// Nothing is in flight.
    pub(in crate::engine) const NONE: Self = Self { cargo: None, len: 0, taken: 0, start: 0 };

    /// `part` of a buffer goes to the kernel.
    pub(in crate::engine) fn new(cargo: Cargo, part: &Range<usize>) -> Self {
        let len = u32::try_from(part.len()).expect("one send carries less than 4 GiB");
        Self { cargo: Some(cargo), len, taken: 0, start: part.start }
    }

    #[inline]
    pub(in crate::engine) const fn is_none(&self) -> bool {
        self.cargo.is_none()
    }

    /// The transport's own bytes are.
    pub(in crate::engine) const fn is_transports(&self) -> bool {
        matches!(self.cargo, Some(Cargo::Transport))
    }

    /// The kernel has taken so many more bytes. `None` where nothing is in flight.
    pub(in crate::engine) fn took(&mut self, bytes: usize) -> Option<Left> {
        let cargo = self.cargo?;
        let left = self.len - self.taken;
        assert!(bytes <= left as usize, "the kernel took {bytes} of {left} bytes");
        self.taken += bytes as u32;
        if self.taken == self.len {
            *self = Self::NONE;
            return Some(Left::Nothing(cargo));
        }
        let end = self.start + self.len as usize;
        Some(Left::Part(self.start + self.taken as usize..end))
    }

    /// Bytes on the wire that the kernel has taken of messages whose send is not over.
    pub(in crate::engine) const fn messages_taken(&self) -> usize {
        match self.cargo {
            Some(Cargo::Messages) => self.taken as usize,
            Some(Cargo::Control | Cargo::Transport) | None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn however_a_send_is_cut_every_byte_leaves_once_and_in_order(
            start in 0_usize..1 << 40,
            cuts in prop::collection::vec(1_usize..70_000, 1..20),
            is_control: bool,
        ) {
            let all = start..start + cuts.iter().sum::<usize>();
            let cargo = if is_control { Cargo::Control } else { Cargo::Messages };
            let mut flight = InFlightSend::new(cargo, &all);
            let (mut next, mut left) = (start, Left::Part(all.clone()));
            for cut in cuts {
                prop_assert_eq!(&left, &Left::Part(next..all.end));
                prop_assert_eq!(flight.messages_taken(), if is_control { 0 } else { next - start });
                next += cut;
                left = flight.took(cut).expect("it is in flight");
            }
            prop_assert_eq!(left, Left::Nothing(cargo));
            prop_assert!(flight.is_none() && flight.messages_taken() == 0);
            prop_assert_eq!(flight.took(1), None);
        }
    }

    #[test]
    #[should_panic(expected = "the kernel took 4 of 3 bytes")]
    fn more_than_was_given_cannot_be_taken() {
        InFlightSend::new(Cargo::Control, &(7..10)).took(4);
    }
}
