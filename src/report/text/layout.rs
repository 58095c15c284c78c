//! How wide the columns of each table are at least.
//!
//! Belongs here: widths, so that tables of one kind look alike from report to report. Does not: what is in
//! the columns (`story`).

use crate::report::columns::{self, Align, phrase, width};
use crate::report::story::{Cell, Column, Emphasis, Kind, Table};
use crate::units::Nanos;

/// The columns of a table that is not written yet; in one that is whole they grow to their widest cell.
pub(super) fn columns(table: &Table) -> Vec<columns::Column> {
    let column = |column: &Column| {
        let widest = column.widest.as_ref().map_or(0, |widest| width(&phrase(widest)));
        let lean = if column.kind == Kind::Words { Align::Left } else { Align::Right };
        let least = least_width(table, column).max(widest);
        columns::Column { heading: column.heading, lean, width: least.max(width(column.heading)) }
    };
    let mut columns: Vec<_> = table.columns.iter().map(column).collect();
    // Of a comparison all rows are there before the first is written.
    if table.key == "compared" {
        for (at, column) in columns.iter_mut().enumerate() {
            let cells = table.rows.iter().filter_map(|row| row.get(at));
            let widest = cells.map(|cell| width(&phrase(&cell.text))).max();
            column.width = column.width.max(widest.unwrap_or(0));
        }
    }
    columns
}

pub(super) fn cell(cell: &Cell) -> columns::Cell {
    columns::Cell::inked(phrase(&cell.text), ink(cell.emphasis))
}

pub(super) const fn ink(emphasis: Emphasis) -> columns::Ink {
    match emphasis {
        Emphasis::Plain => columns::Ink::Plain,
        Emphasis::Good => columns::Ink::Good,
        Emphasis::Warn => columns::Ink::Warning,
        Emphasis::Bad => columns::Ink::Bad,
    }
}

/// Beside the heading's own width.
fn least_width(table: &Table, column: &Column) -> usize {
    // All of it must fit the page, whether it has one column more or not.
    let is_full = table.columns.iter().any(|column| column.heading == "not sent");
    match (table.key, column.heading) {
        ("trials", "copies") => width("48 000 / 48 000"),
        ("trials", "copies/s") => width("1 234 567"),
        ("copies", "expected" | "delivered") => {
            if is_full {
                10
            } else {
                11
            }
        }
        ("copies", "foreign" | "corrupt") => {
            if is_full {
                7
            } else {
                9
            }
        }
        ("nodes", "receiving node") => 36,
        ("compared" | "accounts" | "each-run" | "other-trials", _) => 0,
        (_, "copies") => 10,
        (_, "missing" | "not sent" | "sent" | "samples") => 9,
        (_, "polling" | "verdict") => 8,
        (_, "busy") => 7,
        _ if column.kind == Kind::Duration => Nanos::WIDTH,
        _ if column.kind == Kind::Words => 10,
        _ => 0,
    }
}
