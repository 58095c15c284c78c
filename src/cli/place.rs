//! Where the bytes of an output file go, so that it holds either all of them or what it held before.
//!
//! Belongs here: files that are replaced as a whole, files that can only be written in place, pipes and
//! devices. Does not: what is written, and what is done when that fails (`output`).

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::event::{Timespec, poll};
use rustix::fs::{self as system, Access, FallocateFlags, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

/// How often a pipe without a reader is tried, and the pause between: five seconds together.
const PIPE_TRIES: usize = 100;
const PIPE_PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Links from a name to another: as many as the kernel follows.
const LINKS_MAX: usize = 40;

/// Where an output goes.
#[derive(Debug)]
pub enum Place {
    /// A file, there or not: another one is written beside it and takes its name.
    Beside(PathBuf),
    /// A file in a folder that takes no other one.
    InPlace(PathBuf, File),
    /// A pipe, a device, or what this process has inherited.
    Stream(File),
}

impl Place {
    /// Where the bytes for `path` would go. Nothing is created, nothing is cut.
    ///
    /// # Errors
    /// When it cannot be written: missing folder, no permission, a folder, a pipe that nobody reads.
    pub fn find(path: &Path) -> io::Result<Self> {
        if path.as_os_str().as_bytes().ends_with(b"/") {
            return Err(Errno::ISDIR.into());
        }
        if is_inherited(path) {
            // What is there was written by us, a moment ago, or by whoever opened it.
            return OpenOptions::new().append(true).open(path).map(Self::Stream);
        }
        let target = followed(path)?;
        match fs::metadata(&target) {
            Ok(there) if there.file_type().is_fifo() => pipe(&target).map(Self::Stream),
            Ok(there) => {
                let file = OpenOptions::new().write(true).open(&target)?;
                Ok(match takes_another(&target) {
                    _ if !there.is_file() => Self::Stream(file),
                    Ok(()) => Self::Beside(target),
                    Err(_) => Self::InPlace(target, file),
                })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                takes_another(&target)?;
                Ok(Self::Beside(target))
            }
            Err(error) => Err(error),
        }
    }

    /// The file that is kept; none of a pipe or a device.
    pub const fn target(&self) -> Option<&PathBuf> {
        match self {
            Self::Beside(target) | Self::InPlace(target, _) => Some(target),
            Self::Stream(_) => None,
        }
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// A file that is kept is then as it was.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Beside(target) => match replace(target, bytes) {
                Err(error) if is_of_the_folder(&error) && target.exists() => {
                    let file = OpenOptions::new().write(true).open(&*target)?;
                    write_over(&file, bytes)
                }
                other => other,
            },
            Self::InPlace(_, file) => write_over(file, bytes),
            Self::Stream(file) => file.write_all(bytes).and_then(|()| file.flush()),
        }
    }
}

/// A file as it was at a moment. Another run that writes it makes it another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    device: u64,
    inode: u64,
    bytes: u64,
    written: (i64, i64),
}

impl Seen {
    /// What is at `path`, if anything.
    pub fn at(path: &PathBuf) -> Option<Self> {
        let there = fs::metadata(path).ok()?;
        let written = (there.mtime(), there.mtime_nsec());
        Some(Self { device: there.dev(), inode: there.ino(), bytes: there.len(), written })
    }
}

/// `/dev/stdout` and its like: opened anew they would be written from their beginning.
fn is_inherited(path: &Path) -> bool {
    let names = ["/dev/stdout", "/dev/stderr", "/dev/fd", "/proc/self/fd"];
    names.iter().any(|name| path.starts_with(name))
}

/// The name at the end of symbolic links: that is replaced, not the link. It need not be there.
pub fn followed(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        match fs::read_link(&path) {
            Ok(next) => path = folder(&path).join(next),
            Err(_) => return Ok(path),
        }
    }
    Err(Errno::LOOP.into())
}

/// The folder that holds `path`.
pub fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Whether a new file can be made beside `path`, asked without making one: a signal could leave it there.
fn takes_another(path: &Path) -> io::Result<()> {
    Ok(system::access(folder(path), Access::WRITE_OK | Access::EXEC_OK)?)
}

/// Whether the folder, and not the disk, is what stands in the way: a file that is mounted by itself
/// (containers do that), or another user's in a folder like /tmp.
fn is_of_the_folder(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::PermissionDenied | Kind::ResourceBusy | Kind::ReadOnlyFilesystem)
}

fn replace(target: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = folder(target);
    let mut beside = tempfile::Builder::new()
        .prefix(".fanstorm-")
        .suffix(".tmp")
        // As any other file: what the umask leaves of it.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)?;
    // Not through the wrapper, which hides the number of an error.
    beside.as_file_mut().write_all(bytes)?;
    if let Ok(earlier) = fs::metadata(target) {
        resemble(beside.as_file(), &earlier);
    }
    on_disk(beside.as_file())?;
    beside.persist(target).map_err(|error| error.error)?;
    // The name, too. What is in the file is safe already, and so a refusal is no failure.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// With the owner and the mode of the file that it replaces, as far as we may.
fn resemble(file: &File, earlier: &Metadata) {
    let (owner, group) = (Uid::from_raw(earlier.uid()), Gid::from_raw(earlier.gid()));
    // The owner first: a change of it takes mode bits away.
    let _ = system::fchown(file.as_fd(), Some(owner), Some(group));
    let _ = file.set_permissions(earlier.permissions());
}

/// Room is made before anything is changed: a full disk is then no half of a result.
fn write_over(file: &File, bytes: &[u8]) -> io::Result<()> {
    match system::fallocate(file, FallocateFlags::KEEP_SIZE, 0, bytes.len() as u64) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
        Err(error) => return Err(error.into()),
    }
    file.write_all_at(bytes, 0)?;
    file.set_len(bytes.len() as u64)?;
    on_disk(file)
}

fn on_disk(file: &File) -> io::Result<()> {
    match file.sync_all() {
        // Some file systems of user space know no such thing.
        Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => Ok(()),
        other => other,
    }
}

/// Opening a pipe for writing waits for its reader: not for ever.
fn pipe(path: &Path) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    for _ in 0..PIPE_TRIES {
        match system::open(path, flags, Mode::empty()) {
            Ok(pipe) => {
                system::fcntl_setfl(&pipe, OFlags::empty())?;
                return Ok(pipe.into());
            }
            // A signal cuts the pause short, which does no harm.
            Err(Errno::NXIO) => drop(poll(&mut [], Some(&PIPE_PAUSE))),
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::Error::other("nobody reads this pipe: waited 5 s; start its reader first"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
        Place::find(path)?.write(bytes)
    }

    fn names(dir: &Path) -> Vec<String> {
        let names = fs::read_dir(dir).unwrap();
        let mut names: Vec<_> =
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn whoever_reads_the_earlier_file_reads_it_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("result");
        fs::write(&path, "earlier").unwrap();
        let reader = File::open(&path).unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(io::read_to_string(reader).unwrap(), "earlier");
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(names(dir.path()), ["result"]);
    }

    #[test]
    fn a_link_stays_a_link_and_what_it_names_is_written_also_where_it_is_not_there_yet() {
        let dir = tempfile::tempdir().unwrap();
        let (link, chain) = (dir.path().join("latest"), dir.path().join("chain"));
        symlink("run-1", &link).unwrap();
        symlink("latest", &chain).unwrap();
        for bytes in ["first", "second"] {
            write(&chain, bytes.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(dir.path().join("run-1")).unwrap(), bytes);
        }
        assert_eq!(names(dir.path()), ["chain", "latest", "run-1"]);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        symlink("loop", dir.path().join("loop")).unwrap();
        write(&dir.path().join("loop"), b"").unwrap_err();
    }

    #[test]
    fn the_mode_of_an_earlier_file_stays_and_a_new_one_is_as_any_other() {
        let dir = tempfile::tempdir().unwrap();
        let mode =
            |name: &str| fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777;
        fs::write(dir.path().join("other"), "").unwrap();
        write(&dir.path().join("new"), b"new").unwrap();
        assert_eq!(mode("new"), mode("other"));
        fs::set_permissions(dir.path().join("new"), Permissions::from_mode(0o640)).unwrap();
        write(&dir.path().join("new"), b"again").unwrap();
        assert_eq!(mode("new"), 0o640);
    }

    #[test]
    fn a_file_that_can_only_be_written_in_place_is_cut_to_what_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mounted");
        fs::write(&path, "an earlier, longer result").unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        Place::InPlace(path.clone(), file).write(b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }

    #[test]
    fn a_name_that_ends_like_a_folder_is_none_of_a_file() {
        let dir = tempfile::tempdir().unwrap();
        Place::find(&dir.path().join("result/")).unwrap_err();
        assert!(names(dir.path()).is_empty());
    }
}
