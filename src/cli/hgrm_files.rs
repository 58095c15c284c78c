//! `--hgrm PREFIX`: a file for each trial and latency class, seen to be writable before the run.
//!
//! Belongs here: their names, and which class of which trial goes into which. Does not: what is in them
//! (`report::hgrm`).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::cli::claims::{Claims, OutputError};
use crate::cli::output::ResultFile;
use crate::load::shape::Pacing;
use crate::report::document::figures::histogram_of;
use crate::report::document::trial::{LatencyClass, TrialResult};
use crate::report::document::{Document, PlannedTrial};
use crate::report::sanitize::UntrustedText;
use crate::report::{hgrm, selection};

/// The open files, by trial and by class.
#[derive(Debug, Default)]
pub struct Plots {
    files: BTreeMap<(UntrustedText, LatencyClass), ResultFile>,
}

impl Plots {
    /// Opens a file for everything that the trials of a document which has only begun may come to have.
    ///
    /// # Errors
    /// When one of them cannot be written, or is another output.
    pub fn open(
        prefix: Option<&Path>,
        begun: &Document,
        claims: &mut Claims,
    ) -> Result<Self, OutputError> {
        let mut files = BTreeMap::new();
        let Some(prefix) = prefix else { return Ok(Self::default()) };
        for PlannedTrial { id, load, .. } in &begun.plan.trials {
            for class in classes(load.pacing()) {
                let path = path(prefix, &format!("{}.{}.hgrm", id.raw(), class.key()));
                claims.claim("--hgrm", &path)?;
                files.insert((id.clone(), class), ResultFile::open("--hgrm", &path)?);
            }
        }
        Ok(Self { files })
    }

    /// The trials that ran, each with its file; nothing comes of the others.
    pub fn of(self, ended: &Document) -> impl Iterator<Item = (ResultFile, Vec<u8>)> {
        self.files.into_iter().filter_map(|((id, class), file)| {
            let run = ended.trials.iter().find(|run| run.id == id)?;
            Some((file, distribution(run, class)?))
        })
    }
}

fn classes(pacing: Pacing) -> impl Iterator<Item = LatencyClass> {
    let due = |class| matches!(class, LatencyClass::Response | LatencyClass::Wait);
    LatencyClass::ALL.into_iter().filter(move |&class| pacing == Pacing::DueTimes || !due(class))
}

/// Inside of a directory, or behind the last part of a name.
fn path(prefix: &Path, name: &str) -> PathBuf {
    let is_directory = prefix.is_dir() || prefix.as_os_str().as_encoded_bytes().ends_with(b"/");
    if is_directory {
        return prefix.join(name);
    }
    let mut path = OsString::from(prefix);
    path.push(format!(".{name}"));
    path.into()
}

fn distribution(run: &TrialResult, class: LatencyClass) -> Option<Vec<u8>> {
    let ns = histogram_of(run, class)?.expect("what was encoded can be decoded");
    let mut text = Vec::new();
    hgrm::write(&mut text, &ns, &selection::caption(run, class))
        .expect("memory takes what is written");
    Some(text)
}

#[cfg(test)]
mod tests {
    use crate::cli::hgrm_files::*;

    #[test]
    fn a_prefix_is_a_directory_or_the_beginning_of_a_name() {
        let directory = tempfile::tempdir().unwrap();
        let inside = directory.path().join("m10.service.hgrm");
        assert_eq!(path(directory.path(), "m10.service.hgrm"), inside);
        assert_eq!(
            path(Path::new("out/today"), "m10.wait.hgrm"),
            Path::new("out/today.m10.wait.hgrm")
        );
        assert_eq!(path(Path::new("absent/"), "m10.wait.hgrm"), Path::new("absent/m10.wait.hgrm"));
    }

    #[test]
    fn only_a_schedule_has_response_and_wait() {
        let keys = |pacing| classes(pacing).map(LatencyClass::key).collect::<Vec<_>>();
        assert_eq!(keys(Pacing::Free), ["service", "completion", "spread"]);
        assert_eq!(keys(Pacing::DueTimes), ["response", "service", "wait", "completion", "spread"]);
    }
}
