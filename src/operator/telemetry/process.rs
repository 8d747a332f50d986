//! What the process itself uses, under the names that every Prometheus client gives: `process_*`.

use std::fs;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// Reads anew each time. What the system does not tell is left out.
#[derive(Debug)]
pub struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> std::fmt::Result {
        if let Some(seconds) = cpu_seconds() {
            let cpu = ConstCounter::new(seconds);
            let help = "CPU time of the process, in programs and in the kernel.";
            let unit = Some(&Unit::Seconds);
            cpu.encode(encoder.encode_descriptor("process_cpu", help, unit, cpu.metric_type())?)?;
        }
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let gauges = [
            (
                "process_resident_memory",
                "Resident memory of the process.",
                Some(Unit::Bytes),
                memory(&status, "VmRSS:"),
            ),
            (
                "process_virtual_memory",
                "Virtual memory of the process.",
                Some(Unit::Bytes),
                memory(&status, "VmSize:"),
            ),
            (
                "process_start_time",
                "When the process began, in seconds since 1970.",
                Some(Unit::Seconds),
                start_time(),
            ),
            (
                "process_open_fds",
                "File descriptors that are open.",
                None,
                open_descriptors(),
            ),
            (
                "process_max_fds",
                "File descriptors that may be open.",
                None,
                most_descriptors(),
            ),
        ];
        for (name, help, unit, value) in gauges {
            if let Some(value) = value {
                let gauge = ConstGauge::new(value);
                let kind = gauge.metric_type();
                gauge.encode(encoder.encode_descriptor(name, help, unit.as_ref(), kind)?)?;
            }
        }
        Ok(())
    }
}

fn cpu_seconds() -> Option<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let seconds = [usage.user_time(), usage.system_time()]
        .map(|time| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6);
    Some(seconds.iter().sum())
}

/// In bytes; the kernel tells it in KiB.
fn memory(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0)
}

fn start_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let system = fs::read_to_string("/proc/stat").ok()?;
    let boot: f64 = system
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()?;
    Some(boot + ticks_until_start(&stat)? / rustix::param::clock_ticks_per_second() as f64)
}

/// Since the system was started. It is the twenty-second field; the second is a name in brackets, which may hold blanks.
fn ticks_until_start(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(22 - 3)?.parse().ok()
}

fn open_descriptors() -> Option<f64> {
    let open = fs::read_dir("/proc/self/fd").ok()?.count();
    // But for the one that reads this.
    Some(open.saturating_sub(1) as f64)
}

fn most_descriptors() -> Option<f64> {
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    Some(soft as f64)
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn fields_are_found_whatever_the_program_is_called() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 1 0 0 0 3 4 0 0 20 0 9 0 4711 123 45 18446744073709551615";
        assert_eq!(ticks_until_start(stat), Some(4711.0));
        assert_eq!(ticks_until_start("7 (a) S 1"), None);
        let status = "Name:\tVmRSS: 1 kB\nVmRSS:\t    9012 kB\n";
        assert_eq!(memory(status, "VmRSS:"), Some(9012.0 * 1024.0));
    }

    #[test]
    fn what_is_read_is_about_this_process() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let age = now.as_secs_f64() - start_time().unwrap();
        assert!((-2.0..3600.0).contains(&age), "began {age} s ago");
        assert!(cpu_seconds().unwrap() >= 0.0);

        let before = open_descriptors().unwrap();
        let files: Vec<_> = (0..100)
            .map(|_| fs::File::open("/proc/self/status").unwrap())
            .collect();
        assert!(open_descriptors().unwrap() >= before + 50.0);
        drop(files);
        assert!(most_descriptors().unwrap() > before);
    }
}
