//! The operations that every kind of trouble is tried on: what begins them, and what they lead to.

use evenkeel::api::{ConditionType, Server};
use serde_json::json;

use crate::scenarios::stage::{Stage, condition, power_of, ready};
use crate::world::Virtual;

/// The one Server of these tests.
pub const NAME: &str = "web";

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Create,
    Stop,
    Start,
    Resize,
    Delete,
}

impl Step {
    /// In an order in which each one finds what it needs.
    pub const ALL: &[Self] = &[Self::Create, Self::Stop, Self::Start, Self::Resize, Self::Delete];

    /// Says the wish.
    pub async fn begin(self, s: &Stage) {
        match self {
            Self::Create => drop(s.create(NAME, json!({"resize": {"when": "StopIfNeeded"}})).await),
            Self::Stop => drop(s.edit(NAME, json!({"powerState": "Stopped"})).await),
            Self::Start => drop(s.edit(NAME, json!({"powerState": "Running"})).await),
            Self::Resize => drop(s.edit(NAME, json!({"size": {"name": "m1.small"}})).await),
            Self::Delete => s.delete(NAME).await,
        }
    }

    /// Waits until it is fulfilled.
    pub async fn fulfilled(self, s: &Stage) {
        match self {
            Self::Create | Self::Start => drop(s.ready_in(NAME, "Running").await),
            Self::Stop => drop(s.ready_in(NAME, "Stopped").await),
            Self::Resize => {
                s.wait(NAME, "Ready with size m1.small", |x| {
                    ready(x) && power_of(x) == "Running" && has_size(x, "m1.small")
                })
                .await;
            }
            Self::Delete => s.gone(NAME).await,
        }
    }

    /// Brings a world to where this operation can begin.
    pub async fn prepare(self, s: &Stage) {
        for step in Self::ALL.iter().take_while(|step| **step != self) {
            // A stopped server is started again right away; nothing else needs it stopped.
            if matches!(step, Self::Create) || (*step == Self::Stop && self == Self::Start) {
                step.begin(s).await;
                step.fulfilled(s).await;
            }
        }
    }

    /// What the cloud must have in the end.
    pub fn check(self, world: &Virtual) {
        let servers = world.sim.live_servers();
        let seen: Vec<_> = servers
            .iter()
            .map(|s| (s.status.as_str(), s.flavor.as_str()))
            .collect();
        let wanted: &[(&str, &str)] = match self {
            Self::Create | Self::Start => &[("ACTIVE", "m1.tiny")],
            Self::Stop => &[("SHUTOFF", "m1.tiny")],
            Self::Resize => &[("ACTIVE", "m1.small")],
            Self::Delete => &[],
        };
        assert_eq!(seen, wanted, "after {self:?}");
    }
}

fn has_size(server: &Server, size: &str) -> bool {
    let synced = condition(server, ConditionType::SizeSynced).is_some_and(|c| c.status == "True");
    synced && server.status.as_ref().unwrap().size.as_deref() == Some(size)
}
