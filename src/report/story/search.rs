//! What is said of a search: which rate the cluster holds, and how that was found.

use super::content::{
    Block, Cell, Column, Emphasis, Fact, Hold, Holds, RateTrial, Row, Section, Table, Verdict,
};
use super::names::{emphasis, trust};
use super::phrase::{Phrase, Value, counted, phrase};
use crate::report::document::Document;
use crate::report::document::figures::{micros, seconds};
use crate::report::document::search::{
    Ending, Finding, LimitOf, Role, Says, Search, TriedRate, TriedTrial,
};
use crate::report::document::trial::{LatencyClass, TrialResult};
use crate::report::sanitize::UntrustedText;
use crate::units::Rate;

/// Reasons that are told of one rate, each once.
const REASONS_MAX: usize = 4;

/// Rows come before it is known which trials there will be.
const WIDEST_ID: &str = "m9999999-r999999-10";

/// `search from 1 000/s to 200 000/s for p99 < 50.0 ms, missing = 0`.
pub(super) fn title(search: &Search) -> Phrase {
    let objectives = objectives(search);
    if search.least_per_s == search.most_per_s {
        return phrase!["whether ", rate(search.least_per_s), " holds for ", objectives];
    }
    let ends = [search.least_per_s, search.most_per_s].map(rate);
    let [least, most] = ends;
    phrase!["search from ", least, " to ", most, " for ", objectives]
}

fn objectives(search: &Search) -> Phrase {
    Phrase::joined(search.objectives.iter().map(Phrase::from), ", ")
}

fn rate(per_s: f64) -> Phrase {
    Rate::per_second(per_s).into()
}

/// How it is searched.
pub(super) fn fact(search: &Search) -> Fact {
    let trials = phrase![
        "trials of ",
        Value::limit(search.trial_s),
        " after ",
        Value::limit(search.warmup_s),
        " of warm-up; a rate holds when at most ",
        Value::Share(search.exceed_ratio),
        " of ",
        Value::limit(search.duration_sum_s),
        " of trials are bad"
    ];
    let ends = phrase![
        "it ends when the bounds are within ",
        Value::Share(search.width),
        ", or after ",
        Value::limit(search.timeout_s),
        " (--search-timeout)"
    ];
    Fact { label: "search", lines: vec![trials, ends] }
}

/// The trials, a row each.
pub(super) fn table(document: &Document, search: &Search, class: LatencyClass) -> Table {
    let mut columns = vec![
        Column::words("trial").within(WIDEST_ID.into()),
        Column::words("finding").within("recovery".into()),
        Column::figures("missing"),
        Column::figures("copies/s"),
    ];
    let text = phrase![class.key(), ": ", super::names::meaning(class)];
    let caption = Some(super::content::Caption { column: columns.len(), text });
    columns.extend(super::names::latency_columns());
    columns.push(Column::words("verdict"));
    let of = |run: &TrialResult| {
        let tried = search.attempts.iter().find(|tried| tried.id == run.id);
        row(run, class, tried.and_then(|tried| tried.finding))
    };
    Table { key: "trials", caption, columns, rows: document.trials.iter().map(of).collect() }
}

/// One trial. Without a finding it was a look at the least rate.
pub(super) fn row(run: &TrialResult, class: LatencyClass, finding: Option<Finding>) -> Row {
    let per_s = run.throughput.copies_per_s.map_or(Value::Unknown, Value::PerSecond);
    let (word, taken) = match finding {
        Some(Finding::Good) => ("good", Emphasis::Good),
        Some(Finding::Bad) => ("bad", Emphasis::Bad),
        Some(Finding::Void) => ("void", Emphasis::Warn),
        None => ("recovery", Emphasis::Plain),
    };
    let mut cells: Row = vec![
        Phrase::from(&run.id).into(),
        Cell::with(word, taken),
        Cell::fault(run.delivery.missing),
        per_s.into(),
    ];
    cells.extend(super::names::latency_cells(run.latency_us.of(class)));
    let trusted = run.verdict.trust;
    cells.push(Cell::with(trust(trusted), emphasis(trusted)));
    cells
}

/// What the trials at each rate say.
pub(super) fn section(search: &Search) -> Option<Section> {
    let mut blocks = Vec::new();
    if !search.rates.is_empty() {
        blocks.push(Block::Table(rates(search)));
        blocks.push(Block::Holds(picture(search)));
    }
    blocks.extend(notes(search).into_iter().map(Block::from));
    let heading = Some("Rates that were tried".into());
    (!search.attempts.is_empty()).then_some(Section { key: "search", heading, blocks })
}

fn rates(search: &Search) -> Table {
    let figure = match search.latency.figure.raw() {
        "p50" => ["least p50", "largest p50"],
        "p90" => ["least p90", "largest p90"],
        "p99" => ["least p99", "largest p99"],
        "p99.9" => ["least p99.9", "largest p99.9"],
        "p99.99" => ["least p99.99", "largest p99.99"],
        _ => ["least max", "largest max"],
    };
    let mut columns = vec![Column::figures("rate")];
    columns.extend(["good", "bad", "void", "bad time"].map(Column::figures));
    columns.extend(figure.map(Column::durations));
    columns.push(Column::words("answer"));
    let row = |tried: &TriedRate| -> Row {
        let at = || search.measured_at(tried.rate_per_s);
        let count = |wanted| at().filter(|trial| trial.finding == Some(wanted)).count() as u64;
        let known = || at().filter_map(|trial| trial.latency_us);
        let whole = tried.good_s + tried.bad_s;
        let share = if whole > 0.0 { Value::Share(tried.bad_s / whole) } else { Value::Unknown };
        let (word, taken) = answer_at(search, tried);
        vec![
            rate(tried.rate_per_s).into(),
            Value::Count(count(Finding::Good)).into(),
            Value::Count(count(Finding::Bad)).into(),
            Value::Count(count(Finding::Void)).into(),
            share.into(),
            Value::micros(known().reduce(f64::min)).into(),
            Value::micros(known().reduce(f64::max)).into(),
            Cell::with(word, taken),
        ]
    };
    let rows = search.rates.iter().map(row).collect();
    Table { key: "rates", caption: None, columns, rows }
}

/// Beyond the bounds a rate need not be decided.
fn answer_at(search: &Search, tried: &TriedRate) -> (&'static str, Emphasis) {
    let rate = tried.rate_per_s;
    match tried.says {
        Says::Holds => ("holds", Emphasis::Good),
        Says::Fails => ("does not hold", Emphasis::Bad),
        Says::Generator => ("limit of the generator", Emphasis::Warn),
        Says::Undecided if search.lower_per_s.is_some_and(|lower| rate < lower) => {
            ("below what holds", Emphasis::Plain)
        }
        Says::Undecided if search.upper_per_s.is_some_and(|upper| rate > upper) => {
            ("above what does not", Emphasis::Plain)
        }
        Says::Undecided => ("undecided", Emphasis::Plain),
    }
}

fn picture(search: &Search) -> Holds {
    let trials = search.attempts.iter().filter(|tried| tried.role == Role::Measured);
    let point = |tried: &TriedTrial| {
        let hold = match tried.finding? {
            Finding::Good => Hold::Good,
            Finding::Bad => Hold::Bad,
            Finding::Void => Hold::Void,
        };
        let latency = micros(tried.latency_us?);
        Some(RateTrial {
            rate: Rate::per_second(tried.rate_per_s),
            latency,
            hold,
            id: tried.id.clone(),
        })
    };
    Holds {
        figure: phrase![&search.latency.figure, " ", search.latency.class.key()],
        below: search.latency.below_us.map(micros),
        bounds: [search.lower_per_s, search.upper_per_s].map(|rate| rate.map(Rate::per_second)),
        trials: trials.filter_map(point).collect(),
    }
}

fn notes(search: &Search) -> Vec<Phrase> {
    let mut notes = Vec::from_iter(why(search));
    if let Some(above) = search.holds_above_per_s {
        let text = " held although a lower rate did not. The lower bound is what counts.";
        notes.push(phrase!["Not monotonic: ", rate(above), text]);
    }
    notes.push(match search.never_failed_per_s {
        Some(never) => phrase!["No trial was bad up to ", rate(never), "."],
        None => "Already at the least rate a trial was bad, or none was good.".into(),
    });
    let looks = search.attempts.iter().filter(|tried| tried.role == Role::Recovery).count() as u64;
    let measured = search.attempts.len() as u64 - looks;
    notes.push(phrase![
        counted(measured, "trial", "trials"),
        ", and ",
        counted(looks, "look", "looks"),
        " at the least rate (whether the cluster was as fast as at first), in ",
        seconds(search.elapsed_s),
        "."
    ]);
    notes
}

/// Why the upper bound is one.
fn why(search: &Search) -> Option<Phrase> {
    let upper = search.upper_per_s?;
    let wanted = match search.limit_of? {
        LimitOf::Cluster => Finding::Bad,
        LimitOf::Generator => Finding::Void,
    };
    let mut reasons: Vec<&UntrustedText> = Vec::new();
    let latest = search.measured_at(upper).rev().filter(|tried| tried.finding == Some(wanted));
    for reason in latest.flat_map(|tried| &tried.reasons) {
        // The same of an earlier trial, with other figures: those are in the table.
        let kind = |text: &UntrustedText| text.raw().split(':').next().map(str::to_owned);
        let is_new = reasons.iter().all(|told| kind(told) != kind(reason));
        if is_new && reasons.len() < REASONS_MAX {
            reasons.push(reason);
        }
    }
    let reasons = Phrase::joined(reasons.into_iter().map(Phrase::from), "; ");
    Some(match search.limit_of {
        Some(LimitOf::Generator) => phrase![
            "At ",
            rate(upper),
            " the generator was the limit, whether the cluster holds it is not known: ",
            reasons,
            "."
        ],
        _ => phrase!["Why ", rate(upper), " does not hold: ", reasons, "."],
    })
}

/// What it comes to.
pub(super) fn verdict(search: &Search) -> Verdict {
    let (words, emphasis) = answer(search);
    let sentence = match search.ending {
        None | Some(Ending::Found) => phrase!["objectives ", objectives(search)],
        Some(Ending::Timeout) => phrase![
            "ended after ",
            Value::limit(search.timeout_s),
            " (--search-timeout) before the bounds were close enough; objectives ",
            objectives(search)
        ],
        Some(Ending::NotRecovered) => phrase![
            "ended early: at ",
            rate(search.least_per_s),
            " the cluster is not as fast any more as it was at first; objectives ",
            objectives(search)
        ],
        Some(Ending::Failed) => phrase![
            "ended early: ",
            search.reason.as_ref().map(Phrase::from),
            "; objectives ",
            objectives(search)
        ],
    };
    Verdict { words, emphasis, sentence }
}

fn answer(search: &Search) -> (Phrase, Emphasis) {
    let is_over = search.ending == Some(Ending::Found);
    let by_generator = search.limit_of == Some(LimitOf::Generator);
    let well = if is_over { Emphasis::Good } else { Emphasis::Warn };
    match (search.lower_per_s, search.upper_per_s) {
        (Some(lower), None) if search.least_per_s == search.most_per_s => {
            (phrase![rate(lower), " holds"], well)
        }
        (Some(lower), None) if lower >= search.most_per_s => {
            (phrase![rate(lower), " holds, the largest rate that was asked for"], well)
        }
        (Some(lower), None) => (phrase!["at least ", rate(lower), " holds"], well),
        (Some(lower), Some(upper)) if by_generator => {
            let text =
                phrase![rate(lower), " holds; at ", rate(upper), " the generator is the limit"];
            (text, Emphasis::Warn)
        }
        (Some(lower), Some(upper)) => {
            (phrase![rate(lower), " holds, ", rate(upper), " does not"], well)
        }
        (None, Some(upper)) if by_generator => {
            (phrase!["the generator cannot make ", rate(upper)], Emphasis::Bad)
        }
        (None, Some(upper)) => (phrase![rate(upper), " does not hold"], Emphasis::Bad),
        (None, None) => ("no rate is known to hold".into(), Emphasis::Warn),
    }
}
