//! What is about to be run.

use super::content::Fact;
use super::names;
use super::phrase::{Phrase, Value, counted, phrase};
use super::search;
use crate::load::shape::{Pacing, Word, Words};
use crate::report::document::connecting::{Dialing, TlsDialing};
use crate::report::document::load::InterArrival;
use crate::report::document::{Document, Engine, FanOut, Host, Load, Plan, PlannedTrial, Wait};
use crate::units::{Bytes, Count};

/// More nodes are counted, not listed.
const NODES_MAX: u64 = 8;

/// What the kernel took is what counts: a library's buffer would make sending look free.
const TIMES: &str = "send: until the kernel has taken the last frame; receive: until the last copy";

/// `fanstorm 0.1.0: a burst of 10 messages`.
pub(super) fn title(document: &Document) -> Phrase {
    let tool = &document.tool;
    phrase![&tool.name, " ", &tool.version, ": ", what(document)]
}

fn what(document: &Document) -> Phrase {
    document.search.as_ref().map_or_else(|| load(&document.plan), search::title)
}

/// A word and a line for each thing that was set.
pub(super) fn facts(document: &Document) -> Vec<Fact> {
    let (plan, dialing) = (&document.plan, document.dialing.as_ref());
    let mut cluster =
        vec![phrase![counted(plan.nodes.len() as u64, "node", "nodes"), ": ", &plan.cluster]];
    cluster.extend(nodes(plan));
    let line = |label, line: Phrase| Some(Fact { label, lines: vec![line] });
    let facts = [
        Some(Fact { label: "cluster", lines: cluster }),
        line("sockets", sockets(plan, dialing)),
        plan.placement.as_ref().and_then(|placement| line("cores", placement.into())),
        dialing.and_then(sources).and_then(|sources| line("sources", sources)),
        dialing
            .and_then(|dialing| dialing.tls.as_ref())
            .and_then(|dialing| line("TLS", tls(dialing))),
        line("message", message(plan, document.tool.seed)),
        document.search.as_ref().map(search::fact),
        line("expected", expectation(plan)),
        plan.trials
            .iter()
            .find_map(|trial| trial.load.warmup_s.filter(|_| document.search.is_none()))
            .and_then(|warmup_s| line("warm-up", warmup(warmup_s))),
        line("times", TIMES.into()),
        plan.wait.and_then(|wait| line("waiting", waiting(wait).into())),
        line("ending", ending(plan)),
        line("memory", phrase!["at most ", Bytes(plan.memory_bytes), ", in the largest trial"]),
        host(&document.host).and_then(|host| line("host", host)),
    ];
    facts.into_iter().flatten().collect()
}

/// Trials that follow each other with one load are one clause.
fn load(plan: &Plan) -> Phrase {
    let alike = |a: &PlannedTrial, b: &PlannedTrial| a.load == b.load;
    Phrase::joined(plan.trials.chunk_by(alike).map(clause), "; ")
}

fn clause(trials: &[PlannedTrial]) -> Phrase {
    let load = &trials[0].load;
    let counts = Phrase::joined(trials.iter().map(|t| Count(t.messages).into()), ", ");
    let one = trials.len() == 1 && trials[0].messages == 1;
    let messages = phrase![counts, if one { " message" } else { " messages" }];
    // Such a file is refused before it is reported.
    let Ok(profile) = load.profile() else { return messages };
    let (before, after) = profile.shape().sentence();
    let sentence = phrase![words(before), messages, words(after)];
    match load.pacing() {
        Pacing::Free | Pacing::Answers => sentence,
        Pacing::DueTimes => phrase![sentence, ", ", arrivals(load), " (open loop)"],
    }
}

/// What a shape says of itself.
fn words(words: Words) -> Phrase {
    let phrase = |word| match word {
        Word::Text(text) => text.into(),
        Word::Count(count) => Count(count).into(),
        Word::Rate(rate) => rate.into(),
        Word::Duration(duration) => Value::Limit(duration).into(),
    };
    Phrase::joined(words.0.into_iter().map(phrase), "")
}

fn arrivals(load: &Load) -> Phrase {
    match (load.arrivals, load.arrivals_seed) {
        (Some(InterArrival::Poisson), Some(seed)) => {
            phrase!["Poisson arrivals of seed ", Value::Number(seed)]
        }
        // Of a file that was written before it held the seed.
        (Some(InterArrival::Poisson), None) => "Poisson arrivals".into(),
        (Some(InterArrival::Constant) | None, _) => "evenly spread".into(),
    }
}

fn nodes(plan: &Plan) -> Vec<Phrase> {
    // The push node is named even where it comes late in a long list.
    let nodes = plan.nodes.len() as u64;
    let shown = |&index: &u64| index < NODES_MAX || index == plan.push_node;
    let role = |index: u64| if index == plan.push_node { "  takes every push" } else { "" };
    let named = |index: u64| phrase![names::node(plan, index), role(index)];
    let mut lines: Vec<_> = (0..nodes).filter(shown).map(named).collect();
    let hidden = nodes - lines.len() as u64;
    if hidden > 0 {
        lines.push(phrase!["and ", Count(hidden), " more"]);
    }
    lines
}

fn sockets(plan: &Plan, dialing: Option<&Dialing>) -> Phrase {
    let per_node = match plan.receivers_per_node {
        0 => Phrase::default(),
        each => phrase![" (", Count(each), " to each node)"],
    };
    let cpus = Phrase::joined(plan.cores.iter().map(|&cpu| Value::Number(cpu).into()), ", ");
    phrase![
        Count(plan.push_sockets),
        " push + ",
        Count(plan.receive_sockets()),
        " receive",
        per_node,
        " = ",
        Count(plan.sockets()),
        ", on ",
        workers(dialing, plan.cores.len() as u64),
        " (CPU ",
        cpus,
        "), ",
        match plan.engine {
            Engine::IoUring => "io_uring",
            Engine::Epoll => "epoll",
        }
    ]
}

/// How many workers there are, and where descriptors live if not as ever. Each further ring of a worker is
/// there for its table alone.
fn workers(dialing: Option<&Dialing>, cores: u64) -> Phrase {
    let workers = dialing.map_or(cores, |dialing| dialing.workers);
    let tables = dialing.filter(|dialing| dialing.direct_descriptors).map(|dialing| dialing.rings);
    let direct = match tables {
        Some(rings @ 2..) => {
            phrase![", with direct descriptors in ", counted(rings, "ring", "rings")]
        }
        Some(_) => ", with direct descriptors".into(),
        None => Phrase::default(),
    };
    let late = dialing.is_some_and(|dialing| dialing.delayed_ack);
    let late = if late { ", acknowledging late" } else { "" };
    phrase![counted(workers, "worker", "workers"), direct, late]
}

/// Where sockets come from, where that is not the kernel's choice.
fn sources(dialing: &Dialing) -> Option<Phrase> {
    let sources = dialing.sources.as_ref()?;
    let why = if sources.automatic { ": one address has too few ports" } else { "" };
    let addresses = counted(sources.addresses, "address", "addresses");
    Some(phrase![addresses, ", ", &sources.ranges, why])
}

/// Whom the sockets trust, and how they shake hands.
fn tls(tls: &TlsDialing) -> Phrase {
    let trusted = match &tls.trusted {
        _ if tls.insecure => "certificates are not checked (--insecure)".into(),
        Some(trusted) => phrase!["certificates are checked against ", trusted],
        None => "certificates are checked against the authorities of this host".into(),
    };
    let name = tls.server_name.as_ref().map(|name| phrase![" for the name ", name]);
    let shown = if tls.shows_certificate { "; ours is shown (--cert)" } else { "" };
    let handshakes = match tls.resumes {
        true => "; sessions are resumed where nodes offer it (--tls-resume)",
        false => "; every handshake is a full one",
    };
    let records = "; a message that leaves alone is a record, a burst fills them up to ";
    phrase![
        "version ",
        &tls.min_version,
        " or newer; ",
        trusted,
        name,
        shown,
        handshakes,
        records,
        Bytes(tls.record_bytes)
    ]
}

fn message(plan: &Plan, seed: u64) -> Phrase {
    let bytes = counted(plan.payload_bytes, "byte", "bytes");
    phrase!["dialect ", &plan.dialect, ", text of ", bytes, ", seed ", Value::Number(seed)]
}

fn warmup(warmup_s: f64) -> Phrase {
    let first = Value::limit(warmup_s);
    phrase![
        "what is due in the first ",
        first,
        " of a trial is sent and accounted for, but timed apart"
    ]
}

const fn waiting(wait: Wait) -> &'static str {
    match wait {
        Wait::Latency => {
            "for latency: poll until no copy has come for 5 ms, then sleep until the next (--wait)"
        }
        Wait::Spin => "spin: poll without pause (--wait)",
        Wait::Sleep => "sleep until the next copy (--wait)",
        Wait::Throughput => {
            "for throughput: sleep until 64 copies are there or 50 µs have passed (--wait)"
        }
    }
}

fn ending(plan: &Plan) -> Phrase {
    let drain = Value::limit(plan.drain_s);
    phrase!["a trial ends when every copy has come, or after ", drain, " without one (--drain)"]
}

fn expectation(plan: &Plan) -> Phrase {
    let sockets =
        phrase![Count(plan.push_sockets), " push + ", Count(plan.receive_sockets()), " receive"];
    if plan.subscriptions > 1 {
        return repeated_expectation(plan, sockets);
    }
    match plan.fan_out {
        FanOut::All => {
            phrase!["messages x (", sockets, ") copies: each message comes back on every socket"]
        }
        FanOut::Others => {
            phrase!["messages x (", sockets, " - 1) copies: on every socket but its sender"]
        }
        FanOut::Own => "messages x 1 copies: each message comes back on its own socket".into(),
    }
}

/// The same where a connection holds several subscriptions.
fn repeated_expectation(plan: &Plan, sockets: Phrase) -> Phrase {
    let times = || Count(plan.subscriptions);
    let (each, wherever) = match plan.fan_out {
        FanOut::All => (phrase!["(", sockets, ")"], "every socket"),
        FanOut::Others => (phrase!["(", sockets, " - 1)"], "every socket but its sender"),
        FanOut::Own => ("1".into(), "its own socket"),
    };
    phrase![
        "messages x ",
        each,
        " x ",
        times(),
        " copies: each message comes back ",
        times(),
        " times on ",
        wherever,
        " (the dialect's subscriptions)"
    ]
}

fn host(host: &Host) -> Option<Phrase> {
    let cpus = host.cpus_allowed.as_ref().map(|allowed| {
        let online = host.cpus_online.map(|online| phrase![" of ", Value::Number(online)]);
        let quota = host.cgroup_cpus.map(|cpus| phrase![" (quota ", Value::Average(cpus), ")"]);
        phrase![Value::Number(allowed.len() as u64), online, " CPUs", quota]
    });
    let limit = host.cgroup_memory_bytes.map(|bytes| phrase![" (limit ", Bytes(bytes), ")"]);
    let parts = [
        host.kernel.as_ref().map(|kernel| phrase!["Linux ", kernel]),
        host.cpu_model.as_ref().map(Phrase::from),
        cpus,
        host.memory_bytes.map(|bytes| phrase![Bytes(bytes), limit]),
        host.virtual_machine.filter(|is| *is).map(|_| "virtual machine".into()),
        host.container.as_ref().map(|name| phrase!["container (", name, ")"]),
    ];
    let known = Phrase::joined(parts.into_iter().flatten(), ", ");
    (!known.is_empty()).then_some(known)
}
