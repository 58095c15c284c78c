//! Whether the generator itself was the bottleneck, or its figures are not what they seem.
//!
//! Belongs here: rules about the workers, their stamps and the account. Does not: rules about being in time
//! (`schedule`), about this host (`cpus`, `drops`).

use crate::measure::latencies::Latencies;
use crate::measure::outcome::{CoreUse, Untaught};
use crate::measure::percentile::Percentile;
use crate::units::{Count, Nanos};
use crate::verdict::facts::{
    DEGRADED, EITHER, Evidence, Grounds, Kind, Rule, VOID, degraded, percent, void,
};

/// A core that is busier than this has no reserve to be in time with.
const BUSY_MAX: f64 = 0.95;
/// A shorter trial is over before a share of its time says anything.
const BUSY_ROW_MIN: Nanos = Nanos::from_millis(100);
/// Of the p99 that heads the report, the share that may be our late stamps.
const STAMPS_OF_LATENCY_MAX: f64 = 0.10;

/// Each with its code and its meaning.
pub(super) const RULES: &[Rule] = &[
    Rule {
        kind: Kind {
            code: "cq-overflow",
            severities: VOID,
            meaning: "The io_uring completion queue was full: the kernel kept completions aside, and their \
                  copies are stamped late.",
        },
        judge: cq_overflow,
    },
    Rule {
        kind: Kind {
            code: "histogram-saturated",
            severities: VOID,
            meaning: "Latencies were larger than the histogram can hold: high percentiles are too low.",
        },
        judge: histogram_saturated,
    },
    Rule {
        kind: Kind {
            code: "ids-overflowed",
            severities: VOID,
            meaning: "Copies came by an id for which the table of ids had no room: some copies counted as \
                  foreign may be this trial's.",
        },
        judge: ids_overflowed,
    },
    Rule {
        kind: Kind {
            code: "ids-untaught",
            severities: DEGRADED,
            meaning: "Copies came by ids whose text never came: some of the missing copies may be among \
                  the foreign ones.",
        },
        judge: ids_untaught,
    },
    Rule {
        kind: Kind {
            code: "core-busy",
            severities: EITHER,
            meaning: "A worker's CPU had no reserve. In open loop sends and stamps are late (void); in a \
                  burst the receive time may be the generator's own (degraded).",
        },
        judge: core_busy,
    },
    Rule {
        kind: Kind {
            code: "buffers-exhausted",
            severities: DEGRADED,
            meaning: "All receive buffers of a ring were taken: copies waited in the kernel.",
        },
        judge: buffers_exhausted,
    },
    Rule {
        kind: Kind {
            code: "long-turn",
            severities: DEGRADED,
            meaning: "One batch of completions took longer than the p99 that heads the report: stamps may \
                  be late by as much.",
        },
        judge: long_turn,
    },
    Rule {
        kind: Kind {
            code: "late-stamps",
            severities: DEGRADED,
            meaning: "A large part of the p99 is the time from a copy's arrival at this host to its stamp.",
        },
        judge: late_stamps,
    },
    Rule {
        kind: Kind {
            code: "wall-clock-set",
            severities: DEGRADED,
            meaning: "The wall clock was set during the trial: how late stamps were is unknown. Latencies \
                  do not depend on it.",
        },
        judge: clock_was_set,
    },
    Rule {
        kind: Kind {
            code: "late-arrivals",
            severities: DEGRADED,
            meaning: "Copies of earlier trials or of the probe came during this trial.",
        },
        judge: late_arrivals,
    },
];

fn cq_overflow(facts: &Evidence<'_>) -> Option<Grounds> {
    let overflow = sum(facts, |core| core.cq_overflow);
    (overflow > 0).then(|| {
        void(
            format!(
                "the completion queue was full: {} completions were kept aside by the kernel, and \
                 their copies are stamped late",
                Count(overflow)
            ),
            "spread the sockets over more --cores",
        )
    })
}

fn histogram_saturated(facts: &Evidence<'_>) -> Option<Grounds> {
    let saturated = facts.outcome.saturated;
    (saturated > 0).then(|| {
        void(
            format!(
                "{} latencies were above {} and are in no histogram: high percentiles are too low",
                Count(saturated),
                Latencies::TOP
            ),
            "a copy that late is better counted as missing: lower --drain",
        )
    })
}

fn ids_overflowed(facts: &Evidence<'_>) -> Option<Grounds> {
    let lost = facts.outcome.unattributable;
    (lost > 0).then(|| {
        void(format!(
                "{} copies came by an id for which the table had no room: they count as foreign, and \
                 may be ours",
                Count(lost)
            ),
            "other users send too much through this cluster, more than 5 000 copies a second to the \
             sockets of one CPU: run while they are quiet, with fewer --receivers-per-node, or with more \
             --cores",
        )
    })
}

fn ids_untaught(facts: &Evidence<'_>) -> Option<Grounds> {
    let Untaught { copies, messages } = facts.outcome.untaught;
    let meet = copies.min(facts.outcome.delivery.missing);
    (meet > 0 && messages > 0).then(|| {
        degraded(format!(
                "{} copies came by ids whose text never came, and of {} messages nothing else came: the \
                 copies count as foreign, and up to {} of the missing copies may be among them",
                Count(copies),
                Count(messages),
                Count(meet)
            ),
            "the push node's own clients lost the text of these messages: look at its links first, or \
             give it more --push-sockets and --receivers-per-node to hear it",
        )
    })
}

fn core_busy(facts: &Evidence<'_>) -> Option<Grounds> {
    let busiest = facts.outcome.cores.iter().max_by(|a, b| a.busy().total_cmp(&b.busy()))?;
    let (busy, cpu) = (percent(busiest.busy()), busiest.cpu);
    let remedy = "give the generator more --cores";
    if busiest.busy() <= BUSY_MAX {
        return None;
    }
    if facts.profile.is_open_loop() {
        let text =
            format!("CPU {cpu} was {busy} busy with our own work: sends and stamps are late");
        return Some(void(text, remedy));
    }
    // A burst has no schedule to be late for: the core may well be busy, if the cluster is fast.
    (busiest.wall >= BUSY_ROW_MIN).then(|| {
        let text = format!(
            "CPU {cpu} was {busy} busy with our own work: the receive time may be the generator's \
             own, and a faster cluster would not show"
        );
        degraded(text, remedy)
    })
}

fn buffers_exhausted(facts: &Evidence<'_>) -> Option<Grounds> {
    let times = sum(facts, |core| core.enobufs);
    (times > 0).then(|| {
        degraded(
            format!(
                "all receive buffers were taken, {} time{}: copies waited in the kernel for us",
                Count(times),
                if times == 1 { "" } else { "s" }
            ),
            "spread the sockets over more --cores",
        )
    })
}

fn long_turn(facts: &Evidence<'_>) -> Option<Grounds> {
    let longest = facts.outcome.cores.iter().max_by_key(|core| core.longest_turn)?;
    let (class, histogram) = facts.outcome.latency_ns.first()?;
    let p99 = Percentile::P99.of(histogram)?;
    (longest.longest_turn > p99).then(|| {
        degraded(
            format!(
                "CPU {} worked {} on one batch of completions, longer than the {} p99 of {p99}: \
                 copies may have come so much earlier than their stamp",
                longest.cpu,
                longest.longest_turn,
                class.key()
            ),
            "give the generator more --cores, and leave each of them to it alone",
        )
    })
}

/// Held against a limit only where there are samples enough for a percentile that would be reported:
/// one read in a hundred that was late says nothing.
fn late_stamps(facts: &Evidence<'_>) -> Option<Grounds> {
    let stamps = facts.outcome.stamps_ns.as_ref()?;
    let (class, headline) = facts.outcome.latency_ns.first()?;
    let (late, p99) = (Percentile::P99.of(stamps)?, Percentile::P99.of(headline)?);
    (late.0 as f64 > STAMPS_OF_LATENCY_MAX * p99.0 as f64).then(|| {
        degraded(format!(
                "of the {} p99 of {p99} up to {late} are our own: so late were copies stamped at the \
                 p99 of {} sampled reads, after this host had them",
                class.key(),
                Count(stamps.len())
            ),
            "run with --wait latency, and give each worker a core of its own (--cores)",
        )
    })
}

fn clock_was_set(facts: &Evidence<'_>) -> Option<Grounds> {
    facts.outcome.clock_was_set.then(|| {
        degraded("the wall clock of this host was set during the trial: how late copies were stamped, which \
             the kernel tells by it, is not known; latencies do not depend on it"
                .to_owned(),
            "keep the time service from stepping the clock while a load runs (chronyc tracking)",
        )
    })
}

/// They took their time of the cluster and of us, and what of this trial came so late nobody knows.
fn late_arrivals(facts: &Evidence<'_>) -> Option<Grounds> {
    let earlier = facts.outcome.delivery.earlier;
    (earlier > 0).then(|| {
        degraded(format!(
                "{} copies of earlier trials or of the probe came while this one ran: the cluster was not \
                 done with them",
                Count(earlier)
            ),
            "see what came late under the copies; give a longer --drain where copies were missing, or \
             run this number of --messages by itself",
        )
    })
}

fn sum(facts: &Evidence<'_>, of: impl Fn(&CoreUse) -> u64) -> u64 {
    facts.outcome.cores.iter().map(of).sum()
}
