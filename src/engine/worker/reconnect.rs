//! Between two trials: sockets that were lost are connected again.
//!
//! Belongs here: making a slot fit for another socket. Does not: when that is done, and what it means
//! for the trials to come (`fleet`).

use std::io;

use super::between::ListenOnly;
use super::{Control, State, TICK, Worker};
use crate::engine::connection::Loss;
use crate::engine::connection::transport::Transport;
use crate::engine::ring::{Ring, Slot, Wait};
use crate::host::clock::Clock;
use crate::measure::connecting::Failure;
use crate::measure::outcome::LostSocket;
use crate::measure::reached::ReachedBy;
use crate::units::Nanos;

/// For the kernel to let go of what lost sockets had in flight, their Close frames included.
const LET_GO: Nanos = Nanos::from_secs(1);

/// What became of the sockets that were lost.
#[derive(Debug, Default)]
pub struct Reconnected {
    /// Lost since the trial ended.
    pub lost_since: Vec<LostSocket>,
    /// Sockets that are there again.
    pub again: u64,
    /// Who took them, where the plan asks for that.
    pub reached: ReachedBy,
    /// Those that are not: nothing is expected of them any more.
    pub failures: Vec<Failure>,
}

impl<R: Ring, C: Clock, T: Transport> Worker<'_, R, C, T> {
    /// Connects every socket again that was lost since the first trial began.
    ///
    /// # Errors
    /// The ring failed, or a socket could not even be made (descriptors, memory).
    pub fn reconnect(&mut self, conductor: &mut impl Control) -> io::Result<Reconnected> {
        let lost_since = self.take_losses(self.trial_began);
        let lost = |slot: &Slot| {
            !self.connections[*slot as usize].state().is_open() && !self.absent.contains(slot)
        };
        let slots: Vec<Slot> = (0..self.connections.len() as Slot).filter(lost).collect();
        self.let_go(&slots)?;
        let now = self.clock.now();
        let (free, held): (Vec<_>, Vec<_>) =
            slots.into_iter().partition(|&slot| self.is_gone(slot));
        for slot in held {
            let loss = Loss::plain("the kernel still holds what the lost socket had in flight");
            self.note_loss(&mut ListenOnly::default(), slot, loss, now);
        }
        for &slot in &free {
            let transport = T::new(&self.shared);
            self.connections[slot as usize].reset(transport, self.plan.messages.max_bytes);
        }
        self.dial_all(free.len(), |place| free[place as usize], conductor)?;
        let reached = self.take_dialled().reached;
        let opened = |slot: &&Slot| self.connections[**slot as usize].state().is_open();
        let again = free.iter().filter(opened).count() as u64;
        Ok(Reconnected { lost_since, again, reached, failures: self.take_failures() })
    }

    /// Nothing of a socket is left, here and in the kernel.
    fn is_gone(&self, slot: Slot) -> bool {
        self.connections[slot as usize].state() == State::Closed && self.ring.is_free(slot)
    }

    /// Waits until nothing of these sockets is left, and ends what does not end by itself.
    fn let_go(&mut self, slots: &[Slot]) -> io::Result<()> {
        let began = self.clock.now();
        let mut now = began;
        while now.since(began) < LET_GO {
            let is_late = now.since(began) >= Nanos(LET_GO.0 / 2);
            for &slot in slots {
                if is_late && self.connections[slot as usize].state() == State::Closing {
                    self.shut(slot);
                }
            }
            if slots.iter().all(|&slot| self.is_gone(slot)) {
                return Ok(());
            }
            now = self.listen(Wait::first(TICK))?;
        }
        Ok(())
    }
}
