//! What pushes: the subcommands `push` and `run`, and what they share.

pub mod accumulation;
pub mod batch;
pub mod connection_options;
pub mod old_arguments;
pub mod push;
pub mod push_group;
pub mod reserved;
pub mod run;
