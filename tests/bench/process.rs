//! What a process uses, from `/proc`.

use std::path::PathBuf;
use std::time::Duration;

use crate::Result;

/// The unit of times in `/proc/PID/stat`: USER_HZ, which is 100 on every architecture that matters here.
const TICK: Duration = Duration::from_millis(10);

/// A process that runs.
#[derive(Clone, Debug)]
pub struct Process(PathBuf);

/// Resident memory, in KiB.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// The most that it ever was.
    pub peak: u64,
    /// What it is now.
    pub now: u64,
}

impl Process {
    pub fn this() -> Self {
        Self("/proc/self".into())
    }

    pub fn new(id: u32) -> Self {
        Self(format!("/proc/{id}").into())
    }

    /// CPU time since its start.
    pub fn cpu(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(self.0.join("stat"))?;
        // Behind the program's name, which may hold anything, user and system time are the 12th and 13th field.
        let (_, fields) = stat.rsplit_once(") ").ok_or("no stat")?;
        let mut ticks = 0;
        for field in fields.split(' ').skip(11).take(2) {
            ticks += field.parse::<u32>()?;
        }
        Ok(TICK * ticks)
    }

    pub fn memory(&self) -> Result<Memory> {
        let status = std::fs::read_to_string(self.0.join("status"))?;
        let value = |name: &str| {
            status
                .lines()
                .find_map(|line| {
                    line.strip_prefix(name)?
                        .strip_suffix("kB")?
                        .trim()
                        .parse()
                        .ok()
                })
                .ok_or_else(|| format!("{name} is not known"))
        };
        Ok(Memory {
            peak: value("VmHWM:")?,
            now: value("VmRSS:")?,
        })
    }
}
