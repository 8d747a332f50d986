//! Signals that reach the program reach the command.

use std::io::Write;
use std::net::TcpListener;

use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};

use crate::pushgateway::Pushgateway;
use crate::simplepipe::{PROGRAM, Run, Running, eventually};

/// A script that waits for signals, and does this on each of them.
pub fn waiting(traps: &str) -> String {
    // The sleep ignores Ctrl-C from its beginning. A shell sees to it by itself, but maybe not before it is pressed.
    format!(
        "trap '' INT; sleep 1000 & trap - INT; trap 'kill $!' EXIT; {traps}; echo ready; while kill -0 $!; do wait $!; done"
    )
}

fn start(script: &str, gateway: &Pushgateway) -> Running {
    let running = Run::script(script).gateway(gateway.address()).start();
    running.says("ready");
    running
}

#[rstest]
#[case("TERM", Signal::TERM)]
#[case("INT", Signal::INT)]
#[case("HUP", Signal::HUP)]
#[case("QUIT", Signal::QUIT)]
#[case("USR1", Signal::USR1)]
#[case("USR2", Signal::USR2)]
#[case("ALRM", Signal::ALARM)]
#[case("WINCH", Signal::WINCH)]
#[case("ABRT", Signal::ABORT)]
#[case("CONT", Signal::CONT)]
#[case("URG", Signal::URG)]
#[case("XCPU", Signal::XCPU)]
#[case("VTALRM", Signal::VTALARM)]
#[case("PROF", Signal::PROF)]
#[case("IO", Signal::IO)]
#[case("PWR", Signal::POWER)]
fn a_signal_reaches_the_command_which_decides(#[case] name: &str, #[case] signal: Signal) {
    let gateway = Pushgateway::start();
    let running = start(
        &waiting(&format!("trap 'echo got; exit 7' {name}")),
        &gateway,
    );
    running.signal(signal);
    running.says("got");
    running.end().assert_code(7);
    assert_eq!(
        gateway
            .value(r#"run_exit_code{instance="",job="sh"}"#)
            .as_deref(),
        Some("7")
    );
}

#[test]
fn a_command_that_does_not_catch_a_signal_ends_by_it_and_the_run_is_pushed() {
    let gateway = Pushgateway::start();
    let running = start("echo ready; exec sleep 1000", &gateway);
    running.signal(Signal::TERM);
    running.end().assert_signal(Signal::TERM);
    let value = |name| gateway.value(&format!(r#"{name}{{instance="",job="sh"}}"#));
    assert_eq!(value("run_exit_code").as_deref(), Some("143"));
    assert_eq!(value("run_succeeded").as_deref(), Some("0"));
}

#[test]
fn a_command_may_live_on_after_signals() {
    let gateway = Pushgateway::start();
    let running = start(
        &waiting("trap 'echo term' TERM; trap 'exit 0' USR1"),
        &gateway,
    );
    for _ in 0..3 {
        running.signal(Signal::TERM);
        running.says("term");
    }
    running.signal(Signal::USR1);
    running.end().assert_code(0);
}

#[test]
fn a_signal_that_was_ignored_stays_ignored() {
    let gateway = Pushgateway::start();
    let running = Run::under(
        ["sh", "-c", r#"trap '' HUP; exec "$0" "$@""#, PROGRAM],
        ["sh", "-c", "grep SigIgn /proc/self/status; exec sleep 1000"],
    )
    .gateway(gateway.address())
    .start();
    assert_eq!(
        signals(&running.next_line()),
        1 << (Signal::HUP.as_raw() - 1)
    );
    running.signal(Signal::HUP);
    running.signal(Signal::TERM);
    running.end().assert_signal(Signal::TERM);
}

#[test]
fn an_end_is_seen_also_where_no_signal_tells_of_it() {
    let gateway = Pushgateway::start();
    let mut running = Run::under(
        ["env", "--block-signal=CHLD", PROGRAM],
        ["sh", "-c", "echo started; read line; exit 3"],
    )
    .gateway(gateway.address())
    .start();
    running.says("started");
    running.stdin().write_all(b"end\n").unwrap();
    running.end().assert_code(3);
}

#[test]
fn the_command_begins_with_nothing_caught_blocked_or_ignored() {
    let gateway = Pushgateway::start();
    let ended = Run::of(["cat", "/proc/self/status"])
        .gateway(gateway.address())
        .end();
    let status = String::from_utf8(ended.output).unwrap();
    let masks = ["SigBlk", "SigIgn", "SigCgt"]
        .map(|name| signals(status.lines().find(|line| line.starts_with(name)).unwrap()));
    assert_eq!(masks, [0, 0, 0]);
}

fn status_line(process: Pid, name: &str) -> String {
    let status = format!("/proc/{}/status", process.as_raw_nonzero());
    let status = std::fs::read_to_string(status).unwrap();
    let line = status.lines().find(|line| line.starts_with(name));
    line.unwrap().to_owned()
}

/// The mask of a line in /proc/PID/status; the standard signals, for the C library has two more of its own.
fn signals(line: &str) -> u64 {
    let (_, mask) = line.split_once(":\t").unwrap();
    u64::from_str_radix(mask, 16).unwrap() & ((1 << 31) - 1)
}

#[test]
fn a_command_that_stops_and_goes_on_is_waited_for() {
    let gateway = Pushgateway::start();
    let mut running = start("echo ready; read line; exit 4", &gateway);
    let mut stdin = running.stdin();
    running.signal(Signal::TSTP);
    // The program stops once the command has.
    eventually("the program stops", || state_is(running.pid(), 'T'));
    running.signal(Signal::CONT);
    eventually("the program goes on", || state_is(running.pid(), 'S'));
    std::io::Write::write_all(&mut stdin, b"line\n").unwrap();
    running.end().assert_code(4);
}

/// A program that stopped by itself would pass nothing on, and never end.
#[test]
fn the_program_does_not_stop_where_the_command_does_not_or_where_that_is_over() {
    let gateway = Pushgateway::start();
    let traps = "trap 'echo stop' TSTP; trap 'echo on' USR2; trap 'echo go' CONT; trap 'exit 5' USR1; echo $$";
    let running = Run::script(&waiting(traps))
        .gateway(gateway.address())
        .start();
    let command = Pid::from_raw(running.next_line().parse().unwrap()).unwrap();
    running.says("ready");
    running.signal(Signal::TSTP);
    running.says("stop");
    running.signal(Signal::USR2);
    running.says("on");
    running.signal(Signal::CONT);
    running.says("go");
    // Somebody stops the command alone.
    kill_process(command, Signal::STOP).unwrap();
    eventually("the command stops", || state_is(command, 'T'));
    running.signal(Signal::USR1);
    eventually("the signal waits for the command", || {
        let pending = signals(&status_line(command, "ShdPnd"));
        if pending == 1 << (Signal::USR1.as_raw() - 1) {
            Ok(())
        } else {
            Err(pending)
        }
    });
    kill_process(command, Signal::CONT).unwrap();
    running.end().assert_code(5);
}

#[test]
fn the_program_stops_and_goes_on_while_it_pushes_too() {
    let gateway = TcpListener::bind("127.0.0.1:0").unwrap();
    let running = Run::script("exit 3")
        .gateway(&gateway.local_addr().unwrap().to_string())
        .option("--timeout", "600")
        .start();
    let _push = gateway.accept().unwrap();
    running.signal(Signal::TSTP);
    eventually("the program stops", || state_is(running.pid(), 'T'));
    running.signal(Signal::CONT);
    eventually("the program goes on", || state_is(running.pid(), 'S'));
    running.signal(Signal::TERM);
    running.signal(Signal::INT);
    running.end().assert_code(3);
}

fn state_is(process: Pid, wanted: char) -> Result<(), String> {
    let pid = process.as_raw_nonzero();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let state = stat.rsplit_once(") ").unwrap().1;
    if state.starts_with(wanted) {
        Ok(())
    } else {
        Err(state.to_owned())
    }
}
