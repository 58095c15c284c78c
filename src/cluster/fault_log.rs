//! What each fault did, a line of JSON each, appended by all children to one file.
//!
//! A line is written before the bytes that it describes can leave, so that a client's account never
//! knows more than the log.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// One application of a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultEvent {
    /// Index of the node.
    pub node: usize,
    /// Name of the fault, as in its specification.
    pub fault: String,
    /// The node's client, counted from 0 in order of connection.
    pub client: Option<u64>,
    /// The message, where it has an id.
    pub message_id: Option<String>,
    /// Its text, or all of it in a relay.
    pub text: Option<String>,
}

/// Appends to the log, or to nothing.
pub(super) struct FaultLog(Option<File>);

impl FaultLog {
    pub(super) fn open(path: Option<&Path>) -> io::Result<Self> {
        let open = |path| OpenOptions::new().append(true).create(true).open(path);
        Ok(Self(path.map(open).transpose()?))
    }

    /// Writes one line at once: `O_APPEND` keeps the lines of several processes whole.
    pub(super) fn write(&mut self, event: &FaultEvent) {
        let Some(file) = &mut self.0 else { return };
        let mut line = simd_json::serde::to_string(event).expect("plain data");
        line.push('\n');
        if let Err(error) = file.write_all(line.as_bytes()) {
            eprintln!("cluster node {}: the fault log: {error}", event.node);
        }
    }
}

/// Reads a whole log.
///
/// # Errors
/// The file cannot be read, or a line is not one of ours.
pub fn read(path: &Path) -> io::Result<Vec<FaultEvent>> {
    let text = std::fs::read_to_string(path)?;
    let event = |line: &str| {
        simd_json::serde::from_slice(&mut line.as_bytes().to_vec()).map_err(io::Error::other)
    };
    text.lines().map(event).collect()
}
