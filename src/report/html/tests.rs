//! What holds of every page: it is whole, harms nothing, and has what its story says.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::report::document::Document;
use crate::report::sanitize::UntrustedText;
use crate::report::saved::{self, Saved};
use crate::report::situations;
use crate::report::{fixture, json};

fn page(document: &Document) -> String {
    let mut out = Vec::new();
    write(&mut out, &Story::of(document), &json::to_bytes(document).unwrap()).unwrap();
    String::from_utf8(out).unwrap()
}

/// What a JSON reader makes of what is in the page.
fn result(page: &str) -> serde_json::Value {
    serde_json::from_slice(result_in(page.as_bytes()).unwrap()).unwrap()
}

fn kept(document: &Document) -> serde_json::Value {
    serde_json::from_slice(&json::to_bytes(document).unwrap()).unwrap()
}

#[test]
fn a_page_is_read_back_as_the_result_that_it_tells() {
    let document = situations::ended(&[1_000], situations::outcome(vec![fixture::whole(1_000)]));
    let read = saved::read(page(&document).as_bytes()).unwrap();
    assert_eq!(read, [Saved::Result(Box::new(document))]);
}

#[test]
fn the_result_in_a_page_is_the_one_that_it_tells() {
    situations::each(&mut |name, document, _| {
        assert_eq!(result(&page(document)), kept(document), "{name}");
    });
}

#[test]
fn every_element_is_closed_and_none_loads_or_runs_anything() {
    situations::each(&mut |name, document, _| {
        let page = page(document);
        let body = &page[page.find("<body>").unwrap()..page.find(DATA[0]).unwrap()];
        assert_eq!(unclosed(body), ["body"], "{name}");
        for loads in ["src=", "href=", "url(", "@import", "onload", "<link", "<iframe"] {
            assert!(!page.contains(loads), "{name}: {loads}");
        }
        assert_eq!(page.matches("<script").count(), 1, "{name}");
    });
}

/// Names of the elements that are open at the end.
fn unclosed(body: &str) -> Vec<&str> {
    let mut open = Vec::new();
    for tag in body.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').expect("a tag ends");
        let name = tag.split([' ', '/']).find(|name| !name.is_empty()).unwrap();
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{tag}"),
            None if tag.ends_with('/') || name == "br" => {}
            None => open.push(name),
        }
    }
    open
}

/// What the text report says of a run is in its page, too.
#[test]
fn a_page_has_every_cell_of_every_table_of_its_story() {
    use super::table::phrase;
    use crate::report::story::Block;
    situations::each(&mut |name, document, _| {
        let (story, page) = (Story::of(document), page(document));
        let blocks = story.sections.iter().flat_map(|section| &section.blocks);
        let tables = blocks.filter_map(|block| match block {
            Block::Table(table) => Some(table),
            _ => None,
        });
        for cell in tables.chain([&story.trials]).flat_map(|table| table.rows.iter().flatten()) {
            let text = words::markup(&phrase(&cell.text));
            assert!(page.contains(&format!(">{text}</td>")), "{name}: {text}");
        }
    });
}

/// All results that there are.
static ALL: LazyLock<Vec<Document>> = LazyLock::new(|| {
    let mut all = Vec::new();
    situations::each(&mut |_, document, _| all.push(document.clone()));
    all
});

proptest! {
    #[test]
    fn no_name_leaves_its_place(which: Index, name in ".*", kind in 0..NAMES.len()) {
        let mut document = which.get(&ALL).clone();
        let name = UntrustedText::from(format!("{}{name}", NAMES[kind]));
        document.plan.nodes.iter_mut().for_each(|node| node.url = name.clone());
        document.plan.cluster = name;
        let page = page(&document);
        prop_assert_eq!(page.matches("<script").count(), 1);
        prop_assert!(!page.contains("<img"));
        let body = &page[page.find("<body>").unwrap()..page.find(DATA[0]).unwrap()];
        prop_assert_eq!(unclosed(body), ["body"]);
        prop_assert_eq!(result(&page), kept(&document));
    }
}

const NAMES: [&str; 4] =
    ["", "</script><script>alert(1)</script>", "\"><img src=x>", "{{ 7 * 7 }}"];

/// Every number of a value.
fn numbers(value: &mut serde_json::Value) -> Vec<&mut serde_json::Value> {
    match value {
        serde_json::Value::Number(_) => vec![value],
        serde_json::Value::Array(values) => values.iter_mut().flat_map(numbers).collect(),
        serde_json::Value::Object(values) => values.values_mut().flat_map(numbers).collect(),
        _ => Vec::new(),
    }
}

/// What may stand in a stranger's file in place of a number.
fn absurd() -> [serde_json::Value; 8] {
    use serde_json::json;
    [
        json!(0),
        json!(-1),
        json!(1e-300),
        json!(1.5),
        json!(1e15),
        json!(u64::MAX),
        json!(null),
        json!("x"),
    ]
}

proptest! {
    #[test]
    fn whatever_figures_a_search_holds_its_page_has_none_that_is_no_figure(
        which: Index, places in prop::collection::vec(any::<Index>(), 1..4), figures in prop::collection::vec(0..8_usize, 4)
    ) {
        let searches: Vec<_> = ALL.iter().filter(|document| document.search.is_some()).collect();
        let mut value = kept(which.get::<&Document>(&searches));
        for (place, figure) in places.iter().zip(figures) {
            let mut numbers = numbers(&mut value["search"]);
            let at = place.index(numbers.len());
            *numbers[at] = absurd()[figure].clone();
        }
        let read = saved::read(&serde_json::to_vec(&value).unwrap());
        for saved in read.into_iter().flatten() {
            let Saved::Result(document) = saved else { continue };
            let page = page(&document);
            let body = &page[page.find("<body>").unwrap()..page.find(DATA[0]).unwrap()];
            prop_assert!(!body.contains("NaN") && !body.contains("inf\""), "{}", body);
            prop_assert_eq!(unclosed(body), ["body"]);
        }
    }
}
