//! What is about to be run.

use std::io::{self, Write};

use super::connecting;
use super::page::Page;
use crate::report::document::connecting::Dialing;
use crate::report::document::figures::seconds;
use crate::report::document::{Engine, FanOut, Host, InterArrival, Mode, Plan, Wait};
use crate::report::format::{INDENT, Ink, counted, whole_seconds, wrapped};
use crate::report::sanitize::UntrustedText;
use crate::units::{Bytes, Count, Rate};

/// More nodes are counted, not listed.
const NODES_MAX: u64 = 8;
/// Of the words before each line.
const LABEL_WIDTH: usize = 10;

/// What the kernel took is what counts: a library's buffer would make sending look free.
const TIMES: &str = "send: until the kernel has taken the last frame; receive: until the last copy";

pub(super) fn write(page: &Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    let (tool, plan) = (&page.document.tool, &page.document.plan);
    let title = format!("{} {}: {}", tool.name, tool.version, load(plan));
    writeln!(out, "{}\n", page.paint.ink(Ink::Heading, &title))?;
    let cluster = format!("{}: {}", counted_nodes(plan), plan.cluster);
    labelled(out, "cluster", &cluster)?;
    nodes(page, out)?;
    let dialing = page.document.dialing.as_ref();
    labelled(out, "sockets", &sockets(plan, dialing))?;
    if let Some(placement) = &plan.placement {
        labelled(out, "cores", &placement.to_string())?;
    }
    if let Some(sources) = dialing.and_then(connecting::sources) {
        labelled(out, "sources", &sources)?;
    }
    labelled(out, "message", &message(plan, tool.seed))?;
    labelled(out, "expected", &expectation(plan))?;
    if let Some(warmup_s) = plan.warmup_s {
        let line = format!(
            "what is due in the first {} of a row is sent and accounted for, but timed apart",
            whole_seconds(seconds(warmup_s))
        );
        labelled(out, "warm-up", &line)?;
    }
    labelled(out, "times", TIMES)?;
    if let Some(wait) = plan.wait {
        labelled(out, "waiting", waiting(wait))?;
    }
    labelled(out, "ending", &ending(plan))?;
    let memory = Bytes(plan.memory_bytes);
    labelled(out, "memory", &format!("at most {memory}, in the largest row"))?;
    if let Some(host) = host(&page.document.host) {
        labelled(out, "host", &host)?;
    }
    writeln!(out)
}

fn labelled(out: &mut dyn Write, label: &str, line: &str) -> io::Result<()> {
    wrapped(out, &format!("{INDENT}{label:<LABEL_WIDTH$}"), LABEL_WIDTH + INDENT.len(), line)
}

fn load(plan: &Plan) -> String {
    let counts: Vec<_> = plan.messages.iter().map(|&m| Count(m).to_string()).collect();
    let one = plan.messages == [1];
    let messages = if one { "message" } else { "messages" };
    let messages = format!("{} {messages}", counts.join(", "));
    match plan.mode {
        Mode::Burst => format!("a burst of {messages}"),
        Mode::Window => {
            let in_flight = Count(plan.in_flight.unwrap_or(0));
            format!("{messages}, at most {in_flight} under way on a push socket")
        }
        Mode::Rate => {
            let rate = Rate::per_second(plan.rate_per_s.unwrap_or(0.0));
            format!("{messages} at {rate}, {} (open loop)", arrivals(plan))
        }
    }
}

fn arrivals(plan: &Plan) -> String {
    match (plan.arrivals, plan.arrivals_seed) {
        (Some(InterArrival::Poisson), Some(seed)) => format!("Poisson arrivals of seed {seed}"),
        // Of a file that was written before it held the seed.
        (Some(InterArrival::Poisson), None) => "Poisson arrivals".to_owned(),
        (Some(InterArrival::Constant) | None, _) => "evenly spread".to_owned(),
    }
}

fn counted_nodes(plan: &Plan) -> String {
    counted(plan.nodes.len() as u64, "node", "nodes")
}

fn nodes(page: &Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    let plan = &page.document.plan;
    // The push node is named even where it comes late in a long list.
    let nodes = plan.nodes.len() as u64;
    let shown = |&index: &u64| index < NODES_MAX || index == plan.push_node;
    for index in (0..nodes).filter(shown) {
        let role = if index == plan.push_node { "  takes every push" } else { "" };
        labelled(out, "", &format!("{}{role}", page.node(index)))?;
    }
    let hidden = (0..nodes).filter(|index| !shown(index)).count();
    if hidden > 0 {
        labelled(out, "", &format!("and {} more", Count(hidden as u64)))?;
    }
    Ok(())
}

fn sockets(plan: &Plan, dialing: Option<&Dialing>) -> String {
    let cpus: Vec<_> = plan.cores.iter().map(u64::to_string).collect();
    let per_node = match plan.receivers_per_node {
        0 => String::new(),
        each => format!(" ({} to each node)", Count(each)),
    };
    format!(
        "{} push + {} receive{per_node} = {}, on {} (CPU {}), {}",
        Count(plan.push_sockets),
        Count(plan.receive_sockets()),
        Count(plan.sockets()),
        connecting::workers(dialing, cpus.len() as u64),
        cpus.join(", "),
        match plan.engine {
            Engine::IoUring => "io_uring",
            Engine::Epoll => "epoll",
        }
    )
}

fn message(plan: &Plan, seed: u64) -> String {
    let bytes = counted(plan.payload_bytes, "byte", "bytes");
    format!("dialect {}, text of {bytes}, seed {seed}", plan.dialect)
}

const fn waiting(wait: Wait) -> &'static str {
    match wait {
        Wait::Latency => {
            "for latency: poll until no copy has come for 5 ms, then sleep until the next (--wait)"
        }
        Wait::Spin => "spin: poll without pause (--wait)",
        Wait::Sleep => "sleep until the next copy (--wait)",
        Wait::Throughput => {
            "for throughput: sleep until 64 copies are there or 50 µs have passed (--wait)"
        }
    }
}

fn ending(plan: &Plan) -> String {
    let drain = whole_seconds(seconds(plan.drain_s));
    format!("a row ends when every copy has come, or after {drain} without one (--drain)")
}

fn expectation(plan: &Plan) -> String {
    let (push, receive) = (Count(plan.push_sockets), Count(plan.receive_sockets()));
    match plan.fan_out {
        FanOut::All => format!(
            "messages x ({push} push + {receive} receive) copies: each message comes back on every \
             socket"
        ),
        FanOut::Others => format!(
            "messages x ({push} push + {receive} receive - 1) copies: on every socket but its sender"
        ),
        FanOut::Own => "messages x 1 copies: each message comes back on its own socket".to_owned(),
    }
}

fn host(host: &Host) -> Option<String> {
    let cpus = host.cpus_allowed.as_ref().map(|allowed| {
        let online = host.cpus_online.map(|online| format!(" of {online}")).unwrap_or_default();
        let quota = host.cgroup_cpus.map(|cpus| format!(" (quota {cpus:.1})")).unwrap_or_default();
        format!("{}{online} CPUs{quota}", allowed.len())
    });
    let limit = host.cgroup_memory_bytes.map(|bytes| format!(" (limit {})", Bytes(bytes)));
    let limit = limit.unwrap_or_default();
    let parts = [
        host.kernel.as_ref().map(|kernel| format!("Linux {kernel}")),
        host.cpu_model.as_ref().map(UntrustedText::to_string),
        cpus,
        host.memory_bytes.map(|bytes| format!("{}{limit}", Bytes(bytes))),
        host.virtual_machine.filter(|is| *is).map(|_| "virtual machine".to_owned()),
        host.container.as_ref().map(|name| format!("container ({name})")),
    ];
    let known: Vec<_> = parts.into_iter().flatten().collect();
    (!known.is_empty()).then(|| known.join(", "))
}
