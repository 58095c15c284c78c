//! What a received application message means: whose copies it carries, if anyone's.
//!
//! Belongs here: putting texts and ids together into sightings. Does not: frames (`wire`), to which
//! message a copy is attributed and whether it is late, lost or doubled (`measure`).
//!
//! A copy is one occurrence of a tag of this run with its text unaltered around it. A message may
//! carry none, one or many. Every message can be searched; the search defines what it means. Most
//! are built like the one before and are read by comparing (`dialect::layout`), to the same result.

use super::Dialect;
use super::correlation::CorrelationId;
use super::elements::{Element, Walker};
use super::layout::{Landmarks, Layout};
use super::text::TextShape;
use super::texts::{Seen, Texts};

/// One thing that a message turned out to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sighting {
    /// A message of this run, text and all.
    Copy {
        /// The push socket, or [`super::PROBE_SENDER`].
        sender: u16,
        /// Its number in that socket's stream.
        sequence: u64,
        /// The cluster's own name for it, where the dialect knows one.
        id: Option<CorrelationId>,
    },
    /// A message known by the cluster's name alone.
    Id(CorrelationId),
    /// A text of this run that was altered on its way.
    Corrupt,
    /// Nothing of this run; at most one for a message, and then the only sighting.
    Foreign,
}

/// Reads messages for one run; built before the clock, allocates nothing after.
#[derive(Debug)]
pub struct Scanner {
    texts: Texts,
    walker: Option<Walker>,
    /// One for copies with text, one for ids alone: what a worker's sockets see by turns.
    layouts: [Layout; 2],
    /// Which of them fitted last.
    recent: usize,
}

impl Scanner {
    /// A scanner for the texts of `shape` that carry tags of `run`.
    pub fn new(dialect: &Dialect, shape: &TextShape, run: u32) -> Self {
        Self {
            texts: Texts::new(shape, run),
            walker: dialect.correlation.as_ref().map(Walker::new),
            layouts: [Layout::new(dialect), Layout::new(dialect)],
            recent: 0,
        }
    }

    /// Visits what `message` says: at least one sighting.
    #[inline]
    pub fn scan(&mut self, message: &[u8], visit: &mut impl FnMut(Sighting)) {
        match self.remembered(message) {
            Some(sighting) => visit(sighting),
            None => self.search_and_learn(message, visit),
        }
    }

    #[inline]
    fn remembered(&mut self, message: &[u8]) -> Option<Sighting> {
        if let Some(sighting) = self.layouts[self.recent].read(message, &self.texts) {
            return Some(sighting);
        }
        let other = 1 - self.recent;
        let sighting = self.layouts[other].read(message, &self.texts)?;
        self.recent = other;
        Some(sighting)
    }

    #[cold]
    fn search_and_learn(&mut self, message: &[u8], visit: &mut impl FnMut(Sighting)) {
        let mut only = None;
        let mut sightings = 0;
        self.search(message, &mut |sighting| {
            only = Some(sighting);
            sightings += 1;
            visit(sighting);
        });
        if let (Some(sighting), 1) = (only, sightings) {
            self.learn(message, sighting);
        }
    }

    fn search(&mut self, message: &[u8], visit: &mut impl FnMut(Sighting)) {
        let mut foreign = true;
        let mut note = |sighting| {
            foreign = false;
            visit(sighting);
        };
        match &mut self.walker {
            None => {
                self.texts.scan(message, None, &mut note);
            }
            Some(walker) => search_elements(walker, &self.texts, message, &mut note),
        }
        if foreign {
            visit(Sighting::Foreign);
        }
    }

    /// Remembers the build of a message whose only sighting was this one.
    fn learn(&mut self, message: &[u8], sighting: Sighting) {
        let (slot, id) = match sighting {
            Sighting::Copy { id, .. } => (0, id),
            Sighting::Id(id) => (1, Some(id)),
            Sighting::Corrupt | Sighting::Foreign => return,
        };
        let mut marks = Landmarks::default();
        if slot == 0 {
            marks.text = self.texts.find(message);
        }
        if let (Some(walker), Some(_)) = (&mut self.walker, id) {
            walker.walk(message, |element| marks.id = Some(element.id));
        }
        self.layouts[slot].learn(message, &marks);
    }
}

fn search_elements(
    walker: &mut Walker,
    texts: &Texts,
    message: &[u8],
    note: &mut impl FnMut(Sighting),
) {
    let mut done = 0;
    walker.walk(message, |Element { span, id, has_text }| {
        let id = CorrelationId::from_bytes(&message[id]);
        texts.scan(&message[done..span.start], None, note);
        done = span.end;
        let seen = texts.scan(&message[span], Some(id), note);
        if seen == Seen::Nothing && !has_text {
            note(Sighting::Id(id));
        }
    });
    texts.scan(&message[done..], None, note);
}
