//! A plan and trials for the tests of reports: 3 push sockets, 3 nodes with one receive socket each.

use super::Invocation;
use super::document::Document;
use crate::host::facts::HostFacts;
use crate::load::trial::Trial;
use crate::measure::latencies::Latencies;
use crate::measure::outcome::{Class, CoreUse, Delivery, MatrixCell, Opcodes, TrialOutcome};
use crate::plan::{Plan, fixture};
use crate::units::{Bytes, Nanos};
use crate::verdict::Judged;

pub(super) fn plan(messages: &[u64]) -> Plan {
    fixture::plan_of(0, &[1], &[7101, 7102, 7103], |spec| {
        spec.trials = Trial::bursts(messages);
        spec.payload_bytes = 150;
    })
}

pub(super) fn invocation() -> Invocation {
    Invocation {
        args: Vec::new(),
        started_unix_ms: 0,
        cluster: "embedded, discovery http://127.0.0.1:7100/api/clients".to_owned(),
        placement: "each on a core of its own; the cluster on CPU 0".to_owned(),
        cluster_cpus: vec![0],
        memory: Bytes(3_500_000),
        host: HostFacts {
            kernel: Some("6.18.44".to_owned()),
            cpu_model: Some("AMD EPYC 9R14".to_owned()),
            cpus_online: Some(4),
            cpus_allowed: Some(vec![0, 1]),
            virtual_machine: Some(true),
            memory: Some(Bytes(25 << 30)),
            cgroup_cpus: Some(1.5),
            cgroup_memory: None,
            clocksource: Some("tsc".to_owned()),
            governor: None,
            container: Some("docker".to_owned()),
        },
    }
}

/// Before the first trial.
pub(super) fn begun(messages: &[u64]) -> Document {
    Document::begun(&plan(messages), &invocation())
}

/// `count` latencies, evenly from one step to `count` steps.
fn ramp(count: u64, step_ns: u64) -> Latencies {
    (1..=count).map(|i| Nanos(i * step_ns)).collect()
}

pub(super) fn cell(to: usize, expected: u64, delivered: u64) -> MatrixCell {
    MatrixCell { from: 0, to, reached: None, expected, delivered, latency_ns: ramp(delivered, 200) }
}

/// With nothing to say against it.
pub(super) fn trusted(outcome: TrialOutcome) -> Judged {
    Judged { outcome, caveats: Vec::new() }
}

/// A trial of which every copy came: 3 push sockets and one receive socket to each of 3 nodes.
pub(super) fn whole(messages: u64) -> TrialOutcome {
    let copies = 6 * messages;
    TrialOutcome {
        id: Trial::bursts(&[messages]).remove(0).id,
        messages,
        sent: messages,
        push_sockets: 3,
        receive_sockets: 3,
        nodes: 3,
        delivery: Delivery {
            expected: copies,
            delivered: copies,
            seen: copies,
            ..Delivery::default()
        },
        send_time: Some(Nanos(messages * 2_000)),
        receive_time: Some(Nanos(messages * 15_000)),
        process_cpu: Some(Nanos(copies * 1_700)),
        latency_ns: vec![
            (Class::Service, ramp(copies, 200)),
            (Class::Completion, ramp(messages, 1_300)),
            (Class::Spread, ramp(messages, 900)),
        ],
        matrix: vec![
            cell(0, 4 * messages, 4 * messages),
            cell(1, messages, messages),
            cell(2, messages, messages),
        ],
        opcodes: Opcodes { text: copies, ..Opcodes::default() },
        cores: vec![CoreUse {
            cpu: 1,
            sockets: 6,
            copies,
            cpu_time: Nanos(copies * 1_612),
            spun: Nanos(copies * 1_000),
            wall: Nanos(messages * 15_000),
            reads: copies / 5,
            longest_turn: Nanos(84_000),
            ..CoreUse::default()
        }],
        ..TrialOutcome::nothing()
    }
}
