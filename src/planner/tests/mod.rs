//! The planner against a small neutral cloud, without any I/O.

mod cloud;
mod creating;
mod ending;
mod policy_table;
mod powering;
mod properties;
mod resizing;
mod stopping;
mod telling;
mod world;
