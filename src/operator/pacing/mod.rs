//! Who works when: the queue, lanes for the slow, and bounds for what is tried or fought over again and again.

pub mod budget;
pub mod contests;
pub mod lanes;
pub mod queue;
pub mod retry;
