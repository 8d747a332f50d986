//! What is pushed of a run at its end: the standard metrics, and those that the command wrote.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use super::place::Place;
use super::target::Target;
use crate::gateway::Group;
use crate::metrics_file::{Family, LabelName, Labels, MetricsFile, Series, Source};

/// What is pushed, and what is not.
#[derive(Debug)]
pub struct Report {
    /// The run's own group: what was measured of it, and what the command wrote beside that.
    pub run: Part,
    /// The groups that metrics files name for themselves.
    pub others: Vec<Part>,
    /// What is wrong with what the command wrote, as lines for a person.
    pub problems: Vec<String>,
    /// What is right, and yet otherwise than somebody may think.
    pub notes: Vec<String>,
}

/// The metrics of one push group.
#[derive(Debug)]
pub struct Part {
    /// Where they go.
    pub group: Group,
    /// What this program measured.
    pub measured: Vec<Family>,
    /// What the command wrote.
    pub written: Vec<Family>,
}

impl Report {
    /// Of a run with these standard metrics, and what is at the place.
    pub fn gather(target: &Target, measured: Vec<Family>, place: Option<&Place>) -> Self {
        let mut report = Self {
            run: Part::new(target.group.clone(), measured),
            others: Vec::new(),
            problems: Vec::new(),
            notes: Vec::new(),
        };
        match place.map_or_else(|| Ok(Vec::new()), Place::written) {
            Ok(files) => {
                for path in files {
                    report.read(target, path);
                }
            }
            Err(nothing) => report.problems.push(format!("metrics file {nothing}")),
        }
        report
    }

    /// A file is taken whole or not at all.
    fn read(&mut self, target: &Target, path: PathBuf) {
        let source = Source::File(path);
        let added = match source.read() {
            Ok(content) => self.add(target, &source, &content),
            Err(error) => Err(error.to_string()),
        };
        if let Err(problem) = added {
            self.problems.push(format!("metrics file {problem}"));
        }
    }

    fn add(&mut self, target: &Target, source: &Source, content: &[u8]) -> Result<(), String> {
        let wrong = |problem: String| format!("{source} {problem}");
        let file = MetricsFile::parse(content).map_err(|error| wrong(error.to_string()))?;
        let group = (target.group_of(&file))
            .map_err(|error| wrong(format!("names a push group that can't be: {error}")))?;
        let part = if group == self.run.group {
            &mut self.run
        } else if let Some(index) = self.others.iter().position(|part| part.group == group) {
            &mut self.others[index]
        } else {
            self.others.push(Part::new(group, Vec::new()));
            let last = self.others.len() - 1;
            &mut self.others[last]
        };
        let known = part.add(file.families()).map_err(wrong)?;
        if !known.is_empty() {
            let known = known.join(", ");
            self.notes.push(format!(
                "metrics file {source} says {known} too; what simplepipe run measured is pushed"
            ));
        }
        Ok(())
    }
}

impl Part {
    fn new(group: Group, measured: Vec<Family>) -> Self {
        Self {
            group,
            measured,
            written: Vec::new(),
        }
    }

    /// All of them, or what is wrong with them. The names of those that were measured too, and are left out.
    fn add(&mut self, families: &[Family]) -> Result<Vec<String>, String> {
        self.check_labels(families)?;
        // No two families of one file clash, so only other files' are looked at.
        let owners: HashMap<String, usize> = (self.written.iter().enumerate())
            .flat_map(|(index, family)| family.names().into_iter().map(move |name| (name, index)))
            .collect();
        let owner = |family: &Family| family.names().iter().find_map(|name| owners.get(name));
        for family in families {
            if let Some(&index) = owner(family) {
                check_union(&self.written[index], family)?;
            }
        }
        let mut known = Vec::new();
        for family in families {
            if self.measured.iter().any(|own| own.name == family.name) {
                known.push(family.name.to_string());
            } else if let Some(&index) = owner(family) {
                self.written[index].series.extend(family.series.clone());
            } else {
                self.written.push(family.clone());
            }
        }
        Ok(known)
    }

    fn check_labels(&self, families: &[Family]) -> Result<(), String> {
        let is_the_groups = |name: &&LabelName| {
            self.group
                .labels()
                .iter()
                .any(|(own, _)| own == name.as_str())
        };
        for family in families {
            let names = family.series.iter().flat_map(|series| &series.labels);
            if let Some(name) = names.map(|(name, _)| name).find(is_the_groups) {
                return Err(format!(
                    "gives {} a label {name}, which is the push group's ({}); give it another name",
                    family.name, self.group
                ));
            }
        }
        Ok(())
    }
}

/// Whether the series of both can stand in one family.
fn check_union(family: &Family, added: &Family) -> Result<(), String> {
    if family.name != added.name || family.metric_type != added.metric_type {
        return Err(format!(
            "has {} of type {}, and another file has {} of type {}; give one another name",
            added.name,
            added.metric_type.word(),
            family.name,
            family.metric_type.word()
        ));
    }
    let seen: HashSet<Labels> = family.series.iter().map(sorted_labels).collect();
    if added
        .series
        .iter()
        .any(|series| seen.contains(&sorted_labels(series)))
    {
        return Err(format!(
            "has {} with the same labels as another file; write it in one of them",
            added.name
        ));
    }
    Ok(())
}

fn sorted_labels(series: &Series) -> Labels {
    let mut labels = series.labels.clone();
    labels.sort();
    labels
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::metrics_file::exposition;

    /// Of these files, in this order, for job "train" with label team="a", of which only the label was given.
    fn report(files: &[&str]) -> Report {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::named(folder.path());
        for (index, content) in files.iter().enumerate() {
            fs::write(folder.path().join(index.to_string()), content).unwrap();
        }
        let labels = [("team".to_owned(), "a".to_owned())].into();
        let target = Target::new(None, "train".to_owned(), labels).unwrap();
        let measured =
            MetricsFile::parse(b"# TYPE run_exit_code gauge\nrun_exit_code 0\n").unwrap();
        let mut report = Report::gather(&target, measured.families().to_vec(), Some(&place));
        // Only the name counts: the folder's is another one each time.
        let folder = folder.path().display().to_string();
        for line in report.problems.iter_mut().chain(&mut report.notes) {
            *line = line.replace(&format!("{folder}/"), "");
        }
        report
    }

    fn written(part: &Part) -> String {
        exposition(&part.written)
    }

    #[test]
    fn files_of_one_group_come_together() {
        let report = report(&[
            "# TYPE a gauge\na{x=\"1\"} 1\n",
            "# TYPE a gauge\na 2\nb 3\n",
        ]);
        assert_eq!(report.problems, [""; 0]);
        assert_eq!(
            written(&report.run),
            "# TYPE a gauge\na{x=\"1\"} 1\na 2\n# TYPE b untyped\nb 3\n"
        );
    }

    #[test]
    fn a_file_that_clashes_with_another_is_left_out_whole() {
        let report = report(&["a 1\n", "b 2\na 3\n", "# TYPE a counter\na 4\n", "c 5\n"]);
        assert_eq!(
            report.problems,
            [
                r#"metrics file "1" has a with the same labels as another file; write it in one of them"#,
                r#"metrics file "2" has a of type counter, and another file has a of type untyped; give one another name"#,
            ]
        );
        assert_eq!(
            written(&report.run),
            "# TYPE a untyped\na 1\n# TYPE c untyped\nc 5\n"
        );
    }

    #[test]
    fn what_was_measured_is_not_taken_from_a_file() {
        let report = report(&["run_exit_code 7\na 1\n"]);
        assert_eq!(report.problems, [""; 0]);
        assert_eq!(
            report.notes,
            [r#"metrics file "0" says run_exit_code too; what simplepipe run measured is pushed"#]
        );
        assert_eq!(written(&report.run), "# TYPE a untyped\na 1\n");
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
        let groups: Vec<String> = report
            .others
            .iter()
            .map(|part| part.group.to_string())
            .collect();
        assert_eq!(
            groups,
            [
                r#"job "other", team "a""#,
                r#"job "train", site "c", team "a""#
            ]
        );
        assert_eq!(written(&report.run), "# TYPE a gauge\na 1\n");
    }

    #[test]
    fn a_label_of_the_group_is_no_label_of_a_metric() {
        let report = report(&["a{team=\"b\"} 1\n"]);
        assert_eq!(
            report.problems,
            [
                r#"metrics file "0" gives a a label team, which is the push group's (job "train", team "a"); give it another name"#
            ]
        );
        assert!(report.run.written.is_empty());
    }

    #[test]
    fn a_file_that_is_wrong_and_one_that_is_missing_are_told() {
        let report = report(&["a 1 2 3\n", "b 1\n"]);
        assert_eq!(report.problems.len(), 1);
        assert!(report.problems[0].starts_with("metrics file \"0\" has 1 problem:\n  line 1"));
        assert_eq!(written(&report.run), "# TYPE b untyped\nb 1\n");

        let target = Target::new(None, "train".to_owned(), BTreeMap::new()).unwrap();
        let place = Place::named(Path::new("/missing/metrics"));
        assert_eq!(
            Report::gather(&target, Vec::new(), Some(&place)).problems,
            [r#"metrics file "/missing/metrics" is not there: the command wrote no metrics"#]
        );
    }
}
