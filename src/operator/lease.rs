//! The Lease that lets one of several operators work.

use kube::Client;
use kube_lease_manager::{LeaseManagerBuilder, LeaseManagerError};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::settings::LeaseSettings;

/// The Lease, held or waited for.
pub struct Lease {
    held: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Lease {
    /// Starts to ask for it.
    ///
    /// # Errors
    /// When the Lease can't be read or made.
    pub async fn ask(client: Client, settings: &LeaseSettings) -> Result<Self, LeaseManagerError> {
        let namespace = settings
            .namespace
            .clone()
            .unwrap_or_else(|| client.default_namespace().to_owned());
        let seconds = settings.duration.as_secs();
        let mut builder = LeaseManagerBuilder::new(client, &settings.name)
            .with_namespace(namespace)
            .with_duration(seconds)
            // Renewed at two thirds, so that one lost request does not lose the Lease.
            .with_grace(seconds / 3);
        if let Some(identity) = &settings.identity {
            builder = builder.with_identity(identity.clone());
        }
        let (held, task) = builder.build().await?.watch().await;
        Ok(Self {
            held,
            task: tokio::spawn(async move {
                let _ = task.await;
            }),
        })
    }

    /// Waits until this operator holds it. False if that can't come any more.
    pub async fn held(&mut self) -> bool {
        self.held.wait_for(|held| *held).await.is_ok()
    }

    /// Waits until this operator no longer holds it.
    pub async fn lost(&mut self) {
        // The sender goes only when the task ends, and then nobody renews.
        let _ = self.held.wait_for(|held| !*held).await;
    }

    /// Gives it back, so that another need not wait until it ends.
    pub async fn release(self) {
        drop(self.held);
        let _ = self.task.await;
    }
}
