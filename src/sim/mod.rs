//! The clouds and a Kubernetes API server as simulators, for tests and demos. Never in a release build.

pub mod apiserver;
