//! The planner against a small neutral cloud, without any I/O.

mod check;
mod cloud;
mod creating;
mod ending;
mod policy_table;
mod powering;
mod properties;
mod resizing;
mod sleep;
mod stopping;
mod telling;
mod world;
