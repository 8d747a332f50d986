//! The program under test.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// One `simplepipe push` that is going to run, with nothing in its environment but what it is given.
pub struct Simplepipe {
    command: Command,
    file: PathBuf,
    input: String,
    // Kept so that the file lives as long.
    _folder: Option<tempfile::TempDir>,
}

/// One that runs.
pub struct Running(Child);

/// How it ended.
#[derive(Debug, PartialEq)]
pub struct Ended {
    pub code: Option<i32>,
    pub standard_output: String,
    pub standard_error: String,
}

impl Simplepipe {
    /// Of a file with this content.
    pub fn push(content: &str, job: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("metric.json");
        std::fs::write(&file, content).unwrap();
        Self {
            _folder: Some(folder),
            ..Self::push_path(file, job)
        }
    }

    /// Of this content as standard input.
    pub fn push_standard_input(content: &str, job: &str) -> Self {
        Self {
            input: content.to_owned(),
            ..Self::push_path("-", job)
        }
    }

    /// Of whatever is at the path.
    pub fn push_path(file: impl Into<PathBuf>, job: &str) -> Self {
        let file = file.into();
        Self {
            file: file.clone(),
            ..Self::with(["push".as_ref(), file.as_os_str(), job.as_ref()])
        }
    }

    /// With just these arguments.
    pub fn with<T: AsRef<OsStr>>(arguments: impl IntoIterator<Item = T>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_simplepipe"));
        command.env_clear().args(arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self {
            command,
            file: PathBuf::new(),
            input: String::new(),
            _folder: None,
        }
    }

    pub fn file(&self) -> &Path {
        &self.file
    }

    /// With these arguments too.
    pub fn and<T: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.command.args(arguments);
        self
    }

    pub fn gateway(mut self, address: &str) -> Self {
        self.command.arg("--gateway").arg(address);
        self
    }

    pub fn retry_for(mut self, seconds: u32) -> Self {
        self.command.arg("--retry-for").arg(seconds.to_string());
        self
    }

    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn run(mut self) -> Ended {
        self.spawn().wait()
    }

    /// Starts it; the file must outlive it.
    pub fn spawn(&mut self) -> Running {
        let mut child = self.command.spawn().unwrap();
        // One that refuses its arguments reads nothing.
        let _ = child.stdin.take().unwrap().write_all(self.input.as_bytes());
        Running(child)
    }
}

impl Running {
    /// As by `kill -9`.
    pub fn kill(&mut self) {
        self.0.kill().unwrap();
    }

    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    pub fn wait(self) -> Ended {
        let output = self.0.wait_with_output().unwrap();
        Ended {
            code: output.status.code(),
            standard_output: String::from_utf8(output.stdout).unwrap(),
            standard_error: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ended {
    /// With 0, this output and no error.
    pub fn well(standard_output: String) -> Self {
        Self {
            code: Some(0),
            standard_output,
            standard_error: String::new(),
        }
    }

    /// With this code, this one message and no output.
    pub fn badly(code: i32, message: &str) -> Self {
        Self {
            code: Some(code),
            standard_output: String::new(),
            standard_error: format!("simplepipe: {message}\n"),
        }
    }

    pub fn assert_code(&self, code: i32) {
        assert_eq!(self.code, Some(code), "{self:?}");
    }
}
