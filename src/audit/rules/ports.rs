//! Rules about local ports: how many, which, and how long they stay taken.

use crate::audit::facts::Facts;
use crate::audit::finding::{Finding, Remedy, Severity};
use crate::audit::requirements::{Place, PlanRequirements};
use crate::host::limits::{self, LimitError};
use crate::host::socket_cost::{PORTS_WIDE, TIME_WAIT_S};
use crate::units::Count;

const WIDE: &str = "1024 65535";

pub(super) fn range(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    if let Err(LimitError::Ports { .. }) = limits::ports(&facts.limits, &need.limits) {
        return Some(too_few(facts, need));
    }
    let (sockets, available) = (need.sockets_per_source(), facts.limits.ports_available());
    // Ports that we deal ourselves are not looked for, and are about half of the range anyway.
    (!need.limits.own_origins && sockets > available / 2).then(|| Finding {
        severity: Severity::Warn,
        is: range_text(facts),
        wants: format!("{} ports", Count(2 * sockets)),
        why: format!(
            "{} go from one address to {}, more than half of {}: connect looks through the ports \
             of one parity first, and each connect beyond them searches longer",
            sockets_text(sockets),
            need.limits.busiest,
            Count(available)
        ),
        remedy: if 2 * sockets <= PORTS_WIDE { wide() } else { spread() },
    })
}

fn too_few(facts: &Facts, need: &PlanRequirements) -> Finding {
    let sockets = need.sockets_per_source();
    Finding {
        severity: Severity::Stop,
        is: range_text(facts),
        wants: format!("{} ports", Count(sockets)),
        why: format!(
            "{} go from one address to {}, each from a port of its own; the range holds {} that \
             are not reserved",
            sockets_text(sockets),
            need.limits.busiest,
            Count(facts.limits.ports_available())
        ),
        remedy: if sockets <= PORTS_WIDE { wide() } else { spread() },
    }
}

fn sockets_text(sockets: u64) -> String {
    format!("{} sockets", Count(sockets))
}

fn range_text(facts: &Facts) -> String {
    let (low, high) = facts.limits.ports;
    format!("{low} {high}")
}

fn wide() -> Remedy {
    Remedy::Sysctl(WIDE.to_owned())
}

fn spread() -> Remedy {
    Remedy::Advice(
        "no range is wide enough: --source-ip with more addresses of this host, or more nodes"
            .to_owned(),
    )
}

pub(super) fn parity(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    if range(facts, need).is_some() {
        // That finding asks for another range altogether.
        return None;
    }
    let (low, high) = facts.limits.ports;
    let last = if high == u16::MAX { high - 1 } else { high + 1 };
    (low % 2 == high % 2).then(|| Finding {
        severity: Severity::Info,
        is: range_text(facts),
        wants: format!("{low} {last}"),
        why: "both ends are even or both odd: the kernel takes ports of one parity first and \
              complains about such a range; it is copied from guides"
            .to_owned(),
        remedy: Remedy::Sysctl(format!("{low} {last}")),
    })
}

pub(super) fn reserved(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let (low, high) = facts.limits.ports;
    let reserved = |port: u16| facts.reserved_ports.iter().any(|&(a, b)| a <= port && port <= b);
    let mut open: Vec<u16> = need.node_ports.clone();
    open.retain(|&port| low <= port && port <= high && !reserved(port));
    open.sort_unstable();
    open.dedup();
    if need.place != Place::Loopback || open.is_empty() {
        return None;
    }
    let known = facts.reserved_ports.iter().map(|&(a, b)| range_of(a, b));
    let all: Vec<_> = known.chain(open.iter().map(u16::to_string)).collect();
    let open: Vec<_> = open.iter().map(u16::to_string).collect();
    Some(Finding {
        severity: Severity::Info,
        is: if facts.reserved_ports.is_empty() { "none".to_owned() } else { ports_text(facts) },
        wants: all.join(","),
        why: format!(
            "nodes of this host listen on {}, inside the range that our own sockets take ports \
             from: a node that starts again may find its port taken",
            open.join(", ")
        ),
        remedy: Remedy::Sysctl(all.join(",")),
    })
}

fn ports_text(facts: &Facts) -> String {
    let ranges = facts.reserved_ports.iter().map(|&(a, b)| range_of(a, b));
    ranges.collect::<Vec<_>>().join(",")
}

fn range_of(first: u16, last: u16) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

/// Only where sockets of an earlier run still hold ports that this one needs.
pub(super) fn tw_reuse(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let (reuse, waiting) = (facts.tcp.tw_reuse?, facts.tcp.time_wait?);
    let (sockets, available) = (need.sockets_per_source(), facts.limits.ports_available());
    let reused = reuse == 1 || (reuse == 2 && need.place.is_here());
    // More than the range holds anyway is another rule's.
    let fits = sockets <= available;
    let short = fits && sockets.saturating_add(waiting) > available;
    (short && !reused).then(|| Finding {
        severity: Severity::Warn,
        is: if reuse == 2 { "2 (on loopback)".to_owned() } else { reuse.to_string() },
        wants: "1".to_owned(),
        why: format!(
            "{} closed connections hold their ports for {TIME_WAIT_S} s, {} more are needed, the \
             range has {}: wait a minute, or let new connections take them over",
            Count(waiting),
            Count(sockets),
            Count(available)
        ),
        remedy: Remedy::Sysctl("1".to_owned()),
    })
}

pub(super) fn max_tw_buckets(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let max = facts.tcp.max_tw_buckets?;
    let sockets = need.sockets();
    (sockets > max).then(|| Finding {
        severity: Severity::Info,
        is: Count(max).to_string(),
        wants: Count(sockets).to_string(),
        why: format!(
            "{} sockets close at the end of a run: those beyond this figure skip TIME_WAIT, and a \
             late packet may then reach the next run's socket",
            Count(sockets)
        ),
        remedy: Remedy::Sysctl(sockets.next_power_of_two().to_string()),
    })
}
