//! What the command's processes used: CPU time and memory.

use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// What this process' children used that are over, and theirs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// CPU time in programs.
    pub user: Duration,
    /// CPU time in the kernel.
    pub system: Duration,
    /// The most memory that one of them had resident, in bytes.
    pub peak_memory: u64,
}

impl Usage {
    /// Up to now; nothing where the kernel doesn't say.
    pub fn of_children() -> Self {
        let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else {
            return Self::default();
        };
        Self {
            user: duration(usage.user_time()),
            system: duration(usage.system_time()),
            // Linux counts it in KiB.
            peak_memory: u64::try_from(usage.max_rss()).unwrap_or_default() * 1024,
        }
    }

    /// Without the CPU time that was there before: whoever starts this program by `exec` may leave it children.
    pub fn since(self, before: Self) -> Self {
        Self {
            user: self.user.saturating_sub(before.user),
            system: self.system.saturating_sub(before.system),
            peak_memory: self.peak_memory,
        }
    }
}

fn duration(time: TimeVal) -> Duration {
    let seconds = u64::try_from(time.tv_sec()).unwrap_or_default();
    let microseconds = u64::try_from(time.tv_usec()).unwrap_or_default();
    Duration::from_secs(seconds) + Duration::from_micros(microseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_before_is_not_counted_but_memory_is_a_peak() {
        let usage = |user, system, peak_memory| Usage {
            user: Duration::from_secs(user),
            system: Duration::from_secs(system),
            peak_memory,
        };
        assert_eq!(usage(5, 7, 9).since(usage(1, 2, 3)), usage(4, 5, 9));
    }
}
