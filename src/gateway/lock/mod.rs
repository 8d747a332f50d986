//! Reading a group and writing it as one step, however many do so at once. [`protocol`] is how.

mod protocol;

use std::time::{Duration, Instant};

use ureq::http::Method;

use crate::gateway::backoff::spread;
use crate::gateway::retry::{SILENCE, announced, wait_after};
use crate::gateway::{Client, Group, HeldGroup, Patience, PushError, Retry};

pub use protocol::{ID, LOCK_JOB};
use protocol::{LITTER, Lock, STALE, Taken, Write};

/// How long a lock is waited for at least: longer than it takes until a dead pusher's is stale.
const MIN_PATIENCE: Duration = Duration::from_secs(25);
/// Between two looks at a lock that somebody holds, at first and at most.
const FIRST_LOOK: Duration = Duration::from_millis(10);
const LAST_LOOK: Duration = Duration::from_millis(500);
/// How often a lock may get lost that is not stale, before it is the gateway with which it always will.
const LOSSES: u32 = 3;

/// Why a group was not updated. The messages go on after the gateway's address.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError<E> {
    /// What the group holds can't be updated, says the caller.
    #[error("{0}")]
    Compute(E),
    /// The gateway can't be reached or does not want to.
    #[error("{0}")]
    Gateway(PushError),
    /// Anybody's lock would be taken.
    #[error(
        "does not check what it is pushed (it runs with --push.disable-consistency-check, or is no Pushgateway), so \
         nothing would keep two pushers from undoing each other's sums; --accumulate needs one that does"
    )]
    Unchecked,
    /// Others hold the lock, one after the other.
    #[error("was busy with other pushers of the same group for {:.0} s; try again, or set a longer --retry-for", .0.as_secs_f64())]
    Busy(Duration),
    /// The lock is refused, and nobody holds it: a group that is no lock has a metric of its name.
    #[error("{0}; nobody holds this lock, so delete the group that has that metric")]
    Squatted(PushError),
    /// Each time it was taken, the lock was gone a moment later.
    #[error(
        "did not keep a lock that it had just taken, {LOSSES} times; --accumulate needs one gateway behind the address, \
         not several"
    )]
    Forgetful,
    /// Nobody can tell.
    #[error("may or may not have added it: {0}; look at what it holds before pushing it again")]
    Unknown(PushError),
}

/// Why an attempt did not end with the update.
enum Missed<E> {
    /// Somebody else was there: another attempt may do it. With the gateway's refusal of the lock, where it was that.
    Contended(Option<PushError>),
    /// The lock was taken and is gone, or the write is banned, with the gateway's refusal, and nobody had the time to break
    /// it: the gateway began anew, and another attempt does it; or it is one with which none ever will.
    Lost(Option<PushError>),
    /// The gateway did not answer, or not properly, and has certainly not written: another attempt may do it.
    Trouble(PushError),
    /// The write had no proper answer.
    Unanswered(PushError),
    /// No attempt will do it.
    Final(UpdateError<E>),
}

/// Merges into the group what `compute` makes of what it holds, such that nobody else who uses this writes the group
/// in between. `compute` may be called several times.
///
/// # Errors
/// When it is not there. Only [`UpdateError::Unknown`] leaves that open.
pub fn update<E>(
    client: &Client,
    group: &Group,
    patience: Patience,
    mut compute: impl FnMut(Option<&HeldGroup>) -> Result<String, E>,
) -> Result<(), UpdateError<E>> {
    // Its connection is this update's alone.
    let client = &client.apart();
    let start = Instant::now();
    let mut retry = Retry::within(patience.retry_for);
    let mut losses = 0;
    let mut queue = Queue::default();
    loop {
        let attempt = || attempt(client, group, &mut compute);
        match announced(client, patience.progress, attempt) {
            Ok(()) => return Ok(()),
            Err(Missed::Contended(refusal)) => {
                queue.refusal = refusal;
                wait_for_lock(client, group, patience, start, &mut queue)?;
            }
            Err(Missed::Lost(refusal)) => {
                losses += 1;
                if losses == LOSSES {
                    return Err(refusal.map_or(UpdateError::Forgetful, UpdateError::Gateway));
                }
                std::thread::sleep(spread(LAST_LOOK));
            }
            Err(Missed::Trouble(error)) => {
                wait_for_gateway(client, patience, start, &mut retry, error)?;
            }
            Err(Missed::Unanswered(error)) => return Err(UpdateError::Unknown(error)),
            Err(Missed::Final(UpdateError::Gateway(mut error))) => {
                client.explain([(&mut error, group)]);
                return Err(UpdateError::Gateway(error));
            }
            Err(Missed::Final(error)) => return Err(error),
        }
    }
}

fn attempt<E>(
    client: &Client,
    group: &Group,
    compute: &mut impl FnMut(Option<&HeldGroup>) -> Result<String, E>,
) -> Result<(), Missed<E>> {
    let lock = Lock::new(client, group);
    let taken_at = Instant::now();
    match lock.take().map_err(trouble)? {
        Taken::Yes => {}
        Taken::No(refusal) => return Err(Missed::Contended(Some(refusal))),
        Taken::Unchecked => return Err(Missed::Final(UpdateError::Unchecked)),
    }
    // From here to the write on one connection: a gateway that restarts has forgotten the lock.
    client.pin(true);
    let write = read_and_write(client, group, &lock, taken_at, compute);
    client.pin(false);
    match write {
        Err(Missed::Unanswered(cause)) => settle(&lock, taken_at, cause),
        // Refused or never sent: then there is nothing to ban.
        written => {
            lock.release();
            written
        }
    }
}

fn read_and_write<E>(
    client: &Client,
    group: &Group,
    lock: &Lock,
    taken_at: Instant,
    compute: &mut impl FnMut(Option<&HeldGroup>) -> Result<String, E>,
) -> Result<(), Missed<E>> {
    let mut held = client
        .held_where(|labels| protocol::concerns(labels, group))
        .map_err(trouble)?;
    let slow = || taken_at.elapsed() >= STALE;
    if !lock.is_in(&held) {
        return Err(if slow() {
            Missed::Contended(None)
        } else {
            Missed::Lost(None)
        });
    }
    protocol::tidy(client, &held, group);
    let target = protocol::take_target(&mut held, group);
    let text =
        compute(target.as_ref()).map_err(|error| Missed::Final(UpdateError::Compute(error)))?;
    // Somebody else may have taken it over by now.
    if slow() {
        return Err(Missed::Contended(None));
    }
    match client.push(Method::POST, group, &(text + &lock.seal())) {
        Ok(_) => Ok(()),
        Err(error) if lock.is_banned(&error) && slow() => Err(Missed::Contended(None)),
        Err(error) if lock.is_banned(&error) => Err(Missed::Lost(Some(error))),
        Err(error) if error.may_have_arrived() => Err(Missed::Unanswered(error)),
        Err(error) => Err(trouble(error)),
    }
}

/// Finds out whether a write without an answer arrived, in such a way that it can't arrive later.
fn settle<E>(lock: &Lock, taken_at: Instant, cause: PushError) -> Result<(), Missed<E>> {
    let mut retry = Retry::within(STALE);
    let start = Instant::now();
    loop {
        match lock.ban() {
            // What others kept on record about it may have been tidied up: this process was stopped for long.
            Ok(_) if taken_at.elapsed() >= LITTER / 2 => return Err(Missed::Unanswered(cause)),
            Ok(write) => {
                lock.release();
                return match write {
                    Write::Happened => {
                        lock.forget();
                        Ok(())
                    }
                    // The ban stays, for a write that is still under way.
                    Write::NeverWill => Err(Missed::Trouble(cause)),
                };
            }
            Err(error) => {
                let Some(wait) = retry.wait(start.elapsed()).filter(|_| error.is_transient())
                else {
                    // The lock stays: who breaks it bans the write first.
                    return Err(Missed::Unanswered(cause));
                };
                std::thread::sleep(wait);
            }
        }
    }
}

/// What one who waits for the lock remembers from one look to the next.
#[derive(Default)]
struct Queue {
    /// Why the lock was not to be had last.
    refusal: Option<PushError>,
    /// Whether anybody was ever seen to hold it.
    is_held: bool,
    /// How often in a row it was refused, and free at the first look.
    free: u32,
    /// Whether the wait was told.
    told: bool,
}

/// Until nobody holds the lock, or a dead pusher's lock was broken.
fn wait_for_lock<E>(
    client: &Client,
    group: &Group,
    patience: Patience,
    start: Instant,
    queue: &mut Queue,
) -> Result<(), UpdateError<E>> {
    let longest = patience.retry_for.max(MIN_PATIENCE);
    // Where it is refused and yet free again and again, looking faster does not help.
    let mut pause = (FIRST_LOOK * 2_u32.saturating_pow(queue.free.min(6))).min(LAST_LOOK);
    queue.free = queue.free.saturating_add(1);
    loop {
        let waited = start.elapsed();
        if waited >= longest {
            return Err(match queue.refusal.take() {
                Some(refusal) if !queue.is_held => UpdateError::Squatted(refusal),
                _ => UpdateError::Busy(waited),
            });
        }
        if waited >= SILENCE && !queue.told {
            queue.told = true;
            (patience.progress)(&format!(
                "waiting for others who push to {group} of {}; a lock that a killed one left is broken after {:.0} s",
                client.address(),
                STALE.as_secs_f64()
            ));
        }
        std::thread::sleep(spread(pause));
        pause = (pause * 2).min(LAST_LOOK);
        let held = match client.held_where(|labels| protocol::concerns(labels, group)) {
            Ok(held) => held,
            // Another attempt waits for it as for any gateway.
            Err(error) if error.is_transient() => return Ok(()),
            Err(error) => return Err(UpdateError::Gateway(error)),
        };
        let locked_for = protocol::locked_for(&held, group);
        if locked_for.is_some() {
            queue.is_held = true;
            queue.free = 0;
        }
        match locked_for {
            None => return Ok(()),
            Some(age) if age >= STALE => {
                (patience.progress)(&format!(
                    "{} holds a lock that a pusher left {:.0} s ago; breaking it",
                    client.address(),
                    age.as_secs_f64()
                ));
                match protocol::break_stale(client, &held, group) {
                    Err(error) if !error.is_transient() => return Err(UpdateError::Gateway(error)),
                    _ => return Ok(()),
                }
            }
            Some(_) => {}
        }
    }
}

fn wait_for_gateway<E>(
    client: &Client,
    patience: Patience,
    start: Instant,
    retry: &mut Retry,
    error: PushError,
) -> Result<(), UpdateError<E>> {
    let Some(wait) = retry.wait(start.elapsed()) else {
        return Err(UpdateError::Gateway(error));
    };
    let left = patience.retry_for.saturating_sub(start.elapsed());
    wait_after(client, patience.progress, &error, wait, left);
    Ok(())
}

fn trouble<E>(error: PushError) -> Missed<E> {
    if error.is_transient() {
        Missed::Trouble(error)
    } else {
        Missed::Final(UpdateError::Gateway(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::{Address, Settings};

    /// Of a gateway that is away: then the lock counts as gone, unless the time is over.
    fn wait(retry_for: u64, waited: u64) -> Result<(), UpdateError<()>> {
        wait_with(retry_for, waited, Queue::default())
    }

    fn wait_with(retry_for: u64, waited: u64, mut queue: Queue) -> Result<(), UpdateError<()>> {
        let client = Client::new(Settings::new(Address::parse("127.0.0.1:1").unwrap())).unwrap();
        let patience = Patience {
            retry_for: Duration::from_secs(retry_for),
            progress: &|_| {},
        };
        let start = Instant::now().checked_sub(Duration::from_secs(waited));
        wait_for_lock(
            &client,
            &Group::of_job("train").unwrap(),
            patience,
            start.unwrap(),
            &mut queue,
        )
    }

    #[test]
    fn a_lock_is_waited_for_until_it_can_be_broken_or_as_long_as_said_and_no_longer() {
        for retry_for in [0, 10] {
            assert!(wait(retry_for, 24).is_ok());
            assert!(matches!(wait(retry_for, 25), Err(UpdateError::Busy(_))));
        }
        assert!(wait(40, 30).is_ok());
        assert!(matches!(wait(40, 40), Err(UpdateError::Busy(_))));
    }

    #[test]
    fn a_lock_that_is_refused_and_held_by_nobody_is_not_called_busy() {
        let refused = |is_held| Queue {
            refusal: Some(PushError::Timeout(STALE)),
            is_held,
            ..Queue::default()
        };
        let ended = |is_held| wait_with(0, 25, refused(is_held));
        assert!(matches!(ended(false), Err(UpdateError::Squatted(_))));
        assert!(matches!(ended(true), Err(UpdateError::Busy(_))));
    }
}
