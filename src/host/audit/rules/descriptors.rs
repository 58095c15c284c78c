//! Rules about files: what `host::limits` refuses, and the system's own ceiling.

use super::super::facts::Facts;
use super::super::finding::{Finding, Remedy, Severity};
use super::super::need::Need;
use crate::host::limits::{self, LimitError};
use crate::units::Count;

pub(super) fn nofile(facts: &Facts, need: &Need) -> Option<Finding> {
    let Err(LimitError::Descriptors { needed, sockets, limit, .. }) =
        limits::descriptors(&facts.limits, &need.limits)
    else {
        return None;
    };
    let own = needed.saturating_sub(sockets);
    Some(Finding {
        severity: Severity::Stop,
        is: Count(limit).to_string(),
        wants: Count(needed).to_string(),
        why: format!(
            "{} sockets + {own} descriptors of our own = {}; the hard limit is {}, and only root \
             raises it. A service takes LimitNOFILE= and a container --ulimit nofile=, not \
             limits.conf",
            Count(sockets),
            Count(needed),
            Count(limit)
        ),
        remedy: Remedy::Descriptors(needed),
    })
}

pub(super) fn nr_open(facts: &Facts, need: &Need) -> Option<Finding> {
    let Err(LimitError::Descriptors { needed, nr_open, .. }) =
        limits::descriptors(&facts.limits, &need.limits)
    else {
        return None;
    };
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

pub(super) fn file_max(facts: &Facts, need: &Need) -> Option<Finding> {
    let (max, open) = (facts.file_max?, facts.files_open.unwrap_or(0));
    let total = need.sockets_here().saturating_add(open);
    let ends = if need.place.is_here() { "both ends of " } else { "" };
    (total > max).then(|| Finding {
        // The ceiling does not bind processes with CAP_SYS_ADMIN.
        severity: if facts.is_admin { Severity::Info } else { Severity::Warn },
        is: Count(max).to_string(),
        wants: Count(total.saturating_mul(2)).to_string(),
        why: format!(
            "all processes together: {} files are open, {ends}{} sockets make it {}; the rest of \
             the system wants some too",
            Count(open),
            Count(need.sockets()),
            Count(total)
        ),
        remedy: Remedy::Sysctl(total.saturating_mul(2).to_string()),
    })
}
