//! The clouds as simulators: stateful, true to what the real ones answer, and full of faults on demand.
//! They speak in process under tokio's paused time, and on a loopback port.

pub mod openstack;
