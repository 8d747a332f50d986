//! Condition types.
