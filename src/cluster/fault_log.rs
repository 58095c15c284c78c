//! The account of what the faults did: one JSON object a line, one line for each application.
//!
//! Belongs here: the line, writing and reading it. Does not: deciding what is done (`node`).
//!
//! A line is in the file before the bytes that it speaks of are on their way, so that whoever has
//! seen the effect finds its cause. All nodes append to the same file, each line by one `write(2)`
//! on a descriptor opened with `O_APPEND`, which does not tear (POSIX `write`, "atomic" appends).

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// One application of a fault. What a fault has no use for is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultEvent {
    /// The node that did it, counted from 0.
    pub node: usize,
    /// The fault's name, as in `drop=0.1%`.
    pub fault: String,
    /// The client connection, counted from 1 on each node in the order of their upgrades.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<u64>,
    /// The client's port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// `cut`: the node that did not hear, counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<usize>,
    /// The message's id, where the cluster gives one (a relay does not).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The message's text, also where the copy carried only the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// `corrupt`: the text as it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub became: Option<String>,
    /// `reorder`: copies that passed. `split`: frames sent. `batch`: copies in the frame. `close`,
    /// `reset`, `bad-frame`: copies sent on the connection before. `stall`, `exit`, `cut`: messages
    /// that the node had handled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

/// The last words of a node whose line could not be written.
pub const UNWRITTEN: &str = "the fault log cannot be written";

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FaultLogError {
    /// The file.
    #[error("fault log {path}: {source}")]
    File {
        /// Of the log.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A line that is no event.
    #[error("fault log {path}, line {line}: {reason}")]
    Line {
        /// Of the log.
        path: String,
        /// Counted from 1.
        line: usize,
        /// What the parser says.
        reason: String,
    },
}

/// All events of a log, in the order of its lines.
///
/// A last line without its newline is being written just now and is left out.
///
/// # Errors
/// When the file cannot be read, or a line is no [`FaultEvent`].
pub fn read(path: &Path) -> Result<Vec<FaultEvent>, FaultLogError> {
    let name = || path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|source| FaultLogError::File { path: name(), source })?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let event = |(index, line): (usize, &str)| {
        simd_json::from_slice(&mut line.as_bytes().to_vec()).map_err(|e| FaultLogError::Line {
            path: name(),
            line: index + 1,
            reason: e.to_string(),
        })
    };
    whole.lines().enumerate().map(event).collect()
}

/// A node's end of the log.
#[derive(Debug)]
pub(super) struct FaultLog {
    file: Option<File>,
}

impl FaultLog {
    /// Appends to `path`; without one, nothing is kept.
    pub(super) fn append(path: Option<&Path>) -> std::io::Result<Self> {
        let open = |path| OpenOptions::new().append(true).create(true).open(path);
        let file = path.map(open).transpose()?;
        Ok(Self { file })
    }

    /// Writes one line, and returns when the kernel has it.
    ///
    /// # Panics
    /// When it cannot be written: the node's process ends with the reason, because an account with
    /// gaps would be taken for a complete one.
    pub(super) fn write(&self, event: &FaultEvent) {
        let Some(mut file) = self.file.as_ref() else {
            return;
        };
        let mut line = simd_json::to_vec(event).expect("an event is plain data");
        line.push(b'\n');
        file.write_all(&line).unwrap_or_else(|e| panic!("{UNWRITTEN}: {e}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(node: usize, text: &str) -> FaultEvent {
        FaultEvent {
            node,
            fault: "corrupt".to_owned(),
            client: Some(2),
            text: Some(text.to_owned()),
            ..FaultEvent::default()
        }
    }

    #[test]
    fn what_several_writers_append_is_read_back_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("faults.jsonl");
        let writers = [0, 1].map(|_| FaultLog::append(Some(&path)).expect("a log"));
        let events: Vec<_> = (0..100).map(|i| event(i % 2, &format!("\"ä\\\n{i}"))).collect();
        for event in &events {
            writers[event.node].write(event);
        }
        assert_eq!(read(&path).expect("a log"), events);
    }

    #[test]
    fn a_line_that_is_still_being_written_is_left_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("faults.jsonl");
        std::fs::write(&path, "{\"node\":1,\"fault\":\"deaf\"}\n{\"node\":1,\"fau")
            .expect("a file");
        assert_eq!(read(&path).expect("a log").len(), 1);
    }

    #[test]
    fn a_broken_line_is_named_by_its_number() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("faults.jsonl");
        std::fs::write(&path, "{\"node\":1,\"fault\":\"deaf\"}\nnonsense\n").expect("a file");
        let error = read(&path).expect_err("nonsense").to_string();
        assert!(error.contains("line 2"), "{error}");
    }
}
