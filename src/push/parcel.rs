//! What goes where: files, checked each and all together, made into one parcel for each push group.

use std::collections::{BTreeSet, HashMap};

use super::arguments::Files;
use super::error::{ArgumentsError, Error};
use crate::gateway::{Group, LOCK_JOB};
use crate::metrics_file::{
    Family, Labels, MetricName, MetricType, MetricsFile, Series, Source, Value,
};
use crate::terminal::quoted;

/// The gauge that `--ttl` adds.
const TTL: &str = "push_ttl_seconds";
const TTL_HELP: &str = "For how long after its push the group is worth keeping";

/// One request.
#[derive(Debug, PartialEq)]
pub(super) struct Parcel {
    pub(super) group: Group,
    pub(super) families: Vec<Family>,
}

/// Reads the files, and packs what they hold in their order.
pub(super) fn pack(files: &Files) -> Result<Vec<Parcel>, Error> {
    let mut packing = Packing::default();
    for source in &files.sources {
        let file = source.to_string();
        let content = read(source)?;
        let group = group(&file, &content, files)?;
        packing.add(&file, group, content.families())?;
    }
    if let Some(ttl) = files.ttl {
        packing.add_to_all(gauge(TTL, TTL_HELP, ttl.as_secs_f64()))?;
    }
    Ok(packing.parcels)
}

fn read(source: &Source) -> Result<MetricsFile, Error> {
    let content = source.read()?;
    MetricsFile::parse(&content).map_err(|cause| Error::File {
        file: source.to_string(),
        cause,
    })
}

/// What the arguments say comes before what the file says.
fn group(file: &str, content: &MetricsFile, files: &Files) -> Result<Group, Error> {
    let unfit = |problem: String| Error::Unfit {
        file: file.to_owned(),
        problem,
    };
    let mut group = match (&files.job, content.job()) {
        (Some(job), _) => Group::of_job(job).map_err(ArgumentsError::Job)?,
        (None, Some(job)) => {
            Group::of_job(job).map_err(|error| unfit(format!("names a job that {error}")))?
        }
        (None, None) => return Err(ArgumentsError::NoJob(file.to_owned()).into()),
    };
    for (name, value) in files.grouping_labels {
        group = group.with(name, value).map_err(ArgumentsError::Label)?;
    }
    for (name, value) in content.grouping_labels() {
        let name = name.as_str();
        if files.grouping_labels.iter().all(|(given, _)| given != name) {
            group = group
                .with(name, value)
                .map_err(|error| unfit(format!("has a grouping label that can't be: {error}")))?;
        }
    }
    Ok(group)
}

/// The parcels as they fill.
#[derive(Default)]
struct Packing {
    parcels: Vec<Parcel>,
    /// Each name that is taken, by which family of which file. The gateway has one type for a name, in all its groups.
    names: HashMap<String, Owner>,
    /// Each series that is there, by its parcel, with the file that it is from.
    series: HashMap<(usize, MetricName, Labels), String>,
}

struct Owner {
    file: String,
    family: MetricName,
    metric_type: MetricType,
}

impl Packing {
    fn add(&mut self, file: &str, group: Group, families: &[Family]) -> Result<(), Error> {
        let parcel = self.parcel(group);
        for family in families {
            self.check_labels(file, parcel, family)?;
            self.take_names(file, family)?;
            self.take_series(file, parcel, family)?;
            let families = &mut self.parcels[parcel].families;
            match families.iter_mut().find(|each| each.name == family.name) {
                Some(known) => known.series.extend(family.series.iter().cloned()),
                None => families.push(family.clone()),
            }
        }
        Ok(())
    }

    fn add_to_all(&mut self, family: Option<Family>) -> Result<(), Error> {
        if let Some(family) = family {
            for parcel in 0..self.parcels.len() {
                self.take_names("--ttl", &family)?;
                self.take_series("--ttl", parcel, &family)?;
                self.parcels[parcel].families.push(family.clone());
            }
        }
        Ok(())
    }

    /// The parcel for this group, whatever the order of its labels.
    fn parcel(&mut self, group: Group) -> usize {
        let same = |one: &Group, other: &Group| {
            let set = |group: &Group| group.labels().iter().cloned().collect::<BTreeSet<_>>();
            set(one) == set(other)
        };
        let place = (self.parcels.iter()).position(|parcel| same(&parcel.group, &group));
        place.unwrap_or_else(|| {
            self.parcels.push(Parcel {
                group,
                families: Vec::new(),
            });
            self.parcels.len() - 1
        })
    }

    /// The gateway would write its own over them, without a word.
    fn check_labels(&self, file: &str, parcel: usize, family: &Family) -> Result<(), Error> {
        let name = family.name.as_str();
        if name.starts_with(LOCK_JOB) {
            return Err(unfit(
                file,
                format!(
                    "has metric {}, whose name begins as Simplepipe's own do; give it another name",
                    quoted(name)
                ),
            ));
        }
        let group = &self.parcels[parcel].group;
        let labels = (family.series.iter()).flat_map(|series| &series.labels);
        let clash = labels
            .map(|(label, _)| label.as_str())
            .find(|label| group.labels().iter().any(|(name, _)| name == label));
        match clash {
            None => Ok(()),
            Some(label) => Err(unfit(
                file,
                format!(
                    "has metric {} with label {}, which is a label of the push group ({group}); give the label another \
                     name",
                    quoted(name),
                    quoted(label)
                ),
            )),
        }
    }

    fn take_names(&mut self, file: &str, family: &Family) -> Result<(), Error> {
        for taken in family.names() {
            if let Some(owner) = self.names.get(&taken) {
                if owner.family == family.name && owner.metric_type == family.metric_type {
                    continue;
                }
                return Err(unfit(
                    file,
                    format!(
                        "has {} {}, and {} has {} {}; give one another name",
                        family.metric_type.word(),
                        quoted(family.name.as_str()),
                        owner.file,
                        owner.metric_type.word(),
                        quoted(owner.family.as_str())
                    ),
                ));
            }
            let owner = Owner {
                file: file.to_owned(),
                family: family.name.clone(),
                metric_type: family.metric_type,
            };
            self.names.insert(taken, owner);
        }
        Ok(())
    }

    fn take_series(&mut self, file: &str, parcel: usize, family: &Family) -> Result<(), Error> {
        for series in &family.series {
            let mut labels = series.labels.clone();
            labels.sort();
            let key = (parcel, family.name.clone(), labels);
            if let Some(other) = self.series.insert(key, file.to_owned()) {
                return Err(unfit(
                    file,
                    format!(
                        "has metric {} with the same labels as {other}, for the same group; push it once",
                        quoted(family.name.as_str())
                    ),
                ));
            }
        }
        Ok(())
    }
}

fn unfit(file: &str, problem: String) -> Error {
    Error::Unfit {
        file: file.to_owned(),
        problem,
    }
}

fn gauge(name: &str, help: &str, value: f64) -> Option<Family> {
    Some(Family {
        name: MetricName::new(name).ok()?,
        metric_type: MetricType::Gauge,
        help: help.to_owned(),
        series: vec![Series {
            labels: Vec::new(),
            value: Value::Number(value),
        }],
    })
}
