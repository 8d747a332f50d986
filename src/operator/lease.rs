//! The Lease that lets one of several operators work.

use std::future::pending;
use std::time::{Duration, Instant};

use kube::Client;
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder, LeaseManagerError};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::settings::LeaseSettings;

/// Between two tries.
const RETRY: Duration = Duration::from_secs(1);

/// The Lease, held or waited for. Without one, an operator that works alone.
pub struct Lease(Option<Asked>);

struct Asked {
    held: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Lease {
    /// For an operator that works alone.
    pub fn none() -> Self {
        Self(None)
    }

    /// Starts to ask for it. `client` must give up on an answer within a third of the Lease's duration.
    ///
    /// # Errors
    /// When the Lease can't be read or made.
    pub async fn ask(client: Client, settings: &LeaseSettings) -> Result<Self, LeaseManagerError> {
        let namespace = settings
            .namespace
            .clone()
            .unwrap_or_else(|| client.default_namespace().to_owned());
        let mut builder = LeaseManagerBuilder::new(client, &settings.name)
            .with_namespace(namespace)
            .with_duration(settings.duration.as_secs())
            // Renewed at two thirds, so that one lost request does not lose the Lease.
            .with_grace(settings.grace().as_secs());
        if let Some(identity) = &settings.identity {
            builder = builder.with_identity(identity.clone());
        }
        let manager = builder.build().await?;
        let (tell, held) = watch::channel(false);
        let (duration, grace) = (settings.duration, settings.grace());
        let task = tokio::spawn(async move {
            tokio::select! {
                () = keep(&manager, &tell, duration, grace) => {}
                () = tell.closed() => {}
            }
            if let Err(error) = manager.release().await {
                warn!(%error, "the Lease was not given back; another operator has to wait until it ends");
            }
        });
        Ok(Self(Some(Asked { held, task })))
    }

    /// Waits until this operator holds it. False if that can't come any more.
    pub async fn held(&mut self) -> bool {
        match &mut self.0 {
            Some(asked) => asked.held.wait_for(|held| *held).await.is_ok(),
            None => true,
        }
    }

    /// Waits until this operator no longer holds it, or can't know any more.
    pub async fn lost(&mut self) {
        match &mut self.0 {
            // The sender goes only when the task ends, and then nobody renews.
            Some(asked) => drop(asked.held.wait_for(|held| !*held).await),
            None => pending().await,
        }
    }

    /// Gives it back, so that another need not wait until it ends.
    pub async fn release(self) {
        if let Some(Asked { held, task }) = self.0 {
            drop(held);
            let _ = task.await;
        }
    }
}

/// Asks, renews, and tells of each change. A Lease that could not be renewed up to its end counts as lost.
async fn keep(
    manager: &LeaseManager,
    tell: &watch::Sender<bool>,
    duration: Duration,
    grace: Duration,
) {
    let mut failing: Option<Instant> = None;
    loop {
        // Returns with a change or an error; where it did neither for so long, a renewal went well.
        match timeout(duration, manager.changed()).await {
            Err(_) => failing = None,
            Ok(Ok(held)) => {
                failing = None;
                tell.send_replace(held);
            }
            Ok(Err(error)) => {
                warn!(%error, "the Lease can't be read or renewed; trying again");
                let since = *failing.get_or_insert_with(Instant::now);
                if since.elapsed() >= grace {
                    tell.send_replace(false);
                }
                sleep(RETRY).await;
            }
        }
    }
}
