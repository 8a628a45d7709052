//! The planner against a small neutral cloud, without any I/O.

mod cloud;
mod creating;
mod ending;
mod group_world;
mod groups;
mod policy_table;
mod powering;
mod properties;
mod resizing;
mod world;
