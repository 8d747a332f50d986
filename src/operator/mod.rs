//! The operator. `reconcile` is the order in which an object is observed, planned, built, applied and told of; each step
//! has a file beside it.
//!
//! Pure: `plan`, `wish`, `children`, `drift`, `gateway_image`, `kind`, `label_syntax`, `model_servers`, `objection`,
//! `outcome`, `ownership`, `platform`, `problem`, `selection`, and the computing half of `status`. `cluster` is what is
//! seen, `pacing` who works when, `lead` who may write, `telemetry` what is told of the operator itself.

mod apply;
mod children;
mod cluster;
mod context;
mod controller;
mod drift;
mod enrolment;
mod events;
mod gateway_image;
pub mod kind;
mod label_syntax;
mod lead;
mod locked;
mod model_servers;
mod next_look;
mod objection;
mod observe;
mod outcome;
pub mod ownership;
mod pacing;
mod plan;
mod platform;
mod pod_problems;
mod problem;
mod reconcile;
mod report;
mod selection;
pub mod settings;
mod shutdown;
mod status;
mod tasks;
mod telemetry;
mod wish;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use kube::client::ClientBuilder;
use kube::{Client, Error as KubeError};
use thiserror::Error;
use tokio::sync::{mpsc, watch as last_value};
use tower::util::{AndThenLayer, MapResponseLayer};
use tracing::{Level, error, info, warn};

use crate::exit_code::ExitCode;

use cluster::caches::Caches;
use cluster::watch::Watch;
use cluster::watches::{Ended, Watches};
use context::Context;
use events::Events;
use lead::fence::Fence;
use lead::lease::{Lease, Waiting};
use pacing::budget::Budgets;
use pacing::contests::Contests;
use pacing::lanes::Lanes;
use pacing::queue::Queue;
use pacing::retry::Failures;
use pod_problems::Pods;
use settings::{Flags, Settings};
use shutdown::{shut_down, stop_signal};
use tasks::Tasks;
use telemetry::Metrics;
use telemetry::health::{Health, Role};
use telemetry::lasting_failures::Lasting;
use telemetry::server;

/// An API server that does not take a connection by then is tried again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that is silent for longer is dead: watches are given up before.
const SILENCE: Duration = Duration::from_secs(cluster::list_and_watch::SILENCE.as_secs() + 5);

/// Why the operator ended.
#[derive(Debug, Error)]
pub enum Error {
    /// It can't start with these settings.
    #[error(transparent)]
    Settings(#[from] settings::Error),
    /// It can't start with this log level.
    #[error(transparent)]
    LogLevel(#[from] telemetry::LogLevelError),
    /// The API server can't be found.
    #[error("no Kubernetes API server is known: {}; mend what is named here, run in a cluster, or set KUBECONFIG", first_line(.0))]
    Config(#[from] kube::config::InferConfigError),
    /// The API server can't be used.
    #[error("the Kubernetes API server can't be used: {0}")]
    Kubernetes(#[from] KubeError),
    /// It is to be reached in a way that is none. A proxy's address may hold a password, so it is not quoted.
    #[error(
        "the kubeconfig's proxy-url, or HTTPS_PROXY, names a proxy for the Kubernetes API server, but the operator \
         can reach that server only directly; unset it"
    )]
    Proxy,
    /// This operator can't be sure any more to be the only one.
    #[error("the Lease was lost: {0}")]
    LeaseLost(String),
    /// What was seen is no longer so.
    #[error(
        "the API server's data is older than what was seen before, as after a restore of etcd; start the operator \
         again, so that it reads everything anew"
    )]
    Rewound,
    /// A part of the operator ended that never should.
    #[error("{0} ended")]
    Ended(&'static str),
    /// The address can't be listened on, or signals not be received.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Error {
    /// The program's exit code after this error.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Settings(_) | Self::LogLevel(_) => ExitCode::BadInput,
            _ => ExitCode::Failure,
        }
    }

    /// Whether the log has it: then it is not told in another form as well.
    pub fn is_logged(&self) -> bool {
        !matches!(self, Self::Settings(_) | Self::LogLevel(_)) && tracing::enabled!(Level::ERROR)
    }
}

/// Below it, a parser's message shows the lines around the fault, and a kubeconfig holds secrets.
fn first_line(error: &kube::config::InferConfigError) -> String {
    let words = cluster::api_error::with_causes(error);
    words.lines().next().unwrap_or_default().to_owned()
}

/// The API server's address, without a user's name and password.
fn server_of(url: &http::Uri) -> String {
    let authority = url.authority().map_or("", |a| a.as_str());
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let scheme = url.scheme_str().unwrap_or("https");
    format!("{scheme}://{host}{}", url.path().trim_end_matches('/'))
}

/// Runs the operator until SIGTERM or SIGINT.
///
/// # Errors
/// When it can't start, or can't go on.
pub async fn run(flags: Flags) -> Result<(), Error> {
    let settings = Settings::load(&flags)?;
    telemetry::start_log(settings.log_format, &settings.log_level)?;
    let ended = work(&flags, &settings).await;
    if let Err(error) = &ended {
        error!(%error, "the operator ended");
    }
    ended
}

async fn work(flags: &Flags, settings: &Settings) -> Result<(), Error> {
    let listener = server::bind(settings.listen).await?;
    let config = kube::Config::infer().await?;
    if config.proxy_url.is_some() {
        return Err(Error::Proxy);
    }
    info!(
        version = env!("CARGO_PKG_VERSION"),
        listen = %listener.local_addr()?,
        server = server_of(&config.cluster_url),
        "starting"
    );

    let caches: Arc<Caches> = Arc::default();
    let health = Arc::new(Health::new(Watch::all()));
    let metrics = Arc::new(Metrics::new());
    let queue = Queue::default();
    let shown = server::Shown {
        health: health.clone(),
        metrics: metrics.clone(),
        queue: queue.clone(),
        caches: caches.clone(),
    };
    let mut tasks = Tasks::default();
    tasks.start("the HTTP server", async {
        match server::serve(listener, shown).await {}
    });
    let mut stop = stop_signal()?;

    let Some(lease) = lead(&config, settings, &health, &mut stop).await? else {
        return Ok(());
    };
    let client = connect(&config, lease.fence())?;
    health.set_role(Role::Leading(lease.fence().clone()));
    info!("leading");

    let identity = flags.identity().map(ToOwned::to_owned);
    let events = Arc::new(Events::new(client.clone(), identity));
    let context = Arc::new(Context {
        client: client.clone(),
        caches: caches.clone(),
        platform: Arc::new(settings.platform.clone()),
        events: events.clone(),
        queue: queue.clone(),
        health: health.clone(),
        metrics: metrics.clone(),
        failures: Failures::default(),
        untold: Lasting::default(),
        budgets: Budgets::new(controller::BURST, controller::EVERY),
        contests: Contests::default(),
        pods: Pods::default(),
        lanes: Lanes::new(settings.concurrency),
    });
    let (changed_namespaces, namespaces) = mpsc::unbounded_channel();
    let watches = Watches {
        client: client.clone(),
        caches: caches.clone(),
        queue,
        namespaces: changed_namespaces,
        events: events.clone(),
        health: health.clone(),
        rewound: Arc::default(),
    };
    tasks.start("a watch", async {
        match watches.run().await {
            Ended::Rewound => Some(Error::Rewound),
            Ended::Unexpectedly => None,
        }
    });
    let enrolment = tasks.start("enrolment", {
        let health = health.clone();
        let metrics = metrics.clone();
        async move {
            health.wait_until_synced().await;
            enrolment::run(client, events, caches, metrics, namespaces).await;
            None
        }
    });
    let controller = tasks.start("the controller", {
        let stop = stop.clone();
        async {
            control(context, stop).await;
            None
        }
    });

    let ended = tokio::select! {
        // The controller ends by itself when told to stop; that must not pass for its end.
        biased;
        _ = stop.changed() => Ok(()),
        why = lease.lost() => Err(Error::LeaseLost(why)),
        why = tasks.any_end() => Err(why),
    };
    health.set_role(Role::Stopping);
    if matches!(ended, Err(Error::Rewound)) {
        // Whatever runs acts on what is no longer so; the next operator need not wait for the Lease's end.
        enrolment.abort();
        controller.abort();
        lease.release().await;
        return ended;
    }
    if ended.is_ok() {
        enrolment.abort();
        shut_down(tasks, &controller, lease, settings.shutdown_timeout).await;
    }
    ended
}

/// Waits until this operator is the one to work; `None` if it was told to stop meanwhile.
async fn lead(
    config: &kube::Config,
    settings: &Settings,
    health: &Arc<Health>,
    stop: &mut last_value::Receiver<bool>,
) -> Result<Option<Lease>, Error> {
    let Some(wanted) = &settings.lease else {
        return Ok(Some(Lease::none()));
    };
    // Its own connections, and no fence: giving the Lease back is the last write.
    let client = connect(config, &Fence::always_open())?;
    let mut waiting = Waiting::new(client, wanted, health.clone());
    tokio::select! {
        lease = waiting.held() => return Ok(Some(lease)),
        _ = stop.changed() => {}
    }
    waiting.give_up().await;
    Ok(None)
}

/// A client that tells each failure at once, reads whatever tenants write, and writes only as long as the fence is open.
fn connect(config: &kube::Config, fence: &Fence) -> Result<Client, KubeError> {
    let mut config = config.clone();
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(SILENCE);
    // Its hidden retries, 15 of them over minutes, would keep an outage from the Lease, the watches and whoever reads
    // `/readyz`. Whoever asks decides when to ask again.
    config.default_retry = false;
    Ok(ClientBuilder::try_from(config)?
        .with_layer(&MapResponseLayer::new(cluster::utf8::replaced))
        .with_layer(&AndThenLayer::new(cluster::retry_after::kept))
        .with_layer(fence)
        .build())
}

/// Reconciles what is asked for, until told to stop; then ends what runs.
async fn control(context: Arc<Context>, mut stop: last_value::Receiver<bool>) {
    let stopped = {
        let mut stop = stop.clone();
        let context = context.clone();
        async move {
            let _ = stop.changed().await;
            context.lanes.close();
        }
    };
    let blind = tokio::select! {
        blind = context.health.wait_until_synced() => blind,
        _ = stop.changed() => return,
    };
    let objects = context.caches.objects.count();
    if blind.is_empty() {
        info!(objects, "everything is listed; reconciling");
    } else {
        warn!(
            objects,
            watches = in_words(&blind),
            "reconciling without what these watches would show; the lines above say what is wrong with them"
        );
    }
    tokio::select! {
        () = controller::run(&context, stopped) => {}
        () = context.pods.run(&context.client, &context.caches, &context.queue) => {}
    }
}

fn in_words(watches: &[Watch]) -> String {
    let names: Vec<_> = watches.iter().map(|watch| watch.as_str()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("https://10.96.0.1:443/", "https://10.96.0.1:443")]
    #[case("https://rancher/k8s/clusters/c-1", "https://rancher/k8s/clusters/c-1")]
    #[case("https://me:secret@cluster:6443", "https://cluster:6443")]
    fn the_log_names_the_api_server_without_a_password(#[case] url: &str, #[case] named: &str) {
        assert_eq!(server_of(&url.parse().unwrap()), named);
    }
}
