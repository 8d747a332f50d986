//! The cluster as this operator sees it: watches, and caches that they keep true.

pub mod api_error;
pub mod backoff;
pub mod cache_updates;
pub mod caches;
pub mod child_cache;
pub mod compact_child;
pub mod compact_object;
pub mod interned;
pub mod list_and_watch;
pub mod live;
pub mod objects;
pub mod presence;
pub mod retry_after;
pub mod unreadable;
pub mod utf8;
pub mod watch;
pub mod watched_objects;
pub mod watches;
