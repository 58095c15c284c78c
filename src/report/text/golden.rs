//! Reports in many situations, compared byte for byte with those under `tests/fixtures/reports`.
//!
//! `FANSTORM_BLESS=1 cargo test --lib golden` writes them anew; read the difference before you commit it.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::tests::*;
use crate::report::document::Document;
use crate::report::document::trial::LatencyClass;
use crate::report::fixture::{begun, whole};

const ESCAPES: [&str; 5] = ["\x1b[0m", "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[33m"];

/// In colour: without its escapes it is the plain report.
fn golden(name: &str, document: &Document, class: Option<LatencyClass>) {
    let report = rendered(document, class, true);
    let plain = ESCAPES.iter().fold(report.clone(), |text, escape| text.replace(escape, ""));
    assert_eq!(rendered(document, class, false), plain, "{name}");
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reports");
    let path = folder.join(format!("{name}.txt"));
    if std::env::var_os("FANSTORM_BLESS").is_some_and(|value| value == "1") {
        fs::create_dir_all(&folder).unwrap();
        fs::write(&path, &report).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(report, golden, "{name}: FANSTORM_BLESS=1 writes it anew");
}

/// A document with other values at some places; each place is a JSON pointer.
fn edited(document: &Document, edits: &[(&str, Value)]) -> Document {
    let mut value = serde_json::to_value(document).unwrap();
    for (pointer, new) in edits {
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

#[test]
fn reports_of_every_load_are_as_they_were() {
    golden("burst", &clean(), None);
    golden("burst_by_completion", &clean(), Some(LatencyClass::Completion));
    golden("one_message", &ended(&[1], outcome(vec![whole(1)])), None);
    golden("only_begun", &begun(&[10, 100_000]), None);
    let window = [("/plan/mode", json!("window")), ("/plan/in_flight", json!(16))];
    golden("window", &edited(&clean(), &window), None);
    let late = json!({"count": 3_000, "min": 1.0, "mean": 4.0, "p50": 3.0, "p90": 8.0, "p99": 21.5,
        "p99_9": null, "p99_99": null, "max": 840.0});
    let mut rate = vec![
        ("/plan/mode", json!("rate")),
        ("/plan/rate_per_s", json!(2_500.5)),
        ("/plan/arrivals", json!("poisson")),
        ("/plan/arrivals_seed", json!(42)),
        ("/plan/headline_latency", json!("response")),
        ("/runs/1/latency_us/response", late.clone()),
        ("/runs/1/latency_us/wait", late.clone()),
        ("/runs/1/generator/schedule_lag_us", late.clone()),
        ("/runs/1/generator/stamp_lateness_us", late.clone()),
    ];
    golden("rate_poisson", &edited(&clean(), &rate), None);
    golden("rate_by_service", &edited(&clean(), &rate), Some(LatencyClass::Service));
    rate[2].1 = json!("constant");
    let warmup = json!({"duration_s": 1.5, "messages": 500, "expected": 3_000, "copies": 3_000,
        "latency_us": {"response": late}, "schedule_lag_us": late, "saturated": 2});
    rate.extend([("/plan/warmup_s", json!(1.5)), ("/runs/1/warmup", warmup)]);
    rate.push(("/runs/1/intervals", intervals(4)));
    golden("rate_with_warmup", &edited(&clean(), &rate), None);
    rate.pop();
    rate.push(("/runs/1/intervals", intervals(90)));
    golden("rate_of_many_seconds", &edited(&clean(), &rate), None);
}

/// Of which the first is warm-up, and some are without copies or with misdelivered ones.
fn intervals(count: u64) -> Value {
    let interval = |i: u64| {
        let has = i % 7 != 5;
        json!({"start_s": i, "length_s": 1.0, "warmup": i == 0, "sent": 500 + i, "copies": 3_000 * u64::from(has),
            "misdelivered": u64::from(i % 40 == 2), "missing_so_far": i % 11,
            "p50_us": has.then_some(900.0 + i as f64),
            "p99_us": (has && i % 13 != 4).then_some(2_000.0 + (i * 37 % 101) as f64),
            "max_us": has.then_some(4_000.0 + i as f64)})
    };
    (0..count).map(interval).collect()
}

#[test]
fn reports_of_everything_that_can_go_wrong_are_as_they_were() {
    golden("deficit", &ended(&[1_000, 3_000], outcome(vec![whole(1_000), cut_link()])), None);
    golden("void", &ended(&[1_000, 8_000], outcome(vec![busy(1_000), overflowing()])), None);
    golden("interrupted", &ended(&[3_000, 4_000, 8_000], interrupted()), None);
    let connected = ["connect", "upgrade"].map(|what| format!("/connecting/{what}_us/max"));
    let connected = connected.each_ref().map(|place| (place.as_str(), json!(84.0)));
    golden("talkative", &edited(&talkative_document(), &connected), None);
    let all = edited(
        &clean(),
        &[
            ("/plan/fan_out", json!("others")),
            ("/runs/1/delivery/misdelivered", json!(40)),
            ("/runs/1/delivery/duplicate", json!(1)),
            (
                "/runs/1/late",
                json!({"copies": 2, "duplicates": 1, "misdelivered": 7, "up_to_s": 0.25}),
            ),
            ("/runs/0/reconnected_sockets", json!(2)),
            (
                "/runs/1/reordering",
                json!({"max_distance": 7_400, "distances": [
                {"first": 1, "last": 1, "copies": 3}, {"first": 4_096, "last": 8_191, "copies": 1}]}),
            ),
            ("/runs/1/delivery/out_of_order", json!(4)),
            ("/runs/1/delivery/corrupt", json!(3)),
        ],
    );
    golden("misdelivered_late_and_out_of_order", &all, None);
    let own = [("/plan/fan_out", json!("own")), ("/runs/1/delivery/misdelivered", json!(1))];
    golden("misdelivered_to_others", &edited(&clean(), &own), None);
    golden("silent_nodes", &silent_nodes(), None);
    golden(
        "silent_without_sent",
        &edited(&silent_nodes(), &[("/runs/0/sent", json!(2_999))]),
        None,
    );
    let reason = "the lost sockets could not be connected again: node 2 refuses connections, and so \
                  this row and all that follow it are skipped";
    let none = edited(
        &begun(&[1_000, 2_000]),
        &[("/skipped", json!([{"messages": 1_000, "reason": reason}]))],
    );
    golden("nothing_measured", &none, None);
    golden(
        "nothing_sent",
        &edited(
            &clean(),
            &[
                ("/runs/1/sent", json!(0)),
                ("/runs/1/time", json!({"send_s": null, "receive_s": null})),
                ("/runs/1/throughput", json!({"sent_per_s": null, "copies_per_s": null})),
                ("/runs/1/delivery/delivered", json!(0)),
                ("/runs/1/delivery/missing", json!(18_000)),
                ("/runs/1/delivery/seen", json!(0)),
                ("/runs/1/latency_us", json!({})),
                ("/runs/1/generator/process_cpu_s", json!(0.012)),
                ("/runs/1/generator/process_cpu_ns_per_copy", json!(null)),
                ("/runs/1/generator/cores/0/cpu_ns_per_copy", json!(null)),
                ("/runs/1/generator/cores/0/spun_s", json!(0.0)),
            ],
        ),
        None,
    );
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
        ("/runs/0/matrix", (0..14).map(|to| cell(to, 3_000, 500 * u64::from(to == 3))).collect()),
        ("/runs/0/lost_sockets", (0..9).map(lost).collect::<Value>()),
        ("/runs/0/gaps", (0..9).map(gap).collect()),
        ("/runs/0/gaps_total", json!(40)),
        ("/runs/0/ending", json!("sockets_lost")),
    ];
    edited(&document, &edits)
}

#[test]
fn reports_of_every_host_and_connection_are_as_they_were() {
    for wait in ["spin", "sleep", "throughput"] {
        golden(&format!("wait_{wait}"), &edited(&clean(), &[("/plan/wait", json!(wait))]), None);
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
        "failures": (0..10).map(failure).collect::<Value>()});
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
        ("/runs/1/latency_us/spread/min", json!(null)),
        ("/runs/1/generator/stamp_resolution_us", json!(50.0)),
    ];
    golden("connections", &edited(&clean(), &edits), None);
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
    golden("old_result", &edited(&clean(), &edits), None);
}

#[test]
fn reports_with_a_floor_are_as_they_were() {
    let with = |failure| {
        let floor = calibration(failure);
        let mut outcome = outcome(vec![whole(1_000)]);
        outcome.runs.iter_mut().for_each(|run| floor.hold(run));
        begun(&[1_000]).calibrated(Some(&floor)).ended(&outcome)
    };
    golden("floor", &with(None), None);
    golden("floor_cut_short", &with(Some("interrupted")), None);
    let late = json!({"count": 1_000, "min": 1.0, "mean": 4.0, "p50": 3.0, "p90": 8.0, "p99": 21.5,
        "p99_9": null, "p99_99": null, "max": 840.0});
    let edits = [("/runs/0/generator/schedule_lag_us", late)];
    golden("floor_of_a_schedule", &edited(&with(None), &edits), None);
}
