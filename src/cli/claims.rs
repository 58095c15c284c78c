//! No two outputs of a run are the same file: the last one written would be all that is left.
//!
//! Belongs here: telling whether two names are one file. Does not: writing (`output`).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, fstat};

use super::output::UnwritableError;
use super::place::{folder, followed};

/// Two outputs in one file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{first} and {second} name the same file, {}: give each a file of its own",
    path.display()
)]
pub struct SameFileError {
    first: &'static str,
    second: &'static str,
    path: PathBuf,
}

/// Why a run does not begin.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum OutputError {
    /// An output has nowhere to go.
    Unwritable(#[from] UnwritableError),
    /// Two go to the same place.
    SameFile(#[from] SameFileError),
}

/// The outputs of a run, by the flags that name them.
#[derive(Debug, Default)]
pub struct Claims(Vec<(&'static str, Identity)>);

#[derive(Debug, PartialEq, Eq)]
enum Identity {
    /// It is there: device and inode.
    There(u64, u64),
    /// It will be: under this name.
    Absent(PathBuf),
}

impl Claims {
    /// With standard output, where that goes into a file.
    pub fn with_stdout() -> Self {
        let there = fstat(rustix::stdio::stdout()).ok();
        let file = there.filter(|there| FileType::from_raw_mode(there.st_mode).is_file());
        let identity = file.map(|file| Identity::There(file.st_dev, file.st_ino));
        Self(identity.map(|identity| ("standard output", identity)).into_iter().collect())
    }

    /// Takes `path`, which `flag` names. Devices like `/dev/null` take everything from everybody.
    ///
    /// # Errors
    /// When another output is the same file.
    pub fn claim(&mut self, flag: &'static str, path: &Path) -> Result<(), SameFileError> {
        let Some(identity) = Identity::of(path) else { return Ok(()) };
        if let Some((first, _)) = self.0.iter().find(|(_, other)| *other == identity) {
            return Err(SameFileError { first, second: flag, path: path.to_owned() });
        }
        self.0.push((flag, identity));
        Ok(())
    }
}

impl Identity {
    /// None of a device, and of what cannot be there: opening it says why.
    fn of(path: &Path) -> Option<Self> {
        if let Ok(there) = fs::metadata(path) {
            let kind = FileType::from_raw_mode(there.mode());
            let is_device = matches!(kind, FileType::CharacterDevice | FileType::BlockDevice);
            return (!is_device).then(|| Self::There(there.dev(), there.ino()));
        }
        let path = followed(path).ok()?;
        Some(Self::Absent(folder(&path).canonicalize().ok()?.join(path.file_name()?)))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn two_names_of_one_file_are_told_whether_it_is_there_or_not() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("folder")).unwrap();
        fs::write(at("there"), "").unwrap();
        fs::hard_link(at("there"), at("hard")).unwrap();
        symlink("there", at("link")).unwrap();
        symlink("folder", at("other-folder")).unwrap();
        symlink("absent", at("dangling")).unwrap();
        for (one, other, same) in [
            ("there", "there", true),
            ("there", "hard", true),
            ("there", "link", true),
            ("absent", "absent", true),
            ("absent", "folder/../absent", true),
            ("absent", "dangling", true),
            ("folder/absent", "other-folder/absent", true),
            ("there", "absent", false),
            ("absent", "folder/absent", false),
            ("/dev/null", "/dev/null", false),
        ] {
            let mut claims = Claims::default();
            claims.claim("--json", &at(one)).unwrap();
            let claimed = claims.claim("--hlog", &at(other));
            assert_eq!(claimed.is_err(), same, "{one} and {other}");
            if let Err(error) = claimed {
                let text = error.to_string();
                assert!(text.starts_with("--json and --hlog name the same file, "), "{text}");
            }
        }
    }
}
