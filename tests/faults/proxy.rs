//! The proxy itself, before a server that is next to nothing.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use futures::{AsyncBufReadExt, TryStreamExt};
use http::Method;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::eventually::{eventually, so};
use crate::fault_proxy::{Asked, Fault, FaultProxy, Requests, Verb};

const SERVICES: &str = "/api/v1/namespaces/alice/services";
const SHORT: Duration = Duration::from_millis(300);
/// Longer than anything takes here, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that notes what is asked, answers each request alike, and sends the same events to all watches.
#[derive(Clone)]
struct Upstream {
    carried_out: Arc<Mutex<Vec<String>>>,
    events: broadcast::Sender<String>,
}

/// One that is running, a proxy before it, and a client that goes through.
struct Rig {
    upstream: Upstream,
    proxy: FaultProxy,
    client: Client,
    _folder: tempfile::TempDir,
}

impl Rig {
    async fn new() -> Self {
        let upstream = Upstream {
            carried_out: Arc::default(),
            events: broadcast::channel(16).0,
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new()
            .fallback(answer)
            .with_state(upstream.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        let text = json!({
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "users": [{"name": "u", "user": {"token": "of-the-operator"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        });
        std::fs::write(&kubeconfig, text.to_string()).unwrap();
        let proxy = FaultProxy::before(&kubeconfig);
        let through = Kubeconfig::read_from(proxy.kubeconfig()).unwrap();
        let options = KubeConfigOptions::default();
        let mut config = Config::from_custom_kubeconfig(through, &options)
            .await
            .unwrap();
        config.default_retry = false;
        let client = Client::try_from(config).unwrap();
        Self {
            upstream,
            proxy,
            client,
            _folder: folder,
        }
    }

    async fn ask(&self, method: Method, path: &str) -> Result<String, kube::Error> {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .body(b"{}".to_vec());
        self.client.request_text(request.unwrap()).await
    }

    async fn create(&self) -> Result<String, kube::Error> {
        self.ask(Method::POST, SERVICES).await
    }

    fn carried_out(&self) -> Vec<String> {
        self.upstream.carried_out.lock().unwrap().clone()
    }

    async fn watch(&self) -> Lines {
        let before = self.upstream.events.receiver_count();
        let path = format!("{SERVICES}?watch=true");
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        let lines = self.client.request_stream(request).await.unwrap().lines();
        assert!(self.upstream.events.receiver_count() > before);
        Lines(Box::pin(lines))
    }

    fn event(&self, uid: &str, version: &str) {
        let object = json!({"metadata": {"uid": uid, "resourceVersion": version}});
        let event = json!({"type": "MODIFIED", "object": object});
        self.upstream.events.send(format!("{event}\n")).unwrap();
    }
}

type LineStream = dyn futures::Stream<Item = std::io::Result<String>> + Send;

struct Lines(std::pin::Pin<Box<LineStream>>);

impl Lines {
    /// The version in the next event; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        let line = tokio::time::timeout(PATIENCE, self.0.try_next())
            .await
            .unwrap();
        let event: Value = serde_json::from_str(&line.ok()??).ok()?;
        let version = &event["object"]["metadata"]["resourceVersion"];
        Some(version.as_str().unwrap_or_default().to_owned())
    }

    async fn is_silent(&mut self) -> bool {
        tokio::time::timeout(SHORT, self.0.try_next())
            .await
            .is_err()
    }
}

async fn answer(State(upstream): State<Upstream>, request: Request) -> Response {
    let uri = request.uri().to_string();
    if request.headers()[http::header::AUTHORIZATION] != "Bearer of-the-operator" {
        return http::StatusCode::UNAUTHORIZED.into_response();
    }
    if uri.contains("watch=true") {
        let events = upstream.events.subscribe();
        let lines = futures::stream::unfold(events, async |mut events| {
            let line = events.recv().await.ok()?;
            Some((Ok::<_, std::io::Error>(Bytes::from(line)), events))
        });
        return Body::from_stream(lines).into_response();
    }
    let asked = format!("{} {uri}", request.method());
    upstream.carried_out.lock().unwrap().push(asked);
    "an answer that is longer than nothing".into_response()
}

#[rstest]
#[case::list("GET", "/api/v1/services?limit=5", Verb::List, "services", "", "")]
#[case::watch("GET", "/api/v1/services?watch=1&x=y", Verb::Watch, "services", "", "")]
#[case::get(
    "GET",
    "/api/v1/namespaces/alice/services/a",
    Verb::Get,
    "services",
    "alice",
    "a"
)]
#[case::create(
    "POST",
    "/apis/apps/v1/namespaces/alice/deployments",
    Verb::Create,
    "deployments",
    "alice",
    ""
)]
#[case::status(
    "PATCH",
    "/apis/simplepipe.dev/v1alpha1/namespaces/alice/metricsnamespaces/metrics/status?force=true",
    Verb::Patch,
    "metricsnamespaces/status",
    "alice",
    "metrics"
)]
#[case::namespace(
    "DELETE",
    "/api/v1/namespaces/alice",
    Verb::Delete,
    "namespaces",
    "",
    "alice"
)]
#[case::finalize(
    "PUT",
    "/api/v1/namespaces/alice/finalize",
    Verb::Update,
    "namespaces/finalize",
    "",
    "alice"
)]
#[case::collection(
    "DELETE",
    "/api/v1/namespaces/alice/pods",
    Verb::DeleteCollection,
    "pods",
    "alice",
    ""
)]
#[case::no_resource("GET", "/version", Verb::List, "", "", "")]
#[tokio::test]
async fn requests_are_told_apart(
    #[case] method: Method,
    #[case] path: &str,
    #[case] verb: Verb,
    #[case] resource: &str,
    #[case] namespace: &str,
    #[case] name: &str,
) {
    let rig = Rig::new().await;
    let other = rig
        .proxy
        .add(Requests::with(&[verb]).of("else"), Fault::Reset);
    let fits = Requests::with(&[verb])
        .of(resource)
        .in_namespace(namespace)
        .named(name);
    let rule = rig.proxy.add(fits, Fault::Answer(503));
    assert!(rig.ask(method, path).await.is_err());
    assert_eq!((rule.count(), other.count()), (1, 0));
    let asked = rig.proxy.asked().remove(0);
    let Asked { fault, status, .. } = asked;
    assert_eq!((fault, status), (Some(Fault::Answer(503)), Some(503)));
    assert_eq!(asked.path, path);
    assert!(asked.at.elapsed() < PATIENCE);
}

#[tokio::test]
async fn without_a_rule_all_goes_through() {
    let rig = Rig::new().await;
    assert!(rig.create().await.unwrap().contains("longer than nothing"));
    assert_eq!(rig.carried_out(), [format!("POST {SERVICES}")]);
    let asked = rig.proxy.asked().remove(0);
    assert_eq!(asked.in_words(), "Create services in alice");
    assert_eq!((asked.fault, asked.status), (None, Some(200)));
}

#[rstest]
#[case(409, "Conflict")]
#[case(410, "Expired")]
#[case(500, "InternalError")]
#[case(503, "ServiceUnavailable")]
#[tokio::test]
async fn an_answer_is_as_the_api_server_words_it(#[case] code: u16, #[case] reason: &str) {
    let rig = Rig::new().await;
    rig.proxy.add(Requests::all(), Fault::Answer(code));
    let Err(kube::Error::Api(status)) = rig.create().await else {
        panic!("no error of the API's")
    };
    assert_eq!((status.code, status.reason.as_str()), (code, reason));
    assert_eq!(rig.carried_out(), [""; 0]);
}

#[tokio::test]
async fn too_many_requests_says_when_to_come_again() {
    let rig = Rig::new().await;
    rig.proxy.add(Requests::all(), Fault::TooManyRequests(7));
    let request = http::Request::get(SERVICES).body(kube::client::Body::empty());
    let answer = rig.client.send(request.unwrap()).await.unwrap();
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.headers()["retry-after"], "7");
}

#[rstest]
#[case::reset(Fault::Reset, 0)]
#[case::answer_lost(Fault::LoseAnswer, 1)]
#[case::cut(Fault::Cut, 1)]
#[tokio::test]
async fn a_connection_ends_before_after_or_within(#[case] fault: Fault, #[case] done: usize) {
    let rig = Rig::new().await;
    let rule = rig.proxy.add(Requests::writes().times(1), fault);
    let error = rig.create().await.unwrap_err();
    assert!(!matches!(error, kube::Error::Api(_)), "{error}");
    assert_eq!((rule.count(), rig.carried_out().len()), (1, done));
    rig.create().await.unwrap();
}

#[rstest]
#[case::before(Fault::Hang, 0)]
#[case::after(Fault::HangAfter, 1)]
#[tokio::test]
async fn a_hang_lasts_until_its_rule_ends(#[case] fault: Fault, #[case] done: usize) {
    let rig = Rig::new().await;
    let rule = rig.proxy.add(Requests::all(), fault);
    let mut hanging = std::pin::pin!(rig.create());
    let early = tokio::time::timeout(SHORT, &mut hanging).await;
    assert!(early.is_err(), "{early:?}");
    eventually("the hang has happened", async || so(rule.count() == 1, ())).await;
    rule.end();
    assert!(hanging.await.is_err());
    assert_eq!(rig.carried_out().len(), done);
    rig.create().await.unwrap();
}

#[rstest]
#[case::before(Fault::Late(SHORT))]
#[case::after(Fault::LateAnswer(SHORT))]
#[tokio::test]
async fn what_is_late_comes(#[case] fault: Fault) {
    let rig = Rig::new().await;
    rig.proxy.add(Requests::all(), fault);
    let began = Instant::now();
    rig.create().await.unwrap();
    assert!(began.elapsed() >= SHORT);
}

#[rstest]
#[case::before(Fault::Late(SHORT))]
#[case::after(Fault::LateAnswer(SHORT))]
#[tokio::test]
async fn a_watch_that_opens_late_works(#[case] fault: Fault) {
    let rig = Rig::new().await;
    rig.proxy.add(Requests::watches(), fault);
    let mut watch = rig.watch().await;
    rig.event("a", "1");
    assert_eq!(watch.next().await.unwrap(), "1");
}

#[tokio::test]
async fn the_nth_is_counted_by_each_rule_for_itself() {
    let rig = Rig::new().await;
    let first = rig
        .proxy
        .add(Requests::writes().times(1), Fault::Answer(500));
    let third = rig.proxy.add(Requests::writes().nth(3), Fault::Answer(503));
    let mut codes = Vec::new();
    for _ in 0..4 {
        codes.push(match rig.create().await {
            Err(kube::Error::Api(status)) => status.code,
            other => other.map(|_| 200).unwrap(),
        });
    }
    assert_eq!(codes, [500, 200, 503, 200]);
    assert_eq!((first.count(), third.count()), (1, 1));
    let counts = rig.proxy.counts();
    assert_eq!(counts[&Fault::Answer(500)] + counts[&Fault::Answer(503)], 2);
}

#[tokio::test]
async fn a_list_can_end_halfway() {
    let rig = Rig::new().await;
    rig.proxy
        .add(Requests::lists().continued(), Fault::Answer(410));
    let page = format!("{SERVICES}?limit=25");
    rig.ask(Method::GET, &page).await.unwrap();
    let next = rig.ask(Method::GET, &format!("{page}&continue=abc")).await;
    assert!(next.is_err(), "{next:?}");
}

#[tokio::test]
async fn an_open_watch_goes_silent_and_ends_in_calm() {
    let rig = Rig::new().await;
    let mut watch = rig.watch().await;
    rig.event("a", "1");
    assert_eq!(watch.next().await.unwrap(), "1");
    let rule = rig.proxy.add(Requests::watches(), Fault::Silence);
    eventually("it is silent", async || so(rule.count() == 1, ())).await;
    rig.event("a", "2");
    assert!(watch.is_silent().await);
    rig.proxy.calm();
    assert_eq!(watch.next().await, None);
    let mut again = rig.watch().await;
    rig.event("a", "3");
    assert_eq!(again.next().await.unwrap(), "3");
}

#[tokio::test]
async fn only_as_many_watches_go_silent_as_the_rule_says() {
    let rig = Rig::new().await;
    let rule = rig.proxy.add(Requests::watches().times(1), Fault::Silence);
    let mut silent = rig.watch().await;
    eventually("it is silent", async || so(rule.count() == 1, ())).await;
    let mut other = rig.watch().await;
    rig.event("a", "1");
    assert_eq!(other.next().await.unwrap(), "1");
    assert!(silent.is_silent().await);
}

#[tokio::test]
async fn an_open_watch_ends_at_once() {
    let rig = Rig::new().await;
    let mut watch = rig.watch().await;
    rig.proxy.add(Requests::watches(), Fault::End);
    assert_eq!(watch.next().await, None);
}

#[tokio::test]
async fn an_open_watch_says_that_it_is_too_old() {
    let rig = Rig::new().await;
    let mut watch = rig.watch().await;
    rig.proxy.add(Requests::watches(), Fault::Gone);
    let line = watch.0.try_next().await.unwrap().unwrap();
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&event["type"], &event["object"]["code"]),
        (&json!("ERROR"), &json!(410))
    );
    assert_eq!(watch.next().await, None);
}

#[rstest]
#[case::twice(Fault::Twice, &["1", "1", "2", "2"])]
#[case::old(Fault::Old, &["1", "2", "1", "2"])]
#[tokio::test]
async fn events_come_twice_or_are_old(#[case] fault: Fault, #[case] expected: &[&str]) {
    let rig = Rig::new().await;
    let mut watch = rig.watch().await;
    rig.proxy.add(Requests::watches().of("services"), fault);
    rig.event("a", "1");
    rig.event("a", "2");
    for version in expected {
        assert_eq!(watch.next().await.unwrap(), *version);
    }
}

#[tokio::test]
async fn a_watch_is_cut_within_an_event() {
    let rig = Rig::new().await;
    let mut watch = rig.watch().await;
    let rule = rig.proxy.add(Requests::watches().nth(2), Fault::Cut);
    rig.event("a", "1");
    rig.event("a", "2");
    assert_eq!(watch.next().await.unwrap(), "1");
    assert_eq!(watch.next().await, None);
    assert_eq!(rule.count(), 1);
}
