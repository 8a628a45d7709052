//! The server through a real client, in virtual time.

mod faulty;
mod objects;
mod watching;

use kube::api::Api;
use serde_json::{Value, json};
use std::time::Duration;

use super::*;
use crate::api::Server;

const MINUTE: Duration = Duration::from_secs(60);

fn manifest(name: &str) -> Value {
    json!({"apiVersion": "evenkeel.dev/v1alpha1", "kind": "Server", "metadata": {"name": name, "namespace": "default"},
        "spec": {"providerConfigRef": {"name": "p"}, "size": {"name": "small"}, "image": {"name": "cirros"}}})
}

fn server(name: &str) -> Server {
    serde_json::from_value(manifest(name)).unwrap()
}

fn start() -> (ApiServer, Api<Server>) {
    let cluster = ApiServer::new().unwrap();
    let api = Api::namespaced(cluster.client("c"), "default");
    (cluster, api)
}

fn at(name: &str) -> (&'static str, &'static str, &str) {
    ("servers", "default", name)
}

fn code(error: kube::Error) -> (u16, String) {
    match error {
        kube::Error::Api(status) => (status.code, status.reason.clone()),
        other => panic!("no refusal: {other}"),
    }
}

fn version(s: &Server) -> u64 {
    s.metadata.resource_version.as_ref().unwrap().parse().unwrap()
}
