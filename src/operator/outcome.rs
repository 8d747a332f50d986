//! What became of a plan: what was written, and what could not be.

use super::children::Unbuildable;
use super::kind::Kind;
use super::problem::{Failure, Problem};

/// What was done to one child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    Created,
    /// It was not as wanted.
    Updated,
    /// It was there, and is no longer wanted.
    Removed,
}

/// One write that went through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub verb: Verb,
    /// To an object of this kind.
    pub kind: Kind,
    pub name: String,
    /// Whether the gateway's pod is replaced by it, and with it goes what it held.
    pub replaces_gateway: bool,
}

/// All that became of a plan.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub written: Vec<Written>,
    pub problems: Vec<Problem>,
    /// Whether more is to be removed.
    pub more: bool,
}

impl From<Unbuildable> for Outcome {
    fn from(error: Unbuildable) -> Self {
        let cause = Failure::Refused(error.to_string()).into();
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
