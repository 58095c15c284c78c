//! The report that a machine reads: a document as JSON, and back.
//!
//! Belongs here: bytes and the published schema. Does not: the keys (`document`), where the bytes go
//! (`cli`).

use std::io;

use super::document::Document;

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
