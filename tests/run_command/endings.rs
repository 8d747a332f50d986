//! How the command ends is how the program ends.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;

use rstest::rstest;
use rustix::process::Signal;

use crate::pushgateway::Pushgateway;
use crate::simplepipe::{Ended, PROGRAM, Run};

/// Where nothing listens: what ends here ends the same way without a gateway.
const NO_GATEWAY: &str = "127.0.0.1:1";

fn without_gateway(run: Run) -> Ended {
    run.gateway(NO_GATEWAY).option("--retry-for", "0").end()
}

#[test]
fn every_exit_code_is_the_programs() {
    for code in 0..=255 {
        without_gateway(Run::script(&format!("exit {code}"))).assert_code(code);
    }
}

#[rstest]
#[case("TERM", Signal::TERM)]
#[case("KILL", Signal::KILL)]
#[case("SEGV", Signal::SEGV)]
#[case("BUS", Signal::BUS)]
#[case("ABRT", Signal::ABORT)]
#[case("INT", Signal::INT)]
#[case("PIPE", Signal::PIPE)]
#[case("HUP", Signal::HUP)]
#[case("USR1", Signal::USR1)]
fn a_signal_that_ends_the_command_ends_the_program(#[case] name: &str, #[case] signal: Signal) {
    let gateway = Pushgateway::start();
    Run::script(&format!("kill -{name} $$"))
        .gateway(gateway.address())
        .end()
        .assert_signal(signal)
        .assert_quiet();
    let code = (128 + signal.as_raw()).to_string();
    assert_eq!(
        gateway.value(r#"run_exit_code{instance="",job="sh"}"#),
        Some(code)
    );
}

#[test]
fn without_a_path_nothing_is_looked_for_in_the_current_folder() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("train");
    std::fs::write(&program, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let here = format!("--chdir={}", folder.path().display());
    without_gateway(Run::under(
        ["env", &here, "--unset=PATH", PROGRAM],
        ["train"],
    ))
    .assert_code(127);
}

#[test]
fn a_real_time_signal_ends_the_program_too() {
    let ended = without_gateway(Run::of(["bash", "-c", "kill -64 $$"]));
    assert_eq!(ended.status.signal(), Some(64));
}

#[test]
fn the_program_leaves_no_core_dump_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    // The limit is raised for the program, and lowered again for the command.
    let script = format!(
        "cd {}; ulimit -c unlimited; exec \"$0\" \"$@\"",
        folder.path().display()
    );
    let run = Run::under(
        ["sh", "-c", &script, PROGRAM],
        ["sh", "-c", "ulimit -c 0; kill -SEGV $$"],
    );
    let ended = without_gateway(run).assert_signal(Signal::SEGV);
    assert!(!ended.status.core_dumped(), "{ended:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[rstest]
#[case::missing("nosuch", 127, r#""nosuch" was not found"#)]
#[case::missing_path("/nosuch/program", 127, r#""/nosuch/program" was not found"#)]
#[case::no_program(
    "/etc/passwd",
    126,
    r#""/etc/passwd" can't be run: Permission denied (os error 13)"#
)]
#[case::a_folder("/", 126, r#""/" can't be run: Permission denied (os error 13)"#)]
fn a_command_that_is_none_ends_as_in_a_shell_and_is_a_failed_run(
    #[case] program: &str,
    #[case] code: i32,
    #[case] message: &str,
) {
    let gateway = Pushgateway::start();
    Run::of([program])
        .gateway(gateway.address())
        .option("--job", "train")
        .end()
        .assert_code(code)
        .assert_says(message);
    let value = |name| gateway.value(&format!(r#"{name}{{instance="",job="train"}}"#));
    assert_eq!(value("run_exit_code"), Some(code.to_string()));
    assert_eq!(value("run_succeeded").as_deref(), Some("0"));
}

#[test]
fn a_script_runs_whatever_its_first_line_is() {
    let folder = tempfile::tempdir().unwrap();
    let script = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let plain = script("plain", "echo $1; exit 3\n");
    without_gateway(Run::of([&plain, "a b"]))
        .assert_code(3)
        .assert_output("a b\n");
    let astray = script("astray", "#!/nosuch/interpreter\n");
    Run::of([&astray])
        .gateway(Pushgateway::start().address())
        .end()
        .assert_code(126)
        .assert_says(&format!(
            "{astray:?} can't be run: its interpreter, or the dynamic linker that it was built for, is not there"
        ));
}

#[test]
fn what_the_command_leaves_behind_is_not_waited_for() {
    let gateway = Pushgateway::start();
    // Killed when this test ends, with the process group that it is in.
    let script = "sleep 1000 <&- >&- 2>&- & echo $!; exit 3";
    let mut running = Run::script(script).gateway(gateway.address()).start();
    let left = running.next_line();
    running.ended().assert_code(3);
    assert!(std::fs::exists(format!("/proc/{left}")).unwrap());
}

#[test]
fn wrong_arguments_end_with_2_before_the_command() {
    for (option, value) in [
        ("--job", ""),
        ("--grouping-label", "team"),
        ("--grouping-label", "job=a"),
        ("--grouping-label", "a-b=c"),
        ("--heartbeat", "0s"),
        ("--heartbeat", "5"),
        ("--ttl", "soon"),
        ("--retry-for", "3601"),
    ] {
        let ended = Run::script("echo started").option(option, value).end();
        ended.assert_code(2).assert_output("");
    }
    Run::script("echo started")
        .option("--grouping-label", "a=1")
        .option("--grouping-label", "a=2")
        .end()
        .assert_code(2)
        .assert_says(
            r#"the command was not started: grouping label "a" is there twice; write it once"#,
        );
}
