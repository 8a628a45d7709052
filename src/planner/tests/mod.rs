//! The planner against a small neutral cloud, without any I/O.

mod check;
mod cloud;
mod clouds;
mod creating;
mod ending;
mod group_world;
mod groups;
mod groups_changed;
mod letting_go;
mod placing;
mod policy_table;
mod powering;
mod properties;
mod rebuilding;
mod resizing;
mod restarting;
mod settings;
mod sleep;
mod stopped_only;
mod stopping;
mod telling;
mod telling_once;
mod turns;
mod world;
