//! `--metrics`: the port where a run is scraped, and the thread that serves it.
//!
//! Belongs here: binding, the thread and where it runs, how long it goes on after the run. Does not: who
//! connects (`clients`), what they ask (`http`), what they are told (`report::metrics`).
//!
//! A server for HTTP was weighed: `tiny_http` starts a thread for each client and lets a slow one take as long
//! as it likes, and the others bring an executor. What scrapers speak is a line and some headers, which
//! `httparse` reads here as it does for the upgrade.

mod clients;
mod http;

use std::io::{self, ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::setpriority_process;

use self::clients::Clients;
use super::busy::busy_cpus;
use crate::host::clock::{Clock, Monotonic};
use crate::host::cpus;
use crate::host::io_words::unnumbered;
use crate::report::document::Document;
use crate::report::metrics::exposition::{Format, text};
use crate::report::metrics::{Metrics, Phase};
use crate::units::Nanos;

/// The port on which OpenTelemetry's exporter for Prometheus listens, so that it is known to be of this kind.
const PORT_FOR_EXAMPLE: u16 = 9464;
/// While a run is over and is still served, so often it is looked whether it should end.
const LOOK: Duration = Duration::from_millis(50);
/// Behind the workers, where it has to share a CPU with one.
const NICE: i32 = 10;

/// Where `--metrics` listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricsAddr(SocketAddr);

/// It is no such place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "where to listen: a port of this host's loopback, as {PORT_FOR_EXAMPLE} or :{PORT_FOR_EXAMPLE}, or an \
     address and its port, as 0.0.0.0:{PORT_FOR_EXAMPLE} or [::1]:{PORT_FOR_EXAMPLE}"
)]
pub struct WrongMetricsAddrError;

impl FromStr for MetricsAddr {
    type Err = WrongMetricsAddrError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let port = text.strip_prefix("localhost:").or_else(|| text.strip_prefix(':'));
        let port = port.unwrap_or(text);
        if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) {
            let port = port.parse().map_err(|_| WrongMetricsAddrError)?;
            return Ok(Self((IpAddr::V4(Ipv4Addr::LOCALHOST), port).into()));
        }
        text.parse().map(Self).map_err(|_| WrongMetricsAddrError)
    }
}

/// Nobody can scrape there.
#[derive(Debug, thiserror::Error)]
#[error("--metrics {addr}: {}", why(source))]
pub struct MetricsError {
    addr: SocketAddr,
    source: io::Error,
}

fn why(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => "another program listens there; give another port".to_owned(),
        ErrorKind::AddrNotAvailable => "this host has no such address".to_owned(),
        ErrorKind::PermissionDenied => {
            "this user may not listen there; give a port above 1023".to_owned()
        }
        _ => unnumbered(error),
    }
}

impl MetricsError {
    /// The flag is wrong, and not the host.
    pub fn is_wrong_flag(&self) -> bool {
        self.source.kind() == ErrorKind::AddrNotAvailable
    }
}

/// What is served, as the run changes it.
#[derive(Clone, Debug)]
pub struct Feed(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// With a number that changes with them.
    metrics: Mutex<(u64, Metrics)>,
    /// Where the thread should run; beyond all CPUs while that is not known.
    cpu: AtomicUsize,
}

impl Feed {
    /// Changes it.
    pub fn update(&self, change: impl FnOnce(&mut Metrics)) {
        let (number, metrics) = &mut *self.lock();
        *number += 1;
        change(metrics);
    }

    fn lock(&self) -> MutexGuard<'_, (u64, Metrics)> {
        self.0.metrics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that serves, and its port.
#[derive(Debug)]
pub struct Server {
    feed: Feed,
    addr: SocketAddr,
    /// Whether standard error is told.
    says: bool,
    /// Dropped: the thread ends.
    going: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Begins to listen.
    ///
    /// # Errors
    /// Nobody can listen there, or no thread can be started.
    pub fn open(
        MetricsAddr(addr): MetricsAddr,
        metrics: Metrics,
        says: bool,
    ) -> Result<Self, MetricsError> {
        let opened = || {
            let listener = TcpListener::bind(addr)?;
            listener.set_nonblocking(true)?;
            let addr = listener.local_addr()?;
            let (going, end) = UnixStream::pair()?;
            let metrics = Mutex::new((0, metrics));
            let feed = Feed(Arc::new(Shared { metrics, cpu: AtomicUsize::new(usize::MAX) }));
            let served = feed.clone();
            let serves = move || serve(listener, end, &served);
            let thread = thread::Builder::new().name("metrics".into()).spawn(serves)?;
            Ok(Self { feed, addr, says, going: Some(going), thread: Some(thread) })
        };
        opened().map_err(|source| MetricsError { addr, source })
    }

    /// Where it is scraped.
    pub fn url(&self) -> String {
        format!("http://{}/metrics", self.addr)
    }

    /// Tells whoever started the run, unless nothing is to be said.
    pub fn say(&self, text: &str) {
        if self.says {
            // Where standard error is gone there is nobody to tell.
            let _ = writeln!(io::stderr(), "metrics: {text}");
        }
    }

    /// What is served.
    pub fn feed(&self) -> Feed {
        self.feed.clone()
    }

    /// It is known what is run and where: from here on the thread keeps off those CPUs, where there are others.
    pub fn plan(&self, begun: &Document) {
        self.feed.update(|metrics| metrics.plan(begun));
        let busy = busy_cpus(begun);
        if let Some(cpu) = cpus::allowed().into_iter().find(|cpu| !busy.contains(cpu)) {
            self.feed.0.cpu.store(cpu, Ordering::Relaxed);
        }
    }

    /// Goes on serving for so long, or until a signal comes.
    pub fn linger(&self, long: Nanos, signal: &AtomicBool) {
        let until = Monotonic.now().plus(long);
        while Monotonic.now() < until && !signal.load(Ordering::SeqCst) {
            thread::sleep(LOOK);
        }
    }
}

/// Ends the thread.
impl Drop for Server {
    fn drop(&mut self) {
        self.going.take();
        if let Some(thread) = self.thread.take() {
            // If it panicked, its message has been printed.
            let _ = thread.join();
        }
    }
}

fn serve(listener: TcpListener, end: UnixStream, feed: &Feed) {
    // Where it may not give way it runs like all else.
    let _ = setpriority_process(None, NICE);
    let mut pages = Pages::default();
    let mut pinned = usize::MAX;
    Clients::new(listener, end, |format| pages.page(feed, format)).serve(|| {
        let cpu = feed.0.cpu.load(Ordering::Relaxed);
        if cpu != pinned {
            pinned = cpu;
            core_affinity::set_for_current(core_affinity::CoreId { id: cpu });
        }
    });
}

/// What was served last: whoever asks again and again is not worth the work.
#[derive(Default)]
struct Pages {
    number: u64,
    open_metrics: Option<Arc<str>>,
    prometheus: Option<Arc<str>>,
}

impl Pages {
    fn page(&mut self, feed: &Feed, format: Format) -> Arc<str> {
        let guard = feed.lock();
        if guard.0 != self.number {
            *self = Self { number: guard.0, ..Self::default() };
        }
        let kept = match format {
            Format::OpenMetrics => &mut self.open_metrics,
            Format::Prometheus => &mut self.prometheus,
        };
        if let Some(kept) = kept {
            return Arc::clone(kept);
        }
        let metrics = guard.1.clone();
        // Written while the run goes on.
        drop(guard);
        Arc::clone(kept.insert(text(&metrics, format).into()))
    }
}

/// The phase of a run, as it is served.
pub const fn phase(phase: crate::engine::Phase) -> Phase {
    use crate::engine::Phase as Engine;
    match phase {
        Engine::Connecting => Phase::Connect,
        Engine::Probing => Phase::Probe,
        Engine::Preparing { .. } => Phase::Prepare,
        Engine::Running { .. } => Phase::Run,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_loopbacks_and_any_other_address_is_said_in_full() {
        for (text, addr) in [
            ("9464", "127.0.0.1:9464"),
            (":9464", "127.0.0.1:9464"),
            ("localhost:0", "127.0.0.1:0"),
            ("0.0.0.0:9464", "0.0.0.0:9464"),
            ("[::1]:9464", "[::1]:9464"),
        ] {
            assert_eq!(text.parse(), Ok(MetricsAddr(addr.parse().unwrap())), "{text}");
        }
        for text in ["", ":", "65536", "host:9464", "10.0.0.1", "::1", "-1", "9464/metrics"] {
            assert_eq!(text.parse::<MetricsAddr>(), Err(WrongMetricsAddrError), "{text}");
        }
    }
}
