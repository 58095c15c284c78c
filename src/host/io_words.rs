//! What the system says of a file, in words of whoever named it, and what helps.
//!
//! Belongs here: errors of reading and of writing. Does not: which flag named the file, addresses and nodes.

use std::fmt::Display;
use std::io::{Error, ErrorKind as Kind};

use rustix::process::{Resource, getrlimit};

use crate::units::Bytes;

/// Why a file cannot be read.
pub fn unread(error: &Error) -> String {
    match error.kind() {
        Kind::NotFound => "there is no such file".to_owned(),
        Kind::NotADirectory => "a part of this path is no folder".to_owned(),
        Kind::IsADirectory => "this is a folder: name a file".to_owned(),
        Kind::PermissionDenied => {
            "this user may not read it: it, or a folder above it, wants `chmod`, or run this as its owner"
                .to_owned()
        }
        _ => unnumbered(error),
    }
}

/// Why a file, or a folder for some, cannot be written.
pub fn unwritten(error: &Error) -> String {
    let said = match error.kind() {
        Kind::NotFound => "there is no such folder: make it with `mkdir -p`, or name another",
        Kind::NotADirectory => "a part of this path is no folder: name another",
        Kind::AlreadyExists => "this is a file: name a folder",
        Kind::IsADirectory => "this is a folder: name a file",
        Kind::PermissionDenied => {
            "this user may not write there: name another place, or `chmod` it"
        }
        Kind::ReadOnlyFilesystem => "this place is read-only: name another",
        Kind::StorageFull => "no space left on the disk: make room, or name a place on another",
        Kind::QuotaExceeded => {
            "this user's disk quota is used up: make room, or name another place"
        }
        Kind::FileTooLarge => return too_large(error),
        _ => return unnumbered(error),
    };
    said.to_owned()
}

fn too_large(error: &Error) -> String {
    match getrlimit(Resource::Fsize).current {
        Some(bytes) => format!(
            "this process may write files of {}: raise it (ulimit -f, RLIMIT_FSIZE)",
            Bytes(bytes)
        ),
        None => unnumbered(error),
    }
}

/// The system's words without its number, which tells nothing more.
pub fn unnumbered(error: &impl Display) -> String {
    let mut text = error.to_string();
    while let Some(at) = text.find(" (os error ") {
        let end = text[at..].find(')').map_or(text.len(), |behind| at + behind + 1);
        text.replace_range(at..end, "");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_error_of_a_file_ends_in_a_number() {
        for number in 1..=133 {
            for words in [unread, unwritten, unnumbered] {
                let said = words(&Error::from_raw_os_error(number));
                assert!(!said.is_empty() && !said.contains("os error"), "{number}: {said}");
            }
        }
    }

    #[test]
    fn what_a_library_adds_to_the_system_s_words_stays() {
        let error = tempfile::tempdir_in("/nonexistent").unwrap_err();
        let said = unnumbered(&error);
        assert!(said.starts_with("No such file or directory at path"), "{said}");
        assert!(!said.contains("os error"), "{said}");
        assert!(unwritten(&error).contains("mkdir -p"));
    }
}
