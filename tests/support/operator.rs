//! The operator as a process.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use serde_json::Value;

use crate::control_plane::{ControlPlane, Frozen, OPERATOR_NAMESPACE};
use crate::eventually::{eventually, so, within};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_simplepipe");
/// Lines of a log that a failure shows.
const LINES: usize = 15;
const LONGEST_ANSWER: Duration = Duration::from_secs(5);

pub struct Operator {
    process: Child,
    log: PathBuf,
}

impl Operator {
    /// Starts one, with the rights of its manifests.
    pub fn start(control_plane: &ControlPlane, flags: &[&str]) -> Self {
        Self::start_as(&control_plane.operators_kubeconfig(), control_plane, flags)
    }

    /// Starts one with this kubeconfig, as where a proxy is before the API server.
    pub fn start_as(kubeconfig: &Path, control_plane: &ControlPlane, flags: &[&str]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(1);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let log = control_plane.logs().join(format!("operator-{number}.log"));
        // The kernel kills it when this process ends, however that comes.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", PROGRAM, "operator"])
            .args(["--listen", "127.0.0.1:0", "--log-format", "json"])
            .args(flags)
            .env("KUBECONFIG", kubeconfig)
            .env("POD_NAMESPACE", OPERATOR_NAMESPACE)
            .stdin(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .stdout(File::options().append(true).open(&log).unwrap());
        Self {
            process: spawn(command),
            log,
        }
    }

    /// Starts one that is the only one, and waits until it works.
    pub async fn start_alone(control_plane: &ControlPlane) -> Self {
        let operator = Self::start(control_plane, &["--leader-election=false"]);
        operator.until_ready().await;
        operator
    }

    /// Waits until `/readyz` says yes.
    pub async fn until_ready(&self) {
        eventually("the operator is ready", async || {
            let (status, text) = self.get("/readyz").await?;
            so(status == 200, text)
        })
        .await;
    }

    /// Waits until it is the one that works.
    pub async fn until_leading(&self, patience: Duration) {
        within(patience, "the operator leads", async || {
            so(
                self.metric("simplepipe_leading").await? == 1.0,
                self.log_end(),
            )
        })
        .await;
    }

    /// Waits until it has looked at so many tenants since its start, and none waits.
    pub async fn until_all_are_looked_at(&self, tenants: usize) {
        eventually("every tenant was looked at", async || {
            let count = self
                .metric("simplepipe_reconcile_duration_seconds_count")
                .await?;
            let waiting = self.metric("simplepipe_queue_depth").await?;
            so(count >= tenants as f64 && waiting == 0.0, (count, waiting))
        })
        .await;
    }

    /// What it answers to a GET.
    ///
    /// # Errors
    /// When it does not.
    pub async fn get(&self, path: &str) -> Result<(u16, String), String> {
        let address = self.address().ok_or_else(|| self.log_end())?;
        let answer = ask(&address, path).map_err(|e| format!("{e}\n{}", self.log_end()))?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no HTTP")?;
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
        Ok((status.ok_or("no HTTP")?, body.to_owned()))
    }

    /// Value of one of its metrics, labels and all: `simplepipe_leading`.
    ///
    /// # Errors
    /// When it does not answer, or has no such metric.
    pub async fn metric(&self, name: &str) -> Result<f64, String> {
        let (_, text) = self.get("/metrics").await?;
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        value.ok_or_else(|| format!("{name} is not in\n{text}"))
    }

    /// It does nothing, until the guard is dropped.
    pub fn freeze(&self) -> Frozen {
        Frozen::process(&self.process.id().to_string())
    }

    /// Ends it on the spot.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Asks it to end, and waits until it has; returns its exit code and its log.
    pub async fn terminate(self, patience: Duration) -> (Option<i32>, String) {
        let id = self.process.id().to_string();
        let killed = Command::new("kill").args(["-TERM", &id]).status();
        assert!(killed.unwrap().success());
        self.until_ended(patience).await
    }

    /// Waits until it has ended; returns its exit code and its log.
    pub async fn until_ended(mut self, patience: Duration) -> (Option<i32>, String) {
        let status = within(patience, "the operator ends", async || {
            let ended = self.process.try_wait().unwrap();
            ended.ok_or_else(|| self.log_end())
        })
        .await;
        (status.code(), self.log_lines("").join("\n"))
    }

    /// Where its log is.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Lines of its log in which something stands.
    pub fn log_lines(&self, with: &str) -> Vec<String> {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        log.lines()
            .filter(|line| line.contains(with))
            .map(ToOwned::to_owned)
            .collect()
    }

    fn log_end(&self) -> String {
        let lines = self.log_lines("");
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }

    /// Where it listens, which it says in its first line.
    pub fn address(&self) -> Option<String> {
        let first: Value = serde_json::from_str(self.log_lines("\"listen\"").first()?).ok()?;
        Some(first["listen"].as_str()?.to_owned())
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("the operator's last words:\n{}", self.log_end());
        }
    }
}

/// What the program says, and its exit code, where it is not expected to go on.
pub fn run_to_its_end(flags: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = Command::new(PROGRAM)
        .arg("operator")
        .args(flags)
        .env_remove("KUBECONFIG")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// Starts a process from a thread that never ends: a parent-death signal comes when the parent's *thread* ends, and
/// a test's thread ends before an operator that others share.
fn spawn(command: Command) -> Child {
    type Order = (Command, Sender<Child>);
    static SPAWNER: LazyLock<Sender<Order>> = LazyLock::new(|| {
        let (sender, orders) = channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in orders {
                let _ = answer.send(command.spawn().unwrap());
            }
        });
        sender
    });
    let (answer, child) = channel();
    SPAWNER.send((command, answer)).unwrap();
    child.recv().unwrap()
}

/// A GET, and the whole answer.
fn ask(address: &str, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LONGEST_ANSWER))?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
