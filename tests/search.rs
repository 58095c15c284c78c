//! `fanstorm search`: what is found of an embedded cluster whose limit is known, what is printed, and exit codes.
//!
//! Belongs here: the binary. Does not: how often the rule is wrong (`experiment::search::tests`).

#[path = "common/engine.rs"]
mod engine;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const SHORT: &str =
    "--duration 500ms --warmup 100ms --duration-sum 1500ms --width 20% --drain 500ms";

fn search(words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanstorm"));
    command.arg("search").args(words.split_whitespace()).args(SHORT.split_whitespace());
    command.args(engine::flags(words)).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The exit code, the result, and what was printed.
fn searched(words: &str) -> (Option<i32>, Value, String) {
    let Output { status, stdout, stderr } = search(&format!("{words} --json -")).output().unwrap();
    let report = String::from_utf8(stderr).unwrap();
    let result =
        serde_json::from_slice(&stdout).unwrap_or_else(|e| panic!("{words}: {e}: {report}"));
    (status.code(), result, report)
}

fn attempts(result: &Value) -> &[Value] {
    result["search"]["attempts"].as_array().unwrap()
}

/// What the report says agrees with what is in the file, whatever was found.
fn agrees_with_itself(result: &Value) {
    let trials = result["trials"].as_array().unwrap();
    let planned = result["plan"]["trials"].as_array().unwrap();
    assert_eq!((attempts(result).len(), planned.len()), (trials.len(), trials.len()));
    for ((attempt, run), plan) in attempts(result).iter().zip(trials).zip(planned) {
        assert_eq!((&attempt["id"], &attempt["id"]), (&run["id"], &plan["id"]));
        assert_eq!(attempt["rate_per_s"], plan["load"]["rate_per_s"]);
        let delivery = &run["delivery"];
        let sum = delivery["delivered"].as_u64().unwrap() + delivery["missing"].as_u64().unwrap();
        assert_eq!(sum, delivery["expected"].as_u64().unwrap());
        let reasons = attempt["reasons"].as_array().unwrap().len();
        assert_eq!(
            reasons > 0,
            matches!(attempt["finding"].as_str(), Some("bad" | "void")),
            "{attempt}"
        );
    }
    for tried in result["search"]["rates"].as_array().unwrap() {
        let at = attempts(result).iter().filter(|attempt| {
            attempt["role"] == "measured" && attempt["rate_per_s"] == tried["rate_per_s"]
        });
        let good = at.clone().filter(|attempt| attempt["finding"] == "good").count() as f64;
        assert!((tried["good_s"].as_f64().unwrap() - 0.5 * good).abs() < 1e-6, "{tried}");
    }
}

#[test]
fn a_cluster_with_a_limit_is_found_to_hold_no_more_than_that() {
    const LIMIT: f64 = 2_000.0;
    let words = "--slo p50<20ms --rate 250..16k --nodes 1 --fault limit=2k";
    let (code, result, report) = searched(words);
    agrees_with_itself(&result);
    let found = &result["search"];
    // Arithmetic: what is due beyond the limit in half a second is late by as much, half of it by more than the bound.
    let beyond = LIMIT * (1.0 + 2.0 * 0.02 / 0.5) * 1.02;
    for attempt in attempts(&result).iter().filter(|attempt| attempt["finding"] == "good") {
        assert!(attempt["rate_per_s"].as_f64().unwrap() <= beyond, "{attempt}");
    }
    // A machine that does much else may hold nothing at all.
    if code == Some(0) {
        let (lower, upper) =
            (found["lower_per_s"].as_f64().unwrap(), found["upper_per_s"].as_f64().unwrap());
        assert!(lower < upper && lower <= beyond, "{lower} to {upper}");
        // The climb goes on where a rate holds: what is far below the limit is no answer but by noise.
        assert!(upper > 250.0 && upper <= lower * 1.2 * 1.01, "{lower} to {upper}");
        let says = report.lines().last().unwrap();
        assert!(
            says.contains("holds, ")
                && says.contains("does not: objectives p50 < 20.0 ms, missing = 0"),
            "{says}"
        );
    } else {
        assert!(matches!(code, Some(1 | 5 | 6)), "{code:?}: {report}");
    }
}

#[test]
fn not_even_the_least_rate_is_six_and_the_report_says_why() {
    let words = "--slo p50<50ms --rate 500 --relay --nodes 1 --fault delay=100%:60ms";
    let (code, result, report) = searched(words);
    agrees_with_itself(&result);
    // Void trials are no answer.
    if code == Some(5) {
        return;
    }
    assert_eq!(code, Some(6), "{report}");
    assert_eq!(result["search"]["lower_per_s"], Value::Null);
    assert_eq!(result["search"]["upper_per_s"], 500.0);
    assert!(report.contains("Why 500/s does not hold: p50 < 50.0 ms: "), "{report}");
    assert!(report.contains("verdict: 500/s does not hold"), "{report}");
}

#[test]
fn copies_that_never_come_fail_a_rate_unless_so_many_may_be_missing() {
    let of = |slo: &str| {
        searched(&format!("--slo {slo} --slo p50<1s --rate 1k --relay --nodes 1 --fault drop=2%"))
    };
    let (code, result, report) = of("missing=0");
    assert!(matches!(code, Some(1 | 5 | 6)), "{code:?}: {report}");
    agrees_with_itself(&result);
    let (code, result, report) = of("missing<50%");
    assert!(matches!(code, Some(0 | 1 | 5)), "{code:?}: {report}");
    assert!(result["summary"]["missing"].as_u64() > Some(0), "a result keeps what is missing");
}

#[test]
fn a_generator_that_cannot_make_the_least_rate_says_so_and_blames_no_cluster() {
    let words = "--slo p50<50ms --rate 2k --relay --nodes 1 --test-turn-delay 20ms";
    let (code, result, report) = searched(words);
    agrees_with_itself(&result);
    assert_eq!(code, Some(5), "{report}");
    assert_eq!(result["search"]["limit_of"], "generator");
    assert!(report.contains("the generator cannot make 2 000/s"), "{report}");
}

#[test]
fn an_interrupted_search_tells_what_it_tried() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("search.json");
    let words = format!("--slo p50<1s --rate 100..1M --relay --nodes 1 --json {}", file.display());
    let mut child = search(&words).spawn().unwrap();
    let mut report = BufReader::new(child.stdout.take().unwrap()).lines();
    let row = report.find(|line| line.as_ref().is_ok_and(|line| line.contains(" recovery ")));
    row.expect("the first look has a row").unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let rest: Vec<_> = report.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    assert!(rest.iter().any(|line| line.contains("ended early: interrupted")), "{rest:?}");
    let result: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    agrees_with_itself(&result);
    assert_eq!(
        (&result["interrupted"], &result["search"]["ending"]),
        (&true.into(), &"failed".into())
    );
}

#[test]
fn a_saved_search_is_told_again_word_for_word_and_its_page_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let [json, html] = ["search.json", "search.html"].map(|name| folder.path().join(name));
    let (json, html) = (json.to_str().unwrap(), html.to_str().unwrap());
    let words = format!("--slo p50<1s --rate 1k --relay --nodes 1 --json {json} --html {html}");
    let ran = search(&words).output().unwrap();
    assert!(matches!(ran.status.code(), Some(0 | 5)), "{}", String::from_utf8_lossy(&ran.stderr));
    let again = |file: &str, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fanstorm"));
        command.args(["report", file]).args(more).output().unwrap()
    };
    let told = again(json, &[]);
    assert_eq!(String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&ran.stdout));
    assert_eq!(again(html, &["--format", "json"]).stdout, fs::read(json).unwrap());
    let junit = String::from_utf8(again(json, &["--format", "junit"]).stdout).unwrap();
    assert!(junit.contains("1 000/s holds"), "{junit}");
    let result: Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    let id = result["trials"][1]["id"].as_str().unwrap();
    let alone = again(json, &["--trial", id]);
    assert!(alone.status.success(), "{}", String::from_utf8_lossy(&alone.stderr));
}

#[test]
fn what_makes_no_search_is_refused_in_one_line_with_what_to_do() {
    for (words, says) in [
        ("--rate 1k..2k", "--slo"),
        ("--slo p99<50ms", "--rate"),
        ("--slo p99 --rate 1k", "p99<50ms"),
        ("--slo p99<50ms --rate 2k..1k", "least rate first"),
        ("--slo p99<50ms --rate 0..1k", "--rate 0..1k: nothing would ever be due"),
        ("--slo p99<50ms --rate 1k --messages 5", "--duration says how long"),
        ("--slo p99<50ms --rate 1k --in-flight 5", "open loop"),
        ("--slo p99<50ms --rate 1k --calibrate", "at the rate that was found"),
        ("--slo p99<50ms --rate 1k --hgrm x", "report FILE"),
        ("--slo p99.99<50ms --rate 1..2", "let --rate begin at"),
        ("--slo p99<50ms --rate 1k..10G", "let --rate end below"),
    ] {
        let output = search(words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words}: {said}");
        assert!(said.contains(says), "{words}: {said}");
    }
    // These are in SHORT, too, so that they are given alone.
    for (words, says) in [
        ("--exceed-ratio 100%", "below 100%"),
        ("--width 0%", "0.5% or more"),
        ("--duration-sum 1s --duration 2s", "--duration-sum 1.00 s is less than --duration 2.00 s"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fanstorm"));
        command.args(["search", "--slo", "p99<50ms", "--rate", "1k"]).args(words.split(' '));
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words}: {said}");
        assert!(said.contains(says), "{words}: {said}");
    }
    let run =
        Command::new(env!("CARGO_BIN_EXE_fanstorm")).args(["--rate", "1k..2k"]).output().unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.code() == Some(2) && said.contains("fanstorm search"), "{said}");
}
