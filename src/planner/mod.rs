//! Every decision, as one pure function: no I/O, no clock, no randomness, no async.

pub mod model;
