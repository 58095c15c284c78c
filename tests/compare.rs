//! `fanstorm compare`: files and runs of two sides, what is printed, and exit codes.
//!
//! Belongs here: the binary, with results that it has written itself and that are then made slower. Does not: how
//! often it is wrong (`report::compare::tests`).

#[path = "common/engine.rs"]
mod engine;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use fanstorm::report::compare;
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

const SCHEMA_FILE: &str = "docs/schema/fanstorm.comparison-1.json";

fn fanstorm(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fanstorm")).args(words).stdin(Stdio::null()).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A result of a run.
static RUN: LazyLock<Value> = LazyLock::new(|| {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("run.json");
    let words = ["--relay", "--messages", "400", "--quiet", "--json", file.to_str().unwrap()];
    let output = fanstorm(&[&words, engine::flags("--relay")].concat());
    assert!(matches!(output.status.code(), Some(0 | 5)), "{}", said(&output));
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
});

/// Such results: the times of each are so many times those of the run, and each is made after the one before.
fn files(directory: &Path, name: &str, after: u64, slower: &[f64]) -> Vec<String> {
    let one = |(at, slower): (usize, &f64)| {
        let mut run = RUN.clone();
        run["tool"]["started_unix_ms"] = json!(after + 2 * at as u64);
        let trial = &mut run["trials"][0];
        trial["verdict"] = json!({"trust": "ok", "caveats": []});
        for class in ["service", "completion"] {
            let latency = trial["latency_us"][class].as_object_mut().unwrap();
            for figure in latency.values_mut().filter(|figure| figure.is_f64()) {
                *figure = json!(figure.as_f64().unwrap() * slower);
            }
        }
        let path = directory.join(format!("{name}-{at}.json"));
        fs::write(&path, run.to_string()).unwrap();
        path.display().to_string()
    };
    slower.iter().enumerate().map(one).collect()
}

/// A and B, whose times are `ratio` times those of A.
fn sides(ratio: f64) -> (TempDir, Vec<String>, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let noise = [1.0, 1.01, 0.99, 1.02, 0.98];
    let a = files(directory.path(), "a", 0, &noise);
    let b = files(directory.path(), "b", 1, &noise.map(|noise| noise * ratio));
    (directory, a, b)
}

fn compared(flags: &[&str], a: &[String], b: &[String]) -> Output {
    let words = ["compare"].into_iter().chain(flags.iter().copied());
    let files = a.iter().map(String::as_str).chain(["--"]).chain(b.iter().map(String::as_str));
    fanstorm(&words.chain(files).collect::<Vec<_>>())
}

fn schema() -> Value {
    serde_json::to_value(compare::schema()).unwrap()
}

#[test]
fn the_published_schema_is_the_schema_of_what_is_written() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(SCHEMA_FILE);
    if std::env::var_os("FANSTORM_BLESS").is_some_and(|value| value == "1") {
        let text = format!("{}\n", serde_json::to_string_pretty(&schema()).unwrap());
        fs::write(&path, text).unwrap();
    }
    let published = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        serde_json::from_str::<Value>(&published).is_ok_and(|published| published == schema()),
        "{SCHEMA_FILE} is not what the code writes; if that is meant, run \
         FANSTORM_BLESS=1 cargo test --test compare, and say in CHANGELOG what was added"
    );
}

#[test]
fn what_is_written_keeps_to_the_schema_and_holds_what_is_told() {
    let (directory, a, b) = sides(1.5);
    let (json, page) = (directory.path().join("c.json"), directory.path().join("c.html"));
    let flags = ["--json", json.to_str().unwrap(), "--html", page.to_str().unwrap()];
    let output = compared(&flags, &a, &b);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let kept: Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    jsonschema::validator_for(&schema()).unwrap().validate(&kept).unwrap();
    let p50 = &kept["trials"][0]["figures"][0];
    assert_eq!(p50["figure"], "p50");
    assert!((p50["ratio"].as_f64().unwrap() - 1.5).abs() < 0.02, "{p50}");
    assert!((p50["change"]["confidence"].as_f64().unwrap() - 0.968).abs() < 0.001, "{p50}");
    let text = printed(&output);
    assert!(text.contains("B is worse") && text.contains("A and B in turns"), "{text}");
    assert!(text.contains("nothing: plans, hosts and versions are the same"), "{text}");
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("Change from A to B") && page.contains("fanstorm.comparison/1"));
}

/// The command of side A as a page shows it: what a browser makes of the element.
fn command_in(page: &str) -> String {
    let (_, behind) = page.split_once("<dt>A</dt><dd>").expect("side A is told");
    let (html, _) = behind.split_once("</dd>").unwrap();
    let html = html.replace(r#"<span class="flag">"#, "").replace("</span>", "");
    assert!(!html.contains('<'), "{html}");
    [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#x27;", "'"),
        ("&#x2f;", "/"),
        ("&amp;", "&"),
    ]
    .iter()
    .fold(html, |text, (from, to)| text.replace(from, to))
}

/// The arguments that a shell gives to `fanstorm`, one a line. What is quoted wrongly may write files: into `directory`.
fn taken(command: &str, directory: &Path) -> String {
    let script = format!("fanstorm() {{ printf '%s\\n' \"$@\"; }}\n{command}");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).current_dir(directory).stdin(Stdio::null());
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{command}: {}", said(&output));
    printed(&output)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Of visible characters: others are shown by their escapes.
    #[test]
    fn a_shell_takes_the_command_that_is_shown_as_the_arguments_that_were_given(
        args in prop::collection::vec(r#"[ '"\\$`!*?#&|;<>(){}\[\]~=%^a-cA-C0-9ü€-]{0,12}"#, 1..20),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, after: u64, args: &[String]| {
            let mut run = RUN.clone();
            run["tool"]["started_unix_ms"] = json!(after);
            run["tool"]["args"] = json!(args);
            let path = directory.path().join(name);
            fs::write(&path, run.to_string()).unwrap();
            path.display().to_string()
        };
        let (a, b) = (file("a.json", 1, &args), file("b.json", 2, &[]));
        let page = directory.path().join("c.html");
        let output = compared(&["--html", page.to_str().unwrap()], &[a], &[b]);
        prop_assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let shown = command_in(&fs::read_to_string(page).unwrap());
        let given: String = args.iter().map(|arg| format!("{arg}\n")).collect();
        prop_assert_eq!(taken(&shown, directory.path()), given, "{}", shown);
        // The text has the same words; where a line is full it goes on in the next.
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let (text, shown) = (words(&printed(&output)), words(&shown));
        prop_assert!(text.windows(shown.len()).any(|part| part == shown), "{shown:?} in {text:?}");
    }
}

#[test]
fn a_limit_that_is_broken_has_an_exit_code_of_its_own_and_a_better_side_has_none() {
    let (_directory, a, b) = sides(1.5);
    for (flags, a, b, code) in [
        (["--fail-if-slower", "p50 by 10%"], &a, &b, 6),
        (["--fail-if-slower", "p50 by 60%"], &a, &b, 0),
        (["--fail-if-slower", "p50 by 10%"], &b, &a, 0),
        (["--fail-if-slower", "max by 0%"], &a, &b, 6),
    ] {
        let output = compared(&flags, a, b);
        assert_eq!(output.status.code(), Some(code), "{flags:?}: {}", said(&output));
        assert_eq!(said(&output).contains("side B is slower"), code == 6);
    }
}

#[test]
fn too_few_runs_claim_nothing_and_are_no_ground_for_a_limit() {
    let (_directory, a, b) = sides(1.5);
    let output = compared(&[], &a[..3], &b);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(printed(&output).contains("too few runs to say"), "{}", printed(&output));
    let output = compared(&["--fail-if-slower", "p50 by 10%"], &a[..3], &b);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("side A has 3"), "{}", said(&output));
}

#[test]
fn a_missing_copy_fails_where_limits_are_held_whatever_the_times_are() {
    let (_directory, a, b) = sides(1.0);
    let mut run: Value = serde_json::from_slice(&fs::read(&b[2]).unwrap()).unwrap();
    let copies = run["trials"][0]["delivery"].as_object_mut().unwrap();
    for (key, by) in [("delivered", -1), ("seen", -1), ("missing", 1)] {
        copies[key] = json!(copies[key].as_i64().unwrap() + by);
    }
    fs::write(&b[2], run.to_string()).unwrap();
    let output = compared(&["--fail-if-slower", "p50 by 10%"], &a, &b);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(printed(&output).contains("B delivers worse"), "{}", printed(&output));
    let output = compared(&["--fail-if-slower", "p50 by 10%"], &b, &a);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn what_cannot_be_compared_is_told_in_one_line() {
    let (directory, a, b) = sides(1.0);
    let no = directory.path().join("no.json").display().to_string();
    let twice = vec![a[0].clone()];
    for (flags, a, b, says) in [
        (&[][..], &a, &vec![], "side B is empty"),
        (&[], &a, &vec![no], "there is no such file"),
        (&[], &a, &twice, "hold the same result"),
        (&["--trial", "m7"], &a, &b, "there is m400"),
        (&[], &a, &vec!["--quiet".to_owned()], "write flags before the files"),
    ] {
        let output = compared(flags, a, b);
        assert_eq!(output.status.code(), Some(2), "{says}: {}", said(&output));
        assert!(said(&output).contains(says), "{says}: {}", said(&output));
        assert_eq!(said(&output).lines().count(), 1, "{}", said(&output));
    }
    for (words, says) in [
        (&["--tolerance", "5"][..], "not a share"),
        (&["--fail-if-slower", "p98 by 1%"], "is no figure that is compared"),
        (&["--against", "--relay"], "--run"),
        (&["--run", "2", "--against", "--relay"], "write fanstorm compare --run 2"),
        (&["--run", "2", "--against", "'", "--", "--relay"], "a quote is not closed"),
        (&["--run", "2", "--against", "--relay", "--", "--json x"], "--json among the flags"),
    ] {
        let output = fanstorm(&[&["compare"], words].concat());
        assert_eq!(output.status.code(), Some(2), "{words:?}: {}", said(&output));
        assert!(said(&output).contains(says), "{words:?}: {}", said(&output));
    }
}

fn results(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn runs_are_made_in_turns_and_their_results_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().to_str().unwrap();
    let against = ["--relay --messages 50", &engine::flags("--relay").join(" ")].join(" ");
    let b = format!("{against} --payload-bytes 256");
    let output =
        fanstorm(&["compare", "--run", "2", "--results", at, "--against", &against, "--", &b]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let files = results(directory.path());
    let names: Vec<_> = files.iter().map(|file| file.file_name().unwrap().to_owned()).collect();
    assert_eq!(names, ["a-1.json", "a-2.json", "b-1.json", "b-2.json"]);
    let started = |file: &PathBuf| -> u64 {
        let run: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        run["tool"]["started_unix_ms"].as_u64().unwrap()
    };
    let [a1, a2, b1, b2] = [0, 1, 2, 3].map(|at| started(&files[at]));
    assert!(a1 < b1 && b1 < a2 && a2 < b2);
    let text = printed(&output);
    assert!(text.contains("plan.payload_bytes: 128 in A, 256 in B"), "{text}");
    assert!(text.contains("A and B in turns"), "{text}");
}

#[test]
fn a_side_that_cannot_run_is_told_at_once_and_what_the_other_measured_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().to_str().unwrap();
    let against = ["--relay --messages 50", &engine::flags("--relay").join(" ")].join(" ");
    let nobody = "--node ws://127.0.0.1:1/ --connect-timeout 1s";
    let output =
        fanstorm(&["compare", "--run", "3", "--results", at, "--against", &against, "--", nobody]);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    assert!(said(&output).contains("the first run of B came to no result"), "{}", said(&output));
    let kept = results(directory.path());
    assert_eq!(kept.len(), 2, "A's result, and why B has none");
    let a: Value = serde_json::from_slice(&fs::read(&kept[0]).unwrap()).unwrap();
    assert_eq!(a["summary"]["messages"], 50);
}

#[test]
fn a_file_where_results_were_to_go_is_a_wrong_flag() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("results");
    fs::write(&file, "somebody's").unwrap();
    let at = file.to_str().unwrap();
    let output = fanstorm(&[
        "compare",
        "--run",
        "2",
        "--results",
        at,
        "--against",
        "--relay",
        "--",
        "--relay",
    ]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).starts_with(&format!("error: --results {at}: ")), "{}", said(&output));
    assert_eq!(fs::read_to_string(&file).unwrap(), "somebody's");
}
