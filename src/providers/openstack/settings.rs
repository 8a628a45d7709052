//! What Nova changes on an existing server without an action on its guest: its name and host name, metadata, tags and
//! security groups, its interfaces and volumes. Of the sets only what a call names is touched: what others brought in stays.
//! <https://docs.openstack.org/api-ref/compute/#server-metadata-servers-metadata>

use std::collections::BTreeMap;

use http::Method;
use reqwest::Url;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::catalog::Catalog;
use super::convert::OURS;
use super::discovery::Need;
use super::errors::Asked;
use super::session::{Request, Services};
use super::{accepted, checked, floating, interfaces, volumes, wire};
use crate::api::server::ServerSpec;
use crate::planner::model::{
    Accepted, CloudError, ErrorClass, ItemChange, Items, ServerState, WantedAttribute,
};

const NAME: &str = "name";
const HOSTNAME: &str = "hostname";
const LABELS: &str = "labels";
const TAGS: &str = "tags";
const GROUPS: &str = "securityGroups";
/// What counts only when a server is made.
const USER_DATA: &str = "userDataSecretRef";
const KEY: &str = "keyName";
/// They go along in one request; what is under way has to be remembered key by key.
const LABELS_AT_ONCE: usize = 32;
/// Tags are a request each, and all of them have to be sent within seconds of their record.
const TAGS_AT_ONCE: usize = 8;

/// The settings of a wish that are changed in place, and those whose change is only shown.
pub(super) fn wanted(spec: &ServerSpec) -> Vec<WantedAttribute> {
    let own = spec.openstack.as_ref();
    let bare = |list: Option<&Vec<String>>| -> BTreeMap<String, String> {
        list.into_iter()
            .flatten()
            .map(|key| (key.clone(), String::new()))
            .collect()
    };
    // As for our marks, in the capabilities.
    let marked = |name, items| WantedAttribute {
        not_in: &[ServerState::Shelved],
        ..WantedAttribute::set(name, items)
    };
    let text = |name, value: &Option<String>| value.clone().map(|v| WantedAttribute::new(name, v));
    let labels = Items {
        all: spec.labels.clone().unwrap_or_default(),
        at_once: LABELS_AT_ONCE,
        ..Items::default()
    };
    let tags = Items {
        all: bare(own.and_then(|o| o.tags.as_ref())),
        at_once: TAGS_AT_ONCE,
        ..Items::default()
    };
    let groups = Items {
        all: bare(own.and_then(|o| o.security_groups.as_ref())),
        at_once: 1,
        ids: true,
        carried_by: Some(interfaces::NETWORKS),
        ..Items::default()
    };
    let user_data = spec.user_data_secret_ref.as_ref().map(|r| r.text());
    let key = own.and_then(|o| o.key_name.clone());
    text(NAME, &spec.cloud_name)
        .into_iter()
        .chain(text(HOSTNAME, &spec.hostname))
        .chain([
            marked(LABELS, labels),
            marked(TAGS, tags),
            interfaces::wanted(own),
            floating::wanted(own),
            volumes::wanted(own),
            WantedAttribute::set(GROUPS, groups),
            WantedAttribute::fixed(USER_DATA, user_data.unwrap_or_default()),
            WantedAttribute::fixed(KEY, key.unwrap_or_default()),
        ])
        .collect()
}

/// The texts among them that a server shows.
pub(super) fn texts(server: &wire::Server) -> BTreeMap<String, String> {
    let hostname = server.hostname.clone().map(|h| (HOSTNAME.to_owned(), h));
    [(NAME.to_owned(), server.name.clone())]
        .into_iter()
        .chain(hostname)
        .collect()
}

/// The sets among them that a server shows, without what is ours.
pub(super) fn sets(server: &wire::Server) -> BTreeMap<String, BTreeMap<String, String>> {
    let bare = |key: &str| (key.to_owned(), String::new());
    let theirs = |key: &str| !key.starts_with(OURS);
    let metadata = server.metadata.iter().filter(|(key, _)| theirs(key));
    let labels = metadata.map(|(k, v)| (k.clone(), v.clone())).collect();
    let tags = server
        .tags
        .iter()
        .filter(|t| theirs(t))
        .map(|t| bare(t))
        .collect();
    let groups = server.security_groups.iter().map(|g| bare(&g.name)).collect();
    BTreeMap::from([
        (LABELS.to_owned(), labels),
        (TAGS.to_owned(), tags),
        (GROUPS.to_owned(), groups),
        (volumes::VOLUMES.to_owned(), volumes::attached(server)),
    ])
}

/// Changes texts: one request for all.
pub(super) async fn rewrite(
    services: &Services,
    id: &str,
    list: &[(&'static str, String)],
    send_before: Instant,
) -> Result<Accepted, CloudError> {
    let known = [NAME, HOSTNAME];
    if let Some((name, _)) = list.iter().find(|(name, _)| !known.contains(name)) {
        return Err(unknown(name));
    }
    let fields: Map<String, Value> = list.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
    let need = if fields.contains_key(HOSTNAME) {
        Need::Hostname
    } else {
        Need::Servers
    };
    let path = format!("/servers/{}", checked(id)?);
    let request = Request {
        body: Some(json!({ "server": fields })),
        need,
        ..Request::change(Method::PUT, path, "nova /servers/{id}", send_before)
    };
    Ok(accepted(id, &services.send(request).await?))
}

/// One request of a change of a set.
struct Step {
    method: Method,
    path: String,
    route: &'static str,
    body: Option<Value>,
    /// Whether what is not there need not go.
    goes: bool,
}

/// Changes a set: the first refusal ends it.
pub(super) async fn change(
    services: &Services,
    catalog: &Catalog,
    id: &str,
    change: &ItemChange,
    send_before: Instant,
) -> Result<Accepted, CloudError> {
    match change.name {
        interfaces::NETWORKS => return interfaces::change(services, catalog, id, change, send_before).await,
        floating::ADDRESSES => return floating::change(services, catalog, id, change, send_before).await,
        volumes::VOLUMES => return volumes::change(services, id, change, send_before).await,
        _ => {}
    }
    let mut last = Accepted::so_already(id);
    for step in steps(checked(id)?, change)? {
        let request = Request {
            body: step.body,
            asked: Asked::Change,
            ..Request::change(step.method, step.path, step.route, send_before)
        };
        match services.send(request).await {
            Ok(reply) => last = accepted(id, &reply),
            Err(error) if is_thing(&error, id) && step.goes => {}
            Err(error) => return Err(wrong_thing(error, id)),
        }
    }
    Ok(last)
}

/// Nova says 404 of a server that is gone, and of a thing that a server lacks or that does not exist.
pub(super) fn is_thing(error: &CloudError, id: &str) -> bool {
    error.class == ErrorClass::NotFound && !error.message.starts_with(&format!("Instance {id} "))
}

/// A thing that Nova does not find is a wrong wish; the server is there.
pub(super) fn wrong_thing(error: CloudError, id: &str) -> CloudError {
    if is_thing(&error, id) {
        return CloudError {
            class: ErrorClass::InvalidSpec,
            ..error
        };
    }
    error
}

fn steps(id: &str, change: &ItemChange) -> Result<Vec<Step>, CloudError> {
    let segment = |text: &str| encoded(text);
    Ok(match change.name {
        LABELS => {
            let all: BTreeMap<_, _> = change.add.iter().cloned().collect();
            let come = (!all.is_empty()).then(|| Step {
                method: Method::POST,
                path: format!("/servers/{id}/metadata"),
                route: "nova /servers/{id}/metadata",
                body: Some(json!({ "metadata": all })),
                goes: false,
            });
            let go = change.remove.iter().map(|key| Step {
                method: Method::DELETE,
                path: format!("/servers/{id}/metadata/{}", segment(key)),
                route: "nova /servers/{id}/metadata/{key}",
                body: None,
                goes: true,
            });
            come.into_iter().chain(go).collect()
        }
        TAGS => {
            let step = |method: Method, tag: &str| Step {
                goes: method == Method::DELETE,
                method,
                path: format!("/servers/{id}/tags/{}", segment(tag)),
                route: "nova /servers/{id}/tags/{tag}",
                body: None,
            };
            let come = change.add.iter().map(|(tag, _)| step(Method::PUT, tag));
            let go = change.remove.iter().map(|tag| step(Method::DELETE, tag));
            come.chain(go).collect()
        }
        GROUPS => {
            let step = |key: &str, name: &str| Step {
                method: Method::POST,
                path: format!("/servers/{id}/action"),
                route: "nova /servers/{id}/action",
                body: Some(json!({ key: { "name": name } })),
                goes: key == "removeSecurityGroup",
            };
            let come = change.add.iter().map(|(name, _)| step("addSecurityGroup", name));
            let go = change.remove.iter().map(|name| step("removeSecurityGroup", name));
            come.chain(go).collect()
        }
        name => return Err(unknown(name)),
    })
}

fn unknown(name: &str) -> CloudError {
    CloudError::new(
        ErrorClass::Unsupported,
        format!("OpenStack changes no such setting: {name}"),
    )
}

/// A text as one segment of a path.
fn encoded(text: &str) -> String {
    let mut url = match Url::parse("http://h/") {
        Ok(url) => url,
        Err(_) => return text.to_owned(),
    };
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.clear().push(text);
    }
    url.path().trim_start_matches('/').to_owned()
}
