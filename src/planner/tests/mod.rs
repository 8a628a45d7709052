//! The planner against a small neutral cloud, without any I/O.

mod policy_table;
mod properties;
mod scenarios;
mod world;
