//! Which push group a run belongs to.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use crate::gateway::{Group, GroupingLabelError, JobError};
use crate::metrics_file::MetricsFile;

/// The run's push group, and what a metrics file may say about it.
#[derive(Clone, Debug)]
pub struct Target {
    /// The run's push group.
    pub group: Group,
    job: String,
    job_is_given: bool,
    labels: BTreeMap<String, String>,
}

/// Why there is no such group. Goes on after what it is about.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The job is none.
    #[error("job {0}")]
    Job(#[from] JobError),
    /// A grouping label is none.
    #[error("grouping label {0}")]
    Label(#[from] GroupingLabelError),
}

impl Target {
    /// Of the job that somebody gave, or else of the other one.
    ///
    /// # Errors
    /// When no group can have this job or these labels.
    pub fn new(
        given: Option<String>,
        otherwise: String,
        labels: BTreeMap<String, String>,
    ) -> Result<Self, TargetError> {
        let job_is_given = given.is_some();
        let job = given.unwrap_or(otherwise);
        Ok(Self {
            group: group(&job, &labels)?,
            job,
            job_is_given,
            labels,
        })
    }

    /// Where a file's metrics go: what the command line says comes on top of what the file says.
    ///
    /// # Errors
    /// When no group can have the job or the labels that the file names.
    pub fn group_of(&self, file: &MetricsFile) -> Result<Group, TargetError> {
        let job = file.job().filter(|_| !self.job_is_given);
        let mut labels: BTreeMap<String, String> = (file.grouping_labels().iter())
            .map(|(name, value)| (name.to_string(), value.clone()))
            .collect();
        labels.extend(self.labels.clone());
        group(job.unwrap_or(&self.job), &labels)
    }
}

fn group(job: &str, labels: &BTreeMap<String, String>) -> Result<Group, TargetError> {
    let mut group = Group::of_job(job)?;
    for (name, value) in labels {
        group = group.with(name, value)?;
    }
    Ok(group)
}

/// What to call a run of this program: its name without folders.
pub fn name_of(program: &OsStr) -> String {
    let name = Path::new(program).file_name().unwrap_or(program);
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("python3", "python3")]
    #[case("/usr/bin/python3", "python3")]
    #[case("./train.sh", "train.sh")]
    #[case("..", "..")]
    fn a_run_is_called_like_its_program(#[case] program: &str, #[case] name: &str) {
        assert_eq!(name_of(OsStr::new(program)), name);
    }

    #[test]
    fn a_job_that_was_given_comes_before_the_files() {
        let file =
            br#"{"job": "file's", "metrics": [{"name": "a", "value": 1, "metric_type": "gauge"}]}"#;
        let file = MetricsFile::parse(file).unwrap();
        let group = |given: Option<&str>| {
            let given = given.map(str::to_owned);
            let target = Target::new(given, "program".to_owned(), BTreeMap::new()).unwrap();
            (
                target.group.to_string(),
                target.group_of(&file).unwrap().to_string(),
            )
        };
        let same = |job: &str| (job.to_owned(), job.to_owned());
        assert_eq!(group(Some("given")), same("job \"given\""));
        assert_eq!(
            group(None),
            ("job \"program\"".to_owned(), "job \"file's\"".to_owned())
        );
    }
}
