//! A real Pushgateway, built from its pinned Go module by `tests/cluster/tools` (once; it takes half a minute).

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use simplepipe::gateway::{Address, Client, Settings};

/// For the gateway to answer a request; far more than it needs.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A gateway of its own for one test, ended when dropped.
pub struct Pushgateway {
    process: Child,
    address: String,
}

impl Pushgateway {
    /// Starts it on a free port that it picks itself, and returns when it listens.
    pub fn start() -> Self {
        let gateway = Self::start_with::<&str>([]);
        assert_eq!(gateway.get("/-/ready"), "OK");
        gateway
    }

    /// With further arguments.
    pub fn start_with<T: AsRef<OsStr>>(arguments: impl IntoIterator<Item = T>) -> Self {
        let mut process = Command::new(program())
            .args(["--web.listen-address=127.0.0.1:0", "--log.format=json"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let address = listening_address(process.stderr.take().unwrap());
        Self { process, address }
    }

    /// The labels of all groups that it holds, in words.
    pub fn groups(&self) -> Vec<String> {
        let client = Client::new(Settings::new(Address::parse(&self.address).unwrap())).unwrap();
        let held = client.held_where(|_| true).unwrap();
        let mut groups: Vec<String> = (held.groups.iter())
            .map(|group| {
                let labels = group.labels.iter();
                let labels: Vec<_> = labels
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                labels.join(",")
            })
            .collect();
        groups.sort();
        groups
    }

    /// HOST:PORT
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What it exposes of what was pushed: its whole exposition but for its own metrics and the times of pushes.
    pub fn pushed(&self) -> String {
        let own = |name: &str| {
            [
                "go_",
                "process_",
                "pushgateway_",
                "push_time_",
                "push_failure_",
            ]
            .iter()
            .any(|prefix| name.starts_with(prefix))
        };
        let exposition = self.get("/metrics");
        let lines = exposition.lines().filter(|line| {
            let name = line
                .strip_prefix("# HELP ")
                .or(line.strip_prefix("# TYPE "))
                .unwrap_or(line);
            !own(name)
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The value of a series, named as the gateway names it.
    pub fn value(&self, series: &str) -> Option<String> {
        let exposition = self.get("/metrics");
        let value = exposition
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map(str::to_owned)
    }

    /// Pushes a body as it is; returns the whole answer.
    #[allow(dead_code)] // For tests that are not about `simplepipe push`.
    pub fn put(&self, path: &str, body: &str) -> String {
        let length = body.len();
        self.answer(&format!(
            "PUT {path} HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
    }

    /// Deletes a group, also one that Simplepipe's clients refuse to name.
    #[allow(dead_code)] // As above.
    pub fn delete(&self, path: &str) {
        let answer = self.answer(&format!("DELETE {path} HTTP/1.0\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.0 202 "), "{answer}");
    }

    fn get(&self, path: &str) -> String {
        let answer = self.answer(&format!("GET {path} HTTP/1.0\r\n\r\n"));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.0 200 "), "{head}");
        body.to_owned()
    }

    fn answer(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Pushgateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where the gateway's log says that it listens. The rest of the log is read too, for a full pipe would stop it.
fn listening_address(log: ChildStderr) -> String {
    let mut lines = BufReader::new(log).lines().map(Result::unwrap);
    let mut seen = Vec::new();
    let address = loop {
        let line = lines
            .next()
            .unwrap_or_else(|| panic!("the Pushgateway ended: {seen:#?}"));
        let entry: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        if entry["msg"] == "Listening on" {
            break entry["address"].as_str().unwrap().to_owned();
        }
        seen.push(line);
    };
    std::thread::spawn(move || lines.for_each(drop));
    address
}

/// The program, built where it is not there yet; whoever runs the tests sees the tool's progress.
fn program() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM
        .get_or_init(|| {
            let tools = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/tools");
            let output = Command::new(tools)
                .arg("pushgateway")
                .stderr(Stdio::inherit())
                .output()
                .unwrap();
            assert!(output.status.success(), "{tools} pushgateway failed");
            PathBuf::from(String::from_utf8(output.stdout).unwrap().trim()).join("pushgateway")
        })
        .clone()
}
