//! What is pushed of a run at its end: the standard metrics, and those that the command wrote.

use std::path::PathBuf;

use super::metrics_place::{self, Place};
use super::standard_metrics;
use super::target::Target;
use crate::client::batch::{self, Batch, Packing};
use crate::client::reserved::Reserved;
use crate::gateway::Group;
use crate::metrics::Family;
use crate::metrics_file::{MAX_BYTES, MetricsFile, Source};

/// What is pushed, and what is not.
#[derive(Debug)]
pub struct Report {
    /// What was measured of the run; goes to its group.
    pub measured: Batch,
    /// What the command wrote for the same group.
    pub written: Vec<Family>,
    /// What it wrote for other groups.
    pub others: Vec<Batch>,
    /// What is wrong with what the command wrote, as lines for a person.
    pub problems: Vec<String>,
    /// What is right, and yet otherwise than somebody may think.
    pub notes: Vec<String>,
}

impl Report {
    /// Of a run with these standard metrics, and what is at the place. Each group gets the time to live. Files with what
    /// is reserved are noted, or left out where it is strict.
    pub fn gather(
        target: &Target,
        measured: Vec<Family>,
        ttl: Option<&Family>,
        place: Option<&Place>,
        reserved: &Reserved,
    ) -> Self {
        let mut reading = Reading {
            target,
            ttl,
            reserved,
            packing: Packing::default(),
            notes: Vec::new(),
            read: 0,
        };
        let mut problems = Vec::new();
        let files = place.map_or_else(|| Ok(Vec::new()), Place::written);
        for path in files.unwrap_or_else(|nothing| {
            problems.push(format!("metrics file {nothing}"));
            Vec::new()
        }) {
            let readable = metrics_place::check(&path).map_err(|problem| problem.to_string());
            if let Err(problem) = readable.and_then(|()| reading.file(path)) {
                problems.push(format!("metrics file {problem}"));
            }
        }
        let notes = reading.notes;
        let (own, mut others): (Vec<Batch>, Vec<Batch>) = (reading.packing.into_batches())
            .into_iter()
            .partition(|batch| batch.group == target.group);
        for batch in &mut others {
            batch.families.extend(ttl.cloned());
        }
        Self {
            measured: Batch {
                group: target.group.clone(),
                families: measured.into_iter().chain(ttl.cloned()).collect(),
            },
            written: own.into_iter().flat_map(|batch| batch.families).collect(),
            others,
            problems,
            notes,
        }
    }
}

struct Reading<'a> {
    target: &'a Target,
    ttl: Option<&'a Family>,
    reserved: &'a Reserved,
    packing: Packing,
    notes: Vec<String>,
    /// How much of all files, in bytes.
    read: usize,
}

impl Reading<'_> {
    /// Takes a file, whole or not at all, but for what is known better.
    fn file(&mut self, path: PathBuf) -> Result<(), String> {
        let source = Source::File(path);
        let content = source.read().map_err(|error| error.to_string())?;
        self.read += content.len();
        if self.read > MAX_BYTES {
            return Err(format!(
                "{source} is left out: a run's metrics files may have {} MiB together",
                MAX_BYTES / 1024 / 1024
            ));
        }
        let file = MetricsFile::parse(&content).map_err(|error| format!("{source} {error}"))?;
        let group = (self.target.group_of(&file)).map_err(|error| format!("{source} {error}"))?;
        let is_of_the_run = group == self.target.group;
        let has_ttl = self.ttl.is_some();
        let is_known = |family: &Family| {
            let name = family.name.as_str();
            (is_of_the_run && standard_metrics::NAMES.contains(&name))
                || (has_ttl && name == batch::TTL)
        };
        let (known, new): (Vec<Family>, Vec<Family>) =
            file.families().iter().cloned().partition(is_known);
        self.check_reserved(&source, &group, &new)?;
        self.packing
            .add(&source.to_string(), &group, &new)
            .map_err(|error| error.to_string())?;
        if !known.is_empty() {
            let names: Vec<&str> = known.iter().map(|family| family.name.as_str()).collect();
            self.notes.push(format!(
                "metrics file {source} has {} too, of which simplepipe run pushes its own",
                names.join(", ")
            ));
        }
        Ok(())
    }
}

impl Reading<'_> {
    /// Of the run's own job the command line has told already.
    fn check_reserved(
        &mut self,
        source: &Source,
        group: &Group,
        families: &[Family],
    ) -> Result<(), String> {
        let job = (group.job() != self.target.group.job())
            .then(|| self.reserved.job(group.job()))
            .flatten();
        let remarks = families
            .iter()
            .filter_map(|family| self.reserved.metric(family));
        for remark in job.into_iter().chain(remarks) {
            if self.reserved.is_strict() {
                return Err(format!("{source} is left out: {remark}"));
            }
            let note = format!("note: {remark}");
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::client::push_group::Destination;
    use crate::metrics::exposition;

    /// Of these files, in this order, for job "train" with label team="a", of which only the label was given.
    fn report(files: &[&str]) -> Report {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::named(folder.path());
        for (index, content) in files.iter().enumerate() {
            fs::write(folder.path().join(index.to_string()), content).unwrap();
        }
        let target = target(vec![("team".to_owned(), "a".to_owned())]);
        let measured = families("# TYPE run_exit_code gauge\nrun_exit_code 0\n");
        let ttl = families("# TYPE push_ttl_seconds gauge\npush_ttl_seconds 60\n");
        let reserved = Reserved::of_environment(false);
        let mut report = Report::gather(&target, measured, ttl.first(), Some(&place), &reserved);
        // Only the name counts: the folder's is another one each time.
        let folder = folder.path().display().to_string();
        for line in report.problems.iter_mut().chain(&mut report.notes) {
            *line = line.replace(&format!("{folder}/"), "");
        }
        report
    }

    fn target(labels: Vec<(String, String)>) -> Target {
        let destination = Destination::new(None, labels).unwrap();
        Target::new(destination, OsStr::new("train")).unwrap()
    }

    fn families(text: &str) -> Vec<Family> {
        let file = MetricsFile::parse(text.as_bytes()).unwrap();
        file.families().to_vec()
    }

    #[test]
    fn files_of_one_group_come_together() {
        let report = report(&[
            "# TYPE a gauge\na{x=\"1\"} 1\n",
            "# TYPE a gauge\na 2\nb 3\n",
        ]);
        assert_eq!(report.problems, [""; 0]);
        assert_eq!(
            exposition(&report.written),
            "# TYPE a gauge\na{x=\"1\"} 1\na 2\n# TYPE b untyped\nb 3\n"
        );
    }

    #[test]
    fn a_file_that_clashes_with_another_is_left_out_whole() {
        let report = report(&["a 1\n", "b 2\na 3\n", "c 5\n"]);
        assert_eq!(
            report.problems,
            [
                r#"metrics file "1" has metric "a" with the same labels as "0", for the same group; push it once"#
            ]
        );
        assert_eq!(
            exposition(&report.written),
            "# TYPE a untyped\na 1\n# TYPE c untyped\nc 5\n"
        );
    }

    #[test]
    fn files_have_a_bounded_size_together() {
        let padded = |line: &str| format!("{}{line}", "# pad\n".repeat(MAX_BYTES / 2 / 6 + 1));
        let report = report(&[&padded("a 1\n"), &padded("b 2\n"), "c 3\n"]);
        let left_out = |file| {
            format!(
                "metrics file \"{file}\" is left out: a run's metrics files may have 8 MiB together"
            )
        };
        assert_eq!(report.problems, [left_out(1), left_out(2)]);
        assert_eq!(exposition(&report.written), "# TYPE a untyped\na 1\n");
    }

    #[test]
    fn what_is_known_better_is_not_taken_from_a_file() {
        let report = report(&[
            "run_exit_code 7\na 1\npush_ttl_seconds 3\nrun_last_success_timestamp_seconds 4\n",
        ]);
        assert_eq!(report.problems, [""; 0]);
        assert_eq!(
            report.notes,
            [
                r#"metrics file "0" has run_exit_code, push_ttl_seconds, run_last_success_timestamp_seconds too, of which simplepipe run pushes its own"#
            ]
        );
        assert_eq!(exposition(&report.written), "# TYPE a untyped\na 1\n");
        let measured = exposition(&report.measured.families);
        assert!(measured.contains("run_exit_code 0\n"), "{measured}");
        assert!(measured.ends_with("push_ttl_seconds 60\n"), "{measured}");
    }

    #[test]
    fn of_another_group_nothing_is_known_better_but_the_time_to_live() {
        let report = report(&[r#"{"job": "other", "metrics": [
            {"name": "run_exit_code", "value": 7, "metric_type": "gauge"},
            {"name": "push_ttl_seconds", "value": 3, "metric_type": "gauge"}
        ]}"#]);
        assert_eq!(
            exposition(&report.others[0].families),
            "# TYPE run_exit_code gauge\nrun_exit_code 7\n# TYPE push_ttl_seconds gauge\npush_ttl_seconds 60\n"
        );
    }

    #[test]
    fn a_file_may_name_a_group_of_its_own() {
        let metrics = r#""metrics": [{"name": "a", "value": 1, "metric_type": "gauge"}]"#;
        let report = report(&[
            &format!(r#"{{"job": "other", {metrics}}}"#),
            &format!(r#"{{"job": "train", {metrics}}}"#),
            &format!(r#"{{"grouping_labels": {{"team": "b", "site": "c"}}, {metrics}}}"#),
        ]);
        assert_eq!(report.problems, [""; 0]);
        let groups: Vec<String> = (report.others.iter())
            .map(|batch| batch.group.to_string())
            .collect();
        assert_eq!(
            groups,
            [
                r#"job "other", team "a""#,
                r#"job "train", team "a", site "c""#
            ]
        );
        for batch in &report.others {
            assert_eq!(
                exposition(&batch.families),
                "# TYPE a gauge\na 1\n# TYPE push_ttl_seconds gauge\npush_ttl_seconds 60\n"
            );
        }
        assert_eq!(exposition(&report.written), "# TYPE a gauge\na 1\n");
    }

    #[test]
    fn a_label_of_the_group_is_no_label_of_a_metric() {
        let report = report(&["a{team=\"b\"} 1\n"]);
        assert_eq!(
            report.problems,
            [
                "metrics file \"0\" has metric \"a\" with label \"team\", which is a label of the push group (job \
                 \"train\", team \"a\"); give the label another name"
            ]
        );
        assert!(report.written.is_empty());
    }

    #[test]
    fn a_file_that_is_wrong_and_one_that_is_missing_are_told() {
        let report = report(&["a 1 2 3\n", "b 1\n"]);
        assert_eq!(report.problems.len(), 1);
        assert!(report.problems[0].starts_with("metrics file \"0\" has 1 problem:\n  line 1"));
        assert_eq!(exposition(&report.written), "# TYPE b untyped\nb 1\n");

        let target = target(Vec::new());
        let place = Place::named(Path::new("/missing/metrics"));
        let reserved = Reserved::of_environment(false);
        assert_eq!(
            Report::gather(&target, Vec::new(), None, Some(&place), &reserved).problems,
            [r#"metrics file "/missing/metrics" is not there: the command wrote no metrics"#]
        );
    }
}
