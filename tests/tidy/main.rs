//! The house rules, executable: each test is a rule, and its message says what to do instead.
//!
//! Belongs here: the rules as sentences, and reading the tree. Does not: how a rule is checked
//! (the modules beside this file, each with tests that plant a violation and see it caught).
//! Plain `std`, no build of the crate: `cargo test --test tidy` is the fastest answer there is.

mod citations;
mod modules;
mod owners;
mod size;
mod source;
mod text;
mod unused;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use modules::{Modules, blank_test_modules};
use source::Source;

/// Ends of the names of files that are text.
const TEXTS: [&str; 14] = [
    ".rs",
    ".md",
    ".toml",
    ".sh",
    ".py",
    ".mjs",
    ".txt",
    ".yml",
    ".json",
    ".gitignore",
    "run",
    ".conf",
    ".service",
    ".svg",
];

/// Folders of others: tools put them there, git does not keep them.
const NOT_OURS: [&str; 8] =
    ["target", "node_modules", ".git", ".venv", "__pycache__", "shared", "corpus", "artifacts"];

/// All text files of the tree, in the order of their paths.
fn tree() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    collect(root, &mut paths);
    let mut sources: Vec<Source> = paths
        .iter()
        .map(|path| {
            let text =
                fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let relative = path.strip_prefix(root).expect("the walk began at the root");
            Source::new(&relative.to_string_lossy(), &text)
        })
        .collect();
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    blank_test_modules(&mut sources);
    assert!(sources.iter().any(|s| s.path == "src/lib.rs"), "the walk found no src/lib.rs");
    sources
}

fn collect(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for entry in entries {
        let path = entry.expect("an entry of the tree").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !NOT_OURS.contains(&name.as_str()) {
            collect(&path, found);
        } else if path.is_file() && TEXTS.iter().any(|end| name.ends_with(end)) {
            found.push(path);
        }
    }
}

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{name}: {e}: the repository needs it"))
}

fn rust() -> Vec<Source> {
    tree().into_iter().filter(Source::is_rust).collect()
}

#[track_caller]
fn none(found: Vec<String>) {
    assert!(found.is_empty(), "\n\n{}\n", found.join("\n"));
}

#[test]
fn rooms_are_used_from_above_only() {
    none(Modules::read(&tree()).against_direction());
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    none(Modules::read(&tree()).cycles());
}

#[test]
fn each_capability_has_one_owner() {
    let sources = tree();
    none(owners::trespasses(&Modules::read(&sources), &sources));
}

#[test]
fn unsafe_stays_at_home_and_gives_its_reason() {
    none(owners::careless_unsafe(&tree()));
}

#[test]
fn every_public_item_is_used() {
    none(unused::unused(&tree(), unused::WAITING));
}

#[test]
fn files_and_functions_stay_short() {
    none(size::oversize(&tree(), size::EXCEPTIONS));
}

#[test]
fn nothing_banned_stands_in_the_tree() {
    none(tree().iter().flat_map(text::banned).collect());
}

#[test]
fn every_section_of_an_rfc_that_is_cited_exists() {
    none(tree().iter().flat_map(citations::faults).collect());
}

#[test]
fn every_rust_file_says_first_what_belongs_in_it() {
    none(rust().iter().filter_map(text::undescribed).collect());
}

/// What documents may name and the walk does not read.
const NO_TEXTS: [&str; 4] =
    ["LICENSE-MIT", "LICENSE-APACHE", "Cargo.lock", "docs/picture/page.png"];

#[test]
fn documents_have_one_title_and_links_that_lead_somewhere() {
    let sources = tree();
    let files: BTreeSet<String> =
        sources.iter().map(|s| s.path.clone()).chain(NO_TEXTS.map(str::to_owned)).collect();
    let documents = sources.iter().filter(|s| s.path.ends_with(".md"));
    none(documents.flat_map(|s| text::document_faults(s, &files)).collect());
}

#[test]
fn the_changelog_keeps_its_shape() {
    none(text::changelog_faults(&file("CHANGELOG.md"), env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_readme_gives_its_two_commands() {
    none(text::commands_missing(&file("README.md")));
}

#[test]
fn the_architecture_gives_every_dependency_its_reason() {
    none(text::unexplained(&file("Cargo.toml"), &file("ARCHITECTURE.md")));
}
