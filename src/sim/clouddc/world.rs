//! Everything that a simulated CloudDC knows.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;

use super::auth::Accounts;
use super::config::SimConfig;
use super::timeline::Entry;
use crate::sim::cloud::Core;

/// The metadata key by which makers of instances mark them; for the judges of a test.
const UID: &str = "evenkeel-uid";

/// What went wrong, as the status shows it.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) kind: Option<&'static str>,
}

/// A physical server.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) manage: String,
    pub(super) on: bool,
    /// `power-on-processing` and its kin.
    pub(super) switching: Option<String>,
    pub(super) health: String,
    pub(super) frozen: i64,
    pub(super) rack: String,
    pub(super) unit: String,
    pub(super) trouble: Option<Trouble>,
    /// Something is under way.
    pub(super) busy: bool,
}

/// An instance.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    pub(super) id: String,
    pub(super) seq: u64,
    pub(super) name: String,
    pub(super) image: String,
    pub(super) vpc: String,
    /// Subnet and address.
    pub(super) nics: Vec<(String, String)>,
    pub(super) password: String,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) description: String,
    pub(super) state: String,
    pub(super) operation: Option<String>,
    pub(super) machine: Option<String>,
    pub(super) trouble: Option<Trouble>,
    pub(super) created: Timestamp,
    pub(super) created_at: Instant,
    pub(super) updated: Timestamp,
    pub(super) launched: Option<Timestamp>,
    /// Since when it is terminated.
    pub(super) ended: Option<Instant>,
    /// Something is under way.
    pub(super) busy: bool,
}

impl Instance {
    pub(super) fn uid(&self) -> Option<&str> {
        self.metadata.get(UID).map(String::as_str)
    }
}

/// The state of a simulated CloudDC.
#[derive(Debug)]
pub struct World {
    pub(super) config: SimConfig,
    pub(super) core: Core,
    pub(super) accounts: Accounts,
    pub(super) machines: BTreeMap<String, Machine>,
    pub(super) instances: BTreeMap<String, Instance>,
    /// What is going to happen, by time and then by the order it was decided in.
    pub(super) agenda: BTreeMap<(Instant, u64), Entry>,
}

/// The images that can be installed.
pub(super) const IMAGES: &[&str] = &["image-ubuntu", "image-rocky"];
/// The one VPC and its subnets, with the beginning of their addresses.
pub(super) const VPC: &str = "vpc-1";
pub(super) const SUBNETS: &[(&str, &str)] = &[("subnet-1", "10.0"), ("subnet-2", "10.1")];

impl World {
    pub(super) fn new(config: SimConfig) -> Self {
        let core = Core::new(config.seed, config.epoch);
        let machines = (1..=config.machines).map(|n| {
            let machine = Machine {
                id: format!("server-{n:02}"),
                name: format!("machine-{n:02}"),
                manage: "ready".to_owned(),
                on: false,
                switching: None,
                health: "OK".to_owned(),
                frozen: 0,
                rack: format!("rack-{}", (n - 1) / 4 + 1),
                unit: format!("U{:02}", (n - 1) % 4 * 2 + 1),
                trouble: None,
                busy: false,
            };
            (machine.id.clone(), machine)
        });
        Self {
            machines: machines.collect(),
            accounts: Accounts::new(core.start),
            instances: BTreeMap::new(),
            agenda: BTreeMap::new(),
            core,
            config,
        }
    }

    /// Instances that exist, in the order of their making.
    pub(super) fn live(&self) -> Vec<&Instance> {
        let mut live: Vec<_> = self.instances.values().filter(|i| i.ended.is_none()).collect();
        live.sort_by_key(|i| i.seq);
        live
    }

    /// The id of the one live instance with this id or name.
    pub(super) fn find(&self, key: &str) -> Option<String> {
        let live = self.live();
        let by = |fits: &dyn Fn(&Instance) -> bool| live.iter().find(|i| fits(i)).map(|i| i.id.clone());
        by(&|i| i.id == key).or_else(|| by(&|i| i.name == key))
    }

    /// The instance on a physical server.
    pub(super) fn on_machine(&self, machine: &str) -> Option<&Instance> {
        self.live()
            .into_iter()
            .find(|i| i.machine.as_deref() == Some(machine))
    }

    pub(super) fn view(&self, instance: &Instance) -> InstanceView {
        let machine = instance.machine.as_ref().and_then(|id| self.machines.get(id));
        InstanceView {
            id: instance.id.clone(),
            name: instance.name.clone(),
            state: instance.state.clone(),
            operation_state: instance.operation.clone(),
            server_id: instance.machine.clone(),
            powered: machine.is_some_and(|m| m.on),
            image: instance.image.clone(),
            metadata: instance.metadata.clone(),
            uid: instance.uid().map(str::to_owned),
            error: instance.trouble.as_ref().map(|t| t.message.clone()),
            gone: instance.ended.is_some(),
        }
    }
}

/// An instance as a test sees it, past all faults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InstanceView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: String,
    /// How its last operation stands.
    pub operation_state: Option<String>,
    /// The physical server it is on.
    pub server_id: Option<String>,
    /// Whether that is powered.
    pub powered: bool,
    /// The id of its image.
    pub image: String,
    /// Its metadata.
    pub metadata: BTreeMap<String, String>,
    /// The uid that it is marked with.
    pub uid: Option<String>,
    /// The message of its error.
    pub error: Option<String>,
    /// Whether it was deleted.
    pub gone: bool,
}
