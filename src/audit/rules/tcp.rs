//! Rules about TCP: memory, windows, idle restarts, pacing, and advice that has died.

use crate::audit::facts::Facts;
use crate::audit::finding::{Finding, Remedy, Severity};
use crate::audit::requirements::{Place, PlanRequirements};
use crate::host::socket_cost::{PAGE, TIME_WAIT_S};
use crate::units::{Bytes, Count, Nanos};

/// A largest buffer below this is not the kernel's choice.
const TINY_BUFFER: u64 = 256 << 10;
/// The kernel's own, to go back to.
const RMEM_STOCK: &str = "4096 131072 6291456";
const WMEM_STOCK: &str = "4096 16384 4194304";
/// Largest window without scaling (RFC 7323).
const WINDOW_MAX: u64 = 65_535;
/// After so long without a packet the congestion window starts over (TCP_RTO_MIN, 200 ms).
const IDLE_RESTART: Nanos = Nanos::from_millis(200);
/// What leaves at once after that: ten segments (RFC 6928) of an Ethernet line.
const INITIAL_WINDOW: u64 = 14_480;
/// Below this, bytes that wait unsent in a push socket are too few to matter.
const PUSH_BYTES_PER_S: f64 = 1e6;
const LOWAT_WANTED: u64 = 131_072;

/// Every socket's queue filled by what may be under way, up to what a fresh socket takes.
pub(super) fn mem(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let [_, pressure, _] = facts.tcp.mem_pages?;
    let first = facts.tcp.rmem.map_or(131_072, |[_, first, _]| first);
    let each = need.queued_per_socket().0.min(first);
    let parked = need.sockets().saturating_mul(each);
    let pages = parked.div_ceil(PAGE.0);
    if pages <= pressure {
        return None;
    }
    let wanted = [pages, pages.saturating_mul(4) / 3, pages.saturating_mul(2)];
    let fits = facts.host.memory.is_none_or(|memory| wanted[2].saturating_mul(PAGE.0) <= memory.0);
    let value = wanted.map(|pages| pages.to_string()).join(" ");
    let size = |pages: u64| Bytes(pages.saturating_mul(PAGE.0));
    Some(Finding {
        severity: Severity::Warn,
        is: size(pressure).to_string(),
        wants: size(wanted[1]).to_string(),
        why: format!(
            "{} sockets x up to {} in each queue ({} of {} under way) = {}, above the \
             middle figure the kernel shrinks queues and drops (TCPMemoryPressures, PruneCalled)",
            Count(need.sockets()),
            Bytes(each),
            messages(need.outstanding()),
            Bytes(need.copy_bytes),
            Bytes(parked)
        ),
        remedy: if fits { Remedy::Sysctl(value) } else { beyond_memory() },
    })
}

fn messages(count: u64) -> String {
    format!("{} message{}", Count(count), if count == 1 { "" } else { "s" })
}

fn beyond_memory() -> Remedy {
    Remedy::Advice(
        "this host has no memory for so much: fewer sockets, or fewer messages under way \
         (--in-flight, --rate)"
            .to_owned(),
    )
}

pub(super) fn rmem(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let buffer = facts.tcp.rmem?;
    tiny(buffer, need.queued_per_socket(), "receive", RMEM_STOCK)
}

pub(super) fn wmem(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let buffer = facts.tcp.wmem?;
    let each = need.outstanding().div_ceil(need.push_sockets.max(1));
    tiny(buffer, Bytes(each.saturating_mul(need.copy_bytes)), "send", WMEM_STOCK)
}

fn tiny(buffer: [u64; 3], under_way: Bytes, which: &str, stock: &str) -> Option<Finding> {
    let most = Bytes(buffer[2]);
    if most.0 >= TINY_BUFFER {
        return None;
    }
    let full = under_way > most;
    let effect = if full {
        format!(
            "{under_way} may be under way for one socket, more than {most}: senders wait for \
                 the buffer, and that wait would be measured"
        )
    } else {
        format!(
            "this plan has {under_way} under way for one socket, which fits; a larger one would \
                 wait for the buffer"
        )
    };
    Some(Finding {
        severity: if full { Severity::Warn } else { Severity::Info },
        is: buffer.map(|bytes| bytes.to_string()).join(" "),
        wants: stock.to_owned(),
        why: format!(
            "{which} buffers fixed this small come from posts about idle connections; the kernel \
             takes memory only for what is queued. {effect}"
        ),
        remedy: Remedy::Sysctl(stock.to_owned()),
    })
}

pub(super) fn moderate_rcvbuf(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let first = Bytes(facts.tcp.rmem.map_or(131_072, |[_, first, _]| first));
    let under_way = need.queued_per_socket();
    let full = under_way > first;
    (facts.tcp.moderate_rcvbuf? == 0).then(|| Finding {
        severity: if full { Severity::Warn } else { Severity::Info },
        is: "0".to_owned(),
        wants: "1".to_owned(),
        why: format!(
            "receive buffers stay at {first} and do not grow with the load; {under_way} may be \
             under way for one socket"
        ),
        remedy: Remedy::Sysctl("1".to_owned()),
    })
}

pub(super) fn window_scaling(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let under_way = need.queued_per_socket();
    let full = under_way.0 > WINDOW_MAX;
    (facts.tcp.window_scaling? == 0).then(|| Finding {
        severity: if full { Severity::Warn } else { Severity::Info },
        is: "0".to_owned(),
        wants: "1".to_owned(),
        why: format!(
            "without it a connection has at most 64 KiB under way, here {under_way} may be: the \
             round trip would bound the throughput"
        ),
        remedy: Remedy::Sysctl("1".to_owned()),
    })
}

pub(super) fn timestamps(facts: &Facts, _: &PlanRequirements) -> Option<Finding> {
    (facts.tcp.timestamps? == 0).then(|| Finding {
        severity: Severity::Info,
        is: "0".to_owned(),
        wants: "1".to_owned(),
        why:
            "saves 12 bytes a packet, and takes away what tcp_tw_reuse and exact round trip times \
              stand on; it is copied from guides for other networks"
                .to_owned(),
        remedy: Remedy::Sysctl("1".to_owned()),
    })
}

pub(super) fn slow_start(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let rate = need.rate_per_s?;
    let interval_s = need.push_sockets.max(1) as f64 / rate;
    let idle = interval_s > IDLE_RESTART.as_secs_f64();
    let large = need.copy_bytes > INITIAL_WINDOW;
    let applies = need.place == Place::Elsewhere && idle && large;
    (applies && facts.tcp.slow_start_after_idle? != 0).then(|| Finding {
        severity: Severity::Warn,
        is: "1".to_owned(),
        wants: "0".to_owned(),
        why: format!(
            "each push socket sends {} every {interval_s:.1} s: after {IDLE_RESTART} without a \
             packet it starts again with ten segments, {}, and the rest waits for round trips",
            Bytes(need.copy_bytes),
            Bytes(INITIAL_WINDOW)
        ),
        remedy: Remedy::Sysctl("0".to_owned()),
    })
}

pub(super) fn congestion(facts: &Facts, _: &PlanRequirements) -> Option<Finding> {
    let name = facts.tcp.congestion.as_deref()?;
    let qdisc = facts.tcp.qdisc.as_deref().unwrap_or("unknown");
    name.starts_with("bbr").then(|| Finding {
        severity: Severity::Info,
        is: format!("{name}, qdisc {qdisc}"),
        wants: "the same in all runs".to_owned(),
        why:
            "BBR spaces out what is sent by its own estimate of the path, which shows as latency; \
              compare runs only with the same setting at both ends"
                .to_owned(),
        remedy: Remedy::Sysctl("cubic".to_owned()),
    })
}

pub(super) fn notsent_lowat(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let lowat = facts.tcp.notsent_lowat?;
    let each_s = need.rate_per_s? * need.copy_bytes as f64 / need.push_sockets.max(1) as f64;
    (lowat > (1 << 20) && each_s > PUSH_BYTES_PER_S).then(|| Finding {
        severity: Severity::Info,
        is: if lowat > u64::from(u32::MAX >> 1) { "none".to_owned() } else { lowat.to_string() },
        wants: LOWAT_WANTED.to_string(),
        why: format!(
            "each push socket sends {} a second: without a bound megabytes wait unsent inside the \
             kernel, and a message counts as sent that has not left",
            Bytes(each_s as u64)
        ),
        remedy: Remedy::Sysctl(LOWAT_WANTED.to_string()),
    })
}

pub(super) fn low_latency(facts: &Facts, _: &PlanRequirements) -> Option<Finding> {
    (facts.tcp.low_latency? != 0).then(|| Finding {
        severity: Severity::Info,
        is: facts.tcp.low_latency.unwrap_or(0).to_string(),
        wants: "0".to_owned(),
        why:
            "nothing in the kernel reads it since 4.14: somebody followed a dead guide here, look \
              at what else it said"
                .to_owned(),
        remedy: Remedy::Sysctl("0".to_owned()),
    })
}

pub(super) fn fin_timeout(facts: &Facts, _: &PlanRequirements) -> Option<Finding> {
    let seconds = facts.tcp.fin_timeout_s?;
    (seconds < TIME_WAIT_S).then(|| Finding {
        severity: Severity::Info,
        is: format!("{seconds} s"),
        wants: format!("{TIME_WAIT_S} s"),
        why: format!(
            "it is lowered against TIME_WAIT in many guides, and it is the timeout of FIN_WAIT_2: \
             TIME_WAIT lasts {TIME_WAIT_S} s whatever this says"
        ),
        remedy: Remedy::Sysctl(TIME_WAIT_S.to_string()),
    })
}

/// Settings in the host's own files that no kernel of today knows, or that never did what is said.
const DEAD: [(&str, &str); 4] = [
    ("net.ipv4.tcp_tw_recycle", "gone since Linux 4.12, and broke clients behind NAT before"),
    ("net.ipv4.tcp_low_latency", "read by nothing since Linux 4.14"),
    ("net.ipv4.netfilter.ip_conntrack_max", "is net.netfilter.nf_conntrack_max since Linux 3.x"),
    ("net.ipv4.ip_conntrack_max", "is net.netfilter.nf_conntrack_max since Linux 3.x"),
];

pub(super) fn dead_settings(facts: &Facts, _: &PlanRequirements) -> Option<Finding> {
    let dead = |knob: &str| DEAD.iter().find(|(name, _)| *name == knob).map(|(_, why)| *why);
    let found = facts.settings.iter().filter_map(|s| dead(&s.knob).map(|why| (s, why)));
    let found: Vec<_> = found.collect();
    let (first, _) = found.first()?;
    let whys: Vec<_> =
        found.iter().map(|(s, why)| format!("{} in {} {why}", s.knob, s.file)).collect();
    Some(Finding {
        severity: Severity::Info,
        is: format!("{} = {}", first.knob, first.value),
        wants: "no such line".to_owned(),
        why: whys.join("; "),
        remedy: Remedy::Command(format!("sudoedit {}", first.file)),
    })
}
