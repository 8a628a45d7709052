//! What a real API server makes of the definitions: which objects it takes, what it says of those that it does
//! not, its defaults, columns and explanations.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accounts;
mod actions;
mod behaviour;
mod bounds;
mod cases;
mod clouddc;
mod documents;
mod groups;
mod kubectl;
mod servers;
#[path = "../support/mod.rs"]
mod support;
