//! Every metric: its name, type, unit, labels and words, and what its samples are.
//!
//! Belongs here: the table, from which `docs/metrics.md` is made. Does not: how it is written (`exposition`).
//! A new metric is an entry here, and nothing else.

use super::samples::Samples;
use super::seconds;
use super::state::{Metrics, Phase};
use super::trial::{Copies, End, Trial};
use crate::report::VERSION;

/// What may be done with a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows within a trial.
    Counter,
    /// It may be anything.
    Gauge,
    /// How many values lie up to each bound.
    Histogram,
    /// Always 1; its labels say something.
    Info,
}

impl Kind {
    /// What follows the family's name in its samples; those of a histogram have three.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Counter => "_total",
            Self::Info => "_info",
            Self::Gauge | Self::Histogram => "",
        }
    }

    /// Its name in OpenMetrics.
    pub const fn open_metrics(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }
}

/// Since when a metric is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// As soon as it is known, and through the run.
    Begin,
    /// While the trial runs: several times a second.
    Running,
    /// While the trial runs: once a second.
    Second,
    /// When the trial is over.
    End,
}

/// A metric with all its labels.
pub struct Family {
    /// Without what follows it in samples.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// The unit that ends its name.
    pub unit: Option<&'static str>,
    /// Of each sample; a label without a value is empty.
    pub labels: &'static [&'static str],
    /// Since when.
    pub since: Since,
    /// One or two sentences.
    pub help: &'static str,
    pub(super) samples: fn(&Metrics, &mut Samples<'_>),
}

const TRIAL: &[&str] = &["trial"];
const NODE: &[&str] = &["trial", "node", "reached"];

/// All of them.
pub const FAMILIES: &[Family] = &[
    Family {
        name: "fanstorm_build",
        kind: Kind::Info,
        unit: None,
        labels: &["version"],
        since: Since::Begin,
        help: "The program that is scraped.",
        samples: |_, to| to.put(&[("version", VERSION)], true),
    },
    Family {
        name: "fanstorm_plan",
        kind: Kind::Info,
        unit: None,
        labels: &["dialect", "fan_out", "engine"],
        since: Since::Begin,
        help: "What is run: the dialect, who hears a message, and through what the workers ask the kernel (io_uring, epoll).",
        samples: |metrics, to| {
            if let Some(plan) = &metrics.plan {
                let labels = [
                    ("dialect", plan.dialect.as_str()),
                    ("fan_out", plan.fan_out),
                    ("engine", plan.engine),
                ];
                to.put(&labels, true);
            }
        },
    },
    Family {
        name: "fanstorm_start_time_seconds",
        kind: Kind::Gauge,
        unit: Some("seconds"),
        labels: &[],
        since: Since::Begin,
        help: "When the run was started, since 1970-01-01 UTC.",
        samples: |metrics, to| to.put(&[], metrics.started_unix_ms as f64 / 1e3),
    },
    Family {
        name: "fanstorm_phase",
        kind: Kind::Gauge,
        unit: None,
        labels: &["phase"],
        since: Since::Begin,
        help: "What the run is doing (start, calibrate, connect, probe, prepare, run, ended): 1 for that phase, 0 for the others.",
        samples: |metrics, to| {
            for phase in Phase::ALL {
                to.put(&[("phase", phase.label())], phase == metrics.phase);
            }
        },
    },
    Family {
        name: "fanstorm_sockets_planned",
        kind: Kind::Gauge,
        unit: None,
        labels: &[],
        since: Since::Begin,
        help: "Sockets of the plan, those that push and those that only receive.",
        samples: |metrics, to| {
            if let Some(plan) = &metrics.plan {
                to.put(&[], plan.sockets);
            }
        },
    },
    Family {
        name: "fanstorm_sockets_connected",
        kind: Kind::Gauge,
        unit: None,
        labels: &[],
        since: Since::Begin,
        help: "Sockets that were connected before the first trial.",
        samples: |metrics, to| to.put(&[], metrics.connected),
    },
    Family {
        name: "fanstorm_trials_planned",
        kind: Kind::Gauge,
        unit: None,
        labels: &[],
        since: Since::Begin,
        help: "Trials of the plan; of a search, those chosen so far.",
        samples: |metrics, to| {
            if metrics.plan.is_some() {
                to.put(&[], metrics.planned.len() as u64);
            }
        },
    },
    Family {
        name: "fanstorm_trials_ended",
        kind: Kind::Counter,
        unit: None,
        labels: &[],
        since: Since::Begin,
        help: "Trials that came to their end.",
        samples: |metrics, to| to.put(&[], metrics.trials_ended),
    },
    Family {
        name: "fanstorm_messages_planned",
        kind: Kind::Gauge,
        unit: None,
        labels: TRIAL,
        since: Since::Running,
        help: "Messages of the trial, those of a warm-up included.",
        samples: |metrics, to| each(metrics, |trial, id| to.put(&[id], trial.messages)),
    },
    Family {
        name: "fanstorm_messages_sent",
        kind: Kind::Counter,
        unit: None,
        labels: TRIAL,
        since: Since::Second,
        help: "Messages that the kernel took whole.",
        samples: |metrics, to| each(metrics, |trial, id| to.put(&[id], trial.sent)),
    },
    copies(
        "fanstorm_copies_expected",
        Kind::Gauge,
        Since::Running,
        "Copies that must come: of all messages of the trial, to all sockets that must hear them.",
        |metrics, to| counts(metrics, to, |copies| copies.expected),
    ),
    copies(
        "fanstorm_copies_delivered",
        Kind::Counter,
        Since::Running,
        "Expected copies that came, each counted once.",
        |metrics, to| counts(metrics, to, |copies| copies.delivered),
    ),
    copies(
        "fanstorm_copies_missing",
        Kind::Gauge,
        Since::Second,
        "Copies of messages that are due (without a schedule: sent) and have not come. At the end of the trial: expected copies that did not come.",
        |metrics, to| counts(metrics, to, |copies| copies.missing),
    ),
    copies(
        "fanstorm_copies_duplicate",
        Kind::Counter,
        Since::Second,
        "Further arrivals of copies that had come.",
        |metrics, to| counts(metrics, to, |copies| copies.duplicate),
    ),
    copies(
        "fanstorm_copies_misdelivered",
        Kind::Counter,
        Since::Second,
        "Copies on sockets that must not hear their sender.",
        |metrics, to| counts(metrics, to, |copies| copies.misdelivered),
    ),
    copies(
        "fanstorm_copies_out_of_order",
        Kind::Counter,
        Since::Second,
        "Delivered copies that came after a later one of their stream.",
        |metrics, to| counts(metrics, to, |copies| copies.out_of_order),
    ),
    copies(
        "fanstorm_copies_corrupt",
        Kind::Counter,
        Since::Second,
        "Copies whose tag or text was altered.",
        |metrics, to| counts(metrics, to, |copies| copies.corrupt),
    ),
    copies(
        "fanstorm_messages_foreign",
        Kind::Counter,
        Since::Second,
        "Messages that came and are not of this run.",
        |metrics, to| counts(metrics, to, |copies| copies.foreign),
    ),
    Family {
        name: "fanstorm_latency_seconds",
        kind: Kind::Histogram,
        unit: Some("seconds"),
        labels: &["trial", "class"],
        since: Since::Second,
        help: "Latency of copies (classes service, response, wait) and of messages (completion, spread), without a warm-up. While the trial runs service and response are known.",
        samples: |metrics, to| {
            each(metrics, |trial, id| {
                for (class, buckets) in &trial.latency {
                    to.histogram(&[id, ("class", class)], buckets);
                }
            });
        },
    },
    Family {
        name: "fanstorm_latency_max_seconds",
        kind: Kind::Gauge,
        unit: Some("seconds"),
        labels: &["trial", "class"],
        since: Since::Second,
        help: "The longest latency in fanstorm_latency_seconds, exactly.",
        samples: |metrics, to| {
            each(metrics, |trial, id| {
                for (class, buckets) in &trial.latency {
                    let max = buckets.max.map(seconds);
                    max.into_iter().for_each(|max| to.put(&[id, ("class", class)], max));
                }
            });
        },
    },
    Family {
        name: "fanstorm_node_latency_seconds",
        kind: Kind::Histogram,
        unit: Some("seconds"),
        labels: NODE,
        since: Since::Second,
        help: "Latency of copies by the node that delivered them: response where messages have due times, else service.",
        samples: |metrics, to| {
            each(metrics, |trial, id| {
                for row in &trial.by_node {
                    let labels = [id, ("node", &*row.node), ("reached", &*row.reached)];
                    to.histogram(&labels, &row.latency);
                }
            });
        },
    },
    Family {
        name: "fanstorm_node_copies_expected",
        kind: Kind::Gauge,
        unit: None,
        labels: NODE,
        since: Since::End,
        help: "Copies that had to come over the node's sockets.",
        samples: |metrics, to| rows(metrics, to, |(expected, _)| expected),
    },
    Family {
        name: "fanstorm_node_copies_missing",
        kind: Kind::Gauge,
        unit: None,
        labels: NODE,
        since: Since::End,
        help: "Copies that had to come over the node's sockets and did not.",
        samples: |metrics, to| {
            rows(metrics, to, |(expected, delivered)| expected.saturating_sub(delivered));
        },
    },
    Family {
        name: "fanstorm_sockets_lost",
        kind: Kind::Counter,
        unit: None,
        labels: &["trial", "node"],
        since: Since::Second,
        help: "Sockets that were lost in the trial, or after it and before the next.",
        samples: |metrics, to| {
            each(metrics, |trial, id| {
                for (node, lost) in &trial.lost.0 {
                    to.put(&[id, ("node", node)], *lost);
                }
            });
        },
    },
    Family {
        name: "fanstorm_sockets_reconnected",
        kind: Kind::Counter,
        unit: None,
        labels: TRIAL,
        since: Since::Running,
        help: "Sockets that had been lost and were connected again before the trial.",
        samples: |metrics, to| each(metrics, |trial, id| to.put(&[id], trial.reconnected)),
    },
    Family {
        name: "fanstorm_schedule_lag_max_seconds",
        kind: Kind::Gauge,
        unit: Some("seconds"),
        labels: TRIAL,
        since: Since::Second,
        help: "How late the generator itself turned to a message that was due, at most. Not there without due times.",
        samples: |metrics, to| {
            each(metrics, |trial, id| {
                let lag = trial.lag.map(seconds);
                lag.into_iter().for_each(|lag| to.put(&[id], lag));
            });
        },
    },
    Family {
        name: "fanstorm_worker_busy_ratio",
        kind: Kind::Gauge,
        unit: Some("ratio"),
        labels: &["trial", "cpu"],
        since: Since::Second,
        help: "The share of a worker's time that was work and not polling: of the last second, and of the whole trial once that is over.",
        samples: |metrics, to| {
            let Some(plan) = &metrics.plan else { return };
            each(metrics, |trial, id| {
                for (cpu, busy) in plan.cores.iter().zip(&trial.busy) {
                    to.put(&[id, ("cpu", cpu)], *busy);
                }
            });
        },
    },
    Family {
        name: "fanstorm_trial_ended",
        kind: Kind::Gauge,
        unit: None,
        labels: TRIAL,
        since: Since::Running,
        help: "1 when the trial is over and its figures are final (copies that come later may still make further duplicates), else 0.",
        samples: |metrics, to| each(metrics, |trial, id| to.put(&[id], trial.is_over())),
    },
    Family {
        name: "fanstorm_trial_send_seconds",
        kind: Kind::Gauge,
        unit: Some("seconds"),
        labels: TRIAL,
        since: Since::End,
        help: "From the first submission to the last completion of a send.",
        samples: |metrics, to| ends(metrics, |end, id| put_known(to, id, end.send_s)),
    },
    Family {
        name: "fanstorm_trial_receive_seconds",
        kind: Kind::Gauge,
        unit: Some("seconds"),
        labels: TRIAL,
        since: Since::End,
        help: "From the first submission to the last copy.",
        samples: |metrics, to| ends(metrics, |end, id| put_known(to, id, end.receive_s)),
    },
    Family {
        name: "fanstorm_verdict",
        kind: Kind::Gauge,
        unit: None,
        labels: &["trial", "verdict"],
        since: Since::End,
        help: "How far the trial can be trusted (ok, degraded, void): 1 for that verdict, 0 for the others.",
        samples: |metrics, to| {
            ends(metrics, |end, id| {
                for verdict in ["ok", "degraded", "void"] {
                    to.put(&[id, ("verdict", verdict)], verdict == end.trust);
                }
            });
        },
    },
    Family {
        name: "fanstorm_caveat",
        kind: Kind::Gauge,
        unit: None,
        labels: &["trial", "code", "severity"],
        since: Since::End,
        help: "1 for each caveat of the trial's verdict; docs/verdict.md says what each code means.",
        samples: |metrics, to| {
            ends(metrics, |end, id| {
                for (code, severity) in &end.caveats {
                    to.put(&[id, ("code", code), ("severity", severity)], true);
                }
            });
        },
    },
];

/// A part of the account of each trial.
const fn copies(
    name: &'static str,
    kind: Kind,
    since: Since,
    help: &'static str,
    samples: fn(&Metrics, &mut Samples<'_>),
) -> Family {
    Family { name, kind, unit: None, labels: TRIAL, since, help, samples }
}

fn counts(metrics: &Metrics, to: &mut Samples<'_>, of: fn(&Copies) -> u64) {
    each(metrics, |trial, id| to.put(&[id], of(&trial.copies)));
}

fn rows(metrics: &Metrics, to: &mut Samples<'_>, of: fn((u64, u64)) -> u64) {
    each(metrics, |trial, id| {
        for row in &trial.by_node {
            let labels = [id, ("node", &*row.node), ("reached", &*row.reached)];
            row.copies.into_iter().for_each(|copies| to.put(&labels, of(copies)));
        }
    });
}

fn each<'m>(metrics: &'m Metrics, mut put: impl FnMut(&'m Trial, (&'static str, &'m str))) {
    metrics.trials.iter().for_each(|trial| put(trial, ("trial", &trial.id)));
}

fn ends<'m>(metrics: &'m Metrics, mut put: impl FnMut(&'m End, (&'static str, &'m str))) {
    each(metrics, |trial, id| trial.end.iter().for_each(|end| put(end, id)));
}

fn put_known(to: &mut Samples<'_>, id: (&'static str, &str), value: Option<f64>) {
    value.into_iter().for_each(|value| to.put(&[id], value));
}
