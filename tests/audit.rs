//! The audit's rules over recorded and composed hosts (`tests/fixtures/hosts`), and the files that it
//! writes.
//!
//! Belongs here: facts, rules and renderings together. Does not: the program around them
//! (`tests/cli.rs`), hosts that only root can provoke (`.ci/run audit`).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use fanstorm::audit::facts::{Facts, Offloads};
use fanstorm::audit::finding::Severity::{Info, Stop, Warn};
use fanstorm::audit::finding::{Remedy, Severity, Within};
use fanstorm::audit::requirements::{Handshakes, Place, PlanRequirements, UringDemand};
use fanstorm::audit::rules::RULES;
use fanstorm::audit::{Audit, audit};
use fanstorm::host::io_uring::Refusal;
use fanstorm::host::limits;
use fanstorm::host::socket_cost;
use fanstorm::plan::backend::{BackendChoice, Engine, choose};
use fanstorm::report::audit::fix;
use fanstorm::units::Bytes;

const HOSTS: [&str; 8] = [
    "alma-9",
    "copied-advice",
    "debian-12",
    "docker",
    "docker-limited",
    "guest",
    "tuned",
    "ubuntu-24.04",
];

fn folder(host: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hosts").join(host)
}

fn facts(host: &str) -> Facts {
    Facts::under(&folder(host))
}

fn memory(sockets: u64) -> Vec<(&'static str, u64)> {
    vec![("frames", 2 << 20), ("sockets in the kernel", socket_cost::kernel_sockets(sockets).0)]
}

/// What runs when nobody says anything, against three nodes on other hosts.
fn small() -> PlanRequirements {
    PlanRequirements {
        limits: limits::ResourceDemand {
            sockets: 6,
            sockets_to_busiest: 4,
            busiest: "ws://10.0.0.7:9001/".to_owned(),
            memory: memory(6),
            ..limits::ResourceDemand::default()
        },
        nodes: 3,
        place: Place::Elsewhere,
        source_addresses: 1,
        push_sockets: 3,
        messages: 8_000,
        copies_per_message: 6,
        copy_bytes: 221,
        connects_at_once: 4,
        workers: vec![0],
        io_uring: UringDemand::Preferred,
        ..PlanRequirements::default()
    }
}

/// A million connections to forty nodes, one broadcast a second.
fn million() -> PlanRequirements {
    PlanRequirements {
        limits: limits::ResourceDemand {
            sockets: 1_000_000,
            sockets_to_busiest: 25_000,
            busiest: "ws://10.0.0.7:9001/".to_owned(),
            memory: memory(1_000_000),
            ..limits::ResourceDemand::default()
        },
        nodes: 40,
        push_sockets: 100,
        messages: 1_000,
        copies_per_message: 1_000_000,
        rate_per_s: Some(1.0),
        connects_at_once: 2_048,
        workers: (8..16).collect(),
        ..small()
    }
}

fn embedded(need: PlanRequirements) -> PlanRequirements {
    PlanRequirements { place: Place::Embedded, io_uring: UringDemand::Required, ..need }
}

/// `warn net.ipv4.tcp_mem`, for what is at least so severe.
fn said(audit: &Audit, least: Severity) -> Vec<String> {
    let found = audit.at_least(least);
    found.map(|(rule, finding)| format!("{} {}", finding.severity.word(), rule.knob)).collect()
}

#[test]
fn every_folder_of_hosts_is_read_by_these_tests() {
    let names = fs::read_dir(folder("")).unwrap().map(|entry| entry.unwrap());
    let folders = names.filter(|entry| entry.path().is_dir());
    let names: BTreeSet<_> =
        folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    assert_eq!(names, HOSTS.map(str::to_owned).into());
}

#[test]
fn a_small_run_on_a_stock_host_is_not_degraded_by_what_it_does_not_need() {
    for host in HOSTS.into_iter().filter(|host| *host != "copied-advice") {
        for need in [small(), embedded(small())] {
            assert_eq!(audit(&facts(host), &need).shortfalls(), [], "{host} {:?}", need.place);
        }
    }
}

#[test]
fn each_host_is_told_what_a_small_run_must_know() {
    for (host, elsewhere, with_cluster) in [
        ("debian-12", &[][..], &[][..]),
        ("ubuntu-24.04", &[], &[]),
        ("guest", &[], &[]),
        ("tuned", &[], &[]),
        (
            "copied-advice",
            &["warn net.ipv4.tcp_rmem", "warn net.ipv4.tcp_wmem"],
            &["warn net.ipv4.tcp_rmem", "warn net.ipv4.tcp_wmem"],
        ),
        ("alma-9", &["stop kernel.io_uring_disabled"], &["stop kernel.io_uring_disabled"]),
        ("docker", &["warn io_uring"], &["stop io_uring"]),
        ("docker-limited", &["warn io_uring"], &["stop io_uring"]),
    ] {
        let of = |need: &PlanRequirements| said(&audit(&facts(host), need), Severity::Warn);
        assert_eq!(of(&small()), elsewhere, "{host}");
        assert_eq!(of(&embedded(small())), with_cluster, "{host}, embedded");
    }
}

#[test]
fn a_million_connections_want_of_each_host_what_it_lacks() {
    let table: [(&str, &[&str]); 8] = [
        ("tuned", &[]),
        ("debian-12", &["warn net.ipv4.ip_local_port_range", "warn net.ipv4.tcp_mem"]),
        (
            "ubuntu-24.04",
            &[
                "warn net.ipv4.ip_local_port_range",
                "warn net.netfilter.nf_conntrack_max",
                "warn network card speed",
            ],
        ),
        (
            "alma-9",
            &[
                "stop RLIMIT_NOFILE",
                "warn net.ipv4.ip_local_port_range",
                "warn net.netfilter.nf_conntrack_max",
                "stop kernel.io_uring_disabled",
            ],
        ),
        (
            "docker",
            &["warn net.ipv4.ip_local_port_range", "stop memory", "warn cpu.max", "warn io_uring"],
        ),
        (
            "docker-limited",
            &[
                "stop RLIMIT_NOFILE",
                "warn net.ipv4.ip_local_port_range",
                "stop memory",
                "warn cpu.max",
                "warn io_uring",
            ],
        ),
        ("copied-advice", &[]),
        ("guest", &["stop RLIMIT_NOFILE", "warn net.ipv4.ip_local_port_range"]),
    ];
    for (host, expected) in table {
        assert_eq!(said(&audit(&facts(host), &million()), Severity::Warn), expected, "{host}");
    }
}

#[test]
fn advice_that_has_died_is_flagged_where_somebody_followed_it() {
    let found = said(&audit(&facts("copied-advice"), &small()), Severity::Info);
    for knob in [
        "net.ipv4.ip_local_port_range",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
        "net.ipv4.tcp_low_latency",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_timestamps",
        "sysctl.d",
    ] {
        assert!(found.iter().any(|line| line.ends_with(knob)), "{knob}: {found:?}");
    }
    let audit = audit(&facts("copied-advice"), &small());
    let texts: Vec<_> = audit.shortfalls().into_iter().map(|shortfall| shortfall.text).collect();
    assert!(texts[0].starts_with("net.ipv4.tcp_rmem is 1024 4096 16384, this"), "{texts:?}");
    let (_, dead) = audit.found.iter().find(|(rule, _)| rule.knob == "sysctl.d").unwrap();
    assert!(dead.why.contains("tcp_tw_recycle in /etc/sysctl.d/99-c10m.conf"), "{}", dead.why);
    assert!(!dead.why.contains("file-max"), "{}", dead.why);
}

#[test]
fn what_a_container_hides_is_neither_fine_nor_wrong() {
    let audit = audit(&facts("docker"), &million());
    let names = |rules: &[&fanstorm::audit::rules::Rule]| {
        rules.iter().map(|rule| rule.knob).collect::<BTreeSet<_>>()
    };
    let (hidden, fine) = (names(&audit.hidden), names(&audit.fine));
    for knob in ["net.ipv4.tcp_mem", "net.core.netdev_max_backlog", "CPU governor"] {
        assert!(hidden.contains(knob) && !fine.contains(knob), "{knob}");
    }
}

/// `docker run --cpus 1 --memory 256m --pids-limit 50 --ulimit nofile=256:256 --network none`.
#[test]
fn a_container_shows_the_limits_that_it_was_started_with_and_is_told_how_to_start_it_instead() {
    let mut facts = facts("docker-limited");
    assert_eq!(facts.host.cgroup_cpus, Some(1.0));
    assert_eq!(facts.host.cgroup_memory, Some(Bytes::from_mib(256)));
    let limits::HostLimits { nofile, memory_bytes, tasks_free, .. } = facts.limits;
    assert_eq!((nofile, tasks_free), (256, Some(50 - 2)), "the recorder were two processes");
    assert_eq!(memory_bytes, Some((256 << 20) - 1_990_656), "which took a little");

    facts.limits.memory_bytes = None;
    let mut need = PlanRequirements { workers: vec![0], ..million() };
    need.limits.tasks = 49;
    let audit = audit(&facts, &need);
    let found = audit.at_least(Severity::Warn);
    let remedies: Vec<_> =
        found.map(|(rule, finding)| finding.remedy.line(rule.knob, audit.within)).collect();
    let [descriptors, ports, tasks, io_uring] = &remedies[..] else { panic!("{remedies:?}") };
    assert_eq!(descriptors, "docker run --ulimit nofile=1000064:1000064");
    assert_eq!(ports, "docker run --sysctl net.ipv4.ip_local_port_range='1024 65535'");
    assert!(tasks.contains("--pids-limit"), "{tasks}");
    assert!(io_uring.starts_with("docker run --security-opt seccomp="), "{io_uring}");
}

type Change = fn(&mut Facts, &mut PlanRequirements);

/// For each rule: on a host with which nothing is wrong, for a plan that asks for much, one change
/// of either brings its finding and no other.
const PROVOCATIONS: &[(&str, Severity, Change)] = &[
    ("RLIMIT_NOFILE", Stop, |f, _| f.limits.nofile = 1_000_063),
    ("RLIMIT_NOFILE", Stop, |f, n| {
        n.limits.embedded_busiest = Some(2_097_152 - 63);
        f.limits.nr_open = 1 << 30;
    }),
    ("fs.file-max", Stop, |f, _| f.limits.files_free = 1_000_063),
    ("net.ipv4.ip_local_port_range", Stop, |f, _| f.limits.ports = (40_000, 64_999 - 1)),
    ("net.ipv4.ip_local_port_range", Warn, |f, _| f.limits.ports = (15_001, 65_000 - 2)),
    ("net.ipv4.ip_local_port_range", Info, |f, _| f.limits.ports = (1_025, 65_535)),
    ("net.ipv4.ip_local_reserved_ports", Info, |_, n| {
        (n.place, n.node_ports) = (Place::Loopback, vec![9_001]);
        n.copies_per_message = 1;
    }),
    ("net.ipv4.tcp_tw_reuse", Warn, |f, _| {
        (f.tcp.tw_reuse, f.tcp.time_wait) = (Some(2), Some(39_513));
    }),
    ("net.ipv4.tcp_max_tw_buckets", Info, |f, _| f.tcp.max_tw_buckets = Some(999_999)),
    ("net.core.somaxconn", Warn, |f, n| {
        (n.place, n.copies_per_message) = (Place::Loopback, 1);
        f.queues.somaxconn = Some(2_047);
    }),
    ("net.ipv4.tcp_max_syn_backlog", Warn, |f, n| {
        (n.place, n.copies_per_message) = (Place::Loopback, 1);
        (f.queues.syn_backlog, f.queues.syncookies) = (Some(2_047), Some(0));
    }),
    ("net.core.netdev_max_backlog", Warn, |f, n| {
        // What answers a Ping is all sockets, whoever hears a message.
        (n.place, n.copies_per_message) = (Place::Loopback, 1);
        f.queues.netdev_backlog = Some(16_383);
    }),
    ("net.core.netdev_max_backlog", Info, |f, n| {
        f.nics[0].spreads = true;
        (n.limits.sockets, n.copies_per_message) = (10, 20_000);
        f.queues.netdev_backlog = Some(16_384);
    }),
    ("net.core.netdev_budget", Info, |f, _| f.queues.netdev_budget = Some(300)),
    ("net.core.busy_poll", Info, |f, n| {
        (f.queues.busy_poll_us, n.io_uring) = (Some(0), UringDemand::Unused);
    }),
    ("net.netfilter.nf_conntrack_max", Warn, |f, _| f.conntrack = Some(track(1, 1_000_000))),
    ("net.netfilter.nf_conntrack_max", Info, |f, _| f.conntrack = Some(track(0, 999_999))),
    ("net.netfilter.nf_conntrack_buckets", Info, |f, _| {
        f.conntrack = Some(track(1, 2_000_000));
        f.conntrack.as_mut().unwrap().buckets = Some(250_000);
    }),
    ("network card speed", Warn, |f, _| f.nics[0].speed_mbit = Some(2_500)),
    ("network card queues", Info, |f, _| f.nics[0].receive_queues = 7),
    ("network card interrupts", Info, |f, _| f.nics[0].interrupt_cpus = vec![7, 8]),
    ("network card offloads", Info, |f, _| {
        f.nics[0].offloads = Some(Offloads { gro: true, tso: false });
    }),
    ("net.ipv4.tcp_mem", Warn, |f, _| f.tcp.mem_pages = Some([9, 187_499, 999_999])),
    ("net.ipv4.tcp_rmem", Info, |f, _| f.tcp.rmem = Some([1_024, 4_096, 16_384])),
    ("net.ipv4.tcp_wmem", Info, |f, _| f.tcp.wmem = Some([1_024, 4_096, 16_384])),
    ("net.ipv4.tcp_moderate_rcvbuf", Info, |f, _| f.tcp.moderate_rcvbuf = Some(0)),
    ("net.ipv4.tcp_window_scaling", Info, |f, _| f.tcp.window_scaling = Some(0)),
    ("net.ipv4.tcp_timestamps", Info, |f, _| f.tcp.timestamps = Some(0)),
    ("net.ipv4.tcp_slow_start_after_idle", Warn, |f, n| {
        f.tcp.slow_start_after_idle = Some(1);
        (n.copy_bytes, n.copies_per_message) = (14_481, 1_000);
        n.limits.sockets = 1_000;
    }),
    ("net.ipv4.tcp_congestion_control", Info, |f, _| f.tcp.congestion = Some("bbr".into())),
    ("net.ipv4.tcp_notsent_lowat", Info, |f, n| {
        f.tcp.notsent_lowat = Some(u32::MAX.into());
        (n.rate_per_s, n.copy_bytes, n.push_sockets) = (Some(2_000.0), 600, 1);
        (n.copies_per_message, n.limits.sockets) = (10, 10);
    }),
    ("net.ipv4.tcp_low_latency", Info, |f, _| f.tcp.low_latency = Some(1)),
    ("net.ipv4.tcp_fin_timeout", Info, |f, _| f.tcp.fin_timeout_s = Some(15)),
    ("sysctl.d", Info, |f, _| f.settings = facts("copied-advice").settings),
    ("memory", Stop, |f, n| f.limits.memory_bytes = Some(n.limits.memory_bytes() - 1)),
    ("swap", Warn, |f, n| {
        f.memory.swap_bytes = Some(1 << 30);
        f.limits.memory_bytes = Some(2 * n.limits.memory_bytes() - 2);
    }),
    ("transparent huge pages", Info, |f, _| f.memory.huge_pages = Some("always".into())),
    ("vm.max_map_count", Warn, |f, _| f.memory.max_map_count = Some(1_023)),
    ("cpu.max", Warn, |f, _| f.host.cgroup_cpus = Some(7.5)),
    ("TLS handshakes", Warn, |_, n| n.handshakes = Some(handshakes(40_000, Some(40_001.0)))),
    ("TLS handshakes", Info, |_, n| n.handshakes = Some(handshakes(40_000, None))),
    ("pids.max", Stop, |f, n| (f.limits.tasks_free, n.limits.tasks) = (Some(8), 9)),
    ("clock source", Warn, |f, _| f.host.clocksource = Some("hpet".into())),
    ("CPU governor", Info, |f, _| f.host.governor = Some("powersave".into())),
    ("steal", Info, |f, _| f.cpu.steal = Some(0.02)),
    ("SMT siblings", Info, |f, _| {
        f.cpu.siblings = (0..8).map(|core| vec![2 * core, 2 * core + 1]).collect();
    }),
    ("kernel.sched_autogroup_enabled", Info, |f, _| f.cpu.autogroup = Some(1)),
    ("kernel.numa_balancing", Info, |f, _| {
        (f.cpu.numa_balancing, f.cpu.numa_nodes) = (Some(1), Some(2));
    }),
    ("kernel.io_uring_disabled", Stop, |f, _| f.uring.kernel.disabled = Some(2)),
    ("io_uring", Warn, |f, _| f.uring.seccomp = Some(2)),
    ("io_uring", Stop, |f, n| {
        (f.uring.seccomp, n.io_uring) = (Some(2), UringDemand::Required);
    }),
];

fn handshakes(sockets: u64, asked_per_s: Option<f64>) -> Handshakes {
    Handshakes { sockets, resumes: false, asked_per_s }
}

/// Eight workers shake 40 000 hands a second, and twice as many again.
#[test]
fn handshakes_that_cores_can_give_in_time_are_no_finding() {
    let said = |handshakes| {
        let need = PlanRequirements { handshakes: Some(handshakes), ..million() };
        said(&audit(&facts("tuned"), &need), Severity::Info)
    };
    assert_eq!(said(handshakes(39_999, Some(40_000.0))), Vec::<String>::new());
    let resumed = |sockets| Handshakes { resumes: true, ..handshakes(sockets, None) };
    assert_eq!(said(resumed(79_999)), Vec::<String>::new());
    assert_eq!(said(resumed(80_000)), ["info TLS handshakes"]);
}

fn track(count: u64, max: u64) -> fanstorm::audit::facts::Conntrack {
    fanstorm::audit::facts::Conntrack { count, max, buckets: Some(1 << 20) }
}

/// Warnings of rules that say more the more is under way: with a burst, one knob at a time.
const IN_A_BURST: &[(&str, Change)] = &[
    ("net.ipv4.tcp_rmem", |f, _| f.tcp.rmem = Some([1_024, 4_096, 16_384])),
    ("net.ipv4.tcp_wmem", |f, _| f.tcp.wmem = Some([1_024, 4_096, 16_384])),
    ("net.ipv4.tcp_moderate_rcvbuf", |f, _| f.tcp.moderate_rcvbuf = Some(0)),
    ("net.ipv4.tcp_window_scaling", |f, _| f.tcp.window_scaling = Some(0)),
];

#[test]
fn nothing_is_wrong_with_a_host_that_is_ready() {
    let audit = audit(&facts("tuned"), &million());
    assert_eq!(said(&audit, Severity::Info), Vec::<String>::new());
    assert_eq!(audit.fine.len() + audit.hidden.len(), RULES.len());
}

#[test]
fn each_cause_alone_brings_its_own_finding_and_no_other() {
    for &(knob, severity, change) in PROVOCATIONS {
        let (mut facts, mut need) = (facts("tuned"), million());
        change(&mut facts, &mut need);
        let found = said(&audit(&facts, &need), Severity::Info);
        assert_eq!(found, [format!("{} {knob}", severity.word())]);
    }
    // Beyond fs.nr_open the limit of the process is in the way too, of necessity.
    let (mut facts, need) = (facts("tuned"), million());
    (facts.limits.nofile, facts.limits.nr_open) = (1 << 19, 1 << 19);
    let found = said(&audit(&facts, &need), Severity::Info);
    assert_eq!(found, ["stop RLIMIT_NOFILE", "stop fs.nr_open"]);
}

#[test]
fn buffers_that_do_not_hold_what_is_under_way_are_warnings() {
    for &(knob, change) in IN_A_BURST {
        let (mut facts, mut need) =
            (facts("tuned"), PlanRequirements { workers: vec![8], ..small() });
        change(&mut facts, &mut need);
        assert_eq!(said(&audit(&facts, &need), Severity::Info), [format!("warn {knob}")]);
    }
}

#[test]
fn every_rule_is_provoked_at_its_worst() {
    let mut worst: BTreeSet<(&str, Severity)> =
        PROVOCATIONS.iter().map(|&(knob, severity, _)| (knob, severity)).collect();
    worst.extend(IN_A_BURST.iter().map(|&(knob, _)| (knob, Severity::Warn)));
    worst.insert(("fs.nr_open", Severity::Stop));
    for rule in RULES {
        assert!(worst.contains(&(rule.knob, rule.worst)), "{} {:?}", rule.knob, rule.worst);
    }
}

#[test]
fn every_finding_has_its_figures_one_line_and_a_remedy() {
    for &(knob, _, change) in PROVOCATIONS {
        let (mut facts, mut need) = (facts("tuned"), million());
        change(&mut facts, &mut need);
        for (rule, finding) in &audit(&facts, &need).found {
            let line = finding.remedy.line(rule.knob, Within::Host);
            let texts = [&finding.is, &finding.wants, &finding.why, &line];
            assert!(texts.iter().all(|t| !t.is_empty() && !t.contains('\n')), "{knob} {texts:?}");
            assert!(finding.severity <= rule.worst, "{knob}");
            if let Remedy::Sysctl(_) = finding.remedy {
                let sysctl = ["net.", "vm.", "fs.", "kernel."];
                assert!(sysctl.iter().any(|room| rule.knob.starts_with(room)), "{line}");
            }
        }
    }
}

/// The run asks `host::limits` before it opens anything; the audit must not know better.
#[test]
fn the_audit_stops_exactly_where_a_run_is_stopped() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..2_000 {
        let (mut facts, mut need) = (facts("tuned"), million());
        let up_to = |random: &mut fastrand::Rng, most: u64| random.u64(1..=most);
        facts.limits.nofile = up_to(&mut random, 2_000_000);
        facts.limits.memory_bytes = Some(up_to(&mut random, 1 << 33));
        facts.limits.files_free = up_to(&mut random, 4_000_000);
        (need.limits.tasks, facts.limits.tasks_free) =
            (9, random.bool().then(|| random.u64(0..90)));
        need.limits.embedded_busiest = random.bool().then(|| random.u64(1..2_000_000));
        need.limits.direct_rings =
            random.bool().then_some(limits::DirectRings { rings: 4, bells: 2 });
        need.limits.own_origins = random.bool();
        let low = random.u16(1_024..60_000);
        facts.limits.ports = (low, random.u16(low..=65_535));
        need.limits.sockets_to_busiest = up_to(&mut random, 70_000);
        need.limits.sockets = need.limits.sockets_to_busiest + random.u64(0..1_000_000);
        let refused = limits::check(&facts.limits, &need.limits).is_err();
        assert_eq!(audit(&facts, &need).stops(), refused, "{:?} {:?}", facts.limits, need.limits);
    }
}

#[test]
fn io_uring_stops_the_audit_exactly_where_it_stops_a_run() {
    let release = || "5.10.0".to_owned();
    for refusal in [
        Refusal::Sysctl { value: 1 },
        Refusal::Sysctl { value: 2 },
        Refusal::Seccomp,
        Refusal::Memory,
        Refusal::TooOld { release: release() },
        Refusal::Absent { release: release() },
        Refusal::Other { release: release(), error: "strange".to_owned() },
    ] {
        for (wish, asked) in [
            (BackendChoice::Auto, UringDemand::Preferred),
            (BackendChoice::Only(Engine::IoUring), UringDemand::Required),
            (BackendChoice::Only(Engine::Epoll), UringDemand::Unused),
        ] {
            let mut facts = facts("tuned");
            facts.uring.attempt = Some(Err(refusal.clone()));
            let need = PlanRequirements { io_uring: asked, ..small() };
            let refused = choose(wish, || Err(refusal.clone())).is_err();
            assert_eq!(audit(&facts, &need).stops(), refused, "{refusal:?} {wish:?}");
        }
    }
}

#[test]
fn who_may_use_io_uring_is_told_from_files_where_nothing_was_tried() {
    let facts = |change: fn(&mut Facts)| {
        let mut facts = facts("tuned");
        facts.uring.kernel.disabled = Some(1);
        change(&mut facts);
        facts.uring_refusal()
    };
    assert_eq!(facts(|_| {}), Some(Refusal::Sysctl { value: 1 }));
    assert_eq!(facts(|f| f.is_admin = true), None);
    assert_eq!(facts(|f| f.uring.group = Some(27)), None, "a group of this process");
    assert_eq!(facts(|f| f.uring.attempt = Some(Ok(()))), None, "what works is allowed");
}

/// A copy of a host that can be changed.
fn copy(host: &str) -> tempfile::TempDir {
    fn tree(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
            let to = to.join(entry.file_name());
            if entry.path().is_dir() {
                tree(&entry.path(), &to);
            } else {
                fs::copy(entry.path(), to).unwrap();
            }
        }
    }
    let root = tempfile::tempdir().unwrap();
    tree(&folder(host), root.path());
    root
}

/// As `sysctl --system` would.
fn apply_sysctls(root: &Path, file: &str) {
    let lines = file.lines().filter(|line| !line.starts_with('#'));
    for (knob, value) in lines.filter_map(|line| line.split_once(" = ")) {
        let path = root.join("proc/sys").join(knob.replace('.', "/"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, value).unwrap();
    }
}

/// As a new login would have it.
fn apply_limits(root: &Path, file: &str) {
    let hard = file.lines().find_map(|line| line.strip_prefix("*    hard nofile "));
    if let Some(limit) = hard {
        let line = format!("Max open files            1024 {limit} files\n");
        fs::write(root.join("proc/self/limits"), line).unwrap();
    }
}

#[test]
fn what_the_fix_files_set_is_no_longer_found() {
    for host in HOSTS {
        for need in [small(), million(), embedded(million())] {
            let root = copy(host);
            let before = audit(&Facts::under(root.path()), &need);
            let arguments = ["audit".to_owned()];
            apply_sysctls(root.path(), &fix::sysctl_file(&before, &arguments));
            apply_limits(root.path(), &fix::limits_file(&before));
            let after = audit(&Facts::under(root.path()), &need);
            let left = after.at_least(Severity::Warn).filter(|(_, finding)| {
                matches!(finding.remedy, Remedy::Sysctl(_) | Remedy::Descriptors(_))
            });
            let left: Vec<_> = left.map(|(rule, _)| rule.knob).collect();
            assert_eq!(left, Vec::<&str>::new(), "{host} {:?}", need.place);
        }
    }
}

#[test]
fn a_fix_file_sets_each_knob_once_and_says_why() {
    let audit = audit(&facts("copied-advice"), &embedded(million()));
    let text = fix::sysctl_file(&audit, &["audit".to_owned(), "--rate".to_owned()]);
    let knobs = text.lines().filter_map(|line| line.trim_start_matches('#').split_once(" = "));
    let knobs: Vec<_> = knobs.map(|(knob, _)| knob).collect();
    let unique: BTreeSet<_> = knobs.iter().collect();
    assert!(!knobs.is_empty() && unique.len() == knobs.len(), "{text}");
    assert!(text.starts_with(fix::MARK) && text.contains("# fanstorm audit --rate\n"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert!(text.contains("\n#net.ipv4.tcp_low_latency = 0\n"), "worth knowing is not set: {text}");
}
