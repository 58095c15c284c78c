//! What targets share: inputs that can hold texts, the built-in dialects, and a node that says what it is given.
//!
//! Belongs here: how an input becomes messages, reads and a plan. Does not: what must hold (`fuzz_targets`).

pub mod node;

use std::sync::LazyLock;

use fanstorm::dialect::file::{self, Source};
use fanstorm::dialect::{Dialect, Tag, TextShape, builtin};

/// The nonce of the run that inputs belong to.
pub const RUN: u32 = 0x1b2c_3d4e;
/// The nonces before it that were ours.
pub const EARLIER: u32 = 3;

/// The built-in dialects, and one with a filter, so that a target needs no other.
pub static DIALECTS: LazyLock<Vec<Dialect>> = LazyLock::new(|| {
    let all = builtin::ALL.iter().map(|file| (file.name, file.text));
    all.map(|(name, text)| read(name, text).expect("built-in files are right")).collect()
});

/// Reads a dialect file as `fanstorm dialect check` does, in an environment with one variable.
pub fn read(name: &str, text: &str) -> Result<Dialect, file::FileError> {
    let environment = |name: &str| (name == "TOKEN").then(|| "s3cret".to_owned());
    file::read(&Source { file: name, text, settings: &[], environment: &environment })
}

/// Takes parameters from the front of an input.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// The next byte, 0 behind the end.
    pub fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// One of these.
    pub fn one_of<T>(&mut self, of: &'a [T]) -> &'a T {
        &of[usize::from(self.byte()) % of.len()]
    }

    /// A text's shape: from the tag alone to one with words on both sides.
    pub fn shape(&mut self) -> TextShape {
        TextShape::new(26 + usize::from(self.byte())).expect("room for the tag")
    }
}

/// Bytes in which a few control characters stand for what mutation would hardly ever hit on:
/// `\x01 s n` is a text of this run by sender `s` with number `n`, `\x02 s n` one of an earlier run of ours,
/// `\x03 s n` one of a stranger's run, `\x04 s n at byte` a damaged one of this run, `\x05 s n at` the front of
/// one. `border` is put in the place of `\xff`.
pub fn expand(shape: &TextShape, input: &[u8], mut each: impl FnMut(Piece)) {
    let mut input = Input(input);
    while !input.0.is_empty() {
        let kind = input.byte();
        let run = match kind {
            1 | 4 | 5 => RUN,
            2 => RUN - 1,
            3 => RUN + 77,
            0xff => {
                each(Piece::Border);
                continue;
            }
            other => {
                each(Piece::Bytes(vec![other]));
                continue;
            }
        };
        let (sender, sequence) = (input.byte().into(), input.byte().into());
        let mut text = Vec::new();
        shape.render(Tag { run, sender, sequence }, &mut text);
        if kind >= 4 {
            let at = usize::from(input.byte()) % text.len();
            if kind == 4 {
                text[at] = input.byte();
            } else {
                text.truncate(at);
            }
        }
        each(Piece::Bytes(text));
    }
}

/// What an input is made of.
pub enum Piece {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A message ends, or a read.
    Border,
}

/// The stretches between borders.
pub fn stretches(shape: &TextShape, input: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![Vec::new()];
    expand(shape, input, |piece| match piece {
        Piece::Bytes(bytes) => all.last_mut().expect("never empty").extend(bytes),
        Piece::Border => all.push(Vec::new()),
    });
    all
}

/// Cuts of these lengths (and one more), again and again; one empty read of nothing.
pub fn cuts<'w>(wire: &'w [u8], steps: &[u8]) -> Vec<&'w [u8]> {
    let (mut rest, mut reads) = (wire, Vec::new());
    for step in steps.iter().cycle() {
        let (read, behind) = rest.split_at((usize::from(*step) + 1).min(rest.len()));
        reads.push(read);
        rest = behind;
        if rest.is_empty() {
            break;
        }
    }
    reads
}
