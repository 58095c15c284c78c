//! Rules about processors: quotas, clocks, and who else is on them.

use crate::audit::facts::Facts;
use crate::audit::finding::{Finding, Remedy, Severity};
use crate::audit::requirements::{Handshakes, Place, PlanRequirements};
use crate::host::limits::{self, LimitError};
use crate::units::Count;

/// Clock sources that are read by a system call or slower; all others are read in user space.
const SLOW_CLOCKS: [&str; 6] = ["hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit", "xen"];
/// From here on clock reads are a visible part of the work.
const MANY_COPIES_PER_S: f64 = 100_000.0;
const MANY_COPIES: u64 = 1_000_000;
/// Our side of a handshake: TLS 1.3 with X25519 and a certificate of ECDSA P-256, by `ring` on server cores of 2023
/// (201 and 96 µs; TLS 1.2 less). It is no figure of this host: to measure one needs a server.
const FULL_HANDSHAKE_US: u64 = 200;
const RESUMED_HANDSHAKE_US: u64 = 100;
/// Connecting that takes longer by handshakes is worth knowing.
const HANDSHAKES_S: f64 = 1.0;
/// Of all time since the start, the share that a neighbour took.
const STEAL_MAX: f64 = 0.01;

pub(super) fn quota(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let quota = facts.host.cgroup_cpus?;
    let workers = need.workers.len() as f64;
    let embedded = need.place == Place::Embedded;
    let wanted = workers + if embedded { 1.0 } else { 0.0 };
    let beside = if embedded { " and the embedded cluster" } else { "" };
    let plural = if workers > 1.0 { "s" } else { "" };
    (quota < wanted).then(|| Finding {
        severity: if quota < workers { Severity::Warn } else { Severity::Info },
        is: format!("{quota:.1} CPUs"),
        wants: format!("{wanted:.0} CPUs"),
        why: format!(
            "{workers:.0} worker{plural}{beside} may run at once; what goes over the quota stands \
             still for the rest of a period of 100 ms, which shows as latency (nr_throttled)"
        ),
        remedy: Remedy::Advice(format!(
            "raise the container's CPU limit (docker --cpus {wanted:.0}, Kubernetes limits.cpu, \
             systemd CPUQuota=), or use fewer --cores"
        )),
    })
}

pub(super) fn handshakes(_: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let Handshakes { sockets, resumes, asked_per_s } = need.handshakes?;
    let (kind, each_us) = match resumes {
        true => ("resumed", RESUMED_HANDSHAKE_US),
        false => ("full", FULL_HANDSHAKE_US),
    };
    let workers = need.workers.len().max(1) as u64;
    let (per_s, plural) = (workers * 1_000_000 / each_us, if workers > 1 { "s" } else { "" });
    let takes_s = sockets as f64 / per_s as f64;
    let is_asked_too_much = asked_per_s.is_some_and(|asked| asked > per_s as f64);
    let beside = if need.place.is_here() { "; nodes on this host take as much again" } else { "" };
    (is_asked_too_much || takes_s >= HANDSHAKES_S).then(|| Finding {
        severity: if is_asked_too_much { Severity::Warn } else { Severity::Info },
        is: match asked_per_s {
            Some(asked) => format!("{} a second", Count(asked.ceil() as u64)),
            None => format!("{} at once", Count(sockets)),
        },
        wants: format!("at most {} a second", Count(per_s)),
        why: format!(
            "{} {kind} handshakes take {workers} worker{plural} about {takes_s:.1} s, {each_us} µs of a core \
             each as they took elsewhere, not measured here{beside}",
            Count(sockets)
        ),
        remedy: Remedy::Advice(format!(
            "--connect-rate {per_s} at most, more --cores, or --tls-resume where sessions may be resumed"
        )),
    })
}

pub(super) fn tasks(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let Err(LimitError::Tasks { needed, free }) = limits::tasks(&facts.limits, need.limits.tasks)
    else {
        return None;
    };
    let embedded =
        if need.place == Place::Embedded { ", two for each process of the cluster" } else { "" };
    Some(Finding {
        severity: Severity::Stop,
        is: format!("{} left", Count(free)),
        wants: Count(needed).to_string(),
        why: format!(
            "the plan starts {} processes and threads: one for each worker{embedded}",
            Count(needed)
        ),
        remedy: Remedy::Advice(limits::more_tasks().to_owned()),
    })
}

pub(super) fn governor(facts: &Facts, _: &PlanRequirements) -> Option<Finding> {
    let governor = facts.host.governor.as_deref()?;
    (governor != "performance").then(|| Finding {
        severity: Severity::Info,
        is: governor.to_owned(),
        wants: "performance".to_owned(),
        why:
            "a core that was idle is slow for its first tens of microseconds, which is the tail of \
              a load that leaves it idle between messages"
                .to_owned(),
        remedy: Remedy::Command("sudo cpupower frequency-set -g performance".to_owned()),
    })
}

pub(super) fn clocksource(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let source = facts.host.clocksource.as_deref().filter(|name| SLOW_CLOCKS.contains(name))?;
    let copies = need.messages.saturating_mul(need.copies_per_message);
    let many = need.copies_per_s().map_or(copies >= MANY_COPIES, |rate| rate >= MANY_COPIES_PER_S);
    Some(Finding {
        severity: if many { Severity::Warn } else { Severity::Info },
        is: source.to_owned(),
        wants: "tsc".to_owned(),
        why: format!(
            "each reading of the clock is a system call or slower, about 1 µs in place of 25 ns; \
             this plan stamps {} copies",
            Count(copies)
        ),
        remedy: Remedy::Command(
            "echo tsc | sudo tee /sys/devices/system/clocksource/clocksource0/current_clocksource"
                .to_owned(),
        ),
    })
}

pub(super) fn steal(facts: &Facts, _: &PlanRequirements) -> Option<Finding> {
    let share = facts.cpu.steal?;
    (share > STEAL_MAX).then(|| Finding {
        severity: Severity::Info,
        is: format!("{:.1} %", share * 100.0),
        wants: "below 0.1 %".to_owned(),
        why: "of all CPU time since the start of this machine the hypervisor gave so much to \
              others; a run's own verdict says what it took from the run"
            .to_owned(),
        remedy: Remedy::Advice("nothing on this side helps: use another host".to_owned()),
    })
}

pub(super) fn siblings(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let on =
        |threads: &&Vec<usize>| threads.iter().filter(|cpu| need.workers.contains(cpu)).count() > 1;
    let shared: Vec<_> = facts.cpu.siblings.iter().filter(on).collect();
    let idle = facts.cpu.siblings.iter().any(|threads| {
        let allowed = facts.host.cpus_allowed.as_deref().unwrap_or(&[]);
        threads.iter().all(|cpu| allowed.contains(cpu) && !need.workers.contains(cpu))
    });
    let cores: Vec<_> = shared.iter().map(|threads| numbers(threads)).collect();
    (idle && !shared.is_empty()).then(|| Finding {
        severity: Severity::Info,
        is: format!("CPU {}", cores.join("; ")),
        wants: "a core for each worker".to_owned(),
        why: "two workers share the two threads of one core, each at little more than half of its \
              speed, while other cores have no worker"
            .to_owned(),
        remedy: Remedy::Advice("name CPUs of different cores: --cores (lscpu -e)".to_owned()),
    })
}

fn numbers(cpus: &[usize]) -> String {
    cpus.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

pub(super) fn autogroup(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let on = facts.cpu.autogroup? != 0;
    (on && need.rate_per_s.is_some()).then(|| Finding {
        severity: Severity::Info,
        is: "1".to_owned(),
        wants: "0".to_owned(),
        why: "CPU time is shared out by session: our workers get one share together, as any other \
              session that works does. It matters only beside other work on the same CPUs"
            .to_owned(),
        remedy: Remedy::Sysctl("0".to_owned()),
    })
}

pub(super) fn numa_balancing(facts: &Facts, _: &PlanRequirements) -> Option<Finding> {
    let (on, nodes) = (facts.cpu.numa_balancing? != 0, facts.cpu.numa_nodes.unwrap_or(1));
    (on && nodes > 1).then(|| Finding {
        severity: Severity::Info,
        is: "1".to_owned(),
        wants: "0".to_owned(),
        why: format!(
            "the kernel takes pages away for a moment to see which of {nodes} memory nodes uses \
             them; workers are pinned, so that there is nothing to find out"
        ),
        remedy: Remedy::Sysctl("0".to_owned()),
    })
}
