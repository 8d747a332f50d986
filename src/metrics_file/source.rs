//! Where a metrics file comes from, and reading it without ever holding more than a bounded size.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::terminal::quoted;

/// Largest metrics file, in bytes: some 80,000 metrics, far more than one push should hold.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;

/// A file by its path, or standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Standard input, written `-`.
    StandardInput,
    File(PathBuf),
}

/// Why a metrics file could not be read. Each message names the source.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Opening or reading failed.
    #[error("{source_name} can't be read: {cause}")]
    Io {
        /// What was read, ready to print.
        source_name: String,
        /// What the system said.
        cause: io::Error,
    },
    /// A folder, not a file.
    #[error("{source_name} is a folder; name the metrics file in it")]
    Folder {
        /// What was read, ready to print.
        source_name: String,
    },
    /// Larger than [`MAX_BYTES`].
    #[error("{source_name} is too large; a metrics file has at most {} MiB", MAX_BYTES / 1024 / 1024)]
    TooLarge {
        /// What was read, ready to print.
        source_name: String,
    },
}

impl Source {
    /// `-` is standard input, anything else a path.
    pub fn from_argument(argument: &Path) -> Self {
        if argument == Path::new("-") {
            Self::StandardInput
        } else {
            Self::File(argument.to_path_buf())
        }
    }

    /// The whole content, at most [`MAX_BYTES`].
    ///
    /// # Errors
    /// When it is not there, not readable, a folder, or larger than that.
    pub fn read(&self) -> Result<Vec<u8>, ReadError> {
        let content = match self {
            Self::StandardInput => bounded(io::stdin().lock()),
            Self::File(path) => File::open(path).and_then(bounded),
        };
        let source_name = self.to_string();
        match content {
            Ok(content) if content.len() > MAX_BYTES => Err(ReadError::TooLarge { source_name }),
            Ok(content) => Ok(content),
            Err(cause) if cause.kind() == io::ErrorKind::IsADirectory => {
                Err(ReadError::Folder { source_name })
            }
            Err(cause) => Err(ReadError::Io { source_name, cause }),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StandardInput => formatter.write_str("standard input"),
            Self::File(path) => formatter.write_str(&quoted(&path.to_string_lossy())),
        }
    }
}

/// Reads one byte more than is allowed, which tells too large from just large enough whatever the source claims of
/// its size (a pipe or a device claims nothing).
fn bounded(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    reader
        .take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(path: &Path) -> String {
        Source::from_argument(path).read().unwrap_err().to_string()
    }

    #[test]
    fn a_file_of_just_the_largest_size_is_read_and_one_byte_more_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metric.json");
        std::fs::write(&path, vec![b' '; MAX_BYTES]).unwrap();
        assert_eq!(
            Source::from_argument(&path).read().unwrap().len(),
            MAX_BYTES
        );
        std::fs::write(&path, vec![b' '; MAX_BYTES + 1]).unwrap();
        assert!(
            error_of(&path)
                .ends_with("metric.json\" is too large; a metrics file has at most 8 MiB")
        );
    }

    #[test]
    fn an_endless_device_is_not_read_to_its_end() {
        assert_eq!(
            error_of(Path::new("/dev/zero")),
            "\"/dev/zero\" is too large; a metrics file has at most 8 MiB"
        );
    }

    #[test]
    fn a_folder_and_a_missing_file_are_told_apart() {
        assert_eq!(
            error_of(Path::new("/")),
            "\"/\" is a folder; name the metrics file in it"
        );
        assert_eq!(
            error_of(Path::new("/missing/metric.json")),
            "\"/missing/metric.json\" can't be read: No such file or directory (os error 2)"
        );
    }

    #[test]
    fn a_dash_is_standard_input() {
        assert_eq!(Source::from_argument(Path::new("-")), Source::StandardInput);
        assert_eq!(
            Source::from_argument(Path::new("./-")),
            Source::File("./-".into())
        );
    }
}
