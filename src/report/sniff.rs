//! What bytes that are no JSON seem to be instead, in words for whoever gave us the wrong file.
//!
//! Belongs here: telling by how they begin. Does not: what may be wrong with JSON (`saved`).

/// What to do where a file is no result.
pub(super) const GIVE: &str = "give it what a run has written with --json FILE";

/// What the bytes seem to be. Completes "FILE ...".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    /// It begins as an object does.
    #[error("begins like JSON but is none: it was changed or damaged after it was written; {GIVE}")]
    Damaged,
    /// Our own, from `--hlog`.
    #[error("is an interval log, as --hlog writes it, and not JSON; {GIVE}")]
    IntervalLog,
    /// Our own, from `--hgrm`.
    #[error("is a percentile distribution, as --hgrm writes it, and not JSON; {GIVE}")]
    Distribution,
    /// Whatever is inside may be a result.
    #[error("is compressed: unpack it, `{command} FILE | fanstorm report -`")]
    Compressed {
        /// What unpacks it to standard output.
        command: &'static str,
    },
    /// Somebody else's, or ours without its end.
    #[error("is a web page without a whole result of fanstorm in it; {GIVE} or --html FILE")]
    Page,
    /// Letters.
    #[error("is text, but not JSON; {GIVE}")]
    Text,
    /// Anything else.
    #[error("is binary, not JSON; {GIVE}")]
    Binary,
}

/// How compressed files begin, and what unpacks them.
const COMPRESSED: [(&[u8], &str); 4] = [
    (b"\x1f\x8b", "gzip -dc"),
    (b"\x28\xb5\x2f\xfd", "zstd -dc"),
    (b"\xfd7zXZ\0", "xz -dc"),
    (b"BZh", "bzip2 -dc"),
];

impl Stranger {
    /// What `bytes`, which are no JSON, seem to be.
    pub fn of(bytes: &[u8]) -> Self {
        let begins = |with: &(&[u8], &str)| bytes.starts_with(with.0);
        if let Some((_, command)) = COMPRESSED.into_iter().find(begins) {
            return Self::Compressed { command };
        }
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            // Of a long file only the beginning is here, and a letter may be cut at its end.
            Err(end) if end.error_len().is_none() => {
                std::str::from_utf8(&bytes[..end.valid_up_to()]).unwrap_or_default()
            }
            Err(_) => return Self::Binary,
        };
        if text.contains('\0') {
            return Self::Binary;
        }
        let text = text.trim_start();
        let first = text.lines().next().unwrap_or_default();
        match first {
            _ if first.starts_with('{') => Self::Damaged,
            _ if first.to_ascii_lowercase().starts_with("<!doctype html") => Self::Page,
            _ if first.starts_with("#[") => Self::IntervalLog,
            _ if first.starts_with("Value") && first.contains("Percentile") => Self::Distribution,
            _ => Self::Text,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::report::sniff::*;

    #[test]
    fn bytes_are_told_by_how_they_begin() {
        let latin_1 = b"na\xefve, \xe0 la carte";
        for (bytes, stranger) in [
            (&b"root:x:0:0:root:/root:/bin/sh\n"[..], Stranger::Text),
            ("caf\u{e9}".as_bytes(), Stranger::Text),
            (b"caf\xc3", Stranger::Text),
            (latin_1, Stranger::Binary),
            (b"\x7fELF\x02\x01\x01\0", Stranger::Binary),
            (b"\xff\xfe{\0}\0", Stranger::Binary),
            (b" {\"schema\": fanstorm}", Stranger::Damaged),
            (b"<!DOCTYPE html>\n<title>x</title>", Stranger::Page),
            (b"#[Logged with fanstorm 1.0]\n", Stranger::IntervalLog),
            (b"\n       Value     Percentile TotalCount\n", Stranger::Distribution),
            (b"\x1f\x8b\x08\0\0\0", Stranger::Compressed { command: "gzip -dc" }),
            (b"BZh91AY", Stranger::Compressed { command: "bzip2 -dc" }),
        ] {
            assert_eq!(Stranger::of(bytes), stranger, "{}", bytes.escape_ascii());
        }
    }
}
