//! The time of the process. The clock itself lives where it is needed first.

pub use crate::observer::clock::Clock;
