//! Waits for the command, and for what is pushed after it, with an ear for signals all the while.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitStatus;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, WaitStatus, kill_process, wait, waitid,
};
use signal_hook::low_level;

use super::caught_signals::{self, Received};
use super::ending::Ending;

/// How long a push may take once somebody has asked for an end. Kubernetes kills 30 seconds after it asked, and the
/// command has had its share of these.
pub const LAST_WAIT: Duration = Duration::from_secs(5);
/// For how long after it was asked an end is waited for. A command that goes on for longer has taken the signal for
/// something else, as many take HUP, and nobody waits to kill.
const STILL_ASKED: Duration = Duration::from_secs(300);
/// For how long after a signal another of its kind is the same wish, come on another way: `timeout`, and whoever
/// passes on what its process group was sent, sends each twice.
const ECHO: Duration = Duration::from_secs(1);

/// Where whoever started this process has blocked the signal of a command's end: how often it is asked for.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The one who waits. `T` is what work on another thread comes to.
pub struct Watch<T> {
    events: Receiver<Event<T>>,
    sender: Sender<Event<T>>,
    /// How often to ask for the command's end, where no signal tells of it.
    look_again: Option<Duration>,
    /// When somebody last asked for an end, and how.
    asked: Option<(Instant, Signal)>,
    /// Up to when work is waited for.
    deadline: Option<Instant>,
}

enum Event<T> {
    Signal(Received),
    /// None where it panicked.
    Done(Option<T>),
}

impl<T: Send + 'static> Watch<T> {
    /// Catches signals from now on.
    ///
    /// # Errors
    /// When the system has no thread or descriptor left.
    pub fn begin() -> io::Result<Self> {
        let (sender, events) = mpsc::channel();
        let signals = sender.clone();
        caught_signals::listen(move |received| signals.send(Event::Signal(received)).is_ok())?;
        Ok(Self {
            events,
            sender,
            look_again: caught_signals::is_blocked(Signal::CHILD).then_some(LOOK_AGAIN),
            asked: None,
            deadline: None,
        })
    }

    /// Waits for the command's end, and passes signals on to it until then.
    pub fn command(&mut self, command: Pid) -> Ending {
        // Set from when the terminal, or somebody, wants a stop until the command has stopped or is told to go on.
        let mut stop_wanted = false;
        loop {
            // Asked of the kernel each time: several changes may have come as one signal.
            if let Some(ending) = reap(Some(command)) {
                return ending;
            }
            // Not before the command: it may have to put the terminal in order first, or want no stop at all.
            if stop_wanted && has_stopped(command) {
                stop_wanted = false;
                let _ = low_level::raise(Signal::STOP.as_raw());
            }
            let next = self.next(self.look_again.map(|pause| Instant::now() + pause));
            let Ok(Event::Signal(received)) = next else {
                continue;
            };
            match received.signal {
                Signal::CHILD => continue,
                Signal::TSTP => stop_wanted = true,
                Signal::CONT => stop_wanted = false,
                _ if received.asks_to_end() => {
                    self.asked_anew(received.signal);
                }
                _ => {}
            }
            if received.is_for_the_command() {
                // It may be ending by itself just now.
                let _ = kill_process(command, received.signal);
            }
        }
    }

    /// Does the work on another thread and waits for what comes of it; none when signals, before or meanwhile, made the
    /// wait too long. Work after work has what is left of the time.
    ///
    /// # Errors
    /// When the system has no thread left, or the work did not come to its end.
    pub fn work(&mut self, work: impl FnOnce() -> T + Send + 'static) -> io::Result<Option<T>> {
        let done = self.sender.clone();
        thread::Builder::new()
            .name("push".to_owned())
            .spawn(move || {
                // A library may panic where the system has no thread for it. It has said so then, and is waited for.
                let outcome = panic::catch_unwind(AssertUnwindSafe(work)).ok();
                // It fails where nobody waits any more.
                let _ = done.send(Event::Done(outcome));
            })?;
        let is_asked = self.asked.is_some_and(|(at, _)| at.elapsed() < STILL_ASKED);
        if is_asked && self.deadline.is_none() {
            self.deadline = Some(Instant::now() + LAST_WAIT);
        }
        loop {
            match self.next(self.deadline) {
                Ok(Event::Done(Some(outcome))) => return Ok(Some(outcome)),
                Ok(Event::Done(None)) => return Err(io::Error::other("the push panicked")),
                Ok(Event::Signal(received)) if received.signal == Signal::CHILD => {
                    reap(None);
                }
                Ok(Event::Signal(received)) if received.signal == Signal::TSTP => {
                    let _ = low_level::raise(Signal::STOP.as_raw());
                }
                Ok(Event::Signal(received)) if received.asks_to_end() => {
                    if !self.asked_anew(received.signal) {
                        continue;
                    }
                    if self.deadline.is_some() {
                        return Ok(None);
                    }
                    self.deadline = Some(Instant::now() + LAST_WAIT);
                }
                Ok(Event::Signal(_)) => {}
                Err(_) => return Ok(None),
            }
        }
    }

    /// Notes that somebody asks for an end; false for the echo of the last time.
    fn asked_anew(&mut self, signal: Signal) -> bool {
        let is_echo = |(at, asked): (Instant, Signal)| asked == signal && at.elapsed() < ECHO;
        if self.asked.is_some_and(is_echo) {
            return false;
        }
        self.asked = Some((Instant::now(), signal));
        true
    }

    fn next(&self, deadline: Option<Instant>) -> Result<Event<T>, RecvTimeoutError> {
        match deadline {
            Some(deadline) => self
                .events
                .recv_timeout(deadline.saturating_duration_since(Instant::now())),
            None => self.events.recv().map_err(Into::into),
        }
    }
}

/// Takes all children that are over off the kernel's table: the command, and, where this is a container's first process,
/// the orphans that it leaves. How the command ended, if it did.
fn reap(command: Option<Pid>) -> Option<Ending> {
    let mut ending = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if Some(pid) == command {
            ending = Some(of_wait_status(status));
        }
    }
    ending
}

fn of_wait_status(status: WaitStatus) -> Ending {
    Ending::of(ExitStatus::from_raw(status.as_raw()))
}

fn has_stopped(command: Pid) -> bool {
    let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::Pid(command), options), Ok(Some(_)))
}
