//! An audit for people: what is wrong in a table, each with why and the line that changes it; what
//! is fine in one line.
//!
//! Belongs here: order and wording around the findings. Does not: the findings' own words.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;

use super::Audited;
use crate::audit::Audit;
use crate::audit::finding::{Finding, Remedy, Severity};
use crate::audit::requirements::{Place, PlanRequirements};
use crate::audit::rules::{Group, Rule};
use crate::report::VERSION;
use crate::report::columns::{
    Cell, Column, INDENT, Ink, Paint, counted, headings, line, wants_colour, width, wrapped,
};
use crate::units::{Bytes, Count};

/// Of the words before each line of the head and the end.
const LABEL_WIDTH: usize = 10;
/// Why and remedy stand under the knob.
const DETAIL: usize = 8;

/// Writes the audit. `fix_file` is where `--fix-file` goes, colours as `NO_COLOR` asks.
///
/// # Errors
/// Those of `out`.
pub fn write(
    out: &mut dyn Write,
    audited: &Audited<'_>,
    fix_file: Option<&Path>,
    is_terminal: bool,
    no_color: Option<&OsStr>,
) -> io::Result<()> {
    let paint = Paint { colour: wants_colour(is_terminal, no_color) };
    head(out, paint, audited)?;
    findings(out, paint, audited.audit)?;
    fine(out, audited.audit)?;
    files(out, audited.audit, fix_file)?;
    verdict(out, paint, audited.audit)?;
    out.flush()
}

fn labelled(out: &mut dyn Write, label: &str, text: &str) -> io::Result<()> {
    wrapped(out, &format!("{INDENT}{label:<LABEL_WIDTH$}"), LABEL_WIDTH + INDENT.len(), text)
}

fn head(out: &mut dyn Write, paint: Paint, audited: &Audited<'_>) -> io::Result<()> {
    let sockets = counted(audited.need.sockets(), "socket", "sockets");
    let nodes = counted(audited.need.nodes, "node", "nodes");
    let title = format!("fanstorm {VERSION}: this host for {sockets} to {nodes}");
    writeln!(out, "{}\n", paint.ink(Ink::Heading, &title))?;
    labelled(out, "plan", &plan(audited))?;
    labelled(out, "load", &load(audited))?;
    labelled(out, "memory", &memory(audited.need))?;
    labelled(out, "host", &host(audited))?;
    writeln!(out)
}

fn plan(audited: &Audited<'_>) -> String {
    let need = audited.need;
    let cpus: Vec<_> = need.workers.iter().map(usize::to_string).collect();
    let place = match need.place {
        Place::Embedded => "the embedded cluster, on this host",
        Place::Loopback => "nodes on this host",
        Place::Elsewhere => "nodes on other hosts",
    };
    format!(
        "{} push + {} receive sockets, at most {} to one node; {} (CPU {}); {place}",
        Count(need.push_sockets),
        Count(need.sockets() - need.push_sockets),
        Count(need.limits.sockets_to_busiest),
        counted(need.workers.len() as u64, "worker", "workers"),
        cpus.join(", ")
    )
}

fn load(audited: &Audited<'_>) -> String {
    let need = audited.need;
    let copies = counted(need.copies_per_message, "copy", "copies");
    let each = format!("{copies} of {} each", Bytes(need.copy_bytes));
    let messages = counted(need.messages, "message", "messages");
    let profile = &audited.largest.profile;
    match (profile.due_times(), profile.in_flight()) {
        (Some(law), _) => format!("{messages} at {}, {each}", law.asked()),
        (None, Some(_)) => {
            format!("{messages}, at most {} under way, {each}", Count(need.outstanding()))
        }
        (None, None) => format!("a burst of up to {messages}, {each}"),
    }
}

fn memory(need: &PlanRequirements) -> String {
    let mut parts: Vec<_> = need.limits.memory.iter().filter(|(_, bytes)| *bytes > 0).collect();
    parts.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let parts: Vec<_> = parts.iter().map(|(name, b)| format!("{name} {}", Bytes(*b))).collect();
    format!("at most {}: {}", Bytes(need.limits.memory_bytes()), parts.join(", "))
}

fn host(audited: &Audited<'_>) -> String {
    let host = &audited.facts.host;
    let kernel = host.kernel.as_deref().unwrap_or("unknown");
    let cpus = host.cpus_online.map_or_else(String::new, |cpus| format!(", {cpus} CPUs"));
    let memory = audited.facts.limits.memory_bytes;
    let memory = memory.map_or_else(String::new, |bytes| format!(", {} available", Bytes(bytes)));
    let container = host.container.as_ref();
    let container = container.map_or_else(String::new, |name| format!(", container ({name})"));
    format!("Linux {kernel}{cpus}{memory}{container}")
}

/// The worst first, and the rules' own order among equals.
fn findings(out: &mut dyn Write, paint: Paint, audit: &Audit) -> io::Result<()> {
    if audit.found.is_empty() {
        return Ok(());
    }
    let mut found: Vec<&(&Rule, Finding)> = audit.found.iter().collect();
    found.sort_by_key(|(_, finding)| std::cmp::Reverse(finding.severity));
    let widest = |of: fn(&Rule, &Finding) -> usize| {
        found.iter().map(|(rule, finding)| of(rule, finding)).max().unwrap_or(0)
    };
    let columns = [
        Column::left("", 4),
        Column::left("knob", widest(|rule, _| width(rule.knob))),
        Column::left("is", widest(|_, finding| width(&finding.is))),
        Column::left("wants", widest(|_, finding| width(&finding.wants))),
    ];
    write!(out, "{INDENT}")?;
    headings(out, paint, &columns)?;
    for (rule, finding) in found {
        row(out, paint, &columns, rule, finding)?;
        remedy(out, &finding.remedy, &finding.remedy.line(rule.knob, audit.within))?;
    }
    writeln!(out)
}

fn row(
    out: &mut dyn Write,
    paint: Paint,
    columns: &[Column],
    rule: &Rule,
    finding: &Finding,
) -> io::Result<()> {
    let cells = [
        Cell::inked(finding.severity.word(), ink(finding.severity)),
        rule.knob.into(),
        Cell::from(&finding.is),
        Cell::from(&finding.wants),
    ];
    write!(out, "{INDENT}")?;
    line(out, paint, columns, &cells)?;
    wrapped(out, &" ".repeat(DETAIL), DETAIL, &finding.why)
}

fn remedy(out: &mut dyn Write, remedy: &Remedy, line: &str) -> io::Result<()> {
    let blanks = " ".repeat(DETAIL);
    match remedy {
        Remedy::Advice(_) => wrapped(out, &format!("{blanks}>"), DETAIL + 2, &format!(" {line}")),
        // A line to paste is never broken.
        _ => writeln!(out, "{blanks}> {line}"),
    }
}

const fn ink(severity: Severity) -> Ink {
    match severity {
        Severity::Info => Ink::Plain,
        Severity::Warn => Ink::Warning,
        Severity::Stop => Ink::Bad,
    }
}

fn fine(out: &mut dyn Write, audit: &Audit) -> io::Result<()> {
    let of = |group: Group| {
        let is = |rule: &&&Rule| rule.group == group;
        let fine = audit.fine.iter().filter(is).count();
        let found = audit.found.iter().filter(|(rule, _)| rule.group == group).count();
        format!("{} {fine} of {}", group.name(), fine + found)
    };
    labelled(out, "fine", &Group::ALL.map(of).join(", "))?;
    if audit.hidden.is_empty() {
        return Ok(());
    }
    let knobs: Vec<_> = audit.hidden.iter().map(|rule| rule.knob).collect();
    let text = format!(
        "{}: this host, or the container that this is, does not show them",
        knobs.join(", ")
    );
    labelled(out, "not seen", &text)
}

fn files(out: &mut dyn Write, audit: &Audit, fix_file: Option<&Path>) -> io::Result<()> {
    match fix_file {
        Some(path) => labelled(
            out,
            "written",
            &format!(
                "{}, and a limits file beside it. In /etc/sysctl.d it is applied by `sudo sysctl \
                 --system`; nothing is changed before",
                path.display()
            ),
        ),
        None if audit.at_least(Severity::Warn).any(|(_, finding)| for_a_file(finding)) => {
            labelled(out, "next", "--fix-file FILE writes these for sysctl.d and limits.d")
        }
        None => Ok(()),
    }
}

const fn for_a_file(finding: &Finding) -> bool {
    matches!(finding.remedy, Remedy::Sysctl(_) | Remedy::Descriptors(_))
}

fn verdict(out: &mut dyn Write, paint: Paint, audit: &Audit) -> io::Result<()> {
    let count =
        |severity| audit.found.iter().filter(|(_, f)| f.severity == severity).count() as u64;
    let (stops, warnings) = (count(Severity::Stop), count(Severity::Warn));
    let warned = counted(warnings, "warning", "warnings");
    let (word, ink, text) = match (stops, warnings) {
        (0, 0) => ("ok", Ink::Good, "nothing stands in the way of this plan".to_owned()),
        (0, _) => ("warn", Ink::Warning, format!("{warned}: the plan runs, read them first")),
        (_, 0) => ("stop", Ink::Bad, "this host cannot run the plan as it is".to_owned()),
        (..) => {
            ("stop", Ink::Bad, format!("this host cannot run the plan as it is; {warned} more"))
        }
    };
    writeln!(out, "\naudit: {}: {text}", paint.ink(ink, word))
}
