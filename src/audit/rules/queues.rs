//! Rules about queues: accept queues, packet queues, connection tracking, network cards.

use crate::audit::facts::{Facts, Nic};
use crate::audit::finding::{Finding, Remedy, Severity};
use crate::audit::requirements::{Place, PlanRequirements, UringDemand};
use crate::host::socket_cost::{CONNTRACK_BUCKET, CONNTRACK_ENTRY};
use crate::units::{Bytes, Count};

/// Packets a second beyond which one round of the network's soft interrupt is short.
const BUSY_LINE_COPIES_PER_S: f64 = 300_000.0;
/// The kernel's own budget of such a round, and one that guides agree on.
const BUDGET_WANTED: u64 = 600;
/// A queue of packets for a busy CPU that guides agree on. It is more than the late acknowledgements
/// that fall due in one tick of the timer: at 1.5 µs for each packet before them a CPU makes 2 700 in
/// 4 ms, 6 700 in the 10 ms of `CONFIG_HZ=100`.
const BACKLOG_WANTED: u64 = 16_384;
/// What a longer queue holds has waited too long to be worth it.
const BACKLOG_MAX: u64 = 65_536;
/// Of a line's rate, the share beyond which it queues.
const LINE_SHARE_MAX: f64 = 0.8;
/// Tracked connections in one place of the hash table, on average, beyond which each packet walks.
const CHAIN_MAX: u64 = 4;

pub(super) fn somaxconn(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let (max, burst) = (facts.queues.somaxconn?, need.connects_at_once);
    (need.place.is_here() && burst > max).then(|| Finding {
        severity: Severity::Warn,
        is: Count(max).to_string(),
        wants: Count(burst).to_string(),
        why: format!(
            "up to {} connects to one node are under way at once, and the node is on this host: \
             those beyond its accept queue are dropped and come again after 1 s (ListenOverflows)",
            Count(burst)
        ),
        remedy: Remedy::Sysctl(burst.next_power_of_two().to_string()),
    })
}

pub(super) fn syn_backlog(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let (max, burst) = (facts.queues.syn_backlog?, need.connects_at_once);
    // With cookies a full queue refuses nobody.
    let refuses = facts.queues.syncookies == Some(0);
    (need.place.is_here() && refuses && burst > max).then(|| Finding {
        severity: Severity::Warn,
        is: Count(max).to_string(),
        wants: Count(burst).to_string(),
        why: format!(
            "up to {} connects to one node are half open at once, and net.ipv4.tcp_syncookies=0 \
             drops those beyond this figure",
            Count(burst)
        ),
        remedy: Remedy::Sysctl(burst.next_power_of_two().to_string()),
    })
}

pub(super) fn netdev_backlog(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let backlog = facts.queues.netdev_backlog?;
    // Loopback and RPS put packets into this queue; a card's own queues do not.
    let Backlog { severity, burst, wanted, what } = if need.place.is_here() {
        Backlog::of_acknowledgements(need)
    } else if facts.nics.iter().any(|nic| nic.spreads) {
        Backlog::of_message(need)
    } else {
        return None;
    };
    (burst > backlog && wanted > backlog).then(|| Finding {
        severity,
        is: Count(backlog).to_string(),
        wants: Count(wanted).to_string(),
        why: format!(
            "{what}, and a CPU queues {} of them; what is dropped comes again after 200 ms. Column 2 \
             of /proc/net/softnet_stat counts it",
            Count(backlog)
        ),
        remedy: Remedy::Sysctl(wanted.to_string()),
    })
}

/// Packets that may wait for one CPU at once.
struct Backlog {
    severity: Severity,
    burst: u64,
    wanted: u64,
    what: String,
}

impl Backlog {
    /// Over loopback whoever sends a packet also takes it, before the next. What gathers is what the
    /// kernel's timer sends: the late acknowledgements of all to whom something came in one tick that
    /// wants no answer. A broadcast alone was never seen to do it (docs/journal.md).
    fn of_acknowledgements(need: &PlanRequirements) -> Self {
        let burst = need.sockets();
        let what = format!(
            "when all {} connections answer a Ping at once, or close, the acknowledgements fall due in \
             one tick of the timer",
            Count(burst)
        );
        Self { severity: Severity::Warn, burst, wanted: BACKLOG_WANTED, what }
    }

    /// A card's packets are handed to another CPU faster than that one may take them.
    fn of_message(need: &PlanRequirements) -> Self {
        let burst = need.copies_per_message;
        let wanted = burst.next_power_of_two().clamp(BACKLOG_WANTED, BACKLOG_MAX);
        let what = format!("one message makes {} packets for as many sockets", Count(burst));
        Self { severity: Severity::Info, burst, wanted, what }
    }
}

pub(super) fn netdev_budget(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let (budget, rate) = (facts.queues.netdev_budget?, need.copies_per_s()?);
    let busy = need.place == Place::Elsewhere && rate > BUSY_LINE_COPIES_PER_S;
    (busy && budget < BUDGET_WANTED).then(|| Finding {
        severity: Severity::Info,
        is: Count(budget).to_string(),
        wants: Count(BUDGET_WANTED).to_string(),
        why: format!(
            "{} copies a second come through the card, {} packets in one round of the soft \
             interrupt. Column 3 of /proc/net/softnet_stat counts rounds that were cut short",
            Count(rate as u64),
            Count(budget)
        ),
        remedy: Remedy::Sysctl(BUDGET_WANTED.to_string()),
    })
}

pub(super) fn busy_poll(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let us = facts.queues.busy_poll_us?;
    let helps = need.place == Place::Elsewhere && need.io_uring == UringDemand::Unused;
    (helps && need.rate_per_s.is_some() && us == 0).then(|| Finding {
        severity: Severity::Info,
        is: "0".to_owned(),
        wants: "50".to_owned(),
        why: "the epoll workers sleep until the card interrupts: polling it for 50 µs first saves \
              the wakeup, at the cost of CPU time. It does nothing for io_uring and on loopback"
            .to_owned(),
        remedy: Remedy::Sysctl("50".to_owned()),
    })
}

pub(super) fn conntrack_max(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let track = facts.conntrack.as_ref()?;
    let total = track.count.saturating_add(need.sockets());
    let tracks = track.count > 0;
    let wanted = total.saturating_add(total / 4);
    let memory = Bytes(wanted.saturating_mul(CONNTRACK_ENTRY.0 + CONNTRACK_BUCKET.0));
    let caution = if tracks { "" } else { " (none is tracked now: it may be switched off)" };
    (total > track.max).then(|| Finding {
        severity: if tracks { Severity::Warn } else { Severity::Info },
        is: Count(track.max).to_string(),
        wants: Count(wanted).to_string(),
        why: format!(
            "{} tracked + {} sockets, loopback included, are more than the table holds: packets \
             of new connections are dropped{caution}. {} entries take {memory}",
            Count(track.count),
            Count(need.sockets()),
            Count(wanted)
        ),
        remedy: Remedy::Sysctl(wanted.to_string()),
    })
}

pub(super) fn conntrack_buckets(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let track = facts.conntrack.as_ref()?;
    let buckets = track.buckets.filter(|&buckets| buckets > 0)?;
    let total = track.count.saturating_add(need.sockets());
    let long = track.count > 0 && total / buckets >= CHAIN_MAX;
    let wanted = (total / CHAIN_MAX).next_power_of_two();
    long.then(|| Finding {
        severity: Severity::Info,
        is: Count(buckets).to_string(),
        wants: Count(wanted).to_string(),
        why: format!(
            "{} connections in {} places: each packet compares {} of them on average",
            Count(total),
            Count(buckets),
            total / buckets
        ),
        remedy: Remedy::Sysctl(wanted.to_string()),
    })
}

/// The card that the plan's packets most likely take.
fn card(facts: &Facts) -> Option<&Nic> {
    facts.nics.iter().max_by_key(|nic| (nic.default_route, nic.speed_mbit))
}

pub(super) fn line_rate(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let (nic, wanted) = (card(facts)?, need.line_bits_per_s()?);
    let speed = nic.speed_mbit? as f64 * 1e6;
    let full = need.place == Place::Elsewhere && wanted > LINE_SHARE_MAX * speed;
    full.then(|| Finding {
        severity: Severity::Warn,
        is: format!("{}: {:.1} Gbit/s", nic.name, speed / 1e9),
        wants: format!("{:.1} Gbit/s", wanted / LINE_SHARE_MAX / 1e9),
        why: format!(
            "{} copies a second of {} and their headers are {:.1} Gbit/s: the line would be \
             measured, not the cluster",
            Count(need.copies_per_s().unwrap_or(0.0) as u64),
            Bytes(need.copy_bytes),
            wanted / 1e9
        ),
        remedy: Remedy::Advice(
            "lower --rate, --payload-bytes or --receivers-per-node, or use a faster card"
                .to_owned(),
        ),
    })
}

pub(super) fn card_queues(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let nic = card(facts)?;
    let (queues, workers) = (nic.receive_queues, need.workers.len());
    let few = need.place == Place::Elsewhere && queues < workers && !nic.spreads;
    few.then(|| Finding {
        severity: Severity::Info,
        is: format!("{}: {queues}", nic.name),
        wants: workers.to_string(),
        why: format!(
            "{workers} workers take what the CPUs of {queues} queues receive: at high rates those \
             fill up first"
        ),
        remedy: Remedy::Command(format!(
            "sudo ethtool -L {} combined {workers}  # where the card has so many",
            nic.name
        )),
    })
}

pub(super) fn card_interrupts(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let nic = card(facts)?;
    let mut shared = nic.interrupt_cpus.clone();
    shared.retain(|cpu| need.workers.contains(cpu));
    let spare = facts.host.cpus_online.unwrap_or(0) > need.workers.len();
    let disturbs = need.place == Place::Elsewhere && need.rate_per_s.is_some() && spare;
    let shared: Vec<_> = shared.iter().map(usize::to_string).collect();
    (disturbs && !shared.is_empty()).then(|| Finding {
        severity: Severity::Info,
        is: format!("CPU {}", shared.join(", ")),
        wants: "CPUs without a worker".to_owned(),
        why: format!(
            "the interrupts of {} run on CPUs that carry a worker: they take turns, which shows \
             in the tail",
            nic.name
        ),
        remedy: Remedy::Advice(format!(
            "move them (/proc/irq/*/smp_affinity_list, irqbalance off), or leave CPU {} out of \
             --cores",
            shared.join(", ")
        )),
    })
}

pub(super) fn card_offloads(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let nic = card(facts)?;
    let offloads = nic.offloads?;
    let off: Vec<_> = [("gro", offloads.gro), ("tso", offloads.tso)]
        .into_iter()
        .filter_map(|(name, on)| (!on).then_some(name))
        .collect();
    let on: Vec<_> = off.iter().map(|name| format!("{name} on")).collect();
    (need.place == Place::Elsewhere && !off.is_empty()).then(|| Finding {
        severity: Severity::Info,
        is: format!("{}: {} off", nic.name, off.join(", ")),
        wants: on.join(", "),
        why: format!(
            "each of {} copies of a message, and each packet of a large send, goes through the \
             kernel alone; together they cost a fraction",
            Count(need.copies_per_message)
        ),
        remedy: Remedy::Command(format!("sudo ethtool -K {} {}", nic.name, on.join(" "))),
    })
}
