//! Reads the files of a push, and packs what they hold.

use super::arguments::Files;
use super::error::{ArgumentsError, Error};
use crate::gateway::Group;
use crate::metrics_file::{MetricsFile, Source};
use crate::parcel::{Packing, Parcel, Unfit, ttl};

/// All of them, in their order.
pub(super) fn pack(files: &Files) -> Result<Vec<Parcel>, Error> {
    let mut packing = Packing::default();
    for source in &files.sources {
        let file = source.to_string();
        let content = read(source)?;
        let group = group(&file, &content, files)?;
        packing.add(&file, &group, content.families())?;
    }
    if let Some(family) = files.ttl.and_then(ttl) {
        packing.add_to_all("--ttl", &family)?;
    }
    Ok(packing.into_parcels())
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
    let unfit = |problem: String| Unfit {
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
