//! Rules about memory: what the plan takes, what the system would do to make room.

use crate::audit::facts::Facts;
use crate::audit::finding::{Finding, Remedy, Severity};
use crate::audit::requirements::PlanRequirements;
use crate::host::limits::{self, LimitError};
use crate::units::{Bytes, Count};

/// Below this, huge pages of ours are few.
const LARGE: u64 = 1 << 30;
/// Mappings of the program and its libraries, and of one worker: stack, ring, buffers, arenas.
const MAPS_OWN: u64 = 512;
const MAPS_PER_WORKER: u64 = 64;

pub(super) fn available(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let (needed, parts, available) = match limits::memory(&facts.limits, &need.limits) {
        Err(LimitError::Memory { needed, parts, available }) => (needed, parts, available),
        Err(LimitError::Mappings { needed, limit }) => {
            return Some(Finding {
                severity: Severity::Stop,
                is: format!(
                    "{} ({}), {} of it in use",
                    Bytes(limit.limit),
                    limit.name,
                    Bytes(limit.used)
                ),
                wants: format!("{} for the plan, and our own", Bytes(needed)),
                why: "an allocation beyond the limit ends the program".to_owned(),
                remedy: Remedy::Advice(
                    "raise the limit, or lower --messages, --receivers-per-node or --frame-memory"
                        .to_owned(),
                ),
            });
        }
        _ => return None,
    };
    Some(Finding {
        severity: Severity::Stop,
        is: Bytes(available).to_string(),
        wants: Bytes(needed).to_string(),
        why: format!("the plan takes {parts}"),
        remedy: Remedy::Advice(
            "lower --messages, --receivers-per-node or --frame-memory, free memory, or raise the limit \
             of the control group (docker --memory, systemd MemoryMax=)"
                .to_owned(),
        ),
    })
}

pub(super) fn swap(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let (swap, available) = (facts.memory.swap_bytes?, facts.limits.memory_bytes?);
    let needed = need.limits.memory_bytes();
    (swap > 0 && needed > available / 2).then(|| Finding {
        severity: Severity::Warn,
        is: format!("{} of swap", Bytes(swap)),
        wants: "no swap during runs".to_owned(),
        why: format!(
            "the plan takes {} of the {} that are available: what is swapped out under way comes \
             back in milliseconds, and copies wait for it",
            Bytes(needed),
            Bytes(available)
        ),
        remedy: Remedy::Command("sudo swapoff -a  # and swapon -a afterwards".to_owned()),
    })
}

pub(super) fn huge_pages(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let mode = facts.memory.huge_pages.as_deref()?;
    let needed = need.limits.memory_bytes();
    (mode == "always" && needed >= LARGE).then(|| Finding {
        severity: Severity::Info,
        is: mode.to_owned(),
        wants: "madvise".to_owned(),
        why: format!(
            "of {} that the plan lays out, pages are taken as they are touched: looking for 2 MiB \
             in one piece may stop a worker for milliseconds, and takes more than is touched",
            Bytes(needed)
        ),
        remedy: Remedy::Command(
            "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled".to_owned(),
        ),
    })
}

pub(super) fn max_map_count(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let max = facts.memory.max_map_count?;
    let workers = need.workers.len() as u64;
    let wanted = MAPS_OWN + MAPS_PER_WORKER * workers;
    (max < wanted).then(|| Finding {
        severity: Severity::Warn,
        is: Count(max).to_string(),
        wants: Count(wanted).to_string(),
        why: format!(
            "{MAPS_OWN} mappings of the program + {MAPS_PER_WORKER} for each worker, {workers} here; \
             beyond the figure memory cannot be had although there is some"
        ),
        remedy: Remedy::Sysctl("65530".to_owned()),
    })
}
