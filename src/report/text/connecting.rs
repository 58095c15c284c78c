//! How the sockets came to be there, and why some did not.

use std::io::{self, Write};

use super::page::Page;
use crate::report::document::connecting::{ConnectFailure, Connecting, Dialing};
use crate::report::document::figures::{micros, seconds};
use crate::report::document::trial::Latency;
use crate::report::format::{INDENT, Ink, counted, wrapped};
use crate::units::Count;

/// Reasons that a person reads; the result file has all.
const REASONS_MAX: usize = 8;

/// For the header: where sockets come from, where that is not the kernel's choice.
pub(super) fn sources(dialing: &Dialing) -> Option<String> {
    let sources = dialing.sources.as_ref()?;
    let why = if sources.automatic { ": one address has too few ports" } else { "" };
    let addresses = counted(sources.addresses, "address", "addresses");
    Some(format!("{addresses}, {}{why}", sources.ranges))
}

/// For the header: how many workers there are, and where descriptors live if not as ever. Each further
/// ring of a worker is there for its table alone.
pub(super) fn workers(dialing: Option<&Dialing>, cores: u64) -> String {
    let workers = dialing.map_or(cores, |dialing| dialing.workers);
    let tables = dialing.filter(|dialing| dialing.direct_descriptors).map(|dialing| dialing.rings);
    let direct = match tables {
        Some(rings @ 2..) => {
            format!(", with direct descriptors in {}", counted(rings, "ring", "rings"))
        }
        Some(_) => ", with direct descriptors".to_owned(),
        None => String::new(),
    };
    let late = dialing.is_some_and(|dialing| dialing.delayed_ack);
    let late = if late { ", acknowledging late" } else { "" };
    format!("{}{direct}{late}", counted(workers, "worker", "workers"))
}

/// One line, and more only where something went wrong.
pub(super) fn write(page: &Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    let Some(connecting) = &page.document.connecting else { return Ok(()) };
    page.heading(out, "Connections")?;
    wrapped(out, INDENT, 4, &line(connecting))?;
    if connecting.failed > 0 {
        let failed = counted(connecting.failed, "socket is", "sockets are");
        let first = page.paint.ink(Ink::Bad, &format!("{INDENT}{failed} not there"));
        writeln!(out, "{first}, and nothing is expected of them (--min-connected):")?;
    }
    for failure in connecting.failures.iter().take(REASONS_MAX) {
        wrapped(out, "    ", 6, &reason(page, failure))?;
    }
    let more = connecting.failures.len().saturating_sub(REASONS_MAX);
    if more > 0 {
        writeln!(out, "{INDENT}and {} more reasons (--json has them)", Count(more as u64))?;
    }
    Ok(())
}

fn line(connecting: &Connecting) -> String {
    let rate = connecting.rate_per_s.map(|rate| format!(" ({}/s)", Count(rate.round() as u64)));
    let passed_over = match connecting.ports_passed_over {
        0 => String::new(),
        ports => format!("; {} held by others", counted(ports, "port was", "ports were")),
    };
    format!(
        "{} in {}{}: connect {}, upgrade {}{passed_over}",
        counted(connecting.connected, "socket", "sockets"),
        seconds(connecting.wall_s),
        rate.unwrap_or_default(),
        latency(&connecting.connect_us),
        latency(&connecting.upgrade_us)
    )
}

fn latency(us: &Latency) -> String {
    // Of a handful of sockets only the largest can be told.
    let known = [("p50", us.p50), ("p99", us.p99), ("max", us.max)].into_iter();
    let figures = known.filter_map(|(name, us)| Some(format!("{name} {}", micros(us?))));
    figures.collect::<Vec<_>>().join(", ")
}

fn reason(page: &Page<'_>, failure: &ConnectFailure) -> String {
    let ConnectFailure { node, phase, reason, sockets } = failure;
    let sockets = counted(*sockets, "socket", "sockets");
    format!("{sockets} to {}: {phase}: {reason}", page.node(*node))
}
