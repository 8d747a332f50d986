//! How the command ended, and how the program ends like it.

use std::os::unix::process::ExitStatusExt;
use std::process::{self, ExitStatus};

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use signal_hook::low_level;

/// What a shell adds to a signal's number where it has to tell it as an exit code.
const SIGNAL_BASE: i32 = 128;

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with an exit code; also what stands for one where it didn't start, or where `--strict` has its say.
    Exited(u8),
    /// By a signal, named by its number.
    Killed(i32),
}

impl Ending {
    /// From what the kernel says of a process that is over.
    pub fn of(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exited(code as u8),
            (None, signal) => Self::Killed(signal.unwrap_or_default()),
        }
    }

    /// Whether it did what it was asked.
    pub fn succeeded(self) -> bool {
        self == Self::Exited(0)
    }

    /// As one number, as shells tell it.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Killed(signal) => (SIGNAL_BASE + signal) as u8,
        }
    }

    /// Ends this process by the same signal, or else gives the exit code to end it with.
    pub fn imitate(self) -> process::ExitCode {
        if let Self::Killed(signal) = self {
            // Not the first process of a container: a signal of its own doesn't end that.
            if process::id() != 1 {
                die_by(signal);
            }
        }
        self.exit_code().into()
    }
}

/// Returns where the signal did not end the process.
fn die_by(signal: i32) {
    // A core dump would be of this program, not of the command, and could hold a password. Unlike a limit on its size,
    // this also holds where the system pipes core dumps to a program.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    // It takes `IO` for one that ends nobody, and does not know `PWR`; for these two the exit code has to do.
    if low_level::emulate_default_handler(signal).is_err() {
        // A real-time signal, say: nothing here catches these.
        let _ = low_level::raise(signal);
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::well(0, Ending::Exited(0), 0)]
    #[case::badly(255 << 8, Ending::Exited(255), 255)]
    #[case::killed(9, Ending::Killed(9), 137)]
    #[case::dumped_core(11 | 0x80, Ending::Killed(11), 139)]
    #[case::by_the_last_signal(64, Ending::Killed(64), 192)]
    fn a_wait_status_is_told_as_shells_tell_it(
        #[case] status: i32,
        #[case] ending: Ending,
        #[case] code: u8,
    ) {
        assert_eq!(Ending::of(ExitStatus::from_raw(status)), ending);
        assert_eq!(ending.exit_code(), code);
        assert_eq!(ending.succeeded(), status == 0);
    }
}
