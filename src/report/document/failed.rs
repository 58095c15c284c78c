//! What a result file holds after a run that failed before it measured anything.
//!
//! Belongs here: its keys. Does not: the sentence that presents it (`story`), the errors themselves,
//! and which of them is of which phase (`cli`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SCHEMA, Tool};
use crate::report::document::trial::TrialResult;
use crate::report::sanitize::UntrustedText;

/// In place of a result: the invocation failed, and nothing was measured. What stood in the file before is
/// gone, so that nobody takes it for new. `failed` is in no result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FailedDocument {
    /// Name and version of this format.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: String,
    /// Who was to measure.
    pub tool: Tool,
    /// What went wrong.
    pub failed: Failed,
    /// None ran: always empty.
    #[schemars(length(max = 0))]
    #[serde(rename = "trials")]
    pub trials: Vec<TrialResult>,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Failed {
    /// When: `arguments`, `host` (what the machine must have), `cluster` (starting the embedded one),
    /// `discover`, `resolve`, `connect`, `handshake` (of the transport), `upgrade`, `opening` (of the dialect),
    /// `session`, `probe`, `calibrate`, `prepare` (laying out messages), `run`. Others may be added.
    pub phase: UntrustedText,
    /// Why: what standard error says, in one line.
    pub cause: UntrustedText,
    /// The exit code.
    pub exit_code: u8,
}

impl FailedDocument {
    /// Of an invocation.
    pub fn new(tool: Tool, failed: Failed) -> Self {
        Self { schema: SCHEMA.to_owned(), tool, failed, trials: Vec::new() }
    }
}
