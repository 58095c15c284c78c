//! Plan and outcome as a document. Every struct is taken apart by name, so that a new field that is
//! forgotten here does not compile.

use super as doc;
use super::connecting::{
    ConnectFailure, Connecting, Dialing, SetCookie, SourceAddresses, TlsDialing, TlsSessions,
};
use super::missing::{gap, lost_socket};
use super::reached::ReachedNode;
use super::times::{latency, micros, rounded};
use super::{course, deflate, histogram};
use crate::experiment::{Outcome, Skipped};
use crate::host::facts::HostFacts;
use crate::load::trial::Trial;
use crate::measure::connecting as measured;
use crate::measure::late::Late;
use crate::measure::latencies::Latencies;
use crate::measure::outcome::{
    Class, CoreUse, Delivery, Ending, MatrixCell, Opcodes, TrialOutcome, WarmUp,
};
use crate::measure::percentile::Percentile;
use crate::measure::sessions::Sessions;
use crate::plan::Plan;
use crate::plan::backend::Engine;
use crate::plan::local_addrs::LocalAddrs;
use crate::plan::wait::WaitMode;
use crate::population::fan_out::FanOut;
use crate::report::document::trial;
use crate::report::sanitize::UntrustedText;
use crate::report::{Invocation, VERSION};
use crate::tls::{RECORD_BYTES, TlsOptions};
use crate::units::{Nanos, Rate};
use crate::verdict::baseline::Baseline;
use crate::verdict::{Caveat, Judged, Trust};

impl doc::Document {
    /// What is known before the first trial: who runs what on which machine.
    pub fn begun(plan: &Plan, invocation: &Invocation) -> Self {
        Self {
            schema: doc::SCHEMA.to_owned(),
            tool: doc::Tool::of(&invocation.args, plan.seeds.seed, invocation.started_unix_ms),
            host: host(&invocation.host),
            plan: self::plan(plan, invocation),
            dialing: Some(dialing(plan)),
            connecting: None,
            trials: Vec::new(),
            skipped: Vec::new(),
            interrupted: false,
            calibration: None,
            search: None,
            summary: doc::Summary::default(),
        }
        .summed_up()
    }

    /// With the floor that the trials are held against.
    pub fn calibrated(self, floor: Option<&Baseline>) -> Self {
        let calibration = floor.map(|floor| doc::Calibration {
            cluster: floor.cluster.as_str().into(),
            shared_cores: floor.shares_cores,
            trials: floor.trials.iter().map(trial::TrialResult::of).collect(),
            failure: floor.failure.as_deref().map(UntrustedText::from),
        });
        Self { calibration, ..self }
    }

    /// With everything that came of it.
    pub fn ended(self, outcome: &Outcome) -> Self {
        let skipped = |skipped: &Skipped| doc::Skipped {
            id: skipped.trial.id.as_str().into(),
            messages: skipped.trial.messages,
            reason: skipped.reason.as_str().into(),
        };
        Self {
            connecting: outcome.connecting.as_ref().map(self::connecting),
            trials: outcome.trials.iter().map(trial::TrialResult::of).collect(),
            skipped: outcome.skipped.iter().map(skipped).collect(),
            interrupted: outcome.interrupted,
            ..self
        }
        .summed_up()
    }
}

impl doc::Tool {
    /// This version, called with `args`.
    pub fn of(args: &[String], seed: u64, started_unix_ms: u64) -> Self {
        Self {
            name: "fanstorm".into(),
            version: VERSION.into(),
            args: args.iter().map(|arg| arg.as_str().into()).collect(),
            seed,
            started_unix_ms,
        }
    }
}

fn host(facts: &HostFacts) -> doc::Host {
    let facts = facts.clone();
    doc::Host {
        kernel: facts.kernel.map(UntrustedText::from),
        cpu_model: facts.cpu_model.map(UntrustedText::from),
        cpus_online: facts.cpus_online.map(|cpus| cpus as u64),
        cpus_allowed: facts.cpus_allowed.map(numbers),
        virtual_machine: facts.virtual_machine,
        memory_bytes: facts.memory.map(|memory| memory.0),
        cgroup_cpus: facts.cgroup_cpus,
        cgroup_memory_bytes: facts.cgroup_memory.map(|memory| memory.0),
        clocksource: facts.clocksource.map(UntrustedText::from),
        governor: facts.governor.map(UntrustedText::from),
        container: facts.container.map(UntrustedText::from),
    }
}

fn numbers(cpus: Vec<usize>) -> Vec<u64> {
    cpus.into_iter().map(|cpu| cpu as u64).collect()
}

fn plan(plan: &Plan, invocation: &Invocation) -> doc::Plan {
    let planned = |trial: &Trial| doc::PlannedTrial {
        id: trial.id.as_str().into(),
        messages: trial.messages,
        load: doc::Load::of(trial),
    };
    doc::Plan {
        trials: plan.trials.iter().map(planned).collect(),
        cluster: invocation.cluster.as_str().into(),
        nodes: plan.nodes.iter().map(|node| doc::Node { url: node.url.as_str().into() }).collect(),
        push_node: plan.push_node() as u64,
        dialect: plan.dialect.name.as_ref().into(),
        fan_out: match plan.audience.fan_out() {
            FanOut::All => doc::FanOut::All,
            FanOut::Others => doc::FanOut::Others,
            FanOut::Own => doc::FanOut::Own,
        },
        subscriptions: plan.audience.subscriptions().into(),
        push_sockets: plan.population().push_sockets().into(),
        receivers_per_node: plan.population().receivers_per_node().into(),
        cores: numbers(plan.generator.cores.clone()),
        placement: Some(invocation.placement.as_str().into()),
        cluster_cpus: numbers(invocation.cluster_cpus.clone()),
        engine: match plan.generator.engine {
            Engine::IoUring => doc::Engine::IoUring,
            Engine::Epoll => doc::Engine::Epoll,
        },
        wait: Some(match plan.generator.wait {
            WaitMode::Latency => doc::Wait::Latency,
            WaitMode::Spin => doc::Wait::Spin,
            WaitMode::Sleep => doc::Wait::Sleep,
            WaitMode::Throughput => doc::Wait::Throughput,
        }),
        payload_bytes: plan.messages.payload_bytes as u64,
        drain_s: plan.timeouts.drain.as_secs_f64(),
        connect_timeout_s: plan.timeouts.connect.as_secs_f64(),
        ready_timeout_s: plan.timeouts.ready.as_secs_f64(),
        max_message_bytes: plan.messages.max_bytes as u64,
        max_fragments: Some(plan.messages.max_fragments.into()),
        max_header_bytes: Some(plan.upgrade.bounds.head_bytes as u64),
        max_body_bytes: Some(plan.upgrade.bounds.body_bytes as u64),
        memory_bytes: invocation.memory.0,
    }
}

impl trial::TrialResult {
    /// One trial.
    pub fn of(run: &Judged) -> Self {
        Self {
            id: run.id.as_str().into(),
            messages: run.messages,
            sent: run.sent,
            sent_by_push_socket: run.sent_each.clone(),
            push_sockets: run.push_sockets,
            receive_sockets: run.receive_sockets,
            nodes: run.nodes as u64,
            ending: ending(run.ending),
            delivery: delivery(&run.delivery),
            late: late(&run.late),
            time: trial::Time {
                send_s: run.send_time.map(Nanos::as_secs_f64),
                receive_s: run.receive_time.map(Nanos::as_secs_f64),
            },
            throughput: trial::Throughput {
                sent_per_s: run.sent_per_s().map(rounded),
                scheduled_per_s: run.scheduled_per_s.map(rounded),
                copies_per_s: run.copies_per_s().map(rounded),
            },
            latency_us: latency_by_class(&run.latency_ns, run.stamp_resolution),
            latency_histograms: histogram_by_class(&run.latency_ns),
            warmup: run.warmup.as_ref().map(|of| warmup(of, run.stamp_resolution)),
            intervals: course::intervals(&run.intervals),
            reordering: (run.reordering.max > 0).then(|| course::reordering(&run.reordering)),
            saturated: run.saturated,
            matrix: run.matrix.iter().map(matrix_cell).collect(),
            gaps: run.gaps.iter().map(gap).collect(),
            gaps_total: run.gaps_total,
            reconnected_sockets: run.reconnected,
            lost_sockets: run.lost.iter().map(lost_socket).collect(),
            opcodes: opcodes(&run.opcodes),
            deflate: deflate::deflate(&run.deflate),
            generator: generator(run),
            verdict: trial::Verdict {
                trust: trust(run.trust()),
                caveats: run.caveats.iter().map(caveat).collect(),
            },
        }
    }
}

fn generator(run: &TrialOutcome) -> trial::Generator {
    trial::Generator {
        cores: run.cores.iter().map(core).collect(),
        schedule_lag_us: run.lag_ns.as_ref().map(latency),
        stamp_lateness_us: run.stamps_ns.as_ref().map(latency),
        stamp_resolution_us: (run.stamp_resolution > Nanos(1))
            .then(|| micros(run.stamp_resolution)),
        process_cpu_s: run.process_cpu.map(Nanos::as_secs_f64),
        process_cpu_ns_per_copy: run.process_cpu_ns_per_copy().map(rounded),
    }
}

const fn ending(ending: Ending) -> trial::Ending {
    match ending {
        Ending::Complete => trial::Ending::Complete,
        Ending::Drained => trial::Ending::Drained,
        Ending::SocketsLost => trial::Ending::SocketsLost,
        Ending::Interrupted => trial::Ending::Interrupted,
    }
}

fn late(late: &Late) -> trial::Late {
    trial::Late {
        copies: late.copies,
        duplicates: late.duplicates,
        misdelivered: late.misdelivered,
        up_to_s: late.up_to.as_secs_f64(),
    }
}

const fn delivery(delivery: &Delivery) -> trial::Delivery {
    trial::Delivery {
        expected: delivery.expected,
        delivered: delivery.delivered,
        missing: delivery.missing,
        duplicate: delivery.duplicate,
        misdelivered: delivery.misdelivered,
        earlier: delivery.earlier,
        out_of_order: delivery.out_of_order,
        foreign: delivery.foreign,
        corrupt: delivery.corrupt,
        seen: delivery.seen,
    }
}

fn dialing(plan: &Plan) -> Dialing {
    let automatic = matches!(plan.connect.local_addrs, LocalAddrs::Ours { automatic: true, .. });
    let of_node = |node| plan.sources_to(node).map(|sources| (sources.count(), sources));
    // Nodes of both families have sources of their own: those of the busiest are told.
    let sources = of_node(plan.push_node()).map(|(addresses, sources)| SourceAddresses {
        addresses,
        ranges: sources.to_string().into(),
        automatic,
    });
    Dialing {
        sources,
        rate_per_s: plan.connect.rate.map(Rate::as_f64),
        min_connected: plan.connect.least.of(plan.sockets()),
        workers: plan.generator.workers() as u64,
        rings: plan.generator.rings() as u64,
        direct_descriptors: plan.generator.rings.direct,
        delayed_ack: plan.connect.delayed_ack,
        tls: plan.tls.as_ref().map(|client| tls(client.options())),
    }
}

fn tls(options: &TlsOptions) -> TlsDialing {
    let name = options.server_name.as_ref().map(|name| name.to_str());
    TlsDialing {
        min_version: options.min_version.name().into(),
        insecure: options.insecure,
        trusted: match (&options.cacert, &options.embedded) {
            (Some(path), _) => Some(path.display().to_string().into()),
            (None, Some(_)) => Some("that of the embedded cluster".into()),
            (None, None) => None,
        },
        shows_certificate: options.identity.is_some(),
        resumes: options.resume,
        server_name: name.map(|name| name.as_ref().into()),
        record_bytes: RECORD_BYTES as u64,
    }
}

fn connecting(connecting: &measured::Connecting) -> Connecting {
    let failure = |failed: &measured::FailedSockets| ConnectFailure {
        node: failed.node as u64,
        phase: failed.phase.into(),
        reason: failed.reason.as_str().into(),
        sockets: failed.sockets,
    };
    let session = |sessions: &Sessions| TlsSessions {
        node: sessions.node as u64,
        version: sessions.version.into(),
        suite: sessions.suite.into(),
        handshakes: sessions.handshakes,
        resumed: sessions.resumed,
    };
    let cookie =
        |(name, &sockets): (&String, &u64)| SetCookie { name: name.as_str().into(), sockets };
    Connecting {
        sockets: connecting.sockets,
        connected: connecting.connected,
        failed: connecting.failed(),
        wall_s: connecting.wall.as_secs_f64(),
        rate_per_s: (connecting.wall.0 > 0).then(|| rounded(connecting.rate_per_s())),
        connect_us: latency(&connecting.connect),
        handshake_us: (!connecting.sessions.is_empty()).then(|| latency(&connecting.handshake)),
        sessions: connecting.sessions.iter().map(session).collect(),
        deflate: deflate::agreed(&connecting.extensions),
        upgrade_us: latency(&connecting.upgrade),
        ports_passed_over: connecting.ports_passed_over,
        failures: connecting.failures.iter().map(failure).collect(),
        reached: connecting.reached.iter().map(ReachedNode::from).collect(),
        cookies: connecting.cookies.iter().map(cookie).collect(),
    }
}

fn latency_by_class(classes: &[(Class, Latencies)], resolution: Nanos) -> trial::LatencyByClass {
    let of = |class| of_class(classes, class).map(latency);
    trial::LatencyByClass {
        service: of(Class::Service),
        response: of(Class::Response),
        wait: of(Class::Wait),
        completion: of(Class::Completion),
        spread: of(Class::Spread).map(|spread| resolved(&spread, resolution)),
    }
}

/// What lies between two stamps is none of what they cannot tell apart.
fn resolved(latency: &trial::Latency, resolution: Nanos) -> trial::Latency {
    let told = |us: Option<f64>| us.filter(|&us| us >= micros(resolution));
    let trial::Latency { count, min, mean, p50, p90, p99, p99_9, p99_99, max } = *latency;
    trial::Latency {
        count,
        min: told(min),
        mean: told(mean),
        p50: told(p50),
        p90: told(p90),
        p99: told(p99),
        p99_9: told(p99_9),
        p99_99: told(p99_99),
        max: told(max),
    }
}

fn histogram_by_class(classes: &[(Class, Latencies)]) -> trial::HistogramByClass {
    let of = |class| of_class(classes, class).map(|ns| histogram::encode(&ns.histogram()));
    trial::HistogramByClass {
        service: of(Class::Service),
        response: of(Class::Response),
        wait: of(Class::Wait),
        completion: of(Class::Completion),
        spread: of(Class::Spread),
    }
}

fn warmup(warmup: &WarmUp, resolution: Nanos) -> trial::WarmUp {
    let WarmUp { duration, messages, expected, delivered, latency_ns, lag_ns } = warmup;
    trial::WarmUp {
        duration_s: duration.as_secs_f64(),
        messages: *messages,
        expected: *expected,
        copies: *delivered,
        latency_us: latency_by_class(latency_ns, resolution),
        latency_histograms: histogram_by_class(latency_ns),
        schedule_lag_us: latency(lag_ns),
        saturated: latency_ns.iter().map(|(_, of)| of.saturated()).sum(),
    }
}

fn matrix_cell(cell: &MatrixCell) -> trial::MatrixCell {
    let MatrixCell { from, to, reached, expected, delivered, latency_ns } = cell;
    trial::MatrixCell {
        from: *from as u64,
        to: *to as u64,
        reached: reached.as_ref().map(ReachedNode::from),
        expected: *expected,
        copies: *delivered,
        missing: expected.saturating_sub(*delivered),
        p50_us: Percentile::P50.of(latency_ns).map(micros),
        p99_us: Percentile::P99.of(latency_ns).map(micros),
        max_us: latency_ns.max().map(micros),
    }
}

const fn opcodes(opcodes: &Opcodes) -> trial::Opcodes {
    let Opcodes { text, binary, continuation, ping, pong, close } = *opcodes;
    trial::Opcodes { text, binary, continuation, ping, pong, close }
}

fn core(core: &CoreUse) -> trial::Core {
    trial::Core {
        cpu: core.cpu as u64,
        sockets: core.sockets,
        copies: core.copies,
        busy: rounded(core.busy()),
        cpu_s: core.cpu_time.as_secs_f64(),
        spun_s: core.spun.as_secs_f64(),
        wall_s: core.wall.as_secs_f64(),
        cpu_ns_per_copy: (core.copies > 0).then(|| rounded(core.cpu_ns_per_copy())),
        cq_overflow: core.cq_overflow,
        enobufs: core.enobufs,
        short_sends: core.short_sends,
        stale: core.stale,
        enters: core.enters,
        reads: core.reads,
        longest_turn_us: micros(core.longest_turn),
    }
}

const fn trust(trust: Trust) -> trial::Trust {
    match trust {
        Trust::Ok => trial::Trust::Ok,
        Trust::Degraded => trial::Trust::Degraded,
        Trust::Void => trial::Trust::Void,
    }
}

fn caveat(caveat: &Caveat) -> trial::Caveat {
    trial::Caveat {
        code: caveat.code.into(),
        severity: trust(caveat.severity),
        text: caveat.text.as_str().into(),
        remedy: caveat.remedy.as_str().into(),
    }
}

fn of_class(classes: &[(Class, Latencies)], class: Class) -> Option<&Latencies> {
    classes.iter().find(|(found, _)| *found == class).map(|(_, ns)| ns)
}
