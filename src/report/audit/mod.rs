//! What is told of an audit: a table for people, a document for machines, files for sysctl.d.
//!
//! Belongs here: rendering. Does not: rules and their reasons (`audit`), and where output goes
//! (`cli`).

pub mod fix;
pub mod json;
pub mod pages;
pub mod text;

use crate::audit::Audit;
use crate::audit::facts::Facts;
use crate::audit::requirements::PlanRequirements;
use crate::load::trial::Trial;

/// An audit and what it was about.
#[derive(Clone, Copy, Debug)]
pub struct Audited<'a> {
    /// The trial that takes the most memory.
    pub largest: &'a Trial,
    /// The host.
    pub facts: &'a Facts,
    /// The plan in numbers.
    pub need: &'a PlanRequirements,
    /// What came of it.
    pub audit: &'a Audit,
}
