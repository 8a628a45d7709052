//! Groups on both stages, and what their tests have in common.

use evenkeel::api::{ConditionType, ServerGroup, conditions};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::DeleteParams;
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::cluster::{Cluster, id_of, merge};
use super::stage::Stage;

/// A ServerGroup of the stage's account, not made yet.
pub fn object(name: &str, more: Value) -> Value {
    let mut object = json!({"apiVersion": "evenkeel.dev/v1alpha1", "kind": "ServerGroup",
        "metadata": {"name": name}, "spec": {"providerConfigRef": {"name": "cloud"}}});
    merge(&mut object["spec"], more);
    object
}

pub async fn make(s: &Cluster, name: &str, more: Value) -> ServerGroup {
    s.make::<ServerGroup>(&object(name, more)).await
}

pub async fn member(s: &Stage, name: &str, group: &str, mut more: Value) {
    more["groupRef"] = json!({ "name": group });
    s.create(name, more).await;
}

pub fn of(group: &ServerGroup, kind: ConditionType) -> Option<&Condition> {
    let status = group.status.as_ref()?;
    let current = status.observed_generation == group.metadata.generation;
    conditions::get(&status.conditions, kind).filter(|_| current)
}

pub fn says(group: &ServerGroup, kind: ConditionType, status: &str, reason: &str) -> bool {
    of(group, kind).is_some_and(|c| c.status == status && c.reason == reason)
}

pub async fn reason(s: &Cluster, name: &str, kind: ConditionType, status: &str, reason: &str) -> ServerGroup {
    s.wait_for::<ServerGroup>(name, &format!("{kind}={status}/{reason}"), |g| {
        says(g, kind, status, reason)
    })
    .await
}

pub async fn ready(s: &Cluster, name: &str) -> ServerGroup {
    reason(s, name, ConditionType::Ready, "True", "AsDeclared").await
}

pub async fn delete(s: &Cluster, name: &str) {
    s.api::<ServerGroup>()
        .delete(name, &DeleteParams::default())
        .await
        .unwrap();
}

pub async fn gone(s: &Cluster, name: &str) {
    let waiting = await_condition(s.api::<ServerGroup>(), name, |g: Option<&ServerGroup>| {
        g.is_none()
    });
    timeout(s.patience, waiting)
        .await
        .expect("the group goes")
        .unwrap();
}

/// The counts: servers, running, stopped, ready, failed, foreign.
pub fn counts(group: &ServerGroup) -> [i32; 6] {
    let s = group.status.as_ref().unwrap();
    [s.servers, s.running, s.stopped, s.ready, s.failed, s.foreign].map(Option::unwrap_or_default)
}

/// All four policies, and none: where the members are, and what is said of it.
pub async fn groups_place_their_members(s: &Stage) {
    for (policy, most, same_host) in [
        ("Affinity", None, Some(true)),
        ("AntiAffinity", None, Some(false)),
        ("AntiAffinity", Some(2), None),
        ("SoftAffinity", None, Some(true)),
        ("SoftAntiAffinity", None, Some(false)),
        ("None", None, None),
    ] {
        let placed = policy != "None";
        let short = format!("{}{}", policy.to_lowercase(), most.unwrap_or(1));
        let group = s.name(&short);
        let mut placement = json!({ "policy": policy });
        if let Some(most) = most {
            placement["maxServersPerHost"] = json!(most);
        }
        make(s, &group, json!({ "placement": placement })).await;
        let names = [format!("{group}-a"), format!("{group}-b")];
        for name in &names {
            member(s, name, &group, json!({})).await;
        }
        let mut ids = Vec::new();
        for name in &names {
            ids.push(id_of(&s.ready_in(name, "Running").await).to_owned());
        }
        let all = s.nova.list().await;
        let host = |id: &String| all.iter().find(|v| v["id"] == id.as_str()).unwrap()["hostId"].clone();
        let kept = same_host.is_none_or(|same| same == (host(&ids[0]) == host(&ids[1])));
        assert!(kept || policy.starts_with("Soft"), "{policy}");
        if placed {
            // What is only wished for may not be had; then that is said.
            let (status, why) = if kept {
                ("True", "PlacementMet")
            } else {
                ("False", "PlacementUnmet")
            };
            reason(s, &group, ConditionType::PlacementSatisfied, status, why).await;
        }
        let object = s
            .wait_for::<ServerGroup>(&group, "both counted", |g| counts(g)[..4] == [2, 2, 0, 2])
            .await;
        let status = object.status.unwrap();
        assert_eq!(status.id.is_some(), placed, "{policy}");
        let shown = status.placement.and_then(|p| p.max_servers_per_host);
        assert_eq!(shown, most);
        delete(s, &group).await;
        reason(
            s,
            &group,
            ConditionType::DeletionBlocked,
            "True",
            "GroupHasMembers",
        )
        .await;
        for name in &names {
            s.delete(name).await;
        }
        gone(s, &group).await;
        for name in &names {
            s.gone(name).await;
        }
    }
}
