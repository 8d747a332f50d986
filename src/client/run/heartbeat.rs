//! While the command runs: says again and again that it still does.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender, TryRecvError};
use std::thread;
use std::time::Duration;

use crate::gateway::{Client, Group};
use crate::terminal::tell;

/// Beats until it is dropped. A request that is under way then is not waited for.
#[derive(Debug)]
pub struct Heartbeat {
    _stop: Sender<()>,
}

impl Heartbeat {
    /// From now on, each time with the exposition of that time.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(
        client: Arc<Client>,
        group: Group,
        interval: Duration,
        exposition: impl Fn() -> String + Send + 'static,
    ) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<()>();
        let beat = move || {
            let mut arrives = true;
            loop {
                let mut result = client.merge(&group, &exposition());
                // Only the first is told.
                if let Err(cause) = &mut result
                    && arrives
                {
                    client.explain([(cause, &group)]);
                }
                // Whatever became of the last one: the run is over, and tells more by itself.
                if stopped.try_recv() == Err(TryRecvError::Disconnected) {
                    break;
                }
                match &result {
                    Err(cause) if arrives => {
                        tell(&format!("no heartbeat: {} {cause}", client.address()));
                    }
                    Ok(()) if !arrives => {
                        tell(&format!("heartbeat again at {}", client.address()));
                    }
                    _ => {}
                }
                arrives = result.is_ok();
                if stopped.recv_timeout(interval) == Err(RecvTimeoutError::Disconnected) {
                    break;
                }
            }
        };
        thread::Builder::new()
            .name("heartbeat".to_owned())
            .spawn(beat)?;
        Ok(Self { _stop: stop })
    }
}
