//! Several io_urings that look like one.
//!
//! Belongs here: which ring a slot is on, whose turn it is, and sleeping over all of them. Does not:
//! how one ring works (`uring`), how many there must be (`plan::descriptors`).
//!
//! A ring's own table holds as many sockets as `RLIMIT_NOFILE` allows, and that holds for each ring
//! anew. One thread drives all that a core needs: with a thread for each they took turns on the CPU,
//! with a context switch for every copy or two, and 100 000 sockets cost 1.65 times as much a copy as
//! 1000.
//!
//! A wait for many is one for the first here: what should gather is spread over the rings, and to gather
//! made it dearer (2.81 µs a copy against 2.53).

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{Ordering, fence};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

use super::uring::UringRing;
use super::{Completion, Filled, Ring, RingConfig, RingCounters, SendBuf, Slot, Wait};

/// Some io_urings of one thread. Slots lie side by side in them, ring after ring.
pub struct SeveralRings {
    rings: Vec<UringRing>,
    slots_each: u32,
    /// Whose completions are handed out until the next wait: bytes of a receive are found by it.
    turn: usize,
    /// What every ring signals when there is something to do, while we sleep.
    bell: OwnedFd,
}

impl SeveralRings {
    /// So many rings for `config.slots` sockets together. The calling thread must be the one that uses
    /// them.
    ///
    /// # Errors
    /// As [`UringRing::new`], and `EMFILE` for the descriptors of the rings themselves.
    ///
    /// # Panics
    /// Without rings.
    pub fn new(config: RingConfig, rings: usize) -> io::Result<Self> {
        let slots_each =
            config.slots.div_ceil(u32::try_from(rings).expect("rings have descriptors"));
        let bell = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        let ring = |_| {
            let mut ring = UringRing::new(RingConfig { slots: slots_each, ..config })?;
            ring.ring_bell(bell.as_fd())?;
            Ok(ring)
        };
        let rings = (0..rings).map(ring).collect::<io::Result<Vec<_>>>()?;
        Ok(Self { rings, slots_each, turn: 0, bell })
    }

    fn at(&mut self, slot: Slot) -> (&mut UringRing, Slot) {
        (&mut self.rings[(slot / self.slots_each) as usize], slot % self.slots_each)
    }

    /// Goes round the rings once, beginning with the one whose turn is next, and stops taking when one
    /// has completions: what the others have would grow old while these are handled. What is queued
    /// leaves first, on all of them: it has its sent time, and a ring's reads take tens of microseconds.
    fn go_round(&mut self) -> io::Result<bool> {
        self.rings.iter_mut().try_for_each(UringRing::flush)?;
        let (count, first) = (self.rings.len(), self.turn + 1);
        for index in (first..first + count).map(|place| place % count) {
            let ring = &mut self.rings[index];
            if ring.has_work() {
                ring.wait(Wait::POLL)?;
                self.turn = index;
                if ring.has_completions() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Sleeps until a ring has something to do.
    fn sleep(&mut self, wait: Wait) -> io::Result<()> {
        self.rings.iter_mut().for_each(|ring| ring.hear_bell(true));
        // The bells must be on before we look: a store and a load, which only this keeps in order.
        fence(Ordering::SeqCst);
        // What came before the bell was on did not ring it, nor will what one look has left over.
        if !self.go_round()? && !self.rings.iter_mut().any(UringRing::has_work) {
            let timeout = Timespec {
                tv_sec: (wait.timeout.0 / 1_000_000_000) as i64,
                tv_nsec: (wait.timeout.0 % 1_000_000_000) as i64,
            };
            let mut bells = [PollFd::new(&self.bell, PollFlags::IN)];
            match poll(&mut bells, Some(&timeout)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        self.rings.iter_mut().for_each(|ring| ring.hear_bell(false));
        // It may not have rung: that is no error, and there is nothing to be silenced.
        match rustix::io::read(&self.bell, &mut [0; 8]) {
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl Ring for SeveralRings {
    fn connect(&mut self, slot: Slot, to: SocketAddr, from: Option<SocketAddr>) -> io::Result<()> {
        let (ring, slot) = self.at(slot);
        ring.connect(slot, to, from)
    }

    fn receive(&mut self, slot: Slot) {
        let (ring, slot) = self.at(slot);
        ring.receive(slot);
    }

    fn time_arrivals(&mut self, slot: Slot) {
        let (ring, slot) = self.at(slot);
        ring.time_arrivals(slot);
    }

    fn delay_acks(&mut self, slot: Slot) {
        let (ring, slot) = self.at(slot);
        ring.delay_acks(slot);
    }

    fn arrived(&self, completion: &Completion) -> Option<crate::units::Nanos> {
        self.rings[self.turn].arrived(completion)
    }

    fn send(&mut self, slot: Slot, buf: SendBuf, part: Range<usize>) {
        let (ring, slot) = self.at(slot);
        ring.send(slot, buf, part);
    }

    fn take_sent(&mut self, slot: Slot) -> Option<SendBuf> {
        let (ring, slot) = self.at(slot);
        ring.take_sent(slot)
    }

    fn close(&mut self, slot: Slot) {
        let (ring, slot) = self.at(slot);
        ring.close(slot);
    }

    fn is_free(&self, slot: Slot) -> bool {
        self.rings[(slot / self.slots_each) as usize].is_free(slot % self.slots_each)
    }

    fn wait(&mut self, wait: Wait) -> io::Result<()> {
        if self.go_round()? || wait.want == 0 {
            return Ok(());
        }
        self.sleep(wait)?;
        if !self.rings[self.turn].has_completions() {
            self.go_round()?;
        }
        Ok(())
    }

    #[inline]
    fn next_completion(&mut self) -> Option<Completion> {
        let mut completion = self.rings[self.turn].next_completion()?;
        completion.slot += self.turn as u32 * self.slots_each;
        Some(completion)
    }

    #[inline]
    fn received(&self, filled: Filled, len: usize) -> &[u8] {
        self.rings[self.turn].received(filled, len)
    }

    #[inline]
    fn recycle(&mut self, filled: Filled) {
        self.rings[self.turn].recycle(filled);
    }

    fn counters(&self) -> RingCounters {
        let each = self.rings.iter().map(Ring::counters);
        each.fold(RingCounters::default(), |sum, ring| RingCounters {
            enters: sum.enters + ring.enters,
            cq_overflow: sum.cq_overflow + ring.cq_overflow,
        })
    }
}
