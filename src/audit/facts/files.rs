//! Small files of `/proc` and `/sys`, read below a root.
//!
//! Belongs here: text to numbers, as the kernel writes them. Does not: which files there are.

use std::fs;
use std::path::Path;
use std::str::FromStr;

/// The files of one machine.
pub(super) struct Files<'a> {
    root: &'a Path,
}

impl<'a> Files<'a> {
    pub(super) const fn under(root: &'a Path) -> Self {
        Self { root }
    }

    /// A file's text without the blanks around it; none where it cannot be read or is empty.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let text = fs::read_to_string(self.root.join(path)).ok()?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// Names in a folder, sorted.
    pub(super) fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.root.join(path)).into_iter().flatten().flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    /// A sysctl with one number.
    pub(super) fn sysctl<T: FromStr>(&self, name: &str) -> Option<T> {
        self.text(&format!("proc/sys/{name}"))?.parse().ok()
    }

    /// A sysctl with so many numbers.
    pub(super) fn sysctl_numbers<const N: usize>(&self, name: &str) -> Option<[u64; N]> {
        let text = self.text(&format!("proc/sys/{name}"))?;
        let numbers: Option<Vec<u64>> =
            text.split_whitespace().map(|number| number.parse().ok()).collect();
        numbers?.try_into().ok()
    }

    /// `0-3,8`, the kernel's list format, sorted.
    pub(super) fn list(&self, path: &str) -> Option<Vec<usize>> {
        let mut numbers = Vec::new();
        for part in self.text(path)?.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            numbers.extend(first.parse().ok()?..=last.parse::<usize>().ok()?);
        }
        numbers.sort_unstable();
        Some(numbers)
    }

    /// `always [madvise] never`: the word in brackets.
    pub(super) fn chosen(&self, path: &str) -> Option<String> {
        let text = self.text(path)?;
        let (_, behind) = text.split_once('[')?;
        behind.split_once(']').map(|(word, _)| word.to_owned())
    }

    /// A field of /proc/self/status.
    pub(super) fn status(&self, field: &str) -> Option<String> {
        let text = self.text("proc/self/status")?;
        let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
        pairs.find(|(name, _)| *name == field).map(|(_, value)| value.trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use crate::audit::facts::files::*;

    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn numbers_lists_and_choices_are_read_as_the_kernel_writes_them() {
        let root = machine(&[
            ("proc/sys/net/ipv4/tcp_mem", "1\t22\t333\n"),
            ("proc/sys/kernel/io_uring_group", "-1\n"),
            ("online", "0-2,5\n"),
            ("enabled", "always [madvise] never\n"),
            ("proc/self/status", "Name:\tcat\nSeccomp:\t2\nSeccomp_filters:\t1\n"),
            ("empty", "\n"),
        ]);
        let files = Files::under(root.path());
        assert_eq!(files.sysctl_numbers("net/ipv4/tcp_mem"), Some([1, 22, 333]));
        assert_eq!(files.sysctl_numbers::<2>("net/ipv4/tcp_mem"), None);
        assert_eq!(files.sysctl("kernel/io_uring_group"), Some(-1));
        assert_eq!(files.list("online"), Some(vec![0, 1, 2, 5]));
        assert_eq!(files.chosen("enabled").as_deref(), Some("madvise"));
        assert_eq!(files.status("Seccomp").as_deref(), Some("2"));
        assert_eq!((files.text("empty"), files.text("absent")), (None, None));
    }
}
