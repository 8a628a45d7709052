//! Server groups (section "Server Groups" of the API 1.3): a policy, labels, and members that come and go.

use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::errors::Asked;
use super::labels::{self, Labels};
use super::session::{Request, Service, checked, parse};
use super::wire::{Group, GroupDoc, GroupList};
use crate::api::server_group::PlacementPolicy;
use crate::planner::model::{
    Accepted, CloudError, CreateGroup, ErrorClass, GroupChange, GroupMember, ObservedGroup,
};
use crate::providers::transport::client::Reply;

/// The policies and the service's words for them.
const POLICIES: &[(PlacementPolicy, &str)] = &[
    (PlacementPolicy::AntiAffinity, "strict"),
    (PlacementPolicy::SoftAntiAffinity, "yes"),
    (PlacementPolicy::None, "no"),
];

/// The words for how a member is placed.
const PLACED: &[(&str, bool)] = &[("met", true), ("unmet", false)];

const ROUTE: &str = "upcloud /server-group";
const ROUTE_ONE: &str = "upcloud /server-group/{id}";

/// Every group of the account.
pub(super) async fn list(service: &Service) -> Result<Vec<ObservedGroup>, CloudError> {
    let groups: GroupList = service.read(Request::get("/server-group", ROUTE)).await?;
    Ok(groups.server_groups.0.into_iter().map(observed).collect())
}

fn observed(group: Group) -> ObservedGroup {
    let labels = group.labels.as_ref().map(labels::read).unwrap_or_default();
    let raw = group.anti_affinity.unwrap_or_default();
    let met = |id: &str| {
        let placed = group.anti_affinity_status.0.iter().find(|p| p.uuid == id)?;
        let word = placed.status.as_deref()?;
        PLACED.iter().find(|(w, _)| *w == word).map(|(_, met)| *met)
    };
    let mut members: Vec<GroupMember> = group
        .servers
        .0
        .iter()
        .map(|id| GroupMember {
            id: id.clone(),
            met: met(id),
        })
        .collect();
    members.sort();
    ObservedGroup {
        id: group.uuid,
        name: group.title.unwrap_or_default(),
        policy: POLICIES.iter().find(|(_, word)| *word == raw).map(|(p, _)| *p),
        raw_policy: raw,
        max_per_host: None,
        marks: labels::marks_of(&labels),
        labels: labels::visible(&labels),
        members,
    }
}

fn word_of(group: &CreateGroup) -> Result<&'static str, CloudError> {
    let unsupported = |words: String| CloudError::new(ErrorClass::Unsupported, words);
    if group.max_per_host.is_some() {
        return Err(unsupported(
            "UpCloud cannot limit the members on one host".to_owned(),
        ));
    }
    POLICIES
        .iter()
        .find(|(policy, _)| *policy == group.policy)
        .map(|(_, word)| *word)
        .ok_or_else(|| unsupported(format!("UpCloud has no policy {}", group.policy)))
}

fn body(title: &str, policy: &str, labels: &Labels) -> Value {
    json!({ "server_group": {
        "title": title,
        "anti_affinity": policy,
        "labels": { "label": labels::written(labels) },
    }})
}

/// Creates a group without members.
///
/// # Errors
/// A reply that shows no group, as the vendor's page has it, is made good by a look at the list; class `Ambiguous`
/// when it is not there either.
pub(super) async fn create(
    service: &Service,
    group: &CreateGroup,
    send_before: Instant,
) -> Result<Accepted, CloudError> {
    let mut all = labels::wished(&group.labels)?;
    all.extend(labels::of_marks(&group.marks, None));
    let request = Request {
        body: Some(body(&group.name, word_of(group)?, &all)),
        asked: Asked::Create,
        ..Request::change(Method::POST, "/server-group", ROUTE, send_before)
    };
    let reply = service.send(request).await?;
    if !reply.body.iter().all(u8::is_ascii_whitespace) {
        let made: GroupDoc = parse(&reply, Asked::Create, ROUTE)?;
        return Ok(accepted(&made.server_group.uuid, &reply));
    }
    let ours = |g: &ObservedGroup| g.marks.as_ref().is_some_and(|m| m.uid == group.marks.uid);
    let found = list(service).await.map(|all| all.into_iter().find(ours));
    match found {
        Ok(Some(found)) => Ok(accepted(&found.id, &reply)),
        Ok(None) | Err(_) => Err(CloudError {
            maybe_applied: true,
            ..CloudError::new(
                ErrorClass::Ambiguous,
                "UpCloud accepted the group and did not say its id",
            )
        }),
    }
}

fn accepted(id: &str, reply: &Reply) -> Accepted {
    Accepted {
        id: Some(id.to_owned()),
        request_id: super::request_id(reply),
        ..Accepted::default()
    }
}

/// Changes a group.
pub(super) async fn change(
    service: &Service,
    id: &str,
    change: &GroupChange,
    send_before: Instant,
) -> Result<Accepted, CloudError> {
    let path = format!("/server-group/{}", checked(id)?);
    let request = match change {
        GroupChange::Modify { wanted, gone } => {
            let word = word_of(wanted)?;
            let mut there = labels_of(service, &path).await?;
            there.retain(|key, _| !gone.contains(key));
            let wished = labels::with_wish(&there, &wanted.labels)?;
            let all = labels::with_marks(&wished, &wanted.marks);
            Request {
                body: Some(body(&wanted.name, word, &all)),
                ..Request::change(Method::PATCH, path, ROUTE_ONE, send_before)
            }
        }
        GroupChange::Unmark => {
            let all = labels::without_marks(&labels_of(service, &path).await?);
            let labels = json!({ "label": labels::written(&all) });
            Request {
                body: Some(json!({ "server_group": { "labels": labels } })),
                ..Request::change(Method::PATCH, path, ROUTE_ONE, send_before)
            }
        }
        GroupChange::Add { server } => Request {
            body: Some(json!({ "server": { "uuid": checked(server)? } })),
            ..Request::change(
                Method::POST,
                format!("{path}/servers"),
                "upcloud /server-group/{id}/servers",
                send_before,
            )
        },
        GroupChange::Remove { server } => Request::change(
            Method::DELETE,
            format!("{path}/servers/{}", checked(server)?),
            "upcloud /server-group/{id}/servers/{id}",
            send_before,
        ),
        GroupChange::Delete => Request::change(Method::DELETE, path, ROUTE_ONE, send_before),
    };
    Ok(accepted(id, &service.done(request).await?))
}

/// The labels of a group: a change replaces them all.
async fn labels_of(service: &Service, path: &str) -> Result<Labels, CloudError> {
    let group: GroupDoc = service.read(Request::look(path, ROUTE_ONE)).await?;
    Ok(group
        .server_group
        .labels
        .as_ref()
        .map(labels::read)
        .unwrap_or_default())
}
