//! The report that a machine reads: `fanstorm.result/1`.
//!
//! Belongs here: turning plan and outcome into a [`document()`], and a document into bytes. Does not:
//! where the bytes go (`cli`). The keys are a contract: within version 1 keys are added, never
//! removed or given another meaning.

mod build;
pub mod document;
pub mod row;

use std::io;

use self::document::Document;
use super::Invocation;
use crate::measure::outcome::Outcome;
use crate::plan::Plan;

/// The result of a run.
pub fn document(plan: &Plan, invocation: &Invocation, outcome: &Outcome) -> Document {
    build::document(plan, invocation, outcome)
}

/// A document as one line of JSON with its newline: files of several runs are JSON lines.
///
/// # Errors
/// None that a document can cause; the serializer's type demands it.
pub fn to_bytes(document: &Document) -> io::Result<Vec<u8>> {
    let mut bytes = simd_json::serde::to_vec(document).map_err(io::Error::other)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The JSON Schema of [`Document`] as it is written: what is always there is required, null or not.
/// Published in `docs/schema/`.
pub fn schema() -> schemars::Schema {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    settings.into_generator().into_root_schema_for::<Document>()
}
