//! End to end: a burst through the null cluster, every copy accounted for.
//!
//! The whole program on one CPU (connect, probe, send, receive, account) against three relay nodes on
//! the others, beside a tokio-tungstenite client that does the same job there: the same messages
//! rendered before the clock, every copy scanned, held in the same ledger (streams, sequence,
//! duplicates), latency and times of each message recorded. Both must end with every copy once.
//!
//! For each: CPU time of the client per copy (`ns`), copies per second, the client's share of the CPU
//! time that client and cluster took together, and the cluster's per copy. The cluster's is what its
//! processes have in /proc, with their start and in ticks of 10 ms.
//!
//! `cargo bench --bench cluster` (add `-- s3r3` or `-- s64r192`). The second has 256 copies for each
//! message: it sends 20 000 messages, so that a run takes seconds; `-- full` sends its 1 000 000, once.

#[expect(dead_code, reason = "rows of one figure, which other benches print")]
mod common;
#[path = "common/figures.rs"]
mod figures;
#[path = "../tests/common/plan.rs"]
mod plan;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::Size;
use fanstorm::cluster::{Cluster, ClusterConfig};
use fanstorm::dialect::tag::Tag;
use fanstorm::dialect::text::TextShape;
use fanstorm::dialect::{Dialect, Recognized, Scanner};
use fanstorm::engine::spread::spread;
use fanstorm::engine::{Fleet, Progress, Stop, Watch};
use fanstorm::host::clock::{Clock, Monotonic, thread_cpu_time};
use fanstorm::load::trial::Trial;
use fanstorm::measure::recorder::Recorder;
use fanstorm::measure::sent::SentTimes;
use fanstorm::plan::Plan;
use fanstorm::plan::load::Spec;
use fanstorm::population::sockets::SocketId;
use fanstorm::population::turns::Turns;
use fanstorm::units::Nanos;
use figures::Figures;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

const SUBJECTS: [&str; 2] = ["fanstorm", "tokio_tungstenite"];
const FIGURES: [&str; 4] = ["client_ns", "copies_per_s", "client_share", "cluster_ns"];
const NODES: usize = 3;
const PAYLOAD: usize = 128;
const RUN: u32 = 0x5eed_cafe;
/// A cluster that has lost a copy must not hold the bench for ever.
const PATIENCE: Duration = Duration::from_secs(1_800);

#[derive(Clone, Copy, Debug)]
struct Load {
    push_sockets: u32,
    receivers_per_node: u32,
    messages: u64,
}

impl Load {
    fn copies(&self) -> u64 {
        self.messages * u64::from(self.push_sockets + NODES as u32 * self.receivers_per_node)
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let full = args.iter().any(|arg| arg == "full");
    let size = Size::from_env();
    let size = if full { Size { rounds: 1, ..size } } else { size };
    let load = |push_sockets, receivers_per_node, messages| Load {
        push_sockets,
        receivers_per_node,
        messages: size.of(messages),
    };
    let wide = load(64, 64, if full { 1_000_000 } else { 20_000 });
    for (name, load) in [("s3r3", load(3, 1, 1_000_000)), ("s64r192", wide)] {
        let named: Vec<_> = args.iter().filter(|arg| *arg != "full").collect();
        if named.is_empty() || named.iter().any(|only| *only == name) {
            println!("{name}: {} messages, {} copies", load.messages, load.copies());
            figures::interleave(("cluster", name), size, FIGURES, &SUBJECTS, |subject| {
                measure(subject, load)
            });
        }
    }
}

/// What a client had to do and what it took.
struct Run {
    cpu: Nanos,
    wall: Nanos,
}

/// One run of a subject against a cluster of its own.
fn measure(subject: &'static str, load: Load) -> Figures<4> {
    let client = common::cpus().0;
    let others = core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|cpu| cpu.id);
    let cluster = Cluster::start(&ClusterConfig {
        nodes: NODES,
        relay: true,
        cpus: others.filter(|&cpu| cpu != client).collect(),
        executable: Some(env!("CARGO_BIN_EXE_fanstorm").into()),
        ..ClusterConfig::default()
    });
    let cluster = cluster.unwrap_or_else(|error| panic!("{error}"));
    let mut plan = plan(&cluster, load);
    plan.generator.cores = vec![client];
    let run = std::thread::scope(|scope| {
        // Named, so that a profile can be cut by subject.
        let thread = std::thread::Builder::new().name(subject.to_owned());
        let run = || match subject {
            "fanstorm" => fanstorm(&plan, load),
            "tokio_tungstenite" => tokio_tungstenite(&plan, load, client),
            other => unreachable!("{other}"),
        };
        thread.spawn_scoped(scope, run).expect("a thread").join().expect("the subject ran")
    });
    let (copies, of_cluster) = (load.copies() as f64, cluster.cpu_time());
    let share = run.cpu.0 as f64 / run.cpu.plus(of_cluster).0 as f64;
    let per_s = copies / run.wall.as_secs_f64();
    [run.cpu.0 as f64 / copies, per_s, share, of_cluster.0 as f64 / copies]
}

fn plan(cluster: &Cluster, load: Load) -> Plan {
    let spec = Spec {
        dialect: Dialect::raw(),
        push_sockets: load.push_sockets,
        receivers_per_node: Some(load.receivers_per_node),
        trials: Trial::bursts(&[load.messages]),
        payload_bytes: PAYLOAD as u64,
        ..Spec::default()
    };
    plan::plan(cluster.node_urls(), spec)
}

struct Quiet;

impl Watch for Quiet {
    fn progress(&mut self, _: &Progress) {}
}

/// The program as it is.
fn fanstorm(plan: &Plan, load: Load) -> Run {
    let fleet = Fleet::connect(Arc::new(plan.clone()), &Stop::default(), &mut Quiet);
    let mut fleet = fleet.unwrap_or_else(|error| panic!("{error}"));
    let measured = fleet.trial(&plan.trials[0], true, &mut Quiet);
    let run = measured.unwrap_or_else(|error| panic!("{error}")).outcome;
    assert!(run.complete() && run.delivery.foreign == 0, "{:?}", run.delivery);
    assert_eq!(run.delivery.delivered, load.copies());
    Run { cpu: run.cores[0].cpu_time, wall: run.receive_time.expect("copies came") }
}

/// The account that the rival keeps, the same as a worker's.
struct Account {
    scanner: Scanner,
    recorder: Recorder,
    sent: Arc<SentTimes>,
}

impl Account {
    fn new(plan: &Plan, load: Load) -> Self {
        let counts = Turns::new(load.push_sockets).share(load.messages);
        let sent = Arc::new(SentTimes::new(&counts));
        let scanner = Scanner::new(&plan.dialect, &text(), RUN);
        let nodes = plan.nodes.len();
        let recorder =
            Recorder::new(seats(plan), nodes, &counts, &plan.audience, false, Arc::clone(&sent));
        Self { scanner, recorder, sent }
    }

    fn hear(&mut self, socket: u32, message: &[u8]) {
        let (recorder, at) = (&mut self.recorder, Monotonic.now());
        self.scanner.scan(message, &mut |sighting| match sighting {
            Recognized::Copy { sender, sequence, .. } => {
                recorder.copy(socket, sender, sequence, None, at);
            }
            other => panic!("{other:?}"),
        });
    }

    fn check(&self, load: Load) {
        let counts = self.recorder.counts;
        assert_eq!(counts.delivered, load.copies(), "{counts:?}");
        let faults = counts.duplicate + counts.foreign + counts.corrupt + counts.out_of_order;
        assert_eq!(faults, 0, "{counts:?}");
    }
}

fn text() -> TextShape {
    TextShape::new(PAYLOAD).expect("long enough")
}

/// All sockets, by number.
fn seats(plan: &Plan) -> Vec<SocketId> {
    let mut seats: Vec<SocketId> =
        spread(plan.population(), plan.generator.workers()).into_iter().flatten().collect();
    seats.sort_by_key(|seat| seat.socket);
    seats
}

/// The texts of one push socket, finished.
fn texts(sender: u32, count: u32) -> Vec<Utf8Bytes> {
    let (dialect, text) = (Dialect::raw(), text());
    let mut arena = Vec::with_capacity(count as usize * PAYLOAD);
    for sequence in 0..count.into() {
        dialect.render(&text, Tag { run: RUN, sender: sender as u16, sequence }, &mut arena);
    }
    let arena = Bytes::from(arena);
    let at = (0..arena.len()).step_by(PAYLOAD).map(|at| arena.slice(at..at + PAYLOAD));
    at.map(|text| Utf8Bytes::try_from(text).expect("ASCII")).collect()
}

/// tokio-tungstenite on a current-thread runtime: a task for each socket that reads, and one for
/// each push socket that feeds its messages, which leave as its write buffer fills.
fn tokio_tungstenite(plan: &Plan, load: Load, cpu: usize) -> Run {
    common::pin(cpu);
    let account = Rc::new(RefCell::new(Account::new(plan, load)));
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
    let local = tokio::task::LocalSet::new();
    let run = local.block_on(&runtime, async {
        let run = tokio::time::timeout(PATIENCE, exchange(plan, load, &account));
        run.await.expect("every copy comes")
    });
    drop(local);
    account.borrow().check(load);
    run
}

async fn exchange(plan: &Plan, load: Load, account: &Rc<RefCell<Account>>) -> Run {
    let sockets = connect(plan).await;
    let counts = Turns::new(load.push_sockets).share(load.messages);
    let texts: Vec<_> = (0..).zip(&counts).map(|(sender, &count)| texts(sender, count)).collect();
    let mut texts = texts.into_iter();
    let done = Rc::new(tokio::sync::Notify::new());
    let (begin, cpu) = (Monotonic.now(), thread_cpu_time());
    for (number, socket) in sockets.into_iter().enumerate() {
        let (mut sink, mut stream) = socket.split();
        if let Some(texts) = texts.next() {
            let sent = Arc::clone(&account.borrow().sent);
            tokio::task::spawn_local(async move {
                for (sequence, text) in (0..).zip(texts) {
                    sent.stamp(number, sequence, sequence + 1, Monotonic.now());
                    sink.feed(Message::Text(text)).await.expect("the node reads");
                }
                sink.flush().await.expect("the node reads");
            });
        }
        let (account, done) = (Rc::clone(account), Rc::clone(&done));
        tokio::task::spawn_local(async move {
            while let Some(Ok(message)) = stream.next().await {
                let mut account = account.borrow_mut();
                account.hear(number as u32, &message.into_data());
                if account.recorder.counts.delivered == load.copies() {
                    done.notify_one();
                }
            }
        });
    }
    done.notified().await;
    let cpu = thread_cpu_time().since(cpu);
    Run { cpu, wall: account.borrow().recorder.last_copy.since(begin) }
}

/// All sockets, upgraded, and known to their nodes: each has heard a first message.
async fn connect(plan: &Plan) -> Vec<WebSocketStream<TcpStream>> {
    let mut sockets = Vec::new();
    for seat in seats(plan) {
        let node = &plan.nodes[seat.node as usize];
        let stream = TcpStream::connect(node.addr).await.expect("connected");
        stream.set_nodelay(true).expect("an option");
        let upgraded = tokio_tungstenite::client_async(&node.url, stream).await;
        sockets.push(upgraded.expect("upgraded").0);
    }
    // A node may have answered the upgrade before it knows the client.
    tokio::time::sleep(Duration::from_millis(100)).await;
    sockets[0].send(Message::text("is everyone here?")).await.expect("the node reads");
    for socket in &mut sockets {
        socket.next().await.expect("open").expect("a copy");
    }
    sockets
}
