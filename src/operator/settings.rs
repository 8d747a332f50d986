//! The operator's settings: by flag, else environment, else file, else default. Checked whole before anything starts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Deserialize;
use thiserror::Error;

use super::label_syntax::is_object_name;
use super::platform::{Platform, UserIds};

/// How the operator itself runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What it sets for every tenant.
    pub platform: Platform,
    /// Objects reconciled side by side.
    pub concurrency: u16,
    /// Where `/livez`, `/readyz`, `/status` and `/metrics` answer.
    pub listen: SocketAddr,
    /// The Lease, unless the operator runs alone.
    pub lease: Option<LeaseSettings>,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// Which log lines are written.
    pub log_level: String,
    /// Time that running reconciles have to end after SIGTERM.
    pub shutdown_timeout: Duration,
}

/// The Lease that lets one of several operators work.
#[derive(Clone, Debug, PartialEq)]
pub struct LeaseSettings {
    /// Its name.
    pub name: String,
    /// Its namespace; by default the operator's own.
    pub namespace: Option<String>,
    /// Who holds it; by default the pod's name.
    pub identity: Option<String>,
    /// Time without renewal after which another may take it.
    pub duration: Duration,
}

impl LeaseSettings {
    /// Time after which the API server's answer is given up, early enough for another try before the Lease's end.
    pub fn answer_timeout(&self) -> Duration {
        self.duration / 5
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For a person.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Flags of `simplepipe operator`, each with its environment variable.
#[derive(Args, Clone, Debug, Default)]
pub struct Flags {
    /// Settings file (YAML) with the keys gatewayImage, gatewayImagePullPolicy, gatewayUserIds, serviceMonitorLabels,
    /// reservedMetrics, reservedJobs, concurrency, listen, leaderElection, leaseName, leaseDurationSeconds, logFormat, logLevel, shutdownTimeoutSeconds
    #[arg(long, env = "SIMPLEPIPE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Image of a gateway whose MetricsNamespace names none; a gateway that runs keeps its image until its own
    /// settings change [default: quay.io/prometheus/pushgateway:v1.11.3]
    #[arg(long, env = "SIMPLEPIPE_GATEWAY_IMAGE", value_name = "IMAGE")]
    gateway_image: Option<String>,
    /// When a gateway's image is pulled: Always, IfNotPresent or Never [default: IfNotPresent]
    #[arg(
        long,
        env = "SIMPLEPIPE_GATEWAY_IMAGE_PULL_POLICY",
        value_name = "POLICY"
    )]
    gateway_image_pull_policy: Option<String>,
    /// Where gateways get their user id: fixed (the operator sets the user nobody), or cluster (the cluster gives each
    /// namespace user ids of its own, as OpenShift does) [default: fixed]
    #[arg(
        long,
        env = "SIMPLEPIPE_GATEWAY_USER_IDS",
        value_name = "WHO",
        value_enum
    )]
    gateway_user_ids: Option<UserIds>,
    /// Label on every ServiceMonitor and PodMonitor, for a Prometheus that selects by label. Give it several times, or separate several by commas
    #[arg(
        long = "service-monitor-label",
        env = "SIMPLEPIPE_SERVICE_MONITOR_LABELS",
        value_name = "NAME=VALUE",
        value_delimiter = ','
    )]
    service_monitor_labels: Vec<String>,
    /// Pattern of metric names that tenants may not push. Give it several times, or separate several by commas [default: those of Kubernetes and Prometheus, see docs/operator.md]
    #[arg(
        long = "reserved-metric",
        env = "SIMPLEPIPE_RESERVED_METRICS",
        value_name = "REGEX",
        value_delimiter = ','
    )]
    reserved_metrics: Vec<String>,
    /// Pattern of jobs that tenants may not push. Give it several times, or separate several by commas [default: those of Kubernetes and Prometheus, see docs/operator.md]
    #[arg(
        long = "reserved-job",
        env = "SIMPLEPIPE_RESERVED_JOBS",
        value_name = "REGEX",
        value_delimiter = ','
    )]
    reserved_jobs: Vec<String>,
    /// MetricsNamespaces reconciled side by side, from 1 to 256 [default: 8]
    #[arg(long, env = "SIMPLEPIPE_CONCURRENCY", value_name = "N")]
    concurrency: Option<u16>,
    /// Address of /livez, /readyz, /status and /metrics [default: 0.0.0.0:8080]
    #[arg(long, env = "SIMPLEPIPE_LISTEN", value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Whether only the operator that holds the Lease works [default: true]
    #[arg(long, env = "SIMPLEPIPE_LEADER_ELECTION", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    leader_election: Option<bool>,
    /// Name of the Lease [default: simplepipe]
    #[arg(long, env = "SIMPLEPIPE_LEASE_NAME", value_name = "NAME")]
    lease_name: Option<String>,
    /// Namespace of the Lease [default: the operator's own]
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE")]
    lease_namespace: Option<String>,
    /// This operator's name in the Lease. Each operator needs a name of its own [default: the pod's name, else a random one]
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    identity: Option<String>,
    /// Seconds without renewal after which another operator takes over, from 5 to 300 [default: 15]
    #[arg(
        long,
        env = "SIMPLEPIPE_LEASE_DURATION_SECONDS",
        value_name = "SECONDS"
    )]
    lease_duration_seconds: Option<u64>,
    /// How log lines are written [default: text]
    #[arg(long, env = "SIMPLEPIPE_LOG_FORMAT", value_enum)]
    log_format: Option<LogFormat>,
    /// Which log lines are written: error, warn, info, debug, trace, or per module as in `info,kube=debug`. A level alone
    /// leaves libraries at info [default: info]
    #[arg(long, env = "SIMPLEPIPE_LOG_LEVEL", value_name = "LEVEL")]
    log_level: Option<String>,
    /// Seconds that running reconciles have to end after SIGTERM, from 1 to 300 [default: 10]
    #[arg(
        long,
        env = "SIMPLEPIPE_SHUTDOWN_TIMEOUT_SECONDS",
        value_name = "SECONDS"
    )]
    shutdown_timeout_seconds: Option<u64>,
}

impl Flags {
    /// Who this operator is, where it was told.
    pub fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }
}

/// The settings file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct File {
    gateway_image: Option<String>,
    gateway_image_pull_policy: Option<String>,
    gateway_user_ids: Option<UserIds>,
    service_monitor_labels: Option<BTreeMap<String, String>>,
    reserved_metrics: Option<Vec<String>>,
    reserved_jobs: Option<Vec<String>>,
    concurrency: Option<u16>,
    listen: Option<String>,
    leader_election: Option<bool>,
    lease_name: Option<String>,
    lease_duration_seconds: Option<u64>,
    log_format: Option<LogFormat>,
    log_level: Option<String>,
    shutdown_timeout_seconds: Option<u64>,
}

/// Why the operator does not start with these settings.
#[derive(Debug, Error)]
pub enum Error {
    /// The file can't be read.
    #[error("settings file {path:?} can't be read: {source}")]
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not settings.
    #[error("settings file {path:?}: {message}")]
    Malformed {
        /// Its path.
        path: PathBuf,
        /// Where and why.
        message: String,
    },
    /// A value can't be used.
    #[error("setting {setting} is {value:?}; expected {expected}")]
    Invalid {
        /// Which one.
        setting: &'static str,
        /// What it is set to.
        value: String,
        /// What would be right.
        expected: String,
    },
}

impl Settings {
    /// The settings in force.
    ///
    /// # Errors
    /// The first that can't be read or used, with what would be right.
    pub fn load(flags: &Flags) -> Result<Self, Error> {
        let file = flags
            .config
            .as_deref()
            .map(read)
            .transpose()?
            .unwrap_or_default();
        Self::merge(flags, file)
    }

    fn merge(flags: &Flags, file: File) -> Result<Self, Error> {
        let default = Platform::default();
        let platform = Platform {
            gateway_image: flags
                .gateway_image
                .clone()
                .or(file.gateway_image)
                .unwrap_or(default.gateway_image),
            gateway_image_pull_policy: flags
                .gateway_image_pull_policy
                .clone()
                .or(file.gateway_image_pull_policy)
                .unwrap_or(default.gateway_image_pull_policy),
            gateway_user_ids: flags
                .gateway_user_ids
                .or(file.gateway_user_ids)
                .unwrap_or(default.gateway_user_ids),
            service_monitor_labels: if flags.service_monitor_labels.is_empty() {
                file.service_monitor_labels.unwrap_or_default()
            } else {
                flags
                    .service_monitor_labels
                    .iter()
                    .map(|l| name_and_value(l))
                    .collect::<Result<_, _>>()?
            },
            reserved_metrics: given(&flags.reserved_metrics)
                .or(file.reserved_metrics)
                .unwrap_or(default.reserved_metrics),
            reserved_jobs: given(&flags.reserved_jobs)
                .or(file.reserved_jobs)
                .unwrap_or(default.reserved_jobs),
        };
        platform.check().map_err(|unusable| Error::Invalid {
            setting: unusable.setting,
            value: unusable.value,
            expected: unusable.expected.to_owned(),
        })?;
        let listen = flags
            .listen
            .clone()
            .or(file.listen)
            .unwrap_or_else(|| "0.0.0.0:8080".into());
        let lease = LeaseSettings {
            name: object_name(
                "leaseName",
                flags
                    .lease_name
                    .clone()
                    .or(file.lease_name)
                    .unwrap_or_else(|| "simplepipe".into()),
            )?,
            namespace: flags
                .lease_namespace
                .clone()
                .map(|name| object_name("--lease-namespace (POD_NAMESPACE)", name))
                .transpose()?,
            identity: flags.identity.clone(),
            duration: Duration::from_secs(within(
                "leaseDurationSeconds",
                flags
                    .lease_duration_seconds
                    .or(file.lease_duration_seconds)
                    .unwrap_or(15),
                5,
                300,
            )?),
        };
        Ok(Self {
            platform,
            concurrency: within(
                "concurrency",
                flags.concurrency.or(file.concurrency).unwrap_or(8),
                1,
                256,
            )?,
            listen: listen.parse().map_err(|_| Error::Invalid {
                setting: "listen",
                value: listen,
                expected: "an address and a port, like 0.0.0.0:8080".into(),
            })?,
            lease: flags
                .leader_election
                .or(file.leader_election)
                .unwrap_or(true)
                .then_some(lease),
            log_format: flags.log_format.or(file.log_format).unwrap_or_default(),
            log_level: flags
                .log_level
                .clone()
                .or(file.log_level)
                .unwrap_or_else(|| "info".into()),
            shutdown_timeout: Duration::from_secs(within(
                "shutdownTimeoutSeconds",
                flags
                    .shutdown_timeout_seconds
                    .or(file.shutdown_timeout_seconds)
                    .unwrap_or(10),
                1,
                300,
            )?),
        })
    }
}

fn read(path: &Path) -> Result<File, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    // An empty file means all defaults, as an absent one does.
    if text
        .lines()
        .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
    {
        return Ok(File::default());
    }
    serde_saphyr::from_str(&text).map_err(|error| Error::Malformed {
        path: path.to_owned(),
        message: error.to_string(),
    })
}

/// Nothing where a flag that may come several times never came.
fn given(flags: &[String]) -> Option<Vec<String>> {
    (!flags.is_empty()).then(|| flags.to_vec())
}

fn name_and_value(label: &str) -> Result<(String, String), Error> {
    label
        .split_once('=')
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .ok_or_else(|| Error::Invalid {
            setting: "serviceMonitorLabels",
            value: label.to_owned(),
            expected: "NAME=VALUE, like release=monitoring".into(),
        })
}

fn object_name(setting: &'static str, name: String) -> Result<String, Error> {
    if is_object_name(&name) {
        return Ok(name);
    }
    Err(Error::Invalid {
        setting,
        value: name,
        expected: "a name of lower-case letters, digits, '-' and '.', like simplepipe".into(),
    })
}

fn within<N: PartialOrd + Copy + std::fmt::Display>(
    setting: &'static str,
    value: N,
    least: N,
    most: N,
) -> Result<N, Error> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(Error::Invalid {
        setting,
        value: value.to_string(),
        expected: format!("from {least} to {most}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn from_file(yaml: &str) -> Result<Settings, Error> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), yaml).unwrap();
        Settings::load(&Flags {
            config: Some(file.path().to_owned()),
            ..Flags::default()
        })
    }

    #[test]
    fn an_empty_file_means_all_defaults() {
        assert_eq!(
            from_file("# nothing\n\n").unwrap(),
            Settings::load(&Flags::default()).unwrap()
        );
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let file: File = serde_saphyr::from_str(
            "{concurrency: 3, leaseName: theirs, serviceMonitorLabels: {a: b}}",
        )
        .unwrap();
        let flags = Flags {
            concurrency: Some(5),
            ..Flags::default()
        };
        let settings = Settings::merge(&flags, file).unwrap();
        assert_eq!(settings.concurrency, 5);
        assert_eq!(settings.lease.unwrap().name, "theirs");
        assert_eq!(settings.platform.service_monitor_labels["a"], "b");
        assert_eq!(
            settings.platform.reserved_metrics,
            Platform::default().reserved_metrics
        );
    }

    #[rstest]
    #[case(
        "concurrency: 0",
        "setting concurrency is \"0\"; expected from 1 to 256"
    )]
    #[case(
        "listen: here",
        "setting listen is \"here\"; expected an address and a port, like 0.0.0.0:8080"
    )]
    #[case(
        "reservedMetrics: ['kube_(']",
        "setting reservedMetrics is \"kube_(\"; expected a regular expression over metric names, like kube_.*"
    )]
    #[case(
        "reservedJobs: ['kube-(']",
        "setting reservedJobs is \"kube-(\"; expected a regular expression over jobs, like kube-.*"
    )]
    #[case(
        "gatewayImagePullPolicy: Sometimes",
        "setting gatewayImagePullPolicy is \"Sometimes\"; expected Always, IfNotPresent or Never"
    )]
    #[case(
        "serviceMonitorLabels: {'a b': c}",
        "setting serviceMonitorLabels is \"a b\"; expected a label name, like release or example.com/team"
    )]
    #[case(
        "leaseName: 'Not_A Name'",
        "setting leaseName is \"Not_A Name\"; expected a name of lower-case letters, digits, '-' and '.', like simplepipe"
    )]
    #[case(
        "gatewayImage: '::::'",
        "setting gatewayImage is \"::::\"; expected an image reference, like quay.io/prometheus/pushgateway:v1.11.3"
    )]
    #[case(
        "shutdownTimeoutSeconds: 301",
        "setting shutdownTimeoutSeconds is \"301\"; expected from 1 to 300"
    )]
    fn a_value_that_cannot_be_used_is_named_with_what_would_be_right(
        #[case] yaml: &str,
        #[case] message: &str,
    ) {
        assert_eq!(from_file(yaml).unwrap_err().to_string(), message);
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let message = from_file("concurency: 3").unwrap_err().to_string();
        assert!(
            message.contains("concurency") && message.contains("concurrency"),
            "{message}"
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let flags = Flags {
            config: Some("/nowhere/settings.yaml".into()),
            ..Flags::default()
        };
        let message = Settings::load(&flags).unwrap_err().to_string();
        assert!(message.contains("/nowhere/settings.yaml"), "{message}");
    }

    /// As the program reads them, from flags only.
    fn from(file: &str, flags: &[&str]) -> Settings {
        #[derive(clap::Parser)]
        struct Program {
            #[command(flatten)]
            flags: Flags,
        }
        let arguments = ["simplepipe"].iter().chain(flags);
        let flags = <Program as clap::Parser>::parse_from(arguments).flags;
        Settings::merge(&flags, serde_saphyr::from_str(file).unwrap()).unwrap()
    }

    // Each one by default, in the file, and by flag.
    #[rstest]
    #[case("gatewayImage", "f:1", "--gateway-image", "g:1", |s: &Settings| s.platform.gateway_image.clone())]
    #[case("gatewayImagePullPolicy", "Always", "--gateway-image-pull-policy", "Never", |s: &Settings| s.platform.gateway_image_pull_policy.clone())]
    #[case("gatewayUserIds", "cluster", "--gateway-user-ids", "fixed", |s: &Settings| format!("{:?}", s.platform.gateway_user_ids).to_lowercase())]
    #[case("serviceMonitorLabels", "{a: b}", "--service-monitor-label", "a=c", |s: &Settings| s.platform.service_monitor_labels.get("a").cloned().unwrap_or_default())]
    #[case("reservedMetrics", "[f_.*]", "--reserved-metric", "g_.*", |s: &Settings| s.platform.reserved_metrics.join(","))]
    #[case("reservedJobs", "[f-.*]", "--reserved-job", "g-.*", |s: &Settings| s.platform.reserved_jobs.join(","))]
    #[case("concurrency", "3", "--concurrency", "5", |s: &Settings| s.concurrency.to_string())]
    #[case("listen", "'127.0.0.1:1'", "--listen", "127.0.0.1:2", |s: &Settings| s.listen.to_string())]
    #[case("leaseName", "f", "--lease-name", "g", |s: &Settings| s.lease.as_ref().unwrap().name.clone())]
    #[case("leaseDurationSeconds", "6", "--lease-duration-seconds", "7", |s: &Settings| s.lease.as_ref().unwrap().duration.as_secs().to_string())]
    #[case("logFormat", "json", "--log-format", "text", |s: &Settings| format!("{:?}", s.log_format).to_lowercase())]
    #[case("logLevel", "warn", "--log-level", "debug", |s: &Settings| s.log_level.clone())]
    #[case("shutdownTimeoutSeconds", "6", "--shutdown-timeout-seconds", "7", |s: &Settings| s.shutdown_timeout.as_secs().to_string())]
    fn each_is_taken_from_the_flag_else_from_the_file(
        #[case] key: &str,
        #[case] in_file: &str,
        #[case] flag: &str,
        #[case] by_flag: &str,
        #[case] read: fn(&Settings) -> String,
    ) {
        let file = format!("{{{key}: {in_file}}}");
        let plain = in_file
            .trim_matches(|c| "{}[]'".contains(c))
            .trim_start_matches("a: ");
        assert_eq!(read(&from(&file, &[])), plain, "{key} of the file");
        let by_flag_alone = by_flag.trim_start_matches("a=");
        assert_eq!(read(&from("{}", &[flag, by_flag])), by_flag_alone, "{flag}");
        assert_eq!(
            read(&from(&file, &[flag, by_flag])),
            by_flag_alone,
            "{flag} over {key}"
        );
    }

    #[test]
    fn leader_election_is_taken_from_the_flag_else_from_the_file() {
        assert!(from("{}", &[]).lease.is_some());
        assert!(from("{leaderElection: false}", &[]).lease.is_none());
        assert!(
            from("{leaderElection: false}", &["--leader-election"])
                .lease
                .is_some()
        );
        assert!(
            from("{leaderElection: true}", &["--leader-election=false"])
                .lease
                .is_none()
        );
    }

    #[test]
    fn the_docs_have_each_flag_with_its_variable() {
        let docs = include_str!("../../docs/operator.md");
        let command = Flags::augment_args(clap::Command::new("operator"));
        for argument in command.get_arguments() {
            let flag = argument.get_long().unwrap();
            let variable = argument.get_env().unwrap().to_str().unwrap();
            let row = docs.lines().find(|line| {
                line.contains(&format!("`--{flag}`")) || line.contains(&format!("`--{flag} "))
            });
            assert!(
                row.is_some_and(|row| row.contains(&format!("`{variable}`"))),
                "--{flag} with {variable} is not in docs/operator.md: {row:?}"
            );
        }
    }
}
