//! An audit for machines: `fanstorm.audit/1`.
//!
//! Belongs here: keys and their meaning, which are a contract as those of result files are: within
//! version 1 keys are added, never removed or given another meaning.

use schemars::JsonSchema;
use serde::Serialize;

use super::Audited;
use crate::audit::Audit;
use crate::audit::finding::{Finding, Remedy, Within};
use crate::audit::requirements::Place;
use crate::audit::rules::Rule;
use crate::report::VERSION;

/// Name and version of the format.
pub const SCHEMA: &str = "fanstorm.audit/1";

/// What of a host stands in the way of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "fanstorm.audit/1")]
pub struct Document {
    /// Name and version of this format.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: String,
    /// Version of fanstorm.
    pub version: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Kernel release of the host.
    pub kernel: Option<String>,
    /// What the plan asks for.
    pub need: PlanNeed,
    /// The plan cannot run on this host: exit code 3.
    pub stops: bool,
    /// What stands in the way, in the order of the rules.
    pub findings: Vec<Item>,
    /// Knobs that are as the plan wants them.
    pub fine: Vec<String>,
    /// Knobs that the host does not show, as in a container.
    pub hidden: Vec<String>,
}

/// The plan in numbers.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct PlanNeed {
    /// `embedded`, `loopback` or `elsewhere`.
    pub cluster: String,
    /// Nodes.
    pub nodes: u64,
    /// All sockets.
    pub sockets: u64,
    /// Sockets to the node that has most of them.
    pub sockets_to_busiest_node: u64,
    /// Descriptors, sockets and all else.
    pub descriptors: u64,
    /// Messages of the largest trial.
    pub messages: u64,
    /// Copies of each message.
    pub copies_per_message: u64,
    /// Bytes of one copy on its connection.
    pub copy_bytes: u64,
    /// Messages a second; null unless the load has a rate.
    pub rate_per_s: Option<f64>,
    /// Messages that may be under way at once.
    pub outstanding_messages: u64,
    /// Memory of the plan and of its sockets in the kernel.
    pub memory_bytes: u64,
    /// CPUs that carry a worker.
    pub worker_cpus: Vec<u64>,
}

/// One thing that stands in the way.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Item {
    /// The sysctl, limit or thing.
    pub knob: String,
    /// `descriptors`, `ports`, `network`, `memory`, `cpu` or `io_uring`.
    pub group: String,
    /// `info`, `warn` or `stop`.
    pub severity: String,
    /// A run's verdict is degraded by it (`host-untuned`).
    pub degrades: bool,
    /// What it is, for people.
    pub is: String,
    /// What the plan wants, for people.
    pub wants: String,
    /// Why, with the arithmetic.
    pub why: String,
    /// A line for a shell, or advice.
    pub remedy: String,
    /// The value to set, where the knob is a sysctl.
    pub sysctl_value: Option<String>,
    /// The page of the guide, under `tuning/`.
    pub page: String,
}

/// The document as one line of JSON with its newline.
///
/// # Panics
/// Never: a document is made of numbers and text.
pub fn to_bytes(audited: &Audited<'_>, arguments: &[String]) -> Vec<u8> {
    let document = document(audited, arguments);
    let mut bytes = simd_json::serde::to_vec(&document).expect("numbers and text");
    bytes.push(b'\n');
    bytes
}

/// The JSON Schema of [`Document`], published in `docs/schema/`.
pub fn schema() -> schemars::Schema {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    settings.into_generator().into_root_schema_for::<Document>()
}

fn document(audited: &Audited<'_>, arguments: &[String]) -> Document {
    let names = |rules: &[&Rule]| rules.iter().map(|rule| rule.knob.to_owned()).collect();
    let Audit { found, within, .. } = audited.audit;
    Document {
        schema: SCHEMA.to_owned(),
        version: VERSION.to_owned(),
        args: arguments.to_vec(),
        kernel: audited.facts.host.kernel.clone(),
        need: need(audited),
        stops: audited.audit.stops(),
        findings: found.iter().map(|(rule, finding)| item(rule, finding, *within)).collect(),
        fine: names(&audited.audit.fine),
        hidden: names(&audited.audit.hidden),
    }
}

fn need(audited: &Audited<'_>) -> PlanNeed {
    let need = audited.need;
    let cluster = match need.place {
        Place::Embedded => "embedded",
        Place::Loopback => "loopback",
        Place::Elsewhere => "elsewhere",
    };
    PlanNeed {
        cluster: cluster.to_owned(),
        nodes: need.nodes,
        sockets: need.sockets(),
        sockets_to_busiest_node: need.limits.sockets_to_busiest,
        descriptors: need.limits.descriptors(),
        messages: need.messages,
        copies_per_message: need.copies_per_message,
        copy_bytes: need.copy_bytes,
        rate_per_s: need.rate_per_s,
        outstanding_messages: need.outstanding(),
        memory_bytes: need.limits.memory_bytes(),
        worker_cpus: need.workers.iter().map(|&cpu| cpu as u64).collect(),
    }
}

fn item(rule: &Rule, finding: &Finding, within: Within) -> Item {
    let value = match &finding.remedy {
        Remedy::Sysctl(value) => Some(value.clone()),
        _ => None,
    };
    Item {
        knob: rule.knob.to_owned(),
        group: rule.group.name().to_owned(),
        severity: finding.severity.word().to_owned(),
        degrades: rule.degrades(finding),
        is: finding.is.clone(),
        wants: finding.wants.clone(),
        why: finding.why.clone(),
        remedy: finding.remedy.line(rule.knob, within),
        sysctl_value: value,
        page: rule.group.page().to_owned(),
    }
}
