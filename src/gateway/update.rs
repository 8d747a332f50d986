//! Reading a group and writing it as one step, however many do so at once. See [`super::lock`] for how.

use std::time::{Duration, Instant};

use super::deliver::{SILENCE, announced};
use super::lock::{self, LITTER, Lock, STALE, Taken, Write};
use super::retry::spread;
use super::{Client, Group, HeldGroup, Patience, PushError, Retry};

/// How long a lock is waited for at least: longer than it takes until a dead pusher's is stale.
const MIN_PATIENCE: Duration = Duration::from_secs(25);
/// Between two looks at a lock that somebody holds, at first and at most.
const FIRST_LOOK: Duration = Duration::from_millis(10);
const LAST_LOOK: Duration = Duration::from_millis(500);
/// How often a lock may get lost while it is held, before it is the gateway with which it always will.
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
    /// Somebody else was there: another attempt may do it.
    Contended,
    /// The lock was taken and is gone, or the write is banned, with the gateway's refusal. Both come of having been too
    /// slow, and then another attempt does it; or of a gateway with which none ever will.
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
    let mut told = false;
    loop {
        let attempt = || attempt(client, group, &mut compute);
        match announced(client, patience.progress, attempt) {
            Ok(()) => return Ok(()),
            Err(Missed::Contended) => wait_for_lock(client, group, patience, start, &mut told)?,
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
        Taken::No => return Err(Missed::Contended),
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
        .held_where(|labels| lock::concerns(labels, group))
        .map_err(trouble)?;
    if !lock.is_in(&held) {
        return Err(Missed::Lost(None));
    }
    lock::tidy(client, &held, group);
    let target = lock::take_target(&mut held, group);
    let text =
        compute(target.as_ref()).map_err(|error| Missed::Final(UpdateError::Compute(error)))?;
    if taken_at.elapsed() >= STALE {
        return Err(Missed::Contended);
    }
    match client.merge(group, &(text + &lock.seal())) {
        Ok(()) => Ok(()),
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

/// Until nobody holds the lock, or a dead pusher's lock was broken.
fn wait_for_lock<E>(
    client: &Client,
    group: &Group,
    patience: Patience,
    start: Instant,
    told: &mut bool,
) -> Result<(), UpdateError<E>> {
    let longest = patience.retry_for.max(MIN_PATIENCE);
    let mut pause = FIRST_LOOK;
    loop {
        let waited = start.elapsed();
        if waited >= longest {
            return Err(UpdateError::Busy(waited));
        }
        if waited >= SILENCE && !*told {
            *told = true;
            (patience.progress)(&format!(
                "waiting for others who push to {group} of {}; a lock that a killed one left is broken after {:.0} s",
                client.address(),
                STALE.as_secs_f64()
            ));
        }
        std::thread::sleep(spread(pause));
        pause = (pause * 2).min(LAST_LOOK);
        let held = match client.held_where(|labels| lock::concerns(labels, group)) {
            Ok(held) => held,
            // Another attempt waits for it as for any gateway.
            Err(error) if error.is_transient() => return Ok(()),
            Err(error) => return Err(UpdateError::Gateway(error)),
        };
        match lock::locked_for(&held, group) {
            None => return Ok(()),
            Some(age) if age >= STALE => {
                (patience.progress)(&format!(
                    "{} holds a lock that a pusher left {:.0} s ago; breaking it",
                    client.address(),
                    age.as_secs_f64()
                ));
                match lock::break_stale(client, &held, group) {
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
    (patience.progress)(&format!(
        "{} {error}; trying again in {:.1} s",
        client.address(),
        wait.as_secs_f64()
    ));
    std::thread::sleep(wait);
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
            &mut false,
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
}
