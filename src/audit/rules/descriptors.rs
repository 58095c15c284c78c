//! Rules about files: what `host::limits` refuses, and the system's own ceiling.

use crate::audit::facts::Facts;
use crate::audit::finding::{Finding, Remedy, Severity};
use crate::audit::requirements::PlanRequirements;
use crate::host::limits::{self, LimitError, OWN_DESCRIPTORS};
use crate::units::Count;

/// Too few for what: the plan's own process, or a node's of the embedded cluster.
struct Short {
    needed: u64,
    why: String,
}

fn short(facts: &Facts, need: &PlanRequirements) -> Option<Short> {
    if let Err(LimitError::Descriptors { needed, of, .. }) =
        limits::descriptors(&facts.limits, &need.limits)
    {
        let why = format!("{of} + {OWN_DESCRIPTORS} descriptors of our own = {}", Count(needed));
        return Some(Short { needed, why });
    }
    let Err(LimitError::ClusterDescriptors { connections, .. }) =
        limits::cluster_descriptors(&facts.limits, &need.limits)
    else {
        return None;
    };
    let needed = connections.saturating_add(OWN_DESCRIPTORS);
    let why = format!(
        "the busiest node of the embedded cluster takes {} connections + {OWN_DESCRIPTORS} of its \
         own = {}",
        Count(connections),
        Count(needed)
    );
    Some(Short { needed, why })
}

pub(super) fn nofile(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let Short { needed, why } = short(facts, need)?;
    let limit = Count(facts.limits.nofile);
    Some(Finding {
        severity: Severity::Stop,
        is: limit.to_string(),
        wants: Count(needed).to_string(),
        why: format!(
            "{why}; the hard limit is {limit}, and only root raises it. A service takes \
             LimitNOFILE= and a container --ulimit nofile=, not limits.conf"
        ),
        remedy: Remedy::Descriptors(needed),
    })
}

pub(super) fn nr_open(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let Short { needed, .. } = short(facts, need)?;
    let nr_open = facts.limits.nr_open;
    (needed > nr_open).then(|| Finding {
        severity: Severity::Stop,
        is: Count(nr_open).to_string(),
        wants: Count(needed).to_string(),
        why: format!(
            "no process may have more descriptors than this, whatever fs.file-max says: {} are \
             needed",
            Count(needed)
        ),
        remedy: Remedy::Sysctl(needed.to_string()),
    })
}

pub(super) fn file_max(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let Err(LimitError::Files { needed, free }) = limits::files(&facts.limits, &need.limits) else {
        return None;
    };
    let open = facts.files_open.unwrap_or(0);
    let wanted = needed.saturating_add(open).saturating_mul(2);
    let ends = if need.limits.embedded_busiest.is_some() { "both ends of " } else { "" };
    Some(Finding {
        severity: Severity::Stop,
        is: Count(free.saturating_add(open)).to_string(),
        wants: Count(wanted).to_string(),
        why: format!(
            "all processes together: {} files are open, {ends}{} sockets want {} more; the rest of \
             the system wants some too",
            Count(open),
            Count(need.sockets()),
            Count(needed)
        ),
        remedy: Remedy::Sysctl(wanted.to_string()),
    })
}
