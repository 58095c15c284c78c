//! Where the copies went: the delivery account, and what is known about those that did not come.

use std::io::{self, Write};

use crate::report::document::FanOut;
use crate::report::document::figures::{micros, seconds};
use crate::report::document::series::Reordering;
use crate::report::document::trial::{Delivery, Ending, Gap, Late, LostSocket, MatrixCell, Run};
use crate::report::format::{
    Cell, Column, INDENT, Ink, counted, or_na, table, whole_seconds, wrapped,
};
use crate::report::silent_nodes::{Finding, SameOnAll, SilentNode, findings, of_sent, sent_each};
use crate::report::text::page::Page;
use crate::units::{Count, Nanos};

/// Nodes in a table: the worst ones, where there are more.
const NODES_MAX: usize = 12;
/// Streams with missing copies that a person looks at; the result file has all.
const STREAMS_MAX: usize = 4;
/// Missing ranges of each.
const RANGES_MAX: usize = 4;
/// Lost sockets.
const LOST_MAX: usize = 6;
/// Nodes of which is said what they miss.
const FINDINGS_MAX: usize = 8;
/// A shorter pause before a socket's end explains nothing.
const IDLE_MIN: Nanos = Nanos::from_secs(1);

/// Behind the missing copies.
const PLACE_OF_UNSENT: usize = 4;

/// One line per row that is not flawless, and one for all of them.
pub(super) fn delivery(page: &Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    let runs = &page.document.runs;
    let unsent = runs.iter().map(Run::unsent_copies).fold(0, u64::saturating_add);
    let total = page.document.delivery();
    let cells = |name: String, delivery: &Delivery, of_it: u64| {
        let mut cells = delivery_cells(name, delivery, (unsent > 0).then_some(of_it));
        if total.misdelivered > 0 {
            cells.push(Cell::fault(delivery.misdelivered));
        }
        cells
    };
    let of_run = |run: &Run| cells(row_name(run), &run.delivery, run.unsent_copies());
    let flawed = runs.iter().filter(|run| !flawless(&run.delivery));
    let mut rows: Vec<_> = flawed.map(of_run).collect();
    match runs.as_slice() {
        [only] => rows = vec![of_run(only)],
        _ => rows.push(cells("all rows".to_owned(), &total, unsent)),
    }
    // All of it must fit the page, whether it has one column more or not.
    let (wide, narrow) = if unsent > 0 { (10, 7) } else { (11, 9) };
    let mut columns = vec![
        Column::left("", 10),
        Column::right("expected", wide),
        Column::right("delivered", wide),
        Column::right("missing", 9),
        Column::right("duplicate", 9),
        Column::right("out of order", 12),
        Column::right("foreign", narrow),
        Column::right("corrupt", narrow),
    ];
    // Most servers send nothing where it must not go.
    if total.misdelivered > 0 {
        columns.push(Column::right("misdelivered", 12));
    }
    if unsent > 0 {
        columns.insert(PLACE_OF_UNSENT, Column::right("not sent", 9));
    }
    page.heading(out, "Copies")?;
    table(out, page.paint, columns, &rows)?;
    misdelivery(page, out, &total)?;
    runs.iter().try_for_each(|run| lateness(out, run))?;
    for run in runs.iter().filter(|run| run.reconnected_sockets > 0) {
        let lost = counted(run.reconnected_sockets, "lost socket was", "lost sockets were");
        let line = format!("{lost} connected again before {}", row_name(run));
        wrapped(out, INDENT, INDENT.len(), &line)?;
    }
    let furthest = runs.iter().filter_map(|run| Some((run, run.reordering.as_ref()?)));
    match furthest.max_by_key(|(_, reordering)| reordering.max_distance) {
        Some((run, reordering)) => disorder(out, run, reordering),
        None => Ok(()),
    }
}

/// What copies on sockets that must not hear them say of the cluster, or of the flags.
fn misdelivery(page: &Page<'_>, out: &mut dyn Write, total: &Delivery) -> io::Result<()> {
    if total.misdelivered == 0 {
        return Ok(());
    }
    let (given, whom) = match page.document.plan.fan_out {
        FanOut::All => return Ok(()),
        FanOut::Others => ("others", "the socket that pushed it"),
        FanOut::Own => ("own", "other sockets than the one that pushed it"),
    };
    let line = format!(
        "misdelivered: {} came to {whom}; where the cluster is meant to do that, --fan-out {given} is \
         wrong and --fan-out all may be right",
        counted(total.misdelivered, "copy", "copies")
    );
    wrapped(out, INDENT, INDENT.len(), &line)
}

/// What came of a row when it was over.
fn lateness(out: &mut dyn Write, run: &Run) -> io::Result<()> {
    let Late { copies, duplicates, misdelivered, up_to_s } = run.late;
    if run.late.all() == 0 {
        return Ok(());
    }
    let copies = (copies, counted(copies, "missing copy", "missing copies"));
    let duplicates = (duplicates, counted(duplicates, "duplicate", "duplicates"));
    let misdelivered = (misdelivered, format!("{} misdelivered", Count(misdelivered)));
    let kinds = [copies, duplicates, misdelivered].into_iter();
    let kinds: Vec<_> = kinds.filter(|(count, _)| *count > 0).map(|(_, words)| words).collect();
    let line = format!(
        "late ({}): {} came when the row was over, up to {} after its end",
        row_name(run),
        kinds.join(", "),
        seconds(up_to_s)
    );
    wrapped(out, INDENT, INDENT.len(), &line)
}

/// How far out of order copies came, in the row where it was worst.
fn disorder(out: &mut dyn Write, run: &Run, reordering: &Reordering) -> io::Result<()> {
    let half = run.delivery.out_of_order.div_ceil(2);
    let below = reordering.distances.iter().scan(0_u64, |sum, distances| {
        *sum = sum.saturating_add(distances.copies);
        Some((*sum, distances.last))
    });
    let median = below.filter(|(sum, _)| *sum >= half).map(|(_, last)| last).next();
    let most = reordering.max_distance;
    let line = format!(
        "out of order ({}): up to {} behind the head of their stream, half of them at most {}",
        row_name(run),
        counted(most, "message", "messages"),
        Count(median.unwrap_or(most).min(most))
    );
    wrapped(out, INDENT, INDENT.len(), &line)
}

/// `unsent` are copies of messages that were not sent, where the table has a column for them: what is
/// missing beside it was sent.
fn delivery_cells(name: String, delivery: &Delivery, unsent: Option<u64>) -> Vec<Cell> {
    let missing = delivery.missing.saturating_sub(unsent.unwrap_or(0));
    let mut cells = vec![
        name.into(),
        Count(delivery.expected).into(),
        Count(delivery.delivered).into(),
        Cell::fault(missing),
        Cell::fault(delivery.duplicate),
        // Whether a cluster has to keep order is for its users to say; foreign traffic is no fault.
        Count(delivery.out_of_order).into(),
        Count(delivery.foreign).into(),
        Cell::fault(delivery.corrupt),
    ];
    if let Some(unsent) = unsent {
        cells.insert(PLACE_OF_UNSENT, Count(unsent).into());
    }
    cells
}

fn flawless(delivery: &Delivery) -> bool {
    let Delivery { missing, duplicate, misdelivered, out_of_order, foreign, corrupt, .. } =
        *delivery;
    [missing, duplicate, misdelivered, out_of_order, foreign, corrupt]
        .iter()
        .all(|&count| count == 0)
}

/// `m = 8 000`.
pub(super) fn row_name(run: &Run) -> String {
    format!("m = {}", Count(run.messages))
}

/// What went wrong in a row, if anything did: who fell silent, which node misses how much, which
/// messages, which sockets were lost.
pub(super) fn deficit(page: &Page<'_>, out: &mut dyn Write, run: &Run) -> io::Result<()> {
    if run.delivery.missing == 0 && run.lost_sockets.is_empty() {
        return Ok(());
    }
    page.heading(out, &format!("{}: {}", row_name(run), how_it_ended(page, run)))?;
    let found = findings(&page.document.plan, run);
    for finding in found.iter().take(FINDINGS_MAX) {
        tell(page, out, finding, run)?;
    }
    more(out, found.len().saturating_sub(FINDINGS_MAX) as u64, "such nodes")?;
    nodes(page, out, run)?;
    lost_sockets(page, out, &run.lost_sockets)?;
    // Where it is not known what was sent, numbers that are missing say nothing about the cluster.
    let Some(sent) = sent_each(&page.document.plan, run) else { return Ok(()) };
    // Of a silent node the sentence above has said everything.
    let silent = |gap: &Gap| {
        found.iter().any(|f| matches!(f, Finding::Silent(silence) if silence.node == gap.node))
    };
    let gaps = run.gaps.iter().filter(|gap| !silent(gap)).filter_map(|gap| of_sent(gap, &sent));
    let gaps: Vec<Gap> = gaps.collect();
    let untold = run.gaps_total.saturating_sub((run.gaps.len() - gaps.len()) as u64);
    streams(page, out, &gaps, untold)
}

/// What missing copies have in common, in words.
fn tell(page: &Page<'_>, out: &mut dyn Write, finding: &Finding, run: &Run) -> io::Result<()> {
    let push_node = page.node(page.document.plan.push_node);
    let (first, rest) = match finding {
        Finding::Silent(silence) => return tell_silence(page, out, silence, run),
        Finding::PushNodeAlone => (
            "every node but the push node is silent:".to_owned(),
            format!("the links of the push node, {push_node}, to the others may be down"),
        ),
        Finding::All => (
            "every node is silent, the push node too:".to_owned(),
            format!(
                "the push node, {push_node}, or what passes messages on for all (a broker) may be down"
            ),
        ),
        Finding::SameOnAll(same) => {
            (format!("{} misses whole messages:", page.node(same.node)), same_on_all(same))
        }
    };
    let first = format!("{INDENT}{} ", page.paint.ink(Ink::Bad, &first));
    wrapped(out, &first, 4, &rest)
}

fn same_on_all(same: &SameOnAll) -> String {
    let SameOnAll { sockets, messages, first, last, .. } = *same;
    let sockets = Count(sockets);
    match messages {
        1 => format!("message {} came to none of its {sockets} sockets", Count(first)),
        _ => format!(
            "the same {} messages came to none of its {sockets} sockets, from message {} on; the last \
             of them is {}",
            Count(messages),
            Count(first),
            Count(last)
        ),
    }
}

fn how_it_ended(page: &Page<'_>, run: &Run) -> String {
    let late = run.delivery.missing.saturating_sub(run.unsent_copies());
    let missing = if run.sent == run.messages || run.ending == Ending::Interrupted {
        counted(late, "copy is missing", "copies are missing")
    } else {
        let verb = if late == 1 { "is" } else { "are" };
        format!("{}, and {} {verb} missing", sent(run), copies_of_them(late))
    };
    match run.ending {
        Ending::Complete if late == 0 => "every copy came, and sockets were lost".to_owned(),
        Ending::Complete | Ending::Drained => {
            let drain = whole_seconds(seconds(page.document.plan.drain_s));
            format!("{missing}; ended after {drain} without a copy (--drain)")
        }
        Ending::SocketsLost => format!("{missing}; ended when no living socket expected more"),
        Ending::Interrupted => {
            let sent = sent(run);
            match late {
                0 => format!("interrupted; {sent}, and every copy of them has come"),
                late => format!("interrupted; {sent}, and {} had not come", copies_of_them(late)),
            }
        }
    }
}

/// `1 500 of 4 000 messages were sent`.
fn sent(run: &Run) -> String {
    let verb = if run.sent == 1 { "was" } else { "were" };
    format!("{} of {} {verb} sent", Count(run.sent), counted(run.messages, "message", "messages"))
}

fn copies_of_them(count: u64) -> String {
    counted(count, "copy of them", "copies of them")
}

fn tell_silence(
    page: &Page<'_>,
    out: &mut dyn Write,
    silence: &SilentNode,
    run: &Run,
) -> io::Result<()> {
    let whole = silence.delivered == 0;
    let what = if whole { "was silent" } else { "fell silent" };
    let first = format!("{} {what}:", page.node(silence.node));
    let first = format!("{INDENT}{} ", page.paint.ink(Ink::Bad, &first));
    let (delivered, expected) = (Count(silence.delivered), Count(silence.expected));
    let mut sentence = format!("it delivered {delivered} of {expected} copies");
    if !whole {
        sentence += &format!(", and nothing from message {} on", Count(silence.from_message));
    }
    if run.lost_sockets.iter().any(|lost| lost.node == silence.node) {
        sentence += " (a socket to it was lost, see below)";
    }
    wrapped(out, &first, 4, &sentence)
}

/// Copies and latency by receiving node.
pub(super) fn nodes(page: &Page<'_>, out: &mut dyn Write, run: &Run) -> io::Result<()> {
    let headline = page.document.plan.headline_latency;
    if page.class != headline {
        writeln!(out, "{INDENT}{} by receiving node:", headline.key())?;
    }
    let mut worst_first: Vec<&MatrixCell> = run.matrix.iter().collect();
    if worst_first.len() > NODES_MAX {
        worst_first.sort_by_key(|cell| std::cmp::Reverse((cell.missing, cell.p99())));
    }
    let is_short = run.unsent_copies() > 0;
    let cells = |cell: &&MatrixCell| {
        node_cells(page, cell, is_short.then(|| run.unsent_copies_to(cell, &page.document.plan)))
    };
    let rows: Vec<_> = worst_first.iter().take(NODES_MAX).map(cells).collect();
    let mut columns = vec![
        Column::left("receiving node", 36),
        Column::right("copies", 10),
        Column::right("missing", 9),
        Column::right("p50", Nanos::WIDTH),
        Column::right("p99", Nanos::WIDTH),
        Column::right("max", Nanos::WIDTH),
    ];
    if is_short {
        columns.insert(PLACE_OF_UNSENT - 1, Column::right("not sent", 9));
    }
    table(out, page.paint, columns, &rows)?;
    let more = worst_first.len().saturating_sub(NODES_MAX);
    if more > 0 {
        writeln!(out, "{INDENT}and {} nodes that did better", Count(more as u64))?;
    }
    Ok(())
}

fn node_cells(page: &Page<'_>, cell: &MatrixCell, unsent: Option<u64>) -> Vec<Cell> {
    let mut cells = vec![
        page.node(cell.to).into(),
        Count(cell.copies).into(),
        Cell::fault(cell.missing.saturating_sub(unsent.unwrap_or(0))),
        or_na(cell.p50_us.map(micros)).into(),
        or_na(cell.p99()).into(),
        or_na(cell.max_us.map(micros)).into(),
    ];
    if let Some(unsent) = unsent {
        cells.insert(PLACE_OF_UNSENT - 1, Count(unsent).into());
    }
    cells
}

fn lost_sockets(page: &Page<'_>, out: &mut dyn Write, lost: &[LostSocket]) -> io::Result<()> {
    for socket in lost.iter().take(LOST_MAX) {
        let (name, at) = (socket_name(page, socket.socket), seconds(socket.at_s));
        let first = format!("lost {name} after {at}:");
        let first = format!("{INDENT}{} ", page.paint.ink(Ink::Bad, &first));
        let ours = socket.our_close_code.map(|code| format!(", we closed with {code}"));
        let idle = socket.idle_s.map(seconds).filter(|idle| *idle >= IDLE_MIN);
        let idle = idle.map(|idle| format!(", after {idle} in which nothing came or left"));
        let rest = [page.node(socket.node), ": ".into(), socket.reason.to_string()].concat();
        let tail = ours.unwrap_or_default() + &idle.unwrap_or_default();
        wrapped(out, &first, 4, &(rest + &tail))?;
    }
    more(out, lost.len().saturating_sub(LOST_MAX) as u64, "lost sockets")
}

/// `push socket 0`, `receive socket 3`: numbers run on over both.
fn socket_name(page: &Page<'_>, socket: u64) -> String {
    let role = if socket < page.document.plan.push_sockets { "push" } else { "receive" };
    format!("{role} socket {socket}")
}

fn streams(page: &Page<'_>, out: &mut dyn Write, gaps: &[Gap], total: u64) -> io::Result<()> {
    if !gaps.is_empty() {
        writeln!(out, "{INDENT}missing messages, numbered from 0 within each push socket's own:")?;
    }
    for gap in gaps.iter().take(STREAMS_MAX) {
        let ranges: Vec<_> = gap.ranges.iter().take(RANGES_MAX).map(range).collect();
        let cut = gap.truncated || gap.ranges.len() > RANGES_MAX;
        let line = format!(
            "on {} (node {}) from push socket {}: {} missing: {}{}",
            socket_name(page, gap.socket),
            gap.node,
            gap.sender,
            Count(gap.missing),
            ranges.join(", "),
            if cut { ", ..." } else { "" }
        );
        wrapped(out, "    ", 6, &line)?;
    }
    more(out, total.saturating_sub(STREAMS_MAX as u64), "streams with missing copies")
}

/// Hyphens would read as minus beside grouped digits.
fn range(&[first, last]: &[u64; 2]) -> String {
    match last.saturating_sub(first) {
        0 => Count(first).to_string(),
        _ => format!("{}..{}", Count(first), Count(last)),
    }
}

fn more(out: &mut dyn Write, count: u64, what: &str) -> io::Result<()> {
    if count == 0 {
        return Ok(());
    }
    writeln!(out, "{INDENT}and {} more {what} (--json has them)", Count(count))
}
