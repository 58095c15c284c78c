//! The report that a machine reads: a document as JSON, and back.
//!
//! Belongs here: bytes and the published schema. Does not: the keys (`document`), where the bytes go
//! (`cli`).

use std::io;

use schemars::JsonSchema;
use serde::Serialize;

use super::document::Document;
use super::document::failed::FailedDocument;

/// What stands in a result file: a result, or why there is none.
#[derive(JsonSchema)]
#[schemars(title = "fanstorm.result/2", untagged)]
#[expect(dead_code, reason = "the schema is made of it; what is written is one of the two")]
enum ResultFile {
    Measured(Box<Document>),
    Failed(FailedDocument),
}

/// A document as one line of JSON with its newline: files of several runs are JSON lines.
///
/// # Errors
/// None that a document can cause; the serializer's type demands it.
pub fn to_bytes(document: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = simd_json::serde::to_vec(document).map_err(io::Error::other)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The JSON Schema of [`Document`] and [`FailedDocument`] as they are written: what is always there is required, null or not.
/// Published in `docs/schema/`.
pub fn schema() -> schemars::Schema {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    settings.into_generator().into_root_schema_for::<ResultFile>()
}
