//! Evenkeel keeps cloud servers in the state that their Kubernetes manifests declare.
//!
//! Read it from the bottom up; imports go down only:
//!
//! - [`api`]: what users write and read.
//! - [`planner`]: every decision, as one pure function.
//! - [`providers`]: the clouds, translated; no policy.
//! - [`observer`]: one task per account lists it and wakes what changed.
//! - [`controller`]: the Kubernetes shell; no decisions.
//! - [`runtime`]: the process around it.
//! - [`cli`]: the commands.
//! - `sim` (feature `sim`): the clouds and an API server as simulators.

pub mod api;
pub mod cli;
pub mod controller;
pub mod observer;
pub mod planner;
pub mod providers;
pub mod runtime;
#[cfg(feature = "sim")]
pub mod sim;
