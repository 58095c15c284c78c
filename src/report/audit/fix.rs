//! What an audit wants changed, as files that the system applies: sysctl.d(5), limits.conf(5).
//!
//! Belongs here: their text. Does not: where they lie and whether they may be written (`cli::fix`).

use crate::audit::Audit;
use crate::audit::finding::{Finding, Remedy, Severity};
use crate::audit::rules::Rule;

/// How a file of ours begins, so that only these are written over.
pub const MARK: &str = "# Written by `fanstorm audit`";

/// Columns of a comment.
const COMMENT_MAX: usize = 98;

/// A file for `/etc/sysctl.d`: what stops or warns is set, what is merely worth knowing stands
/// there as a comment.
pub fn sysctl_file(audit: &Audit, arguments: &[String]) -> String {
    let mut text = format!("{MARK} for this plan; only what it wants changed.\n");
    text += &comment(&format!("fanstorm {}", arguments.join(" ")));
    text +=
        "# Apply: sudo sysctl --system   Undo: remove the file and restart, or tuning/revert.sh\n";
    let mut set: Vec<&str> = Vec::new();
    for severity in [Severity::Stop, Severity::Warn, Severity::Info] {
        for (rule, finding) in audit.found.iter().filter(|(_, f)| f.severity == severity) {
            if let Remedy::Sysctl(value) = &finding.remedy
                && !set.contains(&rule.knob)
            {
                set.push(rule.knob);
                text += &sysctl(rule, finding, value);
            }
        }
    }
    if set.is_empty() {
        text += "\n# This plan wants no sysctl changed.\n";
    }
    text
}

fn sysctl(rule: &Rule, finding: &Finding, value: &str) -> String {
    let set = if finding.severity == Severity::Info { "#" } else { "" };
    let why = format!("{}: is {}. {}", finding.severity.word(), finding.is, finding.why);
    format!("\n{}{set}{} = {value}\n", comment(&why), rule.knob)
}

/// A file for `/etc/security/limits.d`.
pub fn limits_file(audit: &Audit) -> String {
    let mut text = format!("{MARK} for this plan.\n");
    let wanted = audit.found.iter().find_map(|(_, finding)| match finding.remedy {
        Remedy::Descriptors(limit) => Some((limit, finding)),
        _ => None,
    });
    let Some((limit, finding)) = wanted else {
        return text + "# This plan wants no limit changed.\n";
    };
    text += &comment(&finding.why);
    text += "# Here it is for logins through PAM; log in again. A systemd service takes\n";
    text += &format!("# LimitNOFILE={limit}, a container --ulimit nofile={limit}:{limit}.\n");
    for who in ["*   ", "root"] {
        for kind in ["soft", "hard"] {
            text += &format!("{who} {kind} nofile {limit}\n");
        }
    }
    text
}

fn comment(text: &str) -> String {
    let (mut lines, mut line) = (String::new(), String::from("#"));
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > COMMENT_MAX {
            lines += &format!("{line}\n");
            line = String::from("#");
        }
        line += " ";
        line += word;
    }
    lines + &line + "\n"
}
