//! The Lease that lets one of several operators work.

use std::future::pending;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease as LeaseObject;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, ResourceExt};
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder, LeaseManagerError};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::api_error::with_causes;
use super::settings::LeaseSettings;

/// Between two tries.
const RETRY: Duration = Duration::from_millis(300);

/// The Lease, held or waited for. Without one, an operator that works alone.
pub struct Lease(Option<Asked>);

struct Asked {
    state: watch::Receiver<State>,
    task: JoinHandle<()>,
}

/// Whose the Lease is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// This operator's.
    Ours,
    /// Not this operator's; in words, whose.
    Waiting(String),
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
        let asker = Asker::new(client, settings);
        let manager = asker.manager().await?;
        let (tell, state) =
            watch::channel(State::Waiting("the Lease was not looked at yet".into()));
        let task = tokio::spawn(asker.run(manager, tell));
        Ok(Self(Some(Asked { state, task })))
    }

    /// Waits until this operator holds it, telling what is waited for. False if that can't come any more.
    pub async fn held(&mut self, mut tell: impl FnMut(&str)) -> bool {
        let Some(asked) = &mut self.0 else {
            return true;
        };
        loop {
            match &*asked.state.borrow_and_update() {
                State::Ours => return true,
                State::Waiting(why) => tell(why),
            }
            if asked.state.changed().await.is_err() {
                return false;
            }
        }
    }

    /// Waits until this operator no longer holds it, or can't know any more; in words, why.
    pub async fn lost(&mut self) -> String {
        let Some(asked) = &mut self.0 else {
            return pending().await;
        };
        match asked.state.wait_for(|s| *s != State::Ours).await.as_deref() {
            Ok(State::Waiting(why)) => why.clone(),
            // The sender goes only when the task ends, and then nobody renews.
            _ => "its renewal ended".to_owned(),
        }
    }

    /// Gives it back, so that another need not wait until it ends.
    pub async fn release(self) {
        if let Some(Asked { state, task }) = self.0 {
            drop(state);
            let _ = task.await;
        }
    }
}

/// Asks for the Lease again and again.
struct Asker {
    client: Client,
    namespace: String,
    settings: LeaseSettings,
    identity: String,
}

/// A Lease of somebody else's, as it was first seen.
struct Seen {
    version: Option<String>,
    since: Instant,
}

impl Asker {
    fn new(client: Client, settings: &LeaseSettings) -> Self {
        let namespace = settings
            .namespace
            .clone()
            .unwrap_or_else(|| client.default_namespace().to_owned());
        // Of one process only, so that nobody else of this name is taken for this operator.
        let identity = settings.identity.clone().unwrap_or_else(|| {
            format!(
                "{}-{}",
                std::process::id(),
                jiff::Timestamp::now().as_nanosecond()
            )
        });
        Self {
            client,
            namespace,
            settings: settings.clone(),
            identity,
        }
    }

    async fn manager(&self) -> Result<LeaseManager, LeaseManagerError> {
        LeaseManagerBuilder::new(self.client.clone(), &self.settings.name)
            .with_namespace(&self.namespace)
            .with_duration(self.settings.duration.as_secs())
            // Renewed at two thirds, so that one lost request does not lose the Lease.
            .with_grace(self.settings.grace().as_secs())
            .with_identity(&self.identity)
            .build()
            .await
    }

    async fn run(self, mut manager: LeaseManager, tell: watch::Sender<State>) {
        tokio::select! {
            () = self.keep(&mut manager, &tell) => {}
            () = tell.closed() => {}
        }
        if let Err(error) = manager.release().await {
            warn!(
                error = with_causes(&error),
                "the Lease was not given back; another operator has to wait until it ends"
            );
        }
    }

    /// Asks, renews, and tells of each change. A Lease that could not be renewed up to its end counts as lost.
    async fn keep(&self, manager: &mut LeaseManager, tell: &watch::Sender<State>) {
        let mut failing: Option<Instant> = None;
        let mut others: Option<Seen> = None;
        // The first change comes at once where the Lease is free, and else only when somebody lets go of it.
        if let Ok(whose) = self.look(&mut others).await {
            tell.send_replace(State::Waiting(whose));
        }
        loop {
            let ours = *tell.borrow() == State::Ours;
            // While renewals fail, no longer than until the Lease ends.
            let patience = match failing.filter(|_| ours) {
                Some(since) => self.settings.grace().saturating_sub(since.elapsed()),
                None => self.settings.duration,
            };
            // Returns with a change or an error; where it did neither for a whole duration, a renewal went well.
            match timeout(patience, manager.changed()).await {
                Ok(Ok(true)) => {
                    failing = None;
                    tell.send_replace(State::Ours);
                }
                Ok(Ok(false)) => {
                    failing = None;
                    // Whose it is would be good to know, but not for long: until it is told, this operator works on.
                    let whose = match timeout(RETRY, self.look(&mut others)).await {
                        Ok(Ok(whose)) => whose,
                        _ => "another operator took it".into(),
                    };
                    tell.send_replace(State::Waiting(whose));
                }
                Ok(Err(error)) => {
                    let error = with_causes(&error);
                    // Each try fails in the same way while the API server is away.
                    if failing.is_none() {
                        warn!(error, "the Lease can't be read or renewed; trying again");
                    } else {
                        debug!(error, "the Lease can't be read or renewed; trying again");
                    }
                    // The renewal was due when its answer began to be waited for.
                    failing.get_or_insert_with(|| Instant::now() - self.settings.answer_timeout());
                    sleep(RETRY).await;
                }
                Err(_) if ours && failing.is_some() => {
                    tell.send_replace(State::Waiting("it could not be renewed in time".into()));
                    failing = None;
                }
                Err(_) if ours => {}
                Err(_) => match self.look(&mut others).await {
                    Ok(whose) => {
                        if *tell.borrow() != State::Waiting(whose.clone()) {
                            info!("standing by; {whose}");
                            tell.send_replace(State::Waiting(whose));
                        }
                        // It looks again only when the holder's time is over by its own reading of that time.
                        if let Ok(fresh) = self.manager().await {
                            *manager = fresh;
                        }
                    }
                    Err(error) => warn!(
                        error = with_causes(&error),
                        "the Lease can't be read; trying again"
                    ),
                },
            }
        }
    }

    /// Looks whose the Lease is, and takes it from a holder that has not renewed it for its whole duration by this
    /// machine's clock: the holder's own may be hours ahead.
    async fn look(&self, others: &mut Option<Seen>) -> Result<String, kube::Error> {
        let (name, namespace) = (&self.settings.name, &self.namespace);
        let api: Api<LeaseObject> = Api::namespaced(self.client.clone(), namespace);
        let Some(lease) = api.get_opt(name).await? else {
            return Ok(format!(
                "Lease {namespace}/{name} is not there, and is made anew"
            ));
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.filter(|h| !h.is_empty());
        let Some(holder) = holder else {
            return Ok(format!("Lease {namespace}/{name} is free"));
        };
        let version = lease.resource_version();
        let unchanged = others.take().filter(|seen| seen.version == version);
        let since = unchanged.map_or_else(Instant::now, |seen| seen.since);
        if since.elapsed() > self.settings.duration {
            let patch = json!({
                "metadata": {"resourceVersion": version},
                "spec": {"holderIdentity": null, "renewTime": null, "acquireTime": null},
            });
            api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
                .await?;
            return Ok(format!("Lease {namespace}/{name} was left by {holder}"));
        }
        *others = Some(Seen { version, since });
        Ok(format!(
            "Lease {namespace}/{name} is held by {holder}, renewed {}",
            spec.renew_time
                .map_or_else(|| "never".into(), |t| t.0.to_string())
        ))
    }
}
