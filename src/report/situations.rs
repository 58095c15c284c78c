//! Results in many situations, for the tests of what reports say and of how they look.

use serde_json::{Value, json};

use super::Invocation;
use super::document::Document;
use super::document::trial::LatencyClass;
use super::fixture::{begun, cell, invocation, plan, trusted, whole};
use super::search_situations;
use crate::experiment::{Outcome, Skipped};
use crate::host::facts::HostCounters;
use crate::load::profile::Profile;
use crate::load::trial::Trial;
use crate::measure::connecting::{Connecting, Failure};
use crate::measure::outcome::{Delivery, Ending, LostSocket, StreamGap, TrialOutcome};
use crate::plan::connect_options::MinConnected;
use crate::population::sockets::SocketId;
use crate::units::Nanos;
use crate::verdict::baseline::Baseline;
use crate::verdict::{self, Caveat, Evidence, Judged, Surroundings, Trust};

/// Looks at a situation: its name, its result, and the class of the trials where that is not the headline.
pub(super) type Look<'a> = &'a mut dyn FnMut(&str, &Document, Option<LatencyClass>);

/// Shows all of them.
pub(super) fn each(look: Look<'_>) {
    every_load(look);
    everything_that_can_go_wrong(look);
    nothing_sent(look);
    every_host_and_connection(look);
    every_floor(look);
    search_situations::each(look);
}

pub(super) fn outcome(trials: Vec<TrialOutcome>) -> Outcome {
    judged(trials.into_iter().map(trusted).collect())
}

pub(super) fn judged(trials: Vec<Judged>) -> Outcome {
    Outcome { trials, ..Outcome::default() }
}

/// A whole result.
pub(super) fn ended(messages: &[u64], outcome: Outcome) -> Document {
    Document::begun(&plan(messages), &invocation()).ended(&outcome)
}

/// The link to node 2 is cut after a third of the messages; node 1 drops a few.
pub(super) fn cut_link() -> TrialOutcome {
    let mut run = whole(3_000);
    run.delivery = Delivery {
        expected: 18_000,
        delivered: 15_997,
        missing: 2_003,
        out_of_order: 214,
        foreign: 2,
        seen: 15_999,
        ..Delivery::default()
    };
    run.matrix[1] = cell(1, 3_000, 2_997);
    run.matrix[2] = cell(2, 3_000, 1_000);
    let gap = |sender, socket, node, missing, ranges| StreamGap {
        sender,
        socket,
        node,
        reached: None,
        missing,
        ranges,
        truncated: false,
    };
    run.gaps = vec![
        gap(0, 5, 2, 667, vec![(12, 12), (334, 999)]),
        gap(1, 5, 2, 667, vec![(333, 999)]),
        gap(2, 5, 2, 666, vec![(334, 999)]),
        gap(1, 4, 1, 3, vec![(5, 5), (411, 412)]),
    ];
    run.gaps_total = 4;
    run.ending = Ending::Drained;
    run
}

fn caveat(code: &'static str, severity: Trust, text: &str, remedy: &str) -> Caveat {
    Caveat { code, severity, text: text.to_owned(), remedy: remedy.to_owned() }
}

pub(super) fn busy(messages: u64) -> Judged {
    let caveats = vec![caveat(
        "core-busy",
        Trust::Degraded,
        "CPU 1 was 97.2 % busy with our own work: the receive time may be the generator's own, and \
         a faster cluster would not show",
        "give the generator more --cores",
    )];
    Judged { outcome: whole(messages), caveats }
}

pub(super) fn overflowing() -> Judged {
    let mut run = busy(8_000);
    run.outcome.saturated = 3;
    run.outcome.cores[0].cq_overflow = 17;
    run.outcome.cores[0].enobufs = 4;
    run.caveats
        .insert(0, caveat("cq-overflow", Trust::Void, "17 completions came late", "more --cores"));
    run
}

/// Ctrl-C in the second trial, after the push socket's node had closed a socket.
pub(super) fn interrupted() -> Outcome {
    let mut run = whole(4_000);
    run.sent = 1_500;
    run.delivery = Delivery {
        expected: 24_000,
        delivered: 8_500,
        missing: 15_500,
        duplicate: 4,
        corrupt: 1,
        seen: 8_505,
        ..Delivery::default()
    };
    run.matrix = vec![cell(0, 16_000, 5_500), cell(1, 4_000, 1_500), cell(2, 4_000, 1_500)];
    let gap = |sender, socket| StreamGap {
        sender,
        socket,
        node: 0,
        reached: None,
        missing: 834,
        ranges: (0..6).map(|i| (i * 100, i * 100 + 9)).collect(),
        truncated: true,
    };
    run.gaps = (0..18).map(|i| gap(i % 3, i / 3)).collect();
    run.gaps_total = 18;
    run.ending = Ending::Interrupted;
    run.lost = vec![LostSocket {
        socket: 3,
        node: 0,
        reached: None,
        at: Nanos::from_millis(31),
        idle: Some(Nanos::from_millis(1_500)),
        close_code: Some(1001),
        our_close_code: None,
        reason: "closed by the node: 1001 going away".to_owned(),
    }];
    Outcome {
        trials: vec![trusted(whole(3_000)), trusted(run)],
        skipped: skipped(8_000),
        interrupted: true,
        connecting: None,
    }
}

/// A trial that a signal kept from running.
pub(super) fn skipped(messages: u64) -> Vec<Skipped> {
    let trial = Trial::bursts(&[messages]).remove(0);
    vec![Skipped { trial, reason: "interrupted".to_owned() }]
}

/// As an experiment judges that has a calibration.
pub(super) fn held(floor: &Baseline, mut outcome: Outcome) -> Outcome {
    for run in &mut outcome.trials {
        run.caveats = verdict::judge(&Evidence {
            outcome: &run.outcome,
            profile: &Profile::default(),
            host_before: &HostCounters::default(),
            host_after: &HostCounters::default(),
            connecting: &Connecting::default(),
            least: MinConnected::All,
            baseline: Some(floor),
            surroundings: &Surroundings::default(),
        });
    }
    outcome
}

/// The trial of `busy` in a third of its time.
pub(super) fn calibration(failure: Option<&str>) -> Baseline {
    let mut floor = whole(1_000);
    floor.receive_time = Some(Nanos::from_millis(5));
    floor.latency_ns[0].1 = whole(333).latency_ns[0].1.clone();
    let cluster = "3 relays on CPU 0".to_owned();
    let failure = failure.map(str::to_owned);
    Baseline { cluster, shares_cores: failure.is_some(), trials: vec![trusted(floor)], failure }
}

/// A result that has something to say in every section, as a file holds it.
pub(super) fn talkative() -> serde_json::Value {
    let mut outcome = interrupted();
    outcome.trials[0].caveats = busy(3_000).caveats;
    let failed =
        Failure { seat: SocketId { socket: 4, node: 1 }, phase: "connect", reason: "x".into() };
    outcome.connecting = Some(Connecting::merge(plan(&[1]).population(), Nanos(1), &[], &[failed]));
    let invocation = Invocation { args: vec!["--messages".into()], ..invocation() };
    let mut floor = calibration(Some("interrupted"));
    // Of a trial that did not come to be run.
    floor.trials[0].outcome = whole(8_000);
    let document = Document::begun(&plan(&[3_000, 4_000, 8_000]), &invocation);
    serde_json::to_value(document.calibrated(Some(&floor)).ended(&outcome)).unwrap()
}

/// A document with other values at some places; each place is a JSON pointer, and `/load/...` one in the load of
/// every planned trial.
fn edited(document: &Document, edits: &[(&str, Value)]) -> Document {
    let mut value = serde_json::to_value(document).unwrap();
    let trials = document.plan.trials.len();
    let each = edits.iter().flat_map(|(pointer, new)| match pointer.strip_prefix("/load/") {
        Some(key) => (0..trials).map(|at| (format!("/plan/trials/{at}/load/{key}"), new)).collect(),
        None => vec![((*pointer).to_owned(), new)],
    });
    for (pointer, new) in each {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        match value.pointer_mut(parent) {
            Some(Value::Object(keys)) => drop(keys.insert(key.to_owned(), new.clone())),
            Some(Value::Array(items)) => items[key.parse::<usize>().unwrap()] = new.clone(),
            other => panic!("{pointer}: {other:?}"),
        }
    }
    serde_json::from_value(value).unwrap()
}

fn clean() -> Document {
    ended(&[1_000, 3_000], outcome(vec![whole(1_000), whole(3_000)]))
}

fn talkative_document() -> Document {
    serde_json::from_value(talkative()).unwrap()
}

fn every_load(look: Look<'_>) {
    look("burst", &clean(), None);
    look("burst_by_completion", &clean(), Some(LatencyClass::Completion));
    look("one_message", &ended(&[1], outcome(vec![whole(1)])), None);
    look("only_begun", &begun(&[10, 100_000]), None);
    let window = [("/load/mode", json!("window")), ("/load/in_flight", json!(16))];
    look("window", &edited(&clean(), &window), None);
    let late = json!({"count": 3_000, "min": 1.0, "mean": 4.0, "p50": 3.0, "p90": 8.0, "p99": 21.5,
        "p99_9": null, "p99_99": null, "max": 840.0});
    let mut rate = vec![
        ("/load/mode", json!("rate")),
        ("/load/rate_per_s", json!(2_500.5)),
        ("/load/arrivals", json!("poisson")),
        ("/load/arrivals_seed", json!(42)),
        ("/load/headline_latency", json!("response")),
        ("/trials/1/latency_us/response", late.clone()),
        ("/trials/1/latency_us/wait", late.clone()),
        ("/trials/1/generator/schedule_lag_us", late.clone()),
        ("/trials/1/generator/stamp_lateness_us", late.clone()),
    ];
    look("rate_poisson", &edited(&clean(), &rate), None);
    look("rate_by_service", &edited(&clean(), &rate), Some(LatencyClass::Service));
    rate[2].1 = json!("constant");
    let warmup = json!({"duration_s": 1.5, "messages": 500, "expected": 3_000, "copies": 3_000,
        "latency_us": {"response": late}, "schedule_lag_us": late, "saturated": 2});
    rate.extend([("/load/warmup_s", json!(1.5)), ("/trials/1/warmup", warmup)]);
    rate.push(("/trials/1/intervals", intervals(4)));
    look("rate_with_warmup", &edited(&clean(), &rate), None);
    rate.pop();
    rate.push(("/trials/1/intervals", intervals(90)));
    look("rate_of_many_seconds", &edited(&clean(), &rate), None);
}

/// Of which the first is warm-up, and some are without copies or with misdelivered ones.
fn intervals(count: u64) -> Value {
    let interval = |i: u64| {
        let has = i % 7 != 5;
        json!({"start_s": i, "length_s": 1.0, "warmup": i == 0, "sent": 500 + i, "copies": 3_000 * u64::from(has),
            "misdelivered": u64::from(i % 40 == 2), "missing_so_far": i % 11,
            "p50_us": has.then_some(900.0 + i as f64),
            "p99_us": (has && i % 13 != 4).then_some(2_000.0 + (i * 37 % 101) as f64),
            "max_us": has.then_some(4_000.0 + i as f64),
            "cost": {"cpu_s": 0.5, "spun_s": 0.25, "busy": has.then_some(0.125), "busiest": has.then_some(0.2 + (i % 5) as f64 / 10.0),
                "lag_max_us": (i > 0).then_some(50.0 + (i * 31 % 97) as f64)}})
    };
    (0..count).map(interval).collect()
}

fn everything_that_can_go_wrong(look: Look<'_>) {
    look("deficit", &ended(&[1_000, 3_000], outcome(vec![whole(1_000), cut_link()])), None);
    look("void", &ended(&[1_000, 8_000], judged(vec![busy(1_000), overflowing()])), None);
    look("interrupted", &ended(&[3_000, 4_000, 8_000], interrupted()), None);
    let connected = ["connect", "upgrade"].map(|what| format!("/connecting/{what}_us/max"));
    let connected = connected.each_ref().map(|place| (place.as_str(), json!(84.0)));
    look("talkative", &edited(&talkative_document(), &connected), None);
    let all = edited(
        &clean(),
        &[
            ("/plan/fan_out", json!("others")),
            ("/trials/1/delivery/misdelivered", json!(40)),
            ("/trials/1/delivery/duplicate", json!(1)),
            (
                "/trials/1/late",
                json!({"copies": 2, "duplicates": 1, "misdelivered": 7, "up_to_s": 0.25}),
            ),
            ("/trials/0/reconnected_sockets", json!(2)),
            (
                "/trials/1/reordering",
                json!({"max_distance": 7_400, "distances": [
                {"first": 1, "last": 1, "copies": 3}, {"first": 4_096, "last": 8_191, "copies": 1}]}),
            ),
            ("/trials/1/delivery/out_of_order", json!(4)),
            ("/trials/1/delivery/corrupt", json!(3)),
        ],
    );
    look("misdelivered_late_and_out_of_order", &all, None);
    let own = [("/plan/fan_out", json!("own")), ("/trials/1/delivery/misdelivered", json!(1))];
    look("misdelivered_to_others", &edited(&clean(), &own), None);
    look("silent_nodes", &silent_nodes(), None);
    look("behind_one_address", &behind_one_address(), None);
    look(
        "silent_without_sent",
        &edited(&silent_nodes(), &[("/trials/0/sent", json!(2_999))]),
        None,
    );
    let reason = "the lost sockets could not be connected again: node 2 refuses connections, and so \
                  this trial and all that follow it are skipped";
    let none = edited(
        &begun(&[1_000, 2_000]),
        &[("/skipped", json!([{"id": "m1000", "messages": 1_000, "reason": reason}]))],
    );
    look("nothing_measured", &none, None);
}

fn nothing_sent(look: Look<'_>) {
    look(
        "nothing_sent",
        &edited(
            &clean(),
            &[
                ("/trials/1/sent", json!(0)),
                ("/trials/1/time", json!({"send_s": null, "receive_s": null})),
                ("/trials/1/throughput", json!({"sent_per_s": null, "copies_per_s": null})),
                ("/trials/1/delivery/delivered", json!(0)),
                ("/trials/1/delivery/missing", json!(18_000)),
                ("/trials/1/delivery/seen", json!(0)),
                ("/trials/1/latency_us", json!({})),
                ("/trials/1/generator/process_cpu_s", json!(0.012)),
                ("/trials/1/generator/process_cpu_ns_per_copy", json!(null)),
                ("/trials/1/generator/cores/0/cpu_ns_per_copy", json!(null)),
                ("/trials/1/generator/cores/0/spun_s", json!(0.0)),
            ],
        ),
        None,
    );
}

/// The trial of `cut_link`, whose nodes are all behind one address.
fn behind_one_address() -> Document {
    let document = ended(&[3_000], outcome(vec![cut_link()]));
    let names = [json!(null), json!("b-1"), json!("b\u{1b}[31m-2")];
    let reached = |node: usize| {
        let (sockets, push_sockets) = if node == 0 { (4, 3) } else { (1, 0) };
        json!({"node": 0, "name": names[node], "sockets": sockets, "push_sockets": push_sockets})
    };
    let mut edits = vec![
        ("/plan/nodes".to_owned(), json!([{"url": "ws://127.0.0.1:7100/"}])),
        ("/plan/receivers_per_node".to_owned(), json!(3)),
    ];
    let lost = json!({"socket": 4, "node": 0, "reached": names[1], "at_s": 0.5, "idle_s": null,
        "close_code": 1012, "our_close_code": null, "reason": "closed by the node: 1012"});
    edits.push(("/trials/0/lost_sockets".to_owned(), json!([lost])));
    for node in 0..3 {
        edits.push((format!("/trials/0/matrix/{node}/to"), json!(0)));
        edits.push((format!("/trials/0/matrix/{node}/reached"), reached(node)));
    }
    for (gap, node) in [2, 2, 2, 1].into_iter().enumerate() {
        edits.push((format!("/trials/0/gaps/{gap}/node"), json!(0)));
        edits.push((format!("/trials/0/gaps/{gap}/reached"), names[node].clone()));
    }
    let edits: Vec<_> = edits.iter().map(|(at, new)| (at.as_str(), new.clone())).collect();
    edited(&document, &edits)
}

/// Every node is silent, many of them, and sockets are lost.
fn silent_nodes() -> Document {
    let document = ended(&[3_000], outcome(vec![cut_link()]));
    let node = |i: u64| json!({"url": format!("ws://10.0.0.{i}:7{i:03}/\u{1b}[31m")});
    let cell = |to: u64, expected: u64, copies: u64| {
        json!({"from": 0, "to": to, "expected": expected, "copies": copies, "missing": expected - copies,
            "p50_us": null, "p99_us": (copies > 0).then_some(to as f64), "max_us": null})
    };
    let lost = |i: u64| {
        json!({"socket": i, "node": i % 14, "at_s": 0.5 * i as f64, "idle_s": (i > 2).then_some(i),
            "close_code": null, "our_close_code": (i == 1).then_some(1002),
            "reason": "a masked frame \u{7f}\u{202e}\"\\ that a node words at some length, to wrap"})
    };
    let gap = |i: u64| {
        json!({"sender": i % 3, "socket": 4 + i, "node": 1 + i, "missing": 12, "truncated": i == 2,
            "ranges": [[1, 1], [3, 5], [7, 7], [9, 9], [900, 905]]})
    };
    let edits = [
        ("/plan/nodes", (0..14).map(node).collect()),
        ("/plan/push_node", json!(12)),
        ("/trials/0/matrix", (0..14).map(|to| cell(to, 3_000, 500 * u64::from(to == 3))).collect()),
        ("/trials/0/lost_sockets", (0..9).map(lost).collect::<Value>()),
        ("/trials/0/gaps", (0..9).map(gap).collect()),
        ("/trials/0/gaps_total", json!(40)),
        ("/trials/0/ending", json!("sockets_lost")),
    ];
    edited(&document, &edits)
}

fn every_host_and_connection(look: Look<'_>) {
    for wait in ["spin", "sleep", "throughput"] {
        look(&format!("wait_{wait}"), &edited(&clean(), &[("/plan/wait", json!(wait))]), None);
    }
    let ranges = "127.0.0.2-127.0.0.9";
    let latency = json!({"count": 9, "min": 1.0, "mean": 4.0, "p50": null, "p90": null, "p99": null,
        "p99_9": null, "p99_99": null, "max": 840.0});
    let failure = |i: u64| {
        json!({"node": i, "phase": "upgrade", "reason": "HTTP 503\r\n\u{1b}]0;owned\u{7} busy, \
        and the node says why in many words", "sockets": i + 1})
    };
    let connecting = json!({"sockets": 100_000, "connected": 99_900, "failed": 100, "wall_s": 3.25,
        "rate_per_s": 30_738.5, "connect_us": latency, "upgrade_us": latency, "ports_passed_over": 3,
        "failures": (0..10).map(failure).collect::<Value>(),
        "reached": [{"node": 1, "name": "b\u{1b}[31m-2", "sockets": 40, "push_sockets": 0},
            {"node": 0, "name": null, "sockets": 1, "push_sockets": 1}],
        "cookies": [{"name": "AWSALB", "sockets": 99}, {"name": "s\u{7}", "sockets": 1}]});
    let edits = [
        ("/plan/engine", json!("epoll")),
        ("/plan/fan_out", json!("others")),
        ("/plan/placement", json!(null)),
        ("/plan/receivers_per_node", json!(0)),
        (
            "/dialing",
            json!({"sources": {"addresses": 8, "ranges": ranges, "automatic": true},
            "rate_per_s": null, "min_connected": 1, "workers": 2, "rings": 11,
            "direct_descriptors": true, "delayed_ack": true}),
        ),
        ("/host/kernel", json!(null)),
        ("/host/cgroup_memory_bytes", json!(1 << 30)),
        ("/connecting", connecting),
        ("/trials/1/latency_us/spread/min", json!(null)),
        ("/trials/1/generator/stamp_resolution_us", json!(50.0)),
    ];
    look("connections", &edited(&clean(), &edits), None);
    tls(look, &latency);
    deflate(look, &latency);
    let edits = [
        ("/plan/drain_s", json!(0.5)),
        ("/plan/fan_out", json!("own")),
        ("/dialing", json!(null)),
        ("/connecting", json!(null)),
        (
            "/host",
            json!({"kernel": null, "cpu_model": null, "cpus_online": null, "cpus_allowed": null,
            "virtual_machine": null, "memory_bytes": null, "cgroup_cpus": null,
            "cgroup_memory_bytes": null, "clocksource": null, "governor": null, "container": null}),
        ),
    ];
    look("old_result", &edited(&clean(), &edits), None);
}

/// All nodes alike and checked, and each another and whoever it may be.
fn tls(look: Look<'_>, latency: &Value) {
    let dialing = |tls: Value| {
        json!({"sources": null, "rate_per_s": null, "min_connected": 6, "workers": 1, "rings": 1,
            "direct_descriptors": false, "delayed_ack": false, "tls": tls})
    };
    let session = |node: u64, version: &str, suite: &str, resumed: u64| json!({"node": node, "version": version, "suite": suite, "handshakes": 4 - node, "resumed": resumed});
    let connecting = |sessions: Value| {
        json!({"sockets": 9, "connected": 9, "failed": 0, "wall_s": 0.25, "rate_per_s": 36.0,
            "connect_us": latency, "handshake_us": latency, "sessions": sessions, "upgrade_us": latency,
            "ports_passed_over": 0, "failures": []})
    };
    let aes = "TLS13_AES_256_GCM_SHA384";
    let alike = (0..3).map(|node| session(node, "TLS 1.3", aes, 0)).collect();
    let checked = json!({"min_version": "1.2", "insecure": false, "trusted": null, "shows_certificate": false,
        "resumes": false, "server_name": null, "record_bytes": 16_384});
    let edits = [("/dialing", dialing(checked)), ("/connecting", connecting(alike))];
    look("tls", &edited(&clean(), &edits), None);
    let unlike = json!([
        session(0, "TLS 1.3", aes, 3),
        session(1, "TLS 1.3", "TLS13_CHACHA20_POLY1305_SHA256\u{7}", 1),
        session(2, "TLS 1.3", aes, 0),
    ]);
    let unchecked = json!({"min_version": "1.3", "insecure": true, "trusted": null, "shows_certificate": true,
        "resumes": true, "server_name": "a\u{1b}[31m.example", "record_bytes": 16_384});
    let edits = [("/dialing", dialing(unchecked)), ("/connecting", connecting(unlike))];
    look("tls_insecure", &edited(&clean(), &edits), None);
}

/// One node compresses and goes on with its window, one forgets, one takes none; we send compressed.
fn deflate(look: Look<'_>, latency: &Value) {
    let agreed = |node: u64, parameters: Value, inflate: u64, deflate: u64| {
        json!({"node": node, "parameters": parameters, "sockets": 4 - node, "inflate_bytes": inflate,
            "deflate_bytes": deflate})
    };
    let all = json!([
        agreed(0, json!("permessage-deflate"), 48 << 10, 384 << 10),
        agreed(1, json!("permessage-deflate; server_no_context_takeover\u{7}"), 0, 0),
        agreed(2, json!(null), 0, 0),
    ]);
    let connecting = json!({"sockets": 9, "connected": 9, "failed": 0, "wall_s": 0.25, "rate_per_s": 36.0,
        "connect_us": latency, "handshake_us": null, "deflate": all, "upgrade_us": latency,
        "ports_passed_over": 0, "failures": []});
    let both = json!({"received_messages": 9_000, "received_bytes": 198_000, "inflated_bytes": 1_350_000,
        "sent_messages": 1_000, "sent_bytes": 47_000, "plain_bytes": 150_000});
    let came = json!({"received_messages": 1, "received_bytes": 30, "inflated_bytes": 128,
        "sent_messages": 0, "sent_bytes": 0, "plain_bytes": 0});
    let edits =
        [("/connecting", connecting), ("/trials/0/deflate", both), ("/trials/1/deflate", came)];
    look("deflate", &edited(&clean(), &edits), None);
}

fn every_floor(look: Look<'_>) {
    let with = |failure| {
        let floor = calibration(failure);
        let outcome = held(&floor, outcome(vec![whole(1_000)]));
        begun(&[1_000]).calibrated(Some(&floor)).ended(&outcome)
    };
    look("floor", &with(None), None);
    look("floor_cut_short", &with(Some("interrupted")), None);
    let late = json!({"count": 1_000, "min": 1.0, "mean": 4.0, "p50": 3.0, "p90": 8.0, "p99": 21.5,
        "p99_9": null, "p99_99": null, "max": 840.0});
    let edits = [("/trials/0/generator/schedule_lag_us", late)];
    look("floor_of_a_schedule", &edited(&with(None), &edits), None);
}
