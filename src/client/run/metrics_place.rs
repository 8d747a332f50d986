//! Where the command may leave its metrics: a file, or a folder of files.

use std::collections::HashMap;
use std::env;
use std::fs::{self, DirBuilder, Metadata};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process;

use crate::terminal::quoted;

/// The variable that tells the command where.
pub const VARIABLE: &str = "SIMPLEPIPE_METRICS";
/// The file in a folder of our own. It has no ending, for its content says what it is.
const FILE: &str = "metrics";

/// The place, and what was there before the command.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    temporary: Option<PathBuf>,
    before: HashMap<PathBuf, Version>,
}

/// What changes whenever a file is written.
#[derive(Debug, PartialEq, Eq)]
struct Version {
    device_and_inode: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Why there is nothing to read.
#[derive(Debug, thiserror::Error)]
pub enum NothingThere {
    /// The command did not write it.
    #[error("{} is not there: the command wrote no metrics", quoted_path(.0))]
    Missing(PathBuf),
    /// The command wrote nothing into it.
    #[error("{} holds no file: the command wrote no metrics", quoted_path(.0))]
    Empty(PathBuf),
    /// It was there before, as after an earlier run; its numbers are not this run's.
    #[error(
        "{} is as it was before the command, which wrote no metrics",
        quoted_path(.0)
    )]
    Unchanged(PathBuf),
    /// Neither a file nor a folder.
    #[error("{} is neither a file nor a folder", quoted_path(.0))]
    Unusual(PathBuf),
    /// The system doesn't let us look.
    #[error("{} can't be read: {cause}", quoted_path(.path))]
    Unreadable { path: PathBuf, cause: io::Error },
}

/// No place of our own could be made.
#[derive(Debug, thiserror::Error)]
#[error(
    "no temporary folder can be made in {}: {cause}; set TMPDIR to a folder that can be written, or give --metrics",
    quoted_path(.within)
)]
pub struct NoFolder {
    within: PathBuf,
    cause: io::Error,
}

impl Place {
    /// The place that somebody named.
    pub fn named(path: &Path) -> Self {
        let path = absolute(path);
        let before = list(&path).unwrap_or_default();
        let version = |path: PathBuf| {
            let version = Version::of(&path.metadata().ok()?);
            Some((path, version))
        };
        Self {
            before: before.into_iter().filter_map(version).collect(),
            path,
            temporary: None,
        }
    }

    /// A place of our own, which nobody else can look into.
    ///
    /// # Errors
    /// When there is no folder for temporary files, as on a read-only file system.
    pub fn temporary() -> Result<Self, NoFolder> {
        let random = RandomState::new().hash_one(());
        let within = absolute(&env::temp_dir());
        let folder = within.join(format!("simplepipe-{}-{random:016x}", process::id()));
        // It fails where there is something of that name already.
        let made = DirBuilder::new().mode(0o700).create(&folder);
        made.map_err(|cause| NoFolder { within, cause })?;
        Ok(Self {
            path: folder.join(FILE),
            temporary: Some(folder),
            before: HashMap::new(),
        })
    }

    /// What the command is told.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was written since and is no folder, by name; [`check`] says whether it can be read. That nothing is at a
    /// place of our own is no error: most commands don't know it.
    ///
    /// # Errors
    /// When there is none where there should be one, or nobody can tell.
    pub fn written(&self) -> Result<Vec<PathBuf>, NothingThere> {
        let files = match list(&self.path) {
            // A link to nothing is something that it wrote.
            Err(NothingThere::Missing(path))
                if self.temporary.is_some() && path.symlink_metadata().is_err() =>
            {
                return Ok(Vec::new());
            }
            files => files?,
        };
        if files.is_empty() {
            return Err(NothingThere::Empty(self.path.clone()));
        }
        let is_new = |path: &PathBuf| {
            path.metadata().map_or(true, |file| {
                self.before.get(path) != Some(&Version::of(&file))
            })
        };
        let written: Vec<PathBuf> = files.iter().filter(|path| is_new(path)).cloned().collect();
        if written.is_empty() {
            return Err(NothingThere::Unchanged(self.path.clone()));
        }
        Ok(written)
    }
}

/// A place of our own goes away with what is in it.
impl Drop for Place {
    fn drop(&mut self) {
        if let Some(folder) = &self.temporary {
            // What the command put there may not want to go; that is no reason to complain about the run.
            let _ = fs::remove_dir_all(folder);
        }
    }
}

impl Version {
    fn of(file: &Metadata) -> Self {
        Self {
            device_and_inode: (file.dev(), file.ino()),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }
}

/// The command may change its folder.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Whether it is a file, so that it can be read and reading ends.
///
/// # Errors
/// When it is none, or nobody can tell.
pub fn check(path: &Path) -> Result<(), NothingThere> {
    match path.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(()),
        Ok(_) => Err(NothingThere::Unusual(path.to_owned())),
        Err(cause) => Err(NothingThere::Unreadable {
            path: path.to_owned(),
            cause,
        }),
    }
}

/// The file, or what is in the folder but for what is hidden and further folders.
fn list(path: &Path) -> Result<Vec<PathBuf>, NothingThere> {
    let unreadable = |cause: io::Error| match cause.kind() {
        io::ErrorKind::NotFound => NothingThere::Missing(path.to_owned()),
        _ => NothingThere::Unreadable {
            path: path.to_owned(),
            cause,
        },
    };
    let metadata = path.metadata().map_err(unreadable)?;
    if metadata.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    if !metadata.is_dir() {
        // Reading a pipe could take for ever.
        return Err(NothingThere::Unusual(path.to_owned()));
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        let file = entry.path();
        if !is_hidden && !file.is_dir() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn quoted_path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(place: &Place) -> Result<Vec<String>, String> {
        let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
        match place.written() {
            Ok(files) => Ok(files.iter().map(name).collect()),
            Err(nothing) => Err(nothing.to_string()),
        }
    }

    #[test]
    fn only_what_the_command_wrote_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("old"), "1").unwrap();
        fs::write(path("rewritten"), "1").unwrap();
        // Some file systems' clocks tick slowly.
        let file = fs::File::options().write(true).open(path("rewritten"));
        file.unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        let place = Place::named(folder.path());
        let unchanged = "is as it was before the command, which wrote no metrics";
        assert!(names(&place).unwrap_err().ends_with(unchanged));

        // As long as before, and in the same file.
        fs::write(path("rewritten"), "2").unwrap();
        fs::write(path("new"), "3").unwrap();
        fs::write(path(".hidden"), "4").unwrap();
        fs::create_dir(path("deeper")).unwrap();
        assert_eq!(names(&place).unwrap(), ["new", "rewritten"]);
    }

    #[test]
    fn what_can_not_be_read_is_not_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let place = Place::named(folder.path());
        std::os::unix::fs::symlink("/nowhere/x", path("link")).unwrap();
        std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        assert_eq!(names(&place).unwrap(), ["link", "socket"]);
        let problem = |name| check(&path(name)).unwrap_err().to_string();
        assert!(problem("link").ends_with("can't be read: No such file or directory (os error 2)"));
        assert!(problem("socket").ends_with("is neither a file nor a folder"));

        let place = Place::temporary().unwrap();
        std::os::unix::fs::symlink("/nowhere/x", place.path()).unwrap();
        assert!(place.written().is_err());
    }

    #[test]
    fn a_file_replaced_by_another_of_the_same_age_is_new() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("metrics"), "1").unwrap();
        let place = Place::named(&path("metrics"));
        fs::write(path("other"), "2").unwrap();
        let age = path("metrics").metadata().unwrap().modified().unwrap();
        let other = fs::File::options().write(true).open(path("other")).unwrap();
        other.set_modified(age).unwrap();
        fs::rename(path("other"), path("metrics")).unwrap();
        assert_eq!(names(&place).unwrap(), ["metrics"]);
    }

    #[test]
    fn a_place_of_our_own_may_stay_empty_and_goes_away() {
        let place = Place::temporary().unwrap();
        assert_eq!(names(&place), Ok(Vec::new()));
        let folder = place.path().parent().unwrap().to_owned();
        assert_eq!(folder.metadata().unwrap().mode() & 0o777, 0o700);
        fs::create_dir(place.path()).unwrap();
        fs::create_dir(place.path().join("deeper")).unwrap();
        let empty = "holds no file: the command wrote no metrics";
        assert!(names(&place).unwrap_err().ends_with(empty));
        fs::write(place.path().join("a"), "1").unwrap();
        assert_eq!(names(&place).unwrap(), ["a"]);
        drop(place);
        assert!(!folder.exists());
    }

    #[test]
    fn a_named_place_must_not_stay_empty() {
        let folder = tempfile::tempdir().unwrap();
        let missing = "is not there: the command wrote no metrics";
        let place = Place::named(&folder.path().join("metrics"));
        assert!(names(&place).unwrap_err().ends_with(missing));
        let empty = "holds no file: the command wrote no metrics";
        assert!(
            names(&Place::named(folder.path()))
                .unwrap_err()
                .ends_with(empty)
        );
        let place = Place::named(Path::new("/dev/null"));
        assert!(
            names(&place)
                .unwrap_err()
                .ends_with("is neither a file nor a folder")
        );
    }
}
