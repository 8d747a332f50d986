//! The watches: each keeps one cache true, and tells whom a change concerns.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt;
use futures::future::{self, BoxFuture};
use k8s_openapi::api::core::v1;
use kube::api::{Api, ApiResource};
use kube::runtime::watcher::Event;
use kube::{Client, Error as KubeError, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::api::names;

use super::api_error::{is_unknown_kind, with_causes, words};
use super::backoff::Backoff;
use super::cache_updates::{
    ChildPart, Children, Concerned, Namespaces, Objects, Scrapers, Seen, Status,
};
use super::caches::Caches;
use super::child_cache::Served;
use super::list_and_watch::{Failure, ListAndWatch, News};
use super::unreadable::Unreadable;
use super::watch::Watch;
use super::watched_objects::{Nothing, Watched};
use crate::operator::events::Events;
use crate::operator::kind::Kind;
use crate::operator::pacing::queue::Queue;
use crate::operator::telemetry::health::Health;

/// What every watch works with.
#[derive(Clone)]
pub struct Watches {
    pub client: Client,
    pub caches: Arc<Caches>,
    /// Whom to tell which objects a change concerns.
    pub queue: Queue,
    /// Whom to tell which namespaces changed, for enrolment.
    pub namespaces: UnboundedSender<String>,
    /// Whom to tell whether the watch works.
    pub health: Arc<Health>,
    pub events: Arc<Events>,
    /// Whom to tell that the API server's data is older than what was seen.
    pub rewound: Arc<Notify>,
}

/// Why the watches ended.
pub enum Ended {
    /// One of them ended by itself.
    Unexpectedly,
    /// What was seen is no longer so: caches, and the order of versions in them, are worth nothing.
    Rewound,
}

impl Watches {
    /// Runs all of them; returns only when one ends, which none should, or when what was seen is no longer so.
    pub async fn run(self) -> Ended {
        let watches = Watch::all().map(|watch| self.start(watch));
        tokio::select! {
            _ = future::select_all(watches) => Ended::Unexpectedly,
            () = self.rewound.notified() => Ended::Rewound,
        }
    }

    fn start(&self, watch: Watch) -> BoxFuture<'_, ()> {
        let (client, caches) = (self.client.clone(), self.caches.clone());
        match watch {
            Watch::MetricsNamespaces => {
                let seen = Objects {
                    caches,
                    health: self.health.clone(),
                    events: self.events.clone(),
                    unreadable: Unreadable::default(),
                };
                self.follow(watch, Api::all(client), None, seen).boxed()
            }
            Watch::Namespaces => {
                let api = Api::all_with(client, &ApiResource::erase::<v1::Namespace>(&()));
                self.follow(watch, api, None, Namespaces(caches)).boxed()
            }
            Watch::Scrapers(scraper) => {
                let api = Api::all_with(client, &scraper.api_resource());
                let seen = Scrapers(caches, scraper);
                self.follow(watch, api, None, seen).boxed()
            }
            Watch::Children(kind) if kind.makes_pods() => self.children::<Status>(kind),
            Watch::Children(kind) => self.children::<Nothing>(kind),
        }
    }

    fn children<P: ChildPart>(&self, kind: Kind) -> BoxFuture<'_, ()> {
        let api: Api<Watched<P>> = Api::all_with(self.client.clone(), &kind.api_resource());
        let ours = format!("{}={}", names::MANAGED_BY_LABEL, names::MANAGER);
        let seen = Children::of(kind, self.caches.clone());
        self.follow(Watch::Children(kind), api, Some(ours), seen)
            .boxed()
    }

    /// Keeps true what is seen of all objects of a kind, or those with a label.
    async fn follow<S: Seen>(
        &self,
        watch: Watch,
        api: Api<S::Object>,
        label: Option<String>,
        seen: S,
    ) where
        S::Object: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let mut steady = Steady {
            watches: self,
            watch,
            following: ListAndWatch::new(api, label),
            backoff: Backoff::default(),
            listing: false,
            failed: false,
        };
        let mut listed = HashSet::new();
        loop {
            let event = steady.next().await;
            let is_complete = matches!(event, Event::InitDone);
            let concerned = match event {
                Event::Init => {
                    listed.clear();
                    seen.begin();
                    continue;
                }
                Event::InitApply(object) => {
                    listed.extend(seen.key(&object));
                    seen.listed(object)
                }
                Event::InitDone => seen.keep(std::mem::take(&mut listed)),
                Event::Apply(object) => seen.apply(object),
                Event::Delete(object) => seen.delete(object),
            };
            self.tell(concerned);
            // Objects may have been looked at without.
            if is_complete && self.health.synced(watch) && matches!(watch, Watch::Scrapers(_)) {
                self.queue.add_all(self.caches.objects.all_serving());
            }
        }
    }

    fn tell(&self, concerned: Concerned) {
        for namespace in concerned.namespaces {
            // Fails only when enrolment has ended, and then the process ends too.
            let _ = self.namespaces.send(namespace);
        }
        if !concerned.objects.is_empty() {
            self.queue
                .add(self.caches.objects.ranked(concerned.objects));
        }
    }

    /// Statuses say what could not be seen. Nothing else would tell them that it can.
    fn seen_again(&self, watch: Watch) {
        if Watch::of_statuses().any(|of_statuses| of_statuses == watch) {
            self.queue.add_all(self.caches.objects.unseen());
        }
    }

    fn failed(&self, watch: Watch, failure: &Failure) {
        if matches!(failure, Failure::Rewound) {
            self.rewound.notify_one();
        }
        if watch.may_be_missing() && is_kind_missing(failure) {
            self.kind_missing(watch);
            return;
        }
        let error = words_of(watch, failure);
        if let Some(told) = self.health.fails(watch, &error) {
            warn!(watch = watch.as_str(), error, "watch {told}");
        }
    }

    fn kind_missing(&self, watch: Watch) {
        if self.health.kind_missing(watch) {
            info!(
                watch = watch.as_str(),
                "the cluster does not have this kind; it is looked for again by itself"
            );
        }
        let Watch::Children(kind) = watch else {
            return;
        };
        self.caches.children.keep(kind, &HashSet::new());
        if self.caches.children.set_served(kind, Served::No) {
            self.queue.add_all(self.caches.objects.all_serving());
        }
    }
}

/// A watch that goes on after failures, and says so.
struct Steady<'a, K> {
    watches: &'a Watches,
    watch: Watch,
    following: ListAndWatch<K>,
    backoff: Backoff,
    listing: bool,
    /// Whether it has failed since it saw all there is.
    failed: bool,
}

impl<K> Steady<'_, K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    /// Waits for the next event, however often the watch fails before.
    async fn next(&mut self) -> Event<K> {
        let health = &self.watches.health;
        loop {
            let began = Instant::now();
            match self.following.next().await {
                // A list that is about to be tried shows nothing yet.
                Ok(News::Event(Event::Init)) => {
                    self.listing = true;
                    return Event::Init;
                }
                Ok(news) => {
                    if let Some(told) = health.works(self.watch) {
                        info!(watch = self.watch.as_str(), "watch {told}");
                    }
                    self.listing &= !matches!(news, News::Event(Event::InitDone));
                    if !self.listing && std::mem::take(&mut self.failed) {
                        self.watches.seen_again(self.watch);
                    }
                    if let News::Event(event) = news {
                        return event;
                    }
                }
                Err(failure) => {
                    self.failed = true;
                    self.watches.failed(self.watch, &failure);
                    let wait = self.backoff.wait(began, Instant::now());
                    sleep(wait.max(failure.retry_after())).await;
                }
            }
        }
    }
}

fn words_of(watch: Watch, failure: &Failure) -> String {
    if watch == Watch::MetricsNamespaces && is_kind_missing(failure) {
        return "the CRD metricsnamespaces.simplepipe.dev is not installed; apply crds/".into();
    }
    failure.cause().map_or_else(|| with_causes(failure), words)
}

fn is_kind_missing(failure: &Failure) -> bool {
    matches!(failure.cause(), Some(KubeError::Api(status)) if is_unknown_kind(status))
}
