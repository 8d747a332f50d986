//! A run that is not over says so.

use std::io::Write;
use std::net::TcpListener;

use crate::pushgateway::Pushgateway;
use crate::simplepipe::{Run, Running, eventually};

const HEARTBEAT: &str = r#"run_heartbeat_timestamp_seconds{instance="",job="train"}"#;
const START: &str = r#"run_start_timestamp_seconds{instance="",job="train"}"#;
const END: &str = r#"run_end_timestamp_seconds{instance="",job="train"}"#;
const SUCCEEDED: &str = r#"run_succeeded{instance="",job="train"}"#;

fn waiting(address: &str) -> Run {
    Run::script("read line; exit 3")
        .gateway(address)
        .option("--job", "train")
        .option("--heartbeat", "1s")
}

#[test]
fn a_heartbeat_is_seen_while_the_command_runs() {
    let gateway = Pushgateway::start();
    let mut running = waiting(gateway.address()).option("--ttl", "1h").start();
    let first = eventually("a heartbeat arrives", || gateway.value(HEARTBEAT).ok_or(()));
    let second = eventually("a later one arrives", || {
        gateway
            .value(HEARTBEAT)
            .filter(|value| *value != first)
            .ok_or(())
    });
    let number = |text: &str| -> f64 { text.parse().unwrap() };
    assert!(number(&second) - number(&first) >= 1.0, "{first}, {second}");
    assert!(number(&gateway.value(START).unwrap()) <= number(&first));
    assert_eq!(gateway.value(SUCCEEDED), None);
    assert_eq!(gateway.value(END), None);
    let ttl = gateway.value(r#"push_ttl_seconds{instance="",job="train"}"#);
    assert_eq!(ttl.as_deref(), Some("3600"));

    running.stdin().write_all(b"end\n").unwrap();
    running.end().assert_code(3).assert_quiet();
    assert_eq!(gateway.value(SUCCEEDED).as_deref(), Some("0"));
    let end = gateway.value(END).unwrap();
    assert!(number(&end) >= number(&second), "{second}, {end}");
}

#[test]
fn a_heartbeat_that_does_not_arrive_is_told_once() {
    let mut running = waiting("127.0.0.1:1").option("--retry-for", "0").start();
    let refused = "http://127.0.0.1:1 can't be reached: Connection refused (os error 111)";
    assert_eq!(
        running.next_error(),
        format!("simplepipe: no heartbeat: {refused}")
    );
    running.stdin().write_all(b"end\n").unwrap();
    let ended = running.end().assert_code(3);
    assert_eq!(
        ended.errors,
        format!("simplepipe: the metrics of job \"train\" were not pushed: {refused}\n")
    );
}

#[test]
fn heartbeats_that_do_not_arrive_are_told_once() {
    let gateway = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = gateway.local_addr().unwrap().to_string();
    let mut running = waiting(&address).option("--retry-for", "0").start();
    // Each is closed without an answer. At the third, the second has failed.
    for _ in 0..3 {
        gateway.accept().unwrap();
    }
    drop(gateway);
    running.stdin().write_all(b"end\n").unwrap();
    let ended = running.end().assert_code(3);
    let lines: Vec<&str> = ended.errors.lines().collect();
    assert!(
        lines.len() == 2 && lines[0].starts_with("simplepipe: no heartbeat: "),
        "{}",
        ended.errors
    );
}

#[test]
fn a_gateway_that_comes_back_is_told_and_has_the_heartbeat() {
    // A port that is free, and most likely still is a moment later.
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap().to_string();
    drop(port);
    let mut running = waiting(&address).start();
    let error = running.next_error();
    assert!(error.starts_with("simplepipe: no heartbeat: "), "{error}");
    let gateway = Pushgateway::start_with([format!("--web.listen-address={address}")]);
    assert_eq!(
        running.next_error(),
        format!("simplepipe: heartbeat again at http://{address}")
    );
    assert!(gateway.value(HEARTBEAT).is_some());
    running.stdin().write_all(b"end\n").unwrap();
    running.end().assert_code(3);
}

#[test]
fn a_heartbeat_that_hangs_does_not_keep_the_command_waiting() {
    let gateway = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = gateway.local_addr().unwrap().to_string();
    let mut running = waiting(&address)
        .option("--timeout", "600")
        .option("--retry-for", "0")
        .start();
    let heartbeat = gateway.accept().unwrap();
    running.stdin().write_all(b"end\n").unwrap();
    // The push at the end, on a connection of its own.
    let _push = gateway.accept().unwrap();
    drop(heartbeat);
    eventually("the heartbeat gives up", || {
        let threads = threads(&running);
        if threads.contains(&"heartbeat\n".to_owned()) {
            return Err(threads);
        }
        Ok(())
    });
    running.signal(rustix::process::Signal::TERM);
    running.signal(rustix::process::Signal::INT);
    // Of a heartbeat that nobody needs any more nothing is told.
    running.end().assert_code(3).assert_says(&format!(
        "the metrics of job \"train\" were not pushed: told to end before http://{address} had them"
    ));
}

/// Their names.
fn threads(running: &Running) -> Vec<String> {
    let folder = format!("/proc/{}/task", running.pid().as_raw_nonzero());
    std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|thread| std::fs::read_to_string(thread.unwrap().path().join("comm")).ok())
        .collect()
}
