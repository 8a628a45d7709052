//! The planner against a small neutral cloud, without any I/O.

mod cloud;
mod clouds;
mod creating;
mod ending;
mod policy_table;
mod powering;
mod properties;
mod resizing;
mod settings;
mod stopped_only;
mod world;
