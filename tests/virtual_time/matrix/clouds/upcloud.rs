//! UpCloud in the matrix.

use std::collections::BTreeMap;
use std::sync::Arc;

use evenkeel::planner::model::Capabilities;
use evenkeel::providers::transport::Connect;
use evenkeel::providers::upcloud::CAPABILITIES;
use evenkeel::sim::apiserver::ApiServer;
use evenkeel::sim::upcloud::{
    FaultRule, HypervisorOrder, Lines, Outage, RequestRecord, ServerView, SimConfig, StorageView, UpCloudSim,
};
use serde_json::{Value, json};

use super::{Cloud, Mishap, Seen, SeenGroup, power};
use crate::world::{BASE, PLANTED};

struct UpCloud(Arc<UpCloudSim>);

/// A fresh cloud.
pub fn fresh(api: &ApiServer) -> Arc<dyn Cloud> {
    open(api).0
}

/// A fresh cloud, and the simulator behind it.
pub fn open(api: &ApiServer) -> (Arc<dyn Cloud>, Arc<UpCloudSim>) {
    let sim = UpCloudSim::new(SimConfig {
        epoch: Some(api.now()),
        ..SimConfig::default()
    });
    sim.set_token(PLANTED);
    (Arc::new(UpCloud(Arc::clone(&sim))), sim)
}

impl Cloud for UpCloud {
    fn name(&self) -> &'static str {
        "upcloud"
    }

    fn connect(&self) -> Arc<dyn Connect> {
        Arc::new(Lines(Arc::clone(&self.0)))
    }

    fn capabilities(&self) -> &'static Capabilities {
        &CAPABILITIES
    }

    fn account(&self, secret: &str) -> Value {
        json!({"upcloud": {"secretRef": {"name": secret}}})
    }

    fn secret(&self, good: bool) -> Value {
        json!({"endpoint": BASE, "token": if good { PLANTED } else { "wrong" }})
    }

    fn spec(&self) -> Value {
        json!({"size": {"name": "1xCPU-1GB"}, "image": {"name": "Ubuntu Server 24.04 LTS (Noble Numbat)"},
            "sshKeys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFakeKeyOfATest test"], "upcloud": {"zone": "fi-hel1"}})
    }

    fn sizes(&self) -> Option<(&'static str, &'static str)> {
        Some(("1xCPU-1GB", "2xCPU-4GB"))
    }

    fn refused(&self) -> (Value, &'static str) {
        (json!({"size": {"name": "9xCPU-9GB"}}), "9xCPU-9GB")
    }

    fn servers(&self) -> Vec<Seen> {
        let seen = |s: ServerView| Seen {
            power: power(&s.state).to_owned(),
            essence: format!("{:?} {}", s.labels, s.state),
            id: s.id,
            name: s.title,
            uid: s.uid,
            size: s.plan,
        };
        self.0.live_servers().into_iter().map(seen).collect()
    }

    fn marked(&self) -> Vec<(String, String)> {
        let uid = |labels: &BTreeMap<String, String>| labels.get("evenkeeluid").cloned();
        let groups = self.0.groups().into_iter();
        let groups = groups.filter_map(|g| {
            let labels: BTreeMap<String, String> = g.labels.into_iter().collect();
            Some((format!("group {}", g.id), uid(&labels)?))
        });
        let disks = self.0.storages().into_iter();
        let disks = disks.filter_map(|s| Some((format!("disk {}", s.id), uid(&s.labels)?)));
        groups.chain(disks).collect()
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
        self.0.set_hosts(if full { 0 } else { 3 });
    }

    fn next_create(&self, mishap: Mishap) {
        let rule = FaultRule::new(mishap.effect());
        self.0.inject(rule.on("POST /server").times(1));
    }

    fn stops_hang(&self, hang: bool) {
        self.0.clear_faults();
        if hang {
            for call in ["guest", "stop"] {
                self.0.order(HypervisorOrder {
                    call: call.to_owned(),
                    server: None,
                    delay_ms: Some(super::HANGS_MS),
                    fault: None,
                });
            }
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
        &["GET /server", "GET /server-group"]
    }

    fn planted(&self) -> Vec<String> {
        vec![PLANTED.to_owned()]
    }

    fn tells(&self) -> Option<Value> {
        // A template without cloud-init: its password is made by the cloud.
        Some(json!({"image": {"name": "Debian GNU/Linux 8 (Jessie)"}, "sshKeys": []}))
    }

    fn avoid(&self, host: &str) -> Option<Value> {
        let host: u64 = host.parse().ok()?;
        Some(json!({"upcloud": {"avoidHost": host}}))
    }

    fn marked_disks(&self) -> usize {
        let marked = |s: &StorageView| s.labels.iter().any(|(key, _)| key.starts_with("evenkeel"));
        self.0.storages().iter().filter(|s| marked(s)).count()
    }

    fn disks(&self) -> usize {
        self.0.storages().len()
    }

    fn groups(&self) -> Vec<SeenGroup> {
        let seen = |g: evenkeel::sim::upcloud::GroupView| SeenGroup {
            id: g.id,
            name: g.title,
            policy: g.policy,
            uid: g
                .labels
                .iter()
                .find(|(key, _)| key == &"evenkeeluid")
                .map(|(_, v)| v.clone()),
            labels: g
                .labels
                .into_iter()
                .filter(|(key, _)| !key.starts_with("evenkeel"))
                .collect(),
            members: g.members.into_keys().collect(),
        };
        self.0.groups().into_iter().map(seen).collect()
    }

    fn next_group(&self, mishap: Mishap) {
        let rule = FaultRule::new(mishap.effect());
        self.0.inject(rule.on("POST /server-group").times(1));
    }

    fn crowded(&self) -> &'static str {
        "Strict anti-affinity cannot currently be met"
    }

    fn hosts(&self, hosts: usize) {
        self.0.set_hosts(hosts);
    }

    fn join(&self, server: &str, group: &str) {
        self.0.oob_join(server, group).unwrap();
    }

    fn label_of(&self, id: &str, key: &str) -> Option<String> {
        let server = self.0.live_servers().into_iter().find(|s| s.id == id)?;
        let mut all = server.labels.iter();
        all.find(|(k, _)| k.as_str() == key).map(|(_, v)| v.clone())
    }

    fn label(&self, id: &str, key: &str, value: &str) {
        self.0.oob_label(id, key, value).unwrap();
    }

    fn next_label(&self, mishap: Mishap) {
        self.0
            .inject(FaultRule::new(mishap.effect()).on("PUT /server/{id}").times(1));
    }

    fn other_image(&self) -> Value {
        json!({"image": {"name": "Debian GNU/Linux 12 (Bookworm)"}})
    }

    fn password_of(&self, id: &str) -> Option<String> {
        self.0.attribute_of(id, "remote_access_password")
    }

    fn passwords(&self) -> (&'static str, &'static str) {
        ("plantedA", "plantedB")
    }
}
