//! Which operator works: the Lease, and a fence that lets nobody write after its end.

pub mod election;
pub mod fence;
pub mod lease;
