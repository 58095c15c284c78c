//! The reference of dialect files in `docs/`, which is made from the code.
//!
//! Belongs here: holding it fresh, and its examples right. Does not: what the keys mean (`dialect::file`).
//!
//! `FANSTORM_BLESS=1 cargo test --test dialect_reference` writes the page and the schema.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use fanstorm::dialect::builtin;
use fanstorm::dialect::file::{self, Source};
use serde_json::{Map, Value};

const PAGE: &str = "docs/dialects.md";
const SCHEMA: &str = "docs/schema/fanstorm.dialect-1.json";
const BEGIN: &str =
    "<!-- made from src/dialect: FANSTORM_BLESS=1 cargo test --test dialect_reference -->\n";
const END: &str = "<!-- end -->";

fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

fn schema() -> Value {
    serde_json::to_value(file::json_schema()).unwrap()
}

/// On one line, as a cell of a table has it.
fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

/// What a value must be, in TOML's words.
fn kind(property: &Value, defs: &Map<String, Value>) -> String {
    if let Some(only) = property.get("const") {
        return format!("`{only}`");
    }
    if let Some(name) = property["$ref"].as_str().and_then(|name| name.rsplit('/').next()) {
        let def = &defs[name];
        let words = def["oneOf"].as_array().map(|words| {
            let words = words.iter().filter_map(|word| word["const"].as_str());
            words.map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", ")
        });
        return words.unwrap_or_else(|| match def["type"].as_str() {
            Some("object") => "table".to_owned(),
            _ => name.to_lowercase(),
        });
    }
    let any = property["anyOf"]
        .as_array()
        .and_then(|all| all.iter().find(|one| one.get("$ref").is_some()));
    if let Some(one) = any {
        return kind(one, defs);
    }
    let first =
        |kinds: &Value| kinds.as_array().map_or_else(|| kinds.clone(), |kinds| kinds[0].clone());
    match first(&property["type"]).as_str() {
        Some("array") => match kind(&property["items"], defs).as_str() {
            "table" => "tables".to_owned(),
            item => format!("array of {item}s"),
        },
        Some("object") => "table".to_owned(),
        Some("boolean") => format!("boolean, `{}`", property["default"]),
        Some(other) => other.to_owned(),
        None => panic!("{property}"),
    }
}

fn table(out: &mut String, object: &Value, defs: &Map<String, Value>) {
    let required: Vec<_> = object["required"].as_array().into_iter().flatten().collect();
    out.push_str("\n| key | value | meaning |\n|---|---|---|\n");
    for (key, property) in object["properties"].as_object().unwrap() {
        let is_required = required.iter().any(|name| *name == key);
        let must = if is_required { ", required" } else { "" };
        let about =
            property["description"].as_str().unwrap_or_else(|| panic!("{key}: what is it?"));
        writeln!(out, "| `{key}` | {}{must} | {} |", kind(property, defs), cell(about)).unwrap();
    }
}

/// All that the code knows of keys and places.
fn reference() -> String {
    let schema = schema();
    let defs = schema["$defs"].as_object().unwrap();
    let mut out = String::from("### The file\n");
    table(&mut out, &schema, defs);
    for (heading, name) in [
        ("[upgrade]", "UpgradeKeys"),
        ("[upgrade.push]` and `[upgrade.receive]", "UpgradeOfKeys"),
        ("[[opening]]", "StepKeys"),
        ("capture.NAME", "CaptureKeys"),
        ("[message]", "MessageKeys"),
        ("[[reply]]", "ReplyKeys"),
        ("[[heartbeat]]", "HeartbeatKeys"),
    ] {
        write!(out, "\n### `{heading}`\n\n{}\n", defs[name]["description"].as_str().unwrap())
            .unwrap();
        table(&mut out, &defs[name], defs);
    }
    out.push_str("\n### Matches\n\n");
    for name in ["Match", "Matches"] {
        writeln!(
            out,
            "- *{}*: {}",
            name.to_lowercase(),
            defs[name]["description"].as_str().unwrap()
        )
        .unwrap();
    }
    out.push_str("\n### Places\n\n| place | becomes |\n|---|---|\n");
    for (place, about) in file::PLACES {
        writeln!(out, "| `{place}` | {} |", cell(about)).unwrap();
    }
    out.push_str("| `{NAME}` | the parameter of that name; anywhere |\n| `{{` | an opening brace, where a place would be read otherwise |\n");
    out.push_str("\n### Built in\n\n| name | for |\n|---|---|\n");
    for file in builtin::ALL {
        writeln!(out, "| [`{0}`](../src/dialect/builtin/{0}.toml) | {1} |", file.name, file.about)
            .unwrap();
    }
    out
}

#[test]
fn the_reference_and_the_schema_are_the_codes_own() {
    let page = fs::read_to_string(path(PAGE)).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("where the reference begins");
    let (_, behind) = rest.split_once(END).expect("where it ends");
    let fresh = format!("{before}{BEGIN}\n{}\n{END}{behind}", reference());
    let schema = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    if std::env::var_os("FANSTORM_BLESS").is_some_and(|value| value == "1") {
        fs::write(path(PAGE), fresh).unwrap();
        fs::write(path(SCHEMA), schema).unwrap();
        return;
    }
    let advice = "FANSTORM_BLESS=1 cargo test --test dialect_reference";
    assert!(page == fresh, "{PAGE} is old: {advice}");
    assert!(
        fs::read_to_string(path(SCHEMA)).is_ok_and(|old| old == schema),
        "{SCHEMA} is old: {advice}"
    );
}

#[test]
fn the_examples_of_the_page_are_dialects() {
    let page = fs::read_to_string(path(PAGE)).unwrap();
    let examples: Vec<_> =
        page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(!examples.is_empty());
    for text in examples {
        let environment = |name: &str| Some(name.to_owned());
        let source = Source { file: PAGE, text, settings: &[], environment: &environment };
        file::read(&source).unwrap_or_else(|error| panic!("{error}\n{text}"));
    }
}

/// The schema is for editors: it must take what the reader takes, and refuse a key that it does not know.
#[test]
fn the_schema_takes_every_built_in_file_and_no_unknown_key() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for builtin in builtin::ALL {
        let mut value: Value = toml::from_str(builtin.text).unwrap();
        assert!(validator.is_valid(&value), "{}", builtin.name);
        value["message"]["templates"] = Value::from("x");
        assert!(!validator.is_valid(&value), "{}", builtin.name);
    }
}
