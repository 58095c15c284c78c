//! Which sockets are there, and whether every one hears what is sent: connecting and probes over all
//! workers.
//!
//! Belongs here: waiting for both, and for sockets that are connected again. Does not: a worker's part of
//! it (`worker`), what it means where one is missing (`min_connected`).

use std::sync::Arc;

use super::crew::Crew;
use crate::dialect::text::TextShape;
use crate::engine::drain::DrainWatch;
use crate::engine::orders::{Command, Report};
use crate::engine::worker::Directive;
use crate::engine::{EngineError, Phase, Progress, Watch, min_connected};
use crate::host::clock::{Clock, Monotonic};
use crate::measure::connecting::{Connecting, Failure};
use crate::measure::outcome::LostSocket;
use crate::measure::reached::{Places, Takers};
use crate::plan::connect_options::MinConnected;
use crate::population::sockets::SocketId;
use crate::units::Nanos;

/// What became of sockets that were lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconnected {
    /// Lost since the last trial ended.
    pub lost_since: Vec<LostSocket>,
    /// Sockets that are there again.
    pub again: u64,
}

/// The sockets that are there.
pub(super) struct Attendance {
    pub(super) connecting: Connecting,
    /// Sockets of each worker that hear the text of every message.
    hearing: Vec<usize>,
    /// Who has them, where a header names it.
    takers: Option<Takers>,
}

impl Attendance {
    /// Connects all sockets.
    pub(super) fn connect(
        crew: &Crew,
        slices: &[Vec<SocketId>],
        watch: &mut dyn Watch,
    ) -> Result<Self, EngineError> {
        crew.board.reset();
        let start = Monotonic.now();
        crew.tell(|| Command::Connect);
        let total = crew.plan.sockets();
        let look = |_| {
            let done = crew.board.progress().seen;
            watch.progress(&Progress { phase: Phase::Connecting, done, total });
            crew.stop.requested().then_some(Directive::End)
        };
        let answers = crew.await_all(look, |report| match report {
            Report::Connected(failures, dialled) => Some((failures, *dialled)),
            _ => None,
        })?;
        crew.interrupted()?;
        let (failures, dialled): (Vec<_>, Vec<_>) = answers.into_iter().unzip();
        let at_push_node = |seat: &&SocketId| seat.node as usize == crew.plan.push_node();
        let hears = |seats: &Vec<SocketId>| seats.iter().filter(at_push_node).count();
        let hearing = slices.iter().map(hears).collect();
        let connecting = Connecting::merge(crew.plan.population(), start, &dialled, &[]);
        let mut takers =
            crew.plan.upgrade.node_header.is_some().then(|| Takers::new(crew.plan.population()));
        if let Some(takers) = &mut takers {
            dialled.iter().for_each(|share| takers.note(&share.reached));
        }
        let mut attendance = Self { connecting, hearing, takers };
        attendance.lose(crew, &failures);
        attendance.enough(crew)?;
        Ok(attendance)
    }

    /// Whether the sockets that are there are as many as there must be.
    pub(super) fn enough(&self, crew: &Crew) -> Result<(), EngineError> {
        min_connected::reached(&crew.plan, &self.connecting, &self.hearing)
    }

    /// The nodes that have the sockets now, where a header names them.
    pub(super) fn places(&self, crew: &Crew) -> Option<Arc<Places>> {
        let takers = self.takers.as_ref()?;
        Some(Arc::new(takers.places(crew.plan.population(), &self.connecting.left_out)))
    }

    /// Further sockets are not there; `failures` by worker.
    fn lose(&mut self, crew: &Crew, failures: &[Vec<Failure>]) {
        self.connecting.lose(crew.plan.population(), &failures.concat());
        for (worker, failures) in failures.iter().enumerate() {
            let hears = |failure: &&Failure| failure.seat.node as usize == crew.plan.push_node();
            self.hearing[worker] -= failures.iter().filter(hears).count();
        }
    }

    /// Waits until every socket has heard a probe.
    pub(super) fn probe(
        &mut self,
        crew: &Crew,
        text: &TextShape,
        nonce: u32,
        watch: &mut dyn Watch,
    ) -> Result<(), EngineError> {
        crew.board.reset();
        crew.tell(|| Command::Probe { text: text.clone(), run: nonce });
        let start = Monotonic.now();
        let total = crew.plan.sockets();
        let all = crew.plan.connect.least == MinConnected::All;
        let mut settle = DrainWatch::new(Nanos::MAX, start);
        let look = |now: Nanos| {
            let progress = crew.board.progress();
            let phase = Phase::Probing;
            watch.progress(&Progress { phase, done: progress.seen, total });
            let late = now.since(start) >= crew.plan.timeouts.ready;
            let over = settle.look(progress, now).is_some() || (progress.lost && all) || late;
            (over || crew.stop.requested()).then_some(Directive::End)
        };
        let answers = crew.await_all(look, |report| match report {
            Report::Probed(probed) => Some(*probed),
            _ => None,
        })?;
        crew.interrupted()?;
        let failures: Vec<_> = answers.iter().map(|probed| probed.failures.clone()).collect();
        self.lose(crew, &failures);
        self.enough(crew)?;
        min_connected::heard(&crew.plan, &answers)
    }

    /// Connects the sockets again that were lost.
    pub(super) fn reconnect(
        &mut self,
        crew: &Crew,
        watch: &mut dyn Watch,
    ) -> Result<Reconnected, EngineError> {
        crew.board.reset();
        crew.tell(|| Command::Reconnect);
        let look = |_| {
            watch.progress(&Progress { phase: Phase::Connecting, done: 0, total: 0 });
            crew.stop.requested().then_some(Directive::End)
        };
        let answers = crew.await_all(look, |report| match report {
            Report::Reconnected(reconnected) => Some(*reconnected),
            _ => None,
        })?;
        crew.interrupted()?;
        let mut all = Reconnected { lost_since: Vec::new(), again: 0 };
        let (mut failures, places) = (Vec::new(), self.places(crew));
        for answer in answers {
            all.again += answer.again;
            let named = |lost: LostSocket| LostSocket {
                reached: places.as_ref().and_then(|at| at.name(lost.socket)).map(str::to_owned),
                ..lost
            };
            all.lost_since.extend(answer.lost_since.into_iter().map(named));
            if let Some(takers) = &mut self.takers {
                takers.note(&answer.reached);
            }
            failures.push(answer.failures);
        }
        self.lose(crew, &failures);
        Ok(all)
    }
}
