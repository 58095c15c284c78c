//! The picture of missing messages: a strip for each stream that lost some.

use super::frame::RIGHT;
use super::picture::{Key, Picture};
use super::scale::{Scale, round_steps};
use super::svg::{Anchor, Svg, WIDTH};
use super::table::{Table, phrase};
use crate::report::story::Strip;
use crate::units::Count;

const STRIP_HEIGHT: f64 = 22.0;
const BELOW: f64 = 46.0;
/// Names of streams fit before it.
const START: f64 = 270.0;

/// `None` where no stream lost anything.
pub(super) fn picture(strips: &[Strip]) -> Option<Picture> {
    let most = strips.iter().map(|strip| strip.messages).max().filter(|&messages| messages > 0)?;
    let low = strips.len() as f64 * STRIP_HEIGHT + 8.0;
    let mut svg =
        Svg::new(low + BELOW, "Missing messages by stream; the table behind it has the figures");
    let across = Scale::new([0.0, most as f64], [START, RIGHT]);
    for (index, strip) in strips.iter().enumerate() {
        let y = index as f64 * STRIP_HEIGHT + 4.0;
        let (name, all) = (phrase(&strip.name), format!("{} messages", Count(strip.messages)));
        svg.words("tick", [START - 8.0, y + 13.0], Anchor::End, &name);
        let end = across.place(strip.messages as f64);
        svg.area("whole", [START, y], [end - START, STRIP_HEIGHT - 6.0], &all);
        for &[first, last] in &strip.ranges {
            let from = across.place(first as f64);
            // A single one of a million must be seen.
            let width = (across.place(last as f64 + 1.0) - from).max(1.5);
            let says = format!("missing: {}", range(first, last));
            svg.area("lost", [from, y], [width, STRIP_HEIGHT - 6.0], &says);
        }
    }
    for step in round_steps(most as f64).into_iter().filter(|step| *step <= most as f64) {
        let x = across.place(step);
        svg.line("grid", [x, low], [x, low + 5.0]);
        // There is less room to the right of the plot than half of a large number takes.
        let (x, anchor) = if x > RIGHT - 14.0 { (WIDTH, Anchor::End) } else { (x, Anchor::Middle) };
        svg.words("tick", [x, low + 20.0], anchor, &Count(step as u64).to_string());
    }
    let below = "number within the push socket's own messages";
    svg.words("axis", [RIGHT, low + BELOW - 6.0], Anchor::End, below);
    Some(Picture {
        title: "Missing messages by stream".into(),
        says: "A strip is what one of our sockets should have heard of one push socket; what is missing \
               is filled."
            .into(),
        keys: vec![(Key("lost"), "missing"), (Key("whole"), "came")],
        svg: svg.end(),
        table: Some(table(strips)),
    })
}

fn table(strips: &[Strip]) -> Table {
    let row = |strip: &Strip| {
        let ranges: Vec<_> = strip.ranges.iter().map(|&[first, last]| range(first, last)).collect();
        [phrase(&strip.name), Count(strip.missing).to_string(), ranges.join(", ")]
    };
    Table::of_words(&["stream", "missing", "numbers"], strips.iter().map(row))
}

fn range(first: u64, last: u64) -> String {
    match last.saturating_sub(first) {
        0 => Count(first).to_string(),
        _ => format!("{}..{}", Count(first), Count(last)),
    }
}
