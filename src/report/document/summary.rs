//! The flat figures at the end of a document, from its trials: what continuous integration reads.
//!
//! Belongs here: which trial heads a result, and the sums over all. Does not: the trials themselves.

use super::figures::micros;
use super::{Document, Summary};
use crate::report::document::search::Finding;
use crate::report::document::trial::{Latency, LatencyClass, TrialResult, Trust};
use crate::report::sanitize::UntrustedText;

impl Document {
    /// The same with the summary that follows from its trials.
    pub(super) fn summed_up(self) -> Self {
        Self { summary: summary(&self), ..self }
    }

    /// The trial whose times a summary gives: of a search the last good one at the lower bound; else the largest
    /// complete one, else the last.
    pub fn headline(&self) -> Option<&TrialResult> {
        if let Some(held) = self.held() {
            return Some(held);
        }
        let complete = self.trials.iter().filter(|run| run.complete());
        complete.max_by_key(|run| run.messages).or_else(|| self.trials.last())
    }

    /// Of a search, the last good trial at the lower bound.
    fn held(&self) -> Option<&TrialResult> {
        let search = self.search.as_ref()?;
        let mut held = search.measured_at(search.lower_per_s?).rev();
        let held = held.find(|tried| tried.finding == Some(Finding::Good))?;
        self.trials.iter().find(|run| run.id == held.id)
    }

    /// The trial whose details are told: of a search its headline; else the last that failed, else the last whose
    /// times are void, else the last.
    pub fn detailed(&self) -> Option<&TrialResult> {
        let last = |wanted: fn(&&TrialResult) -> bool| self.trials.iter().rev().find(wanted);
        if self.search.is_some() {
            return self.headline();
        }
        last(|run| !run.complete() || !run.lost_sockets.is_empty())
            .or_else(|| last(|run| run.verdict.trust == Trust::Void))
            .or_else(|| self.trials.last())
    }

    /// With one trial alone, which is no search any more; `None` if it did not run.
    pub fn only(mut self, id: &UntrustedText) -> Option<Self> {
        self.search = None;
        self.trials.retain(|run| run.id == *id);
        self.skipped.retain(|skipped| skipped.id == *id);
        if let Some(calibration) = &mut self.calibration {
            calibration.trials.retain(|run| run.id == *id);
        }
        (!self.trials.is_empty()).then(|| self.summed_up())
    }
}

fn summary(document: &Document) -> Summary {
    let total = document.delivery();
    Summary {
        complete: !document.trials.is_empty()
            && document.skipped.is_empty()
            && document.trials.iter().all(TrialResult::complete),
        trust: document.trust().unwrap_or(Trust::Void),
        expected: total.expected,
        delivered: total.delivered,
        missing: total.missing,
        duplicate: total.duplicate,
        misdelivered: total.misdelivered,
        late: document.trials.iter().fold(0, |sum, run| run.late.all().saturating_add(sum)),
        out_of_order: total.out_of_order,
        foreign: total.foreign,
        corrupt: total.corrupt,
        lost_sockets: document.trials.iter().map(|run| run.lost_sockets.len() as u64).sum(),
        ..times(document)
    }
}

/// The figures of the trial that heads the result.
fn times(document: &Document) -> Summary {
    let shown = document.headline();
    let class = |class| shown.and_then(|run| run.latency_us.of(class));
    let load = shown.and_then(|run| document.plan.load_of(run));
    let headline = load.and_then(|load| class(load.headline_latency));
    let completion = class(LatencyClass::Completion);
    Summary {
        trial: shown.map(|run| run.id.clone()),
        messages: shown.map(|run| run.messages),
        send_s: shown.and_then(|run| run.time.send_s),
        receive_s: shown.and_then(|run| run.time.receive_s),
        sent_per_s: shown.and_then(|run| run.throughput.sent_per_s),
        copies_per_s: shown.and_then(|run| run.throughput.copies_per_s),
        p50_ms: millis(headline, |latency| latency.p50),
        p99_ms: millis(headline, |latency| latency.p99),
        p99_9_ms: millis(headline, |latency| latency.p99_9),
        max_ms: millis(headline, |latency| latency.max),
        completion_p50_ms: millis(completion, |latency| latency.p50),
        completion_p99_ms: millis(completion, |latency| latency.p99),
        cpu_ns_per_copy: shown.and_then(TrialResult::cpu_ns_per_copy),
        process_cpu_ns_per_copy: shown.and_then(|run| run.generator.process_cpu_ns_per_copy),
        ..Summary::default()
    }
}

/// Through whole nanoseconds, so that no digit is the arithmetic's.
fn millis(latency: Option<&Latency>, of: fn(&Latency) -> Option<f64>) -> Option<f64> {
    latency.and_then(of).map(|figure| micros(figure).0 as f64 / 1e6)
}
