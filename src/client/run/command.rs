//! The command: how it is started, and why it may not be.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::io::Errno;
use rustix::process::Pid;

use crate::terminal::quoted;

/// What runs a script that doesn't say what runs it.
const SHELL: &str = "/bin/sh";

/// A command that is no process. Goes on after "the command".
#[derive(Debug)]
pub struct NotStarted {
    program: OsString,
    cause: io::Error,
}

/// Starts it with this process' standard streams, folder and environment, and one variable more.
///
/// # Errors
/// When there is no such program, or it can't be run.
pub fn start(
    program: &OsStr,
    arguments: &[OsString],
    variable: Option<(&str, &Path)>,
) -> Result<Pid, NotStarted> {
    let spawn = |command: &mut Command| command.args(arguments).envs(variable).spawn();
    let spawned = spawn(&mut Command::new(program)).or_else(|error| {
        match file_of(program).filter(|_| is_no_format(&error)) {
            // A script without a first line that names its interpreter: shells run it, and so does this.
            Some(script) => spawn(Command::new(SHELL).arg(script)),
            None => Err(error),
        }
    });
    match spawned {
        Ok(child) => Ok(Pid::from_child(&child)),
        Err(cause) => Err(NotStarted {
            program: program.to_owned(),
            cause,
        }),
    }
}

impl NotStarted {
    /// As shells tell it: 127 where there is no such program, 126 where it can't be run.
    pub fn exit_code(&self) -> u8 {
        if self.is_missing() { 127 } else { 126 }
    }

    /// The system says "not found" also of what the program itself needs.
    fn is_missing(&self) -> bool {
        self.cause.kind() == io::ErrorKind::NotFound && file_of(&self.program).is_none()
    }
}

impl fmt::Display for NotStarted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let program = quoted(&self.program.to_string_lossy());
        if self.is_missing() {
            write!(formatter, "{program} was not found")
        } else if self.cause.kind() == io::ErrorKind::NotFound {
            write!(
                formatter,
                "{program} can't be run: its interpreter, or the dynamic linker that it was built for, is not there"
            )
        } else {
            write!(formatter, "{program} can't be run: {}", self.cause)
        }
    }
}

fn is_no_format(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::NOEXEC.raw_os_error())
}

/// The executable file that a program's name means: itself where it is a path, else the first of that name in PATH.
fn file_of(program: &OsStr) -> Option<PathBuf> {
    let is_executable = |path: &PathBuf| {
        path.metadata()
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    if program.as_encoded_bytes().contains(&b'/') {
        return Some(PathBuf::from(program)).filter(is_executable);
    }
    // An empty one would be the current folder.
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders)
        .map(|folder| folder.join(program))
        .find(is_executable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_looked_for_as_a_shell_does() {
        assert_eq!(file_of(OsStr::new("/bin/sh")), Some("/bin/sh".into()));
        assert!(file_of(OsStr::new("sh")).unwrap().is_absolute());
        assert_eq!(file_of(OsStr::new("./sh")), None);
        assert_eq!(file_of(OsStr::new("/etc/passwd")), None);
        assert_eq!(file_of(OsStr::new("/")), None);
    }
}
