//! `simplepipe install FOLDER`: brings this program to where another container finds it. Our image has no `cp`.

use std::env;
use std::fs::{self, File, OpenOptions, Permissions};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::terminal::quoted;

/// The program's name in the folder.
const NAME: &str = "simplepipe";
/// Everybody may run it.
const MODE: u32 = 0o755;

/// Copy this program into a folder, for containers of other images.
///
/// An init container of this image copies the program to a volume. Another container, whose image does not have the
/// program, then runs its command as `FOLDER/simplepipe run -- COMMAND`.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The folder. It must exist.
    folder: PathBuf,
}

/// Why it is not there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody can say where this program is, or it may be run but not read.
    #[error("not installed: this program can't be read: {0}")]
    Program(io::Error),
    /// There.
    #[error("not installed: {} can't be written: {cause}", quoted(&.path.to_string_lossy()))]
    Copy {
        /// Where it should be.
        path: PathBuf,
        /// Why it is not.
        cause: io::Error,
    },
}

/// Runs the subcommand.
///
/// # Errors
/// When the folder is not there, or can't be written, or this program can't be read.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let path = arguments.folder.join(NAME);
    let program = env::current_exe().and_then(File::open);
    copy(program.map_err(Error::Program)?, &path).map_err(|cause| Error::Copy { path, cause })
}

/// A copy that breaks off must not look like the program, and one that runs already can't be written.
fn copy(mut program: File, path: &Path) -> io::Result<()> {
    // Several pods may share the volume, each with a process of the same number.
    let part = path.with_file_name(format!(
        ".{NAME}.{:016x}",
        RandomState::new().hash_one(path)
    ));
    let mut new = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(&part)?;
    let written = io::copy(&mut program, &mut new)
        // What the process may not give away when it makes a file.
        .and_then(|_| new.set_permissions(Permissions::from_mode(MODE)))
        .and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_there_whole_and_can_be_run() {
        let folder = tempfile::tempdir().unwrap();
        let arguments = Arguments {
            folder: folder.path().to_owned(),
        };
        // Twice, as in a volume that was kept.
        run(&arguments).unwrap();
        run(&arguments).unwrap();
        let installed = folder.path().join("simplepipe");
        assert_eq!(
            fs::read(&installed).unwrap(),
            fs::read(env::current_exe().unwrap()).unwrap()
        );
        let mode = fs::metadata(installed).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{mode:o}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn of_a_copy_that_fails_nothing_stays() {
        let folder = tempfile::tempdir().unwrap();
        // A folder can't be replaced by a file.
        fs::create_dir(folder.path().join("simplepipe")).unwrap();
        let arguments = Arguments {
            folder: folder.path().to_owned(),
        };
        run(&arguments).unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_folder_is_named() {
        let folder = PathBuf::from("/missing/tools");
        let error = run(&Arguments { folder }).unwrap_err();
        assert_eq!(
            error.to_string(),
            "not installed: \"/missing/tools/simplepipe\" can't be written: No such file or directory (os error 2)"
        );
    }
}
