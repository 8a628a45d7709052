//! What is measured, one file for each stage that it needs.

pub mod bounds;
pub mod footprint;
pub mod large;
pub mod memory;
pub mod outage;
pub mod plans;
pub mod quiet;
pub mod reaction;
pub mod shared;
pub mod takeover;
