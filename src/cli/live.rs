//! The terminal while `--live` shows a run: a screen of its own, given back as it was found.
//!
//! Belongs here: the terminal's modes, the thread that draws, and giving the screen back whatever ends the
//! run. Does not: what is drawn (`report::live`).
//!
//! Keys are left to the terminal: Ctrl-C is a signal as ever, and nothing reads standard input. While the
//! screen is ours no signal may end the program by itself, or the terminal would stay without its cursor:
//! the thread looks for signals, gives the screen back, and ends the program then.

use std::io::{self, BufWriter, IsTerminal, Stderr, Write, stderr};
use std::panic;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ratatui::backend::TermionBackend;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use super::busy::busy_cpus;
use super::exit::Exit;
use super::signals::Watched;
use crate::engine::Snapshot;
use crate::host::clock::{Clock, Monotonic};
use crate::host::cpus;
use crate::measure::latencies::Latencies;
use crate::measure::percentile::Percentile;
use crate::report::document::Document;
use crate::report::live::{Latency, Live, Second, draw};
use crate::report::progress::is_dumb;
use crate::report::story::{Row, Story, Table};
use crate::report::text::Text;
use crate::units::Nanos;

/// Between two looks at signals and the size of the terminal.
const LOOK: Duration = Duration::from_millis(50);
/// Looks between two pictures: four a second.
const LOOKS_A_PICTURE: u32 = 5;

/// How often a panic looks, once a millisecond, whether a picture is finished.
const PATIENCE_LOOKS: u32 = 50;

/// The alternate screen, without a cursor.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[2J";
const LEAVE: &[u8] = b"\x1b[?25h\x1b[?1049l";

/// The terminal's modes as they were found, while the screen is ours.
static FOUND: Mutex<Option<Termios>> = Mutex::new(None);

/// Whether standard error is a terminal that a screen can be drawn on.
pub fn is_possible() -> bool {
    stderr().is_terminal() && !is_dumb(std::env::var_os("TERM").as_deref())
}

/// The screen, and the thread that draws on it.
pub struct Screen {
    live: Arc<Mutex<Live>>,
    /// Dropped: the thread ends.
    going: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Screen {
    /// Takes the terminal. The thread that draws keeps off the CPUs in `busy` where there are others.
    ///
    /// # Errors
    /// The terminal does not tell its modes, or no thread can be started.
    pub fn open(live: Live, busy: &[usize], signals: Watched) -> io::Result<Self> {
        let live = Arc::new(Mutex::new(live));
        enter()?;
        give_back_before_panics(Arc::clone(&live));
        let (going, gone) = channel();
        let quiet = cpus::allowed().into_iter().find(|cpu| !busy.contains(cpu));
        let shown = Arc::clone(&live);
        let draws = move || {
            if let Some(id) = quiet {
                // Where it cannot be pinned it runs where the kernel puts it.
                core_affinity::set_for_current(core_affinity::CoreId { id });
            }
            let mut painter = Painter::new(shown, signals);
            while gone.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                painter.look();
            }
        };
        let thread = thread::Builder::new().name("live".into()).spawn(draws);
        if thread.is_err() {
            leave();
        }
        let thread = thread?;
        Ok(Self { live, going: Some(going), thread: Some(thread) })
    }

    /// Changes what is shown.
    pub fn update(&self, change: impl FnOnce(&mut Live)) {
        change(&mut lock(&self.live));
    }

    /// Runs `print` on the screen that was there before, where its lines stay.
    pub fn suspend<R>(&self, print: impl FnOnce() -> R) -> R {
        // Nothing is drawn meanwhile: the thread needs what is locked here for each picture.
        let _still = lock(&self.live);
        let was_ours = leave();
        let printed = print();
        if was_ours {
            // The run goes on without its picture where the terminal is gone.
            let _ = enter();
            REDRAW.store(true, Ordering::Relaxed);
        }
        printed
    }
}

/// What a panic says is to stand on the screen that stays, and no half of a picture behind it.
fn give_back_before_panics(live: Arc<Mutex<Live>>) {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        // Whoever panics may hold it: then it is not waited for.
        let still = (0..PATIENCE_LOOKS).find_map(|_| {
            let still = live.try_lock().ok();
            if still.is_none() {
                thread::sleep(Duration::from_millis(1));
            }
            still
        });
        leave();
        drop(still);
        before(panic);
    }));
}

/// Gives the terminal back.
impl Drop for Screen {
    fn drop(&mut self) {
        self.going.take();
        if let Some(thread) = self.thread.take() {
            // If it panicked, its message has been printed.
            let _ = thread.join();
        }
        leave();
    }
}

/// The terminal does not show what we drew last.
static REDRAW: AtomicBool = AtomicBool::new(false);

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind it is only looked at: half a change is better than none.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn enter() -> io::Result<()> {
    let terminal = stderr();
    let found = tcgetattr(&terminal)?;
    let mut silent = found.clone();
    // What is typed would stand in the picture. Signals are still made of keys (ISIG).
    silent.local_modes -= LocalModes::ECHO;
    tcsetattr(&terminal, OptionalActions::Now, &silent)?;
    *lock(&FOUND) = Some(found);
    (&terminal).write_all(ENTER)
}

/// Gives the screen back, once. Returns whether it was ours.
fn leave() -> bool {
    let Some(found) = lock(&FOUND).take() else { return false };
    let terminal = stderr();
    // Where the terminal is gone nobody sees it.
    let _ = (&terminal).write_all(LEAVE);
    let _ = tcsetattr(&terminal, OptionalActions::Now, &found);
    true
}

/// What the thread has.
struct Painter {
    live: Arc<Mutex<Live>>,
    signals: Watched,
    terminal: Option<Terminal<TermionBackend<BufWriter<Stderr>>>>,
    size: Rect,
    looks: u32,
    colour: bool,
    began: Nanos,
}

impl Painter {
    fn new(live: Arc<Mutex<Live>>, signals: Watched) -> Self {
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let began = Monotonic.now();
        Self { live, signals, terminal: None, size: Rect::ZERO, looks: 0, colour, began }
    }

    /// Looks for signals, and draws when it is time for it.
    fn look(&mut self) {
        if self.signals.ends_the_program() {
            leave();
            process::exit(Exit::Interrupted.code().into());
        }
        let stopped = self.signals.goes_on() | REDRAW.swap(false, Ordering::Relaxed);
        let size = tcgetwinsize(stderr()).ok();
        let size = size.map_or(self.size, |size| Rect::new(0, 0, size.ws_col, size.ws_row));
        if stopped || size != self.size || self.terminal.is_none() {
            self.size = size;
            self.terminal = self.fresh();
            self.looks = 0;
        }
        let is_due = self.looks.is_multiple_of(LOOKS_A_PICTURE);
        self.looks += 1;
        if is_due {
            // Where the terminal is gone there is nobody to show it to, but signals still come.
            let _ = self.paint();
        }
    }

    fn fresh(&self) -> Option<Terminal<TermionBackend<BufWriter<Stderr>>>> {
        let backend = TermionBackend::new(BufWriter::new(stderr()));
        let viewport = Viewport::Fixed(self.size);
        Terminal::with_options(backend, TerminalOptions { viewport }).ok()
    }

    fn paint(&mut self) -> io::Result<()> {
        let Some(terminal) = &mut self.terminal else { return Ok(()) };
        let live = lock(&self.live);
        if lock(&FOUND).is_none() {
            // A panic gave it back.
            return Ok(());
        }
        if self.looks == 1 {
            stderr().write_all(b"\x1b[2J")?;
        }
        let elapsed = Monotonic.now().since(self.began);
        terminal.draw(|frame| draw(frame, &live, elapsed, self.colour))?;
        Ok(())
    }
}

/// The screen, and what its figures are worked out from.
pub struct LiveView {
    /// Where they are shown.
    pub screen: Screen,
}

impl LiveView {
    /// Of a plan that has only begun.
    ///
    /// # Errors
    /// See [`Screen::open`].
    pub fn open(begun: &Document, signals: Watched) -> io::Result<Self> {
        let trials = Story::of(begun).trials;
        let none = Table { columns: narrow(&trials, &trials.columns), caption: None, ..trials };
        let headings = written(|out| Text::new(false, None).headings(out, &none));
        let screen = Screen::open(Live::of(begun, &headings), &busy_cpus(begun), signals)?;
        Ok(Self { screen })
    }

    /// A second of a trial is over, in which the workers worked for these shares of their time.
    pub fn second(&self, now: &Snapshot<'_>, busy: Vec<f64>) {
        let interval = now.interval;
        let mut whole = Latencies::new();
        let records = if interval.warmup { now.so_far.warmup.as_ref() } else { None };
        let records = records.unwrap_or(&now.so_far.measured);
        records.headline.iter().for_each(|node| whole.add(node));
        let second = Second {
            sent_per_s: interval.per_s(interval.sent),
            copies_per_s: interval.per_s(interval.copies),
            missing: interval.missing_so_far,
            warmup: interval.warmup,
            latency: Latency { p50: interval.p50, p99: interval.p99, max: interval.max },
        };
        let whole = Latency {
            p50: Percentile::P50.of(&whole),
            p99: Percentile::P99.of(&whole),
            max: whole.max(),
        };
        self.screen.update(|live| live.second(second, whole, &now.lost, busy));
    }

    /// A trial is over: its row of the table.
    pub fn trial(&self, begun: &Story, row: &Row) {
        let trials = &begun.trials;
        let columns = narrow(trials, &trials.columns);
        let table = Table { columns, caption: None, rows: Vec::new(), key: trials.key };
        let row = narrow(trials, row);
        let line = written(|out| Text::new(false, None).row(out, &table, &row));
        self.screen.update(|live| live.trial(&line));
    }
}

/// Columns of the trials that fit into 80 characters, or their cells: the others are in the report.
fn narrow<T: Clone>(trials: &Table, all: &[T]) -> Vec<T> {
    let is_shown = |heading| !["send", "receive", "copies/s", "p99.9"].contains(&heading);
    let columns = trials.columns.iter().zip(all);
    columns.filter(|(column, _)| is_shown(column.heading)).map(|(_, one)| one.clone()).collect()
}

fn written(piece: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
    let mut bytes = Vec::new();
    piece(&mut bytes).expect("memory takes every line");
    String::from_utf8_lossy(&bytes).into_owned()
}
