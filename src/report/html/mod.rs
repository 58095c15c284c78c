//! The report that a person looks at in a browser: a [`Story`] as one file, with pictures, and with the result
//! in it.
//!
//! Belongs here: the page and its drawings. Does not: what is said (`story`), and so nothing of a document but
//! its bytes.
//!
//! The page loads nothing and runs nothing, and its Content-Security-Policy holds it to that: it can be mailed,
//! printed, and opened in ten years. Figures show where a mouse rests on a picture, by the `title` elements of
//! SVG; each picture has a table for everyone else. No chart library draws percentiles by nines, heatmaps of
//! histograms or missing ranges, so the drawings are our own.

mod effort;
mod frame;
mod heatmap;
mod holds;
mod page;
mod percentiles;
mod picture;
mod rates;
mod scale;
mod spans;
mod strips;
mod svg;
mod table;
#[cfg(test)]
mod tests;
mod words;

use std::io::{self, Write};

use minijinja::Environment;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};

use self::page::Page;
use crate::report::story::Story;

const TEMPLATE: &str = include_str!("report.html");

/// What stands before the result in a page, and behind it.
const DATA: [&str; 2] = [r#"<script type="application/json" id="fanstorm-result">"#, "</script>"];

/// The page of a story; `result` is the document that it tells, as JSON.
///
/// # Errors
/// Those of `out`.
///
/// # Panics
/// When the template is wrong, which the tests see.
pub fn write(out: &mut dyn Write, story: &Story, result: &[u8]) -> io::Result<()> {
    // A text in the result could end the element that it is in. Outside of texts JSON has no such character.
    let result = String::from_utf8_lossy(result).trim_end().replace('<', "\\u003c");
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("the usual delimiters"));
    environment.add_filter("flags", |text: &str| Value::from_safe_string(words::markup(text)));
    // The end of its name turns escaping on.
    environment.add_template("report.html", TEMPLATE).expect("the template is well-formed");
    let template = environment.get_template("report.html").expect("it was added");
    let page =
        template.render(Serde(Page::of(story, result))).expect("the page has what it asks for");
    out.write_all(page.as_bytes())
}

/// The result in a page that [`write()`] made; `None` where these bytes are something else.
pub fn result_in(page: &[u8]) -> Option<&[u8]> {
    let [before, behind] = DATA.map(str::as_bytes);
    let is_page = page.trim_ascii_start().starts_with(b"<!doctype html>");
    let start = is_page.then(|| memchr::memmem::find(page, before))?? + before.len();
    let len = memchr::memmem::find(&page[start..], behind)?;
    Some(&page[start..start + len])
}
