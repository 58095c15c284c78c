//! `fanstorm report`: a saved result is told as the run told it, and what is no result is named.
//!
//! Belongs here: the binary with the files it has written itself. Does not: what may be wrong inside
//! of a file, case by case (`report::saved`).

#[path = "common/engine.rs"]
mod engine;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

fn fanstorm(words: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanstorm"));
    command
        .args(words.split_whitespace())
        .args(engine::flags(words))
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// A run against the cluster that costs least, and its files: what it printed, and where they are.
fn ran(words: &str) -> (String, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().display();
    let files =
        format!("--json {at}/result.json --html {at}/page.html --hgrm {at}/ --hlog {at}/log");
    let output = fanstorm(&format!("{words} --relay {files}"));
    let printed = String::from_utf8(output.stdout).unwrap();
    // A busy machine may well void a trial; that it came to a report is enough here.
    assert!(matches!(output.status.code(), Some(0 | 5)), "{printed}");
    (printed, directory)
}

fn report(words: &str) -> String {
    let output = fanstorm(&format!("report {words}"));
    assert_eq!(
        output.status.code(),
        Some(0),
        "{words}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn refused(words: &str, says: &[&str]) {
    let output = fanstorm(&format!("report {words}"));
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{words}: {error}");
    assert!(output.stdout.is_empty(), "{words}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(says.iter().all(|says| error.contains(says)), "{words}: {says:?} in {error}");
}

#[test]
fn a_saved_result_reads_as_the_run_printed_it_and_its_parts_can_be_asked_for() {
    let (printed, directory) = ran("--messages 10,2000 --rate 20k");
    let file = directory.path().join("result.json");
    let name = file.display();
    assert_eq!(report(&format!("{name}")), printed);

    for class in ["response", "service", "wait", "completion", "spread"] {
        let plotted =
            fs::read_to_string(directory.path().join(format!("m2000-r20000.{class}.hgrm")))
                .unwrap();
        assert_eq!(report(&format!("{name} --format hgrm --class {class}")), plotted);
        assert!(
            plotted.contains(&format!(
                "#[fanstorm {class} latency, trial m2000-r20000, values in milli"
            ))
        );
        let small =
            fs::read_to_string(directory.path().join(format!("m10-r20000.{class}.hgrm"))).unwrap();
        assert_eq!(
            report(&format!("{name} --format hgrm --trial m10-r20000 --class {class}")),
            small
        );
    }
    let largest = report(&format!("{name} --format hgrm"));
    assert!(largest.contains("#[fanstorm response latency, trial m2000-r20000"), "{largest}");

    let json = fs::read_to_string(&file).unwrap();
    assert_eq!(report(&format!("{name} --format json")), json);
    let page = directory.path().join("page.html");
    let (page, written) = (page.display(), fs::read_to_string(&page).unwrap());
    assert_eq!(report(&format!("{name} --format html")), written);
    assert_eq!(report(&format!("{page}")), printed);
    assert_eq!(report(&format!("{page} --format json")), json);
    let one: serde_json::Value =
        serde_json::from_str(&report(&format!("{name} --format json --trial 10"))).unwrap();
    assert_eq!(one["trials"].as_array().unwrap().len(), 1);
    assert_eq!(one["summary"]["expected"], one["trials"][0]["delivery"]["expected"]);

    let completion = report(&format!("{name} --class completion --trial 2000"));
    assert!(
        completion.contains("completion: until everyone has it: to the last copy\n"),
        "{completion}"
    );
    assert!(completion.contains("response by receiving node:"), "{completion}");
    assert!(!completion.contains("all trials"), "{completion}");

    refused(
        &format!("{name} --trial 11"),
        &["result.json has no trial for --trial 11", "m10-r20000, m2000-r20000"],
    );
    refused(&format!("{name} --class wait --format json"), &["--class", "--format json"]);
    several(&file, &json, &printed);
}

/// Two results in one file.
fn several(file: &Path, json: &str, printed: &str) {
    fs::write(file, json.repeat(2)).unwrap();
    let name = file.display();
    assert_eq!(report(&format!("{name}")), format!("{printed}\n{printed}"));
    refused(&format!("{name} --format hgrm"), &["result.json holds 2 results", "--format hgrm"]);
    refused(&format!("{name} --format html"), &["result.json holds 2 results", "--format html"]);
}

#[test]
fn standard_input_is_a_file_too_and_a_burst_has_no_response() {
    let (printed, directory) = ran("--messages 25");
    let json = fs::read(directory.path().join("result.json")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanstorm"));
    command.args(["report", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(&json).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), String::from_utf8(output.stdout).unwrap()),
        (Some(0), printed)
    );

    let name = directory.path().join("result.json");
    let why = ["--class response", "a burst has no due times", "service, completion, spread"];
    refused(&format!("{} --class response", name.display()), &why);
    refused("-", &["standard input is empty"]);
    for (own, says) in [("m25.service.hgrm", "as --hgrm writes it"), ("log", "as --hlog writes it")]
    {
        refused(&directory.path().join(own).display().to_string(), &[says]);
    }
    assert!(!directory.path().join("m25.response.hgrm").exists());
}

#[test]
fn what_is_no_result_is_named_with_what_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("there.json");
    fs::write(&file, "{\"schema\": \"fanstorm.result/9\"}").unwrap();
    refused(&file.display().to_string(), &["there.json is of schema fanstorm.result/9"]);
    let absent = directory.path().join("absent.json");
    refused(&absent.display().to_string(), &["absent.json: there is no such file", "--json"]);
    refused(&format!("{}/below.json", file.display()), &["below.json: there is no such file"]);
    refused(&directory.path().display().to_string(), &["is a directory; give it a file in it"]);
    // Nobody may read it, root included.
    let unreadable = "/proc/sys/net/ipv4/route/flush";
    refused(unreadable, &[unreadable, "may not be read by this user", "chmod"]);
    refused("/etc/passwd", &["/etc/passwd is text, but not JSON; give it what a run has written"]);
    let program = env!("CARGO_BIN_EXE_fanstorm");
    refused(program, &[program, "is binary, not JSON; give it what a run has written"]);
    for (bytes, says) in [
        (&b""[..], "is empty: no result was written to it; give it what a run"),
        (b"{\"name\": \"npm\"}", "is JSON, but no result of fanstorm"),
        (b"{\"schema\": \"fanstorm.result/2\", \"tool\"", "is cut off"),
        (b"\x1f\x8b\x08", "is compressed: unpack it, `gzip -dc"),
    ] {
        fs::write(&file, bytes).unwrap();
        refused(&file.display().to_string(), &["there.json ", says]);
    }
    let unwritable = fanstorm(&format!("--relay --messages 1 --hgrm {}/", absent.display()));
    let error = String::from_utf8(unwritable.stderr).unwrap();
    assert_eq!(unwritable.status.code(), Some(2), "{error}");
    assert!(error.contains("--hgrm ") && error.contains("absent.json/m1.service.hgrm"), "{error}");
}
