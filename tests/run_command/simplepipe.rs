//! The program under test, as users start it.

use std::ffi::OsStr;
use std::fmt::Debug;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_simplepipe");
/// Longer than anything here takes, also on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A `simplepipe run` that is going to run, with nothing in its environment but PATH and what it is given.
pub struct Run {
    command: Command,
    arguments: Vec<String>,
}

/// One that runs, in a process group of its own, which ends with it.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    errors: Receiver<String>,
}

/// How it ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub output: Vec<u8>,
    pub errors: String,
}

impl Run {
    /// Of this command.
    pub fn of<const N: usize>(command: [&str; N]) -> Self {
        Self::under([PROGRAM], command)
    }

    /// Of a shell script.
    pub fn script(script: &str) -> Self {
        Self::of(["sh", "-c", script])
    }

    /// Of this command, with other words in front: another program that starts ours.
    pub fn under<const M: usize, const N: usize>(start: [&str; M], command: [&str; N]) -> Self {
        // Who runs the tests may ignore signals, as a shell does for what it runs in the background.
        let mut run = Command::new("env");
        run.arg("--default-signal")
            .args(start)
            .arg("run")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap());
        Self {
            command: run,
            arguments: command.map(str::to_owned).to_vec(),
        }
    }

    pub fn option(mut self, option: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.arg(option).arg(value);
        self
    }

    pub fn flag(mut self, flag: &str) -> Self {
        self.command.arg(flag);
        self
    }

    pub fn gateway(self, address: &str) -> Self {
        self.option("--gateway", address)
    }

    pub fn variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// The command line that it is, for another program to start.
    pub fn into_command(mut self) -> Command {
        self.command.arg("--").args(&self.arguments);
        self.command
    }

    /// With pipes for all its streams, in a process group of its own.
    fn spawn(self) -> Child {
        self.into_command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap()
    }

    /// To its end, with nothing on standard input.
    pub fn end(self) -> Ended {
        self.end_with(b"")
    }

    /// To its end, with this on standard input.
    pub fn end_with(self, input: &[u8]) -> Ended {
        let mut child = self.spawn();
        let mut stdin = child.stdin.take().unwrap();
        let group = Pid::from_child(&child);
        let (ended, end) = mpsc::channel::<()>();
        let output = std::thread::scope(|scope| {
            scope.spawn(move || {
                // The command may end before it has read all of it.
                let _ = stdin.write_all(input);
            });
            scope.spawn(move || {
                // A test that would wait for ever fails.
                if end.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                    let _ = kill_process_group(group, Signal::KILL);
                }
            });
            let output = child.wait_with_output().unwrap();
            drop(ended);
            output
        });
        Ended {
            status: output.status,
            output: output.stdout,
            errors: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub fn start(self) -> Running {
        let mut child = self.spawn();
        Running {
            lines: lines(child.stdout.take().unwrap()),
            errors: lines(child.stderr.take().unwrap()),
            child,
        }
    }
}

impl Running {
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Sends the signal again and again until the program ends by it.
    #[track_caller]
    pub fn signal_until_it_ends(&mut self, signal: Signal) {
        eventually("the program ends by signals", || {
            if self.child.try_wait().unwrap().is_some() {
                return Ok(());
            }
            self.signal(signal);
            Err("it runs")
        });
    }

    /// Waits until the command writes the line.
    #[track_caller]
    pub fn says(&self, line: &str) {
        assert_eq!(self.next_line(), line);
    }

    #[track_caller]
    pub fn next_line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap()
    }

    /// The next line on standard error.
    #[track_caller]
    pub fn next_error(&self) -> String {
        self.errors.recv_timeout(PATIENCE).unwrap()
    }

    pub fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().unwrap()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn end(mut self) -> Ended {
        self.ended()
    }

    /// Waits for its end, while what the command left lives on.
    #[track_caller]
    pub fn ended(&mut self) -> Ended {
        let status = eventually("the program ends", || {
            self.child
                .try_wait()
                .unwrap()
                .ok_or_else(|| "it runs".to_owned())
        });
        let rest = |lines: &Receiver<String>| -> Vec<String> { lines.iter().collect() };
        Ended {
            status,
            output: rest(&self.lines).join("\n").into_bytes(),
            errors: rest(&self.errors)
                .iter()
                .map(|line| format!("{line}\n"))
                .collect(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Also what the command left.
        let _ = kill_process_group(self.pid(), Signal::KILL);
        let _ = self.child.wait();
    }
}

impl Ended {
    #[track_caller]
    pub fn assert_code(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{self:?}");
        self
    }

    #[track_caller]
    pub fn assert_signal(self, signal: Signal) -> Self {
        assert_eq!(self.status.signal(), Some(signal.as_raw()), "{self:?}");
        self
    }

    #[track_caller]
    pub fn assert_output(self, output: &str) -> Self {
        assert_eq!(String::from_utf8_lossy(&self.output), output, "{self:?}");
        self
    }

    /// One message, and no other.
    #[track_caller]
    pub fn assert_says(self, message: &str) -> Self {
        assert_eq!(self.errors, format!("simplepipe: {message}\n"));
        self
    }

    /// Not a word on standard error.
    #[track_caller]
    pub fn assert_quiet(self) -> Self {
        assert_eq!(self.errors, "");
        self
    }
}

/// Read on a thread of their own, so that waiting for one can end.
pub fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let lines = BufReader::new(stream).lines().map_while(Result::ok);
        lines.map(|line| sender.send(line)).all(|sent| sent.is_ok())
    });
    receiver
}

/// Looks until it is so, and returns what it then found. `look` answers with what it sees instead.
#[track_caller]
pub fn eventually<T, E: Debug>(what: &str, mut look: impl FnMut() -> Result<T, E>) -> T {
    let began = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if began.elapsed() > PATIENCE => {
                panic!("not so after {PATIENCE:?}: {what}; seen last: {seen:?}")
            }
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}
