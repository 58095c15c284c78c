//! What is said of the metrics is true of them: the table of docs/metrics.md, and the dashboard for Grafana.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::{env, fs};

use fanstorm::report::metrics::family::{FAMILIES, Family, Kind, Since};
use serde_json::Value;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
const DASHBOARD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics/grafana.json");
const BEGIN: &str = "<!-- made from src/report/metrics/family.rs -->\n";

fn table() -> String {
    let mut table = String::from(
        "| metric | type, unit | labels | known | meaning |\n\
         |---|---|---|---|---|\n",
    );
    for Family { name, kind, unit, labels, since, help, .. } in FAMILIES {
        let unit = unit.map(|unit| format!(", {unit}")).unwrap_or_default();
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let since = match since {
            Since::Begin => "from the start",
            Since::Running => "in a trial, several times a second",
            Since::Second => "in a trial, each second",
            Since::End => "at the end of a trial",
        };
        let kind_name = kind.open_metrics();
        let _ = writeln!(
            table,
            "| `{name}{}` | {kind_name}{unit} | {} | {since} | {help} |",
            kind.suffix(),
            labels.join(", "),
        );
    }
    table
}

#[test]
fn the_table_of_metrics_says_what_is_served() {
    let page = fs::read_to_string(PAGE).unwrap();
    let (prose, _) = page.split_once(BEGIN).expect("the page has its mark");
    let made = format!("{prose}{BEGIN}\n{}", table());
    if env::var_os("FANSTORM_BLESS").is_some() {
        fs::write(PAGE, &made).unwrap();
    }
    let told = "docs/metrics.md is old: FANSTORM_BLESS=1 cargo test --test metrics";
    assert_eq!(fs::read_to_string(PAGE).unwrap(), made, "{told}");
}

/// Names as samples have them.
fn samples() -> BTreeSet<String> {
    let of = |family: &Family| match family.kind {
        Kind::Histogram => {
            ["_bucket", "_count", "_sum"].map(|end| format!("{}{end}", family.name)).to_vec()
        }
        kind => vec![format!("{}{}", family.name, kind.suffix())],
    };
    FAMILIES.iter().flat_map(of).collect()
}

/// Every name of ours in a text; a `*` behind one means all that begin so.
fn named(text: &str) -> BTreeSet<&str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = text.split(|c| !is_name(c));
    words.filter(|word| word.starts_with("fanstorm_")).collect()
}

/// Every text of a document under a key of this name.
fn texts<'v>(value: &'v Value, key: &str, found: &mut Vec<&'v str>) {
    match value {
        Value::Object(entries) => {
            for (name, value) in entries {
                found.extend(value.as_str().filter(|_| name == key));
                texts(value, key, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| texts(value, key, found)),
        _ => {}
    }
}

#[test]
fn every_query_of_the_dashboard_names_metrics_and_labels_that_there_are() {
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(DASHBOARD).unwrap()).unwrap();
    let (mut queries, samples) = (Vec::new(), samples());
    texts(&dashboard, "expr", &mut queries);
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(queries.len() >= panels.len() && panels.len() > 10, "{} queries", queries.len());
    texts(&dashboard["templating"], "query", &mut queries);
    let mut used = BTreeSet::new();
    for query in queries.iter().filter(|query| **query != "prometheus") {
        let names = named(query);
        assert!(!names.is_empty(), "{query}");
        used.extend(names.iter().copied());
        let unknown: Vec<_> = names.iter().filter(|name| !samples.contains(**name)).collect();
        assert!(unknown.is_empty(), "{unknown:?} in {query}");
        let family = |name: &str| FAMILIES.iter().find(|family| name.starts_with(family.name));
        let labels: BTreeSet<_> =
            names.iter().filter_map(|name| family(name)).flat_map(|f| f.labels).copied().collect();
        for (at, _) in query.match_indices("=~") {
            let label = query[..at].rsplit(|c: char| !c.is_ascii_alphabetic()).next().unwrap();
            assert!(label == "instance" || labels.contains(label), "{label} in {query}");
        }
    }
    assert!(used.len() > 15, "{used:?}");
    let mut legends = Vec::new();
    texts(&dashboard, "legendFormat", &mut legends);
    let labels: BTreeSet<_> = FAMILIES.iter().flat_map(|family| family.labels).collect();
    for legend in legends {
        for label in legend.split("{{").skip(1).filter_map(|part| part.split("}}").next()) {
            assert!(label == "le" || labels.contains(&label), "{label} in {legend}");
        }
    }
}

#[test]
fn every_metric_that_the_page_speaks_of_is_served() {
    let page = fs::read_to_string(PAGE).unwrap();
    let (prose, _) = page.split_once(BEGIN).expect("the page has its mark");
    let (samples, names) = (samples(), named(prose));
    assert!(names.len() > 3, "{names:?}");
    let unknown: Vec<_> = names.iter().filter(|name| !samples.contains(**name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn names_are_unique_and_end_with_their_units() {
    let mut seen = BTreeSet::new();
    for Family { name, unit, help, .. } in FAMILIES {
        assert!(seen.insert(name), "{name} twice");
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        assert!(name.starts_with("fanstorm_") && name.bytes().all(is_plain), "{name}");
        assert!(unit.is_none_or(|unit| name.ends_with(&format!("_{unit}"))), "{name}: {unit:?}");
        assert!(help.ends_with('.') && !help.contains(['\\', '"', '\n', '|']), "{name}: {help}");
    }
}
