//! Trying until a gateway has done what it was asked, does not want to, or the time is over.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::{Client, PushError, Retry};

/// How long a try may take before a line says that it is waited for.
pub(super) const SILENCE: Duration = Duration::from_secs(2);

/// How long to try, and whom to tell about it meanwhile.
#[derive(Clone, Copy)]
pub struct Patience<'a> {
    /// For how long a gateway that can't be reached is tried again; zero tries once.
    pub retry_for: Duration,
    /// Gets a line for a person when it takes long. Another thread may call it.
    pub progress: &'a (dyn Fn(&str) + Sync),
}

/// Why it was not done. The message goes on after the gateway's address.
#[derive(Debug, thiserror::Error)]
#[error("{cause}{}{}", tries_note(*.tries), doubt(.cause))]
pub struct Undelivered {
    /// The last try's error.
    pub cause: PushError,
    pub tries: u32,
}

/// Tries until it succeeds, can't succeed, or the time is over.
///
/// # Errors
/// With the last try's error.
pub fn deliver<T>(
    client: &Client,
    patience: Patience,
    mut attempt: impl FnMut() -> Result<T, PushError>,
) -> Result<T, Undelivered> {
    let start = Instant::now();
    let Patience {
        retry_for,
        progress,
    } = patience;
    let mut retry = Retry::within(retry_for);
    let mut tries = 0;
    loop {
        tries += 1;
        let cause = match announced(client, progress, &mut attempt) {
            Ok(done) => return Ok(done),
            Err(cause) => cause,
        };
        let wait = if cause.is_transient() {
            retry.wait(start.elapsed())
        } else {
            None
        };
        let Some(wait) = wait else {
            return Err(Undelivered { cause, tries });
        };
        let left = retry_for.saturating_sub(start.elapsed());
        wait_after(client, progress, &cause, wait, left);
    }
}

/// Waits for the next try, and says so; `left` is the time up to the last one.
pub(super) fn wait_after(
    client: &Client,
    progress: &(dyn Fn(&str) + Sync),
    cause: &PushError,
    wait: Duration,
    left: Duration,
) {
    let how_long = if left <= wait {
        "once more".to_owned()
    } else {
        format!("for {:.0} s more", left.as_secs_f64())
    };
    progress(&format!(
        "{} {cause}; trying again in {:.1} s ({how_long})",
        client.address(),
        wait.as_secs_f64(),
    ));
    thread::sleep(wait);
}

/// Says so when a try takes long.
pub(super) fn announced<T>(
    client: &Client,
    progress: &(dyn Fn(&str) + Sync),
    attempt: impl FnOnce() -> T,
) -> T {
    let (done, ended) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let watch = move || {
            if ended.recv_timeout(SILENCE) == Err(RecvTimeoutError::Timeout) {
                progress(&format!("waiting for {} to answer", client.address()));
            }
        };
        // Without a thread there is only no line.
        let _ = thread::Builder::new().spawn_scoped(scope, watch);
        let result = attempt();
        drop(done);
        result
    })
}

/// Where the request went out and nothing came back.
fn doubt(cause: &PushError) -> &'static str {
    match cause {
        PushError::Timeout(_) | PushError::NoAnswer(_) => {
            "; it may have done what it was asked, or still do it"
        }
        _ => "",
    }
}

fn tries_note(tries: u32) -> String {
    if tries > 1 {
        format!(" (tried {tries} times)")
    } else {
        String::new()
    }
}
