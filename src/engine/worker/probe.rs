//! Readiness: a probe message that must be seen on every socket before the clock starts.
//!
//! Belongs here: proof that the whole path works, node by node. Does not: connecting (`connect`).
//! The seed slept one second instead, and hung for ever when a link between two nodes was dead.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;

use super::heard::Heard;
use super::{Control, Directive, SOON, Script, TICK, TrialProgress, Worker};
use crate::dialect::{CorrelationId, Dialect, MessageKind, Recognized, Scanner, TextShape};
use crate::engine::connection::transport::Transport;
use crate::engine::frames::{FrameShape, SenderFrames};
use crate::engine::ring::{Ring, SendBuf, Slot, Wait};
use crate::engine::worker::late_arrivals::Hark;
use crate::host::clock::Clock;
use crate::population::fan_out::FanOut;
use crate::population::sockets::SocketId;
use crate::units::Nanos;
use crate::wire::decoder::Message;
use crate::wire::frame::Violation;

/// A probe that was not seen everywhere is repeated: a cluster may drop messages. Counted from the
/// last socket that saw one.
const REPEAT: Nanos = Nanos::from_millis(500);
/// For each socket that patience is longer: a broadcast to hundreds of thousands of them has pauses, and
/// takes longer than `REPEAT` itself. A second probe would only be in its way, and then in that of the
/// trial: with a million sockets repeats kept the nodes busy until the trial was given up.
const REPEAT_EACH: Nanos = Nanos::from_micros(10);

/// Probes that a socket sends at most.
const PROBES: u32 = 1000;

/// What sockets to a node heard that was no copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeardInstead {
    pub(in crate::engine) node: u32,
    pub(in crate::engine) messages: u64,
    /// The first message of one of them, as it may be shown.
    pub(in crate::engine) first: Option<String>,
}

struct Probe {
    dialect: Dialect,
    scanner: Scanner,
    /// By local index: a probe was seen, or none can come.
    seen: Vec<bool>,
    /// How many of them were not.
    unseen: usize,
    /// Ids of probes, and copies that carry only an id. Few, and before the clock.
    ids: Vec<CorrelationId>,
    unknown: Vec<(Slot, CorrelationId)>,
    senders: Vec<Prober>,
    /// What came instead.
    heard: Heard,
    /// Rows before this probe, of which copies may still come.
    hark: Hark,
    /// With `--fan-out others` a socket must not hear its own probe.
    skips_sender: bool,
    /// One did.
    hears_itself: bool,
}

/// A local socket that sends probes.
struct Prober {
    slot: Slot,
    frames: SenderFrames,
    next: u32,
    /// A probe waits for what is in flight on its socket, a Pong say.
    due: bool,
}

impl Probe {
    fn tick_off(&mut self, slot: Slot) {
        let seen = &mut self.seen[slot as usize];
        self.unseen -= usize::from(!std::mem::replace(seen, true));
    }

    fn see(&mut self, slot: Slot, sighting: Recognized) {
        match sighting {
            Recognized::Copy { id, sender, .. } => {
                let own = |prober: &Prober| prober.slot == slot && prober.frames.sender() == sender;
                if self.skips_sender && self.senders.iter().any(own) {
                    self.hears_itself = true;
                } else {
                    self.tick_off(slot);
                }
                id.into_iter().for_each(|id| self.learn(id));
            }
            Recognized::Id(id) if self.ids.contains(&id) => self.tick_off(slot),
            Recognized::Id(id) => self.unknown.push((slot, id)),
            Recognized::Earlier { .. } | Recognized::Corrupt | Recognized::Foreign => {}
        }
    }

    /// Only a new id is looked for among what waits: every socket of the push node teaches it again.
    fn learn(&mut self, id: CorrelationId) {
        if self.ids.contains(&id) {
            return;
        }
        self.ids.push(id);
        for (slot, _) in self.unknown.extract_if(.., |(_, waiting)| *waiting == id) {
            let seen = &mut self.seen[slot as usize];
            self.unseen -= usize::from(!std::mem::replace(seen, true));
        }
    }
}

impl Script for Probe {
    fn on_message(&mut self, slot: Slot, message: Message<'_>, at: Nanos) -> Result<(), Violation> {
        let bytes = message.checked()?;
        self.hark.note(slot, message, at)?;
        // As in a trial: what would not count there proves nothing here.
        let kind = if message.is_binary() { MessageKind::Binary } else { MessageKind::Text };
        if !self.dialect.hears(kind) {
            self.heard.note(slot, bytes);
            return Ok(());
        }
        let mut sightings = Vec::new();
        self.scanner.scan(bytes, &mut |sighting| sightings.push(sighting));
        if !sightings.iter().any(|s| matches!(s, Recognized::Copy { .. } | Recognized::Id(_))) {
            self.heard.note(slot, bytes);
        }
        sightings.into_iter().for_each(|sighting| self.see(slot, sighting));
        Ok(())
    }

    fn on_protocol(
        &mut self,
        slot: Slot,
        message: Message<'_>,
        at: Nanos,
    ) -> Result<(), Violation> {
        let heard = std::mem::take(&mut self.heard);
        let hears = self.on_message(slot, message, at);
        // It says nothing of why no probe comes.
        self.heard = heard;
        hears
    }

    fn on_protocol_stream(&mut self, slot: Slot, window: &[u8], from: usize, at: Nanos) -> usize {
        let heard = std::mem::take(&mut self.heard);
        let up_to = self.on_stream(slot, window, from, at);
        self.heard = heard;
        up_to
    }

    fn on_stream(&mut self, slot: Slot, window: &[u8], from: usize, at: Nanos) -> usize {
        let by_hark = self.hark.note_stream(slot, window, from, at);
        let mut sightings = Vec::new();
        let open = self.scanner.stream(window, from, &mut |sighting| sightings.push(sighting));
        if open == window.len() && !sightings.iter().any(|s| matches!(s, Recognized::Copy { .. })) {
            self.heard.note(slot, &window[from..]);
        }
        sightings.into_iter().for_each(|sighting| self.see(slot, sighting));
        // They differ by less than a tag, in which there is nothing to be seen twice.
        open.min(by_hark)
    }

    fn next_send(&mut self, slot: Slot, _now: Nanos) -> Option<(SendBuf, Range<usize>)> {
        let prober = self.senders.iter_mut().find(|prober| prober.slot == slot && prober.due)?;
        let chunk = prober.frames.take(prober.next, prober.next + 1)?;
        prober.next += 1;
        prober.due = false;
        Some((chunk.buf, chunk.bytes))
    }

    fn on_sent(&mut self, slot: Slot, buf: SendBuf, _now: Nanos) {
        if let Some(prober) = self.senders.iter_mut().find(|prober| prober.slot == slot) {
            prober.frames.give_back(buf);
        }
    }

    fn lost(&mut self, slot: Slot, _: usize) {
        self.tick_off(slot);
    }
}

/// How long nothing new may be seen before probe number `repeat` (from 1) is sent to so many sockets:
/// ever longer, since a cluster that is slow is no quicker for it, within what --ready-timeout leaves.
fn patience(sockets: u64, repeat: u32, ready_timeout: Nanos) -> Nanos {
    let first = REPEAT.plus(Nanos(REPEAT_EACH.0.saturating_mul(sockets)));
    // A lost probe must have a second chance.
    Nanos(first.0.saturating_mul(u64::from(repeat)).min(ready_timeout.0 / 3))
}

impl<R: Ring, C: Clock, T: Transport> Worker<'_, R, C, T> {
    /// Sends probes marked `run` until `conductor` ends the phase: every socket of every worker has
    /// seen one, or time is up. Returns the sockets that saw none.
    ///
    /// # Errors
    /// The ring failed.
    pub fn probe(
        &mut self,
        text: &TextShape,
        run: u32,
        conductor: &mut impl Control,
    ) -> io::Result<Vec<SocketId>> {
        let mut script = self.probe_script(text, run);
        let began = self.clock.now();
        let (mut moved_at, mut slowest) = (began, Nanos::ZERO);
        self.speak_probes(&mut script, moved_at);
        let (mut unseen, mut repeat) = (script.unseen, 1);
        loop {
            let tick = if script.unseen == 0 { SOON } else { TICK };
            let now = self.turn(&mut script, Wait::first(tick))?;
            if script.unseen < unseen {
                (unseen, moved_at) = (script.unseen, now);
                slowest = now.since(began);
            }
            let progress = TrialProgress {
                seen: (script.seen.len() - script.unseen) as u64,
                complete: script.unseen == 0,
                lost: !self.lost.is_empty(),
                slowest,
                ..TrialProgress::default()
            };
            if conductor.turn(progress, now) != Directive::Continue {
                break;
            }
            if now.since(moved_at) > patience(self.plan.sockets(), repeat, self.plan.timeouts.ready)
            {
                (moved_at, repeat) = (now, repeat + 1);
                self.speak_probes(&mut script, now);
            }
        }
        self.hark = script.hark;
        self.hark.probed(&self.plan.dialect, text, run);
        self.heard = script.heard;
        self.hears_itself |= script.hears_itself;
        let unseen = self.connections.iter().zip(&script.seen).filter(|(_, seen)| !**seen);
        Ok(unseen.map(|(connection, _)| connection.seat).collect())
    }

    /// What came to `seats` that was no copy, by node.
    pub fn heard_by(&self, seats: &[SocketId]) -> Vec<HeardInstead> {
        let unseen: BTreeSet<u32> = seats.iter().map(|seat| seat.socket).collect();
        let mut by_node = BTreeMap::new();
        for (slot, SocketId { socket, node }) in (0..).zip(self.connections.iter().map(|c| c.seat))
        {
            let messages = self.heard.count(slot);
            if messages == 0 || !unseen.contains(&socket) {
                continue;
            }
            let heard =
                by_node.entry(node).or_insert(HeardInstead { node, messages: 0, first: None });
            heard.messages += messages;
            if heard.first.is_none() {
                let said = self.heard.of(slot).map(str::to_owned);
                heard.first = said.map(|said| self.plan.upgrade.hide(socket, said));
            }
        }
        by_node.into_values().collect()
    }

    /// A push socket heard its own probe although the plan says that none does.
    pub const fn hears_itself(&self) -> bool {
        self.hears_itself
    }

    fn probe_script(&mut self, text: &TextShape, run: u32) -> Probe {
        let plan = self.plan;
        let shape = FrameShape::new(plan.dialect.clone(), text.clone(), run);
        let probers = plan.audience.probers();
        let seen = |seat: SocketId| !plan.audience.hears_any(seat.socket);
        let mut senders = Vec::new();
        for slot in 0..self.connections.len() as Slot {
            let seat = self.connections[slot as usize].seat;
            if probers.binary_search(&seat.socket).is_err() {
                continue;
            }
            let known = self.known_of(slot, seat);
            let speaker = self.voices.speaker(seat, &known, self.said);
            let of = (seat.socket as u16, PROBES);
            let frames = SenderFrames::said_by(&speaker, &shape, of, false, &mut self.rng);
            senders.push(Prober { slot, frames, next: 0, due: false });
        }
        self.said += u64::from(PROBES);
        let ticked: Vec<_> = self
            .connections
            .iter()
            .map(|connection| !connection.state().is_open() || seen(connection.seat))
            .collect();
        Probe {
            dialect: plan.dialect.clone(),
            scanner: Scanner::new(&plan.dialect, text, run),
            unseen: ticked.iter().filter(|&&seen| !seen).count(),
            seen: ticked,
            ids: Vec::new(),
            unknown: Vec::new(),
            senders,
            heard: std::mem::take(&mut self.heard),
            hark: std::mem::take(&mut self.hark),
            skips_sender: plan.audience.fan_out() == FanOut::Others,
            hears_itself: false,
        }
    }

    /// What messages of a socket may repeat of its opening and of its row of `--data`.
    pub(super) fn known_of(&self, slot: Slot, seat: SocketId) -> Vec<(String, Vec<u8>)> {
        match self.voices.known(slot) {
            Some(known) => known.to_vec(),
            None => self.plan.opening_row(seat.socket),
        }
    }

    fn speak_probes(&mut self, script: &mut Probe, now: Nanos) {
        for place in 0..script.senders.len() {
            script.senders[place].due = true;
            self.prompt(script, script.senders[place].slot, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_repeated_soon_for_few_sockets_and_not_before_its_time_for_many() {
        const TEN: Nanos = Nanos::from_secs(10);
        assert_eq!(patience(6, 1, TEN).0 / 1_000_000, 500);
        assert_eq!(patience(200_000, 1, TEN), Nanos::from_millis(2_500));
        // Probes go missing, too: one more comes before time is up.
        assert_eq!(patience(1_000_000, 1, TEN), Nanos(TEN.0 / 3));
        let slow: Vec<_> = (1..=3)
            .map(|repeat| patience(1_000_000, repeat, Nanos::from_secs(120)).as_secs_f64())
            .collect();
        assert_eq!(slow, [10.5, 21.0, 31.5]);
        assert!(patience(u64::MAX, u32::MAX, Nanos::MAX) > Nanos::from_secs(3_600));
    }
}
