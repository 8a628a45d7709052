//! The clouds and a Kubernetes API server as simulators, for tests in virtual time and for demos on loopback.

pub mod apiserver;
pub mod cloud;
pub mod clouddc;
pub mod openstack;
pub mod upcloud;

#[cfg(test)]
mod page;
