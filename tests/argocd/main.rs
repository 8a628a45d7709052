//! What GitOps tools make of our objects, said by those tools themselves: the health scripts and actions of
//! `deploy/argocd` in Argo CD's own Lua machine, kstatus by its own library, and (`life`) the real application
//! controller and repository server of Argo CD over a git repository, on a real Kubernetes API.
//!
//! `EVENKEEL_ARGOCD_BIN` and `EVENKEEL_KSTATUS` come from `tests/env/provision.sh argocd kstatus`. Where they are not
//! set the tests that need them say so and end, unless `CI` is set.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "it uses its own part of what tests share"
)]

#[path = "../virtual_time/logs.rs"]
mod logs;
#[path = "../real/process.rs"]
mod process;
#[path = "../scenarios/mod.rs"]
mod scenarios;
#[path = "../virtual_time/steps.rs"]
mod steps;
#[path = "../support/mod.rs"]
mod support;
#[path = "../virtual_time/tap.rs"]
mod tap;
#[path = "../virtual_time/world.rs"]
mod world;

mod actions;
mod argo;
mod git;
mod life;
mod objects;
mod samples;
mod scripts;
mod tools;
mod verdicts;
mod watch;
