//! What goes where: the metrics of several files, checked together, made into one batch for each push group.

use std::collections::HashMap;
use std::time::Duration;

use crate::gateway::{Group, LOCK_JOB, RESERVED_LABELS};
use crate::metrics::{Family, Labels, MetricName, MetricType, Series};
use crate::terminal::quoted;

/// The gauge that `--ttl` adds.
pub const TTL: &str = "push_ttl_seconds";
const TTL_HELP: &str = "For how long after its push the group is worth keeping";

#[derive(Debug, PartialEq)]
pub struct Batch {
    pub group: Group,
    pub families: Vec<Family>,
}

/// A file that is right, but not for this push, or not together with the others.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file} {problem}")]
pub struct Unfit {
    /// The file's name, ready to print.
    pub file: String,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// The batches as they fill.
#[derive(Default)]
pub struct Packing {
    batches: Vec<Batch>,
    /// Each name that is taken, by which family of which file. The gateway has one type for a name, in all its groups.
    names: HashMap<String, Owner>,
    /// Where each family is in its batch.
    families: HashMap<(usize, MetricName), usize>,
    /// Each series that is there, by its batch, with the file that it is from.
    series: HashMap<(usize, MetricName, Labels), String>,
}

struct Owner {
    file: String,
    family: MetricName,
    metric_type: MetricType,
}

impl Packing {
    /// Packs all families of a file, or none. A family's name stands once among them.
    ///
    /// # Errors
    /// When they can't go to the group, or not together with what is packed already.
    pub fn add(&mut self, file: &str, group: &Group, families: &[Family]) -> Result<(), Unfit> {
        // Without a batch yet, it is the next one.
        let batch = (self.batches.iter())
            .position(|batch| batch.group == *group)
            .unwrap_or(self.batches.len());
        let check = |family| {
            check_name(family)?;
            check_labels(group, family)?;
            self.check_names(family)?;
            self.check_series(batch, family)
        };
        families
            .iter()
            .try_for_each(check)
            .map_err(|problem| Unfit {
                file: file.to_owned(),
                problem,
            })?;
        if batch == self.batches.len() {
            self.batches.push(Batch {
                group: group.clone(),
                families: Vec::new(),
            });
        }
        for family in families {
            self.insert(file, batch, family);
        }
        Ok(())
    }

    /// Packs a family into each batch, on behalf of this option.
    ///
    /// # Errors
    /// As [`Packing::add`].
    pub fn add_to_all(&mut self, option: &str, family: &Family) -> Result<(), Unfit> {
        let groups: Vec<Group> = self.batches.iter().map(|each| each.group.clone()).collect();
        let one = std::slice::from_ref(family);
        groups
            .iter()
            .try_for_each(|group| self.add(option, group, one))
    }

    /// In the order in which their groups came.
    pub fn into_batches(self) -> Vec<Batch> {
        self.batches
    }

    fn check_names(&self, family: &Family) -> Result<(), String> {
        let same =
            |owner: &&Owner| owner.family == family.name && owner.metric_type == family.metric_type;
        let names = family.names();
        let owners = names.iter().filter_map(|name| self.names.get(name));
        match owners.into_iter().find(|owner| !same(owner)) {
            None => Ok(()),
            Some(owner) => Err(format!(
                "has {} {}, and {} has {} {}; give one another name",
                family.metric_type.word(),
                quoted(family.name.as_str()),
                owner.file,
                owner.metric_type.word(),
                quoted(owner.family.as_str())
            )),
        }
    }

    fn check_series(&self, batch: usize, family: &Family) -> Result<(), String> {
        let keys = family.series.iter().map(|each| key(batch, family, each));
        match keys.filter_map(|key| self.series.get(&key)).next() {
            None => Ok(()),
            Some(other) => Err(format!(
                "has metric {} with the same labels as {other}, for the same group; push it once",
                quoted(family.name.as_str())
            )),
        }
    }

    fn insert(&mut self, file: &str, batch: usize, family: &Family) {
        for name in family.names() {
            self.names.entry(name).or_insert_with(|| Owner {
                file: file.to_owned(),
                family: family.name.clone(),
                metric_type: family.metric_type,
            });
        }
        for series in &family.series {
            self.series
                .insert(key(batch, family, series), file.to_owned());
        }
        let families = &mut self.batches[batch].families;
        let place = *(self.families.entry((batch, family.name.clone()))).or_insert(families.len());
        match families.get_mut(place) {
            Some(known) => {
                if known.help.is_empty() {
                    known.help.clone_from(&family.help);
                }
                known.series.extend(family.series.iter().cloned());
            }
            None => families.push(family.clone()),
        }
    }
}

/// The family that says for how long the group is worth keeping.
pub fn ttl(ttl: Duration) -> Option<Family> {
    Family::gauge(TTL, TTL_HELP, [(Labels::new(), ttl.as_secs_f64())])
}

fn check_name(family: &Family) -> Result<(), String> {
    let name = family.name.as_str();
    if name.starts_with(LOCK_JOB) {
        return Err(format!(
            "has metric {}, whose name begins as Simplepipe's own do; give it another name",
            quoted(name)
        ));
    }
    Ok(())
}

/// The gateway would write its own over them, without a word.
fn check_labels(group: &Group, family: &Family) -> Result<(), String> {
    let labels = || (family.series.iter()).flat_map(|series| &series.labels);
    if let Some((label, _)) =
        labels().find(|(label, _)| label.as_str().starts_with(RESERVED_LABELS))
    {
        return Err(format!(
            "has metric {} with label {}, which begins as Simplepipe's own do; give the label another name",
            quoted(family.name.as_str()),
            quoted(label.as_str())
        ));
    }
    let clash = labels()
        .map(|(label, _)| label.as_str())
        .find(|label| group.labels().iter().any(|(name, _)| name == label));
    match clash {
        None => Ok(()),
        Some(label) => Err(format!(
            "has metric {} with label {}, which is a label of the push group ({group}); give the label another name",
            quoted(family.name.as_str()),
            quoted(label)
        )),
    }
}

fn key(batch: usize, family: &Family, series: &Series) -> (usize, MetricName, Labels) {
    let mut labels = series.labels.clone();
    labels.sort();
    (batch, family.name.clone(), labels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::exposition;
    use crate::metrics_file::MetricsFile;

    fn add(packing: &mut Packing, file: &str, job: &str, text: &str) -> Result<(), String> {
        let content = MetricsFile::parse(text.as_bytes()).unwrap();
        let group = Group::of_job(job).unwrap();
        packing
            .add(file, &group, content.families())
            .map_err(|error| error.to_string())
    }

    fn packed(packing: Packing) -> Vec<(String, String)> {
        let batches = packing.into_batches().into_iter();
        batches
            .map(|batch| (batch.group.to_string(), exposition(&batch.families)))
            .collect()
    }

    #[test]
    fn a_file_is_packed_whole_or_not_at_all() {
        let mut packing = Packing::default();
        add(&mut packing, "1", "a", "x 1\n").unwrap();
        assert_eq!(
            add(&mut packing, "2", "a", "y 2\nx 3\n").unwrap_err(),
            r#"2 has metric "x" with the same labels as 1, for the same group; push it once"#
        );
        assert_eq!(
            add(&mut packing, "3", "b", "z 4\n# TYPE x gauge\nx 5\n").unwrap_err(),
            r#"3 has gauge "x", and 1 has untyped "x"; give one another name"#
        );
        let a = (
            r#"job "a""#.to_owned(),
            "# TYPE x untyped\nx 1\n".to_owned(),
        );
        assert_eq!(packed(packing), [a]);
    }

    #[test]
    fn series_of_several_files_come_together() {
        let mut packing = Packing::default();
        add(&mut packing, "1", "a", "x{of=\"1\"} 1\ny 1\n").unwrap();
        add(&mut packing, "2", "b", "x{of=\"1\"} 2\n").unwrap();
        add(&mut packing, "3", "a", "x{of=\"3\"} 3\n").unwrap();
        let [(_, a), (_, b)] = packed(packing).try_into().unwrap();
        assert_eq!(
            a,
            "# TYPE x untyped\nx{of=\"1\"} 1\nx{of=\"3\"} 3\n# TYPE y untyped\ny 1\n"
        );
        assert_eq!(b, "# TYPE x untyped\nx{of=\"1\"} 2\n");
    }

    #[test]
    fn the_first_description_counts_whichever_file_has_it() {
        let mut packing = Packing::default();
        add(&mut packing, "1", "a", "x{of=\"1\"} 1\n").unwrap();
        add(&mut packing, "2", "a", "# HELP x One\nx{of=\"2\"} 2\n").unwrap();
        add(&mut packing, "3", "a", "# HELP x Other\nx{of=\"3\"} 3\n").unwrap();
        let [(_, a)] = packed(packing).try_into().unwrap();
        assert!(a.starts_with("# HELP x One\n# TYPE x untyped\n"), "{a}");
    }

    #[test]
    fn the_order_of_labels_makes_no_other_series() {
        let mut packing = Packing::default();
        add(&mut packing, "1", "a", "x{b=\"1\",c=\"2\"} 1\n").unwrap();
        assert_eq!(
            add(&mut packing, "2", "a", "x{c=\"2\",b=\"1\"} 2\n").unwrap_err(),
            r#"2 has metric "x" with the same labels as 1, for the same group; push it once"#
        );
    }
}
