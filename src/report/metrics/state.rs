//! The state that is served: what is planned, how far the run is, and each of its trials.
//!
//! Belongs here: what an event of the run changes, and what is forgotten. Does not: what is kept of a trial
//! (`trial`).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::trial::{Rows, Second, Trial};
use super::{ROWS_MAX, TRIALS_MAX, name};
use crate::load;
use crate::report::document::trial::TrialResult;
use crate::report::document::{self, Document, Engine, FanOut, Load, Node, Plan};
use crate::verdict::Judged;

/// What a run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nodes and host are looked at.
    Start,
    /// The same plan against a null cluster.
    Calibrate,
    /// Sockets are connected.
    Connect,
    /// A probe must come to each of them.
    Probe,
    /// Messages are laid out.
    Prepare,
    /// The clock runs.
    Run,
    /// All is over.
    Ended,
}

impl Phase {
    /// All of them, in order.
    pub const ALL: [Self; 7] = [
        Self::Start,
        Self::Calibrate,
        Self::Connect,
        Self::Probe,
        Self::Prepare,
        Self::Run,
        Self::Ended,
    ];

    /// As it is written.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Calibrate => "calibrate",
            Self::Connect => "connect",
            Self::Probe => "probe",
            Self::Prepare => "prepare",
            Self::Run => "run",
            Self::Ended => "ended",
        }
    }
}

/// All that is served.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(super) phase: Phase,
    pub(super) started_unix_ms: u64,
    /// None until it is known.
    pub(super) plan: Option<Arc<Planned>>,
    /// In order; those of a search as far as it has chosen them.
    pub(super) planned: Arc<Vec<PlannedTrial>>,
    pub(super) connected: u64,
    /// The newest ones.
    pub(super) trials: VecDeque<Trial>,
    pub(super) trials_ended: u64,
    /// Sockets that were connected again before the trial that is next.
    pub(super) reconnected: u64,
}

/// What is planned, as labels.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) dialect: String,
    pub(super) fan_out: &'static str,
    pub(super) engine: &'static str,
    pub(super) sockets: u64,
    pub(super) nodes: Vec<Arc<str>>,
    pub(super) cores: Vec<String>,
}

/// What is known of a trial before it begins.
#[derive(Clone, Debug)]
pub(super) struct PlannedTrial {
    id: Arc<str>,
    messages: u64,
    /// The class that it leads with.
    class: &'static str,
}

impl Metrics {
    /// Of a run that has begun at this time.
    pub fn new(started_unix_ms: u64) -> Self {
        Self {
            phase: Phase::Start,
            started_unix_ms,
            plan: None,
            planned: Arc::default(),
            connected: 0,
            trials: VecDeque::new(),
            trials_ended: 0,
            reconnected: 0,
        }
    }

    /// It is known what is run.
    pub fn plan(&mut self, begun: &Document) {
        self.plan = Some(Arc::new(Planned::of(&begun.plan)));
        if begun.search.is_none() {
            self.planned = Arc::new(begun.plan.trials.iter().map(PlannedTrial::of).collect());
        }
    }

    /// A search has chosen this trial, which is next.
    pub fn chosen(&mut self, trial: &load::trial::Trial) {
        let load = Load::of(trial);
        let class = load.headline_latency.key();
        let id = trial.id.as_str().into();
        let planned = PlannedTrial { id, messages: trial.messages, class };
        Arc::make_mut(&mut self.planned).push(planned);
    }

    /// The run is at `phase`, which is done by `done` of `total`: sockets, or copies.
    pub fn progress(&mut self, phase: Phase, done: u64, total: u64) {
        self.phase = phase;
        match phase {
            // What is connected later was lost before.
            Phase::Connect if self.trials.is_empty() => self.connected = done,
            Phase::Prepare => drop(self.under_way()),
            Phase::Run => {
                if let Some(trial) = self.under_way() {
                    trial.copies(done, total);
                }
            }
            _ => {}
        }
    }

    /// A second of a trial is over.
    pub fn second(&mut self, second: &Second<'_>) {
        let Some(plan) = self.plan.clone() else { return };
        if let Some(trial) = self.under_way() {
            trial.second(second, &plan.nodes);
            self.forget();
        }
    }

    /// Sockets were connected again before the next trial.
    pub const fn reconnected(&mut self, sockets: u64) {
        self.reconnected += sockets;
    }

    /// A trial is over, and this is how a result has it.
    pub fn trial(&mut self, judged: &Judged, result: &TrialResult) {
        let Some(plan) = self.plan.clone() else { return };
        if let Some(trial) = self.under_way() {
            trial.end(judged, result, &plan.nodes);
            self.trials_ended += 1;
            self.forget();
        }
    }

    /// All is over: copies that came late are in the accounts of their trials.
    pub fn end(&mut self, ended: &Document) {
        self.phase = Phase::Ended;
        // A trial that did not come to its end was skipped.
        self.trials.retain(Trial::is_over);
        for trial in &mut self.trials {
            let result = ended.trials.iter().find(|result| *result.id.raw() == *trial.id);
            if let Some(result) = result {
                trial.account(result);
            }
        }
    }

    /// The trial that runs or is next.
    fn under_way(&mut self) -> Option<&mut Trial> {
        if self.trials.back().is_none_or(Trial::is_over) {
            let plan = self.plan.as_ref()?;
            let PlannedTrial { id, messages, class } =
                self.planned.get(self.trials_ended as usize)?;
            let mut trial = Trial::new(Arc::clone(id), *messages, class, Rows::of(&plan.nodes));
            trial.reconnected = std::mem::take(&mut self.reconnected);
            self.trials.push_back(trial);
            self.forget();
        }
        self.trials.back_mut()
    }

    fn forget(&mut self) {
        while self.trials.len() > TRIALS_MAX {
            self.trials.pop_front();
        }
        let mut rows = 0;
        for trial in self.trials.iter_mut().rev() {
            rows += trial.by_node.len();
            if rows > ROWS_MAX {
                trial.by_node.clear();
            }
        }
    }
}

impl Planned {
    fn of(plan: &Plan) -> Self {
        Self {
            dialect: name(plan.dialect.raw()),
            fan_out: match plan.fan_out {
                FanOut::All => "all",
                FanOut::Others => "others",
                FanOut::Own => "own",
            },
            engine: match plan.engine {
                Engine::IoUring => "io_uring",
                Engine::Epoll => "epoll",
            },
            sockets: plan.push_sockets + plan.receivers_per_node * plan.nodes.len() as u64,
            nodes: labels(&plan.nodes),
            cores: plan.cores.iter().map(u64::to_string).collect(),
        }
    }
}

/// What each node is called. Those with one name (an address that is given twice, a name with several
/// addresses) have their places behind it: two series of the same labels would be one to a scraper.
fn labels(nodes: &[Node]) -> Vec<Arc<str>> {
    let names: Vec<String> = nodes.iter().map(|node| name(node.url.raw())).collect();
    let mut bearers = BTreeMap::<&str, usize>::new();
    names.iter().for_each(|name| *bearers.entry(name).or_default() += 1);
    let label = |(place, name): (usize, &String)| match bearers[name.as_str()] {
        1 => name.as_str().into(),
        _ => format!("{name} (node {place})").into(),
    };
    names.iter().enumerate().map(label).collect()
}

impl PlannedTrial {
    fn of(trial: &document::PlannedTrial) -> Self {
        let class = trial.load.headline_latency.key();
        Self { id: trial.id.raw().into(), messages: trial.messages, class }
    }
}
