//! A server between the operator and the API server that keeps what it is asked.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use kube::Client;
use tokio::net::TcpListener;

use crate::Result;

const PASSED_ON: [HeaderName; 2] = [ACCEPT, CONTENT_TYPE];

/// A request that the operator sent.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub method: Method,
    pub path: String,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: String,
}

#[derive(Clone)]
pub struct Recorder {
    client: Client,
    recorded: Arc<Mutex<Vec<Recorded>>>,
}

impl Recorder {
    /// Starts one, and says where it answers.
    pub async fn start(client: Client) -> Result<(Self, String)> {
        let recorder = Self {
            client,
            recorded: Arc::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        let router = axum::Router::new()
            .fallback(answer)
            .with_state(recorder.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok((recorder, address))
    }

    /// All that it was asked, in order.
    pub fn recorded(&self) -> Vec<Recorded> {
        let recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        recorded.clone()
    }

    async fn pass_on(&self, request: Request) -> Result<Response> {
        let (head, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await?;
        let headers = PASSED_ON
            .into_iter()
            .filter_map(|name| Some((name.clone(), head.headers.get(name)?.clone())))
            .collect();
        let recorded = Recorded {
            method: head.method,
            path: head
                .uri
                .path_and_query()
                .map(ToString::to_string)
                .unwrap_or_default(),
            headers,
            body: String::from_utf8(body.to_vec())?,
        };
        let request = recorded.request(&recorded.path, recorded.body.clone())?;
        self.recorded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(recorded);
        Ok(self.client.send(request).await?.map(Body::new))
    }
}

impl Recorded {
    /// The same request, with another path and body.
    pub fn request(&self, path: &str, body: String) -> Result<http::Request<kube::client::Body>> {
        let mut request = http::Request::builder()
            .method(self.method.clone())
            .uri(path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        Ok(request.body(body.into_bytes().into())?)
    }
}

async fn answer(State(recorder): State<Recorder>, request: Request) -> Response {
    recorder
        .pass_on(request)
        .await
        .unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, error.to_string()).into_response())
}
