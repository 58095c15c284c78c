//! What the template is given: a story in words, with each picture drawn.
//!
//! Belongs here: the shapes that `report.html` reads. Does not: markup (`report.html`).

use serde::Serialize;

use super::picture::Picture;
use super::table::{Table, class, phrase};
use super::words::figures;
use super::{effort, heatmap, holds, percentiles, rates, spans, strips};
use crate::report::story::{Block, Caveat, Fact, Section, Story};
use crate::report::{VERSION, story};

#[derive(Debug, Serialize)]
pub(super) struct Page {
    title: String,
    /// It tells a result, which `fanstorm report` reads again.
    is_result: bool,
    version: &'static str,
    verdict: Sentence,
    facts: Vec<(&'static str, Vec<String>)>,
    trials: Table,
    /// What is to be read before all figures.
    caveats: Vec<Part>,
    /// What is asked for most, before the trials that it is made of.
    answer: Vec<Part>,
    sections: Vec<Part>,
    data: String,
}

#[derive(Debug, Serialize)]
struct Part {
    heading: String,
    blocks: Vec<Piece>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", content = "is", rename_all = "snake_case")]
enum Piece {
    Table(Table),
    Picture(Picture),
    Sentence(Sentence),
    List(Vec<String>),
    Caveat(Reason),
}

#[derive(Debug, Serialize)]
struct Sentence {
    lead: String,
    class: &'static str,
    text: String,
}

#[derive(Debug, Serialize)]
struct Reason {
    severity: &'static str,
    class: &'static str,
    code: String,
    trials: String,
    text: String,
    remedy: String,
}

/// Sections that come before the trials: what is to be read before all figures, and the answer of a search.
const FIRST: [&str; 2] = ["caveats", "search"];

impl Page {
    /// `data` is the result as JSON, without a `<`.
    pub(super) fn of(story: &Story, data: String) -> Self {
        let with = |key: &str| {
            let wanted = story.sections.iter().filter(|section| section.key == key);
            wanted.map(Part::of).collect()
        };
        let later = story.sections.iter().filter(|section| !FIRST.contains(&section.key));
        let verdict = &story.verdict;
        Self {
            title: phrase(&story.title),
            is_result: story.trials.key == "trials",
            version: VERSION,
            verdict: Sentence {
                lead: phrase(&verdict.words),
                class: class(verdict.emphasis),
                text: phrase(&verdict.sentence),
            },
            facts: story.facts.iter().map(fact).collect(),
            trials: Table::of(&story.trials),
            caveats: with(FIRST[0]),
            answer: with(FIRST[1]),
            sections: later.map(Part::of).collect(),
            data,
        }
    }
}

fn fact(fact: &Fact) -> (&'static str, Vec<String>) {
    (fact.label, fact.lines.iter().map(phrase).collect())
}

impl Part {
    fn of(section: &Section) -> Self {
        let heading = section.heading.as_ref().map(phrase).unwrap_or_default();
        Self { heading, blocks: section.blocks.iter().flat_map(pieces).collect() }
    }
}

fn pieces(block: &Block) -> Vec<Piece> {
    let pictures = match block {
        Block::Table(table) => return vec![Piece::Table(Table::of(table))],
        Block::Sentence(sentence) => return vec![Piece::Sentence(Sentence::of(sentence))],
        Block::List(items) if items.is_empty() => return Vec::new(),
        Block::List(items) => return vec![Piece::List(items.iter().map(phrase).collect())],
        Block::Caveat(caveat) => return vec![Piece::Caveat(Reason::of(caveat))],
        Block::Series(series) if series.key == "cost" => effort::pictures(series),
        Block::Series(series) => rates::pictures(series),
        Block::Distribution(distribution) => Vec::from_iter(percentiles::picture(distribution)),
        Block::Heatmap(heatmap) => Vec::from_iter(heatmap::picture(heatmap)),
        Block::Strips(strips) => Vec::from_iter(strips::picture(strips)),
        Block::Holds(holds) => Vec::from_iter(holds::picture(holds)),
        Block::Spans { spans, tolerance } => Vec::from_iter(spans::picture(spans, *tolerance)),
    };
    pictures.into_iter().map(Piece::Picture).collect()
}

impl Sentence {
    fn of(sentence: &story::Sentence) -> Self {
        Self {
            lead: phrase(&sentence.lead),
            class: class(sentence.emphasis),
            text: phrase(&sentence.text),
        }
    }
}

impl Reason {
    fn of(caveat: &Caveat) -> Self {
        Self {
            severity: caveat.severity,
            class: class(caveat.emphasis),
            code: caveat.code.to_string(),
            trials: phrase(&caveat.trials),
            text: figures(&caveat.text.to_string()),
            remedy: figures(&caveat.remedy.to_string()),
        }
    }
}
