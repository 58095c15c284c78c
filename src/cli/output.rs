//! Where results go: standard output, or a file that was seen to be writable before the run.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::place::{Place, Seen};
use crate::host::io_words::unwritten;
use crate::report::sanitize::plain_lines;

/// `--json FILE` or `--json -`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonTarget {
    /// `-`.
    Stdout,
    /// A path.
    File(PathBuf),
}

impl FromStr for JsonTarget {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "" => Err("write a file name, or - for standard output"),
            "-" => Ok(Self::Stdout),
            path => Ok(Self::File(path.into())),
        }
    }
}

/// Says that something is not as it was asked for.
pub fn warn(text: &str) {
    let _ = writeln!(io::stderr(), "warning: {}", plain_lines(text));
}

/// An output that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{flag} {}: {}", path.display(), unwritten(source))]
pub struct UnwritableError {
    /// The flag that names it.
    flag: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// A file that a flag names, seen to be writable. Until something is written nothing changes: an
/// earlier file stays as it is, and no new one appears.
#[derive(Debug)]
pub struct ResultFile {
    flag: &'static str,
    path: PathBuf,
    place: Place,
    /// What was there when it was opened.
    earlier: Option<Seen>,
}

impl ResultFile {
    /// Looks whether `path`, which `flag` names, can be written.
    ///
    /// # Errors
    /// When it cannot: missing folder, no permission, a folder, a pipe that nobody reads.
    pub fn open(flag: &'static str, path: &Path) -> Result<Self, UnwritableError> {
        match Place::find(path) {
            Ok(place) => {
                let earlier = place.target().and_then(Seen::at);
                Ok(Self { flag, path: path.to_owned(), place, earlier })
            }
            Err(source) => Err(UnwritableError { flag, path: path.to_owned(), source }),
        }
    }

    /// Whether it is a file that is kept, and no pipe or device that may make its writer wait.
    pub const fn is_kept(&self) -> bool {
        self.place.target().is_some()
    }

    /// The pipe or device, opened.
    pub fn into_stream(self) -> Option<File> {
        match self.place {
            Place::Stream(file) => Some(file),
            Place::Beside(_) | Place::InPlace(..) => None,
        }
    }

    /// Whether somebody else has written it since it was opened.
    pub fn is_anothers(&self) -> bool {
        self.place.target().and_then(Seen::at) != self.earlier
    }

    /// Writes all of it. A file holds either this or what it held before.
    ///
    /// # Errors
    /// When the disk is full, for example. Whoever has the result must put it elsewhere then.
    pub fn write(&mut self, result: &[u8]) -> Result<(), UnwritableError> {
        let (flag, path) = (self.flag, &self.path);
        self.place.write(result).map_err(|source| UnwritableError {
            flag,
            path: path.clone(),
            source,
        })
    }
}

/// A writer whose reader may go away (`fanstorm | head`): what nobody reads is no error.
#[derive(Debug)]
pub struct Pipe<W> {
    inner: W,
    broken: bool,
}

impl<W: Write> Pipe<W> {
    /// Around a standard stream.
    pub const fn new(inner: W) -> Self {
        Self { inner, broken: false }
    }

    fn forgive<T>(&mut self, result: io::Result<T>, instead: T) -> io::Result<T> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.broken = true;
                Ok(instead)
            }
            other => other,
        }
    }
}

impl<W: Write> Write for Pipe<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.broken {
            return Ok(bytes.len());
        }
        let result = self.inner.write(bytes);
        self.forgive(result, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.broken {
            return Ok(());
        }
        let result = self.inner.flush();
        self.forgive(result, ())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_result_replaces_a_longer_earlier_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("result.json");
        fs::write(&path, "an earlier, longer result").unwrap();
        let mut file = ResultFile::open("--json", &path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "an earlier, longer result");
        file.write(b"{}\n").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "{}\n");
    }

    #[test]
    fn a_run_without_a_result_leaves_no_new_file_and_no_earlier_one_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let (new, old) = (dir.path().join("new.json"), dir.path().join("old.json"));
        fs::write(&old, "kept").unwrap();
        drop(ResultFile::open("--json", &new).unwrap());
        drop(ResultFile::open("--json", &old).unwrap());
        assert!(!new.exists());
        assert_eq!(fs::read_to_string(&old).unwrap(), "kept");
    }

    #[test]
    fn what_cannot_be_written_is_known_before_the_run_and_named() {
        let dir = tempfile::tempdir().unwrap();
        for path in [dir.path().to_owned(), dir.path().join("absent/result.json")] {
            let error = ResultFile::open("--json", &path).unwrap_err().to_string();
            assert!(error.starts_with(&format!("--json {}: ", path.display())), "{error}");
        }
    }

    #[test]
    fn what_another_run_wrote_meanwhile_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("result.json");
        let mine = ResultFile::open("--json", &path).unwrap();
        assert!(!mine.is_anothers());
        ResultFile::open("--json", &path).unwrap().write(b"theirs").unwrap();
        assert!(mine.is_anothers());
    }

    #[test]
    fn a_full_disk_is_an_error_at_the_end_and_devices_are_written_to() {
        ResultFile::open("--json", Path::new("/dev/full")).unwrap().write(b"{}").unwrap_err();
        ResultFile::open("--json", Path::new("/dev/null")).unwrap().write(b"{}").unwrap();
    }

    #[test]
    fn a_reader_that_went_away_is_no_error_but_a_full_disk_is() {
        struct Fails(io::ErrorKind);
        impl Write for Fails {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(self.0.into())
            }
        }
        let mut gone = Pipe::new(Fails(io::ErrorKind::BrokenPipe));
        assert!(writeln!(gone, "one").and_then(|()| gone.flush()).is_ok());
        let mut full = Pipe::new(Fails(io::ErrorKind::StorageFull));
        assert!(writeln!(full, "one").is_err());
    }

    #[test]
    fn a_dash_is_standard_output_and_nothing_is_nothing() {
        assert_eq!("-".parse(), Ok(JsonTarget::Stdout));
        assert_eq!("./-".parse(), Ok(JsonTarget::File("./-".into())));
        assert!("".parse::<JsonTarget>().is_err());
    }
}
