//! Which push group a file's metrics go to: what somebody says at the command line comes before what the file says.

use crate::gateway::{Group, GroupingLabelError, JobError};
use crate::metrics_file::MetricsFile;

/// What was said at the command line.
#[derive(Clone, Debug)]
pub struct Destination {
    job: Option<String>,
    labels: Vec<(String, String)>,
}

/// Why nothing can go there. Each message names what it is about.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// The job is none.
    #[error("job {0}")]
    Job(#[from] JobError),
    /// A grouping label is none.
    #[error("grouping label {0}")]
    Label(#[from] GroupingLabelError),
}

/// Why a file's metrics can't go anywhere. Goes on after the file's name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileGroupError {
    /// Nobody names the job.
    #[error("names no job; write the job after it, or --job JOB, or \"job\" into the file")]
    NoJob,
    /// The file's job is none.
    #[error("names a job that {0}")]
    Job(#[from] JobError),
    /// A grouping label of the file is none.
    #[error("has a grouping label that can't be: {0}")]
    Label(#[from] GroupingLabelError),
}

impl Destination {
    /// # Errors
    /// When no group can have this job or these labels.
    pub fn new(
        job: Option<String>,
        labels: Vec<(String, String)>,
    ) -> Result<Self, DestinationError> {
        let destination = Self { job, labels };
        // Any job will do to see whether the labels are right.
        destination.group("any")?;
        Ok(destination)
    }

    /// The group of what names none itself; this job is its, where none was given.
    ///
    /// # Errors
    /// When it is no job.
    pub fn group(&self, otherwise: &str) -> Result<Group, DestinationError> {
        let group = Group::of_job(self.job.as_deref().unwrap_or(otherwise))?;
        Ok(self.labelled(group)?)
    }

    /// The group of a file's metrics; the other job is theirs, where neither the command line nor the file names one.
    ///
    /// # Errors
    /// When nobody names a job, or no group can have the job or the labels that the file names.
    pub fn group_of(
        &self,
        file: &MetricsFile,
        otherwise: Option<&str>,
    ) -> Result<Group, FileGroupError> {
        let job = self.job.as_deref().or(file.job()).or(otherwise);
        let mut group = self.labelled(Group::of_job(job.ok_or(FileGroupError::NoJob)?)?)?;
        for (name, value) in file.grouping_labels() {
            let name = name.as_str();
            if self.labels.iter().all(|(given, _)| given != name) {
                group = group.with(name, value)?;
            }
        }
        Ok(group)
    }

    fn labelled(&self, group: Group) -> Result<Group, GroupingLabelError> {
        let mut labels = self.labels.iter();
        labels.try_fold(group, |group, (name, value)| group.with(name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(group: &str) -> MetricsFile {
        let metrics = r#""metrics": [{"name": "a", "value": 1, "metric_type": "gauge"}]"#;
        MetricsFile::parse(format!("{{{group}{metrics}}}").as_bytes()).unwrap()
    }

    fn group_of(
        job: Option<&str>,
        labels: &[(&str, &str)],
        file: &MetricsFile,
        otherwise: Option<&str>,
    ) -> String {
        let labels = labels
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        let destination = Destination::new(job.map(str::to_owned), labels.collect()).unwrap();
        match destination.group_of(file, otherwise) {
            Ok(group) => group.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_job_is_the_given_one_or_the_files_or_the_other() {
        let with_job = file(r#""job": "file's", "#);
        let without = file("");
        assert_eq!(
            group_of(Some("given"), &[], &with_job, Some("other")),
            r#"job "given""#
        );
        assert_eq!(
            group_of(None, &[], &with_job, Some("other")),
            r#"job "file's""#
        );
        assert_eq!(
            group_of(None, &[], &without, Some("other")),
            r#"job "other""#
        );
        assert_eq!(
            group_of(None, &[], &without, None),
            "names no job; write the job after it, or --job JOB, or \"job\" into the file"
        );
    }

    #[test]
    fn a_given_label_comes_before_the_files_of_that_name() {
        let file = file(r#""grouping_labels": {"zone": "file's", "site": "a"}, "#);
        assert_eq!(
            group_of(Some("train"), &[("zone", "given")], &file, None),
            r#"job "train", zone "given", site "a""#
        );
    }

    #[test]
    fn what_no_group_can_have_is_said_of_whoever_said_it() {
        let given = |labels: &[(&str, &str)], job: Option<&str>| {
            let labels = labels
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
            let error = Destination::new(job.map(str::to_owned), labels.collect()).unwrap_err();
            error.to_string()
        };
        assert_eq!(
            given(&[("zone", "a"), ("zone", "b")], None),
            r#"grouping label "zone" is there twice; write it once"#
        );
        assert_eq!(
            given(&[], Some("")),
            "job is empty; write a name such as train"
        );
        let reserved = file(r#""grouping_labels": {"simplepipe_a": "b"}, "#);
        assert_eq!(
            group_of(Some("train"), &[], &reserved, None),
            "has a grouping label that can't be: \"simplepipe_a\" begins as Simplepipe's own labels do; write another name"
        );
    }
}
