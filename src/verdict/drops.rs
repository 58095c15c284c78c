//! What this host's network stack refused or dropped during a trial.
//!
//! Belongs here: rules about the kernel's counters of drops. Does not: rules about CPUs (`cpus`).

use crate::host::facts::{TCP_DROPS, TCP_DROPS_LISTEN, TCP_MEMORY_PRESSURES};
use crate::units::Count;
use crate::verdict::facts::{DEGRADED, Evidence, Grounds, Kind, Rule, degraded};

/// Each with its code and its meaning.
pub(super) const RULES: &[Rule] = &[
    Rule {
        kind: Kind {
            code: "listen-drops",
            severities: DEGRADED,
            meaning: "A listening socket on this host refused connections.",
        },
        judge: listen_drops,
    },
    Rule {
        kind: Kind {
            code: "kernel-drops",
            severities: DEGRADED,
            meaning: "The kernel of this host dropped packets for lack of TCP memory.",
        },
        judge: kernel_drops,
    },
    Rule {
        kind: Kind {
            code: "receive-buffer-full",
            severities: DEGRADED,
            meaning: "The receive buffer of a socket on this host was full: its reader was late.",
        },
        judge: receive_buffer_full,
    },
    Rule {
        kind: Kind {
            code: "softnet-drops",
            severities: DEGRADED,
            meaning: "Packets were dropped because the backlog queue of a CPU was full.",
        },
        judge: softnet_drops,
    },
];

fn listen_drops(facts: &Evidence<'_>) -> Option<Grounds> {
    let grown = grown_tcp_drops(facts, 0..TCP_DROPS_LISTEN)?;
    Some(degraded(
        format!("a listener of this host refused connections: {grown}"),
        "raise net.core.somaxconn and net.ipv4.tcp_max_syn_backlog, and the server's own backlog",
    ))
}

fn kernel_drops(facts: &Evidence<'_>) -> Option<Grounds> {
    let grown = grown_tcp_drops(facts, TCP_DROPS_LISTEN..TCP_DROPS.len())?;
    is_short_of_tcp_memory(facts).then(|| {
        degraded(
            format!("the kernel of this host was short of TCP memory: {grown}"),
            "raise net.ipv4.tcp_mem",
        )
    })
}

/// The kernel counts the same where the buffer of one socket is full, and no other memory helps that.
/// Whose socket it was is counted nowhere.
fn receive_buffer_full(facts: &Evidence<'_>) -> Option<Grounds> {
    let grown = grown_tcp_drops(facts, TCP_DROPS_LISTEN..TCP_DROPS.len())?;
    (!is_short_of_tcp_memory(facts)).then(|| {
        degraded(format!(
                "the receive buffer of a socket on this host was full ({grown}), and TCP memory was not \
                 short: its reader was late, a worker of ours or a node that runs here"
            ),
            "if the workers are busy, give the generator more --cores; if a node runs here, it reads \
             too slowly, and that is a result",
        )
    })
}

fn is_short_of_tcp_memory(facts: &Evidence<'_>) -> bool {
    let (before, after) = (facts.host_before, facts.host_after);
    let pressed = [before, after].iter().any(|host| host.tcp_pressed == Some(true));
    pressed || grown_tcp_drops(facts, TCP_MEMORY_PRESSURES..TCP_MEMORY_PRESSURES + 1).is_some()
}

fn softnet_drops(facts: &Evidence<'_>) -> Option<Grounds> {
    let (before, after) = (facts.host_before.softnet_dropped?, facts.host_after.softnet_dropped?);
    let dropped = after.saturating_sub(before);
    (dropped > 0).then(|| {
        degraded(
            format!("{} packets found the backlog of their CPU full", Count(dropped)),
            "raise net.core.netdev_max_backlog",
        )
    })
}

/// The drop counters among `which` that grew, as `ListenDrops +3, …`.
fn grown_tcp_drops(facts: &Evidence<'_>, which: std::ops::Range<usize>) -> Option<String> {
    let (before, after) = (facts.host_before.tcp_drops?, facts.host_after.tcp_drops?);
    let grown = which.filter(|&i| after[i] > before[i]);
    let grown = grown.map(|i| format!("{} +{}", TCP_DROPS[i], Count(after[i] - before[i])));
    Some(grown.collect::<Vec<_>>().join(", ")).filter(|text| !text.is_empty())
}
