//! The fleet: one worker thread on each chosen core, and the phases that they go through together.
//!
//! Belongs here: threads, pinning, barriers, the end of each phase. Does not: a phase's work (`worker`).
//!
//! Nothing is shared between workers while the clock runs but read-only data and the sent times, each
//! written once by one of them. A worker tells how far it is in its own cache line.

mod readiness;
mod rows;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread;
use std::time::Duration;

use super::drain::DrainWatch;
use super::orders::{Command, Probed, Report};
use super::ring::epoll::EpollRing;
use super::ring::several::SeveralRings;
use super::ring::uring::UringRing;
use super::ring::{Ring, RingConfig};
use super::spread::spread;
use super::worker::{Directive, TrialPlan, Worker, WorkerShard};
use super::{EngineError, Phase, Progress, Stop, Surroundings, Watch};
use crate::dialect::text::TextShape;
use crate::engine::min_connected;
use crate::engine::progress_board::{Board, EndAll, WorkerHandle};
use crate::host::clock::{self, Clock, Monotonic};
use crate::host::facts::{HostCounters, WORKER_THREADS};
use crate::load::trial::Trial;
use crate::measure::connecting::{Connecting, Failure};
use crate::measure::late::Past;
use crate::measure::outcome::{Ending, Outcome, TrialOutcome};
use crate::measure::sent::SentTimes;
use crate::measure::series::Collector;
use crate::measure::tally::{Row, Tally};
use crate::plan::Plan;
use crate::plan::backend::Engine;
use crate::population::sockets::SocketId;
use crate::units::Nanos;
use crate::verdict;

/// How often the coordinator looks at the workers: often enough to end a row without a pause that a
/// person feels, seldom enough to cost a shared core nothing.
const LOOK: Duration = Duration::from_millis(5);
/// The same where all that can come has come, and what is waited for is a moment of silence.
const LOOK_AT_SILENCE: Duration = Duration::from_millis(1);
/// From the start signal to the first message that may be due: longer than it takes to wake every
/// worker.
const START_LEAD: Nanos = Nanos::from_millis(5);

/// Runs a plan: connects, probes, runs every row, closes. Every row that was measured reaches `watch`
/// and the outcome, also when it ended badly.
///
/// # Errors
/// See [`EngineError`].
pub fn run(
    plan: &Plan,
    surroundings: Surroundings,
    stop: &Stop,
    watch: &mut dyn Watch,
) -> Result<Outcome, EngineError> {
    let slices = spread(plan);
    let board = Board::new(slices.len());
    let (report, reports) = channel();
    thread::scope(|scope| {
        let mut commands = Vec::new();
        for (index, seats) in slices.iter().enumerate() {
            let (command, inbox) = channel();
            commands.push(command);
            let seat = Thread { plan, seats, index, board: &board, inbox, report: report.clone() };
            let thread = thread::Builder::new().name(format!("{WORKER_THREADS}{index}"));
            thread.spawn_scoped(scope, move || seat.run()).map_err(EngineError::NoThread)?;
        }
        drop(report);
        let board = &board;
        let _end = EndAll(board);
        let hears = |seats: &Vec<SocketId>| {
            seats.iter().filter(|seat| seat.node as usize == plan.push_node()).count()
        };
        let hearing = slices.iter().map(hears).collect();
        Coordinator {
            plan,
            surroundings,
            stop,
            watch,
            board,
            commands,
            reports,
            hearing,
            connecting: Connecting::default(),
            past: Past::new(plan.audience.clone()),
        }
        .drive()
    })
}

/// A worker's thread.
struct Thread<'a> {
    plan: &'a Plan,
    seats: &'a [SocketId],
    index: usize,
    board: &'a Board,
    inbox: Receiver<Command>,
    report: Sender<(usize, Report)>,
}

impl Thread<'_> {
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
        let cpu = self.plan.cores[self.index];
        if !core_affinity::set_for_current(core_affinity::CoreId { id: cpu }) {
            return Err(io::Error::other(format!("CPU {cpu} of --cores is not ours to use")));
        }
        // On this very thread: a ring belongs to the one that builds it.
        let (size, rings) =
            (RingConfig::for_sockets(self.seats.len() as u32), self.plan.rings_each);
        let size = if self.plan.direct { size.direct(rings) } else { size };
        match self.plan.engine {
            Engine::IoUring if rings > 1 => self.work(cpu, SeveralRings::new(size, rings)?),
            Engine::IoUring => self.work(cpu, UringRing::new(size)?),
            Engine::Epoll => self.work(cpu, EpollRing::new(size)?),
        }
    }

    fn work<R: Ring>(&self, cpu: usize, ring: R) -> io::Result<()> {
        let mut rng = fastrand::Rng::with_seed(self.plan.key_seed());
        let rng = (0..=self.index).map(|_| rng.fork()).last().unwrap_or(rng);
        let lane = WorkerShard { index: self.index, of: self.plan.workers() };
        let mut worker = Worker::new(self.plan, ring, Monotonic, self.seats, rng).in_lane(lane);
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
                WorkerHandle::new(self.board, self.index, || self.tell(Report::Complete));
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
                Command::Prepare(row, port) => {
                    worker.hand_over_to(port);
                    let mut tally = worker.row(&row, || self.barrier(), &mut remote)?;
                    tally.core.cpu = cpu;
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
            // The coordinator gave up: the row will be told to end at once.
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

/// Leads the workers through the phases.
struct Coordinator<'a> {
    plan: &'a Plan,
    surroundings: Surroundings,
    stop: &'a Stop,
    watch: &'a mut dyn Watch,
    board: &'a Board,
    commands: Vec<Sender<Command>>,
    reports: Receiver<(usize, Report)>,
    /// Sockets of each worker that hear the text of every message.
    hearing: Vec<usize>,
    connecting: Connecting,
    past: Past,
}

impl Coordinator<'_> {
    fn drive(&mut self) -> Result<Outcome, EngineError> {
        let result = self.phases();
        // Whatever happened, no worker may wait for us.
        drop(EndAll(self.board));
        self.tell(|| Command::Goodbye);
        self.commands.clear();
        result
    }

    fn phases(&mut self) -> Result<Outcome, EngineError> {
        self.await_all(|_, _| None, |report| matches!(report, Report::Built).then_some(()))?;
        self.connect()?;
        let text = TextShape::new(self.plan.payload_bytes).map_err(|error| EngineError::Host {
            doing: "--payload-bytes".into(),
            source: io::Error::other(error.to_string()),
        })?;
        // Not from --seed: two invocations must not take each other's messages for their own, and a
        // cluster may replay an earlier one's from its database.
        let nonce = fastrand::Rng::new().u32(..);
        self.probe(&text, nonce)?;
        self.past = Past::of_probe(self.plan.audience.clone(), nonce, Monotonic.now());
        self.rows(&text, nonce)
    }

    fn tell(&self, command: impl Fn() -> Command) {
        for worker in &self.commands {
            // A worker that is gone has said why; its report is read where it is awaited.
            let _ = worker.send(command());
        }
    }

    /// Waits until every worker has answered. `look` is called again and again meanwhile and may say
    /// what the workers are to do.
    fn await_all<T>(
        &mut self,
        mut look: impl FnMut(&mut Self, Nanos) -> Option<Directive>,
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
            if let Some(directive) = look(self, Monotonic.now()) {
                self.board.direct(directive);
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }

    fn connect(&mut self) -> Result<(), EngineError> {
        self.board.reset();
        let start = Monotonic.now();
        self.tell(|| Command::Connect);
        let total = self.plan.sockets();
        let look = |this: &mut Self, _| {
            let done = this.board.progress().seen;
            this.watch.progress(&Progress { phase: Phase::Connecting, done, total });
            this.stop.requested().then_some(Directive::End)
        };
        let answers = self.await_all(look, |report| match report {
            Report::Connected(failures, dialled) => Some((failures, *dialled)),
            _ => None,
        })?;
        self.interrupted()?;
        let (failures, dialled): (Vec<_>, Vec<_>) = answers.into_iter().unzip();
        self.connecting = Connecting::merge(self.plan, start, &dialled, &[]);
        self.enough(&failures)
    }

    fn interrupted(&self) -> Result<(), EngineError> {
        if self.stop.requested() { Err(EngineError::Interrupted) } else { Ok(()) }
    }

    /// Whether the sockets that are there are as many as there must be. `failures` are the new ones,
    /// by worker.
    fn enough(&mut self, failures: &[Vec<Failure>]) -> Result<(), EngineError> {
        self.connecting.lose(self.plan, &failures.concat());
        for (worker, failures) in failures.iter().enumerate() {
            let hears = |failure: &&Failure| failure.seat.node as usize == self.plan.push_node();
            self.hearing[worker] -= failures.iter().filter(hears).count();
        }
        min_connected::reached(self.plan, &self.connecting, &self.hearing)
    }

    fn row(
        &mut self,
        trial: &Trial,
        text: &TextShape,
        run: u32,
        is_last: bool,
    ) -> Result<TrialOutcome, EngineError> {
        let messages = trial.messages;
        let counts: Arc<[u32]> = self.plan.population().turns().share(messages).into();
        let sent = Arc::new(SentTimes::new(&counts));
        let schedule = trial.schedule();
        let plan = TrialPlan {
            trial: trial.clone(),
            run,
            text: text.clone(),
            counts,
            lay_all: self.plan.lays_all(messages, text),
            sent: Arc::clone(&sent),
            schedule: schedule.clone(),
        };
        self.board.reset();
        let workers = self.commands.len();
        let (collector, ports) = Collector::new(self.plan, trial, schedule.clone(), workers);
        let mut collector = collector.of(self.connecting.there(self.plan));
        for (worker, port) in self.commands.iter().zip(ports) {
            // As in `tell`.
            let _ = worker.send(Command::Prepare(plan.clone(), port));
        }
        let preparing = |this: &mut Self, _| {
            let phase = Phase::Preparing { messages };
            this.watch.progress(&Progress { phase, done: 0, total: 0 });
            None
        };
        self.await_all(preparing, |report| matches!(report, Report::Ready).then_some(()))?;
        if self.stop.requested() {
            return self.called_off();
        }
        // A schedule begins when every worker has surely heard of it.
        let lead = if schedule.is_some() { START_LEAD } else { Nanos::ZERO };
        let mut host_before = HostCounters::read();
        let started_unix_ms = clock::unix_ms();
        let start = Monotonic.now().plus(lead);
        self.tell(|| Command::Go(start));
        collector.begin(start);
        let last_due = start.plus(schedule.map_or(Nanos::ZERO, |schedule| schedule.last()));
        let (tallies, ending) =
            self.running(trial, (last_due, is_last), &mut collector, &mut host_before)?;
        let (host_after, ended) = (HostCounters::read(), Monotonic.now());
        let row = Row { plan: self.plan, trial, sent: &sent, ending };
        let (mut outcome, recorders) = row.merge_with(tallies, collector, &mut self.past);
        if !is_last {
            self.past.keep(run, ended, recorders);
        }
        outcome.started_unix_ms = started_unix_ms;
        let process_cpu = host_before.process_cpu.zip(host_after.process_cpu);
        outcome.process_cpu = process_cpu.map(|(before, after)| after.since(before));
        outcome.caveats = verdict::judge(&verdict::Evidence {
            outcome: &outcome,
            rate: trial.profile.rate(),
            host_before: &host_before,
            host_after: &host_after,
            cpus_allowed: self.surroundings.cpus_allowed,
            beside: self.surroundings.beside,
            shortfalls: &self.surroundings.shortfalls,
            smt_siblings: &self.surroundings.smt_siblings,
        });
        outcome.caveats.extend(verdict::left_out(&self.connecting, self.plan.dialing.least));
        outcome.caveats.sort_by_key(|caveat| std::cmp::Reverse(caveat.severity));
        Ok(outcome)
    }

    /// Ends a row that is laid out and has not begun: nothing of it leaves.
    fn called_off(&mut self) -> Result<TrialOutcome, EngineError> {
        self.board.direct(Directive::End);
        self.tell(|| Command::Go(Monotonic.now()));
        self.await_all(|_, _| None, |report| matches!(report, Report::Done(_)).then_some(()))?;
        Err(EngineError::Interrupted)
    }

    fn running(
        &mut self,
        trial: &Trial,
        (last_due, is_last): (Nanos, bool),
        collector: &mut Collector,
        host_before: &mut HostCounters,
    ) -> Result<(Vec<Tally>, Ending), EngineError> {
        let messages = trial.messages;
        let total = self.connecting.there(self.plan).expected(messages);
        let mut warming = trial.warmup > Nanos::ZERO;
        let mut drain =
            DrainWatch::new(self.plan.drain, Monotonic.now()).not_before(last_due).last(is_last);
        let mut ending = None;
        let look = |this: &mut Self, now: Nanos| {
            let progress = this.board.progress();
            let phase = Phase::Running { messages };
            this.watch.progress(&Progress { phase, done: progress.delivered, total });
            for interval in collector.collect() {
                this.watch.interval(interval);
            }
            if warming && now >= collector.measured_from() {
                // What happened to the host in the warm-up says nothing of what is measured.
                warming = false;
                *host_before = HostCounters::read();
            }
            if this.stop.requested() {
                drain.interrupt(now);
            }
            ending = ending.or_else(|| drain.look(progress, now));
            match (ending, this.stop.requested()) {
                (Some(_), _) => Some(Directive::End),
                (None, true) => Some(Directive::StopSending),
                (None, false) => None,
            }
        };
        let tallies = self.await_all(look, |report| match report {
            Report::Done(tally) => Some(*tally),
            _ => None,
        })?;
        Ok((tallies, ending.unwrap_or(Ending::Interrupted)))
    }
}
