//! A drawing: lines, areas and words with places, as SVG inside of a page.
//!
//! Belongs here: elements and escaping. Does not: which colour a class of elements has (the page's style),
//! what is drawn (the pictures).

use std::fmt::Write;

use minijinja::HtmlEscape;

/// Of every drawing, in its own units; the page makes it as wide as there is room.
pub(super) const WIDTH: f64 = 760.0;

/// Width and height of a cross.
const CROSS: f64 = 9.0;

/// Which end of words is at their place.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    Middle,
    End,
}

/// Elements so far.
#[derive(Debug)]
pub(super) struct Svg {
    text: String,
}

impl Svg {
    /// An empty drawing that a reader aloud hears as `label`.
    pub(super) fn new(height: f64, label: &str) -> Self {
        let mut text = String::new();
        let label = HtmlEscape(label);
        write!(text, r#"<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}">"#)
            .expect("memory takes every element");
        Self { text }
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        self.text.write_fmt(element).expect("memory takes every element");
    }

    pub(super) fn line(&mut self, class: &str, [x, y]: [f64; 2], [to_x, to_y]: [f64; 2]) {
        self.add(format_args!(
            r#"<line class="{class}" x1="{x:.1}" y1="{y:.1}" x2="{to_x:.1}" y2="{to_y:.1}"/>"#
        ));
    }

    /// Through all points.
    pub(super) fn polyline(&mut self, class: &str, points: &[[f64; 2]]) {
        self.path(class, &path(points));
    }

    /// `d` as SVG has it.
    pub(super) fn path(&mut self, class: &str, d: &str) {
        self.add(format_args!(r#"<path class="{class}" d="{d}"/>"#));
    }

    pub(super) fn dot(&mut self, class: &str, [x, y]: [f64; 2], says: &str) {
        let says = HtmlEscape(says);
        self.add(format_args!(
            r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="4"><title>{says}</title></circle>"#
        ));
    }

    /// Two strokes that cross at a place.
    pub(super) fn cross(&mut self, class: &str, [x, y]: [f64; 2], says: &str) {
        let says = HtmlEscape(says);
        let (left, top, arm) = (x - CROSS / 2.0, y - CROSS / 2.0, CROSS);
        self.add(format_args!(
            r#"<path class="{class}" d="M{left:.1} {top:.1}l{arm} {arm}m0 -{arm}l-{arm} {arm}"><title>{says}</title></path>"#
        ));
    }

    /// A rectangle that says something where a mouse rests on it.
    pub(super) fn area(&mut self, class: &str, [x, y]: [f64; 2], [w, h]: [f64; 2], says: &str) {
        let (w, h, says) = (w.max(0.0), h.max(0.0), HtmlEscape(says));
        self.add(format_args!(
            r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{w:.1}" height="{h:.1}"><title>{says}</title></rect>"#
        ));
    }

    pub(super) fn words(&mut self, class: &str, [x, y]: [f64; 2], anchor: Anchor, words: &str) {
        let (words, anchor) = (HtmlEscape(words), anchor.word());
        self.add(format_args!(
            r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{words}</text>"#
        ));
    }

    pub(super) fn end(mut self) -> String {
        self.text.push_str("</svg>");
        self.text
    }
}

impl Anchor {
    const fn word(self) -> &'static str {
        match self {
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

/// A line through all points.
fn path(points: &[[f64; 2]]) -> String {
    let mut d = String::new();
    for (index, [x, y]) in points.iter().enumerate() {
        let command = if index == 0 { 'M' } else { 'L' };
        write!(d, "{command}{x:.1} {y:.1}").expect("memory takes every element");
    }
    d
}
