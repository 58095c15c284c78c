//! The workers' threads: one on each chosen core.
//!
//! Belongs here: threads, pinning, barriers, and waiting for all workers. Does not: a phase's work
//! (`worker`), which phase is next (`fleet`).

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::engine::connection::transport::deflated::{self, Deflated};
use crate::engine::connection::transport::tls::{self, Tls};
use crate::engine::connection::transport::{Plain, Transport};
use crate::engine::key_rng::KeyRng;
use crate::engine::orders::{Command, Probed, Report};
use crate::engine::progress_board::{Board, WorkerHandle};
use crate::engine::ring::epoll::EpollRing;
use crate::engine::ring::several::SeveralRings;
use crate::engine::ring::uring::UringRing;
use crate::engine::ring::{Ring, RingConfig};
use crate::engine::spread::spread;
use crate::engine::worker::{Directive, Worker, WorkerShard};
use crate::engine::{EngineError, Stop};
use crate::host::clock::{Clock, Monotonic};
use crate::host::facts::WORKER_THREADS;
use crate::plan::Plan;
use crate::plan::backend::Engine;
use crate::population::sockets::SocketId;
use crate::units::Nanos;

/// How often the fleet looks at the workers: often enough to end a trial without a pause that a person
/// feels, seldom enough to cost a shared core nothing.
const LOOK: Duration = Duration::from_millis(5);
/// The same where all that can come has come, and what is waited for is a moment of silence.
const LOOK_AT_SILENCE: Duration = Duration::from_millis(1);

/// The workers' threads, and the way to talk to them.
pub(super) struct Crew {
    pub(super) plan: Arc<Plan>,
    pub(super) stop: Stop,
    pub(super) board: Arc<Board>,
    pub(super) commands: Vec<Sender<Command>>,
    reports: Receiver<(usize, Report)>,
    threads: Vec<JoinHandle<()>>,
}

impl Crew {
    /// With each worker's sockets.
    pub(super) fn start(
        plan: Arc<Plan>,
        stop: &Stop,
    ) -> Result<(Self, Vec<Vec<SocketId>>), EngineError> {
        let slices = spread(plan.population(), plan.generator.workers());
        let board = Arc::new(Board::new(slices.len(), plan.nodes.len()));
        let (report, reports) = channel();
        let (commands, threads) = (Vec::new(), Vec::new());
        let mut crew = Self { plan, stop: stop.clone(), board, commands, reports, threads };
        for (index, seats) in slices.iter().enumerate() {
            let (command, inbox) = channel();
            crew.commands.push(command);
            let (plan, board) = (Arc::clone(&crew.plan), Arc::clone(&crew.board));
            let (seats, report) = (seats.clone(), report.clone());
            let worker = Thread { plan, seats, index, board, inbox, report };
            let thread = thread::Builder::new().name(format!("{WORKER_THREADS}{index}"));
            crew.threads.push(thread.spawn(move || worker.run()).map_err(EngineError::NoThread)?);
        }
        drop(report);
        crew.await_all(|_| None, |report| matches!(report, Report::Built).then_some(()))?;
        Ok((crew, slices))
    }

    pub(super) fn tell(&self, command: impl Fn() -> Command) {
        for worker in &self.commands {
            // A worker that is gone has said why; its report is read where it is awaited.
            let _ = worker.send(command());
        }
    }

    /// Waits until every worker has answered. `look` is called again and again meanwhile and may say
    /// what the workers are to do.
    pub(super) fn await_all<T>(
        &self,
        mut look: impl FnMut(Nanos) -> Option<Directive>,
        take: impl Fn(Report) -> Option<T>,
    ) -> Result<Vec<T>, EngineError> {
        let mut answers: Vec<Option<T>> = self.commands.iter().map(|_| None).collect();
        while answers.iter().any(Option::is_none) {
            let is_over = self.board.progress().complete;
            match self.reports.recv_timeout(if is_over { LOOK_AT_SILENCE } else { LOOK }) {
                Ok((_, Report::Complete)) | Err(RecvTimeoutError::Timeout) => {}
                Ok((_, Report::Failed(source))) => {
                    return Err(EngineError::Host { doing: "a worker failed".into(), source });
                }
                Ok((index, Report::Panicked)) => panic!("worker {index} panicked; see above"),
                Ok((index, report)) => {
                    answers[index] = Some(take(report).expect("an answer to what was asked"));
                }
                Err(RecvTimeoutError::Disconnected) => panic!("all workers ended unasked"),
            }
            if let Some(directive) = look(Monotonic.now()) {
                self.board.direct(directive);
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }

    pub(super) fn interrupted(&self) -> Result<(), EngineError> {
        if self.stop.requested() { Err(EngineError::Interrupted) } else { Ok(()) }
    }
}

/// Ends the phase that workers are in, also after an error and in a panic: whatever happened, no worker
/// may wait for us, and none may outlive the fleet.
impl Drop for Crew {
    fn drop(&mut self) {
        self.board.direct(Directive::End);
        self.tell(|| Command::Goodbye);
        self.commands.clear();
        for thread in self.threads.drain(..) {
            // One that panicked has said so, and its report was read where it was awaited.
            let _ = thread.join();
        }
    }
}

/// A worker's thread.
struct Thread {
    plan: Arc<Plan>,
    seats: Vec<SocketId>,
    index: usize,
    board: Arc<Board>,
    inbox: Receiver<Command>,
    report: Sender<(usize, Report)>,
}

impl Thread {
    fn run(self) {
        let obituary = Obituary { index: self.index, report: self.report.clone() };
        if let Err(error) = self.serve() {
            self.tell(Report::Failed(crate::host::io_uring::explained(error)));
        }
        drop(obituary);
    }

    fn tell(&self, report: Report) {
        // The coordinator may be gone already: then nobody needs the report.
        let _ = self.report.send((self.index, report));
    }

    fn serve(&self) -> io::Result<()> {
        let cpu = self.plan.generator.cores[self.index];
        if !core_affinity::set_for_current(core_affinity::CoreId { id: cpu }) {
            return Err(io::Error::other(format!("CPU {cpu} of --cores is not ours to use")));
        }
        // On this very thread: a ring belongs to the one that builds it.
        let (size, rings) =
            (RingConfig::for_sockets(self.seats.len() as u32), self.plan.generator.rings.each);
        let size = if self.plan.generator.rings.direct { size.direct(rings) } else { size };
        match self.plan.generator.engine {
            Engine::IoUring if rings > 1 => self.over(SeveralRings::new(size, rings)?),
            Engine::IoUring => self.over(UringRing::new(size)?),
            Engine::Epoll => self.over(EpollRing::new(size)?),
        }
    }

    /// A plan without TLS has a worker that knows nothing of it, and so of compression.
    fn over<R: Ring>(&self, ring: R) -> io::Result<()> {
        let secured = |client| tls::Shared::new(client, self.seats.len());
        match (&self.plan.tls, &self.plan.upgrade.deflate) {
            (None, None) => self.work::<R, Plain>(ring, ()),
            (Some(client), None) => self.work::<R, Tls>(ring, secured(Some(client))),
            // One for plans with and without TLS, which passes `ws://` through.
            (client, Some(offer)) => {
                let (inner, partial) = (secured(client.as_ref()), self.plan.partial_memory_each());
                let bounds = self.plan.messages.of_one();
                let shared = deflated::Shared::new(inner, offer, bounds, partial);
                self.work::<R, Deflated<Tls>>(ring, shared)
            }
        }
    }

    fn work<R: Ring, T: Transport>(&self, ring: R, shared: T::Shared) -> io::Result<()> {
        let rng = KeyRng::of_worker(self.plan.seeds.of_keys(), self.index);
        let lane = WorkerShard { index: self.index, of: self.plan.generator.workers() };
        let ring = (ring, Monotonic);
        let mut worker = Worker::<R, _, T>::over(shared, &self.plan, ring, &self.seats, rng);
        worker = worker.in_lane(lane);
        self.tell(Report::Built);
        loop {
            let command = match self.inbox.try_recv() {
                Ok(command) => command,
                Err(TryRecvError::Empty) => {
                    worker.idle()?;
                    continue;
                }
                Err(TryRecvError::Disconnected) => return Ok(()),
            };
            let mut remote =
                WorkerHandle::new(&self.board, self.index, || self.tell(Report::Complete));
            match command {
                Command::Connect => {
                    let failures = worker.connect(&mut remote)?;
                    self.tell(Report::Connected(failures, Box::new(worker.take_dialled())));
                }
                Command::Probe { text, run } => {
                    let unseen = worker.probe(&text, run, &mut remote)?;
                    let (heard, hears_itself) = (worker.heard_by(&unseen), worker.hears_itself());
                    let failures = worker.take_failures();
                    let probed = Probed { unseen, heard, hears_itself, failures };
                    self.tell(Report::Probed(Box::new(probed)));
                }
                Command::Reconnect => {
                    let reconnected = worker.reconnect(&mut remote)?;
                    self.tell(Report::Reconnected(Box::new(reconnected)));
                }
                Command::Prepare(trial, port, places) => {
                    worker.hand_over_to(port);
                    worker.tell_apart(places);
                    let tally = worker.trial(&trial, || self.barrier(), &mut remote)?;
                    self.tell(Report::Done(Box::new(tally)));
                }
                Command::Go(_) => {}
                Command::Goodbye => return worker.say_goodbye(),
            }
        }
    }

    /// Tells that all is laid out, and waits for the start: the same instant for all workers.
    fn barrier(&self) -> Nanos {
        self.tell(Report::Ready);
        match self.inbox.recv() {
            Ok(Command::Go(start)) => start,
            // The coordinator gave up: the trial will be told to end at once.
            _ => Monotonic.now(),
        }
    }
}

/// Tells the coordinator when its thread panics, so that it does not wait for ever.
struct Obituary {
    index: usize,
    report: Sender<(usize, Report)>,
}

impl Drop for Obituary {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = self.report.send((self.index, Report::Panicked));
        }
    }
}
