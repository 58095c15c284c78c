//! The guide in `tuning/` against the program: its tables are the rules' own, its profiles silence the
//! audit, its scripts restore what they change.
//!
//! Belongs here: everything under `tuning/` that can be held by a test without root. Does not: a real
//! network namespace (`.ci/run audit`).
//!
//! `FANSTORM_BLESS=1 cargo test --test tuning` writes the tables.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fanstorm::audit::audit;
use fanstorm::audit::facts::Facts;
use fanstorm::audit::finding::{Remedy, Severity};
use fanstorm::audit::requirements::{Place, PlanRequirements, UringDemand};
use fanstorm::audit::rules::RULES;
use fanstorm::host::limits;
use fanstorm::report::audit::pages;

const BEGIN: &str = "<!-- fanstorm: ";
const END: &str = "<!-- end -->";

fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

fn read(relative: &str) -> String {
    fs::read_to_string(path(relative)).unwrap_or_else(|e| panic!("{relative}: {e}"))
}

/// The pages of the guide: `tuning/*.md`.
fn pages() -> Vec<String> {
    let names = fs::read_dir(path("tuning")).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| format!("tuning/{}", name.to_string_lossy()));
    let mut pages: Vec<_> = names.filter(|name| name.ends_with(".md")).collect();
    pages.sort();
    pages
}

/// The page with every block as the program has it, and the blocks' names.
fn fresh(page: &str, text: &str) -> (String, Vec<String>) {
    let (mut out, mut names, mut rest) = (String::new(), Vec::new(), text);
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let (name, after) = after.split_once(" -->").expect("a name and its end");
        let (_, behind) = after.split_once(END).unwrap_or_else(|| panic!("{page}: no {END}"));
        let block = pages::block(name).unwrap_or_else(|| panic!("{page}: no block `{name}`"));
        out += &format!("{before}{BEGIN}{name} -->\n{block}{END}");
        names.push(name.to_owned());
        rest = behind;
    }
    (out + rest, names)
}

#[test]
fn tables_of_the_guide_are_the_rules_own() {
    let bless = std::env::var_os("FANSTORM_BLESS").is_some_and(|value| value == "1");
    let mut shown = Vec::new();
    for page in pages() {
        let text = read(&page);
        let (fresh, names) = fresh(&page, &text);
        shown.extend(names);
        if bless {
            fs::write(path(&page), fresh).unwrap();
        } else {
            let advice = "FANSTORM_BLESS=1 cargo test --test tuning";
            assert!(fresh == text, "{page} is behind the rules: {advice}");
        }
    }
    for name in pages::names() {
        assert!(shown.iter().any(|shown| shown == name), "no page shows `{name}`");
    }
}

#[test]
fn every_rule_names_a_page_that_explains_it() {
    for rule in RULES {
        let page = read(&format!("tuning/{}", rule.group.page()));
        assert!(page.contains(&format!("| `{}` |", rule.knob)), "{}", rule.knob);
    }
}

#[test]
fn the_schema_of_audits_is_published_as_it_is() {
    let published = "docs/schema/fanstorm.audit-1.json";
    let schema = fanstorm::report::audit::json::schema();
    let fresh = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    if std::env::var_os("FANSTORM_BLESS").is_some_and(|value| value == "1") {
        fs::write(path(published), &fresh).unwrap();
    }
    assert!(read(published) == fresh, "FANSTORM_BLESS=1 cargo test --test tuning");
}

/// `knob = value` lines.
fn settings(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once(" = "));
    pairs.map(|(knob, value)| (knob.to_owned(), value.to_owned())).collect()
}

fn profile(name: &str) -> String {
    read(&format!("tuning/sysctl/{name}.conf"))
}

/// A copy of a recorded host, for scripts to change.
fn host(name: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let from = path(&format!("tests/fixtures/hosts/{name}"));
    let copied = Command::new("cp").arg("-r").arg(from.join(".")).arg(root.path()).status();
    assert!(copied.unwrap().success());
    root
}

fn script(name: &str, arguments: &[&str], root: &Path) -> Output {
    let script = path(&format!("tuning/{name}"));
    let mut command = Command::new("sh");
    command.arg(script).args(arguments);
    command.env("FANSTORM_SYSCTL_ROOT", root.join("proc/sys"));
    command.env("FANSTORM_TUNING_STATE", root.join("state/tuning.saved"));
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn need(sockets: u64, to_one_node: u64) -> PlanRequirements {
    PlanRequirements {
        limits: limits::ResourceDemand {
            sockets,
            sockets_to_busiest: to_one_node,
            busiest: "ws://10.0.0.7:9001/".to_owned(),
            memory: vec![("frames", 1 << 20)],
            ..limits::ResourceDemand::default()
        },
        nodes: sockets / to_one_node,
        place: Place::Elsewhere,
        source_addresses: 1,
        push_sockets: 10,
        messages: 10_000,
        copies_per_message: sockets,
        copy_bytes: 221,
        connects_at_once: 2_048,
        workers: vec![2, 3],
        io_uring: UringDemand::Preferred,
        ..PlanRequirements::default()
    }
}

/// What each profile is for.
fn purposes() -> [(&'static str, PlanRequirements); 3] {
    let rate =
        |rate: f64, need: PlanRequirements| PlanRequirements { rate_per_s: Some(rate), ..need };
    [
        ("throughput", rate(20.0, need(30_000, 30_000))),
        ("million-connections", rate(1.0, need(1_000_000, 30_000))),
        (
            "latency",
            PlanRequirements { io_uring: UringDemand::Unused, ..rate(100.0, need(300, 100)) },
        ),
    ]
}

/// Sysctls that an audit wants changed, whether that stops, warns, or is merely worth knowing.
fn wanted(root: &Path, need: &PlanRequirements) -> Vec<&'static str> {
    let audit = audit(&Facts::under(root), need);
    let sysctls = audit.at_least(Severity::Info).filter(|(rule, finding)| {
        // Whoever switched io_uring off had a reason that no profile for speed overrides.
        matches!(finding.remedy, Remedy::Sysctl(_)) && rule.knob != "kernel.io_uring_disabled"
    });
    sysctls.map(|(rule, _)| rule.knob).collect()
}

#[test]
fn a_profile_leaves_the_audit_of_its_purpose_nothing_to_ask_for() {
    for (profile, need) in purposes() {
        for name in ["debian-12", "ubuntu-24.04", "alma-9"] {
            let root = host(name);
            let before = wanted(root.path(), &need);
            assert!(!before.is_empty(), "{profile} on {name}: the profile would be needless");
            let applied = script("apply.sh", &[profile], root.path());
            assert!(applied.status.success(), "{profile} on {name}: {}", text(&applied));
            let after = wanted(root.path(), &need);
            assert_eq!(after, Vec::<&str>::new(), "{profile} on {name}: {}", text(&applied));
        }
    }
}

/// Every file under the root, with blanks as the kernel would take them.
fn snapshot(root: &Path) -> BTreeMap<PathBuf, Vec<String>> {
    fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<String>>) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
            if entry.path().is_dir() {
                walk(&entry.path(), found);
            } else {
                let text = fs::read_to_string(entry.path()).unwrap();
                let words = text.split_whitespace().map(str::to_owned).collect();
                found.insert(entry.path(), words);
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(&root.join("proc/sys"), &mut found);
    found
}

#[test]
fn revert_restores_every_value_even_after_two_profiles() {
    for name in ["debian-12", "alma-9", "copied-advice", "docker"] {
        let root = host(name);
        let before = snapshot(root.path());
        for profile in ["throughput", "million-connections", "latency", "throughput"] {
            let applied = script("apply.sh", &[profile], root.path());
            assert!(applied.status.success(), "{name}: {}", text(&applied));
        }
        assert_ne!(snapshot(root.path()), before, "{name}: the profiles change something");
        let reverted = script("revert.sh", &[], root.path());
        assert!(reverted.status.success(), "{name}: {}", text(&reverted));
        assert_eq!(snapshot(root.path()), before, "{name}");
        let again = script("revert.sh", &[], root.path());
        assert!(again.status.success() && text(&again).contains("nothing to restore"));
    }
}

#[test]
fn apply_never_takes_from_a_host_that_has_more() {
    let root = host("alma-9");
    let applied = script("apply.sh", &["million-connections"], root.path());
    assert!(text(&applied).contains("has more fs.nr_open = 1073741816"), "{}", text(&applied));
    let after = Facts::under(root.path());
    assert_eq!(after.limits.nr_open, 1_073_741_816);
    // One figure of three is less: that is not "more".
    fs::write(root.path().join("proc/sys/net/ipv4/tcp_mem"), "9999999 9999999 9\n").unwrap();
    script("apply.sh", &["million-connections"], root.path());
    let after = Facts::under(root.path());
    assert_eq!(after.tcp.mem_pages, Some([1_572_864, 2_097_152, 3_145_728]));
}

#[test]
fn what_a_container_hides_is_skipped_and_named() {
    let applied = script("apply.sh", &["million-connections"], host("docker").path());
    assert!(applied.status.success(), "{}", text(&applied));
    assert!(text(&applied).contains("skipped  net.ipv4.tcp_mem: not here"), "{}", text(&applied));
}

#[test]
fn a_profile_that_is_not_there_is_refused_with_those_that_are() {
    let refused = script("apply.sh", &["fast"], host("debian-12").path());
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused).contains("latency.conf million-connections.conf throughput.conf"));
    assert_eq!(script("apply.sh", &[], Path::new("/absent")).status.code(), Some(2));
}

#[test]
fn profiles_set_each_knob_once_and_none_that_is_dead() {
    let dead = ["tcp_tw_recycle", "tcp_low_latency", "tcp_fin_timeout"];
    for name in ["throughput", "million-connections", "latency"] {
        let settings = settings(&profile(name));
        let knobs: std::collections::BTreeSet<_> = settings.iter().map(|(knob, _)| knob).collect();
        assert!(knobs.len() == settings.len() && !settings.is_empty(), "{name}");
        assert!(!knobs.iter().any(|knob| dead.iter().any(|dead| knob.ends_with(dead))), "{name}");
    }
}
