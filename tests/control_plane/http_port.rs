//! The operator's HTTP port, which any pod may reach where no NetworkPolicy forbids it.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::net::TcpSocket;

use crate::control_plane::tools;
use crate::eventually::{eventually, so, within};
use crate::operator::Operator;
use crate::stages::exclusive;

/// More than the operator takes at once.
const CONNECTIONS: usize = 600;
/// More than it gives any of them.
const PATIENCE: Duration = Duration::from_secs(40);
/// More of a request than it keeps.
const LONG: usize = 64 * 1024;

#[tokio::test]
async fn who_never_ends_a_request_or_never_reads_keeps_nobody_from_an_answer() {
    let control_plane = exclusive().await;
    let operator = Operator::start_alone(&control_plane).await;
    let address = operator.address().unwrap();
    let operators: SocketAddr = address.parse().unwrap();
    let connect = async || {
        // Another address than that of the others.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let stream = socket.connect(operators).await.unwrap();
        let stream = stream.into_std().unwrap();
        stream.set_nonblocking(false).unwrap();
        stream
    };

    // Asks until nothing more goes in, as the operator waits for somebody to read its answers.
    let mut deaf = connect().await;
    deaf.set_write_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    let request = "GET /metrics HTTP/1.1\r\nHost: operator\r\n\r\n";
    while deaf.write_all(request.as_bytes()).is_ok() {}

    let mut half_sent = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut stream = connect().await;
        // Those over the limit are ended at once.
        let _ = stream.write_all(b"GET /livez HTTP/1.1\r\nHost: operator\r\nX-More: ");
        half_sent.push(stream);
    }
    let (status, text) = operator.get("/livez").await.unwrap();
    assert_eq!(status, 200, "{text}");
    let first = &half_sent[0];
    assert!(
        !is_ended(first),
        "others are answered once these have ended"
    );
    eventually("most of one address are ended", async || {
        let open = half_sent.iter().filter(|s| !is_ended(s)).count();
        so(open < CONNECTIONS / 10, open)
    })
    .await;
    within(PATIENCE, "all connections are ended", async || {
        let silent = half_sent.iter().filter(|s| !is_ended(s)).count();
        let deaf = !takes_nothing_more(&deaf);
        so(
            silent == 0 && !deaf,
            format!("open: {silent} half-sent, the deaf one: {deaf}"),
        )
    })
    .await;
}

#[tokio::test]
async fn a_request_that_is_too_long_is_refused() {
    let control_plane = exclusive().await;
    let operator = Operator::start_alone(&control_plane).await;
    let mut stream = TcpStream::connect(operator.address().unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let long = format!(
        "GET /livez HTTP/1.1\r\nX-Long: {}\r\n\r\n",
        "x".repeat(LONG)
    );
    // The operator may end the connection while this is still on its way.
    let _ = stream.write_all(long.as_bytes());
    let mut answer = [0; 64];
    let length = stream.read(&mut answer).unwrap_or_default();
    let answer = String::from_utf8_lossy(&answer[..length]);
    assert!(!answer.contains(" 200 "), "{answer}");
    assert_eq!(operator.get("/livez").await.unwrap().0, 200);
}

#[tokio::test]
async fn metrics_come_in_the_format_that_is_asked_for_and_pass_its_checker() {
    let control_plane = exclusive().await;
    let operator = Operator::start_alone(&control_plane).await;
    let address = operator.address().unwrap();

    let (head, text) = metrics(&address, "");
    assert!(
        head.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"),
        "{head}"
    );
    promtool_check_metrics(&text);
    for name in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_open_fds",
    ] {
        let value = operator.metric(name).await.unwrap();
        assert!(value > 0.0, "{name} is {value}");
    }

    // As Prometheus 3 asks.
    let (head, open_metrics) = metrics(
        &address,
        "Accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
         application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
         text/plain;version=0.0.4;q=0.3,*/*;q=0.2\r\n",
    );
    assert!(
        head.contains(
            "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"
        ),
        "{head}"
    );
    assert!(open_metrics.ends_with("# EOF\n"), "{open_metrics}");
    assert!(!text.contains("# EOF"), "{text}");
}

/// Head and body of an answer to a request with these headers.
fn metrics(address: &str, headers: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET /metrics HTTP/1.0\r\n{headers}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (format!("{head}\r\n").to_ascii_lowercase(), body.to_owned())
}

fn promtool_check_metrics(text: &str) {
    let promtool = Path::new(&tools(&["promtool"])).join("promtool");
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    let said = child.wait_with_output().unwrap();
    assert!(
        said.status.success() && said.stdout.is_empty() && said.stderr.is_empty(),
        "promtool says {said:?} of\n{text}"
    );
}

/// Whether the other side has ended it; what it sent before is read and dropped.
fn is_ended(mut stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    match stream.read(&mut [0; 4096]) {
        Ok(length) => length == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

/// Whether the other side has ended it, found without a read.
fn takes_nothing_more(mut stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    stream
        .write(b"\n")
        .is_err_and(|e| e.kind() != ErrorKind::WouldBlock)
}
