//! A Pushgateway over HTTP: where it is, its push groups, and pushing to them. Knows nothing of what is pushed.

mod address;
mod client;
mod group;
mod retry;

pub use address::{Address, AddressError};
pub use client::{Answer, Client, ClientError, PushError};
pub use group::{Group, GroupError};
pub use retry::{MAX_WAIT, MIN_WAIT, Retry};
