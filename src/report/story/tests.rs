//! What holds of every story, and a second format that knows nothing else.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::report::situations;

/// All stories that there are.
fn stories() -> Vec<(String, Story)> {
    let mut stories = Vec::new();
    situations::each(&mut |name, document, class| {
        let class = class.unwrap_or_else(|| document.plan.headline_latency());
        stories.push((name.to_owned(), Story::of_class(document, class)));
    });
    stories
}

/// Markdown: it has neither columns of a width nor colours, and wraps nothing.
mod markdown {
    use super::*;

    /// In base units: a format is free to write figures as it likes.
    pub(super) fn value(value: &Value) -> String {
        match value {
            Value::Words(words) => words.to_string(),
            Value::Untrusted(text) => format!("`{text}`"),
            Value::Number(figure) | Value::Count(figure) => figure.to_string(),
            Value::Duration(duration) | Value::Limit(duration) => format!("{} ns", duration.0),
            Value::Bytes(bytes) => format!("{} B", bytes.0),
            Value::Rate(rate) => format!("{} a second", rate.as_f64()),
            Value::PerSecond(figure)
            | Value::Share(figure)
            | Value::Change(figure)
            | Value::Average(figure) => figure.to_string(),
            Value::Unknown => "unknown".to_owned(),
        }
    }

    fn phrase(phrase: &Phrase) -> String {
        phrase.values().iter().map(value).collect()
    }

    fn strong(text: &str, emphasis: Emphasis) -> String {
        match emphasis {
            Emphasis::Plain | Emphasis::Good => text.to_owned(),
            Emphasis::Warn => format!("*{text}*"),
            Emphasis::Bad => format!("**{text}**"),
        }
    }

    fn line(out: &mut String, cells: impl Iterator<Item = String>) {
        writeln!(out, "| {} |", cells.collect::<Vec<_>>().join(" | ")).unwrap();
    }

    fn table(out: &mut String, Table { caption, columns, rows, .. }: &Table) {
        line(out, columns.iter().map(|column| column.heading.to_owned()));
        let sides = |column: &Column| if column.kind == Kind::Words { "---" } else { "--:" };
        line(out, columns.iter().map(|column| sides(column).to_owned()));
        for row in rows {
            line(out, row.iter().map(|cell| strong(&phrase(&cell.text), cell.emphasis)));
        }
        if let Some(caption) = caption {
            writeln!(out, "{} on: {}", columns[caption.column].heading, phrase(&caption.text))
                .unwrap();
        }
    }

    fn block(out: &mut String, block: &Block) {
        match block {
            Block::Table(whole) => table(out, whole),
            Block::Series(series) => {
                line(out, series.columns.iter().map(|column| column.heading.to_owned()));
                series.points.iter().for_each(|point| line(out, point.iter().map(value)));
            }
            Block::Distribution(Distribution { curves, .. }) => {
                for Curve { name, told, .. } in curves {
                    let told = told.iter().map(|(at, _, latency)| format!("{at} {} ns", latency.0));
                    line(out, [(*name).to_owned()].into_iter().chain(told));
                }
            }
            Block::Heatmap(Heatmap { stretches }) => {
                for Stretch { from, bands, .. } in stretches {
                    line(out, bands.iter().map(|band| format!("{} ns: {band:?}", from.0)));
                }
            }
            Block::Strips(strips) => {
                for Strip { name, ranges, .. } in strips {
                    writeln!(out, "{}: {ranges:?}", phrase(name)).unwrap();
                }
            }
            Block::Holds(Holds { figure, trials, .. }) => {
                for RateTrial { rate, latency, hold, .. } in trials {
                    writeln!(out, "{} {rate}: {latency} {hold:?}", phrase(figure)).unwrap();
                }
            }
            Block::Spans { spans, .. } => {
                for Span { name, change, .. } in spans {
                    writeln!(out, "{name}: {change}").unwrap();
                }
            }
            Block::Sentence(Sentence { lead, emphasis, text }) => {
                let lead = strong(&phrase(lead), *emphasis);
                writeln!(out, "{lead}{}", phrase(text)).unwrap();
            }
            Block::List(items) => {
                items.iter().for_each(|item| writeln!(out, "- {}", phrase(item)).unwrap());
            }
            Block::Caveat(caveat) => {
                let Caveat { severity, emphasis, code, trials, text, remedy } = caveat;
                let (severity, trials) = (strong(severity, *emphasis), phrase(trials));
                writeln!(out, "{severity} `{code}` ({trials}): {text} -> {remedy}").unwrap();
            }
        }
    }

    pub(super) fn report(story: &Story) -> String {
        let mut out = format!("# {}\n", phrase(&story.title));
        for Fact { label, lines } in &story.facts {
            lines.iter().for_each(|line| writeln!(out, "- {label}: {}", phrase(line)).unwrap());
        }
        table(&mut out, &story.trials);
        for section in &story.sections {
            let heading = section.heading.as_ref().map_or_else(|| section.key.to_owned(), phrase);
            writeln!(out, "## {heading}").unwrap();
            section.blocks.iter().for_each(|of| block(&mut out, of));
        }
        let Verdict { words, emphasis, sentence } = &story.verdict;
        writeln!(out, "{}: {}", strong(&phrase(words), *emphasis), phrase(sentence)).unwrap();
        out
    }
}

/// Every value of a story, wherever it is.
fn values(story: &Story) -> Vec<&Value> {
    let mut phrases = vec![&story.title, &story.verdict.words, &story.verdict.sentence];
    phrases.extend(story.facts.iter().flat_map(|fact| &fact.lines));
    let mut tables = vec![&story.trials];
    let mut points = Vec::new();
    for section in &story.sections {
        phrases.extend(&section.heading);
        for block in &section.blocks {
            match block {
                Block::Table(table) => tables.push(table),
                Block::Series(series) => points.extend(series.points.iter().flatten()),
                // Their figures are in tables and series, too.
                Block::Distribution(_)
                | Block::Heatmap(_)
                | Block::Holds(_)
                | Block::Spans { .. } => {}
                Block::Strips(strips) => phrases.extend(strips.iter().map(|strip| &strip.name)),
                Block::Sentence(sentence) => phrases.extend([&sentence.lead, &sentence.text]),
                Block::List(items) => phrases.extend(items),
                Block::Caveat(caveat) => phrases.push(&caveat.trials),
            }
        }
    }
    phrases.extend(tables.iter().filter_map(|table| Some(&table.caption.as_ref()?.text)));
    phrases.extend(tables.iter().flat_map(|table| &table.rows).flatten().map(|cell| &cell.text));
    points.extend(phrases.into_iter().flat_map(Phrase::values));
    points
}

#[test]
fn another_format_needs_the_story_alone() {
    for (name, story) in stories() {
        let report = markdown::report(&story);
        for value in values(&story) {
            assert!(report.contains(&markdown::value(value)), "{name}: {value:?} in {report}");
        }
        assert!(!report.contains('\x1b'), "{name}: {report}");
    }
    let floor = stories().into_iter().find(|(name, _)| name == "floor").unwrap().1;
    let report = markdown::report(&floor);
    for line in [
        "# `fanstorm` `0.1.0`: a burst of 1000 messages\n",
        "| messages | copies | send | receive | copies/s | p50 | p99 | p99.9 | max | verdict |\n",
        "\n| 1000 | 6000 / 6000 | 2000000 ns | 15000000 ns | 400000 | ",
        "\n| floor | ",
        "\n*degraded* `near-own-floor` (m = 1000): ",
        "\n*degraded*: all 6000 copies came, once and unaltered; ",
    ] {
        assert!(report.contains(line), "{line}{report}");
    }
}

#[test]
fn no_message_that_was_not_sent_is_drawn_as_missing() {
    situations::each(&mut |name, document, _| {
        let story = Story::of(document);
        let blocks = story.sections.iter().flat_map(|section| &section.blocks);
        let strips = blocks.filter_map(|block| match block {
            Block::Strips(strips) => Some(strips),
            _ => None,
        });
        let mut drawn = 0;
        for Strip { messages, missing, ranges, .. } in strips.flatten() {
            assert!(ranges.iter().all(|[_, last]| last < messages), "{name}: {ranges:?}");
            drawn += missing;
        }
        let runs = document.trials.iter();
        let lost: u64 = runs.map(|run| run.delivery.missing - run.unsent_copies()).sum();
        assert!(drawn <= lost, "{name}: {drawn} drawn, and {lost} lost");
    });
}

#[test]
fn figures_are_values_and_not_words() {
    // What is fixed, whatever was measured.
    let fixed = [
        "p50",
        "p99",
        "for 5 ms",
        "until 64 copies",
        "or 50 µs",
        " - 1)",
        "x 1 copies",
        "from 0 within",
    ];
    for (name, story) in stories() {
        for value in values(&story) {
            let Value::Words(words) = value else { continue };
            let rest =
                fixed.iter().fold(words.to_string(), |words, fixed| words.replace(fixed, ""));
            assert!(!rest.contains(|c: char| c.is_ascii_digit()), "{name}: {words}");
        }
    }
}

#[test]
fn every_row_has_a_cell_for_every_column_and_every_section_and_table_a_key() {
    for (name, story) in stories() {
        let mut keys = BTreeSet::new();
        let row = |table: &Table, row: &Row| assert_eq!(row.len(), table.columns.len(), "{name}");
        story.trials.rows.iter().for_each(|of| row(&story.trials, of));
        for section in &story.sections {
            assert!(
                keys.insert(section.key) || section.key == "deficit",
                "{name}: {}",
                section.key
            );
            for block in &section.blocks {
                match block {
                    Block::Table(table) => table.rows.iter().for_each(|of| row(table, of)),
                    Block::Series(series) => {
                        let columns = series.columns.len();
                        assert!(series.points.iter().all(|point| point.len() == columns), "{name}");
                    }
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn a_series_has_every_second_where_a_table_has_the_worst() {
    let (_, story) =
        stories().into_iter().find(|(name, _)| name == "rate_of_many_seconds").unwrap();
    let section = story.sections.iter().find(|section| section.key == "series").unwrap();
    let [Block::Series(series), Block::Table(table), ..] = &section.blocks[..] else {
        panic!("{section:?}")
    };
    assert_eq!((series.points.len(), table.rows.len()), (90, 5));
    let heads: Vec<_> = series.columns.iter().map(|column| column.heading).collect();
    let shown = table.columns.iter().map(|column| column.heading).filter(|head| !head.is_empty());
    assert!(shown.clone().all(|head| heads.contains(&head)), "{heads:?}");
    for row in &table.rows {
        let figures = row.iter().take(7).flat_map(|cell| cell.text.values());
        let figures: Vec<_> = figures.collect();
        assert!(series.points.iter().any(|point| point.iter().take(7).eq(figures.iter().copied())));
    }
}

proptest! {
    #[test]
    fn phrases_that_are_joined_have_the_words_between_them_and_nowhere_else(
        counts in prop::collection::vec(any::<u64>(), 0..6),
    ) {
        let joined = Phrase::joined(counts.iter().map(|&count| Value::Count(count).into()), ", ");
        let expected = counts.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
        prop_assert_eq!(joined.values().iter().map(markdown::value).collect::<String>(), expected);
        prop_assert_eq!(joined.is_empty(), counts.is_empty());
    }
}
