//! Server groups: `/os-server-groups`, from 2.64 on with one policy and its rules.
//! <https://docs.openstack.org/api-ref/compute/#server-groups-os-server-groups>
//!
//! Nova's groups carry no marks, nothing of them can be changed, and a server joins one when it is created, by the
//! scheduler hint `group`, or never.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::auth::ServiceKind;
use super::catalog::query;
use super::discovery::Need;
use super::errors::{Asked, unreadable};
use super::session::{Request, Services};
use super::wire::{Group, GroupDoc, GroupPage};
use super::{accepted, checked};
use crate::api::server_group::PlacementPolicy;
use crate::planner::model::{
    Accepted, CloudError, CreateGroup, ErrorClass, GroupCapabilities, GroupChange, GroupMember, ObservedGroup,
};
use crate::providers::answers::Pages;

/// What Nova can do with groups.
pub(super) static CAPABILITIES: GroupCapabilities = GroupCapabilities {
    policies: &[
        PlacementPolicy::Affinity,
        PlacementPolicy::AntiAffinity,
        PlacementPolicy::SoftAffinity,
        PlacementPolicy::SoftAntiAffinity,
    ],
    without_policy: false,
    policy_mutable: false,
    members_mutable: false,
    labels_mutable: false,
    marks: false,
    max_per_host: true,
    members_max: None,
    create_settle_seconds: 120,
};

/// Our policies in Nova's words.
const POLICIES: &[(PlacementPolicy, &str)] = &[
    (PlacementPolicy::Affinity, "affinity"),
    (PlacementPolicy::AntiAffinity, "anti-affinity"),
    (PlacementPolicy::SoftAffinity, "soft-affinity"),
    (PlacementPolicy::SoftAntiAffinity, "soft-anti-affinity"),
];

const LIST: &str = "/os-server-groups";

/// Every group of the project, or an error.
///
/// Pages go by offset, so that a group that is deleted while they are read moves the rest: each page begins with the
/// last group of the one before, and where it does not, the list is no list.
pub(super) async fn all(services: &Services) -> Result<Vec<ObservedGroup>, CloudError> {
    let (mut all, mut pages) = (Vec::<Group>::new(), Pages::default());
    loop {
        // Behind one group alone there is nothing to overlap with.
        let overlaps = all.len() > 1;
        let path = match all.len() {
            0 => LIST.to_owned(),
            n => query(LIST, &[("offset", &(n - usize::from(overlaps)).to_string())]),
        };
        let request = Request {
            need: Need::Groups,
            ..Request::get(ServiceKind::Compute, path, "nova /os-server-groups")
        };
        let mut page = services
            .page::<GroupPage>(request, &mut pages)
            .await?
            .server_groups;
        if page.iter().any(|g| g.id.is_empty()) {
            return Err(broken("holds a group without an id"));
        }
        if let Some(last) = all.last().filter(|_| overlaps).map(|g| g.id.clone()) {
            if page.first().map(|g| &g.id) != Some(&last) {
                return Err(broken("changed while it was read"));
            }
            page.remove(0);
        }
        if page.is_empty() {
            return Ok(all.into_iter().map(observed).collect());
        }
        all.extend(page);
        let ids: BTreeSet<&str> = all.iter().map(|g| g.id.as_str()).collect();
        if ids.len() != all.len() {
            return Err(broken("goes round in a circle"));
        }
    }
}

fn broken(what: &str) -> CloudError {
    CloudError::new(ErrorClass::Transient, format!("Nova's list of groups {what}"))
}

fn observed(group: Group) -> ObservedGroup {
    // Before 2.64 there is a list of policies; where a cloud still sends one, its only word counts.
    let raw = group
        .policy
        .or_else(|| group.policies.into_iter().next())
        .unwrap_or_default();
    let mut members: Vec<GroupMember> = group
        .members
        .into_iter()
        .map(|id| GroupMember { id, met: None })
        .collect();
    members.sort();
    ObservedGroup {
        id: group.id,
        name: group.name,
        policy: POLICIES.iter().find(|(_, word)| *word == raw).map(|(p, _)| *p),
        raw_policy: raw,
        max_per_host: group.rules.max_server_per_host,
        labels: BTreeMap::new(),
        marks: None,
        members,
    }
}

/// The body of `POST /os-server-groups`.
fn body(create: &CreateGroup) -> Result<Value, CloudError> {
    let Some((_, policy)) = POLICIES.iter().find(|(p, _)| *p == create.policy) else {
        return Err(CloudError::new(
            ErrorClass::Unsupported,
            format!("OpenStack has no groups with policy {}", create.policy),
        ));
    };
    let mut group = json!({"name": create.name, "policy": policy});
    if let Some(most) = create.max_per_host {
        group["rules"] = json!({"max_server_per_host": most});
    }
    Ok(json!({ "server_group": group }))
}

/// Makes a group.
pub(super) async fn create(
    services: &Services,
    create: &CreateGroup,
    send_before: Instant,
) -> Result<Accepted, CloudError> {
    let request = Request {
        body: Some(body(create)?),
        asked: Asked::Create,
        need: Need::Groups,
        ..Request::change(Method::POST, LIST, "nova /os-server-groups", send_before)
    };
    let reply = services.send(request).await?;
    let made: GroupDoc = serde_json::from_slice(&reply.body)
        .map_err(|e| unreadable("Nova", "answer to the creation of a group", Asked::Create, &e))?;
    Ok(accepted(&made.server_group.id, &reply))
}

/// Changes a group: it can be deleted, and nothing else.
pub(super) async fn change(
    services: &Services,
    id: &str,
    change: &GroupChange,
    send_before: Instant,
) -> Result<Accepted, CloudError> {
    if *change != GroupChange::Delete {
        return Err(CloudError::new(
            ErrorClass::Unsupported,
            "OpenStack cannot change a group of servers",
        ));
    }
    let path = format!("{LIST}/{}", checked(id)?);
    let request = Request {
        need: Need::Groups,
        ..Request::change(Method::DELETE, path, "nova /os-server-groups/{id}", send_before)
    };
    Ok(accepted(id, &services.send(request).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_is_said_in_one_word_and_read_back() {
        for policy in CAPABILITIES.policies {
            let wanted = CreateGroup {
                name: "web-0123456789".into(),
                policy: *policy,
                max_per_host: (*policy == PlacementPolicy::AntiAffinity).then_some(2),
                labels: BTreeMap::new(),
                marks: crate::planner::model::Marks::default(),
            };
            let mut body = body(&wanted).unwrap();
            let group = body["server_group"].take();
            let back: Group = serde_json::from_value(group.clone()).unwrap();
            let back = observed(back);
            assert_eq!(
                (back.policy, back.max_per_host),
                (Some(*policy), wanted.max_per_host),
                "{group}"
            );
        }
        let none = CreateGroup {
            policy: PlacementPolicy::None,
            name: "x".into(),
            max_per_host: None,
            labels: BTreeMap::new(),
            marks: crate::planner::model::Marks::default(),
        };
        assert_eq!(body(&none).unwrap_err().class, ErrorClass::Unsupported);
    }

    #[test]
    fn what_nova_writes_is_read_old_and_new_and_odd() {
        let read = |text: &str| -> Vec<ObservedGroup> {
            let page: GroupPage = serde_json::from_str(text).unwrap();
            page.server_groups.into_iter().map(observed).collect()
        };
        let groups = read(
            r#"{"server_groups": [
                {"id": "a", "name": "n", "policy": "anti-affinity", "rules": {"max_server_per_host": 3},
                 "members": ["z", "b"], "project_id": "p", "user_id": "u"},
                {"id": "b", "name": null, "policies": ["affinity"], "metadata": {}, "members": null},
                {"id": "c", "name": "n", "policy": "cuddle", "rules": {}, "new": 1}]}"#,
        );
        assert_eq!(
            groups[0]
                .members
                .iter()
                .map(|m| m.id.as_str())
                .collect::<Vec<_>>(),
            ["b", "z"]
        );
        assert_eq!(groups[0].max_per_host, Some(3));
        assert_eq!(groups[1].policy, Some(PlacementPolicy::Affinity));
        assert_eq!(
            (groups[2].policy, groups[2].raw_policy.as_str()),
            (None, "cuddle")
        );
    }
}
