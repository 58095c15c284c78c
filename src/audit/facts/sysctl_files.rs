//! What the host's own files ask for: sysctl.d, where copied advice lives on.
//!
//! Belongs here: reading them in the order of sysctl.d(5). Does not: judging them.

use crate::audit::facts::files::Files;

/// Folders of sysctl.d(5), the first that has a file of a name wins.
const FOLDERS: [&str; 4] =
    ["etc/sysctl.d", "run/sysctl.d", "usr/local/lib/sysctl.d", "usr/lib/sysctl.d"];

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// With its folder, from the root: `/etc/sysctl.d/99-tuning.conf`.
    pub file: String,
    /// With points: `net.ipv4.tcp_tw_recycle`.
    pub knob: String,
    /// As written.
    pub value: String,
}

pub(super) fn read(files: &Files<'_>) -> Vec<Setting> {
    let mut found: Vec<(String, &str)> = Vec::new();
    for folder in FOLDERS {
        for name in files.names(folder).into_iter().filter(|name| name.ends_with(".conf")) {
            if !found.iter().any(|(known, _)| *known == name) {
                found.push((name, folder));
            }
        }
    }
    found.sort();
    let paths = found.into_iter().map(|(name, folder)| format!("{folder}/{name}"));
    // procps reads it last; systemd through a link in sysctl.d, which is then read twice.
    let paths = paths.chain(std::iter::once("etc/sysctl.conf".to_owned()));
    paths.flat_map(|path| settings(files, &path)).collect()
}

fn settings(files: &Files<'_>, path: &str) -> Vec<Setting> {
    let text = files.text(path).unwrap_or_default();
    text.lines().filter_map(|line| setting(line, path)).collect()
}

fn setting(line: &str, path: &str) -> Option<Setting> {
    let line = line.trim();
    if line.starts_with(['#', ';']) {
        return None;
    }
    let (knob, value) = line.split_once('=')?;
    // `-` means that a failure is no error, `/` may stand for `.`.
    let knob = knob.trim().trim_start_matches('-').replace('/', ".");
    Some(Setting { file: format!("/{path}"), knob, value: value.trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use crate::audit::facts::sysctl_files::*;
    use std::fs;

    #[test]
    fn files_are_read_in_the_order_of_their_names_and_the_first_folder_wins() {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("etc/sysctl.d/20-b.conf", "# a=1\n; c=2\n-net/ipv4/tcp_x = 3 4\n"),
            ("usr/lib/sysctl.d/10-a.conf", "first=1\nno assignment\n"),
            ("usr/lib/sysctl.d/20-b.conf", "hidden=1\n"),
            ("etc/sysctl.d/README", "readme=1\n"),
            ("etc/sysctl.conf", "last=1\n"),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let settings = read(&Files::under(root.path()));
        let knobs: Vec<_> = settings.iter().map(|s| (s.knob.as_str(), s.value.as_str())).collect();
        assert_eq!(knobs, [("first", "1"), ("net.ipv4.tcp_x", "3 4"), ("last", "1")]);
        assert_eq!(settings[1].file, "/etc/sysctl.d/20-b.conf");
    }
}
