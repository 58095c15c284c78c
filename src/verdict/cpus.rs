//! Whether the workers had their CPUs, and whom they shared them with.
//!
//! Belongs here: rules about CPU time and the settings of this host. Does not: rules about dropped packets
//! (`drops`), about what a worker did with its time (`generator`).

use crate::host::facts::{CpuTicks, HostCounters};
use crate::units::{Count, Nanos};
use crate::verdict::facts::{Beside, DEGRADED, Evidence, Grounds, Kind, Rule, degraded, percent};

/// Time taken by the hypervisor that a tail percentile does not feel.
const STEAL_MAX: f64 = 0.001;
/// Of the time that our threads wanted to run, the share that they waited for a CPU.
const RUN_QUEUE_MAX: f64 = 0.10;
/// Less waiting than this, over all threads, is wakeups and nothing else.
const RUN_QUEUE_MIN: Nanos = Nanos::from_millis(1);

/// Each with its code and its meaning.
pub(super) const RULES: &[Rule] = &[
    Rule {
        kind: Kind {
            code: "cpu-steal",
            severities: DEGRADED,
            meaning: "The hypervisor took CPU time from this host.",
        },
        judge: cpu_steal,
    },
    Rule {
        kind: Kind {
            code: "cpu-throttled",
            severities: DEGRADED,
            meaning: "The CPU quota of the control group ran out: the generator was stopped for a time.",
        },
        judge: cpu_throttled,
    },
    Rule {
        kind: Kind {
            code: "run-queue-wait",
            severities: DEGRADED,
            meaning: "Workers waited for a CPU that others used.",
        },
        judge: run_queue_wait,
    },
    Rule {
        kind: Kind {
            code: "single-cpu",
            severities: DEGRADED,
            meaning: "The process may use one CPU only: generator and kernel take turns on it.",
        },
        judge: single_cpu,
    },
    Rule {
        kind: Kind {
            code: "shared-cores",
            severities: DEGRADED,
            meaning: "Nodes may use the CPUs of the workers: latencies may include the wait for each \
                  other.",
        },
        judge: shared_cores,
    },
    Rule {
        kind: Kind {
            code: "host-untuned",
            severities: DEGRADED,
            meaning: "Settings of this host fall short of what the plan needs; `fanstorm audit` shows all \
                  of them.",
        },
        judge: host_untuned,
    },
    Rule {
        kind: Kind {
            code: "smt-siblings",
            severities: DEGRADED,
            meaning: "Two workers run on two hardware threads of one core: each is slower while the other \
                  works.",
        },
        judge: smt_siblings,
    },
];

fn cpu_steal(facts: &Evidence<'_>) -> Option<Grounds> {
    let share = |before: CpuTicks, after: CpuTicks| {
        let total = after.total.saturating_sub(before.total);
        let steal = after.steal.saturating_sub(before.steal);
        if total == 0 { 0.0 } else { steal as f64 / total as f64 }
    };
    let ticks = |host: &HostCounters, cpu: usize| {
        host.cpu_each.iter().find(|(number, _)| *number == cpu).map(|(_, ticks)| *ticks)
    };
    let (before, after) = (facts.host_before, facts.host_after);
    let of_workers = facts.outcome.cores.iter().filter_map(|core| {
        let share = share(ticks(before, core.cpu)?, ticks(after, core.cpu)?);
        Some((format!("CPU {}", core.cpu), share))
    });
    let of_all = before.cpu_all.zip(after.cpu_all);
    let of_all = of_all.map(|(before, after)| ("all CPUs".to_owned(), share(before, after)));
    let (whose, worst) = of_workers.chain(of_all).max_by(|a, b| a.1.total_cmp(&b.1))?;
    (worst > STEAL_MAX).then(|| {
        degraded(
            format!("the hypervisor took {} of the time of {whose}", percent(worst)),
            "use a host with CPUs of its own; on this one, repeat the run and compare",
        )
    })
}

fn cpu_throttled(facts: &Evidence<'_>) -> Option<Grounds> {
    let (before, after) = (facts.host_before.throttle?, facts.host_after.throttle?);
    let periods = after.periods.saturating_sub(before.periods);
    (periods > 0).then(|| {
        degraded(format!(
                "the CPU quota of our control group ran out in {} periods, and we stood still for {}",
                Count(periods),
                after.time.since(before.time)
            ),
            "raise the container's CPU limit (cpu.max), or use fewer --cores",
        )
    })
}

fn run_queue_wait(facts: &Evidence<'_>) -> Option<Grounds> {
    let (before, after) = (facts.host_before.sched?, facts.host_after.sched?);
    let waiting = after.waiting.since(before.waiting);
    let wanted = waiting.plus(after.running.since(before.running));
    let share = waiting.0 as f64 / wanted.0.max(1) as f64;
    // Behind whom is not counted anywhere, but a worker has its CPU to itself as far as it is up to us:
    // either our own cluster is there too, which was asked for, or strangers are.
    let (behind, remedy) = match facts.surroundings.beside {
        Beside::Nobody => {
            (String::new(), "keep other processes off the CPUs of --cores (taskset, isolcpus)")
        }
        beside => {
            (format!(" behind {}, too", beside.who()), "leave CPUs out of --cores for the cluster")
        }
    };
    (waiting >= RUN_QUEUE_MIN && share > RUN_QUEUE_MAX).then(|| {
        let share = percent(share);
        let text = format!(
            "our workers waited {waiting} for a CPU{behind}: {share} of the time that they wanted to run"
        );
        degraded(text, remedy)
    })
}

fn single_cpu(facts: &Evidence<'_>) -> Option<Grounds> {
    (facts.surroundings.cpus_allowed == Some(1)).then(|| {
        let others = match facts.surroundings.beside {
            Beside::Nobody => "generator and kernel",
            Beside::Embedded | Beside::Nodes => "generator, cluster and kernel",
        };
        degraded(
            format!("this process may use one CPU: {others} take turns on it"),
            "use a host with at least two CPUs, or widen taskset, cpuset or the container's CPUs",
        )
    })
}

fn shared_cores(facts: &Evidence<'_>) -> Option<Grounds> {
    let cpus: Vec<_> = facts.outcome.cores.iter().map(|core| core.cpu.to_string()).collect();
    let cpus = cpus.join(", ");
    let (text, remedy) = match facts.surroundings.beside {
        Beside::Nobody => return None,
        // Said already.
        _ if facts.surroundings.cpus_allowed == Some(1) => return None,
        Beside::Embedded => (
            format!(
                "cluster and generator share CPU {cpus}: latencies include the wait for each other"
            ),
            "leave CPUs out of --cores, or run the cluster on another host",
        ),
        Beside::Nodes => (
            format!(
                "nodes run on this host and may use CPU {cpus} of the generator: latencies may \
                 include the wait for each other"
            ),
            "run the generator on another host, or compare with one that does",
        ),
    };
    Some(degraded(text, remedy))
}

/// The audit's own warnings, and only those that figures may suffer by.
fn host_untuned(facts: &Evidence<'_>) -> Option<Grounds> {
    let texts: Vec<_> = facts.surroundings.shortfalls.iter().map(|s| s.text.as_str()).collect();
    let remedies: Vec<_> =
        facts.surroundings.shortfalls.iter().map(|s| s.remedy.as_str()).collect();
    let all = "`fanstorm audit` with the same flags shows all of it";
    (!texts.is_empty())
        .then(|| degraded(texts.join("; "), &format!("{}; {all}", remedies.join("; "))))
}

fn smt_siblings(facts: &Evidence<'_>) -> Option<Grounds> {
    let pairs = facts.surroundings.smt_siblings.iter().map(|(a, b)| format!("{a} and {b}"));
    let pairs: Vec<_> = pairs.collect();
    (!pairs.is_empty()).then(|| {
        degraded(format!(
                "the workers on CPU {} are threads of one core: each is slower while the other works",
                pairs.join(", on ")
            ),
            "give --cores one thread of each core (lscpu -e), or a number no larger than the cores",
        )
    })
}
