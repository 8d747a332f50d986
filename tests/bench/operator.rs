//! The operator as a process.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::Result;
use crate::cluster::{Cluster, OPERATOR_NAMESPACE};
use crate::process::Process;

const LONGEST_START: Duration = Duration::from_secs(60);
const LONGEST_WORK: Duration = Duration::from_secs(1800);
const LONGEST_ANSWER: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(50);
/// Its answers are not free: each time that has passed is known to a fiftieth.
const POLL_PART: u32 = 50;

pub struct Operator {
    process: Child,
    log: PathBuf,
}

impl Operator {
    pub fn start(cluster: &Cluster, kubeconfig: &Path, flags: &[&str]) -> Result<Self> {
        let log = cluster.folder().join("operator.log");
        // The kernel kills it when this process ends, however that comes.
        let process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(cluster.operator())
            .args(["operator", "--listen", "127.0.0.1:0"])
            .args(["--concurrency", &cluster.in_flight().to_string()])
            .args(flags)
            .env("KUBECONFIG", kubeconfig)
            .env("POD_NAMESPACE", OPERATOR_NAMESPACE)
            .stdin(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()?;
        Ok(Self { process, log })
    }

    pub fn process(&self) -> Process {
        Process::new(self.process.id())
    }

    /// Waits until it works, and is not merely a standby.
    pub async fn until_ready(&self) -> Result<()> {
        self.until("it is ready", LONGEST_START, || {
            Some(self.get("/readyz")?.contains("watch "))
        })
        .await
    }

    /// Waits until it has looked at so many objects, and none waits.
    pub async fn until_done(&self, objects: usize) -> Result<()> {
        self.until("it has looked at all", LONGEST_WORK, || {
            Some(
                self.sum("simplepipe_reconciles_total{result=\"success\"")? >= objects
                    && self.sum("simplepipe_queue_depth")? == 0,
            )
        })
        .await
    }

    /// Waits until it has changed so many children.
    pub async fn until_changed(&self, children: usize) -> Result<()> {
        self.until("it has changed all", LONGEST_WORK, || {
            Some(self.changed() >= children)
        })
        .await
    }

    /// How many children it has changed.
    pub fn changed(&self) -> usize {
        self.sum("simplepipe_child_writes_total{verb=\"update\"")
            .unwrap_or(0)
    }

    /// The sum of its metrics that begin so.
    fn sum(&self, start: &str) -> Option<usize> {
        let text = self.get("/metrics")?;
        text.lines()
            .filter(|line| line.starts_with(start))
            .map(|line| line.rsplit(' ').next()?.parse::<usize>().ok())
            .sum()
    }

    /// Waits for what it works towards; an error where it ends before.
    pub async fn during<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let ended = async {
            while self.process.try_wait()?.is_none() {
                sleep(POLL).await;
            }
            let log = std::fs::read_to_string(&self.log)?;
            Err(format!("the operator has ended; its log:\n{log}").into())
        };
        tokio::select! {
            done = work => done,
            ended = ended => ended,
        }
    }

    /// Asks it to end, and waits until it has given the Lease back.
    pub async fn stop(mut self) -> Result<()> {
        Command::new("kill")
            .arg(self.process.id().to_string())
            .status()?;
        while self.process.try_wait()?.is_none() {
            sleep(POLL).await;
        }
        Ok(())
    }

    async fn until(
        &self,
        what: &str,
        patience: Duration,
        is_so: impl Fn() -> Option<bool>,
    ) -> Result<()> {
        let polls = async {
            let begin = Instant::now();
            while is_so() != Some(true) {
                sleep((begin.elapsed() / POLL_PART).max(POLL)).await;
            }
        };
        if tokio::time::timeout(patience, polls).await.is_err() {
            let log = std::fs::read_to_string(&self.log)?;
            return Err(format!("gave up waiting that {what}; the operator's log:\n{log}").into());
        }
        Ok(())
    }

    /// A good answer to a GET.
    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address()?).ok()?;
        stream.set_read_timeout(Some(LONGEST_ANSWER)).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.contains(" 200 ").then(|| body.to_owned())
    }

    /// Where it listens, which it says in its first line.
    fn address(&self) -> Option<String> {
        let log = std::fs::read_to_string(&self.log).ok()?;
        let (_, rest) = log.split_once("listen=")?;
        Some(rest.split_whitespace().next()?.to_owned())
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
