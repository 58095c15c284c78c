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

/// Where a remedy is to work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Within {
    /// On the host itself.
    #[default]
    Host,
    /// In a container, whose `/proc/sys` is read-only and whose limits are given to it at its start.
    Container {
        /// Who starts it with flags, where that is known.
        runtime: Option<&'static str>,
        /// It has a network of its own, and with it sysctls of its own.
        own_network: bool,
    },
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
    pub fn line(&self, knob: &str, within: Within) -> String {
        match self {
            Self::Sysctl(value) => sysctl(knob, value, within),
            Self::Descriptors(limit) => descriptors(*limit, within),
            Self::Command(line) | Self::Advice(line) => line.clone(),
        }
    }
}

fn sysctl(knob: &str, value: &str, within: Within) -> String {
    let quotes = if value.contains(' ') { "'" } else { "" };
    let setting = format!("{knob}={quotes}{value}{quotes}");
    let of_network = knob.starts_with("net.");
    match within {
        Within::Host => format!("sudo sysctl -w {setting}"),
        Within::Container { runtime: Some(runtime), own_network: true } if of_network => {
            format!("{runtime} run --sysctl {setting}")
        }
        Within::Container { own_network: true, .. } if of_network => {
            format!(
                "sysctl {setting} among the container's own (Kubernetes: securityContext.sysctls)"
            )
        }
        Within::Container { .. } => format!("sudo sysctl -w {setting}  # on the host"),
    }
}

fn descriptors(limit: u64, within: Within) -> String {
    match within {
        // Root raises the limit of the shell that asks, and what it starts inherits it.
        Within::Host => format!("sudo prlimit --pid $$ --nofile={limit}:{limit}"),
        Within::Container { runtime: Some(runtime), .. } => {
            format!("{runtime} run --ulimit nofile={limit}:{limit}")
        }
        Within::Container { .. } => {
            format!("LimitNOFILE={limit} in the unit of the container runtime, on the host")
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::audit::finding::*;

    #[test]
    fn a_remedy_is_a_line_that_a_shell_takes() {
        let line = |remedy: Remedy| remedy.line("net.core.somaxconn", Within::Host);
        assert_eq!(line(Remedy::Sysctl("9".into())), "sudo sysctl -w net.core.somaxconn=9");
        assert_eq!(line(Remedy::Sysctl("1 2".into())), "sudo sysctl -w net.core.somaxconn='1 2'");
        assert_eq!(line(Remedy::Descriptors(7)), "sudo prlimit --pid $$ --nofile=7:7");
        assert_eq!(line(Remedy::Advice("wait".into())), "wait");
    }

    #[test]
    fn in_a_container_a_remedy_is_what_its_runtime_takes() {
        let within = |runtime, own_network| Within::Container { runtime, own_network };
        let line = |knob: &str, within| Remedy::Sysctl("1 2".into()).line(knob, within);
        let port_range = |within| line("net.ipv4.ip_local_port_range", within);
        assert_eq!(
            port_range(within(Some("docker"), true)),
            "docker run --sysctl net.ipv4.ip_local_port_range='1 2'"
        );
        assert!(port_range(within(None, true)).ends_with("(Kubernetes: securityContext.sysctls)"));
        // The runtime refuses them there, as they are the host's.
        assert!(port_range(within(Some("docker"), false)).ends_with("  # on the host"));
        assert!(line("fs.nr_open", within(Some("docker"), true)).ends_with("  # on the host"));
        let files = |runtime| Remedy::Descriptors(7).line("RLIMIT_NOFILE", within(runtime, true));
        assert_eq!(files(Some("podman")), "podman run --ulimit nofile=7:7");
        assert!(files(None).starts_with("LimitNOFILE=7 in the unit"));
    }

    #[test]
    fn what_stops_is_worst() {
        assert!(Severity::Stop > Severity::Warn && Severity::Warn > Severity::Info);
    }
}
