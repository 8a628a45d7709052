//! The planner against a small neutral cloud, without any I/O.

mod cases;
mod check;
mod claiming;
mod cloud;
mod clouds;
mod creating;
mod deeds;
mod deeds_cloud;
mod deeds_ended;
mod deeds_held;
mod doubting;
mod ending;
mod group_world;
mod groups;
mod groups_changed;
mod items;
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
mod taken_down;
mod telling;
mod telling_once;
mod transitions;
mod turns;
mod wording;
mod world;

pub(crate) use policy_table::reaction;
