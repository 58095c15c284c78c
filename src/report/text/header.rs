//! What is about to be run.

use std::io::{self, Write};

use super::page::Page;
use crate::host::facts::HostFacts;
use crate::plan::Plan;
use crate::plan::fan_out::FanOut;
use crate::plan::schedule::{Arrivals, Shape};
use crate::report::VERSION;
use crate::report::format::{INDENT, Ink, counted, whole_seconds, wrapped};
use crate::units::Count;

/// More nodes are counted, not listed.
const NODES_MAX: usize = 8;
/// Of the words before each line.
const LABEL_WIDTH: usize = 10;

/// What the kernel took is what counts: a library's buffer would make sending look free.
const TIMES: &str = "send: until the kernel has taken the last frame; receive: until the last copy";

pub(super) fn write(page: &Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    let plan = page.plan;
    let title = format!("fanstorm {VERSION}: {}", load(plan));
    writeln!(out, "{}\n", page.paint.ink(Ink::Heading, &title))?;
    let cluster = format!("{}: {}", counted_nodes(plan), page.invocation.cluster);
    labelled(out, "cluster", &cluster)?;
    nodes(page, out)?;
    labelled(out, "sockets", &sockets(plan))?;
    labelled(out, "message", &message(plan))?;
    labelled(out, "expected", &expectation(plan))?;
    labelled(out, "times", TIMES)?;
    labelled(out, "ending", &ending(plan))?;
    labelled(out, "memory", &format!("at most {}, in the largest row", page.invocation.memory))?;
    if let Some(host) = host(&page.invocation.host) {
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
    match plan.shape {
        Shape::Burst => format!("a burst of {messages}"),
        Shape::Window { in_flight } => {
            format!("{messages}, at most {} under way on a push socket", Count(in_flight.into()))
        }
        Shape::Rate { rate, arrivals } => {
            let arrivals = match arrivals {
                Arrivals::Constant => "evenly spread".to_owned(),
                Arrivals::Poisson { seed } => format!("Poisson arrivals of seed {seed}"),
            };
            format!("{messages} at {rate}, {arrivals} (open loop)")
        }
    }
}

fn counted_nodes(plan: &Plan) -> String {
    counted(plan.nodes.len() as u64, "node", "nodes")
}

fn nodes(page: &Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    let plan = page.plan;
    // The push node is named even where it comes late in a long list.
    let shown = |&index: &usize| index < NODES_MAX || index == plan.push_node;
    for index in (0..plan.nodes.len()).filter(shown) {
        let role = if index == plan.push_node { "  takes every push" } else { "" };
        labelled(out, "", &format!("{}{role}", page.node(index)))?;
    }
    let hidden = (0..plan.nodes.len()).filter(|index| !shown(index)).count();
    if hidden > 0 {
        labelled(out, "", &format!("and {} more", Count(hidden as u64)))?;
    }
    Ok(())
}

fn sockets(plan: &Plan) -> String {
    let cpus: Vec<_> = plan.cores.iter().map(usize::to_string).collect();
    let per_node = match plan.receivers_per_node {
        0 => String::new(),
        each => format!(" ({} to each node)", Count(each.into())),
    };
    format!(
        "{} push + {} receive{per_node} = {}, on {} (CPU {}), {}",
        Count(plan.push_sockets.into()),
        Count(plan.receive_sockets()),
        Count(plan.sockets()),
        counted(plan.workers() as u64, "worker", "workers"),
        cpus.join(", "),
        plan.engine.name()
    )
}

fn message(plan: &Plan) -> String {
    format!(
        "dialect {}, text of {}, seed {}",
        plan.dialect.name,
        counted(plan.payload_bytes as u64, "byte", "bytes"),
        plan.seed
    )
}

fn ending(plan: &Plan) -> String {
    let drain = whole_seconds(plan.drain);
    format!("a row ends when every copy has come, or after {drain} without one (--drain)")
}

fn expectation(plan: &Plan) -> String {
    let (push, receive) = (Count(plan.push_sockets.into()), Count(plan.receive_sockets()));
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

fn host(host: &HostFacts) -> Option<String> {
    let cpus = host.cpus_allowed.as_ref().map(|allowed| {
        let online = host.cpus_online.map(|online| format!(" of {online}")).unwrap_or_default();
        let quota = host.cgroup_cpus.map(|cpus| format!(" (quota {cpus:.1})")).unwrap_or_default();
        format!("{}{online} CPUs{quota}", allowed.len())
    });
    let parts = [
        host.kernel.as_ref().map(|kernel| format!("Linux {kernel}")),
        host.cpu_model.clone(),
        cpus,
        host.memory.map(|memory| memory.to_string()),
        host.virtual_machine.filter(|is| *is).map(|_| "virtual machine".to_owned()),
        host.container.as_ref().map(|name| format!("container ({name})")),
    ];
    let known: Vec<_> = parts.into_iter().flatten().collect();
    (!known.is_empty()).then(|| known.join(", "))
}
