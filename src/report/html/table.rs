//! A table as the template is given it, and how words and figures are written in a page.
//!
//! Belongs here: texts, classes and shades of cells. Does not: markup (`report.html`).

use serde::Serialize;

use crate::report::columns;
use crate::report::story::{self, Cell, Emphasis, Kind, Phrase, Row, Series, Value};
use crate::units::Nanos;

/// Shades of cells with durations, from the shortest to the longest.
const SHADES: f64 = 5.0;

#[derive(Debug, Serialize)]
pub(super) struct Table {
    caption: Option<Caption>,
    columns: Vec<Column>,
    rows: Vec<Vec<Shown>>,
}

#[derive(Debug, Serialize)]
struct Caption {
    before: usize,
    over: usize,
    text: String,
}

#[derive(Debug, Serialize)]
struct Column {
    heading: &'static str,
    words: bool,
}

#[derive(Debug, Serialize)]
struct Shown {
    text: String,
    class: String,
}

/// Words and figures; a browser must not break a line within a figure.
pub(super) fn phrase(phrase: &Phrase) -> String {
    let text = |value: &Value| match value {
        Value::Words(_) | Value::Untrusted(_) => columns::value(value),
        _ => columns::value(value).replace(' ', "\u{a0}"),
    };
    phrase.values().iter().map(text).collect()
}

impl Table {
    /// As the story has it.
    pub(super) fn of(table: &story::Table) -> Self {
        let columns = &table.columns;
        let caption = table.caption.as_ref().map(|caption| Caption {
            before: caption.column,
            over: columns.len().saturating_sub(caption.column),
            text: phrase(&caption.text),
        });
        let mut rows: Vec<Vec<Shown>> = table.rows.iter().map(shown).collect();
        // Of nodes the slow ones are looked for.
        if table.key == "nodes" {
            let durations = columns.iter().enumerate().filter(|(_, c)| c.kind == Kind::Duration);
            durations.for_each(|(column, _)| shade(&mut rows, &table.rows, column));
        }
        Self { caption, columns: columns.iter().map(Column::of).collect(), rows }
    }

    /// A row for each point.
    pub(super) fn of_series(series: &Series) -> Self {
        let cell =
            |value: &Value| Shown { text: phrase(&value.clone().into()), class: String::new() };
        let row = |point: &Vec<Value>| point.iter().map(cell).collect();
        Self {
            caption: None,
            columns: series.columns.iter().map(Column::of).collect(),
            rows: series.points.iter().map(row).collect(),
        }
    }

    /// Words in the first and last column, figures between them.
    pub(super) fn of_words<const COLUMNS: usize>(
        headings: &[&'static str; COLUMNS],
        rows: impl Iterator<Item = [String; COLUMNS]>,
    ) -> Self {
        let column = |(index, heading): (usize, &&'static str)| Column {
            heading,
            words: index == 0 || index + 1 == COLUMNS,
        };
        let cell = |text| Shown { text, class: String::new() };
        Self {
            caption: None,
            columns: headings.iter().enumerate().map(column).collect(),
            rows: rows.map(|row| row.into_iter().map(cell).collect()).collect(),
        }
    }
}

impl Column {
    fn of(column: &story::Column) -> Self {
        Self { heading: column.heading, words: column.kind == Kind::Words }
    }
}

fn shown(row: &Row) -> Vec<Shown> {
    let cell = |Cell { text, emphasis }: &Cell| Shown {
        text: phrase(text),
        class: class(*emphasis).to_owned(),
    };
    row.iter().map(cell).collect()
}

/// The longer a duration, the darker; where all are about as long, none is.
fn shade(rows: &mut [Vec<Shown>], of: &[Row], column: usize) {
    let known = |row: &Row| match row.get(column)?.text.values() {
        [Value::Duration(Nanos(ns))] => Some((*ns).max(1) as f64),
        _ => None,
    };
    let least = of.iter().filter_map(known).fold(f64::MAX, f64::min);
    let most = of.iter().filter_map(known).fold(0.0, f64::max);
    if most < least * 1.25 {
        return;
    }
    for (shown, row) in rows.iter_mut().zip(of) {
        let Some(ns) = known(row) else { continue };
        let shade = ((ns / least).ln() / (most / least).ln() * (SHADES - 1.0)).round();
        shown[column].class = format!("s{shade}");
    }
}

pub(super) const fn class(emphasis: Emphasis) -> &'static str {
    match emphasis {
        Emphasis::Plain => "",
        Emphasis::Good => "good",
        Emphasis::Warn => "warn",
        Emphasis::Bad => "bad",
    }
}
