//! A Pushgateway over HTTP: where it is, its push groups, and pushing to them, also as one step with
//! reading them. Knows nothing of what is pushed, but that it is Prometheus' text.

mod address;
mod backoff;
mod client;
mod collision;
mod connect;
mod credentials;
mod error;
mod group;
mod group_contents;
mod lock;
mod proxy;
mod retry;
mod tls;
mod tls_connection;

pub use address::{Address, AddressError};
use backoff::Retry;
pub use client::{Client, Settings, TIMEOUT};
pub use credentials::Credentials;
pub use error::{Answer, PushError, Request};
pub use group::{Group, GroupingLabelError, JobError, RESERVED_LABELS};
pub use group_contents::{Held, HeldFamily, HeldGroup, HeldMetric};
pub use lock::{ID as LOCK_ID, LOCK_JOB, UpdateError, update};
pub use proxy::{Proxy, ProxyError};
pub use retry::{Patience, Undelivered, deliver};
pub use tls::{TlsError, TlsFiles};
