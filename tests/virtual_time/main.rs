//! Every scenario on simulators in virtual time: the real controller, planner and provider against a simulated
//! cluster and a simulated OpenStack in one process. An hour costs milliseconds, and every run is the same.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]
#![allow(unreachable_pub, reason = "a test binary has no outside")]

#[path = "../scenarios/mod.rs"]
mod scenarios;

mod arbitrary;
mod bounds;
mod campaign;
mod consoles;
mod costs;
mod deeds;
mod deeds_killed;
mod drift;
mod failure_cases;
mod faults;
mod fleet;
mod groups;
mod harmless;
mod incarnation;
mod kills;
mod logs;
mod matrix;
mod observability;
mod outages;
mod resizes;
mod rivals;
mod secrets;
mod shared;
mod sharing;
mod states;
mod steps;
mod tap;
mod world;
