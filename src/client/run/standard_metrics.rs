//! The standard metrics of a run (`docs/metrics.md`), as families of their own. The help texts are those of the Python
//! package: a gateway has one for each name.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::ending::Ending;
use super::usage::Usage;
use crate::metrics::{Family, LabelName, Labels};

/// Those that are measured here, and so are nobody else's to say of a run. Not all are pushed each time: a failed run
/// leaves the last success as it is.
pub const NAMES: [&str; 9] = [
    "run_time_seconds",
    "run_cpu_seconds",
    "run_peak_memory_bytes",
    "run_exit_code",
    "run_succeeded",
    "run_start_timestamp_seconds",
    "run_end_timestamp_seconds",
    "run_last_success_timestamp_seconds",
    "run_heartbeat_timestamp_seconds",
];

/// When a run began, by both clocks: one that others know, and one that nobody sets.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    time: SystemTime,
    clock: Instant,
}

#[derive(Clone, Copy, Debug)]
pub struct Measured {
    pub start: Start,
    pub time: Duration,
    /// What its processes used.
    pub usage: Usage,
    pub ending: Ending,
}

impl Start {
    pub fn now() -> Self {
        Self {
            time: SystemTime::now(),
            clock: Instant::now(),
        }
    }

    /// How long ago that was.
    pub fn elapsed(self) -> Duration {
        self.clock.elapsed()
    }
}

impl Measured {
    /// All that a run says of itself at its end.
    pub fn families(&self) -> Vec<Family> {
        let Self {
            start,
            time,
            usage,
            ending,
        } = *self;
        let succeeded = f64::from(u8::from(ending.succeeded()));
        let end = start.time + time;
        let last_success = ending.succeeded().then_some(end);
        let families = [
            gauge(
                "run_time_seconds",
                "How long the run took",
                time.as_secs_f64(),
            ),
            cpu(usage),
            gauge(
                "run_peak_memory_bytes",
                "Most resident memory of any one of the run's processes",
                usage.peak_memory as f64,
            ),
            gauge(
                "run_exit_code",
                "Exit code; 128 plus the signal where a signal ended the run",
                f64::from(ending.exit_code()),
            ),
            gauge("run_succeeded", "Whether the run ended well", succeeded),
            start.family(),
            gauge(
                "run_end_timestamp_seconds",
                "When the run ended",
                unix_time(end),
            ),
            last_success.and_then(|time| {
                gauge(
                    "run_last_success_timestamp_seconds",
                    "When a run last ended well",
                    unix_time(time),
                )
            }),
        ];
        families.into_iter().flatten().collect()
    }
}

impl Start {
    fn family(self) -> Option<Family> {
        gauge(
            "run_start_timestamp_seconds",
            "When the run began",
            unix_time(self.time),
        )
    }

    /// What a run says of itself while it is not over.
    pub fn heartbeat(self) -> Vec<Family> {
        let heartbeat = gauge(
            "run_heartbeat_timestamp_seconds",
            "When the run last said that it goes on",
            unix_time(SystemTime::now()),
        );
        [self.family(), heartbeat].into_iter().flatten().collect()
    }
}

fn cpu(usage: Usage) -> Option<Family> {
    let series = |mode: &str, time: Duration| {
        let labels = vec![(LabelName::new("mode").ok()?, mode.to_owned())];
        Some((labels, time.as_secs_f64()))
    };
    let series = [series("user", usage.user), series("system", usage.system)];
    Family::gauge(
        "run_cpu_seconds",
        "CPU time of the run's processes",
        series.into_iter().flatten(),
    )
}

fn gauge(name: &str, help: &str, value: f64) -> Option<Family> {
    Family::gauge(name, help, [(Labels::new(), value)])
}

fn unix_time(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    // To the millisecond, as Prometheus' own times.
    since.as_millis() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::metrics::exposition;

    fn measured(ending: Ending) -> Measured {
        let start = Start {
            time: UNIX_EPOCH + Duration::from_millis(1_700_000_000_250),
            clock: Instant::now(),
        };
        let usage = Usage {
            user: Duration::from_millis(1500),
            system: Duration::from_millis(250),
            peak_memory: 4096,
        };
        Measured {
            start,
            time: Duration::from_millis(2500),
            usage,
            ending,
        }
    }

    #[test]
    fn a_run_that_ended_well_says_all_of_it() {
        insta::assert_snapshot!(exposition(&measured(Ending::Exited(0)).families()), @r#"
        # HELP run_time_seconds How long the run took
        # TYPE run_time_seconds gauge
        run_time_seconds 2.5
        # HELP run_cpu_seconds CPU time of the run's processes
        # TYPE run_cpu_seconds gauge
        run_cpu_seconds{mode="user"} 1.5
        run_cpu_seconds{mode="system"} 0.25
        # HELP run_peak_memory_bytes Most resident memory of any one of the run's processes
        # TYPE run_peak_memory_bytes gauge
        run_peak_memory_bytes 4096
        # HELP run_exit_code Exit code; 128 plus the signal where a signal ended the run
        # TYPE run_exit_code gauge
        run_exit_code 0
        # HELP run_succeeded Whether the run ended well
        # TYPE run_succeeded gauge
        run_succeeded 1
        # HELP run_start_timestamp_seconds When the run began
        # TYPE run_start_timestamp_seconds gauge
        run_start_timestamp_seconds 1700000000.25
        # HELP run_end_timestamp_seconds When the run ended
        # TYPE run_end_timestamp_seconds gauge
        run_end_timestamp_seconds 1700000002.75
        # HELP run_last_success_timestamp_seconds When a run last ended well
        # TYPE run_last_success_timestamp_seconds gauge
        run_last_success_timestamp_seconds 1700000002.75
        "#);
    }

    #[test]
    fn all_that_a_run_can_say_is_listed() {
        let measured = measured(Ending::Exited(0));
        let said: HashSet<String> = (measured.families().iter())
            .chain(&measured.start.heartbeat())
            .map(|family| family.name.to_string())
            .collect();
        assert_eq!(said, NAMES.map(str::to_owned).into());
    }

    /// A gateway has one help text for a name, and logs it at every scrape where two pushers differ.
    #[test]
    fn all_who_push_a_metric_say_the_same_of_it() {
        let file = |path| std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR")));
        let python = file("python/src/simplepipe/_run.py").unwrap();
        let argo = file("charts/simplepipe/templates/clusterworkflowtemplate.yaml").unwrap();
        let mut in_argo = HashSet::new();
        let measured = measured(Ending::Exited(0));
        let ttl = crate::client::batch::ttl(Duration::from_secs(1));
        for family in (measured.families().iter())
            .chain(&measured.start.heartbeat())
            .chain(&ttl)
        {
            let (name, help) = (family.name.as_str(), &family.help);
            assert!(
                python.contains(&format!("\"{name}\": \"{help}\"")),
                "{name}"
            );
            if let Some((_, rest)) = argo.split_once(&format!("name: '{name}'")) {
                in_argo.insert(name.to_owned());
                let (_, rest) = rest.split_once("description: '").unwrap();
                assert_eq!(rest.split('\'').next(), Some(help.as_str()), "{name}");
            }
        }
        assert_eq!(in_argo.len(), 5, "{in_argo:?}");
    }

    #[test]
    fn a_run_that_failed_leaves_the_last_success_out() {
        let text = exposition(&measured(Ending::Killed(9)).families());
        assert!(text.contains("\nrun_exit_code 137\n"), "{text}");
        assert!(text.contains("\nrun_succeeded 0\n"), "{text}");
        assert!(!text.contains("last_success"), "{text}");
    }
}
