//! Whether the schedule of an open loop was kept, and who is to blame where it was not.
//!
//! Belongs here: the rules about being in time. Does not: those about stamps, cores and the host.

use crate::measure::latencies::Latencies;
use crate::measure::outcome::Class;
use crate::measure::percentile::Percentile;
use crate::units::{Nanos, Rate};
use crate::verdict::facts::{
    Beside, DEGRADED, Evidence, Grounds, Kind, Rule, VOID, degraded, void,
};

/// Of the least mean interval between messages, the share that the p99 of the schedule lag may reach, as
/// long as it is also less than the next of the reported p99.
const LAG_OF_INTERVAL_MAX: f64 = 0.10;
/// Of the p99 that heads the report, the share that is lost in it.
const LAG_OF_LATENCY_MAX: f64 = 0.05;
/// Of the rate that was scheduled, the share by which the one that was sent may fall short.
const SHORT_OF_RATE_MAX: f64 = 0.01;
/// In a shorter trial one message that is late at its end is more than that.
const RATE_ROW_MIN: Nanos = Nanos::from_millis(100);

/// Code of a caveat: the cluster did not take messages as fast as they were due.
pub const RATE_NOT_REACHED: &str = "rate-not-reached";

/// Each with its code and its meaning.
pub(super) const RULES: &[Rule] = &[
    Rule {
        kind: Kind {
            code: "schedule-lag",
            severities: VOID,
            meaning: "The generator turned to due messages too late to hold the schedule.",
        },
        judge: schedule_lag,
    },
    Rule {
        kind: Kind {
            code: RATE_NOT_REACHED,
            severities: DEGRADED,
            meaning: "Fewer messages left in a second than the schedule asked for: the times are those of \
                  the lower load.",
        },
        judge: rate_not_reached,
    },
];

/// Judged by our own lateness, not by the wait: a cluster that does not read makes messages wait
/// for their socket, and that is a result.
///
/// What is late by a tenth of the interval bends the schedule, and is excused where it is nothing beside
/// the latencies that are reported. That excuse must not grow with the offence. The p99 of a cluster on
/// our own CPUs does: a generator that takes them makes the cluster slow as well as itself late, and was
/// excused by the p99 that it had spoilt, where a thriftier one was void. So what excuses is a latency
/// that we cannot have made, see [`unspoilt`].
fn schedule_lag(facts: &Evidence<'_>) -> Option<Grounds> {
    let (peak, lag) = (facts.profile.peak()?, Tail::of(facts.outcome.lag_ns.as_ref()?)?);
    let interval = Nanos((1e9 / peak.as_f64()) as u64);
    let (latency, what) = unspoilt(facts, lag.value)?;
    let late = lag.value.0 as f64 > LAG_OF_INTERVAL_MAX * interval.0 as f64;
    let visible = lag.value.0 as f64 > LAG_OF_LATENCY_MAX * latency.0 as f64;
    (late && visible).then(|| {
        void(
            format!(
                "the generator itself was late by {lag}, against an interval of {interval} between \
                 messages and {what}"
            ),
            "give the generator more --cores and leave them to it alone, or lower --rate",
        )
    })
}

/// A latency of this trial that is the cluster's and none of our making, and what it is.
///
/// Where nobody shares our CPUs, we lengthen a latency in three ways: a message leaves late (at most by
/// the lag); those that were held up leave together, and the last of them waits for the others: a
/// cluster that keeps up works through messages faster than they are due, so that is less than the lag
/// once more; and a copy is stamped late (the sample tells). Without these three the p99 is the
/// cluster's. Where the cluster may use our CPUs there is no such bound: a copy may wait for as long as
/// we run. But not every copy does, and the least service time is that of one that waited for nobody: to
/// lengthen it, we would have to be in the way of every single one.
fn unspoilt(facts: &Evidence<'_>, lag: Nanos) -> Option<(Nanos, String)> {
    let outcome = facts.outcome;
    if facts.surroundings.beside != Beside::Nobody {
        let service = outcome.latency_ns.iter().find(|(class, _)| *class == Class::Service);
        let least = service.and_then(|(_, ns)| ns.min()).unwrap_or_default();
        let who = facts.surroundings.beside.who();
        let what = format!(
            "a service time of {least} at the least ({who} may use our CPUs: larger ones may be our \
             doing)"
        );
        return Some((least, what));
    }
    let (class, headline) = outcome.latency_ns.first()?;
    // Of no copies: what is late then is seen.
    let headline = Tail::of(headline).unwrap_or_default();
    let stamps = outcome.stamps_ns.as_ref().and_then(Tail::of).unwrap_or_default();
    let own = lag.plus(lag).plus(stamps.value);
    let part = match own < headline.value {
        true => format!("up to {own} of it our own"),
        false => "all of which may be our own".to_owned(),
    };
    let what = format!("a {} latency of {headline}, {part}", class.key());
    Some((headline.value.since(own), what))
}

/// Every copy may be accounted for while fewer messages left in a second than were asked for: the
/// figures are then those of the lower load.
fn rate_not_reached(facts: &Evidence<'_>) -> Option<Grounds> {
    let run = facts.outcome;
    let asked = facts.profile.due_times()?.asked();
    let (scheduled, sent) = (run.scheduled_per_s?, run.sent_per_s()?);
    let took = run.send_time?;
    if took < RATE_ROW_MIN || sent >= scheduled * (1.0 - SHORT_OF_RATE_MAX) {
        return None;
    }
    let longer = took.as_secs_f64() * (1.0 - sent / scheduled);
    let lag = run.lag_ns.as_ref().and_then(Latencies::max).unwrap_or_default();
    let remedy = if run.sent < run.messages {
        "not all messages could be sent: see the lost sockets"
    } else if lag.as_secs_f64() * 2.0 >= longer {
        "the generator itself was late: give it more --cores, or lower --rate"
    } else {
        "the sockets took no more: the push node reads too slowly for this rate; spread it over more \
         --push-sockets, or lower --rate"
    };
    let (scheduled, sent) = (Rate::per_second(scheduled), Rate::per_second(sent));
    let text = format!(
        "the rate was not reached: asked for {asked}, scheduled {scheduled}, sent {sent}; the times are \
         those of the lower load"
    );
    Some(degraded(text, remedy))
}

/// The value that one in a hundred exceeds, held against a limit also where there are too few samples
/// for a p99 that would be reported; it then says what it is.
#[derive(Clone, Copy, Debug, Default)]
struct Tail {
    value: Nanos,
    samples: u64,
}

impl Tail {
    fn of(ns: &Latencies) -> Option<Self> {
        let samples = ns.len();
        (samples > 0).then(|| Self { value: ns.at_quantile(0.99), samples })
    }
}

impl std::fmt::Display for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { value, samples } = self;
        // The place of the value among the sorted samples, counted from the last.
        match (samples - (samples * 99).div_ceil(100), *samples) {
            (_, 0) => f.write_str("nothing that came"),
            (_, Percentile::P99_SAMPLES_MIN..) => write!(f, "{value} at the p99"),
            (0, samples) => write!(f, "{value} at the most, of {samples}"),
            (beyond, samples) => write!(f, "{value} or more for {} of {samples}", beyond + 1),
        }
    }
}
