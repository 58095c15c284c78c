//! The dialects that come with the program, as files of the same format as anybody's.
//!
//! Belongs here: their list. Does not: what they say (`builtin/*.toml`).

/// A file that comes with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Builtin {
    /// `--dialect NAME`.
    pub name: &'static str,
    /// For whom it is, in a line.
    pub about: &'static str,
    /// The file.
    pub text: &'static str,
}

/// All of them, the default first.
pub const ALL: &[Builtin] = &[
    Builtin {
        name: "dsatter",
        about: "chat messages in JSON, copies recognised by text or by id",
        text: include_str!("builtin/dsatter.toml"),
    },
    Builtin {
        name: "raw",
        about: "the message is the text itself, for any echo or broadcast server",
        text: include_str!("builtin/raw.toml"),
    },
];
