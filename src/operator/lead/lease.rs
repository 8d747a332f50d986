//! The Lease that lets one of several operators work: asked for, renewed, given back. `election` decides.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::coordination::v1::{Lease as LeaseObject, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Api, Patch, PatchParams, PostParams, WatchParams};
use kube::core::WatchEvent;
use kube::{Client, Error as KubeError, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tracing::{info, warn};

use crate::api::names;

use super::election::{Candidate, Tenure, Whose, holder};
use super::fence::{Fence, Keeper};
use crate::operator::cluster::api_error::words;
use crate::operator::cluster::retry_after;
use crate::operator::locked::Locked;
use crate::operator::settings::LeaseSettings;
use crate::operator::telemetry::health::{Health, Role};

/// Between two looks at the Lease where it can't be watched, or where something went wrong.
const PAUSE: Duration = Duration::from_secs(1);
/// Before it is read again after somebody else was faster.
const RACE_PAUSE: Duration = Duration::from_millis(100);
/// The API server ends a watch after so many seconds.
const WATCH_LIFE: u32 = 290;
/// Time to give the Lease back in, so that nobody has to wait for its end.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(3);

/// Why the Lease is not to be had, or no longer.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the API server has not answered in time")]
    Unanswered,
    #[error("{}", words(.0))]
    Api(#[from] KubeError),
}

impl Failure {
    /// Somebody else wrote to it, made it or deleted it.
    fn is_race(&self) -> bool {
        let Self::Api(KubeError::Api(status)) = self else {
            return false;
        };
        // Its namespace may be missing too, which is no race.
        let is_lease = status.details.as_ref().is_some_and(|d| d.kind == "leases");
        status.is_conflict() || status.is_already_exists() || (status.is_not_found() && is_lease)
    }

    fn retry_after(&self) -> Duration {
        match self {
            Self::Unanswered => Duration::ZERO,
            Self::Api(error) => retry_after::of(error),
        }
    }
}

/// The Lease object, and who writes to it.
#[derive(Clone)]
struct Object {
    api: Api<LeaseObject>,
    settings: LeaseSettings,
    namespace: String,
    identity: String,
}

impl Object {
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
            api: Api::namespaced(client, &namespace),
            settings: settings.clone(),
            namespace,
            identity,
        }
    }

    fn name(&self) -> String {
        format!("Lease {}/{}", self.namespace, self.settings.name)
    }

    async fn read(&self) -> Result<Option<LeaseObject>, Failure> {
        let answer = timeout(
            self.settings.answer_timeout(),
            self.api.get_opt(&self.settings.name),
        );
        Ok(answer.await.map_err(|_| Failure::Unanswered)??)
    }

    async fn create(&self) -> Result<LeaseObject, Failure> {
        let lease = LeaseObject {
            metadata: ObjectMeta {
                name: Some(self.settings.name.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                lease_transitions: Some(0),
                ..self.spec()
            }),
        };
        let parameters = PostParams {
            field_manager: Some(names::MANAGER.into()),
            ..PostParams::default()
        };
        let answer = timeout(
            self.settings.answer_timeout(),
            self.api.create(&parameters, &lease),
        );
        Ok(answer.await.map_err(|_| Failure::Unanswered)??)
    }

    /// Writes to it if nobody else has since it had this version.
    async fn patch(
        &self,
        version: &str,
        spec: &Value,
        patience: Duration,
    ) -> Result<LeaseObject, Failure> {
        let patch = json!({"metadata": {"resourceVersion": version}, "spec": spec});
        let parameters = PatchParams {
            field_manager: Some(names::MANAGER.into()),
            ..PatchParams::default()
        };
        let patch = Patch::Merge(patch);
        let answer = self.api.patch(&self.settings.name, &parameters, &patch);
        let answer = timeout(patience, answer).await;
        Ok(answer.map_err(|_| Failure::Unanswered)??)
    }

    /// As it is when it is taken.
    fn spec(&self) -> LeaseSpec {
        let now = MicroTime(jiff::Timestamp::now());
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.settings.duration.as_secs()).ok(),
            acquire_time: Some(now.clone()),
            renew_time: Some(now),
            ..LeaseSpec::default()
        }
    }

    /// Gives it back, if it is this operator's.
    async fn give_back(&self, version: Option<String>) -> Result<(), Failure> {
        let spec = json!({"holderIdentity": null, "acquireTime": null, "renewTime": null});
        let mut known = version;
        loop {
            let version = match known.take() {
                Some(version) => version,
                None => match self.read().await? {
                    Some(lease) if holder(&lease) == Some(&self.identity) => {
                        lease.resource_version().unwrap_or_default()
                    }
                    _ => return Ok(()),
                },
            };
            match self.patch(&version, &spec, RELEASE_TIMEOUT).await {
                Ok(_) => return Ok(()),
                // A renewal whose answer was lost, say.
                Err(failure) if failure.is_race() => {}
                Err(failure) => return Err(failure),
            }
        }
    }

    /// As [`Self::give_back`], for as long as that is worth, and says where it did not work.
    async fn give_back_in_time(&self, version: Option<String>) {
        let gave = timeout(RELEASE_TIMEOUT, self.give_back(version)).await;
        if let Err(error) = gave.unwrap_or(Err(Failure::Unanswered)) {
            warn!(
                %error,
                "the Lease was not given back; another operator has to wait until it ends"
            );
        }
    }
}

/// An operator that waits for the Lease.
pub struct Waiting {
    object: Object,
    candidate: Candidate,
    health: Arc<Health>,
    /// Whether it asked for the Lease, and may hold it without knowing.
    asked: bool,
    /// Who was told to hold it.
    told: Option<String>,
    /// Whether it was told that the Lease can't be watched.
    told_blind: bool,
}

impl Waiting {
    pub fn new(client: Client, settings: &LeaseSettings, health: Arc<Health>) -> Self {
        let object = Object::new(client, settings);
        Self {
            candidate: Candidate::new(object.identity.clone(), settings.duration),
            object,
            health,
            asked: false,
            told: None,
            told_blind: false,
        }
    }

    /// Waits until this operator holds it.
    pub async fn held(&mut self) -> Lease {
        loop {
            let tried = async {
                let lease = self.object.read().await?;
                self.follow(lease).await
            };
            match tried.await {
                Ok(Some(lease)) => return lease,
                Ok(None) => {}
                Err(failure) if failure.is_race() => sleep(RACE_PAUSE).await,
                Err(failure) => {
                    if let Some(told) = self.health.lease_fails(&failure.to_string()) {
                        warn!(error = %failure, "the Lease {told}");
                    }
                    sleep(failure.retry_after().max(PAUSE)).await;
                }
            }
        }
    }

    fn works(&self) {
        if let Some(told) = self.health.lease_works() {
            info!("the Lease {told}");
        }
    }

    /// Follows the Lease from what was read until it is this operator's. `None` to begin anew.
    async fn follow(&mut self, read: Option<LeaseObject>) -> Result<Option<Lease>, Failure> {
        let mut events = None;
        let mut lease = read;
        loop {
            let now = Instant::now();
            let (until, version) = match self.candidate.look(lease.as_ref(), now) {
                Whose::Nobodys => {
                    self.asked = true;
                    let made = self.object.create().await?;
                    return Ok(Some(self.begin(now, &made)));
                }
                Whose::Deleted { until } => {
                    sleep_until(until.min(now + PAUSE)).await;
                    return Ok(None);
                }
                Whose::Free { version } => {
                    let taken = self.take(&version, lease.as_ref()).await?;
                    return Ok(Some(self.begin(now, &taken)));
                }
                Whose::Theirs {
                    words,
                    holder,
                    until,
                    version,
                } => {
                    self.wait_for(&holder, &words);
                    (until, version)
                }
            };
            let stream = match &mut events {
                Some(stream) => stream,
                None => match self.watch(&version).await {
                    Ok(stream) => events.insert(stream),
                    Err(failure) => {
                        self.blind(&failure);
                        sleep(PAUSE.max(failure.retry_after())).await;
                        return Ok(None);
                    }
                },
            };
            match timeout_at(until, stream.next()).await {
                // Nobody has renewed it; or the watch is dead, and taking it fails.
                Err(_) => {}
                Ok(Some(Ok(WatchEvent::Added(new) | WatchEvent::Modified(new)))) => {
                    lease = Some(new);
                }
                Ok(Some(Ok(WatchEvent::Deleted(_)))) => lease = None,
                Ok(Some(Ok(WatchEvent::Bookmark(_)))) => {}
                Ok(Some(Ok(WatchEvent::Error(_)) | Err(_)) | None) => {
                    sleep(PAUSE).await;
                    return Ok(None);
                }
            }
        }
    }

    /// Of the one object, so that its release is known at once.
    async fn watch(
        &self,
        version: &str,
    ) -> Result<
        futures::stream::BoxStream<'static, Result<WatchEvent<LeaseObject>, KubeError>>,
        Failure,
    > {
        let parameters = WatchParams::default()
            .fields(&format!("metadata.name={}", self.object.settings.name))
            .timeout(WATCH_LIFE);
        let answer = self.object.api.watch(&parameters, version);
        let answer = timeout(self.object.settings.answer_timeout(), answer).await;
        let events = answer.map_err(|_| Failure::Unanswered)??;
        Ok(events.boxed())
    }

    /// Where the right to watch is missing, as beside rights of an older version, it is read each second.
    fn blind(&mut self, failure: &Failure) {
        let forbidden =
            matches!(failure, Failure::Api(KubeError::Api(status)) if status.is_forbidden());
        if forbidden && !std::mem::replace(&mut self.told_blind, true) {
            warn!(error = %failure, "the Lease can't be watched and is read each second");
        }
    }

    async fn take(
        &mut self,
        version: &str,
        before: Option<&LeaseObject>,
    ) -> Result<LeaseObject, Failure> {
        let transitions = before
            .and_then(|lease| lease.spec.as_ref()?.lease_transitions)
            .unwrap_or_default();
        let spec = LeaseSpec {
            lease_transitions: Some(transitions.saturating_add(1)),
            ..self.object.spec()
        };
        self.asked = true;
        let patience = self.object.settings.answer_timeout();
        self.object.patch(version, &json!(spec), patience).await
    }

    fn wait_for(&mut self, holder: &str, words: &str) {
        self.works();
        let words = format!("{} {words}", self.object.name());
        if self.told.as_deref() != Some(holder) {
            info!("standing by; {words}");
            self.told = Some(holder.to_owned());
        }
        self.health.set_role(Role::Standby(words));
    }

    /// It was taken by a write that began then.
    fn begin(&self, began: Instant, lease: &LeaseObject) -> Lease {
        self.works();
        let tenure = Tenure::new(self.object.settings.duration, began);
        let (keeper, fence) = Fence::until(tenure.end());
        let (release, released) = oneshot::channel();
        let lost = Arc::new(Locked::from("its renewal ended".to_owned()));
        let holding = Holding {
            object: self.object.clone(),
            health: self.health.clone(),
            tenure,
            version: lease.resource_version().unwrap_or_default(),
            lost: lost.clone(),
        };
        Lease {
            fence,
            held: Some(Held {
                lost,
                release,
                task: tokio::spawn(holding.keep(keeper, released)),
            }),
        }
    }

    /// Gives up waiting; what it may hold without knowing is given back.
    pub async fn give_up(self) {
        if self.asked {
            self.object.give_back_in_time(None).await;
        }
    }
}

/// The Lease, held. Without one, an operator that works alone.
pub struct Lease {
    fence: Fence,
    held: Option<Held>,
}

struct Held {
    /// Why it is lost, where it is.
    lost: Arc<Locked<String>>,
    release: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Lease {
    /// For an operator that works alone.
    pub fn none() -> Self {
        Self {
            fence: Fence::always_open(),
            held: None,
        }
    }

    /// What keeps this operator from writing after its end.
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Waits until this operator no longer holds it, or can't know any more; in words, why.
    pub async fn lost(&self) -> String {
        let Some(held) = &self.held else {
            return pending().await;
        };
        self.fence.closed().await;
        held.lost.lock().clone()
    }

    /// Writes no more, and gives it back, so that another need not wait until it ends.
    pub async fn release(self) {
        if let Some(held) = self.held {
            // Fails only when it is lost already.
            let _ = held.release.send(());
            let _ = held.task.await;
        }
    }
}

struct Holding {
    object: Object,
    health: Arc<Health>,
    tenure: Tenure,
    version: String,
    lost: Arc<Locked<String>>,
}

impl Holding {
    /// Until it is lost or to be released. The fence is closed in either case.
    async fn keep(mut self, keeper: Keeper, mut released: oneshot::Receiver<()>) {
        loop {
            let renewed = async {
                sleep_until(self.tenure.next()).await;
                self.renew(&keeper).await
            };
            tokio::select! {
                biased;
                released = &mut released => {
                    keeper.close();
                    if released.is_ok() {
                        self.object.give_back_in_time(Some(self.version)).await;
                    }
                    return;
                }
                goes_on = renewed => if !goes_on { return },
            }
        }
    }

    /// One try; false where the Lease is lost.
    async fn renew(&mut self, keeper: &Keeper) -> bool {
        let began = Instant::now();
        if began >= self.tenure.end() {
            return false;
        }
        let spec = json!({
            "holderIdentity": self.object.identity,
            "leaseDurationSeconds": self.object.settings.duration.as_secs(),
            "renewTime": MicroTime(jiff::Timestamp::now()),
        });
        let patience = self.tenure.patience(began);
        let result = match self.object.patch(&self.version, &spec, patience).await {
            Err(failure) if failure.is_race() => match self.look_again().await {
                // Ours still: the next try has its version.
                Ok(true) => {
                    self.tenure.failed(Instant::now(), Duration::ZERO);
                    return true;
                }
                Ok(false) => return false,
                Err(failure) => Err(failure),
            },
            result => result,
        };
        match result {
            Ok(lease) => {
                self.version = lease.resource_version().unwrap_or_default();
                self.tenure.renewed(began);
                if let Some(told) = self.health.lease_works() {
                    info!("the Lease {told}");
                }
                let kept = keeper.keep_until(self.tenure.end());
                *self.lost.lock() = match kept {
                    true => "its renewal ended".into(),
                    false => "it was renewed too late".into(),
                };
                kept
            }
            Err(failure) => {
                if let Some(told) = self.health.lease_fails(&failure.to_string()) {
                    warn!(error = %failure, "the Lease {told}");
                }
                *self.lost.lock() = format!("it could not be renewed in time: {failure}");
                let now = Instant::now();
                self.tenure.failed(now, failure.retry_after());
                now < self.tenure.end()
            }
        }
    }

    /// Whose it is after somebody wrote to it; whether it is this operator's still.
    async fn look_again(&mut self) -> Result<bool, Failure> {
        let patience = self.tenure.patience(Instant::now());
        let read = timeout(patience, self.object.read()).await;
        let lease = match read.map_err(|_| Failure::Unanswered)?? {
            Some(lease) => lease,
            // Whoever makes it holds it.
            None => self.object.create().await?,
        };
        if holder(&lease) == Some(&self.object.identity) {
            self.version = lease.resource_version().unwrap_or_default();
            return Ok(true);
        }
        *self.lost.lock() = format!(
            "{} is held by {}",
            self.object.name(),
            holder(&lease).unwrap_or("nobody")
        );
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use http::{Method, Request, Response};
    use kube::client::Body;
    use tower::service_fn;

    /// Of an API server that has no Lease, and takes all. `patched` is called at each patch.
    fn client(patched: impl Fn() + Send + 'static) -> Client {
        let answer = move |request: Request<Body>| {
            if request.method() == Method::PATCH {
                patched();
            }
            let (code, body) = match *request.method() {
                Method::GET => (404, json!({"code": 404, "reason": "NotFound"})),
                _ => (
                    200,
                    json!({"metadata": {"name": "simplepipe", "resourceVersion": "1"}}),
                ),
            };
            let body = Body::from(body.to_string().into_bytes());
            async move { Response::builder().status(code).body(body) }
        };
        Client::new(service_fn(answer), "default")
    }

    #[tokio::test]
    async fn it_is_given_back_when_nothing_can_be_written_any_more() {
        let settings = LeaseSettings {
            name: "simplepipe".into(),
            namespace: None,
            identity: None,
            duration: Duration::from_secs(15),
        };
        let fence: Arc<Locked<Option<Fence>>> = Arc::default();
        let open_at_patches: Arc<Locked<Vec<bool>>> = Arc::default();
        let client = client({
            let (fence, open_at_patches) = (fence.clone(), open_at_patches.clone());
            move || {
                let is_open = fence.lock().as_ref().is_some_and(Fence::is_open);
                open_at_patches.lock().push(is_open);
            }
        });
        let lease = Waiting::new(client, &settings, Arc::new(Health::new([])))
            .held()
            .await;
        assert!(lease.fence().is_open());
        *fence.lock() = Some(lease.fence().clone());
        lease.release().await;
        let open = open_at_patches.lock().clone();
        assert_eq!(
            open,
            [false],
            "whether writes could be sent when it was given back"
        );
    }
}
