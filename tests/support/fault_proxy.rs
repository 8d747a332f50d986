//! A proxy between an operator and the API server that has the faults of real clusters.
//!
//! A test says which [`Requests`] get which [`Fault`]:
//!
//! ```ignore
//! let proxy = FaultProxy::before(&control_plane.operators_kubeconfig());
//! let operator = Operator::start_as(proxy.kubeconfig(), &control_plane, &[]);
//! let outage = proxy.add(Requests::all().of("leases"), Fault::Answer(503));
//! proxy.add(Requests::writes().of("deployments").in_namespace("alice").nth(2), Fault::LoseAnswer);
//! assert!(outage.count() > 3);
//! outage.end();
//! proxy.calm();
//! ```
//!
//! The first rule that is due for a request counts, in the order in which rules were added. The proxy runs on a thread
//! of its own, so a test that blocks does not stop it, and it ends when it is dropped.

#![allow(dead_code)] // Each test target uses its part.

use std::collections::HashMap;
use std::convert::Infallible;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use futures::{Stream, StreamExt, stream};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};

/// Between an old event and the newest again.
const OLD_FOR: Duration = Duration::from_millis(300);

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// What goes wrong with a request, or with a watch that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// An answer with this status, as the API server words it. Nothing is carried out.
    Answer(u16),
    /// 429 with `Retry-After` in seconds. Nothing is carried out.
    TooManyRequests(u32),
    /// The connection is reset. Nothing is carried out.
    Reset,
    /// It is carried out; then the connection is reset instead of an answer.
    LoseAnswer,
    /// It is carried out; the connection ends in the middle of the answer's body, or of a watch's next event.
    Cut,
    /// It is carried out after this time.
    Late(Duration),
    /// It is carried out at once, and answered after this time.
    LateAnswer(Duration),
    /// There is no answer until the rule ends; then the connection is reset. Nothing is carried out.
    Hang,
    /// It is carried out; there is no answer until the rule ends; then the connection is reset.
    HangAfter,
    /// An open watch sends nothing more, and stays open until the rule ends; then it ends.
    Silence,
    /// An open watch ends.
    End,
    /// An open watch says that its version is too old, and ends.
    Gone,
    /// An event comes twice.
    Twice,
    /// After an event comes the one before it of the same object, and then itself again.
    Old,
}

/// At what moment a fault can strike.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    Request,
    OpenWatch,
    Event,
}

impl Fault {
    fn moment(self, verb: Verb) -> Moment {
        match self {
            Self::Silence | Self::End | Self::Gone => Moment::OpenWatch,
            Self::Twice | Self::Old => Moment::Event,
            Self::Cut if verb == Verb::Watch => Moment::Event,
            _ => Moment::Request,
        }
    }
}

/// What a request does, in Kubernetes' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

impl Verb {
    pub fn is_write(self) -> bool {
        !matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

/// Which requests a rule is for. All that is said must be so.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    verbs: Vec<Verb>,
    resource: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    continued: bool,
    skip: usize,
    times: Option<usize>,
}

impl Requests {
    pub fn all() -> Self {
        Self::default()
    }

    pub fn with(verbs: &[Verb]) -> Self {
        Self {
            verbs: verbs.to_vec(),
            ..Self::default()
        }
    }

    pub fn writes() -> Self {
        use Verb::{Create, Delete, DeleteCollection, Patch, Update};
        Self::with(&[Create, Update, Patch, Delete, DeleteCollection])
    }

    pub fn lists() -> Self {
        Self::with(&[Verb::List])
    }

    pub fn watches() -> Self {
        Self::with(&[Verb::Watch])
    }

    /// Of a resource and subresource: `leases`, `metricsnamespaces/status`.
    pub fn of(mut self, resource: &str) -> Self {
        self.resource = Some(resource.into());
        self
    }

    pub fn in_namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Lists' pages after the first.
    pub fn continued(mut self) -> Self {
        self.continued = true;
        self
    }

    /// Only the nth that fits, from 1. Of faults of open watches, the nth watch or event.
    pub fn nth(self, n: usize) -> Self {
        self.after(n - 1).times(1)
    }

    /// Not the first so many that fit.
    pub fn after(mut self, count: usize) -> Self {
        self.skip = count;
        self
    }

    /// No more than so many.
    pub fn times(mut self, count: usize) -> Self {
        self.times = Some(count);
        self
    }

    /// In one line: `[Watch] services in alice, 1 time`.
    pub fn in_words(&self) -> String {
        let verbs = match &*self.verbs {
            [] => "all".to_owned(),
            verbs => format!("{verbs:?}"),
        };
        let part = |before: &str, part: &Option<String>| {
            part.as_ref().map(|part| format!("{before}{part}"))
        };
        let parts = [
            Some(verbs),
            part(" ", &self.resource),
            part(" ", &self.name),
            part(" in ", &self.namespace),
            self.continued.then(|| " continued".to_owned()),
            (self.skip > 0).then(|| format!(", but for the first {}", self.skip)),
            self.times.map(|times| format!(", {times} times")),
        ];
        parts.into_iter().flatten().collect()
    }

    fn fit(&self, asked: &Asked) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == found)
        };
        (self.verbs.is_empty() || self.verbs.contains(&asked.verb))
            && is(&self.resource, &asked.resource)
            && is(&self.namespace, &asked.namespace)
            && is(&self.name, &asked.name)
            && (!self.continued || asked.continued)
    }
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub at: Instant,
    pub method: Method,
    /// With its query.
    pub path: String,
    pub verb: Verb,
    /// With its subresource: `leases`, `metricsnamespaces/status`. Empty for what is no resource.
    pub resource: String,
    pub namespace: String,
    pub name: String,
    /// Another page of a list.
    pub continued: bool,
    /// What went wrong with it, of what can go wrong with a request.
    pub fault: Option<Fault>,
    /// The answer that was sent.
    pub status: Option<u16>,
}

impl Asked {
    fn new(method: &Method, uri: &http::Uri) -> Self {
        let path = uri.path().trim_matches('/');
        let query = |name: &str| {
            let pairs = uri.query().unwrap_or_default().split('&');
            pairs
                .filter_map(|pair| pair.split_once('='))
                .find(|(found, value)| *found == name && !value.is_empty())
                .map(|(_, value)| percent_decode_str(value).decode_utf8_lossy().into_owned())
        };
        let (resource, namespace, name) = target(path);
        let watches = query("watch").is_some_and(|value| value != "false" && value != "0");
        let verb = match *method {
            Method::POST => Verb::Create,
            Method::PUT => Verb::Update,
            Method::PATCH => Verb::Patch,
            Method::DELETE if name.is_empty() => Verb::DeleteCollection,
            Method::DELETE => Verb::Delete,
            _ if watches => Verb::Watch,
            _ if name.is_empty() => Verb::List,
            _ => Verb::Get,
        };
        Self {
            at: Instant::now(),
            method: method.clone(),
            path: uri.to_string(),
            verb,
            resource,
            namespace,
            name,
            continued: query("continue").is_some(),
            fault: None,
            status: None,
        }
    }

    /// In one line: `Patch services pushgateway in alice`.
    pub fn in_words(&self) -> String {
        let (verb, resource, name) = (self.verb, &self.resource, &self.name);
        let space = if name.is_empty() { "" } else { " " };
        format!("{verb:?} {resource}{space}{name} in {}", self.namespace)
    }
}

/// Resource and subresource, namespace, name of a path.
fn target(path: &str) -> (String, String, String) {
    let parts: Vec<_> = path.split('/').collect();
    let below = match *parts {
        ["api", _, ref below @ ..] | ["apis", _, _, ref below @ ..] => below,
        _ => return Default::default(),
    };
    let (namespace, below) = match *below {
        ["namespaces", namespace, ref below @ ..]
            if !matches!(below, [] | ["status" | "finalize"]) =>
        {
            (namespace, below)
        }
        _ => ("", below),
    };
    let (resource, name) = match *below {
        [resource, name, subresource, ..] => (format!("{resource}/{subresource}"), name),
        [resource, name] => (resource.to_owned(), name),
        [resource] => (resource.to_owned(), ""),
        [] => Default::default(),
    };
    (resource, namespace.to_owned(), name.to_owned())
}

/// Goes on until it is ended; dropping it changes nothing.
#[derive(Clone)]
pub struct Rule {
    state: Arc<State>,
    number: usize,
}

impl Rule {
    /// How often its fault has happened.
    pub fn count(&self) -> usize {
        self.state.inner().rules[self.number].happened
    }

    pub fn end(&self) {
        self.state.inner().rules[self.number].ended = true;
        self.state.changed.send_replace(());
    }
}

struct RuleState {
    requests: Requests,
    fault: Fault,
    /// Requests that it was for, whether or not they were due.
    fitted: usize,
    happened: usize,
    ended: bool,
}

impl RuleState {
    /// Counts a request that fits; true if it is due.
    fn is_due(&mut self, asked: &Asked, moment: Moment) -> bool {
        if self.ended || self.fault.moment(asked.verb) != moment || !self.requests.fit(asked) {
            return false;
        }
        let Requests { skip, times, .. } = self.requests;
        let within = self.fitted >= skip && times.is_none_or(|times| self.fitted - skip < times);
        self.fitted += 1;
        within
    }
}

#[derive(Default)]
struct Inner {
    rules: Vec<RuleState>,
    asked: Vec<Asked>,
}

struct State {
    client: Client,
    inner: Mutex<Inner>,
    /// Tells open watches and hanging requests of new and ended rules.
    changed: watch::Sender<()>,
}

/// A rule that is due.
#[derive(Clone, Copy)]
struct Due {
    rule: usize,
    fault: Fault,
}

impl State {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    fn due(&self, asked: &Asked, moment: Moment) -> Option<Due> {
        let mut due = None;
        for (rule, state) in self.inner().rules.iter_mut().enumerate() {
            // Each counts for itself, so that "the nth" does not hang on what other rules do.
            if state.is_due(asked, moment) {
                let fault = state.fault;
                due = due.or(Some(Due { rule, fault }));
            }
        }
        due
    }

    fn happened(&self, due: Due) {
        self.inner().rules[due.rule].happened += 1;
    }

    async fn until_ended(&self, due: Due) {
        let mut changed = self.changed.subscribe();
        while !self.inner().rules[due.rule].ended {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    /// Whatever happens to one request. An error ends the connection.
    async fn answer(
        self: Arc<Self>,
        request: Request<hyper::body::Incoming>,
        connection: Arc<OwnedFd>,
    ) -> Result<Response<Body>, AnyError> {
        let mut asked = Asked::new(request.method(), request.uri());
        let due = self.due(&asked, Moment::Request);
        asked.fault = due.map(|due| due.fault);
        let number = {
            let mut inner = self.inner();
            inner.asked.push(asked.clone());
            inner.asked.len() - 1
        };
        let answer = match due {
            Some(due) => self.go_wrong(due, &asked, request, &connection).await,
            None => self.pass_on(&asked, request).await,
        };
        if let (Ok(answer), Some(asked)) = (&answer, self.inner().asked.get_mut(number)) {
            asked.status = Some(answer.status().as_u16());
        }
        answer
    }

    async fn go_wrong(
        self: &Arc<Self>,
        due: Due,
        asked: &Asked,
        request: Request<hyper::body::Incoming>,
        connection: &OwnedFd,
    ) -> Result<Response<Body>, AnyError> {
        let reset = || {
            // A close that throws away what was not sent is a reset.
            let _ = rustix::net::sockopt::set_socket_linger(connection, Some(Duration::ZERO));
            Err("reset by a fault".into())
        };
        let carry_out = async |request| {
            let answer = self.pass_on(asked, request).await?;
            if asked.verb == Verb::Watch {
                // Its body has no end to wait for.
                return Ok(answer);
            }
            let (head, body) = answer.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await?;
            Ok::<_, AnyError>(Response::from_parts(head, body.into()))
        };
        match due.fault {
            Fault::Answer(code) => {
                self.happened(due);
                Ok(refusal(asked, code, None))
            }
            Fault::TooManyRequests(seconds) => {
                self.happened(due);
                Ok(refusal(asked, 429, Some(seconds)))
            }
            Fault::Reset => {
                self.happened(due);
                reset()
            }
            Fault::LoseAnswer => {
                carry_out(request).await?;
                self.happened(due);
                reset()
            }
            Fault::Hang => {
                self.happened(due);
                self.until_ended(due).await;
                reset()
            }
            Fault::HangAfter => {
                carry_out(request).await?;
                self.happened(due);
                self.until_ended(due).await;
                reset()
            }
            Fault::Cut => {
                let (mut head, body) = self.pass_on(asked, request).await?.into_parts();
                let body = axum::body::to_bytes(body, usize::MAX).await?;
                self.happened(due);
                head.headers.insert(CONTENT_LENGTH, body.len().into());
                let half = body.slice(..body.len() / 2);
                let parts = [Ok(half), Err(AnyError::from("cut by a fault"))];
                Ok(Response::from_parts(
                    head,
                    Body::from_stream(stream::iter(parts)),
                ))
            }
            Fault::Late(time) => {
                self.happened(due);
                tokio::time::sleep(time).await;
                self.pass_on(asked, request).await
            }
            Fault::LateAnswer(time) => {
                let answer = carry_out(request).await?;
                self.happened(due);
                tokio::time::sleep(time).await;
                Ok(answer)
            }
            Fault::Silence | Fault::End | Fault::Gone | Fault::Twice | Fault::Old => {
                unreachable!("{:?} is a fault of open watches", due.fault)
            }
        }
    }

    async fn pass_on(
        self: &Arc<Self>,
        asked: &Asked,
        request: Request<hyper::body::Incoming>,
    ) -> Result<Response<Body>, AnyError> {
        let (mut head, body) = request.into_parts();
        head.headers.remove(HOST);
        let body = axum::body::to_bytes(Body::new(body), usize::MAX).await?;
        let request = Request::from_parts(head, kube::client::Body::from(body.to_vec()));
        let answer = self.client.send(request).await?.map(Body::new);
        if asked.verb != Verb::Watch || !answer.status().is_success() {
            return Ok(answer);
        }
        let (head, body) = answer.into_parts();
        let (sender, mut receiver) = mpsc::channel(1);
        let events = body.into_data_stream();
        tokio::spawn(OpenWatch::new(self.clone(), asked.clone(), sender).run(events));
        let parts = stream::poll_fn(move |context| receiver.poll_recv(context));
        Ok(Response::from_parts(head, Body::from_stream(parts)))
    }
}

/// What an API server says instead of carrying a request out.
fn refusal(asked: &Asked, code: u16, retry_after: Option<u32>) -> Response<Body> {
    let (reason, message) = match code {
        409 => (
            "Conflict",
            "the object has been modified; please apply your changes to the latest version",
        ),
        410 => (
            "Expired",
            "the provided continue parameter or resource version is too old",
        ),
        429 => (
            "TooManyRequests",
            "too many requests, please try again later",
        ),
        500 => ("InternalError", "etcdserver: request timed out"),
        503 => (
            "ServiceUnavailable",
            "the server is currently unable to handle the request",
        ),
        504 => (
            "Timeout",
            "the request did not complete within the allotted timeout",
        ),
        _ => ("", "a fault"),
    };
    let mut answer = Response::builder()
        .status(StatusCode::from_u16(code).unwrap())
        .header(CONTENT_TYPE, "application/json");
    let mut body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
        "details": {"kind": asked.resource, "name": asked.name},
    });
    if let Some(seconds) = retry_after {
        answer = answer.header(RETRY_AFTER, seconds);
        body["details"]["retryAfterSeconds"] = json!(seconds);
    }
    answer.body(body.to_string().into()).unwrap()
}

/// One watch, from the API server's lines to the operator.
struct OpenWatch {
    state: Arc<State>,
    asked: Asked,
    operator: mpsc::Sender<Result<Bytes, AnyError>>,
    /// The last event of each object, by its UID.
    last: HashMap<String, Bytes>,
}

/// The watch is over.
struct Over;

impl OpenWatch {
    fn new(
        state: Arc<State>,
        asked: Asked,
        operator: mpsc::Sender<Result<Bytes, AnyError>>,
    ) -> Self {
        let last = HashMap::new();
        Self {
            state,
            asked,
            operator,
            last,
        }
    }

    async fn run(mut self, events: impl Stream<Item = Result<Bytes, axum::Error>>) {
        // Its end ends the body.
        let _ = self.follow(events).await;
    }

    async fn follow(
        &mut self,
        events: impl Stream<Item = Result<Bytes, axum::Error>>,
    ) -> Result<Infallible, Over> {
        let mut events = std::pin::pin!(events);
        let mut changed = self.state.changed.subscribe();
        let mut rest = Vec::new();
        let mut next_rule = 0;
        loop {
            changed.mark_unchanged();
            self.strike(&mut next_rule).await?;
            let chunk = tokio::select! {
                () = self.operator.closed() => return Err(Over),
                _ = changed.changed() => continue,
                chunk = events.next() => chunk.and_then(Result::ok).ok_or(Over)?,
            };
            rest.extend_from_slice(&chunk);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                self.event(line.into()).await?;
            }
        }
    }

    /// What can go wrong at any time. Each rule is asked once.
    async fn strike(&self, next_rule: &mut usize) -> Result<(), Over> {
        let due = {
            let mut inner = self.state.inner();
            let mut rules = inner.rules.iter_mut().enumerate().skip(*next_rule);
            rules.find_map(|(rule, state)| {
                *next_rule = rule + 1;
                let fault = state.fault;
                let due = state.is_due(&self.asked, Moment::OpenWatch);
                due.then_some(Due { rule, fault })
            })
        };
        let Some(due) = due else {
            return Ok(());
        };
        self.state.happened(due);
        match due.fault {
            Fault::Silence => tokio::select! {
                () = self.state.until_ended(due) => {}
                () = self.operator.closed() => {}
            },
            Fault::Gone => {
                let object = json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                    "message": "too old resource version: 1 (2)", "reason": "Expired", "code": 410,
                });
                let line = format!("{}\n", json!({"type": "ERROR", "object": object}));
                self.send(line.into()).await?;
            }
            _ => {}
        }
        Err(Over)
    }

    async fn event(&mut self, line: Bytes) -> Result<(), Over> {
        let event: Value = serde_json::from_slice(&line).unwrap_or_default();
        let uid = event["object"]["metadata"]["uid"].as_str();
        let before = uid.and_then(|uid| self.last.insert(uid.to_owned(), line.clone()));
        let due = match uid {
            Some(_) => self.state.due(&self.asked, Moment::Event),
            None => None, // A bookmark, or an error.
        };
        let Some(due) = due else {
            return self.send(line).await;
        };
        match (due.fault, before) {
            (Fault::Cut, _) => {
                self.state.happened(due);
                self.send(line.slice(..line.len() / 2)).await?;
                let _ = self.operator.send(Err("cut by a fault".into())).await;
                Err(Over)
            }
            (Fault::Old, Some(before)) => {
                self.state.happened(due);
                self.send(line.clone()).await?;
                self.send(before).await?;
                tokio::time::sleep(OLD_FOR).await;
                self.send(line).await
            }
            // Of an object that is new to this watch there is nothing old.
            (Fault::Old, None) => self.send(line).await,
            _ => {
                self.state.happened(due);
                self.send(line.clone()).await?;
                self.send(line).await
            }
        }
    }

    async fn send(&self, line: Bytes) -> Result<(), Over> {
        self.operator.send(Ok(line)).await.map_err(|_| Over)
    }
}

/// The proxy. It ends when it is dropped.
pub struct FaultProxy {
    state: Arc<State>,
    kubeconfig: PathBuf,
    /// Dropped, it ends the proxy's thread.
    _running: oneshot::Sender<()>,
}

impl FaultProxy {
    /// Starts one before the API server of a kubeconfig. Whoever uses [`Self::kubeconfig`] instead is the same user
    /// by token.
    pub fn before(kubeconfig: &Path) -> Self {
        let mut theirs = Kubeconfig::read_from(kubeconfig).unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let (running, end) = oneshot::channel();
        let upstream = theirs.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(serve(upstream, &tell, end));
        });
        let (state, address) = told.recv().unwrap();
        for cluster in theirs
            .clusters
            .iter_mut()
            .filter_map(|c| c.cluster.as_mut())
        {
            cluster.server = Some(format!("http://{address}"));
            cluster.certificate_authority = None;
            cluster.certificate_authority_data = None;
        }
        // KUBECONFIG is a list, with colons between its paths.
        let port = address.rsplit(':').next().unwrap_or_default();
        let ours = kubeconfig.with_file_name(format!("through-{port}.kubeconfig"));
        std::fs::write(&ours, serde_json::to_string(&theirs).unwrap()).unwrap();
        Self {
            state,
            kubeconfig: ours,
            _running: running,
        }
    }

    /// Of the same user, through this proxy.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// From now on these requests get this fault.
    pub fn add(&self, requests: Requests, fault: Fault) -> Rule {
        let number = {
            let mut inner = self.state.inner();
            inner.rules.push(RuleState {
                requests,
                fault,
                fitted: 0,
                happened: 0,
                ended: false,
            });
            inner.rules.len() - 1
        };
        self.state.changed.send_replace(());
        let state = self.state.clone();
        Rule { state, number }
    }

    /// Ends all rules: what hangs is reset, and watches that are silent end.
    pub fn calm(&self) {
        for rule in &mut self.state.inner().rules {
            rule.ended = true;
        }
        self.state.changed.send_replace(());
    }

    /// How often each fault has happened.
    pub fn counts(&self) -> std::collections::BTreeMap<Fault, usize> {
        let mut counts = std::collections::BTreeMap::new();
        for rule in self.state.inner().rules.iter().filter(|r| r.happened > 0) {
            *counts.entry(rule.fault).or_default() += rule.happened;
        }
        counts
    }

    /// All that was asked, in its order.
    pub fn asked(&self) -> Vec<Asked> {
        self.state.inner().asked.clone()
    }
}

async fn serve(
    upstream: Kubeconfig,
    tell: &std::sync::mpsc::Sender<(Arc<State>, String)>,
    mut end: oneshot::Receiver<()>,
) {
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(upstream, &options)
        .await
        .unwrap();
    // The operator's own goes along with each request.
    config.auth_info = AuthInfo::default();
    config.read_timeout = None;
    config.default_retry = false;
    let state = Arc::new(State {
        client: Client::try_from(config).unwrap(),
        inner: Mutex::default(),
        changed: watch::Sender::new(()),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tell.send((state.clone(), address)).unwrap();
    loop {
        tokio::select! {
            _ = &mut end => return,
            Ok((stream, _)) = listener.accept() => drop(tokio::spawn(talk(state.clone(), stream))),
        }
    }
}

async fn talk(state: Arc<State>, stream: TcpStream) {
    let connection = Arc::new(stream.as_fd().try_clone_to_owned().unwrap());
    let service = service_fn(move |request| state.clone().answer(request, connection.clone()));
    // It ends with an error where a fault wants it to, or the operator was killed.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
