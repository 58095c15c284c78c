//! What TLS adds to receiving a copy: the same plan over `ws` and `wss`, ours beside tokio-tungstenite's.
//!
//! Client CPU time per copy, on a CPU of its own, of one thread that receives what a blaster on another CPU
//! sends, with one frame in a record and with as many as fit. Everybody keeps the same account and is checked
//! for it. `cipher` is the floor: the same records opened by the cipher alone, in place, and nothing
//! understood; what it says is what `wss` must cost more than `ws`.
//!
//! `cargo bench --bench tls` (add `-- burst64` for one shape)

#[path = "common/account.rs"]
mod account;
#[path = "common/blaster.rs"]
mod blaster;
mod common;
#[path = "common/conductors.rs"]
mod conductors;
#[path = "../tests/common/plan.rs"]
mod plan;
#[path = "common/rival.rs"]
mod rival;
#[path = "common/tls_blaster.rs"]
mod tls_blaster;

use account::{check, copies, seats, sent};
use blaster::{Blaster, PAYLOAD, RUN, Shape};
use conductors::{Patient, UntilComplete};
use fanstorm::dialect::{Dialect, TextShape};
use fanstorm::engine::connection::transport::tls::{Shared, Tls};
use fanstorm::engine::connection::transport::{Plain, Transport};
use fanstorm::engine::ring::RingConfig;
use fanstorm::engine::ring::uring::UringRing;
use fanstorm::engine::worker::{TrialPlan, Worker};
use fanstorm::host::clock::{Clock, Monotonic, thread_cpu_time};
use fanstorm::load::trial::Trial;
use fanstorm::plan::load::Spec;
use fanstorm::plan::wait::WaitMode;
use fanstorm::tls::{TlsClient, TlsOptions};
use fanstorm::units::Nanos;
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::pki_types::ServerName;
use tls_blaster::Records;
use tokio_rustls::TlsConnector;

/// `each` has one frame in a record, `full` as many as fit.
const SUBJECTS: [&str; 8] = [
    "ws",
    "wss_each",
    "wss_full",
    "cipher_each",
    "cipher_full",
    "tungstenite_ws",
    "tungstenite_wss_each",
    "tungstenite_wss_full",
];

/// Where a write has one frame both ways of filling records are the same.
const SINGLE: [&str; 5] =
    ["ws", "wss_each", "cipher_each", "tungstenite_ws", "tungstenite_wss_each"];

fn main() {
    if blaster::child() || tls_blaster::child() {
        return;
    }
    let size = common::Size::from_env();
    let shape = |name, batch, frames, rate| Shape {
        name,
        sockets: 64,
        batch,
        frames: size.of(frames).next_multiple_of(batch),
        rate,
    };
    // The first is paced so that each read meets one write.
    let shapes = [
        (shape("paced64", 1, 3_000, 100_000), &SINGLE[..]),
        (shape("burst64", 410, 12_300, 0), &SUBJECTS[..]),
    ];
    let names = [shapes[0].0.name, shapes[1].0.name];
    for (shape, subjects) in shapes {
        if common::wants(shape.name, &names) {
            let run = |name| measure(name, shape);
            let rows = common::interleave("tls", shape.name, size, subjects, run);
            differences(shape.name, &rows);
        }
    }
}

/// What TLS adds, in each round against the plain one beside it; and what one core takes in a second.
fn differences(shape: &str, rows: &[common::Row]) {
    let of = |name: &str| rows.iter().find(|row| row.subject == name);
    for row in rows {
        let plain = if row.subject.starts_with("tungstenite") { "tungstenite_ws" } else { "ws" };
        let (is_cipher, plain) = (row.subject.starts_with("cipher"), of(plain));
        let mut line = format!("tls        {shape:12} {:20}", row.subject);
        if !is_cipher {
            line += &format!("  {:>6.2} M copies/s of a core", 1e3 / row.median());
        }
        if let Some(plain) = plain.filter(|plain| plain.subject != row.subject && !is_cipher) {
            let added = row.ns.iter().zip(&plain.ns).map(|(tls, plain)| tls - plain);
            let added = common::Row { subject: row.subject, ns: added.collect() };
            line += &format!("  {:+.1} ns a copy above {}", added.median(), plain.subject);
        }
        if let Some(theirs) = of(&format!("tungstenite_{}", row.subject)) {
            line += &format!("  {:.1} times tungstenite's", theirs.median() / row.median());
        }
        println!("{line}");
    }
}

/// CPU nanoseconds per copy of one subject, on a fresh thread.
fn measure(subject: &'static str, shape: Shape) -> f64 {
    let (client, peer) = common::cpus();
    let records = if subject.ends_with("each") { Records::Each } else { Records::Full };
    let run = || {
        common::pin(client);
        let tls_blaster = || records.blaster(shape, peer);
        match subject {
            "ws" => worker::<Plain>((), Blaster::start(shape, peer), shape),
            "wss_each" | "wss_full" => {
                let shared = Shared::new(Some(&trusting()), shape.sockets as usize);
                worker::<Tls>(shared, tls_blaster(), shape)
            }
            "cipher_each" | "cipher_full" => cipher(records, shape),
            "tungstenite_ws" => {
                rival::receive(Blaster::start(shape, peer), shape, |stream| async { stream })
            }
            _ => rival::receive(tls_blaster(), shape, |stream| async {
                let name = ServerName::try_from("bench").expect("a name");
                let connector = TlsConnector::from(trusting().config());
                connector.connect(name, stream).await.expect("a handshake")
            }),
        }
    };
    let cpu = std::thread::scope(|scope| {
        // Named, so that a profile can be cut by subject.
        let thread = std::thread::Builder::new().name(subject.to_owned());
        let thread = thread.spawn_scoped(scope, run).expect("a thread");
        thread.join().expect("the subject ran")
    });
    cpu.0 as f64 / copies(shape) as f64
}

/// A client that checks no certificate: the blaster's is made anew for each run.
fn trusting() -> TlsClient {
    TlsClient::load(&TlsOptions { insecure: true, ..TlsOptions::default() }).expect("no files")
}

/// The real worker over `ws` or `wss`.
fn worker<T: Transport>(shared: T::Shared, mut blaster: Blaster, shape: Shape) -> Nanos {
    let spec = Spec {
        dialect: Dialect::raw(),
        push_sockets: 1,
        receivers_per_node: Some(shape.sockets),
        trials: Trial::bursts(&[shape.frames]),
        payload_bytes: PAYLOAD as u64,
        // As the rivals do.
        wait: Some(WaitMode::Sleep),
        ..Spec::default()
    };
    let scheme = if T::NAME == Plain::NAME { "ws" } else { "wss" };
    let plan = plan::plan(&[format!("{scheme}://{}/", blaster.addr)], spec);
    let ring = UringRing::new(RingConfig::for_sockets(shape.sockets)).expect("io_uring");
    let (seats, rng) = (seats(shape), fastrand::Rng::with_seed(1));
    let mut worker = Worker::<_, _, T>::over(shared, &plan, (ring, Monotonic), &seats, rng);
    assert_eq!(worker.connect(&mut Patient).expect("the ring works"), []);
    let trial_plan = TrialPlan {
        trial: plan.trials[0].clone(),
        run: RUN,
        text: TextShape::new(PAYLOAD).expect("long enough"),
        counts: [shape.frames as u32].into(),
        lay_all: true,
        sent: sent(shape),
        schedule: None,
    };
    let go = || {
        blaster.go();
        Monotonic.now()
    };
    let tally = worker.trial(&trial_plan, go, &mut UntilComplete).expect("the ring works");
    check(&tally.recorder, shape);
    tally.core.cpu_time
}

/// As many bytes in records of this kind, opened one after the other by the cipher alone.
fn cipher(records: Records, shape: Shape) -> Nanos {
    const TAG: usize = 16;
    let frame = PAYLOAD + 4;
    let frames = match records {
        Records::Each => 1,
        Records::Full => fanstorm::tls::RECORD_BYTES / frame,
    };
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &[7; 16]).expect("16 bytes"));
    let nonce = |record: usize| {
        let mut nonce = [7; 12];
        nonce[4..].copy_from_slice(&(record as u64).to_be_bytes());
        Nonce::assume_unique_for_key(nonce)
    };
    // The type of what is in it lies behind it (RFC 8446, section 5.2); its header is what the tag covers, too.
    let inner = frames * frame + 1;
    let header = [23, 3, 3, (inner + TAG).to_be_bytes()[6], (inner + TAG).to_be_bytes()[7]];
    let count = copies(shape).div_ceil(frames as u64) as usize;
    let (mut opened, mut cpu) = (0, Nanos::ZERO);
    // As warm as what was just read.
    let a_read = (64 << 10) / inner;
    for first in (0..count).step_by(a_read) {
        let records = first..count.min(first + a_read);
        let mut wire = Vec::new();
        for record in records.clone() {
            let mut sealed = vec![b'x'; inner];
            let aad = Aad::from(header);
            key.seal_in_place_append_tag(nonce(record), aad, &mut sealed).expect("short enough");
            wire.extend(sealed);
        }
        let before = thread_cpu_time();
        for (record, sealed) in records.zip(wire.chunks_mut(inner + TAG)) {
            let plain = key.open_in_place(nonce(record), Aad::from(header), sealed).expect("whole");
            opened += (plain.len() - 1) / frame;
        }
        cpu.0 += thread_cpu_time().since(before).0;
    }
    assert_eq!(opened, count * frames);
    cpu
}
