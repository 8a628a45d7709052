//! The planner against a small neutral cloud, without any I/O.

#[cfg(feature = "sim")]
mod arbitrary;
mod awaiting;
mod broken;
mod cases;
mod check;
mod claiming;
mod cloud;
mod clouds;
mod contradicting;
mod creating;
mod deeds;
mod deeds_beside;
mod deeds_blocked;
mod deeds_cloud;
mod deeds_ended;
mod deeds_held;
mod deeds_overtaken;
mod deeds_passing;
mod denied;
mod doubting;
mod ending;
mod group_world;
mod groups;
mod groups_changed;
mod items;
mod letting_go;
mod locking;
mod nameless;
mod placing;
mod policy_table;
mod powering;
mod properties;
mod rebuilding;
mod rescuing;
mod resizing;
mod respecting;
mod restarting;
mod restarts_traced;
mod settings;
mod sleep;
mod soft_deleted;
mod stopped_only;
mod stopping;
mod taken_down;
mod telling;
mod telling_once;
mod transitions;
mod turns;
mod twins;
mod wording;
pub(crate) mod world;

pub(crate) use broken::causes;
pub(crate) use policy_table::reaction;

pub(crate) use properties::campaign;
