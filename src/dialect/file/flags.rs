//! What flags add to a dialect: a first word and answers, for a protocol that is not worth a file.
//!
//! Belongs here: reading them as a file's strings are read. Does not: the flags (`cli::dialect_args`).

use std::collections::BTreeMap;

use crate::dialect::keepalive::Reply;
use crate::dialect::matching::{How, Matching};
use crate::dialect::opening::OpeningStep;
use crate::dialect::pattern::Pattern;
use crate::dialect::pattern_reader::{Position, Reader};
use crate::dialect::{Dialect, MessageKind};

/// Adds to a dialect what is said on each socket before it is ready, and what is answered to a message that
/// is exactly so.
///
/// # Errors
/// What is wrong with one of these, in a line that says which.
pub fn add(
    dialect: &mut Dialect,
    said_first: &[String],
    answers: &[(String, String)],
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<(), String> {
    let is_text = dialect.kind == MessageKind::Text;
    let mut read = |flag: &str, written: &str, position| -> Result<Pattern, String> {
        let secrets = &std::cell::RefCell::new(Vec::new());
        let environment = |name: &str| {
            let value = environment(name)?;
            secrets.borrow_mut().push(value.clone());
            Some(value)
        };
        let parameters = &BTreeMap::new();
        let reader =
            Reader { parameters, environment: &environment, position, captured: &[], is_text };
        let pattern = reader
            .read(written)
            .map_err(|bad| format!("{flag}: `{}`: {}", bad.token.escape_debug(), bad.what))?;
        dialect.secrets.extend(secrets.take());
        Ok(pattern)
    };
    let mut steps = Vec::new();
    for written in said_first {
        let send = Some(read("--opening", written, Position::Opening)?);
        steps.push(OpeningStep { send, answer: None });
    }
    let mut replies = Vec::new();
    for (when, send) in answers {
        let pattern = read("--reply", when, Position::Fixed)?;
        let send = read("--reply", send, Position::Said)?.into();
        // In a stream nothing is a message by itself.
        let how = if dialect.stream { How::Containing } else { How::Exactly };
        replies.push(Reply { when: Matching { how, pattern }, send });
    }
    dialect.opening.steps.extend(steps);
    dialect.replies.extend(replies);
    dialect.gather_columns();
    Ok(())
}
