//! Waiting for what comes about by itself.

use std::panic::Location;
use std::time::{Duration, Instant};

/// Longer than anything takes that comes by itself, also on a busy machine. The slowest is the garbage collector, which
/// takes half a minute to notice new kinds.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);

/// Looks until it is so, and returns what it then found. `look` answers with what it sees instead.
///
/// # Panics
/// When it does not become so. The message has what was seen last.
#[track_caller]
pub fn eventually<T>(
    what: impl Into<String>,
    look: impl AsyncFnMut() -> Result<T, String>,
) -> impl Future<Output = T> {
    within(PATIENCE, what, look)
}

/// As [`eventually`], with a time of its own.
///
/// # Panics
/// When it does not become so. The message has what was seen last.
#[track_caller]
pub fn within<T>(
    patience: Duration,
    what: impl Into<String>,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> impl Future<Output = T> {
    let (caller, what) = (Location::caller(), what.into());
    async move {
        let began = Instant::now();
        loop {
            match look().await {
                Ok(found) => return found,
                Err(seen) if began.elapsed() > patience => {
                    panic!("not so after {patience:?}: {what} ({caller})\nseen last: {seen}")
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

/// For the end of a `look`: it is so, or this is what is seen instead.
///
/// # Errors
/// What is seen, where it is not so.
pub fn so(is_so: bool, seen: impl std::fmt::Debug) -> Result<(), String> {
    if is_so {
        Ok(())
    } else {
        Err(format!("{seen:#?}"))
    }
}
