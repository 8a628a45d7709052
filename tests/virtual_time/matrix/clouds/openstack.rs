//! OpenStack in the matrix.

use std::collections::BTreeMap;
use std::sync::Arc;

use evenkeel::planner::model::Capabilities;
use evenkeel::providers::openstack::CAPABILITIES;
use evenkeel::providers::transport::Connect;
use evenkeel::sim::apiserver::ApiServer;
use evenkeel::sim::openstack::{
    FaultRule, HypervisorOrder, Lines, OpenStackSim, Outage, PASSWORD, RequestRecord, SimConfig, clouds_yaml,
};
use serde_json::{Value, json};

use super::{Cloud, Mishap, Seen, SeenGroup, power};
use crate::world::{BASE, PLANTED};

struct OpenStack(Arc<OpenStackSim>);

/// A fresh cloud.
pub fn fresh(api: &ApiServer) -> Arc<dyn Cloud> {
    open(api).0
}

/// A fresh cloud, and what it is made of.
pub fn open(api: &ApiServer) -> (Arc<dyn Cloud>, Arc<OpenStackSim>) {
    open_with(api, SimConfig::default())
}

/// The same, made in another way.
pub fn open_with(api: &ApiServer, config: SimConfig) -> (Arc<dyn Cloud>, Arc<OpenStackSim>) {
    let sim = OpenStackSim::new(SimConfig {
        epoch: Some(api.now()),
        ..config
    });
    sim.set_password("demo", PLANTED);
    (Arc::new(OpenStack(Arc::clone(&sim))), sim)
}

impl Cloud for OpenStack {
    fn name(&self) -> &'static str {
        "openstack"
    }

    fn connect(&self) -> Arc<dyn Connect> {
        Arc::new(Lines(Arc::clone(&self.0)))
    }

    fn capabilities(&self) -> &'static Capabilities {
        &CAPABILITIES
    }

    fn account(&self, secret: &str) -> Value {
        json!({"openstack": {"secretRef": {"name": secret}, "cloud": "demo"}})
    }

    fn secret(&self, good: bool) -> Value {
        let password = if good { PLANTED } else { "wrong" };
        json!({"clouds.yaml": clouds_yaml(BASE).replace(PASSWORD, password)})
    }

    fn spec(&self) -> Value {
        json!({"size": {"name": "m1.tiny"}, "image": {"name": "cirros"},
            "openstack": {"networks": [{"name": "primary", "network": "demo-net"}]}})
    }

    fn sizes(&self) -> Option<(&'static str, &'static str)> {
        Some(("m1.tiny", "m1.small"))
    }

    fn refused(&self) -> (Value, &'static str) {
        (json!({"image": {"name": "unheard"}}), "unheard")
    }

    fn servers(&self) -> Vec<Seen> {
        let seen = |s: evenkeel::sim::openstack::ServerView| Seen {
            power: power(&s.status).to_owned(),
            essence: format!("{:?} {:?} {}", s.metadata, s.tags, s.status),
            id: s.id,
            name: s.name,
            uid: s.uid,
            size: s.flavor,
        };
        self.0.live_servers().into_iter().map(seen).collect()
    }

    fn high_water(&self) -> BTreeMap<String, usize> {
        self.0.high_water()
    }

    fn stop(&self, id: &str) {
        self.0.oob_stop(id).unwrap();
    }

    fn start(&self, id: &str) {
        self.0.oob_start(id).unwrap();
    }

    fn delete(&self, id: &str) {
        self.0.oob_delete(id).unwrap();
    }

    fn by_hand(&self, name: &str) -> String {
        self.0.oob_create(name).unwrap()
    }

    fn outage(&self, down: bool) {
        self.0.outage(down.then_some(Outage::Refused));
    }

    fn inject(&self, rule: FaultRule) {
        self.0.inject(rule);
    }

    fn clear_faults(&self) {
        self.0.clear_faults();
    }

    fn no_room(&self, full: bool) {
        self.0.clear_faults();
        if full {
            self.0
                .order(order("spawn", None, Some("reschedule:every berth is taken")));
        }
    }

    fn next_create(&self, mishap: Mishap) {
        self.0
            .inject(FaultRule::new(mishap.effect()).on("POST /servers").times(1));
    }

    fn stops_hang(&self, hang: bool) {
        self.0.clear_faults();
        if hang {
            self.0.order(order("power_off", Some(super::HANGS_MS), None));
        }
    }

    fn counts(&self) -> BTreeMap<String, usize> {
        self.0.counts()
    }

    fn requests(&self) -> Vec<RequestRecord> {
        self.0.requests()
    }

    fn reset_requests(&self) {
        self.0.reset_requests();
    }

    fn at_rest(&self) -> &'static [&'static str] {
        &[
            "GET /servers/detail",
            "GET /os-server-groups",
            "POST /v3/auth/tokens",
        ]
    }

    fn planted(&self) -> Vec<String> {
        vec![PLANTED.to_owned()]
    }

    fn groups(&self) -> Vec<SeenGroup> {
        let seen = |g: evenkeel::sim::openstack::GroupView| SeenGroup {
            id: g.id,
            name: g.name,
            policy: g.policy,
            labels: BTreeMap::new(),
            uid: None,
            members: g.members,
        };
        self.0.server_groups().into_iter().map(seen).collect()
    }

    fn next_group(&self, mishap: Mishap) {
        let rule = FaultRule::new(mishap.effect());
        self.0.inject(rule.on("POST /os-server-groups").times(1));
    }

    fn crowded(&self) -> &'static str {
        "No valid host was found"
    }

    fn hosts(&self, hosts: usize) {
        self.0.set_hosts(hosts);
    }

    fn join(&self, server: &str, group: &str) {
        self.0.oob_join(server, group).unwrap();
    }

    fn label_of(&self, id: &str, key: &str) -> Option<String> {
        self.0.server(id)?.metadata.get(key).cloned()
    }

    fn label(&self, id: &str, key: &str, value: &str) {
        self.0.oob_metadata(id, key, value).unwrap();
    }

    fn next_label(&self, mishap: Mishap) {
        let rule = FaultRule::new(mishap.effect()).on("POST /servers/{id}/metadata");
        self.0.inject(rule.times(1));
    }

    fn tells(&self) -> Option<Value> {
        Some(json!({}))
    }

    fn other_image(&self) -> Value {
        json!({"image": {"name": "cirros-new"}})
    }

    fn image_of(&self, id: &str) -> Option<String> {
        Some(self.0.server(id)?.image)
    }

    fn installations(&self, id: &str) -> usize {
        let asked = self.0.server(id).map(|s| s.asked).unwrap_or_default();
        asked.iter().filter(|a| **a == "rebuild").count()
    }
}

fn order(call: &str, delay_ms: Option<u64>, fault: Option<&str>) -> HypervisorOrder {
    HypervisorOrder {
        call: call.to_owned(),
        server: None,
        delay_ms,
        fault: fault.map(str::to_owned),
    }
}
