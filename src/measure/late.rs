//! Copies that come when their trial is over: what is kept of earlier trials, and what they are credited.
//!
//! Belongs here: the log that a worker writes while it listens, and the accounts that trials leave
//! behind. Does not: recognising an earlier trial's text (`dialect`), how long to listen (`engine`).
//!
//! The nonces of the probe and of all earlier trials are known, so a copy of theirs is nobody else's. The
//! trial in which it arrives counts it as *earlier*; its own trial counts it as *late*: a copy that was
//! missing until then, or one too many. Of a trial that missed nothing only the nonce and the ids are
//! kept: whatever still comes of it came before.

use std::collections::HashMap;
use std::sync::Arc;

use super::correlate::Key;
use super::ledger::{Classification, Ledger};
use super::recorder::Recorder;
use super::sent::SentTimes;
use crate::population::audience::{Audience, Hearing};
use crate::population::sockets::SocketId;
use crate::units::Nanos;

/// Room in a worker's log beyond the copies that its earlier trials missed: for what comes twice.
const ROOM: usize = 1 << 16;
/// Room in all, 56 bytes each; memory that nothing is written to is not there.
const ROOM_MAX: usize = 1 << 22;
/// Ids of earlier trials that are kept, some 40 bytes each; those of the oldest trials go first.
const IDS_MAX: usize = 2 << 20;

/// What came late, as the worker that heard it wrote it down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LateCopy {
    /// Our socket, by the worker's own index.
    pub local: u32,
    /// What it said.
    pub said: Said,
    /// When it came.
    pub at: Nanos,
}

/// What a late copy says of its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// All of it.
    Text {
        /// The nonce of its trial.
        run: u32,
        /// Its push socket.
        sender: u16,
        /// Its number there.
        sequence: u64,
        /// Its id, where it has one.
        id: Option<Key>,
    },
    /// The id alone, which may be a stranger's. Only of what came between two trials: in a trial ids wait
    /// with the others.
    Id(Key),
}

/// Late copies in the order in which one worker heard them. Allocates nothing after [`Self::with_room`].
#[derive(Debug, Default)]
pub struct LateLog {
    copies: Vec<LateCopy>,
    /// Copies that found no room.
    overflowed: u64,
}

impl LateLog {
    /// For a worker whose earlier trials missed so many copies.
    pub fn with_room(missing: u64) -> Self {
        let missing = usize::try_from(missing).unwrap_or(ROOM_MAX);
        let room = ROOM.saturating_add(missing).min(ROOM_MAX);
        Self { copies: Vec::with_capacity(room), overflowed: 0 }
    }

    /// Notes a copy.
    #[cold]
    pub fn note(&mut self, copy: LateCopy) {
        if self.copies.len() < self.copies.capacity() {
            self.copies.push(copy);
        } else {
            self.overflowed += 1;
        }
    }
}

/// What came of a trial when it was over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Late {
    /// Copies that were missing at its end.
    pub copies: u64,
    /// Copies that had come before.
    pub duplicates: u64,
    /// Copies on sockets that must not hear them.
    pub misdelivered: u64,
    /// How long after its end the last of them came.
    pub up_to: Nanos,
}

impl Late {
    /// All of them.
    pub const fn all(&self) -> u64 {
        self.copies + self.duplicates + self.misdelivered
    }
}

/// A trial that is over.
#[derive(Debug)]
struct Trial {
    run: u32,
    ended: Nanos,
    /// Which messages it had; `None` of the probe.
    sent: Option<Arc<SentTimes>>,
    /// By worker, where copies are missing: local index of each socket, and the account.
    open: Vec<(HashMap<u32, u32>, Ledger)>,
    ids: HashMap<Key, u32>,
    late: Late,
}

/// The trials that are over, the probe first.
#[derive(Debug)]
pub struct Past {
    audience: Audience,
    trials: Vec<Trial>,
    /// Late copies without a place in any account: there was no room to write them down, or their trial
    /// has no such message.
    unplaced: u64,
}

impl Past {
    /// No probe and no trial so far.
    pub const fn new(audience: Audience) -> Self {
        Self { audience, trials: Vec::new(), unplaced: 0 }
    }

    /// A probe that was marked `run` and has `ended`, and no trial so far.
    pub fn of_probe(audience: Audience, run: u32, ended: Nanos) -> Self {
        Self { trials: vec![Trial::new(run, ended, None)], ..Self::new(audience) }
    }

    /// What came of trial `run` when it was over.
    pub fn late(&self, run: u32) -> Late {
        self.trials.iter().find(|trial| trial.run == run).map(|t| t.late).unwrap_or_default()
    }

    /// All late copies so far, with a place in an account or without.
    fn all(&self) -> u64 {
        self.trials.iter().map(|trial| trial.late.all()).sum::<u64>() + self.unplaced
    }

    /// Credits what workers wrote down to the trials that it belongs to.
    ///
    /// # Panics
    /// When a copy was credited twice or not at all.
    pub(super) fn credit_all<'a>(
        &mut self,
        logs: impl Iterator<Item = (&'a [SocketId], &'a LateLog)>,
    ) {
        let before = self.all();
        let mut copies: Vec<(u32, LateCopy)> = Vec::new();
        let mut all = 0;
        for (seats, log) in logs {
            self.unplaced += log.overflowed;
            all += log.overflowed;
            let socket = |copy: &LateCopy| seats[copy.local as usize].socket;
            copies.extend(log.copies.iter().map(|copy| (socket(copy), *copy)));
        }
        copies.sort_by_key(|(_, copy)| copy.at);
        for (socket, LateCopy { said, at, .. }) in &copies {
            let Said::Text { run, sender, sequence, id } = *said else { continue };
            all += 1;
            let place = self.trials.iter().position(|trial| trial.run == run);
            let index = place.and_then(|place| self.trials[place].index(sender, sequence));
            let Some(place) = place else {
                self.unplaced += 1;
                continue;
            };
            if let (Some(id), Some(index)) = (id, index) {
                self.trials[place].ids.entry(id).or_insert(index);
            }
            self.credit(place, *socket, (sender, sequence), *at);
        }
        for (socket, LateCopy { said, at, .. }) in copies {
            if let Said::Id(key) = said {
                all += u64::from(self.attribute(key, socket, at));
            }
        }
        assert_eq!(self.all() - before, all, "every late copy has one place");
    }

    /// Credits a copy with an id alone; `false` of an id that no earlier trial had.
    pub(super) fn attribute(&mut self, key: Key, socket: u32, at: Nanos) -> bool {
        let mut newest_first = self.trials.iter().enumerate().rev();
        let known = newest_first.find_map(|(place, trial)| {
            let index = *trial.ids.get(&key)?;
            Some((place, trial.sent.as_ref()?.message(index)))
        });
        let Some((place, (sender, sequence))) = known else { return false };
        self.credit(place, socket, (sender as u16, sequence.into()), at);
        true
    }

    fn credit(&mut self, place: usize, socket: u32, (sender, sequence): (u16, u64), at: Nanos) {
        let trial = &mut self.trials[place];
        if trial.sent.is_some() && trial.index(sender, sequence).is_none() {
            self.unplaced += 1;
            return;
        }
        let missed = |open: &mut (HashMap<u32, u32>, Ledger)| {
            let local = *open.0.get(&socket)?;
            Some(open.1.arrive(local as usize, sender.into(), sequence as u32))
        };
        let late = &mut trial.late;
        if self.audience.hears(socket, sender.into()) == Hearing::MustNot {
            late.misdelivered += 1;
        } else if let Some(Classification::InOrder | Classification::OutOfOrder { .. }) =
            trial.open.iter_mut().find_map(missed)
        {
            late.copies += 1;
        } else {
            late.duplicates += 1;
        }
        late.up_to = late.up_to.max(at.since(trial.ended));
    }

    /// Keeps what a trial leaves behind that was marked `run` and has `ended`.
    pub fn keep(&mut self, run: u32, ended: Nanos, recorders: Vec<Recorder>) {
        let sent = recorders.first().map(|recorder| Arc::clone(recorder.sent_times()));
        let mut trial = Trial::new(run, ended, sent);
        for recorder in recorders {
            if let Some(correlator) = &recorder.correlator {
                trial.ids.extend(correlator.known());
            }
            if recorder.missing() > 0 {
                let sockets = recorder.seats.iter().map(|seat| seat.socket);
                trial.open.push((sockets.zip(0..).collect(), recorder.ledger));
            }
        }
        self.trials.push(trial);
        let mut room = IDS_MAX;
        for trial in self.trials.iter_mut().rev() {
            match room.checked_sub(trial.ids.len()) {
                Some(left) => room = left,
                None => trial.ids = HashMap::new(),
            }
        }
    }
}

impl Trial {
    fn new(run: u32, ended: Nanos, sent: Option<Arc<SentTimes>>) -> Self {
        let (open, ids) = (Vec::new(), HashMap::new());
        Self { run, ended, sent, open, ids, late: Late::default() }
    }

    fn index(&self, sender: u16, sequence: u64) -> Option<u32> {
        self.sent.as_ref()?.index(sender.into(), sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::fan_out::FanOut;
    use crate::population::sockets::Population;

    const RUN: u32 = 7;

    /// Two sockets, and a trial of 3 messages of which socket 1 missed number 1.
    fn past() -> Past {
        let sent = Arc::new(SentTimes::new(&[3]));
        sent.stamp(0, 0, 3, Nanos(1));
        let mut recorder = Recorder::new(seats(), 2, &[3], &audience(), true, sent);
        for (local, sequence) in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 2)] {
            recorder.copy(local, 0, sequence, Some(id(sequence)), Nanos(5));
        }
        assert_eq!(recorder.missing(), 1);
        let mut past = Past::of_probe(audience(), RUN - 1, Nanos(2));
        past.keep(RUN, Nanos(10), vec![recorder]);
        past
    }

    fn audience() -> Audience {
        Audience::new(Population::new(2, 0, 1, 1).unwrap(), FanOut::All)
    }

    fn id(sequence: u64) -> Key {
        Key::from(u128::from(sequence) + 100)
    }

    fn seats() -> Vec<SocketId> {
        vec![SocketId { socket: 0, node: 0 }, SocketId { socket: 1, node: 1 }]
    }

    fn text(run: u32, local: u32, sequence: u64, at: u64) -> LateCopy {
        let said = Said::Text { run, sender: 0, sequence, id: None };
        LateCopy { local, said, at: Nanos(at) }
    }

    fn credited(past: &mut Past, copies: &[LateCopy]) -> Late {
        let mut log = LateLog::with_room(0);
        copies.iter().for_each(|&copy| log.note(copy));
        past.credit_all(std::iter::once((&seats()[..], &log)));
        past.late(RUN)
    }

    #[test]
    fn a_missing_copy_is_late_once_and_whatever_else_comes_is_a_duplicate() {
        let copies = [text(RUN, 1, 1, 40), text(RUN, 1, 1, 50), text(RUN, 0, 2, 30)];
        let late = credited(&mut past(), &copies);
        assert_eq!(late, Late { copies: 1, duplicates: 2, misdelivered: 0, up_to: Nanos(40) });
    }

    #[test]
    fn an_id_that_an_earlier_trial_had_is_its_copy_and_a_strangers_is_nobodys() {
        let mut past = past();
        assert!(past.attribute(id(1), 1, Nanos(25)));
        assert!(!past.attribute(id(77), 1, Nanos(26)));
        assert_eq!(past.late(RUN), Late { copies: 1, up_to: Nanos(15), ..Late::default() });
        // Between two trials, before the text that it belongs to.
        let said = Said::Text { run: RUN, sender: 0, sequence: 1, id: Some(id(9)) };
        let late_id = LateCopy { local: 0, said: Said::Id(id(9)), at: Nanos(30) };
        let late = credited(&mut past, &[late_id, LateCopy { local: 0, said, at: Nanos(31) }]);
        assert_eq!((late.copies, late.duplicates), (1, 2));
    }

    #[test]
    fn copies_of_the_probe_and_of_messages_that_never_were_are_credited_to_no_trial() {
        let mut past = past();
        let copies = [text(RUN - 1, 0, 900, 20), text(RUN, 0, 3, 20), text(RUN + 1, 0, 0, 20)];
        assert_eq!(credited(&mut past, &copies), Late::default());
        assert_eq!((past.late(RUN - 1).duplicates, past.unplaced), (1, 2));
    }

    #[test]
    fn a_copy_without_room_is_counted_as_one_without_a_place() {
        let mut log = LateLog { copies: Vec::new(), overflowed: 0 };
        log.note(text(RUN, 1, 1, 40));
        let mut past = past();
        past.credit_all(std::iter::once((&seats()[..], &log)));
        assert_eq!((past.late(RUN).all(), past.unplaced), (0, 1));
    }
}
