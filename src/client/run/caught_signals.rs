//! The signals that reach this process: which are caught, and which of them the command has not had yet.

use std::fs;
use std::io;
use std::thread;

use rustix::process::{Signal, getpid, getsid};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::origin::WithOrigin;
use signal_hook::low_level::siginfo::{Cause, Origin};

/// What can be caught and says something to a command. Missing are those that mean a fault of this program itself, and
/// `TTIN` and `TTOU`, which the kernel sends to command and program alike, and which stop both.
const CAUGHT: [Signal; 17] = [
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::ABORT,
    Signal::USR1,
    Signal::USR2,
    Signal::ALARM,
    Signal::TERM,
    Signal::CONT,
    Signal::TSTP,
    Signal::URG,
    Signal::XCPU,
    Signal::VTALARM,
    Signal::PROF,
    Signal::WINCH,
    Signal::IO,
    Signal::POWER,
];
/// By which people and platforms ask a process to end.
const ENDING: [Signal; 4] = [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    pub signal: Signal,
    by_kernel: bool,
}

impl Received {
    fn new(origin: &Origin) -> Option<Self> {
        Some(Self {
            signal: Signal::from_named_raw(origin.signal)?,
            by_kernel: origin.cause == Cause::Kernel,
        })
    }

    /// Whether the command has it only if this process passes it on. What the kernel sends comes from the terminal, as
    /// with Ctrl-C, and has gone to the whole process group: passed on, it would arrive twice.
    pub fn is_for_the_command(self) -> bool {
        !self.by_kernel || self.signal == Signal::HUP && leads_the_session()
    }

    /// Whether it asks for an end.
    pub fn asks_to_end(self) -> bool {
        ENDING.contains(&self.signal)
    }
}

/// When a terminal goes away, the kernel first tells the session's leader alone.
fn leads_the_session() -> bool {
    getsid(None).is_ok_and(|leader| leader == getpid())
}

/// Catches signals from now on, and tells each one, and each change of a child, on a thread of its own.
///
/// # Errors
/// When the system has no thread or descriptor left.
pub fn listen(mut tell: impl FnMut(Received) -> bool + Send + 'static) -> io::Result<()> {
    let ignored = mask("SigIgn:");
    // What is ignored stays so, here and in the command, as after `nohup`. (Not `PIPE`: the standard library ignores it
    // before this looks, and gives the command the system's default.)
    let caught = CAUGHT
        .into_iter()
        .filter(|signal| !is_in(*signal, ignored))
        .chain([Signal::CHILD]);
    let mut signals = SignalsInfo::<WithOrigin>::new(caught.map(Signal::as_raw))?;
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            signals
                .forever()
                .filter_map(|origin| Received::new(&origin))
                .all(&mut tell)
        })?;
    Ok(())
}

/// Whether it does not arrive in this thread: a mask goes on from whoever started this process.
pub fn is_blocked(signal: Signal) -> bool {
    is_in(signal, mask("SigBlk:"))
}

fn is_in(signal: Signal, mask: u64) -> bool {
    mask >> (signal.as_raw() - 1) & 1 == 1
}

/// A mask of this process, by its name there: a bit for each signal from the lowest; none where /proc is missing.
fn mask(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or_default()
}
