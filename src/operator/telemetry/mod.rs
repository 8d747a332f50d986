//! The operator's own metrics, and its log.

pub mod health;
pub mod lasting_failures;
pub mod metrics_format;
pub mod process;
pub mod server;

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use thiserror::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::api::condition_types::{ConditionStatus, ConditionType};

use crate::operator::kind::Kind;
use crate::operator::locked::Locked;
use crate::operator::outcome::Verb;
use crate::operator::settings::LogFormat;
use health::Health;
use metrics_format::Format;
use process::Process;

/// Upper bounds of the duration's buckets, in seconds: from a reconcile that only looks to one that times out.
const DURATION_BUCKETS: [f64; 10] = [0.0005, 0.002, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// The operator's own metrics.
pub struct Metrics {
    registry: Registry,
    reconciles: Family<ResultLabel, Counter>,
    duration: Histogram,
    errors: Family<ReasonLabel, Counter>,
    writes: Family<WriteLabels, Counter>,
    queue_depth: Gauge,
    tenants: Family<ConditionLabels, Gauge>,
    leading: Gauge,
    watch_failing: Family<WatchLabel, Gauge>,
    enrolment_failing: Gauge,
    unreadable: Gauge,
    /// What is counted when it is asked for must not be counted for two at once.
    exposing: Locked<()>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct WriteLabels {
    verb: &'static str,
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct WatchLabel {
    watch: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ConditionLabels {
    condition: String,
    status: String,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    pub fn new() -> Self {
        let mut all = Registry::default();
        all.register_collector(Box::new(Process));
        let registry = all.sub_registry_with_prefix("simplepipe");
        let metrics = Self {
            reconciles: Family::default(),
            duration: Histogram::new(DURATION_BUCKETS),
            errors: Family::default(),
            writes: Family::default(),
            queue_depth: Gauge::default(),
            tenants: Family::default(),
            leading: Gauge::default(),
            watch_failing: Family::default(),
            enrolment_failing: Gauge::default(),
            unreadable: Gauge::default(),
            exposing: Locked::default(),
            registry: Registry::default(),
        };
        registry.register(
            "reconciles",
            "Reconciles that ended, by result",
            metrics.reconciles.clone(),
        );
        registry.register_with_unit(
            "reconcile_duration",
            "Time that a reconcile took",
            Unit::Seconds,
            metrics.duration.clone(),
        );
        registry.register(
            "reconcile_errors",
            "Reconciles that failed, by reason",
            metrics.errors.clone(),
        );
        registry.register(
            "child_writes",
            "Writes of child objects, by verb and kind",
            metrics.writes.clone(),
        );
        registry.register(
            "queue_depth",
            "Objects that wait for a reconcile",
            metrics.queue_depth.clone(),
        );
        registry.register(
            "tenants",
            "MetricsNamespaces that serve their namespace, by condition and its status",
            metrics.tenants.clone(),
        );
        registry.register(
            "leading",
            "1 where this operator holds the Lease and works",
            metrics.leading.clone(),
        );
        registry.register(
            "watch_failing",
            "1 where a watch fails; /status says why",
            metrics.watch_failing.clone(),
        );
        registry.register(
            "enrolment_failing",
            "Namespaces whose label asks for what can't be done",
            metrics.enrolment_failing.clone(),
        );
        registry.register(
            "unreadable_objects",
            "MetricsNamespaces that can't be read; the log says why",
            metrics.unreadable.clone(),
        );
        let build: Gauge<f64, AtomicU64> = Gauge::default();
        build.set(1.0);
        let version = [("version".into(), env!("CARGO_PKG_VERSION").into())];
        registry
            .sub_registry_with_labels(version.into_iter())
            .register("build_info", "The operator's version", build);
        Self {
            registry: all,
            ..metrics
        }
    }

    /// Notes a reconcile that ended; `error` is the reason of one that failed.
    pub fn reconciled(&self, took: Duration, error: Option<&'static str>) {
        self.duration.observe(took.as_secs_f64());
        let result = if error.is_some() { "error" } else { "success" };
        self.reconciles.get_or_create(&ResultLabel { result }).inc();
        if let Some(reason) = error {
            self.errors.get_or_create(&ReasonLabel { reason }).inc();
        }
    }

    /// Notes how many namespaces' enrolment fails.
    pub fn enrolments_fail(&self, namespaces: usize) {
        let namespaces = i64::try_from(namespaces).unwrap_or(i64::MAX);
        self.enrolment_failing.set(namespaces);
    }

    /// Notes a write of a child.
    pub fn wrote(&self, verb: Verb, kind: Kind) {
        let verb = match verb {
            Verb::Created => "create",
            Verb::Updated => "update",
            Verb::Removed => "delete",
        };
        let kind = kind.as_str();
        self.writes.get_or_create(&WriteLabels { verb, kind }).inc();
    }

    /// The exposition, with what is only counted when it is asked for.
    /// `tenants`: how many have which condition, by its type and status.
    pub fn expose(
        &self,
        format: Format,
        queue_depth: usize,
        health: &Health,
        tenants: impl IntoIterator<Item = ((String, String), i64)>,
    ) -> Result<String, std::fmt::Error> {
        let _alone = self.exposing.lock();
        self.queue_depth
            .set(i64::try_from(queue_depth).unwrap_or(i64::MAX));
        self.unreadable
            .set(i64::try_from(health.unreadable()).unwrap_or(i64::MAX));
        self.leading.set(health.is_leading().into());
        for (watch, failing) in health.failing_watches() {
            self.watch_failing
                .get_or_create(&WatchLabel {
                    watch: watch.as_str(),
                })
                .set(failing.into());
        }
        self.tenants.clear();
        for ((condition, status), count) in tenants {
            let labels = ConditionLabels { condition, status };
            self.tenants.get_or_create(&labels).set(count);
        }
        let mut exposition = String::new();
        match format {
            Format::Text => prometheus_text::encode(&mut exposition, &self.registry)?,
            Format::OpenMetrics => text::encode(&mut exposition, &self.registry)?,
        }
        Ok(exposition)
    }
}

/// Whether a condition is counted. Whoever may write a status can write conditions of any name; those would be labels
/// without bound.
pub fn is_known(condition: &str, status: &str) -> bool {
    ConditionType::ALL.iter().any(|t| t.as_str() == condition)
        && ConditionStatus::ALL.iter().any(|s| s.as_str() == status)
}

/// The log level can't be used.
#[derive(Debug, Error)]
#[error(
    "setting logLevel is {0:?}; expected error, warn, info, debug or trace, or per module as in info,kube=debug"
)]
pub struct LogLevelError(String);

/// Starts the log, on standard error.
///
/// # Errors
/// When the level can't be used.
pub fn start_log(format: LogFormat, level: &str) -> Result<(), LogLevelError> {
    let filter = filter(level)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // It would be told where the line itself could not be, as on a full disk, and that ends the process.
        .log_internal_errors(false);
    // A second start, as in a test, keeps the first log.
    let _ = match format {
        LogFormat::Text => builder.with_ansi(false).finish().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init(),
    };
    Ok(())
}

/// What of other crates says again what is said here, and what it is limited to where the level does not name it.
const QUIET: [(&str, LevelFilter); 3] = [
    // Each error of a watch.
    ("kube_runtime::watcher", LevelFilter::OFF),
    // Shows answers whole that it can't read.
    ("kube_client", LevelFilter::OFF),
    // Each connection to a server whose certificate it does not trust.
    ("rustls_platform_verifier", LevelFilter::OFF),
];

/// A level alone is this program's. Other crates say no more than what an administrator wants to know, unless the
/// level names them.
fn filter(level: &str) -> Result<EnvFilter, LogLevelError> {
    let unusable = || LogLevelError(level.to_owned());
    let (named, alone): (Vec<_>, Vec<_>) = level
        .split(',')
        .map(str::trim)
        .partition(|word| word.contains('='));
    let mut directives = Vec::new();
    for word in alone {
        // A lone word that is no level would pass for a module's name, and switch everything else off.
        let own = Some(word).filter(|word| !word.is_empty());
        let own: LevelFilter = own.and_then(|w| w.parse().ok()).ok_or_else(unusable)?;
        directives.push(own.min(LevelFilter::INFO).to_string());
        directives.push(format!("{}={own}", env!("CARGO_CRATE_NAME")));
    }
    let is_named = |target: &str| {
        let mut names = named.iter().filter_map(|word| word.split_once('='));
        names.any(|(name, _)| !name.is_empty() && target.starts_with(name))
    };
    let quiet = QUIET.iter().filter(|(target, _)| !is_named(target));
    directives.extend(quiet.map(|(target, limit)| format!("{target}={limit}")));
    // Of directives for one target the last one counts.
    directives.extend(named.iter().map(|&word| word.to_owned()));
    EnvFilter::try_new(directives.join(",")).map_err(|_| unusable())
}

#[cfg(test)]
mod tests {
    use super::health::Role;
    use super::*;
    use crate::operator::cluster::watch::Watch;
    use crate::operator::lead::fence::Fence;
    use rstest::rstest;

    const SERVICES: Watch = Watch::Children(Kind::Service);

    #[test]
    fn metrics_have_the_names_and_units_that_the_docs_give() {
        let metrics = Metrics::new();
        metrics.reconciled(Duration::from_millis(3), Some("refused"));
        metrics.wrote(Verb::Created, Kind::Service);
        metrics.enrolments_fail(3);
        let health = Health::new([SERVICES]);
        health.set_role(Role::Leading(Fence::always_open()));
        health.fails(SERVICES, "forbidden");
        health.set_unreadable(4);
        let expose = |format| {
            let tenants = [(("Ready".into(), "True".into()), 1)];
            metrics.expose(format, 2, &health, tenants).unwrap()
        };
        let text = expose(Format::Text);
        for line in [
            "simplepipe_reconciles_total{result=\"error\"} 1",
            "simplepipe_reconcile_errors_total{reason=\"refused\"} 1",
            "simplepipe_reconcile_duration_seconds_bucket{le=\"0.01\"} 1",
            "simplepipe_child_writes_total{verb=\"create\",kind=\"Service\"} 1",
            "simplepipe_queue_depth 2",
            "simplepipe_leading 1",
            "simplepipe_watch_failing{watch=\"services\"} 1",
            "simplepipe_enrolment_failing 3",
            "simplepipe_unreadable_objects 4",
            "simplepipe_tenants{condition=\"Ready\",status=\"True\"} 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(is_known("Ready", "True"));
        let forged = is_known("Forged", "True") || is_known("Ready", "forged");
        assert!(!forged, "a condition that is not ours becomes a label");
        // What tests of other programs read, Python's strict parser among them.
        insta::assert_snapshot!("metrics-text", steady(&text));
        insta::assert_snapshot!("metrics-openmetrics", steady(&expose(Format::OpenMetrics)));
        let again = metrics.expose(Format::Text, 0, &health, []).unwrap();
        assert!(
            !again.contains("simplepipe_tenants{"),
            "a condition that no tenant has is gone"
        );
    }

    /// What is another at each run is 1.
    fn steady(exposition: &str) -> String {
        let steady = |line: &str| match line.split_once(' ') {
            Some((name, _)) if name.starts_with("process_") => format!("{name} 1\n"),
            _ => format!("{line}\n"),
        };
        let version = format!("version={:?}", env!("CARGO_PKG_VERSION"));
        let lines: String = exposition.lines().map(steady).collect();
        lines.replace(&version, "version=\"...\"")
    }

    #[rstest]
    #[case("a=b=c")]
    #[case("inof")]
    #[case("info,kube")]
    #[case("")]
    fn a_log_level_that_is_none_is_named(#[case] level: &str) {
        let message = start_log(LogFormat::Text, level).unwrap_err().to_string();
        assert!(
            message.contains(&format!("{level:?}")) && message.contains("expected error, warn"),
            "{message}"
        );
    }

    /// The most that is heard of a target at a level.
    macro_rules! heard {
        ($target:literal) => {{
            use tracing::{Level, enabled};
            let heard = [
                ("trace", enabled!(target: $target, Level::TRACE)),
                ("debug", enabled!(target: $target, Level::DEBUG)),
                ("info", enabled!(target: $target, Level::INFO)),
                ("warn", enabled!(target: $target, Level::WARN)),
                ("error", enabled!(target: $target, Level::ERROR)),
            ];
            heard.iter().find(|(_, is)| *is).map_or("off", |(level, _)| *level)
        }};
    }

    #[rstest]
    #[case("info", ["info", "info", "info", "off", "off", "off"])]
    #[case("debug", ["debug", "info", "info", "off", "off", "off"])]
    #[case("trace", ["trace", "info", "info", "off", "off", "off"])]
    #[case("warn", ["warn", "warn", "warn", "off", "off", "off"])]
    #[case("debug,hyper=trace", ["debug", "trace", "info", "off", "off", "off"])]
    #[case("hyper=trace,debug", ["debug", "trace", "info", "off", "off", "off"])]
    #[case("debug,simplepipe=warn", ["warn", "info", "info", "off", "off", "off"])]
    #[case("info,kube=debug", ["info", "info", "info", "debug", "debug", "off"])]
    #[case("info,kube_runtime=debug", ["info", "info", "info", "debug", "off", "off"])]
    #[case("info,rustls=debug", ["info", "info", "debug", "off", "off", "debug"])]
    fn a_level_is_this_programs_and_other_crates_are_heard_where_they_are_named(
        #[case] level: &str,
        #[case] most: [&str; 6],
    ) {
        let log = tracing_subscriber::fmt()
            .with_env_filter(filter(level).unwrap())
            .finish();
        let heard = tracing::subscriber::with_default(log, || {
            [
                heard!("simplepipe::operator::reconcile"),
                heard!("hyper::client"),
                heard!("rustls::conn"),
                heard!("kube_runtime::watcher"),
                heard!("kube_client::client"),
                heard!("rustls_platform_verifier::verification::others"),
            ]
        });
        assert_eq!(heard, most);
    }
}
