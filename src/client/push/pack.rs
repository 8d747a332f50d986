//! Reads the files of a push, and packs what they hold.

use super::arguments::Files;
use super::error::{Error, FileError};
use crate::client::batch::{Batch, Packing, ttl};
use crate::metrics_file::{MetricsFile, Source};

/// All of them, in their order.
///
/// # Errors
/// With what is wrong, of each file that is.
pub(super) fn pack(files: &Files) -> Result<Vec<Batch>, Error> {
    let mut packing = Packing::default();
    let add = |source| add(&mut packing, source, files).err();
    let wrong: Vec<FileError> = files.sources.iter().filter_map(add).collect();
    if !wrong.is_empty() {
        return Err(Error::Files(wrong));
    }
    if let Some(family) = files.ttl.and_then(ttl) {
        (packing.add_to_all("--ttl", &family)).map_err(|error| Error::Files(vec![error.into()]))?;
    }
    Ok(packing.into_batches())
}

fn add(packing: &mut Packing, source: &Source, files: &Files) -> Result<(), FileError> {
    let file = source.to_string();
    let content = source.read()?;
    let content = match MetricsFile::parse(&content) {
        Ok(content) => content,
        Err(cause) => return Err(FileError::Content { file, cause }),
    };
    let group = match files.destination.group_of(&content, None) {
        Ok(group) => group,
        Err(cause) => return Err(FileError::Group { file, cause }),
    };
    Ok(packing.add(&file, &group, content.families())?)
}
