//! The standard streams are the command's own.

use std::fs::File;
use std::process::Command;

use rustix::process::Signal;

use crate::pushgateway::Pushgateway;
use crate::simplepipe::{PROGRAM, Run};

#[test]
fn what_goes_in_comes_out_byte_by_byte() {
    let gateway = Pushgateway::start();
    let bytes: Vec<u8> = (0..1_000_000_u32)
        .flat_map(|index| index.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let ended = Run::of(["cat"]).gateway(gateway.address()).end_with(&bytes);
    assert!(ended.output == bytes, "{} bytes", ended.output.len());
    ended.assert_code(0).assert_quiet();
}

#[test]
fn ten_thousand_lines_come_out() {
    let gateway = Pushgateway::start();
    let ended = Run::of(["seq", "10000"]).gateway(gateway.address()).end();
    let lines: String = (1..=10_000).map(|line| format!("{line}\n")).collect();
    ended.assert_code(0).assert_output(&lines).assert_quiet();
}

#[test]
fn the_command_has_the_streams_themselves_and_no_other_file_than_without_us() {
    let gateway = Pushgateway::start();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("in"), "").unwrap();
    let list = "for each in 0 1 2; do readlink /proc/self/fd/$each; done; ls /proc/self/fd";
    let listed_by = |mut command: Command| {
        let status = command
            .stdin(File::open(path("in")).unwrap())
            .stdout(File::create(path("out")).unwrap())
            .stderr(File::create(path("err")).unwrap())
            .status();
        assert!(status.unwrap().success());
        std::fs::read_to_string(path("out")).unwrap()
    };
    let mut alone = Command::new("sh");
    alone.args(["-c", list]);
    let run = Run::script(list)
        .gateway(gateway.address())
        .option("--heartbeat", "1s");
    let listed = listed_by(run.into_command());
    assert_eq!(listed, listed_by(alone));
    let streams = ["in", "out", "err"].map(|name| format!("{}\n", path(name).display()));
    assert!(listed.starts_with(&streams.concat()), "{listed}");
}

#[test]
fn a_reader_that_leaves_ends_the_command_as_without_us() {
    let gateway = Pushgateway::start();
    let script = r#""$0" "$@" | head -1"#;
    Run::under(["bash", "-o", "pipefail", "-c", script, PROGRAM], ["yes"])
        .gateway(gateway.address())
        .end()
        .assert_code(128 + Signal::PIPE.as_raw())
        .assert_output("y\n")
        .assert_quiet();
}

#[test]
fn closed_streams_are_no_reason_to_fail() {
    let gateway = Pushgateway::start();
    let script = r#"exec "$0" "$@" <&- >&- 2>&-"#;
    Run::under(
        ["sh", "-c", script, PROGRAM],
        ["sh", "-c", "cat; echo out; echo err >&2; exit 5"],
    )
    .gateway(gateway.address())
    .end()
    .assert_code(5)
    .assert_output("");
    assert_eq!(
        gateway
            .value(r#"run_exit_code{instance="",job="sh"}"#)
            .as_deref(),
        Some("5")
    );
}

#[test]
fn everything_after_the_command_is_its_own() {
    let gateway = Pushgateway::start();
    Run::of(["echo", "--job", "x", "--", "--help", ""])
        .gateway(gateway.address())
        .end()
        .assert_code(0)
        .assert_output("--job x -- --help \n");
    let mut without_dashes = Command::new(PROGRAM);
    let output = without_dashes
        .args(["run", "--gateway", gateway.address(), "echo", "-n", "--job"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "--job");
}
