//! One watch: a list in pages, then what changes, for ever. Every failure is told at once, and so is every success.
//!
//! kube's own `watcher` keeps to itself that a watch began or a bookmark came, so whoever asks whether it works has to
//! guess from silence; it waits for minutes for an answer that never comes, and begins a watch that ends at once again
//! and again without a pause.

use std::fmt::Debug;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use kube::api::{Api, ListParams, WatchParams};
use kube::core::WatchEvent;
use kube::runtime::watcher::Event;
use kube::{Error as KubeError, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::time::{Instant, timeout, timeout_at};

use super::backoff;
use super::retry_after;

/// Objects in one page of a list: a page is held whole while it is read, and anybody may label an object of a megabyte
/// as a child.
const PAGE: u32 = 25;
/// A page, or the beginning of a watch, that has not come by then is asked for again: news comes no later than that
/// after the API server is back, whatever became of what was asked before.
const ANSWER: Duration = backoff::LONGEST;
/// The API server sends a bookmark each minute where nothing else is to be told; for a kind that nobody has written to
/// since it started, it may leave one out. A watch that is silent for longer may be dead, as where something on the way
/// has dropped it, and begins anew from where it was: that costs one request.
pub const SILENCE: Duration = Duration::from_secs(85);
/// The API server ends a watch after this; whatever happens, it begins anew now and then.
const LIFE: u32 = 290;
/// A watch that ends sooner without a word has not worked.
const SETTLED: Duration = Duration::from_secs(2);

/// Why a watch is tried again.
#[derive(Debug, Error)]
pub enum Failure {
    /// The list was refused or broken off.
    #[error("it can't be listed")]
    List(#[source] KubeError),
    /// The watch was refused or broken off.
    #[error("it can't be watched")]
    Watch(#[source] KubeError),
    /// No answer came.
    #[error("the API server has not answered for {}s", ANSWER.as_secs())]
    Unanswered,
    #[error("the watch ended as soon as it had begun")]
    Ended,
    /// An event is none that is known.
    #[error("an event can't be read, and is left out")]
    Unreadable,
    /// What was seen is not part of the API server's history.
    #[error("the API server's data is older than what was seen before, as after a restore of etcd")]
    Rewound,
    /// There is nothing to go on from.
    #[error("the API server's answer has no resourceVersion")]
    NoVersion,
}

impl Failure {
    /// What the API server said, where it did.
    pub fn cause(&self) -> Option<&KubeError> {
        match self {
            Self::List(cause) | Self::Watch(cause) => Some(cause),
            Self::Unanswered | Self::Ended | Self::Unreadable | Self::Rewound | Self::NoVersion => {
                None
            }
        }
    }

    /// How long the API server asks to wait.
    pub fn retry_after(&self) -> Duration {
        self.cause().map_or(Duration::ZERO, retry_after::of)
    }
}

/// What came of a watch.
#[derive(Debug)]
pub enum News<K> {
    /// It works, and nothing changed.
    Works,
    /// An object, or where a list begins and ends.
    Event(Event<K>),
}

/// Follows all objects of a kind, or those with a label.
pub struct ListAndWatch<K> {
    api: Api<K>,
    labels: Option<String>,
    state: State<K>,
}

enum State<K> {
    Unlisted,
    Listing {
        /// Of the page before, the last first.
        page: Vec<K>,
        next: Next,
    },
    Listed {
        version: String,
        /// Whether nothing has happened since by which the API server may know less than before.
        sure: bool,
    },
    Watching {
        version: String,
        events: BoxStream<'static, Result<WatchEvent<K>, KubeError>>,
        /// When it counts as working, until it does.
        settled: Option<Instant>,
    },
}

/// What follows after a page.
#[derive(Clone)]
enum Next {
    First,
    /// Where the next page begins.
    Page(String),
    End {
        version: String,
    },
}

impl<K> ListAndWatch<K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    /// Nothing is asked yet.
    pub fn new(api: Api<K>, labels: Option<String>) -> Self {
        Self {
            api,
            labels,
            state: State::Unlisted,
        }
    }

    /// Waits for what comes next. After a failure, the next call tries again.
    ///
    /// # Errors
    /// When the API server does not answer, or not well.
    pub async fn next(&mut self) -> Result<News<K>, Failure> {
        // Where nothing is put back, everything is listed anew.
        loop {
            match std::mem::replace(&mut self.state, State::Unlisted) {
                State::Unlisted => {
                    self.state = State::Listing {
                        page: Vec::new(),
                        next: Next::First,
                    };
                    return Ok(News::Event(Event::Init));
                }
                State::Listing { mut page, next } => {
                    if let Some(object) = page.pop() {
                        self.state = State::Listing { page, next };
                        return Ok(News::Event(Event::InitApply(object)));
                    }
                    if let Next::End { version } = next {
                        self.state = State::Listed {
                            version,
                            sure: true,
                        };
                        return Ok(News::Event(Event::InitDone));
                    }
                    self.list(next).await?;
                    return Ok(News::Works);
                }
                State::Listed { version, sure } => {
                    if !sure {
                        self.make_sure(&version).await?;
                    }
                    self.begin(version).await?;
                }
                State::Watching {
                    version,
                    events,
                    settled,
                } => {
                    if let Some(news) = self.watch(version, events, settled).await? {
                        return Ok(news);
                    }
                }
            }
        }
    }

    async fn list(&mut self, next: Next) -> Result<(), Failure> {
        let parameters = ListParams {
            label_selector: self.labels.clone(),
            limit: Some(PAGE),
            continue_token: match &next {
                Next::Page(token) => Some(token.clone()),
                Next::First | Next::End { .. } => None,
            },
            ..ListParams::default()
        };
        let answer = timeout(ANSWER, self.api.list(&parameters)).await;
        // The same page again, so that a long list ends even where some of its pages fail.
        let again = State::Listing {
            page: Vec::new(),
            next,
        };
        let list = match answer {
            Ok(Ok(list)) => list,
            Ok(Err(error)) => {
                // Where the page begins has been forgotten.
                if !is_gone(&error) {
                    self.state = again;
                }
                return Err(Failure::List(error));
            }
            Err(_) => {
                self.state = again;
                return Err(Failure::Unanswered);
            }
        };
        let said = |word: Option<String>| word.filter(|word| !word.is_empty());
        let next = match (
            said(list.metadata.continue_),
            said(list.metadata.resource_version),
        ) {
            (Some(token), _) => Next::Page(token),
            (None, Some(version)) => Next::End { version },
            (None, None) => return Err(Failure::NoVersion),
        };
        let mut page = list.items;
        page.reverse();
        self.state = State::Listing { page, next };
        Ok(())
    }

    /// Whether the API server still knows what was seen: after a restore of etcd it may not, and a watch from there is
    /// silent until as much has been written again.
    async fn make_sure(&mut self, version: &str) -> Result<(), Failure> {
        let parameters = ListParams {
            label_selector: self.labels.clone(),
            limit: Some(1),
            ..ListParams::default()
        };
        // Read as in any list, so that an object of odd metadata does not stop this.
        let answer = timeout(ANSWER, self.api.list(&parameters)).await;
        let list = match answer {
            Ok(Ok(list)) => list,
            Ok(Err(error)) if is_gone(&error) => return Err(Failure::List(error)),
            failed => {
                self.state = State::Listed {
                    version: version.to_owned(),
                    sure: false,
                };
                return Err(match failed {
                    Ok(Err(error)) => Failure::List(error),
                    _ => Failure::Unanswered,
                });
            }
        };
        let newest = list.metadata.resource_version.unwrap_or_default();
        let numbers = (newest.parse::<u64>(), version.parse::<u64>());
        match numbers {
            (Ok(newest), Ok(seen)) if newest < seen => Err(Failure::Rewound),
            _ => Ok(()),
        }
    }

    async fn begin(&mut self, version: String) -> Result<(), Failure> {
        let parameters = WatchParams {
            label_selector: self.labels.clone(),
            timeout: Some(LIFE),
            ..WatchParams::default()
        };
        match timeout(ANSWER, self.api.watch(&parameters, &version)).await {
            Ok(Ok(events)) => {
                self.state = State::Watching {
                    version,
                    events: events.boxed(),
                    settled: Some(Instant::now() + SETTLED),
                };
                Ok(())
            }
            Ok(Err(error)) => {
                if !is_gone(&error) {
                    self.state = State::Listed {
                        version,
                        sure: false,
                    };
                }
                Err(Failure::Watch(error))
            }
            Err(_) => {
                self.state = State::Listed {
                    version,
                    sure: false,
                };
                Err(Failure::Unanswered)
            }
        }
    }

    /// `None` where the watch has ended as it should, and begins anew.
    async fn watch(
        &mut self,
        version: String,
        mut events: BoxStream<'static, Result<WatchEvent<K>, KubeError>>,
        settled: Option<Instant>,
    ) -> Result<Option<News<K>>, Failure> {
        let until = settled.unwrap_or_else(|| Instant::now() + SILENCE);
        let Ok(event) = timeout_at(until, events.next()).await else {
            if settled.is_none() {
                self.state = State::Listed {
                    version,
                    sure: false,
                };
                return Ok(None);
            }
            self.state = State::Watching {
                version,
                events,
                settled: None,
            };
            return Ok(Some(News::Works));
        };
        let (news, object_version) = match event {
            Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object))) => {
                let version = object.resource_version();
                (News::Event(Event::Apply(object)), version)
            }
            Some(Ok(WatchEvent::Deleted(object))) => {
                let version = object.resource_version();
                (News::Event(Event::Delete(object)), version)
            }
            Some(Ok(WatchEvent::Bookmark(bookmark))) => {
                (News::Works, Some(bookmark.metadata.resource_version))
            }
            Some(Ok(WatchEvent::Error(status))) => {
                let error = KubeError::Api(status);
                if !is_gone(&error) {
                    self.state = State::Listed {
                        version,
                        sure: false,
                    };
                }
                return Err(Failure::Watch(error));
            }
            // An event that can't be read would come again from where it came.
            Some(Err(error)) if is_unreadable(&error) => {
                self.state = State::Watching {
                    version,
                    events,
                    settled,
                };
                return Err(Failure::Unreadable);
            }
            Some(Err(error)) => {
                self.state = State::Listed {
                    version,
                    sure: false,
                };
                return Err(Failure::Watch(error));
            }
            None => {
                let sure = settled.is_none();
                self.state = State::Listed { version, sure };
                return match settled {
                    Some(_) => Err(Failure::Ended),
                    None => Ok(None),
                };
            }
        };
        let Some(version) = object_version.filter(|version| !version.is_empty()) else {
            return Err(Failure::NoVersion);
        };
        self.state = State::Watching {
            version,
            events,
            settled: None,
        };
        Ok(Some(news))
    }
}

/// Whether what was to be gone on from is no longer known, or the kind is not. Then everything is listed anew.
fn is_gone(error: &KubeError) -> bool {
    matches!(error, KubeError::Api(status) if [404, 410].contains(&status.code))
}

/// To the client library any JSON passes for a status, then without a code.
fn is_unreadable(error: &KubeError) -> bool {
    match error {
        KubeError::SerdeError(_) => true,
        KubeError::Api(status) => status.code == 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::sync::Arc;

    use http::{Request, Response};
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::Client;
    use kube::client::Body;
    use serde_json::{Value, json};
    use tower::{BoxError, service_fn};

    use super::super::watched_objects::Watched;
    use crate::operator::kind::Kind;
    use crate::operator::locked::Locked;

    /// An API server that says these answers, and notes what it was asked.
    struct Server(Arc<Locked<Script>>);

    /// What is answered, and what was asked.
    type Script = (VecDeque<(u16, String)>, Vec<String>);

    fn following(answers: Vec<(u16, String)>) -> (Server, ListAndWatch<ConfigMap>) {
        let (server, client) = serving(answers);
        (server, ListAndWatch::new(Api::all(client), None))
    }

    fn serving(answers: Vec<(u16, String)>) -> (Server, Client) {
        let server = Server(Arc::new(Locked::from((answers.into(), Vec::new()))));
        let script = server.0.clone();
        let answer = move |request: Request<Body>| {
            let (answers, asked) = &mut *script.lock();
            asked.push(request.uri().to_string());
            let answer = answers.pop_front();
            async {
                let (status, body) = answer.ok_or("no more answers")?;
                let body = Body::from(body.into_bytes());
                Ok::<_, BoxError>(Response::builder().status(status).body(body)?)
            }
        };
        (server, Client::new(service_fn(answer), "default"))
    }

    impl Server {
        fn asked(&self) -> Vec<String> {
            self.0.lock().1.clone()
        }
    }

    fn page(names: &[&str], continue_token: &str, version: &str) -> (u16, String) {
        let items: Vec<_> = names.iter().map(|name| object(name, "1")).collect();
        let metadata = json!({"continue": continue_token, "resourceVersion": version});
        let list = json!({"kind": "L", "apiVersion": "v1", "metadata": metadata, "items": items});
        (200, list.to_string())
    }

    fn object(name: &str, version: &str) -> Value {
        json!({"metadata": {"name": name, "resourceVersion": version}})
    }

    fn events(events: &[Value]) -> (u16, String) {
        let lines: Vec<_> = events.iter().map(|event| format!("{event}\n")).collect();
        (200, lines.concat())
    }

    fn refused(code: u16) -> (u16, String) {
        let status =
            json!({"kind": "Status", "code": code, "message": format!("refused with {code}")});
        (code, status.to_string())
    }

    /// What comes, in words, up to so many.
    async fn told<K>(following: &mut ListAndWatch<K>, count: usize) -> Vec<String>
    where
        K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
        Event<K>: ToString,
    {
        let mut told = Vec::new();
        while told.len() < count {
            told.push(match following.next().await {
                Ok(News::Works) => continue,
                Ok(News::Event(event)) => event.to_string(),
                Err(failure) => format!("{failure}"),
            });
        }
        told
    }

    #[tokio::test]
    async fn a_page_that_fails_is_asked_for_again_and_the_list_goes_on_from_there() {
        let (server, mut following) = following(vec![
            refused(503),
            page(&["a", "b"], "there", "5"),
            refused(500),
            page(&["c"], "", "5"),
        ]);
        assert_eq!(
            told(&mut following, 7).await,
            [
                "Init",
                "it can't be listed",
                "InitApply(a)",
                "InitApply(b)",
                "it can't be listed",
                "InitApply(c)",
                "InitDone"
            ]
        );
        let asked = server.asked();
        assert!(asked[3].contains("continue=there"), "{asked:?}");
    }

    #[tokio::test]
    async fn a_watch_that_broke_off_goes_on_whatever_the_first_object_holds() {
        let odd = json!({"metadata": {
            "name": "a", "resourceVersion": "5", "managedFields": [{"manager": "x", "time": "9999-12-31T23:59:59Z"}],
        }});
        let list = json!({
            "kind": "L", "apiVersion": "v1", "metadata": {"resourceVersion": "5"}, "items": [odd],
        });
        let list = (200, list.to_string());
        // In the API server's order.
        let added = format!(r#"{{"type": "ADDED", "object": {}}}"#, object("b", "6"));
        let (_, client) = serving(vec![list.clone(), refused(500), list, (200, added)]);
        let api = Api::<Watched>::all_with(client, &Kind::ConfigMap.api_resource());
        assert_eq!(
            told(&mut ListAndWatch::new(api, None), 5).await,
            [
                "Init",
                "InitApply(a)",
                "InitDone",
                "it can't be watched",
                "Apply(b)"
            ]
        );
    }

    #[tokio::test]
    async fn what_the_api_server_no_longer_knows_is_listed_anew() {
        let (_, mut following) = following(vec![
            page(&["a"], "old", "5"),
            refused(410),
            page(&["a"], "", "6"),
            refused(410),
            page(&["a"], "", "7"),
            events(&[json!({"type": "ERROR", "object": {"kind": "Status", "code": 410}})]),
            page(&["b"], "", "8"),
        ]);
        assert_eq!(
            told(&mut following, 14).await,
            [
                "Init",
                "InitApply(a)",
                "it can't be listed",
                "Init",
                "InitApply(a)",
                "InitDone",
                "it can't be watched",
                "Init",
                "InitApply(a)",
                "InitDone",
                "it can't be watched",
                "Init",
                "InitApply(b)",
                "InitDone"
            ]
        );
    }

    #[tokio::test]
    async fn a_watch_goes_on_from_the_last_event_or_bookmark_and_one_that_ends_at_once_has_failed()
    {
        let bookmark =
            json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"resourceVersion": "9"}});
        let (server, mut following) = following(vec![
            page(&[], "", "5"),
            events(&[json!({"type": "ADDED", "object": object("a", "7")})]),
            events(&[
                json!({"type": "DELETED", "object": object("a", "8")}),
                json!({"type": "BOOKMARK", "object": bookmark}),
            ]),
            events(&[]),
            page(&[], "", "9"),
            refused(503),
        ]);
        assert_eq!(
            told(&mut following, 6).await,
            [
                "Init",
                "InitDone",
                "Apply(a)",
                "Delete(a)",
                "the watch ended as soon as it had begun",
                "it can't be watched"
            ]
        );
        let versions: Vec<_> = server.asked()[1..]
            .iter()
            .map(|path| path.rsplit('=').next().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(versions, ["5", "7", "9", "1", "9"]);
    }

    #[tokio::test]
    async fn a_history_that_ends_before_what_was_seen_is_told_and_everything_is_listed_anew() {
        let (server, mut following) = following(vec![
            page(&["a"], "", "50"),
            refused(503),
            page(&[], "", "50"),
            refused(503),
            refused(503),
            page(&[], "", "49"),
            page(&["b"], "", "49"),
        ]);
        assert_eq!(
            told(&mut following, 10).await,
            [
                "Init",
                "InitApply(a)",
                "InitDone",
                "it can't be watched",
                "it can't be watched",
                "it can't be listed",
                "the API server's data is older than what was seen before, as after a restore of etcd",
                "Init",
                "InitApply(b)",
                "InitDone"
            ]
        );
        assert!(
            server.asked()[5].contains("limit=1"),
            "{:?}",
            server.asked()
        );
    }

    #[tokio::test]
    async fn an_event_that_cannot_be_read_is_told_and_the_next_one_comes() {
        let (_, mut following) = following(vec![
            page(&[], "", "5"),
            events(&[
                json!({"type": "ADDED", "object": {"metadata": 7}}),
                json!({"type": "ADDED", "object": object("b", "8")}),
            ]),
        ]);
        assert_eq!(
            told(&mut following, 4).await,
            [
                "Init",
                "InitDone",
                "an event can't be read, and is left out",
                "Apply(b)"
            ]
        );
    }
}
