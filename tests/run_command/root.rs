//! What only root can set up: a container's first process, and a limit on memory.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};

use crate::pushgateway::Pushgateway;
use crate::signals::waiting;
use crate::simplepipe::{PROGRAM, Run, Running, eventually};

const UNSHARE: [&str; 6] = [
    "unshare",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
    PROGRAM,
];

/// As the first process of a PID namespace.
fn first_process(script: &str, gateway: &Pushgateway) -> Run {
    Run::under(UNSHARE, ["sh", "-c", script]).gateway(gateway.address())
}

/// `unshare` waits for it; the first process is its only child.
fn first_process_of(unshare: &Running) -> Pid {
    Pid::from_raw(children(unshare.pid())[0]).unwrap()
}

/// Those too that are over, until somebody takes them away.
fn children(parent: Pid) -> Vec<i32> {
    let pid = parent.as_raw_nonzero();
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    list.split_whitespace()
        .map(|child| child.parse().unwrap())
        .collect()
}

#[test]
fn a_first_process_tells_a_signal_by_its_exit_code() {
    let gateway = Pushgateway::start();
    for (name, signal) in [
        ("TERM", Signal::TERM),
        ("KILL", Signal::KILL),
        ("SEGV", Signal::SEGV),
    ] {
        first_process(&format!("kill -{name} $$"), &gateway)
            .end()
            .assert_code(128 + signal.as_raw())
            .assert_quiet();
    }
}

#[test]
fn a_first_process_passes_signals_on() {
    let gateway = Pushgateway::start();
    let running = first_process(&waiting("trap 'echo term; exit 7' TERM"), &gateway).start();
    running.says("ready");
    kill_process(first_process_of(&running), Signal::TERM).unwrap();
    running.says("term");
    running.end().assert_code(7);
}

#[test]
fn a_first_process_takes_orphans_away() {
    let gateway = Pushgateway::start();
    // Each inner shell leaves a child behind, which the first process inherits and which then ends.
    let script = "for i in 1 2 3 4 5; do sh -c 'sleep 0 & echo $! >> $SIMPLEPIPE_METRICS.pids'; done; \
                  for pid in $(cat $SIMPLEPIPE_METRICS.pids); do while [ -e /proc/$pid ]; do sleep 0.02; done; done; \
                  echo gone";
    let running = first_process(script, &gateway).start();
    running.says("gone");
    running.end().assert_code(0);
}

#[test]
fn a_first_process_takes_orphans_away_while_it_pushes_too() {
    let gateway = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut running = Run::under(
        UNSHARE,
        ["sh", "-c", "exec 3<&0; cat <&3 >/dev/null 2>&1 & exit 3"],
    )
    .gateway(&gateway.local_addr().unwrap().to_string())
    .option("--timeout", "600")
    .start();
    let _push = gateway.accept().unwrap();
    let first = first_process_of(&running);
    assert_eq!(children(first).len(), 1);
    drop(running.stdin());
    eventually("the orphan is gone", || match &children(first)[..] {
        [] => Ok(()),
        left => Err(left.to_vec()),
    });
    kill_process(first, Signal::TERM).unwrap();
    kill_process(first, Signal::INT).unwrap();
    running.end().assert_code(3);
}

/// A control group with little memory, removed when dropped.
struct LittleMemory(PathBuf);

impl LittleMemory {
    fn new(name: &str) -> Self {
        let name = format!("simplepipe-{name}-{}", std::process::id());
        let v1 = Path::new("/sys/fs/cgroup/memory");
        let (folder, limit) = if v1.exists() {
            (v1.join(name), "memory.limit_in_bytes")
        } else {
            (Path::new("/sys/fs/cgroup").join(name), "memory.max")
        };
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join(limit), "64M").unwrap();
        // Else it would first fill the swap space, where there is one.
        for swap in ["memory.swap.max", "memory.memsw.limit_in_bytes"] {
            let _ = fs::write(
                folder.join(swap),
                if swap.ends_with("max") { "0" } else { "64M" },
            );
        }
        Self(folder)
    }

    fn run(&self, script: &str) -> Run {
        let enter = format!(
            "echo $$ > {}/cgroup.procs; exec \"$0\" \"$@\"",
            self.0.display()
        );
        Run::under(["sh", "-c", &enter, PROGRAM], ["sh", "-c", script])
    }
}

impl Drop for LittleMemory {
    fn drop(&mut self) {
        // The kernel takes a moment to take the last process out of it.
        eventually("the control group goes away", || fs::remove_dir(&self.0));
    }
}

#[test]
fn an_end_for_lack_of_memory_is_told_from_other_kills() {
    let gateway = Pushgateway::start();
    let group = LittleMemory::new("killed");
    group
        // It keeps the last line, which never ends.
        .run("exec tail /dev/zero")
        .gateway(gateway.address())
        .end()
        .assert_signal(Signal::KILL)
        .assert_says("the command was killed for lack of memory; give it a higher memory limit");
    let value = |name| gateway.value(&format!(r#"{name}{{instance="",job="sh"}}"#));
    assert_eq!(value("run_exit_code").as_deref(), Some("137"));
    group
        .run("kill -KILL $$")
        .gateway(gateway.address())
        .end()
        .assert_signal(Signal::KILL)
        .assert_quiet();
}

#[test]
fn a_part_of_the_command_that_lacked_memory_is_told() {
    let gateway = Pushgateway::start();
    let group = LittleMemory::new("part");
    group
        .run("exec 2>/dev/null; (exec tail /dev/zero); exit 3")
        .gateway(gateway.address())
        .end()
        .assert_code(3)
        .assert_says(
            "processes of the command, or others of its container, were killed for lack of memory; give it a higher memory limit",
        );
    // A command that can do without them needs no advice.
    group
        .run("exec 2>/dev/null; (exec tail /dev/zero); exit 0")
        .gateway(gateway.address())
        .end()
        .assert_code(0)
        .assert_quiet();
}
