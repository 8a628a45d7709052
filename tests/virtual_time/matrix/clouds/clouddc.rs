//! CloudDC in the matrix. Machines take their time: a system is installed in a quarter of an hour.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use evenkeel::planner::model::Capabilities;
use evenkeel::providers::clouddc::CAPABILITIES;
use evenkeel::providers::transport::Connect;
use evenkeel::sim::apiserver::ApiServer;
use evenkeel::sim::clouddc::{
    ACCESS_KEY, CloudDcSim, FaultEffect, FaultRule, HypervisorOrder, InstanceView, Lines, Outage, PROJECT,
    REGION, RequestRecord, SimConfig,
};
use serde_json::{Value, json};

use super::{Cloud, Mishap, Seen, power};
use crate::world::{BASE, PLANTED};

const MACHINES: usize = 4;
/// Somebody else's instances, that leave no machine free.
const OTHERS: &str = "other-";

struct CloudDc(Arc<CloudDcSim>);

/// A fresh cloud.
pub fn fresh(api: &ApiServer) -> Arc<dyn Cloud> {
    open(api).0
}

/// The same, and the simulator itself.
pub fn open(api: &ApiServer) -> (Arc<dyn Cloud>, Arc<CloudDcSim>) {
    let sim = CloudDcSim::new(SimConfig {
        epoch: Some(api.now()),
        machines: MACHINES,
        // A process that is started again reads the machine's clock, which virtual time has left behind.
        clock_skew: Duration::from_secs(7 * 24 * 3600),
        ..SimConfig::default()
    });
    sim.set_secret_key(PLANTED);
    (Arc::new(CloudDc(Arc::clone(&sim))), sim)
}

impl Cloud for CloudDc {
    fn name(&self) -> &'static str {
        "clouddc"
    }

    fn connect(&self) -> Arc<dyn Connect> {
        Arc::new(Lines(Arc::clone(&self.0)))
    }

    fn capabilities(&self) -> &'static Capabilities {
        &CAPABILITIES
    }

    fn account(&self, secret: &str) -> Value {
        json!({"cloudDC": {"secretRef": {"name": secret}, "projectID": PROJECT, "region": REGION}})
    }

    fn secret(&self, good: bool) -> Value {
        json!({"endpoint": BASE, "accessKey": ACCESS_KEY, "secretKey": if good { PLANTED } else { "wrong" }})
    }

    fn spec(&self) -> Value {
        json!({"image": {"id": "image-ubuntu"},
            "adminPasswordSecretRef": {"name": "cloud-admin", "key": "password"},
            "cloudDC": {"vpcID": "vpc-1", "networkInterfaces": [{"name": "primary", "subnetID": "subnet-1"}]}})
    }

    fn sizes(&self) -> Option<(&'static str, &'static str)> {
        None
    }

    fn refused(&self) -> (Value, &'static str) {
        (json!({"image": {"id": "image-unheard"}}), "image_id")
    }

    fn servers(&self) -> Vec<Seen> {
        let seen = |s: InstanceView| Seen {
            power: power(&s.state).to_owned(),
            essence: format!("{:?} {} {} {}", s.metadata, s.image, s.state, s.powered),
            id: s.id,
            name: s.name,
            uid: s.uid,
            size: String::new(),
        };
        let mut all = self.0.live_instances();
        all.retain(|s| !s.name.starts_with(OTHERS));
        all.into_iter().map(seen).collect()
    }

    fn target(&self, path: &str, body: &str) -> Option<Seen> {
        let named = |s: &InstanceView| {
            let machine = s.server_id.as_deref();
            [Some(s.id.as_str()), machine]
                .into_iter()
                .flatten()
                .any(|id| path.contains(id) || body.contains(id))
        };
        let id = self.0.live_instances().into_iter().find(named)?.id;
        self.servers().into_iter().find(|s| s.id == id)
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
        for n in 0..MACHINES {
            let name = format!("{OTHERS}{n}");
            if full {
                self.0.oob_create(&name).unwrap();
            } else {
                self.0.oob_delete(&name).unwrap();
            }
        }
    }

    fn next_create(&self, mishap: Mishap) {
        let rule = FaultRule::new(mishap.effect());
        self.0.inject(rule.on("POST /instances").times(1));
    }

    fn hurry(&self) {
        for call in ["install", "reinstall"] {
            self.0.order(HypervisorOrder {
                call: call.to_owned(),
                server: None,
                delay_ms: Some(200_000),
                fault: None,
            });
        }
    }

    fn stops_hang(&self, hang: bool) {
        self.0.clear_faults();
        if hang {
            self.0.order(HypervisorOrder {
                call: "power_off".to_owned(),
                server: None,
                delay_ms: Some(super::HANGS_MS),
                fault: None,
            });
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
        &["GET /instances", "GET /physicalservers"]
    }

    fn planted(&self) -> Vec<String> {
        vec![PLANTED.to_owned()]
    }

    fn provisioning_fails(&self, fails: bool) {
        self.0.clear_faults();
        if fails {
            self.0.order(HypervisorOrder {
                call: "install".to_owned(),
                server: None,
                delay_ms: None,
                fault: Some("error:the disk is not found".to_owned()),
            });
        }
    }

    fn refuse_to_try_again(&self) {
        let body = json!({"error_code": "iMetal.0203", "error_msg": "an operation is in progress"});
        let effect = FaultEffect::Status {
            code: 400,
            body: Some(body),
        };
        self.0
            .inject(FaultRule::new(effect).on("PUT /instances/reinstall"));
    }

    fn other_image(&self) -> Value {
        json!({"image": {"id": self.0.image_ids()[1]}})
    }

    fn image_of(&self, id: &str) -> Option<String> {
        self.0.instance(id).map(|i| i.image)
    }

    fn installations(&self, _: &str) -> usize {
        let asked = self.0.counts();
        asked.get("PUT /instances/reinstall").copied().unwrap_or(0)
    }

    fn password_of(&self, id: &str) -> Option<String> {
        self.0.password_of(id)
    }

    fn passwords(&self) -> (&'static str, &'static str) {
        ("Planted-One-1", "Planted-Two-2")
    }

    fn other_network(&self) -> Option<(Value, Value)> {
        let on =
            |subnet| json!({"cloudDC": {"networkInterfaces": [{"name": "primary", "subnetID": subnet}]}});
        Some((on("subnet-1"), on("subnet-2")))
    }

    fn changes_fail(&self, fail: bool) {
        self.0.clear_faults();
        for call in ["reinstall", "modify_ip"].into_iter().filter(|_| fail) {
            self.0.order(HypervisorOrder {
                call: call.to_owned(),
                server: None,
                delay_ms: None,
                fault: Some("error:the disk is not found".to_owned()),
            });
        }
    }
}
