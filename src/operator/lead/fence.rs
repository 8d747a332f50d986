//! The one gate for writes: an operator whose Lease has ended writes nothing more.
//!
//! It closes by this machine's own clock, whatever the tasks behind it are doing. From then on a write is refused before
//! it is sent, and one that is under way is cut: its connection is closed, and the API server gives it up.

use std::future::pending;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Method, Request, Response};
use kube::client::Body;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tower::{BoxError, Layer, Service};

/// A write after the end of this operator's Lease.
#[derive(Debug, Error)]
#[error("not written: this operator no longer holds the Lease")]
pub struct Closed;

/// Until when this operator may write.
#[derive(Clone, Copy, Debug)]
enum Gate {
    AlwaysOpen,
    OpenUntil(Instant),
    Closed,
}

/// Whether this operator may write. Closed once, it stays closed.
#[derive(Clone, Debug)]
pub struct Fence(watch::Receiver<Gate>);

/// Keeps a [`Fence`] open. When it is dropped, the fence closes.
#[derive(Debug)]
pub struct Keeper(watch::Sender<Gate>);

impl Fence {
    /// For an operator that works alone.
    pub fn always_open() -> Self {
        let (sender, receiver) = watch::channel(Gate::AlwaysOpen);
        drop(sender);
        Self(receiver)
    }

    /// One that closes then, unless it is kept open for longer.
    pub fn until(end: Instant) -> (Keeper, Self) {
        let (sender, receiver) = watch::channel(Gate::OpenUntil(end));
        (Keeper(sender), Self(receiver))
    }

    /// Whether this operator may write now.
    pub fn is_open(&self) -> bool {
        match *self.0.borrow() {
            Gate::AlwaysOpen => true,
            Gate::OpenUntil(end) => Instant::now() < end && self.0.has_changed().is_ok(),
            Gate::Closed => false,
        }
    }

    /// Waits until this operator may write no more.
    pub async fn closed(&self) {
        let mut gate = self.0.clone();
        loop {
            let now = *gate.borrow_and_update();
            match now {
                Gate::AlwaysOpen => return pending().await,
                Gate::Closed => return,
                Gate::OpenUntil(end) => tokio::select! {
                    biased;
                    // It may have been kept open just before, and this task is late.
                    () = sleep_until(end) => if !self.is_open() { return },
                    kept = gate.changed() => if kept.is_err() { return },
                },
            }
        }
    }
}

impl Keeper {
    /// Keeps it open until then; false where it has closed meanwhile.
    pub fn keep_until(&self, end: Instant) -> bool {
        self.0.send_if_modified(|gate| match gate {
            Gate::OpenUntil(before) if Instant::now() < *before => {
                *before = end;
                true
            }
            _ => false,
        })
    }

    pub fn close(&self) {
        self.0.send_replace(Gate::Closed);
    }
}

/// Puts the fence before all writes of a client.
impl<S> Layer<S> for Fence {
    type Service = Fenced<S>;

    fn layer(&self, inner: S) -> Fenced<S> {
        Fenced {
            inner,
            fence: self.clone(),
        }
    }
}

/// A client behind a [`Fence`].
pub struct Fenced<S> {
    inner: S,
    fence: Fence,
}

impl<S, B> Service<Request<Body>> for Fenced<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let reads = [Method::GET, Method::HEAD].contains(request.method());
        let fence = self.fence.clone();
        if !reads && !fence.is_open() {
            return Box::pin(async { Err(Closed.into()) });
        }
        let answer = self.inner.call(request);
        Box::pin(async move {
            if reads {
                return answer.await.map_err(Into::into);
            }
            tokio::select! {
                biased;
                () = fence.closed() => Err(Closed.into()),
                answer = answer => answer.map_err(Into::into),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    /// A client that notes what was begun, and what was ended before its answer.
    #[derive(Clone, Default)]
    struct Server {
        begun: Arc<AtomicUsize>,
        cut: Arc<AtomicUsize>,
        hangs: bool,
    }

    struct UnderWay {
        cut: Arc<AtomicUsize>,
        answered: bool,
    }

    impl UnderWay {
        fn answered(mut self) {
            self.answered = true;
        }
    }

    impl Drop for UnderWay {
        fn drop(&mut self) {
            if !self.answered {
                self.cut.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    impl Service<Request<Body>> for Server {
        type Response = Response<Body>;
        type Error = BoxError;
        type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<Body>) -> Self::Future {
            let this = self.clone();
            let under_way = UnderWay {
                cut: self.cut.clone(),
                answered: false,
            };
            Box::pin(async move {
                this.begun.fetch_add(1, Ordering::SeqCst);
                if this.hangs {
                    pending::<()>().await;
                }
                under_way.answered();
                Ok(Response::new(Body::empty()))
            })
        }
    }

    fn request(method: Method) -> Request<Body> {
        let request = Request::builder().method(method).uri("/");
        request.body(Body::empty()).unwrap()
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(50)
    }

    #[tokio::test]
    async fn after_the_end_writes_are_refused_before_they_are_sent_and_reads_are_not() {
        let server = Server::default();
        let (_keeper, fence) = Fence::until(soon());
        let mut client = fence.layer(server.clone());
        client.call(request(Method::POST)).await.unwrap();
        fence.closed().await;
        for method in [Method::POST, Method::PATCH, Method::PUT, Method::DELETE] {
            let refused = client.call(request(method)).await.unwrap_err();
            assert!(refused.is::<Closed>(), "{refused}");
        }
        assert_eq!(server.begun.load(Ordering::SeqCst), 1);
        client.call(request(Method::GET)).await.unwrap();
    }

    #[tokio::test]
    async fn a_write_that_is_under_way_at_the_end_is_cut() {
        let server = Server {
            hangs: true,
            ..Server::default()
        };
        let (_keeper, fence) = Fence::until(soon());
        let mut client = fence.layer(server.clone());
        let cut = client.call(request(Method::PATCH)).await.unwrap_err();
        assert!(cut.is::<Closed>(), "{cut}");
        assert_eq!(server.begun.load(Ordering::SeqCst), 1);
        assert_eq!(server.cut.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn it_stays_open_while_it_is_kept_and_never_opens_again() {
        let (keeper, fence) = Fence::until(Instant::now() + Duration::from_secs(60));
        assert!(keeper.keep_until(soon()) && fence.is_open());
        fence.closed().await;
        assert!(!fence.is_open());
        assert!(!keeper.keep_until(Instant::now() + Duration::from_secs(60)));
        assert!(!fence.is_open());
    }

    #[tokio::test]
    async fn it_closes_at_once_when_told_and_when_nobody_keeps_it() {
        let far = Instant::now() + Duration::from_secs(60);
        let (keeper, fence) = Fence::until(far);
        keeper.close();
        fence.closed().await;
        assert!(!fence.is_open());
        let (keeper, fence) = Fence::until(far);
        drop(keeper);
        fence.closed().await;
        assert!(!fence.is_open());
    }

    #[tokio::test]
    async fn an_operator_that_works_alone_has_none() {
        let server = Server::default();
        let mut client = Fence::always_open().layer(server.clone());
        client.call(request(Method::POST)).await.unwrap();
        assert!(Fence::always_open().is_open());
    }
}
