//! What only root can set up: a container's first process, and a limit on memory.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::pushgateway::Pushgateway;
use crate::signals::waiting;
use crate::simplepipe::{PROGRAM, Run, eventually};

/// As the first process of a PID namespace.
fn first_process(script: &str, gateway: &Pushgateway) -> Run {
    Run::under(
        [
            "unshare",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            PROGRAM,
        ],
        ["sh", "-c", script],
    )
    .gateway(gateway.address())
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
    // `unshare` waits for it; the first process is its only child.
    let unshare = running.pid().as_raw_nonzero();
    let children = format!("/proc/{unshare}/task/{unshare}/children");
    let child = fs::read_to_string(children)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let child = rustix::process::Pid::from_raw(child).unwrap();
    rustix::process::kill_process(child, Signal::TERM).unwrap();
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
    LittleMemory::new("part")
        .run("exec 2>/dev/null; (exec tail /dev/zero); exit 3")
        .gateway(gateway.address())
        .end()
        .assert_code(3)
        .assert_says(
            "processes of the command, or others of its container, were killed for lack of memory; give it a higher memory limit",
        );
}
