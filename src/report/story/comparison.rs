//! What is said of a comparison: what differs, by how much, and how sure that is.
//!
//! Belongs here: words and figures. Does not: what follows from runs (`compare`).

use super::Story;
use super::content::{
    Block, Caption, Caveat, Cell, Column, Emphasis, Fact, Row, Section, Span, Table, Verdict,
};
use super::phrase::{Phrase, Value, counted, phrase};
use crate::report::compare::ranks::RUNS_MIN;
use crate::report::compare::{
    Account, Answer, Comparison, Difference, Figure, Kind, Order, Pair, Side, Trial, Unit,
};
use crate::report::document::figures::micros;
use crate::report::sanitize::UntrustedText;
use crate::units::{Count, Nanos};

/// More differences of plans are counted, not listed.
const DIFFERENCES_MAX: usize = 12;

/// Arguments of a side up to so many.
const ARGUMENTS_MAX: usize = 24;

impl Story {
    /// Of a comparison.
    pub fn of_comparison(comparison: &Comparison) -> Self {
        Self {
            title: title(comparison),
            facts: facts(comparison),
            trials: headline(comparison),
            sections: sections(comparison),
            verdict: verdict(comparison),
        }
    }
}

fn title(comparison: &Comparison) -> Phrase {
    let runs = comparison.sides.map(|side| counted(side.runs as u64, "run", "runs"));
    let version = Value::Words(comparison.version.clone().into());
    phrase!["fanstorm ", version, ": ", runs.b, " of B against ", runs.a, " of A"]
}

fn facts(comparison: &Comparison) -> Vec<Fact> {
    let sides = &comparison.sides;
    let line = |label, line: Phrase| Fact { label, lines: vec![line] };
    vec![
        line("A", arguments(&sides.a)),
        line("B", arguments(&sides.b)),
        Fact { label: "differs", lines: differences(&comparison.differences) },
        line("order", order(comparison.order).into()),
        line("method", method(comparison)),
    ]
}

fn arguments(side: &Side) -> Phrase {
    let shown = side.args.iter().take(ARGUMENTS_MAX).map(|arg| Phrase::from(&quoted(arg)));
    let args = Phrase::joined(shown, " ");
    let more = side.args.len().saturating_sub(ARGUMENTS_MAX) as u64;
    let more = (more > 0).then(|| phrase![" and ", Count(more), " more"]);
    phrase!["fanstorm", if args.is_empty() { "" } else { " " }, args, more]
}

/// As a shell takes it: an argument may hold spaces.
fn quoted(arg: &UntrustedText) -> UntrustedText {
    shlex::try_quote(arg.raw()).map_or_else(|_| arg.clone(), |quoted| quoted.into_owned().into())
}

fn differences(all: &[Difference]) -> Vec<Phrase> {
    if all.is_empty() {
        return vec!["nothing: plans, hosts and versions are the same".into()];
    }
    let values = |values: &[_]| match values {
        [] => "nothing".into(),
        texts => Phrase::joined(texts.iter().map(Phrase::from), " or "),
    };
    let told = all.iter().take(DIFFERENCES_MAX).map(|one| {
        phrase![&one.key, ": ", values(&one.values.a), " in A, ", values(&one.values.b), " in B"]
    });
    let more = all.len().saturating_sub(DIFFERENCES_MAX) as u64;
    let more = (more > 0).then(|| phrase!["and ", Count(more), " keys more"]);
    told.chain(more).collect()
}

const fn order(order: Order) -> &'static str {
    match order {
        Order::Alternating => "A and B in turns: what drifts more slowly than a run meets both",
        Order::Mixed => "neither in turns nor one side after the other",
        Order::OneAfterTheOther => "all runs of one side, then all of the other",
    }
}

fn method(comparison: &Comparison) -> Phrase {
    let confidence = comparison.headline().and_then(|trial| {
        trial.figures.iter().find_map(|figure| Some(figure.change.as_ref()?.confidence))
    });
    let Some(confidence) = confidence else {
        return phrase![
            "each run is one sample: below ",
            Value::Number(RUNS_MIN as u64),
            " on a side nothing is claimed"
        ];
    };
    phrase![
        "each run is one sample; Hodges and Lehmann's shift of the logarithms, with the exact interval of \
         Mann and Whitney (",
        Value::Share(confidence),
        "); a change up to ",
        Value::Share(comparison.tolerance),
        " is none (--tolerance)"
    ]
}

/// What a trial is called: with both names where they differ.
fn name(trial: &Trial) -> Phrase {
    let Pair { a, b } = &trial.id;
    if a == b { a.into() } else { phrase![a, " and ", b] }
}

fn headline(comparison: &Comparison) -> Table {
    let rows: Vec<Row> = comparison.headline().map(rows).unwrap_or_default();
    let caption = comparison.headline().map(|trial| Caption {
        column: 1,
        text: phrase!["trial ", name(trial), ", ", trial.class.key(), " latency; medians of runs"],
    });
    let headings = ["A", "B", "B to A", "interval", "could see", "answer"];
    let mut columns = vec![Column::words("figure")];
    columns.extend(headings[..5].iter().copied().map(Column::figures));
    columns.push(Column::words(headings[5]));
    Table { key: "compared", caption, columns, rows }
}

fn rows(trial: &Trial) -> Vec<Row> {
    trial.figures.iter().map(row).collect()
}

fn row(figure: &Figure) -> Row {
    let value = |of: Option<f64>| Cell::from(shown(of, figure.unit));
    let change =
        |ratio: Option<f64>| ratio.map_or(Value::Unknown, |ratio| Value::Change(ratio - 1.0));
    let interval = match figure.change {
        Some(ends) => {
            phrase![Value::Change(ends.low - 1.0), " to ", Value::Change(ends.high - 1.0)]
        }
        None => Value::Unknown.into(),
    };
    let (words, emphasis) = answer(figure);
    vec![
        figure.figure.name().into(),
        value(figure.median.a),
        value(figure.median.b),
        change(figure.ratio).into(),
        interval.into(),
        change(figure.smallest_seen).into(),
        Cell::with(words, emphasis),
    ]
}

fn shown(figure: Option<f64>, unit: Unit) -> Value {
    match (figure, unit) {
        (None, _) => Value::Unknown,
        (Some(us), Unit::Us) => Value::Duration(micros(us)),
        (Some(ns), Unit::Ns) => Value::Duration(Nanos(ns.round() as u64)),
        (Some(rate), Unit::PerS) => Value::PerSecond(rate),
    }
}

fn answer(figure: &Figure) -> (Phrase, Emphasis) {
    match (figure.answer, figure.b_is_worse()) {
        (Answer::Different, Some(true)) => ("B is worse".into(), Emphasis::Bad),
        (Answer::Different, _) => ("B is better".into(), Emphasis::Good),
        (Answer::Same, _) => ("the same".into(), Emphasis::Plain),
        (Answer::Undecided, _) => match figure.more_runs {
            Some(more) => (phrase!["undecided (+", Count(more as u64), ")"], Emphasis::Warn),
            None => ("undecided".into(), Emphasis::Warn),
        },
        (Answer::TooFewRuns, _) => ("too few runs".into(), Emphasis::Warn),
        (Answer::NotMeasured, _) => ("not measured".into(), Emphasis::Plain),
    }
}

fn sections(comparison: &Comparison) -> Vec<Section> {
    let mut sections = vec![how_to_read(comparison)];
    sections.push(copies(comparison));
    if let Some(trial) = comparison.headline() {
        sections.push(each_run(trial));
        sections.extend(within(trial));
    }
    sections.extend(others(comparison));
    sections.extend(caveats(comparison));
    sections
}

fn how_to_read(comparison: &Comparison) -> Section {
    let spans = comparison.headline().map(|trial| trial.figures.iter().filter_map(span).collect());
    let spans: Vec<Span> = spans.unwrap_or_default();
    let mut blocks = Vec::new();
    if !spans.is_empty() {
        blocks.push(Block::Spans { spans, tolerance: comparison.tolerance });
        blocks.push(Block::from(phrase![
            "could see: the smallest change that this many runs, as far apart as they are, would show in four \
             comparisons of five. undecided (+N): about N more runs on each side would decide."
        ]));
    }
    let (compared, chance) = comparison.chance();
    if compared > 0 {
        blocks.push(Block::from(phrase![
            counted(compared as u64, "figure was", "figures were"),
            " compared; where nothing differs, about ",
            Value::Average(chance),
            " of them would be called different by chance alone."
        ]));
    }
    Section { key: "reading", heading: None, blocks }
}

/// Runs and interval of a figure, as shares of A's median.
fn span(figure: &Figure) -> Option<Span> {
    let base = figure.median.a?;
    let (words, emphasis) = answer(figure);
    Some(Span {
        name: figure.figure.name(),
        says: words,
        emphasis,
        change: figure.ratio?,
        interval: figure.change.map(|change| [change.low, change.high]),
        runs: [&figure.runs.a, &figure.runs.b]
            .map(|side| side.iter().map(|run| run / base).collect()),
    })
}

fn copies(comparison: &Comparison) -> Section {
    let of = |name: &'static str, runs: usize, account: Account| -> Row {
        let whole = |count: u64| Cell::from(Count(count));
        vec![
            name.into(),
            whole(runs as u64),
            whole(account.expected),
            whole(account.delivered),
            Cell::fault(account.missing),
            Cell::fault(account.duplicate),
            Cell::fault(account.misdelivered),
            Cell::fault(account.corrupt),
            Cell::fault(account.lost_sockets),
        ]
    };
    let (account, sides) = (comparison.delivery.account, &comparison.sides);
    let headings = [
        "runs",
        "expected",
        "delivered",
        "missing",
        "duplicate",
        "misdelivered",
        "corrupt",
        "lost sockets",
    ];
    let mut columns = vec![Column::words("")];
    columns.extend(headings.map(Column::figures));
    let rows = vec![of("A", sides.a.runs, account.a), of("B", sides.b.runs, account.b)];
    let mut blocks = vec![Block::Table(Table { key: "accounts", caption: None, columns, rows })];
    let unsent = account.a.unsent.saturating_add(account.b.unsent);
    if unsent > 0 {
        blocks.push(Block::from(phrase![
            Count(unsent),
            " copies more belong to messages that were not sent."
        ]));
    }
    Section { key: "copies", heading: Some("Copies of all runs".into()), blocks }
}

fn each_run(trial: &Trial) -> Section {
    let kinds = || {
        trial.figures.iter().filter(|figure| !figure.runs.a.is_empty() || !figure.runs.b.is_empty())
    };
    let mut columns = vec![Column::words("run")];
    columns.extend(kinds().map(|figure| Column::figures(figure.figure.name())));
    let side = |name: &'static str, of: fn(&Figure) -> &Vec<f64>| {
        let count = kinds().map(|figure| of(figure).len()).max().unwrap_or(0);
        let row = move |at: usize| -> Row {
            let name = phrase![name, Value::Number(at as u64 + 1)];
            let cells =
                kinds().map(|figure| shown(of(figure).get(at).copied(), figure.unit).into());
            std::iter::once(name.into()).chain(cells).collect()
        };
        (0..count).map(row).collect::<Vec<_>>()
    };
    let rows = [side("A", |figure| &figure.runs.a), side("B", |figure| &figure.runs.b)].concat();
    let table = Table { key: "each-run", caption: None, columns, rows };
    let heading = phrase!["Each run of ", name(trial), " whose times count"];
    Section { key: "each-run", heading: Some(heading), blocks: vec![Block::Table(table)] }
}

/// Where there are too few runs: what the seconds of each say of itself.
fn within(trial: &Trial) -> Option<Section> {
    let told = |figure: &Figure| {
        let within = figure.within_run.as_ref()?;
        let side = |name: &'static str, all: &Vec<Option<[f64; 2]>>| {
            let ends = |at: usize, ends: &Option<[f64; 2]>| match ends {
                Some([low, high]) => phrase![
                    name,
                    Value::Number(at as u64 + 1),
                    " ",
                    Value::Duration(micros(*low)),
                    " to ",
                    Value::Duration(micros(*high))
                ],
                None => phrase![name, Value::Number(at as u64 + 1), " n/a"],
            };
            Phrase::joined(all.iter().enumerate().map(|(at, one)| ends(at, one)), ", ")
        };
        Some(phrase![figure.figure.name(), ": ", side("A", &within.a), "; ", side("B", &within.b)])
    };
    let items: Vec<Phrase> = trial.figures.iter().filter_map(told).collect();
    if items.is_empty() {
        return None;
    }
    let note = phrase![
        "From how the seconds of a run differ (n/a: fewer than 8 of them are independent). A new start may \
         differ by more: this is no interval of the difference between A and B."
    ];
    let heading = Some("Within these runs".into());
    Some(Section { key: "within", heading, blocks: vec![Block::List(items), note.into()] })
}

/// Of the other trials what heads a report, and whatever differs.
fn others(comparison: &Comparison) -> Option<Section> {
    let wanted = |figure: &&Figure| {
        matches!(figure.figure, Kind::P50 | Kind::P99 | Kind::CopiesPerS)
            || figure.answer == Answer::Different
    };
    let others = comparison.trials.iter().enumerate();
    let others = others.filter(|(at, _)| Some(*at) != comparison.headline).map(|(_, trial)| trial);
    let rows = others.flat_map(|trial| {
        let figures = trial.figures.iter().filter(wanted);
        figures.map(move |figure| {
            let mut cells = row(figure);
            // What could be seen is left out for the trial's name.
            cells.remove(5);
            cells.insert(0, name(trial).into());
            cells
        })
    });
    let rows: Vec<Row> = rows.collect();
    if rows.is_empty() {
        return None;
    }
    let mut columns = vec![Column::words("trial"), Column::words("figure")];
    columns.extend(["A", "B", "B to A", "interval"].map(Column::figures));
    columns.push(Column::words("answer"));
    let table = Table { key: "other-trials", caption: None, columns, rows };
    let heading = Some("Other trials".into());
    Some(Section { key: "other-trials", heading, blocks: vec![Block::Table(table)] })
}

fn caveats(comparison: &Comparison) -> Option<Section> {
    let mut blocks = Vec::new();
    let mut add = |code: &str, text: String, remedy: &str| {
        blocks.push(Block::Caveat(Caveat {
            severity: "care",
            emphasis: Emphasis::Warn,
            code: code.into(),
            trials: "all trials".into(),
            text: text.into(),
            remedy: remedy.into(),
        }));
    };
    let sides = &comparison.sides;
    for (name, side) in [("A", &sides.a), ("B", &sides.b)] {
        if let Some(first) = side.failures.first() {
            let text =
                format!("{} of {name}'s runs came to no result: {first}", side.failures.len());
            add("failed-runs", text, "see what they say; the others are compared");
        }
        if side.interrupted > 0 {
            let text = format!("{} of {name}'s runs were interrupted", side.interrupted);
            add("interrupted-runs", text, "their trials that came to an end are compared");
        }
    }
    if let Some(trial) = comparison.headline()
        && trial.void.a + trial.void.b > 0
    {
        let Pair { a, b } = trial.void;
        let text =
            format!("the times of {a} of A's and {b} of B's runs are void: they are left out");
        add("void-runs", text, "read one of them with `fanstorm report`: it says what to do");
    }
    if comparison.differences.iter().any(Difference::is_of_the_host) {
        let text = "the hosts, or the versions of fanstorm, are not the same".to_owned();
        add("other-host", text, "make all runs on one host, or read the times as those of both");
    }
    if comparison.differences.iter().any(Difference::is_within_a_side) {
        let text = "the runs of a side are not all of one plan".to_owned();
        add("mixed-side", text, "compare runs that were made with the same flags");
    }
    if comparison.order == Order::OneAfterTheOther && sides.a.runs.min(sides.b.runs) > 1 {
        let text = "what changed on the machine between the sides looks like a difference of them";
        add("not-in-turns", text.to_owned(), "`fanstorm compare --run 5` makes runs in turns");
    }
    let heading = Some("Caveats".into());
    (!blocks.is_empty()).then_some(Section { key: "caveats", heading, blocks })
}

fn verdict(comparison: &Comparison) -> Verdict {
    let figures = comparison.headline().map(|trial| trial.figures.as_slice()).unwrap_or_default();
    let which = |wanted: fn(&Figure) -> bool| -> Vec<&Figure> {
        figures.iter().filter(|figure| wanted(figure)).collect()
    };
    let worse = which(|figure| figure.b_is_worse() == Some(true));
    let better = which(|figure| figure.b_is_worse() == Some(false));
    let same = which(|figure| figure.answer == Answer::Same);
    let undecided = which(|figure| figure.answer == Answer::Undecided);
    let few = figures.iter().any(|figure| figure.answer == Answer::TooFewRuns);
    let lost = comparison.delivery.different;
    let (words, emphasis) = match (lost, worse.is_empty(), better.is_empty()) {
        (true, ..) if comparison.delivery.b_is_worse => ("B delivers worse", Emphasis::Bad),
        (true, ..) => ("A delivers worse", Emphasis::Warn),
        (false, false, true) => ("B is worse", Emphasis::Bad),
        (false, true, false) => ("B is better", Emphasis::Good),
        (false, false, false) => ("better and worse", Emphasis::Warn),
        _ if figures.is_empty() => ("nothing to compare", Emphasis::Warn),
        _ if few => ("too few runs to say", Emphasis::Warn),
        _ if undecided.is_empty() && !same.is_empty() => ("the same", Emphasis::Good),
        _ => ("undecided", Emphasis::Warn),
    };
    let mut parts = Vec::new();
    if lost {
        parts.push("one side's copies are not all as they should be".into());
    }
    parts.extend(worse.iter().chain(&better).map(|figure| by_how_much(figure)));
    let listed = |figures: &[&Figure]| {
        Phrase::joined(figures.iter().map(|figure| figure.figure.name().into()), ", ")
    };
    if !same.is_empty() {
        parts.push(phrase!["the same: ", listed(&same)]);
    }
    if !undecided.is_empty() {
        parts.push(phrase!["more runs would have to tell: ", listed(&undecided)]);
    }
    if few {
        let least = Value::Number(RUNS_MIN as u64);
        parts.push(phrase!["it takes ", least, " runs on each side whose times count"]);
    }
    Verdict { words: words.into(), emphasis, sentence: Phrase::joined(parts, "; ") }
}

fn by_how_much(figure: &Figure) -> Phrase {
    let (Some(ratio), Some(change)) = (figure.ratio, figure.change) else {
        return figure.figure.name().into();
    };
    let change_of = |ratio: f64| Value::Change(ratio - 1.0);
    phrase![
        figure.figure.name(),
        " ",
        change_of(ratio),
        " (",
        change_of(change.low),
        " to ",
        change_of(change.high),
        ")"
    ]
}
