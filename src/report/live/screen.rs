//! The live screen: where each thing is shown.
//!
//! Belongs here: drawing a [`Live`] into whatever area there is. Does not: what is shown (`live`).
//!
//! Made for 80 x 24; smaller screens lose the trials first, then the nodes.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, LineGauge, Paragraph, Sparkline};

use super::{Latency, Live, Node, Second, figure};
use crate::report::story::Value;
use crate::units::{Count, Nanos, Rate};

/// The figures with their headings, and the line above them.
const FIGURES_HEIGHT: u16 = 8;
/// Columns of the figures; the sparklines have the rest.
const FIGURES_WIDTH: u16 = 40;
const LABEL: usize = 10;
const COLUMN: usize = 13;

/// Draws it over the whole of the frame; `elapsed` is since the program began. Without `colour` all is in
/// the terminal's own.
pub fn draw(frame: &mut Frame<'_>, live: &Live, elapsed: Nanos, colour: bool) {
    let ink = Ink { colour };
    let nodes = live.nodes.len() as u16 + 1;
    let trials = (live.headings.len() + live.rows.len()) as u16 + 1;
    let [head, figures, nodes, workers, trials] = Layout::vertical([
        Constraint::Length(3),
        Constraint::Length(FIGURES_HEIGHT),
        Constraint::Max(nodes.min(frame.area().height / 3)),
        Constraint::Length(2),
        Constraint::Max(trials),
    ])
    .areas(frame.area());
    draw_head(frame, head, live, elapsed, ink);
    draw_figures(frame, figures, live, ink);
    draw_nodes(frame, nodes, live, ink);
    draw_workers(frame, workers, live, ink);
    draw_trials(frame, trials, live);
}

/// What words mean; colours follow from it.
#[derive(Clone, Copy)]
struct Ink {
    colour: bool,
}

impl Ink {
    fn of(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    fn bad(self) -> Style {
        self.of(Color::Red).add_modifier(Modifier::BOLD)
    }

    fn heading() -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, live: &Live, elapsed: Nanos, ink: Ink) {
    let [title, phase, gauge] = Layout::vertical([Constraint::Length(1); 3]).areas(area);
    let clock = clock(elapsed);
    let [left, right] =
        Layout::horizontal([Constraint::Min(0), Constraint::Length(clock.len() as u16 + 1)])
            .areas(title);
    frame.render_widget(Paragraph::new(live.title.as_str()).style(Ink::heading()), left);
    frame.render_widget(Paragraph::new(clock).right_aligned(), right);
    let counts = match live.total {
        0 => live.phase.clone(),
        total => format!("{}  {} of {}", live.phase, Count(live.done), Count(total)),
    };
    frame.render_widget(Paragraph::new(counts), phase);
    if live.total > 0 {
        let ratio = (live.done as f64 / live.total as f64).clamp(0.0, 1.0);
        // Whole percents, rounded down: 100 % is all of them.
        let label = format!("{:>3} %", (ratio * 100.0).floor());
        let gauge_widget = LineGauge::default()
            .ratio(ratio)
            .label(label)
            .filled_symbol("█")
            .unfilled_symbol("░")
            .filled_style(ink.of(Color::Green));
        frame.render_widget(gauge_widget, gauge);
    }
}

/// `0:07`, `1:02:03`.
fn clock(elapsed: Nanos) -> String {
    let seconds = elapsed.0 / 1_000_000_000;
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

fn draw_figures(frame: &mut Frame<'_>, area: Rect, live: &Live, ink: Ink) {
    let [left, _, right] = Layout::horizontal([
        Constraint::Length(FIGURES_WIDTH),
        Constraint::Length(1),
        Constraint::Min(0),
    ])
    .areas(area);
    let Some(last) = live.seconds.back() else {
        let block = Block::new().borders(Borders::TOP);
        let words = "figures come with the first second of a trial";
        frame.render_widget(Paragraph::new(words).block(block), area);
        return;
    };
    frame.render_widget(figures(last, live, ink), left);
    let [copies, p99] = Layout::vertical([Constraint::Ratio(1, 2); 2]).areas(right);
    let rates = live.seconds.iter().map(|second| second.copies_per_s.round() as u64);
    let most = rates.clone().max().unwrap_or(0);
    let title = format!("copies each second, most {}", Count(most));
    sparkline(frame, copies, title, rates.collect(), ink.of(Color::Cyan));
    let longest = live.seconds.iter().filter_map(|second| second.latency.p99);
    let title = match longest.clone().max() {
        Some(longest) => format!("p99 of each second, longest {}", figure(longest)),
        None => "p99 of each second: too few copies".to_owned(),
    };
    let p99s = live.seconds.iter().map(|second| second.latency.p99.map_or(0, |p99| p99.0));
    sparkline(frame, p99, title, p99s.collect(), ink.of(Color::Yellow));
}

fn figures(last: &Second, live: &Live, ink: Ink) -> Paragraph<'static> {
    let per_s = |rate: f64| Rate::per_second(rate).to_string();
    let of = |value: Option<Nanos>| value.map_or_else(|| figure(Value::Unknown), figure);
    let row = |label: &str, second: String, whole: String| {
        Line::from(format!("{label:<LABEL$}{second:>COLUMN$}{whole:>COLUMN$}"))
    };
    let latency = |label: &str, of_latency: fn(&Latency) -> Option<Nanos>| {
        row(label, of(of_latency(&last.latency)), of(of_latency(&live.whole)))
    };
    let head = row(live.class.key(), "last second".into(), "trial so far".into());
    let missing = match last.missing {
        0 => Line::from(format!("{:<LABEL$}{:>COLUMN$}", "missing", "0")),
        missing => Line::from(vec![
            Span::raw(format!("{:<LABEL$}", "missing")),
            Span::styled(format!("{:>COLUMN$}", Count(missing).to_string()), ink.bad()),
        ]),
    };
    let title = if last.warmup { " warm-up " } else { "" };
    Paragraph::new(vec![
        head.style(Ink::heading()),
        latency("p50", |latency| latency.p50),
        latency("p99", |latency| latency.p99),
        latency("max", |latency| latency.max),
        row("sent", per_s(last.sent_per_s), String::new()),
        row("copies", per_s(last.copies_per_s), String::new()),
        missing,
    ])
    .block(Block::new().borders(Borders::TOP).title(title))
}

/// The last seconds that the area is wide enough for, the latest at its right end.
fn sparkline(frame: &mut Frame<'_>, area: Rect, title: String, all: Vec<u64>, style: Style) {
    let width = usize::from(area.width);
    let last = &all[all.len().saturating_sub(width)..];
    let block = Block::new().borders(Borders::TOP).title(title);
    frame.render_widget(Sparkline::default().block(block).data(last).style(style), area);
}

fn draw_nodes(frame: &mut Frame<'_>, area: Rect, live: &Live, ink: Ink) {
    let block = Block::new().borders(Borders::TOP).title("nodes");
    let room = usize::from(area.height.saturating_sub(1));
    // Those that lost something come first: they are what one looks for among a thousand.
    let mut order: Vec<&Node> = live.nodes.iter().collect();
    order.sort_by_key(|node| node.lost == 0);
    let all_fit = order.len() <= room;
    let shown = if all_fit { order.len() } else { room.saturating_sub(1) };
    let mut lines: Vec<_> = order[..shown].iter().map(|node| node_line(node, ink)).collect();
    if !all_fit {
        let more = order.len() - shown;
        let lost: u64 = order[shown..].iter().map(|node| node.lost).sum();
        lines.push(Line::from(format!("and {} more, {} lost", Count(more as u64), Count(lost))));
    }
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn node_line(node: &Node, ink: Ink) -> Line<'_> {
    let state = match node.lost {
        0 => Span::styled("up", ink.of(Color::Green)),
        lost if lost >= node.sockets => Span::styled("down", ink.bad()),
        _ => Span::styled("losing", ink.bad()),
    };
    let pushes = if node.takes_pushes { ", takes the pushes" } else { "" };
    let lost = match node.lost {
        0 => String::new(),
        lost => format!(", {} lost", Count(lost)),
    };
    let sockets = if node.sockets == 1 { "socket" } else { "sockets" };
    Line::from(vec![
        Span::raw(format!("{}  ", node.url)),
        state,
        Span::raw(format!("  {} {sockets}{lost}{pushes}", Count(node.sockets))),
    ])
}

fn draw_workers(frame: &mut Frame<'_>, area: Rect, live: &Live, ink: Ink) {
    let block = Block::new().borders(Borders::TOP).title("our own CPUs, busy");
    let shares = live.cores.iter().zip(&live.busy).map(|(cpu, &busy)| {
        let style = if busy > 0.9 { ink.bad() } else { Style::new() };
        Span::styled(format!("{cpu}: {:.0} %  ", busy * 100.0), style)
    });
    let shares: Vec<_> = shares.collect();
    frame.render_widget(Paragraph::new(Line::from(shares)).block(block), area);
}

fn draw_trials(frame: &mut Frame<'_>, area: Rect, live: &Live) {
    let block = Block::new().borders(Borders::TOP).title("trials so far");
    let room = usize::from(area.height.saturating_sub(1)).saturating_sub(live.headings.len());
    let last = &live.rows[live.rows.len().saturating_sub(room)..];
    let lines: Vec<_> =
        live.headings.iter().chain(last).map(|line| Line::from(line.as_str())).collect();
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::report::fixture::begun;

    /// What stands on a screen of this size.
    fn screen(live: &Live, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, live, Nanos::from_secs(3_725), true)).unwrap();
        let buffer = terminal.backend().buffer();
        let line = |row| (0..width).map(|column| buffer[(column, row)].symbol()).collect();
        (0..height).map(line).collect::<Vec<String>>()
    }

    fn second(copies_per_s: f64, missing: u64) -> Second {
        let latency = Latency { p50: Some(Nanos(250_000)), p99: Some(Nanos(1_200_000)), max: None };
        Second { sent_per_s: 100.0, copies_per_s, missing, warmup: false, latency }
    }

    fn running() -> Live {
        let mut live = Live::of(&begun(&[1_000, 3_000]), "messages  verdict\n");
        live.trial("   1 000  trusted\n");
        live.progress("m = 3 000: copies", 4_500, 18_000);
        live.second(second(612.0, 0), Latency::default(), &[0, 0, 0], vec![]);
        let whole = Latency { p50: Some(Nanos(260_000)), ..Latency::default() };
        live.second(second(598.0, 12), whole, &[0, 1, 0], vec![0.25]);
        live
    }

    #[test]
    fn all_that_is_known_stands_on_80_by_24() {
        let lines = screen(&running(), 80, 24);
        let text = lines.join("\n");
        for words in [
            "1:02:05",
            "m = 3 000: copies  4 500 of 18 000",
            "25 %",
            "p50              250 µs       260 µs",
            "p99             1.20 ms          n/a",
            "copies            598/s",
            "missing              12",
            "copies each second, most 612",
            "p99 of each second, longest 1.20 ms",
            "down  1 socket, 1 lost",
            "1: 25 %",
            "messages  verdict",
            "1 000  trusted",
        ] {
            assert!(text.contains(words), "{words} is not in\n{text}");
        }
        // The node that lost something comes first.
        let node = |state| lines.iter().position(|line| line.contains(state)).unwrap();
        assert!(node("  down  ") < node("  up  "), "{text}");
    }

    #[test]
    fn another_trial_begins_without_the_figures_of_the_last() {
        let mut live = running();
        live.progress("laying out 5 000 messages", 0, 0);
        let text = screen(&live, 80, 24).join("\n");
        assert!(text.contains("laying out 5 000 messages"), "{text}");
        for gone in ["n/a", "598/s", "lost", "25 %", " of 18 000"] {
            assert!(!text.contains(gone), "{gone} is in\n{text}");
        }
    }

    #[test]
    fn every_size_of_screen_can_be_drawn_on() {
        let live = running();
        for (width, height) in [(1, 1), (3, 2), (20, 5), (39, 9), (80, 10), (200, 60), (400, 3)] {
            assert_eq!(screen(&live, width, height).len(), usize::from(height));
        }
        let large = screen(&live, 200, 60).join("\n");
        assert!(large.contains("1 000  trusted"), "{large}");
    }

    #[test]
    fn of_many_nodes_those_that_lost_sockets_are_named_and_the_others_counted() {
        let mut live = running();
        let node = live.nodes[0].clone();
        live.nodes =
            (0..10_000).map(|n| Node { url: format!("ws://n{n}/"), ..node.clone() }).collect();
        let mut lost = vec![0; 10_000];
        lost[7_777] = 1;
        live.second(second(1.0, 0), Latency::default(), &lost, vec![]);
        let text = screen(&live, 80, 24).join("\n");
        assert!(text.contains("ws://n7777/"), "{text}");
        assert!(text.contains("and 9 994 more, 0 lost"), "{text}");
    }
}
