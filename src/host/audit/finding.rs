//! What a rule says: is, wants, why for this plan, and the line that changes it.
//!
//! Belongs here: the words and their ranks. Does not: deciding (`rules`), layout (`report::audit`).

/// How much it matters to this plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; figures do not suffer by it, or only in some cases.
    Info,
    /// The plan runs, and its figures may describe the host.
    Warn,
    /// The plan cannot run here.
    Stop,
}

impl Severity {
    /// As tables and result files spell it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Stop => "stop",
        }
    }
}

/// What to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Set the rule's knob, a sysctl, to this.
    Sysctl(String),
    /// Raise the limit of descriptors to this.
    Descriptors(u64),
    /// A command for a shell, complete.
    Command(String),
    /// Something that no single command does.
    Advice(String),
}

/// One thing that stands in the way of one plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What the host says, for people.
    pub is: String,
    /// What this plan wants, for people.
    pub wants: String,
    /// Why, with the arithmetic of this plan. One sentence or two.
    pub why: String,
    /// What to do.
    pub remedy: Remedy,
}

impl Remedy {
    /// One line to paste into a shell, or the advice.
    pub fn line(&self, knob: &str) -> String {
        match self {
            Self::Sysctl(value) if value.contains(' ') => {
                format!("sudo sysctl -w {knob}='{value}'")
            }
            Self::Sysctl(value) => format!("sudo sysctl -w {knob}={value}"),
            // Root raises the limit of the shell that asks, and what it starts inherits it.
            Self::Descriptors(limit) => format!("sudo prlimit --pid $$ --nofile={limit}:{limit}"),
            Self::Command(line) | Self::Advice(line) => line.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_is_a_line_that_a_shell_takes() {
        let line = |remedy: Remedy| remedy.line("net.core.somaxconn");
        assert_eq!(line(Remedy::Sysctl("9".into())), "sudo sysctl -w net.core.somaxconn=9");
        assert_eq!(line(Remedy::Sysctl("1 2".into())), "sudo sysctl -w net.core.somaxconn='1 2'");
        assert_eq!(line(Remedy::Descriptors(7)), "sudo prlimit --pid $$ --nofile=7:7");
        assert_eq!(line(Remedy::Advice("wait".into())), "wait");
    }

    #[test]
    fn what_stops_is_worst() {
        assert!(Severity::Stop > Severity::Warn && Severity::Warn > Severity::Info);
    }
}
