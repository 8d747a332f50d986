//! The program under test.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One `simplepipe push` that is going to run, with nothing in its environment but what it is given.
pub struct Simplepipe {
    command: Command,
    file: PathBuf,
    input: String,
    // Kept so that the file lives as long.
    _folder: Option<tempfile::TempDir>,
}

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
        let mut command = Command::new(env!("CARGO_BIN_EXE_simplepipe"));
        command.env_clear().arg("push").arg(&file).arg(job);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self {
            command,
            file,
            input: String::new(),
            _folder: None,
        }
    }

    pub fn file(&self) -> &Path {
        &self.file
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
        let mut child = self.command.spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(self.input.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
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
