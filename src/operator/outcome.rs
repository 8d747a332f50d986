//! What became of a plan: what was written, and what could not be.

use crate::api::conditions::ConditionType;

use super::children::Unbuildable;
use super::kind::Kind;

/// What was done to one child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// It was not there.
    Created,
    /// It was not as wanted.
    Updated,
    /// It was there, and is no longer wanted.
    Removed,
}

/// One write that went through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// What was done.
    pub verb: Verb,
    /// To an object of this kind.
    pub kind: Kind,
    /// And this name.
    pub name: String,
    /// Whether the gateway's pod is replaced by it, and with it goes what it held.
    pub replaces_gateway: bool,
}

/// One child that is not as wanted, and can't be made so now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The condition that it stands for.
    pub serves: ConditionType,
    /// Why.
    pub cause: Cause,
    /// Whether it is there all the same, as it was before, and goes on working.
    pub stays: bool,
}

/// Why a child can't be made as wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// An object of its name is there that somebody else made.
    NameTaken,
    /// The cluster does not know its kind.
    KindNotServed,
    /// The API server says no, in these words.
    Refused(String),
    /// It is not there, as others keep deleting it.
    Contested,
    /// The API server has not answered yet.
    Unanswered,
    /// The API server can't be asked, for this reason.
    Unavailable(String),
    /// It is not there, and the object is paused.
    HeldBack,
}

/// All that became of a plan.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What was written.
    pub written: Vec<Written>,
    /// What could not be.
    pub problems: Vec<Problem>,
    /// Whether more is to be removed.
    pub more: bool,
}

impl From<Unbuildable> for Outcome {
    fn from(error: Unbuildable) -> Self {
        let cause = Cause::Refused(error.to_string());
        let Unbuildable {
            kind, name, serves, ..
        } = error;
        Self {
            problems: vec![Problem {
                kind,
                name,
                serves,
                cause,
                stays: false,
            }],
            ..Self::default()
        }
    }
}
