//! The cluster as this operator sees it: watches, and caches that they keep true.

pub mod api_error;
pub mod backoff;
pub mod caches;
pub mod child_cache;
pub mod following;
pub mod interned;
pub mod kept;
pub mod kept_object;
pub mod live;
pub mod objects;
pub mod presence;
pub mod retry_after;
pub mod seen;
pub mod unreadable;
pub mod utf8;
pub mod watch;
pub mod watched;
pub mod watches;
