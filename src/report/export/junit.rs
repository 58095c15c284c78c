//! What must hold of a run, as a JUnit report: continuous integration shows each as a test.
//!
//! Two tests of each trial: that every copy came once and unaltered (a failure where not), and that the times
//! describe the cluster (an error where the verdict is void). Trials that did not run are skipped tests. Of a search,
//! whose trials may fail, it is one test: that the least rate holds.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{self, Write};

use crate::report::document::Document;
use crate::report::document::search::{LimitOf, Search};
use crate::report::document::trial::{Delivery, TrialResult, Trust};
use crate::units::Rate;

/// Writes it.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn Write, document: &Document) -> io::Result<()> {
    let cases: Vec<Case> = match &document.search {
        Some(search) => vec![least_rate(search)],
        None => document.trials.iter().flat_map(cases).chain(skipped(document)).collect(),
    };
    let count =
        |wanted: fn(&Outcome) -> bool| cases.iter().filter(|case| wanted(&case.outcome)).count();
    let counts = format!(
        r#"tests="{}" failures="{}" errors="{}" skipped="{}" time="{:.3}""#,
        cases.len(),
        count(|outcome| matches!(outcome, Outcome::Failed(_))),
        count(|outcome| matches!(outcome, Outcome::Void(_))),
        count(|outcome| matches!(outcome, Outcome::Skipped(_))),
        cases.iter().map(|case| case.seconds).sum::<f64>(),
    );
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    // The outer element has no count of skipped tests in the schema of Jenkins.
    let totals = counts.split(" skipped=").next().unwrap_or_default().to_owned();
    writeln!(out, r#"<testsuites name="fanstorm" {totals}>"#)?;
    writeln!(out, r#"  <testsuite name="fanstorm" {counts}>"#)?;
    cases.iter().try_for_each(|case| case.write(out))?;
    writeln!(out, "  </testsuite>\n</testsuites>")
}

struct Case {
    trial: String,
    name: Cow<'static, str>,
    seconds: f64,
    outcome: Outcome,
}

enum Outcome {
    Passed,
    Failed(String),
    Void(String),
    Skipped(String),
}

const DELIVERY: &str = "every copy comes once and unaltered";
const VERDICT: &str = "the times describe the cluster";

fn cases(run: &TrialResult) -> [Case; 2] {
    let trial = run.id.to_string();
    let Delivery { expected, missing, duplicate, misdelivered, corrupt, .. } = run.delivery;
    let lost = run.lost_sockets.len();
    let delivery = match run.complete() && lost == 0 {
        true => Outcome::Passed,
        false => Outcome::Failed(format!(
            "of {expected} copies {missing} are missing, {duplicate} duplicate, {misdelivered} misdelivered, \
             {corrupt} corrupt; {lost} sockets were lost"
        )),
    };
    let void = run.verdict.caveats.iter().filter(|caveat| caveat.severity == Trust::Void);
    let why: Vec<_> =
        void.map(|caveat| format!("{}: {}; {}", caveat.code, caveat.text, caveat.remedy)).collect();
    let verdict = if why.is_empty() { Outcome::Passed } else { Outcome::Void(why.join("\n")) };
    let seconds = run.time.receive_s.or(run.time.send_s).unwrap_or(0.0);
    [
        Case { trial: trial.clone(), name: DELIVERY.into(), seconds, outcome: delivery },
        Case { trial, name: VERDICT.into(), seconds: 0.0, outcome: verdict },
    ]
}

/// Whether the least rate holds is all that must be; where it is not known, that is an error.
fn least_rate(search: &Search) -> Case {
    let objectives: Vec<_> = search.objectives.iter().map(ToString::to_string).collect();
    let held_to = objectives.join(", ");
    let reasons = search.measured_at(search.least_per_s).flat_map(|tried| &tried.reasons);
    let reasons: BTreeSet<_> = reasons.map(ToString::to_string).collect();
    let why = || Vec::from_iter(reasons.clone()).join("\n");
    let outcome = match (search.lower_per_s, search.upper_per_s, search.limit_of) {
        (Some(_), ..) => Outcome::Passed,
        (None, Some(upper), Some(LimitOf::Cluster)) if upper <= search.least_per_s => {
            Outcome::Failed(format!("{held_to}: {}", why()))
        }
        (None, Some(_), Some(LimitOf::Generator)) => Outcome::Void(why()),
        _ => Outcome::Void("the search did not come to its end".to_owned()),
    };
    Case {
        trial: "search".to_owned(),
        name: format!("{} holds", Rate::per_second(search.least_per_s)).into(),
        seconds: search.elapsed_s,
        outcome,
    }
}

fn skipped(document: &Document) -> impl Iterator<Item = Case> {
    document.skipped.iter().map(|skipped| Case {
        trial: skipped.id.to_string(),
        name: DELIVERY.into(),
        seconds: 0.0,
        outcome: Outcome::Skipped(skipped.reason.to_string()),
    })
}

impl Case {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let (trial, name) = (escaped(&self.trial), escaped(&self.name));
        let head = format!(
            r#"    <testcase classname="fanstorm.{trial}" name="{name}" time="{:.3}""#,
            self.seconds
        );
        let (element, kind, text) = match &self.outcome {
            Outcome::Passed => return writeln!(out, "{head}/>"),
            Outcome::Failed(text) => ("failure", " type=\"delivery\"", text),
            Outcome::Void(text) => ("error", " type=\"void\"", text),
            Outcome::Skipped(text) => ("skipped", "", text),
        };
        let text = escaped(text);
        writeln!(
            out,
            r#"{head}><{element} message="{}"{kind}/></testcase>"#,
            text.replace('\n', "&#10;")
        )
    }
}

/// XML has no escape for control characters; texts from elsewhere are without them already.
fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"']) {
        return Cow::Borrowed(text);
    }
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    Cow::Owned(text.replace('"', "&quot;"))
}
