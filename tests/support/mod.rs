//! What the tests on real parts share.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses its own part of it"
)]

pub mod kube;
