//! The rule about io_uring: who withholds it, and whether the plan goes on without.

use crate::audit::facts::Facts;
use crate::audit::finding::{Finding, Remedy, Severity};
use crate::audit::requirements::{PlanRequirements, UringDemand};
use crate::host::io_uring::Refusal;
use crate::units::Bytes;

pub(super) fn disabled(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let refusal = facts.uring_refusal()?;
    matches!(refusal, Refusal::Sysctl { .. }).then(|| withheld(facts, need, &refusal))?
}

pub(super) fn withheld_otherwise(facts: &Facts, need: &PlanRequirements) -> Option<Finding> {
    let refusal = facts.uring_refusal()?;
    (!matches!(refusal, Refusal::Sysctl { .. })).then(|| withheld(facts, need, &refusal))?
}

fn withheld(facts: &Facts, need: &PlanRequirements, refusal: &Refusal) -> Option<Finding> {
    if need.io_uring == UringDemand::Unused {
        return None;
    }
    // As `plan::engine` chooses: what one command gives is not gone without.
    let stops = need.io_uring == UringDemand::Required || refusal.is_fixed_on_the_spot();
    let goes_on = if stops { "" } else { "; epoll is used, at a higher cost for each copy" };
    Some(Finding {
        severity: if stops { Severity::Stop } else { Severity::Warn },
        is: is(facts, refusal),
        wants: wants(refusal).to_owned(),
        why: format!("{}{goes_on}", why(refusal)),
        remedy: remedy(refusal),
    })
}

const fn wants(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Sysctl { .. } => "0",
        Refusal::Memory => "memory for its queues",
        _ => "allowed",
    }
}

fn is(facts: &Facts, refusal: &Refusal) -> String {
    match refusal {
        Refusal::Sysctl { value } => value.to_string(),
        Refusal::Seccomp | Refusal::NotEntered { .. } => "blocked by seccomp".to_owned(),
        Refusal::Killed => "seccomp kills (SIGSYS)".to_owned(),
        Refusal::Untried { .. } => "unknown".to_owned(),
        Refusal::TooOld { release } | Refusal::Absent { release } => format!("Linux {release}"),
        Refusal::Memory => match facts.memory.memlock_bytes {
            Some(bytes) if bytes < u64::MAX => format!("ENOMEM, memlock {}", Bytes(bytes)),
            _ => "ENOMEM".to_owned(),
        },
        Refusal::Other { error, .. } => error.clone(),
    }
}

fn why(refusal: &Refusal) -> String {
    let text = refusal.to_string();
    // The refusal's line ends in its remedy, which has a column of its own.
    text.split_once(": ").map_or(text.as_str(), |(why, _)| why).to_owned()
}

fn remedy(refusal: &Refusal) -> Remedy {
    match refusal {
        Refusal::Sysctl { .. } => Remedy::Sysctl("0".to_owned()),
        Refusal::Seccomp | Refusal::Killed | Refusal::NotEntered { .. } => Remedy::Advice(
            "docker run --security-opt seccomp=FILE, a profile that tuning/containers/allow-io-uring.py \
             makes, or unconfined"
                .to_owned(),
        ),
        Refusal::TooOld { .. } => Remedy::Advice("a kernel of 6.1 or later".to_owned()),
        Refusal::Absent { .. } => Remedy::Advice("a stock kernel, without a sandbox".to_owned()),
        Refusal::Memory => Remedy::Advice(
            "`ulimit -l unlimited` as root, LimitMEMLOCK=infinity (systemd), docker run --ulimit \
             memlock=-1, or --engine epoll"
                .to_owned(),
        ),
        Refusal::Other { .. } | Refusal::Untried { .. } => Remedy::Advice("--engine epoll".to_owned()),
    }
}
