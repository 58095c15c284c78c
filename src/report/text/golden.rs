//! Reports in many situations, compared byte for byte with those under `tests/fixtures/reports`.
//!
//! `FANSTORM_BLESS=1 cargo test --lib golden` writes them anew; read the difference before you commit it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::tests::rendered;
use crate::report::situations;
use crate::report::story::Story;

const ESCAPES: [&str; 5] = ["\x1b[0m", "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[33m"];

/// In colour: without its escapes it is the plain report.
fn compare(path: &Path, story: &Story) {
    let report = rendered(story, true);
    let plain = ESCAPES.iter().fold(report.clone(), |text, escape| text.replace(escape, ""));
    assert_eq!(rendered(story, false), plain, "{}", path.display());
    if std::env::var_os("FANSTORM_BLESS").is_some_and(|value| value == "1") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &report).unwrap();
    }
    let golden = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(report, golden, "{}: FANSTORM_BLESS=1 writes it anew", path.display());
}

#[test]
fn the_report_of_every_situation_is_the_committed_one() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reports");
    let mut compared = BTreeSet::new();
    situations::each(&mut |name, document, class| {
        let path = folder.join(format!("{name}.txt"));
        compare(
            &path,
            &Story::of_class(document, class.unwrap_or_else(|| document.plan.headline_latency())),
        );
        assert!(compared.insert(path), "{name} is there twice");
    });
    let committed = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(committed.collect::<BTreeSet<_>>(), compared, "no report is without its situation");
}
