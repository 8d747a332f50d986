//! The operator: watches, and for each object observe, plan, build, apply, status.
//!
//! Pure: `plan`, `children`, `ownership`, `selection`, `labels`, and the computing half of `status`. Everything else
//! reads or writes.

mod apply;
mod backoff;
mod caches;
mod child_cache;
mod children;
mod enrolment;
mod events;
mod health;
mod kind;
mod labels;
mod lease;
mod observe;
mod ownership;
mod plan;
mod queue;
mod reconcile;
mod selection;
mod server;
pub mod settings;
mod status;
mod telemetry;
mod watches;

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use kube::runtime::controller::{Config, Controller, Error as ControllerError};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector;
use kube::{Client, Error as KubeError};
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tracing::{debug, error, info, warn};

use crate::api::{MetricsNamespace, names};

use caches::{Caches, Locked, Namespaces, Objects, Prometheuses};
use child_cache::ChildCache;
use health::{Health, Role};
use lease::Lease;
use queue::{Queue, Triggers};
use reconcile::Context;
use settings::{Flags, Settings};
use telemetry::Metrics;
use watches::Watches;

/// Changes of one object that come this close together are looked at once.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// An API server that does not take a connection by then is tried again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

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
    #[error("no Kubernetes API server is known: {0}; run in a cluster, or set KUBECONFIG")]
    Config(#[from] kube::config::InferConfigError),
    /// The API server can't be used.
    #[error("the Kubernetes API server can't be used: {0}")]
    Kubernetes(#[from] KubeError),
    /// The Lease can't be used.
    #[error("the Lease can't be used: {0}")]
    Lease(#[from] kube_lease_manager::LeaseManagerError),
    /// Another operator has the Lease now.
    #[error("the Lease was lost; another operator works now")]
    LeaseLost,
    /// A part of the operator ended that never should.
    #[error("{0} ended")]
    Ended(&'static str),
    /// The address can't be listened on, or signals not be received.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Runs the operator until SIGTERM or SIGINT.
///
/// # Errors
/// When it can't start, or can't go on.
pub async fn run(flags: Flags) -> Result<(), Error> {
    let settings = Settings::load(&flags)?;
    telemetry::start_log(settings.log_format, &settings.log_level)?;
    let listener = server::bind(settings.listen).await?;
    let client = connect().await?;
    info!(version = env!("CARGO_PKG_VERSION"), listen = %listener.local_addr()?, "starting");

    let (reader, writer) = reflector::store();
    let caches = Arc::new(Caches {
        objects: Objects::new(reader.clone()),
        namespaces: Namespaces::default(),
        prometheuses: Prometheuses::default(),
        children: ChildCache::new(),
    });
    let health = Arc::new(Health::new(&Watches::names()));
    let metrics = Arc::new(Metrics::new());
    let (queue, triggers) = Queue::new();
    let shown = server::Shown {
        health: health.clone(),
        metrics: metrics.clone(),
        queue: queue.clone(),
        caches: caches.clone(),
    };
    let mut server = tokio::spawn(server::serve(listener, shown));
    let mut stop = stop_signal()?;

    let mut lease = match &settings.lease {
        None => None,
        Some(lease) => {
            let mut lease = tokio::select! {
                lease = ask(client.clone(), lease) => lease?,
                _ = stop.changed() => return Ok(()),
            };
            health.set_role(Role::Standby);
            tokio::select! {
                held = lease.held() => if !held { return Err(Error::Ended("the Lease's renewal")) },
                _ = stop.changed() => {
                    lease.release().await;
                    return Ok(());
                }
            }
            Some(lease)
        }
    };
    health.set_role(Role::Leading);
    info!("leading");

    let context = Arc::new(Context {
        client: client.clone(),
        caches: caches.clone(),
        platform: Arc::new(settings.platform.clone()),
        recorder: Recorder::new(
            client.clone(),
            Reporter {
                controller: names::MANAGER.into(),
                instance: flags.identity().map(ToOwned::to_owned),
            },
        ),
        queue: queue.clone(),
        health: health.clone(),
        metrics,
        failures: Locked::default(),
    });
    let (changed_namespaces, namespaces) = mpsc::unbounded_channel();
    let watches = Watches {
        client: client.clone(),
        caches: caches.clone(),
        queue,
        namespaces: changed_namespaces,
        health: health.clone(),
    };
    let mut watches = tokio::spawn(watches.run(writer));
    let mut enrolment = tokio::spawn({
        let health = health.clone();
        async move {
            health.wait_until_synced().await;
            enrolment::run(client, caches, namespaces).await;
        }
    });
    let mut controller = tokio::spawn(control(
        context,
        reader,
        triggers,
        settings.concurrency,
        stop.clone(),
    ));

    let ended = tokio::select! {
        // Being told to stop ends the controller too: that is no failure, whichever is seen first.
        biased;
        _ = stop.changed() => Ok(()),
        () = async { match &mut lease { Some(lease) => lease.lost().await, None => std::future::pending().await } } => Err(Error::LeaseLost),
        _ = &mut watches => Err(Error::Ended("a watch")),
        _ = &mut enrolment => Err(Error::Ended("enrolment")),
        _ = &mut controller => Err(Error::Ended("the controller")),
        _ = &mut server => Err(Error::Ended("the HTTP server")),
    };
    health.set_role(Role::Stopping);
    if ended.is_ok() {
        info!(
            "stopping; running reconciles have {}s to end",
            settings.shutdown_timeout.as_secs()
        );
        if timeout(settings.shutdown_timeout, controller)
            .await
            .is_err()
        {
            warn!("some reconciles had not ended; what they left is finished by the next operator");
        }
        enrolment.abort();
        if let Some(lease) = lease {
            let _ = timeout(settings.shutdown_timeout, lease.release()).await;
        }
        info!("stopped");
    }
    ended
}

async fn connect() -> Result<Client, Error> {
    let mut config = kube::Config::infer().await?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    Ok(Client::try_from(config)?)
}

/// The API server may be away when the operator starts; it is waited for.
async fn ask(client: Client, settings: &settings::LeaseSettings) -> Result<Lease, Error> {
    loop {
        match Lease::ask(client.clone(), settings).await {
            Ok(lease) => return Ok(lease),
            Err(error) => {
                error!(%error, "the Lease can't be asked for; trying again");
                tokio::time::sleep(CONNECT_TIMEOUT / 5).await;
            }
        }
    }
}

/// Reconciles what is asked for, until told to stop; then ends what runs.
async fn control(
    context: Arc<Context>,
    reader: reflector::Store<MetricsNamespace>,
    triggers: Triggers,
    concurrency: u16,
    mut stop: watch::Receiver<bool>,
) {
    let stopped = {
        let mut stop = stop.clone();
        async move {
            let _ = stop.changed().await;
        }
    };
    tokio::select! {
        () = context.health.wait_until_synced() => {}
        _ = stop.changed() => return,
    }
    info!(
        objects = context.caches.objects.all().len(),
        "everything is listed; reconciling"
    );
    let queue = context.queue.clone();
    let triggers = stream::unfold(triggers, |mut triggers| async move {
        triggers.recv().await.map(|object| (object, triggers))
    });
    let mut results = pin!(
        Controller::for_stream(stream::pending(), reader)
            .with_config(
                Config::default()
                    .debounce(DEBOUNCE)
                    .concurrency(concurrency)
            )
            .reconcile_on(triggers)
            .graceful_shutdown_on(stopped)
            .run(reconcile::run, reconcile::retry, context)
    );
    while let Some(result) = results.next().await {
        match result {
            // Gone between the event and now.
            Err(ControllerError::ObjectNotFound(object)) => queue.forget(&object),
            Err(error) => debug!(%error, "controller"),
            Ok(_) => {}
        }
    }
}

/// Turns true on SIGTERM or SIGINT.
fn stop_signal() -> io::Result<watch::Receiver<bool>> {
    let (sender, receiver) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        futures::future::select(terminate.recv().boxed(), interrupt.recv().boxed()).await;
        let _ = sender.send(true);
        // Kept, so that waiting for a change never fails.
        sender.closed().await;
    });
    Ok(receiver)
}
