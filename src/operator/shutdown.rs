//! What happens at SIGTERM and SIGINT: no reconcile begins, those that run have some time to end, and then the Lease is
//! given back, so that the next operator need not wait for its end.

use std::io;
use std::time::Duration;

use futures::FutureExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch as last_value;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tracing::{info, warn};

use super::lead::lease::Lease;
use super::tasks::Tasks;

/// Turns true on SIGTERM or SIGINT.
///
/// # Errors
/// When signals can't be received.
pub fn stop_signal() -> io::Result<last_value::Receiver<bool>> {
    let (sender, receiver) = last_value::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        futures::future::select(terminate.recv().boxed(), interrupt.recv().boxed()).await;
        let _ = sender.send(true);
        // Kept, so that waiting for a change never fails.
        sender.closed().await;
    });
    Ok(receiver)
}

/// Waits for the running reconciles, and gives the Lease back. The controller has seen the signal too.
pub async fn shut_down(
    mut tasks: Tasks,
    controller: &AbortHandle,
    lease: Lease,
    patience: Duration,
) {
    let seconds = patience.as_secs();
    info!("stopping; running reconciles have {seconds}s to end");
    let drained = tokio::select! {
        drained = timeout(patience, tasks.end_of(controller)) => drained.is_ok(),
        _ = lease.lost() => false,
    };
    if !drained {
        // Another operator may write from now on, so this one must not.
        controller.abort();
        warn!("some reconciles had not ended; what they left is finished by the next operator");
    }
    lease.release().await;
    info!("stopped");
}
