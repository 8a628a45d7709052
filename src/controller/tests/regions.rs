//! One project in two regions: what another region does not have is not gone.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::world::{CONFIG, MINUTE, World};
use crate::controller::run;
use crate::providers::transport::{Connect, Transport, TransportError};
use crate::sim::openstack::OpenStackSim;

/// Below this path is the other region.
const SOUTH: &str = "/south";

/// The simulated cloud in its region, and a second region without servers that shares all else with it.
#[derive(Clone)]
struct Regions {
    north: Arc<OpenStackSim>,
    /// What would have changed something in the south.
    changes: Arc<Mutex<Vec<String>>>,
}

impl Connect for Regions {
    fn connect(&self, _: Option<&[u8]>) -> Result<Arc<dyn Transport>, TransportError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Transport for Regions {
    fn send(
        &self,
        mut request: Request<Bytes>,
        limit: Duration,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(async move {
            let path = request.uri().path().to_owned();
            if path.starts_with(SOUTH) {
                let read = request.method() == http::Method::GET;
                if !read {
                    self.changes
                        .lock()
                        .unwrap()
                        .push(format!("{} {path}", request.method()));
                }
                if path.ends_with("/servers/detail") {
                    return Ok(answer(200, &json!({"servers": []})));
                }
                if !read || path.contains("/servers/") {
                    return Ok(answer(
                        404,
                        &json!({"itemNotFound": {"code": 404, "message": "not here"}}),
                    ));
                }
                let uri = request.uri().to_string().replacen(SOUTH, "", 1);
                *request.uri_mut() = uri.parse().unwrap();
            }
            let login = path.ends_with("/auth/tokens");
            let mut reply = Transport::send(&*self.north, request, limit).await?;
            if login && let Ok(mut body) = serde_json::from_slice::<Value>(reply.body()) {
                for service in body["token"]["catalog"].as_array_mut().into_iter().flatten() {
                    let endpoints = service["endpoints"].as_array_mut().unwrap();
                    let south: Vec<Value> = endpoints.iter().map(southern).collect();
                    endpoints.extend(south);
                }
                *reply.body_mut() = body.to_string().into();
            }
            Ok(reply)
        })
    }
}

fn answer(status: u16, body: &Value) -> Response<Bytes> {
    let reply = Response::builder()
        .status(status)
        .header("content-type", "application/json");
    reply.body(body.to_string().into()).unwrap()
}

/// The same endpoint in the other region.
fn southern(endpoint: &Value) -> Value {
    let mut south = endpoint.clone();
    let url = south["url"].as_str().unwrap().to_owned();
    let (scheme, rest) = url.split_once("://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    south["url"] = json!(format!("{scheme}://{host}{SOUTH}/{path}"));
    (south["region"], south["region_id"]) = (json!("South"), json!("South"));
    south
}

fn place(i: usize) -> String {
    format!("web-{i}")
}

fn in_region(world: &World, region: &str) {
    world
        .kube
        .edit(CONFIG, |o: &mut Value| {
            o["spec"]["openstack"]["region"] = json!(region)
        })
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn another_region_loses_nothing_and_makes_nothing() {
    for n in [3, 20] {
        let world = World::with_config();
        let regions = Regions {
            north: world.cloud.clone(),
            changes: Arc::default(),
        };
        let mut context = world.context("p1");
        context.connect = Arc::new(regions.clone());
        let _running = tokio::spawn(run(context, CancellationToken::new()));
        in_region(&world, "RegionOne");
        for i in 0..n {
            let server = json!({
                "apiVersion": "evenkeel.dev/v1alpha1", "kind": "Server",
                "metadata": {"name": place(i), "namespace": "default"},
                "spec": {
                    "providerConfigRef": {"name": "sim"}, "size": {"name": "m1.small"}, "image": {"name": "cirros"},
                    "onMissing": "Recreate",
                    "openstack": {"networks": [{"name": "primary", "network": "demo-net"}]}
                }
            });
            world.kube.apply(&server).unwrap();
        }
        for i in 0..n {
            world.ready(("servers", "default", place(i).as_str())).await;
        }
        in_region(&world, "South");
        world.reason(CONFIG, "AccountChanged").await;
        tokio::time::sleep(20 * MINUTE).await;
        for i in 0..n {
            world
                .kube
                .delete(("servers", "default", place(i).as_str()))
                .unwrap();
        }
        tokio::time::sleep(20 * MINUTE).await;
        let kept = (0..n).filter(|i| {
            let object = world.kube.get(("servers", "default", place(*i).as_str()));
            object.is_some_and(|o| {
                o["metadata"]["finalizers"]
                    .as_array()
                    .is_some_and(|f| !f.is_empty())
            })
        });
        assert_eq!((kept.count(), world.cloud.live_servers().len()), (n, n));
        assert!(
            regions.changes.lock().unwrap().is_empty(),
            "{:?}",
            regions.changes
        );
        // Back where they are, they go as they were told to.
        in_region(&world, "RegionOne");
        for i in 0..n {
            let name = place(i);
            let gone = |o: Option<&Value>| o.is_none();
            world
                .kube
                .wait_for(("servers", "default", name.as_str()), 10 * MINUTE, gone)
                .await
                .unwrap();
        }
        assert!(world.cloud.live_servers().is_empty());
    }
}
