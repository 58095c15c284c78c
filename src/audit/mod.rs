//! The audit: what of this host stands in the way of this plan, with the arithmetic and the command.
//!
//! Belongs here: three things kept apart. [`facts`] reads files under a root and judges nothing;
//! [`requirements`] is the plan in numbers; [`rules`] are pure functions of the two, in one table, and
//! [`finding`] is what they say. Does not: printing (`report::audit`), changing anything: nobody here
//! writes to the host.
//!
//! Hard limits are not computed a second time: the rules that stop a run ask `host::limits`, which
//! the run itself asks before it opens anything.

pub mod facts;
pub mod finding;
pub mod requirements;
pub mod rules;

use self::facts::Facts;
use self::finding::{Finding, Remedy, Severity, Within};
use self::requirements::PlanRequirements;
use self::rules::{RULES, Rule};

/// What an audit came to.
#[derive(Debug, Default)]
pub struct Audit {
    /// What stands in the way, in the order of the rules.
    pub found: Vec<(&'static Rule, Finding)>,
    /// What is as this plan wants it.
    pub fine: Vec<&'static Rule>,
    /// What this host does not show, as containers do.
    pub hidden: Vec<&'static Rule>,
    /// Where remedies are to work.
    pub within: Within,
}

/// Holds every rule against the host.
pub fn audit(facts: &Facts, need: &PlanRequirements) -> Audit {
    let mut audit = Audit { within: facts.within(), ..Audit::default() };
    for rule in RULES {
        match (rule.check)(facts, need) {
            Some(finding) => audit.found.push((rule, finding)),
            None if (rule.visible)(facts) => audit.fine.push(rule),
            None => audit.hidden.push(rule),
        }
    }
    audit
}

impl Audit {
    /// What is at least so severe.
    pub fn at_least(&self, severity: Severity) -> impl Iterator<Item = &(&'static Rule, Finding)> {
        self.found.iter().filter(move |(_, finding)| finding.severity >= severity)
    }

    /// What may be mistaken for the cluster in a run's figures.
    pub fn shortfalls(&self) -> Vec<Shortfall> {
        let bearing = self.found.iter().filter(|(rule, finding)| rule.degrades(finding));
        bearing.map(|(rule, finding)| self.shortfall(rule, finding)).collect()
    }

    fn shortfall(&self, rule: &Rule, finding: &Finding) -> Shortfall {
        let Finding { is, wants, why, remedy, .. } = finding;
        let line = remedy.line(rule.knob, self.within);
        let command = !matches!(remedy, Remedy::Advice(_));
        Shortfall {
            text: format!("{} is {is}, this plan wants {wants} ({why})", rule.knob),
            remedy: if command { format!("`{line}`") } else { line },
        }
    }

    /// Nothing can be run before these are gone.
    pub fn stops(&self) -> bool {
        self.at_least(Severity::Stop).next().is_some()
    }
}

/// A finding that bears on a run's figures, as its verdict says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortfall {
    /// Knob, value, and what the plan wants.
    pub text: String,
    /// What to do, one line.
    pub remedy: String,
}
