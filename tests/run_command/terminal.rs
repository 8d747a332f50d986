//! On a pseudo-terminal, which sends its signals to the whole foreground process group.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc::Receiver;

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::pushgateway::Pushgateway;
use crate::signals::waiting;
use crate::simplepipe::{PATIENCE, PROGRAM, Run, eventually, lines};

const CTRL_C: &[u8] = b"\x03";
const CTRL_Z: &[u8] = b"\x1a";

/// The other side of a terminal, its keyboard and screen, and a program that leads the session there.
fn open_terminal(leader: Run) -> (File, Child) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let outside = openpt(flags).unwrap();
    grantpt(&outside).unwrap();
    unlockpt(&outside).unwrap();
    let name = ptsname(&outside, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let inside = open(name, flags, Mode::empty()).unwrap();
    // The echo of a key could come in the midst of what the program writes.
    let mut settings = tcgetattr(&inside).unwrap();
    settings.local_modes -= LocalModes::ECHO;
    tcsetattr(&inside, OptionalActions::Now, &settings).unwrap();
    let stream = || Stdio::from(inside.try_clone().unwrap());
    let program = leader
        .into_command()
        .stdin(stream())
        .stdout(stream())
        .stderr(stream())
        .spawn()
        .unwrap();
    (File::from(outside), program)
}

fn leader(script: &str, gateway: &Pushgateway) -> Run {
    Run::under(["setsid", "--ctty", PROGRAM], ["sh", "-c", script]).gateway(gateway.address())
}

struct Terminal {
    keyboard: File,
    screen: Receiver<String>,
    program: Child,
}

impl Terminal {
    /// Returns when the script is ready.
    fn of(leader: Run) -> Self {
        let (keyboard, program) = open_terminal(leader);
        let terminal = Self {
            screen: lines(keyboard.try_clone().unwrap()),
            keyboard,
            program,
        };
        terminal.shows("ready");
        terminal
    }

    fn press(&mut self, key: &[u8]) {
        self.keyboard.write_all(key).unwrap();
    }

    /// Waits for a line; a shell may say more before it.
    #[track_caller]
    fn shows(&self, line: &str) {
        let mut before = Vec::new();
        loop {
            match self.screen.recv_timeout(PATIENCE) {
                // The terminal ends a line by a carriage return too.
                Ok(shown) if shown.trim_end() == line => return,
                Ok(shown) => before.push(shown),
                Err(error) => panic!("{line:?} is not shown: {error}, after {before:?}"),
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.program), signal).unwrap();
    }

    #[track_caller]
    fn assert_code(mut self, code: i32) {
        let status = eventually("the program ends", || {
            self.program.try_wait().unwrap().ok_or(())
        });
        assert_eq!(status.code(), Some(code), "{status:?}");
    }

    fn stat(&self) -> String {
        let stat = format!("/proc/{}/stat", self.program.id());
        let stat = std::fs::read_to_string(stat).unwrap();
        stat.rsplit_once(") ").unwrap().1.to_owned()
    }

    #[track_caller]
    fn waits_until_it_is(&self, state: char) {
        eventually(&format!("the program's state is {state}"), || {
            let stat = self.stat();
            if stat.starts_with(state) {
                Ok(())
            } else {
                Err(stat)
            }
        });
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

#[test]
fn ctrl_c_arrives_once() {
    let gateway = Pushgateway::start();
    let script = waiting(
        "count=0; trap 'count=$((count + 1)); echo int' INT; trap 'echo $count times; exit 7' USR1",
    );
    let mut terminal = Terminal::of(leader(&script, &gateway));
    // The program sleeps while the command takes the signal in, so that a second one could not hide in the first.
    terminal.signal(Signal::STOP);
    terminal.waits_until_it_is('T');
    terminal.press(CTRL_C);
    terminal.shows("int");
    terminal.signal(Signal::CONT);
    terminal.signal(Signal::USR1);
    terminal.shows("1 times");
    terminal.assert_code(7);
}

#[test]
fn an_interrupt_that_somebody_sends_to_the_program_alone_is_passed_on() {
    let gateway = Pushgateway::start();
    let script = waiting("trap 'echo int; exit 7' INT");
    let terminal = Terminal::of(leader(&script, &gateway));
    terminal.signal(Signal::INT);
    terminal.shows("int");
    terminal.assert_code(7);
}

#[test]
fn a_terminal_that_goes_away_hangs_up_on_the_command_too() {
    let gateway = Pushgateway::start();
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let script = waiting(&format!("trap 'echo > {}; exit 7' HUP", mark.display()));
    let (mut terminal, mut program) = open_terminal(leader(&script, &gateway));
    let mut shown = Vec::new();
    while !shown.ends_with(b"ready") {
        let mut byte = [0];
        terminal.read_exact(&mut byte).unwrap();
        shown.extend(byte);
    }
    drop(terminal);
    eventually("the command hears of it", || mark.metadata());
    let status = eventually("the program ends", || program.try_wait().unwrap().ok_or(()));
    assert_eq!(status.code(), Some(7));
}

#[test]
fn ctrl_z_stops_the_job_and_fg_goes_on_with_it() {
    let gateway = Pushgateway::start();
    let shell = r#""$0" "$@"; echo stopped; fg >/dev/null; echo ended with $?"#;
    let run = Run::under(
        ["setsid", "--ctty", "bash", "-mc", shell, PROGRAM],
        ["sh", "-c", "echo ready; read line; exit 4"],
    );
    let mut terminal = Terminal::of(run.gateway(gateway.address()));
    terminal.press(CTRL_Z);
    terminal.shows("stopped");
    terminal.press(b"line\n");
    terminal.shows("ended with 4");
}
