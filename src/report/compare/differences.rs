//! Where the plans, hosts and versions of two sides differ.
//!
//! Belongs here: finding them, key by key, so that a key that is new is looked at, too. Does not: which of them
//! matter.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;
use simd_json::OwnedValue;
use simd_json::prelude::Writable;

use super::Pair;
use crate::report::document::Document;
use crate::report::sanitize::UntrustedText;

/// Something that is not the same in all runs.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Difference {
    /// The key in results: `plan.payload_bytes`.
    pub key: UntrustedText,
    /// What the runs of each side have there; nothing where a run lacks it.
    pub values: Pair<Vec<UntrustedText>>,
}

impl Difference {
    /// It is of the machine or of the program, not of what was asked for.
    pub fn is_of_the_host(&self) -> bool {
        !self.key.raw().starts_with("plan.") && !self.key.raw().starts_with("dialing.")
    }

    /// Runs of one side do not agree.
    pub fn is_within_a_side(&self) -> bool {
        self.values.a.len() > 1 || self.values.b.len() > 1
    }
}

/// They follow from others, or say nothing that a reader looks for.
const LEFT_OUT: [&str; 3] = ["plan.memory_bytes", "plan.cluster", "plan.placement"];

/// Longer values are cut: a list of CPUs may be one.
const VALUE_MAX: usize = 60;

type Values = BTreeMap<String, BTreeSet<String>>;

pub(super) fn between(results: &Pair<Vec<&Document>>) -> Vec<Difference> {
    let sides =
        results.map(|side| side.iter().fold(Values::new(), |values, one| with(values, one)));
    let keys: BTreeSet<_> = sides.a.keys().chain(sides.b.keys()).collect();
    let of = |side: &Values, key: &str| side.get(key).cloned().unwrap_or_default();
    let differs = |key: &String| {
        let values = sides.map(|side| of(side, key));
        (values.a != values.b || values.a.len() > 1).then(|| Difference {
            key: key.as_str().into(),
            values: values.map(|texts| texts.iter().map(|text| text.as_str().into()).collect()),
        })
    };
    keys.into_iter().filter_map(differs).collect()
}

fn with(mut values: Values, one: &Document) -> Values {
    let embedded = one.plan.cluster.raw().starts_with("embedded");
    let mut add = |key: &str, value: OwnedValue| {
        flat(key, &value, &mut |key, text| {
            // Our own cluster takes other ports each time.
            let is_of_ours = embedded && key.starts_with("plan.nodes[");
            if !LEFT_OUT.contains(&key) && !is_of_ours {
                values.entry(key.to_owned()).or_default().insert(shortened(text));
            }
        });
    };
    let mut keep = |key, value: Result<OwnedValue, simd_json::Error>| {
        add(key, value.unwrap_or_default());
    };
    if embedded {
        // Which kind of cluster it is and with which faults; its discovery has another port each time.
        let cluster = one.plan.cluster.raw();
        let cluster = cluster.rsplit_once(", discovery ").map_or(cluster, |(cluster, _)| cluster);
        keep("plan.cluster (embedded)", Ok(cluster.into()));
    }
    keep("plan", simd_json::serde::to_owned_value(&one.plan));
    keep("dialing", simd_json::serde::to_owned_value(&one.dialing));
    keep("host", simd_json::serde::to_owned_value(&one.host));
    keep("tool.version", simd_json::serde::to_owned_value(&one.tool.version));
    keep("tool.seed", simd_json::serde::to_owned_value(one.tool.seed));
    values
}

/// Every figure and text with the path of its key. Lists of plain values are one.
fn flat(key: &str, value: &OwnedValue, say: &mut impl FnMut(&str, String)) {
    match value {
        OwnedValue::Object(object) => {
            object.iter().for_each(|(name, value)| flat(&format!("{key}.{name}"), value, say));
        }
        OwnedValue::Array(all) if all.iter().any(|one| matches!(one, OwnedValue::Object(_))) => {
            say(&format!("{key}.length"), all.len().to_string());
            all.iter().enumerate().for_each(|(at, one)| flat(&format!("{key}[{at}]"), one, say));
        }
        OwnedValue::String(text) => say(key, text.clone()),
        other => say(key, other.encode()),
    }
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(VALUE_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
