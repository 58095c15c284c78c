//! The files of `fanstorm audit --fix-file`.
//!
//! Belongs here: where they lie, and not writing over what somebody else wrote. Does not: what stands
//! in them (`report::audit::fix`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::place::Place;
use crate::host::io_words::unwritten;
use crate::report::audit::fix::MARK;

/// Why they cannot be written. Known before anything is shown.
#[derive(Debug, thiserror::Error)]
pub enum FixError {
    /// A file that did not come from here.
    #[error("--fix-file: {} was not written by fanstorm audit: name another file", .0.display())]
    NotOurs(PathBuf),
    /// No file name.
    #[error("--fix-file {}: is a folder or no file name", .0.display())]
    NoName(PathBuf),
    /// The system said no.
    #[error("--fix-file {}: {}", path.display(), unwritten(source))]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Two files that may be written.
#[derive(Debug)]
pub struct FixFiles {
    sysctl: PathBuf,
    limits: PathBuf,
}

impl FixFiles {
    /// `FILE.conf` and `FILE.limits.conf`, absent or written by an earlier audit.
    ///
    /// # Errors
    /// When one is somebody else's, or cannot be written.
    pub fn claim(sysctl: &Path) -> Result<Self, FixError> {
        let limits = limits_path(sysctl).ok_or_else(|| FixError::NoName(sysctl.to_owned()))?;
        for path in [sysctl, limits.as_path()] {
            ours(path)?;
            let unwritable = |source| FixError::Unwritable { path: path.to_owned(), source };
            Place::find(path).map_err(unwritable)?;
        }
        Ok(Self { sysctl: sysctl.to_owned(), limits })
    }

    /// Writes both.
    ///
    /// # Errors
    /// When one cannot be written.
    pub fn write(&self, sysctl: &str, limits: &str) -> Result<(), FixError> {
        for (path, text) in [(&self.sysctl, sysctl), (&self.limits, limits)] {
            Place::find(path)
                .and_then(|mut place| place.write(text.as_bytes()))
                .map_err(|source| FixError::Unwritable { path: path.clone(), source })?;
        }
        Ok(())
    }
}

/// `90-fanstorm.limits.conf` beside `90-fanstorm.conf`.
pub fn limits_path(sysctl: &Path) -> Option<PathBuf> {
    let stem = sysctl.file_stem()?.to_string_lossy();
    (!sysctl.is_dir()).then(|| sysctl.with_file_name(format!("{stem}.limits.conf")))
}

fn ours(path: &Path) -> Result<(), FixError> {
    match fs::read(path) {
        Ok(text) if text.starts_with(MARK.as_bytes()) => Ok(()),
        Ok(_) => Err(FixError::NotOurs(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(FixError::Unwritable { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_audit_is_written_over_and_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("90-fanstorm.conf");
        let write = |text: &str| FixFiles::claim(&path)?.write(text, &format!("{MARK}\nlimits\n"));
        write(&format!("{MARK}\nfirst\n")).unwrap();
        write(&format!("{MARK}\nsecond\n")).unwrap();
        assert!(fs::read_to_string(&path).unwrap().ends_with("second\n"));
        let limits = dir.path().join("90-fanstorm.limits.conf");
        fs::write(&limits, "* hard nofile 7\n").unwrap();
        let error = write(&format!("{MARK}\nthird\n")).unwrap_err().to_string();
        assert!(error.contains("90-fanstorm.limits.conf was not written by"), "{error}");
        assert!(fs::read_to_string(&path).unwrap().ends_with("second\n"), "neither is touched");
    }

    #[test]
    fn a_folder_and_a_file_in_no_folder_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(FixFiles::claim(dir.path()), Err(FixError::NoName(_))));
        let error = FixFiles::claim(&dir.path().join("absent/90.conf")).unwrap_err();
        assert!(matches!(error, FixError::Unwritable { .. }), "{error}");
    }
}
