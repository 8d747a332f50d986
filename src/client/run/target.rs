//! Which push group a run belongs to.

use std::ffi::OsStr;
use std::path::Path;

use crate::client::push_group::{Destination, DestinationError, FileGroupError};
use crate::gateway::Group;
use crate::metrics_file::MetricsFile;

/// The run's push group, and where else what it writes may go.
#[derive(Clone, Debug)]
pub struct Target {
    /// The run's push group.
    pub group: Group,
    destination: Destination,
    /// The job where nobody gave one.
    program: String,
}

impl Target {
    /// Of what was given; where that has no job, the run is called like its program.
    ///
    /// # Errors
    /// When the program's name is no job.
    pub fn new(destination: Destination, program: &OsStr) -> Result<Self, DestinationError> {
        let program = name_of(program);
        Ok(Self {
            group: destination.group(&program)?,
            destination,
            program,
        })
    }

    /// Where a file's metrics go: what the command line says comes before what the file says.
    ///
    /// # Errors
    /// When no group can have the job or the labels that the file names.
    pub fn group_of(&self, file: &MetricsFile) -> Result<Group, FileGroupError> {
        self.destination.group_of(file, Some(&self.program))
    }
}

/// What to call a run of this program: its name without folders.
fn name_of(program: &OsStr) -> String {
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
}
