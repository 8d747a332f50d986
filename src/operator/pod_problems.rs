//! Why gateways do not come up, in the words of their pods. However many there are, what is asked about them has one
//! bound for all together; while none is stuck, nothing is asked.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Api, ApiResource, ListParams};
use kube::runtime::reflector::ObjectRef;
use kube::{Client, ResourceExt};
use serde::Deserialize;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::api::{MetricsNamespace, names};
use crate::terminal::one_line_with_its_end;

use super::cluster::api_error::words;
use super::cluster::caches::Caches;
use super::cluster::live::Rollout;
use super::cluster::watched_objects::{Part, Watched};
use super::locked::Locked;
use super::observe;
use super::pacing::queue::Queue;

/// A gateway that has just been made is asked for this soon.
const FIRST_LOOK: Duration = Duration::from_secs(6);
/// One whose words stay the same is asked about at least this often. In between, as often as they take to be twice as old.
const LONGEST_LOOK: Duration = Duration::from_secs(300);
/// The same while few are down: who has mended one cause wants to read of the next.
const LONGEST_LOOK_AT_FEW: Duration = Duration::from_secs(30);
/// Up to so many pods are asked for one by one. For more, one list of all pods of gateways costs less.
const FEW: usize = 50;
/// Between two requests for single pods.
const BETWEEN_REQUESTS: Duration = Duration::from_millis(100);
/// Between two lists of all.
const BETWEEN_LISTS: Duration = Duration::from_secs(30);
/// Pods in one page of a list of all: a page is held whole while it is read, and anybody may label a pod of a megabyte
/// as a gateway's.
const PAGE: u32 = 25;
/// Pods of one namespace that are looked at.
const OF_ONE: u32 = 5;
/// Pages of which a list of all has at most one for each full page of gateways, and so many more: anybody may label
/// thousands of pods as a gateway's.
const SURPLUS_PAGES: usize = 40;
/// An answer that takes longer is given up.
const LONGEST_ANSWER: Duration = Duration::from_secs(65);
/// After so long without a word from anybody, that is what is said: whoever waits is to look.
const LONG: Duration = Duration::from_secs(40);
/// The words then; after those of its Deployment, where it has some.
const SILENCE: &str = "nothing says why, neither its Deployment nor a pod";
const WHERE_TO_LOOK: &str = "kubectl describe deployment,replicaset,pod -l app.kubernetes.io/name=pushgateway shows what was made";
/// What is said of a pod whose containers are ready, and which all the same is not.
const NODE_IS_SILENT: &str =
    "its containers were ready, and its node does not answer: see kubectl get nodes";
/// A condition of a pod that says no more than that it is not ready.
const NO_CAUSE: &str = "ContainersNotReady";
/// A pod's words are cut to so many characters: they go into a status.
const LONGEST_WORDS: usize = 800;

type Reference = ObjectRef<MetricsNamespace>;

/// What is known of gateways that do not come up, by namespace.
#[derive(Default)]
pub struct Pods {
    asked: Locked<HashMap<String, Asked>>,
    news: Notify,
}

struct Asked {
    /// Whose status has the words.
    object: Reference,
    /// What the Deployment says of its progress. Another means another pod.
    of: (Option<Timestamp>, Option<Timestamp>),
    /// Since when the gateway is down, as far as this clock knows.
    since: Instant,
    /// Since when its words are as they are.
    unchanged_since: Instant,
    due: Instant,
    words: Option<String>,
    /// Whether it has been down for long, and has no words.
    silent: bool,
}

impl Asked {
    fn plan_next(&mut self, now: Instant, longest: Duration) {
        let age = now.duration_since(self.unchanged_since);
        self.due = now + age.clamp(FIRST_LOOK, longest);
    }
}

impl Pods {
    /// Has a gateway asked about until it is up, and says what is known of why it is not.
    pub fn words(
        &self,
        object: &Reference,
        rollout: Option<&Rollout>,
        now: Timestamp,
    ) -> Option<String> {
        let namespace = object.namespace.clone().unwrap_or_default();
        let mut asked = self.asked.lock();
        let Some((rollout, since)) = rollout.and_then(|r| Some((r, observe::coming_up_since(r)?)))
        else {
            asked.remove(&namespace);
            return None;
        };
        let of = (rollout.since, rollout.progressed);
        if let Some(known) = asked.get(&namespace)
            && known.of == of
            && known.object == *object
        {
            let silence = || match (rollout.going, &rollout.problem) {
                (Some(since), _) => format!(
                    "its Deployment's deletion began at {since}, and a finalizer of it or of its pods holds it"
                ),
                (None, Some(problem)) => format!("{problem}; {WHERE_TO_LOOK}"),
                (None, None) => format!("{SILENCE}; {WHERE_TO_LOOK}"),
            };
            return (known.words.clone()).or_else(|| known.silent.then(silence));
        }
        let clock = Instant::now();
        let down = match rollout.available {
            // A changed one is to replace it, and the Deployment may still tell the time of the change before.
            true => Duration::ZERO,
            // A time that is still to come is that of another clock.
            false => Duration::try_from(now.duration_since(since)).unwrap_or_default(),
        };
        let since = clock.checked_sub(down).unwrap_or(clock);
        let object = object.clone();
        let (due, words) = (clock + FIRST_LOOK.saturating_sub(down), None);
        asked.insert(
            namespace,
            Asked {
                object,
                of,
                since,
                unchanged_since: since,
                due,
                words,
                silent: false,
            },
        );
        self.news.notify_one();
        None
    }

    /// Asks, for as long as the operator works.
    pub async fn run(&self, client: &Client, caches: &Caches, queue: &Queue) {
        let mut listed: Option<Instant> = None;
        loop {
            let (due, next) = self.due(caches, Instant::now());
            if due.is_empty() {
                let pause = next.map_or(LONGEST_LOOK, |at| at.duration_since(Instant::now()));
                // Whatever comes first.
                let _ = timeout(pause, self.news.notified()).await;
                continue;
            }
            let rests = listed.is_some_and(|at| at.elapsed() < BETWEEN_LISTS);
            if due.len() > FEW && !rests {
                let gateways = caches.objects.count();
                let answer = list_all(client, gateways).await;
                listed = Some(Instant::now());
                self.answered_all(answer, &due, queue);
            } else {
                for namespace in due.iter().take(FEW) {
                    let answer = of_one(client, namespace).await;
                    self.answered(namespace, in_words(answer), queue);
                    sleep(BETWEEN_REQUESTS).await;
                }
            }
        }
    }

    /// The namespaces that are to be asked about now, those first that wait for longest; and when the next one is.
    fn due(&self, caches: &Caches, now: Instant) -> (Vec<String>, Option<Instant>) {
        let mut asked = self.asked.lock();
        asked.retain(|namespace, asked| {
            // Whatever else ended it: the object may be gone, or paused.
            asked.due > now || caches.children.in_namespace(namespace).iter().any(is_down)
        });
        let mut due: Vec<_> = asked.iter().filter(|(_, a)| a.due <= now).collect();
        due.sort_by_key(|(_, asked)| asked.due);
        let due = due.into_iter().map(|(name, _)| name.clone()).collect();
        (due, asked.values().map(|a| a.due).min())
    }

    fn answered(&self, namespace: &str, words: Option<String>, queue: &Queue) {
        let mut asked = self.asked.lock();
        let longest = match asked.len() {
            0..=FEW => LONGEST_LOOK_AT_FEW,
            _ => LONGEST_LOOK,
        };
        let Some(asked) = asked.get_mut(namespace) else {
            return;
        };
        let now = Instant::now();
        let silent = words.is_none() && now.duration_since(asked.since) >= LONG;
        if asked.words != words {
            asked.unchanged_since = now;
        }
        if (&asked.words, asked.silent) != (&words, silent) {
            (asked.words, asked.silent) = (words, silent);
            queue.add_all(vec![asked.object.clone()]);
        }
        asked.plan_next(now, longest);
    }

    /// One answer serves all, also those that it was not yet asked for.
    fn answered_all(&self, answer: Result<AllPods, String>, due: &[String], queue: &Queue) {
        match answer {
            Ok(mut pods) => {
                let known: Vec<String> = self.asked.lock().keys().cloned().collect();
                for namespace in known {
                    match pods.newest.remove(&namespace) {
                        Some(pod) => self.answered(&namespace, pod.problem, queue),
                        // Perhaps among those that were not listed: asked one by one.
                        None if pods.more => {}
                        None => self.answered(&namespace, None, queue),
                    }
                }
            }
            Err(error) => {
                for namespace in due {
                    self.answered(namespace, in_words(Err(error.clone())), queue);
                }
            }
        }
    }
}

fn is_down(live: &super::cluster::live::Live) -> bool {
    live.rollout
        .as_ref()
        .is_some_and(|rollout| observe::coming_up_since(rollout).is_some())
}

async fn within<T>(answer: impl Future<Output = Result<T, kube::Error>>) -> Result<T, String> {
    match timeout(LONGEST_ANSWER, answer).await {
        Ok(answer) => answer.map_err(|error| words(&error)),
        Err(_) => Err(format!(
            "the API server has not answered for {}s",
            LONGEST_ANSWER.as_secs()
        )),
    }
}

fn in_words(answer: Result<Option<Newest>, String>) -> Option<String> {
    match answer {
        Ok(pod) => pod?.problem,
        Err(error) => Some(format!("its pod could not be asked why: {error}")),
    }
}

/// The newest pod of a gateway.
struct Newest {
    created: Option<Timestamp>,
    problem: Option<String>,
}

/// What a list of all pods of gateways has shown.
#[derive(Default)]
struct AllPods {
    newest: HashMap<String, Newest>,
    /// Whether there are more than were listed.
    more: bool,
}

impl AllPods {
    fn add(&mut self, pod: &Pod) {
        let created = pod.creation_timestamp().map(|Time(time)| time);
        let namespace = pod.namespace().unwrap_or_default();
        let known = self.newest.get(&namespace);
        if known.is_none_or(|known| known.created <= created) {
            let problem =
                problem_of(&pod.part).map(|words| one_line_with_its_end(&words, LONGEST_WORDS));
            self.newest.insert(namespace, Newest { created, problem });
        }
    }
}

async fn of_one(client: &Client, namespace: &str) -> Result<Option<Newest>, String> {
    let api = Api::namespaced_with(client.clone(), namespace, &resource());
    let mut pods = AllPods::default();
    for pod in within(api.list(&gateways().limit(OF_ONE))).await?.items {
        pods.add(&pod);
    }
    Ok(pods.newest.remove(namespace))
}

async fn list_all(client: &Client, gateways_there: usize) -> Result<AllPods, String> {
    let api: Api<Pod> = Api::all_with(client.clone(), &resource());
    let mut pods = AllPods::default();
    let mut parameters = gateways().limit(PAGE);
    for _ in 0..gateways_there / PAGE as usize + SURPLUS_PAGES {
        let page = within(api.list(&parameters)).await?;
        page.items.iter().for_each(|pod| pods.add(pod));
        parameters.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
        pods.more = parameters.continue_token.is_some();
        if !pods.more {
            break;
        }
    }
    Ok(pods)
}

fn resource() -> ApiResource {
    ApiResource::erase::<k8s_openapi::api::core::v1::Pod>(&())
}

fn gateways() -> ListParams {
    let selector = format!(
        "app.kubernetes.io/name={},{}={}",
        names::GATEWAY,
        names::MANAGED_BY_LABEL,
        names::MANAGER
    );
    ListParams::default()
        .labels(&selector)
        // Pods that were evicted stay for long, and are not the one that is waited for.
        .fields("status.phase!=Failed,status.phase!=Succeeded")
}

/// A pod, of which only what says why it is not ready is read.
type Pod = Watched<PodPart>;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct PodPart {
    status: PodStatus,
}

impl Part for PodPart {
    const METADATA_ONLY: bool = false;
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodStatus {
    reason: Option<String>,
    message: Option<String>,
    container_statuses: Vec<ContainerStatus>,
    conditions: Vec<PodCondition>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ContainerStatus {
    name: String,
    ready: bool,
    state: ContainerState,
    last_state: ContainerState,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ContainerState {
    waiting: Option<Words>,
    running: Option<Words>,
    terminated: Option<Words>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Words {
    reason: Option<String>,
    message: Option<String>,
    exit_code: i32,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct PodCondition {
    r#type: String,
    status: String,
    reason: Option<String>,
    message: Option<String>,
}

/// What keeps a pod from being ready, in the kubelet's or the scheduler's words.
fn problem_of(PodPart { status }: &PodPart) -> Option<String> {
    let of_all = joined(status.reason.as_ref(), status.message.as_ref());
    let container = status.container_statuses.iter().find(|c| !c.ready);
    let of_container = container.and_then(|c| {
        match (state_in_words(&c.state), state_in_words(&c.last_state)) {
            (Some(now), Some(before)) => Some(format!("{now} (before: {before})")),
            (now, before) => now.or(before),
        }
        .map(|words| format!("container {}: {words}", c.name))
    });
    let of_pod = || {
        let mut conditions = status.conditions.iter();
        let bad = conditions.find(|c| {
            c.status == "False" && c.message.is_some() && c.reason.as_deref() != Some(NO_CAUSE)
        })?;
        let reason = bad.reason.as_ref().unwrap_or(&bad.r#type);
        Some(format!("{reason}: {}", bad.message.as_ref()?))
    };
    of_all
        .or(of_container)
        .or_else(of_pod)
        .or_else(|| is_left_alone(status).then(|| NODE_IS_SILENT.to_owned()))
}

/// Whether somebody else than its kubelet took the pod's readiness away: that keeps both in step.
fn is_left_alone(status: &PodStatus) -> bool {
    let mut conditions = status.conditions.iter();
    !status.container_statuses.is_empty()
        && status.container_statuses.iter().all(|c| c.ready)
        && conditions.any(|c| c.r#type == "Ready" && c.status == "False")
}

fn joined(reason: Option<&String>, message: Option<&String>) -> Option<String> {
    match (reason, message) {
        (Some(reason), Some(message)) => Some(format!("{reason}: {message}")),
        (reason, message) => reason.or(message).cloned(),
    }
}

fn state_in_words(state: &ContainerState) -> Option<String> {
    let join = |words: &Words| joined(words.reason.as_ref(), words.message.as_ref());
    if let Some(waiting) = &state.waiting {
        let underway = ["ContainerCreating", "PodInitializing"];
        let reason = waiting.reason.as_deref().unwrap_or_default();
        return (waiting.message.is_some() || !underway.contains(&reason))
            .then(|| join(waiting))?;
    }
    if state.running.is_some() {
        return Some("runs, and its readiness probe fails; the pod's events say how".into());
    }
    let ended = state.terminated.as_ref()?;
    let why = join(ended).unwrap_or_else(|| "ended".into());
    Some(format!("{why}, exit code {}", ended.exit_code))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;

    use http::{Request, Response};
    use kube::client::Body;
    use serde_json::json;
    use tower::service_fn;

    use super::*;

    /// Of an API server that takes so long for each page of a list, and has as many as it has to.
    fn client(answered_after: Duration) -> Client {
        client_asking(answered_after, Arc::default())
    }

    /// The same, noting how many pods are asked for at once.
    fn client_asking(answered_after: Duration, asked: Arc<Locked<Vec<u32>>>) -> Client {
        let answer = move |request: Request<Body>| {
            let query = request.uri().query().unwrap().to_owned();
            let limit = query
                .split('&')
                .find_map(|part| part.strip_prefix("limit="));
            asked
                .lock()
                .push(limit.map_or(u32::MAX, |limit| limit.parse().unwrap()));
            answered(answered_after)
        };
        Client::new(service_fn(answer), "default")
    }

    async fn answered(after: Duration) -> Result<Response<Body>, Infallible> {
        sleep(after).await;
        let metadata = json!({"continue": "more", "resourceVersion": "1"});
        let list =
            json!({"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": []});
        let body = Body::from(list.to_string().into_bytes());
        Ok(Response::new(body))
    }

    #[tokio::test]
    async fn no_more_pods_are_held_at_once_than_fit_where_each_has_a_megabyte() {
        let asked = Arc::new(Locked::default());
        let client = client_asking(Duration::ZERO, asked.clone());
        of_one(&client, "alice").await.unwrap();
        list_all(&client, 10_000).await.unwrap();
        let asked = asked.lock();
        assert!(asked.iter().all(|limit| *limit <= 25), "{asked:?}");
        // All gateways, and a thousand beside them.
        assert!(asked[1..].iter().sum::<u32>() >= 11_000, "{}", asked.len());
    }

    fn problem(status: serde_json::Value) -> Option<String> {
        problem_of(&serde_json::from_value(json!({"status": status})).unwrap())
    }

    fn not_ready() -> serde_json::Value {
        json!([
            {"type": "Ready", "status": "False", "reason": "ContainersNotReady",
             "message": "containers with unready status: [pushgateway]"},
            {"type": "ContainersReady", "status": "False", "reason": "ContainersNotReady",
             "message": "containers with unready status: [pushgateway]"},
        ])
    }

    #[test]
    fn that_a_pod_is_not_ready_is_no_cause() {
        let container = json!({"name": "pushgateway", "ready": false, "state": {"waiting": {"reason": "ContainerCreating"}}});
        let status = json!({"containerStatuses": [container], "conditions": not_ready()});
        assert_eq!(problem(status), None);
    }

    #[test]
    fn a_pod_on_a_node_that_does_not_answer_says_so() {
        let container = json!({"name": "pushgateway", "ready": true, "state": {"running": {}}});
        let ready = |status: &str| json!([{"type": "Ready", "status": status}]);
        let pod = |containers: serde_json::Value, conditions| json!({"containerStatuses": containers, "conditions": conditions});
        let silent = problem(pod(json!([container]), ready("False")));
        assert!(silent.is_some_and(|words| words.contains("its node does not answer")));
        assert_eq!(problem(pod(json!([container]), ready("True"))), None);
        assert_eq!(problem(pod(json!([]), ready("False"))), None);

        let mut lost = pod(json!([container]), ready("False"));
        lost["reason"] = "NodeLost".into();
        lost["message"] = "Node a is unresponsive".into();
        let words = problem(lost);
        assert_eq!(words.as_deref(), Some("NodeLost: Node a is unresponsive"));
    }

    #[test]
    fn the_cause_of_a_failed_pull_stands_at_the_end_and_is_kept() {
        let image = format!("registry/{}", "a".repeat(LONGEST_WORDS));
        let message = format!(
            "failed to pull image {image}: not found: the registry says that it is not there"
        );
        let waiting = json!({"reason": "ErrImagePull", "message": message});
        let pod = json!({
            "metadata": {"name": "a", "namespace": "alice"},
            "status": {"containerStatuses": [{"name": "pushgateway", "ready": false, "state": {"waiting": waiting}}]},
        });
        let mut pods = AllPods::default();
        pods.add(&serde_json::from_value(pod).unwrap());
        let words = pods.newest["alice"].problem.as_deref().unwrap();
        assert!(
            words.starts_with("container pushgateway: ErrImagePull: failed"),
            "{words}"
        );
        assert!(
            words.ends_with("the registry says that it is not there"),
            "{words}"
        );
    }

    #[test]
    fn who_mends_one_cause_reads_of_the_next_within_half_a_minute_while_few_are_down() {
        let (pods, queue) = (Pods::default(), Queue::default());
        let now = Timestamp::now();
        let down = Rollout {
            since: now.checked_sub(LONGEST_LOOK).ok(),
            ..Rollout::default()
        };
        let goes_down = |namespace: &str| {
            let object = ObjectRef::new("metrics").within(namespace);
            pods.words(&object, Some(&down), now);
        };
        // In how many seconds it is asked about again after an answer.
        let next_after = |words: &str| {
            pods.answered("alice", Some(words.to_owned()), &queue);
            let due = pods.asked.lock()["alice"].due;
            due.duration_since(Instant::now()).as_secs_f64().round()
        };
        let long_unchanged = || {
            let long_ago = Instant::now().checked_sub(LONGEST_LOOK * 2);
            pods.asked.lock().get_mut("alice").unwrap().unchanged_since = long_ago.unwrap();
        };
        goes_down("alice");
        assert_eq!(
            next_after("one"),
            FIRST_LOOK.as_secs_f64(),
            "its words are new"
        );
        long_unchanged();
        assert_eq!(next_after("one"), LONGEST_LOOK_AT_FEW.as_secs_f64());
        assert_eq!(next_after("another"), FIRST_LOOK.as_secs_f64());
        for number in 0..FEW {
            goes_down(&format!("many-{number}"));
        }
        long_unchanged();
        assert_eq!(next_after("another"), LONGEST_LOOK.as_secs_f64());
    }

    #[test]
    fn a_change_of_a_gateway_that_answers_is_not_called_stuck_for_the_time_of_the_change_before() {
        let (pods, queue) = (Pods::default(), Queue::default());
        let object = ObjectRef::new("metrics").within("alice");
        let now = Timestamp::now();
        let changed = Rollout {
            available: true,
            progressed: now.checked_sub(LONG * 100).ok(),
            ..Rollout::default()
        };
        assert_eq!(pods.words(&object, Some(&changed), now), None);
        let due = pods.asked.lock()["alice"].due;
        assert!(due > Instant::now(), "it is asked about at once");
        pods.answered("alice", None, &queue);
        assert_eq!(pods.words(&object, Some(&changed), now), None);
    }

    #[test]
    fn who_has_been_down_for_long_without_a_pods_word_is_told_where_to_look() {
        let pods = Pods::default();
        let object = ObjectRef::new("metrics").within("alice");
        let now = Timestamp::now();
        let rollout = |problem: Option<&str>| Rollout {
            complete: false,
            available: false,
            since: now.checked_sub(LONG).ok(),
            problem: problem.map(ToOwned::to_owned),
            ..Rollout::default()
        };
        let queue = Queue::default();
        assert_eq!(pods.words(&object, Some(&rollout(None)), now), None);
        pods.answered("alice", None, &queue);
        for (deployments, says) in [(None, SILENCE), (Some("it timed out"), "it timed out")] {
            let words = pods.words(&object, Some(&rollout(deployments)), now);
            assert_eq!(words, Some(format!("{says}; {WHERE_TO_LOOK}")));
        }
        let going = Rollout {
            going: Some("2026-01-01T00:00:00Z".parse().unwrap()),
            ..rollout(Some("it timed out"))
        };
        let words = pods.words(&object, Some(&going), now).unwrap();
        assert!(
            words.starts_with("its Deployment's deletion began at 2026-01-01T00:00:00Z"),
            "{words}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_of_many_pages_is_given_up_only_where_one_page_is_not_answered() {
        let second = Duration::from_secs(1);
        let pods = list_all(&client(LONGEST_ANSWER - second), 0).await;
        assert!(pods.is_ok_and(|pods| pods.more));
        let error = list_all(&client(LONGEST_ANSWER + second), 0).await;
        let error = error.err().unwrap();
        assert_eq!(error, "the API server has not answered for 65s");
    }
}
