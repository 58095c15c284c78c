//! Completions and manual pages: shells and readers of manuals take them, and no flag is left out.
//!
//! Belongs here: the binary with tools that nobody here wrote, where they are there. Does not: the flags.

use std::io::Write;
use std::process::{Command, Stdio};

fn fanstorm(words: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_fanstorm"))
        .args(words.split_whitespace())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Long flags of a run, as its help has them.
fn flags() -> Vec<String> {
    let help = fanstorm("--help");
    let words =
        help.lines().filter_map(|line| line.trim_start().split([' ', ',']).find(|w| !w.is_empty()));
    let long = help.lines().flat_map(|line| line.split([' ', '='])).filter(|w| w.starts_with("--"));
    let first = |line: &&str| long.clone().any(|flag| flag == *line);
    let flags: Vec<String> = words.filter(first).map(str::to_owned).collect();
    assert!(flags.len() > 30, "{flags:?}");
    flags
}

/// What `tool` has to say against a text; `None` where it is not there. Warnings count: groff ends well with them.
fn against(tool: &[&str], text: &str) -> Option<String> {
    let mut child = Command::new(tool[0])
        .args(&tool[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    Some(if output.status.success() { said.into_owned() } else { format!("it fails: {said}") })
}

#[test]
fn every_flag_is_completed_and_every_shell_takes_its_script() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = fanstorm(&format!("completions {shell}"));
        for flag in flags() {
            // Fish has them without dashes.
            let flag = if shell == "fish" { flag.trim_start_matches('-') } else { &flag };
            assert!(script.contains(flag), "{shell}: {flag}");
        }
        assert!(!script.contains("cluster-child"), "{shell}: a hidden command is completed");
        if matches!(shell, "bash" | "zsh" | "fish") {
            assert_eq!(against(&[shell, "-n"], &script).unwrap_or_default(), "", "{shell}");
        }
    }
}

#[test]
fn the_manual_has_every_flag_and_a_page_for_each_command() {
    let page = fanstorm("man");
    for flag in flags() {
        assert!(page.replace('\\', "").contains(&flag), "{flag}");
    }
    let groff = ["groff", "-Kutf8", "-man", "-ww", "-Tutf8"];
    assert_eq!(against(&groff, &page).unwrap_or_default(), "");
    // It must be able to say something.
    assert_ne!(against(&groff, &format!("{page}.SHX\n")), Some(String::new()));
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path().join("man1");
    fanstorm(&format!("man --dir {}", dir.display()));
    let mut pages: Vec<String> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort_unstable();
    let commands = ["audit", "cluster", "completions", "dialect", "man", "report", "run"];
    assert!(pages.contains(&"fanstorm.1".to_owned()), "{pages:?}");
    for command in commands {
        assert!(pages.contains(&format!("fanstorm-{command}.1")), "{command}: {pages:?}");
    }
    assert!(
        !pages.iter().any(|page| page.contains("child") || page.contains("io-uring")),
        "{pages:?}"
    );
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_fanstorm"))
        .args(["man", "--dir", "/proc/none"])
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(error.starts_with("error: --dir /proc/none: "), "{error}");
}
