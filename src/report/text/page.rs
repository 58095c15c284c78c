//! What every section of a text report needs: the document, and how to write.

use std::io::{self, Write};

use crate::report::document::Document;
use crate::report::document::trial::LatencyClass;
use crate::report::format::{Ink, Paint};

#[derive(Clone, Copy, Debug)]
pub(super) struct Page<'a> {
    pub(super) document: &'a Document,
    /// The class of the rows' columns: the document's headline, unless another is asked for.
    pub(super) class: LatencyClass,
    pub(super) paint: Paint,
}

impl Page<'_> {
    /// Opens a section.
    pub(super) fn heading(&self, out: &mut dyn Write, text: &str) -> io::Result<()> {
        writeln!(out, "\n{}", self.paint.ink(Ink::Heading, text))
    }

    /// `node 2 ws://…`.
    pub(super) fn node(&self, index: u64) -> String {
        let node = usize::try_from(index).ok().and_then(|at| self.document.plan.nodes.get(at));
        let url = node.map_or_else(String::new, |node| node.url.to_string());
        format!("node {index} {url}")
    }
}
