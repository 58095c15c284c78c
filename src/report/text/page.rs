//! What every section of a text report needs: the plan, and how to write.

use std::io::{self, Write};

use crate::plan::Plan;
use crate::report::Invocation;
use crate::report::format::{Ink, Paint};

#[derive(Clone, Copy, Debug)]
pub(super) struct Page<'a> {
    pub(super) plan: &'a Plan,
    pub(super) invocation: &'a Invocation,
    pub(super) paint: Paint,
}

impl Page<'_> {
    /// Opens a section.
    pub(super) fn heading(&self, out: &mut dyn Write, text: &str) -> io::Result<()> {
        writeln!(out, "\n{}", self.paint.ink(Ink::Heading, text))
    }

    /// `node 2 ws://…`.
    pub(super) fn node(&self, index: usize) -> String {
        let url = self.plan.nodes.get(index).map_or("", |node| &node.url);
        format!("node {index} {url}")
    }
}
