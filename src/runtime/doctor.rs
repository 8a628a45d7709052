//! Whether a cluster has what the controller needs. Only questions are asked, with the account's own rights.

use std::time::Duration;

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::timeout;

use super::membership::LEASES;
use super::rendezvous::PLACES;
use super::{LEASE, clients, installation, own_namespace};
use crate::api::keys;

/// One question may take so long.
const PATIENCE: Duration = Duration::from_secs(15);
/// The kinds, as the API names them.
const KINDS: &[&str] = &["servers", "servergroups", "serveractions", "providerconfigs"];

/// What a Secret that cannot be written means.
const WITHOUT_WRITING: &str =
    "a Server with spec.credentialsSecretName is not created, a remoteConsole not opened";

/// Where a right is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In every namespace that is served.
    Served,
    /// In the controller's own.
    Own,
}

/// Which objects of a resource a right is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Objects {
    /// Whatever they are called.
    All,
    /// The one of this name.
    One(&'static str),
    /// Those that the installation is bound to; all, if it is bound to none.
    Named,
    /// The leases of all places.
    Places,
}

/// Something that the controller does: group, resource, verbs, and to which objects.
struct Right {
    place: Place,
    group: &'static str,
    resource: &'static str,
    verbs: &'static [&'static str],
    objects: Objects,
    /// What is missing without it, where the rest works all the same.
    optional: Option<&'static str>,
}

const fn right(
    place: Place,
    group: &'static str,
    resource: &'static str,
    verbs: &'static [&'static str],
) -> Right {
    Right {
        place,
        group,
        resource,
        verbs,
        objects: Objects::All,
        optional: None,
    }
}

/// All that the controller does. The chart and deploy/ grant just this; a test compares them.
const RIGHTS: &[Right] = &[
    right(
        Place::Served,
        keys::GROUP,
        "servers",
        &["get", "list", "watch", "patch"],
    ),
    right(
        Place::Served,
        keys::GROUP,
        "servergroups",
        &["get", "list", "watch", "patch"],
    ),
    right(
        Place::Served,
        keys::GROUP,
        "serveractions",
        &["list", "watch", "patch", "delete"],
    ),
    right(
        Place::Served,
        keys::GROUP,
        "providerconfigs",
        &["get", "list", "watch"],
    ),
    right(Place::Served, keys::GROUP, "servers/status", &["update"]),
    right(Place::Served, keys::GROUP, "servergroups/status", &["update"]),
    right(Place::Served, keys::GROUP, "serveractions/status", &["update"]),
    right(Place::Served, keys::GROUP, "providerconfigs/status", &["update"]),
    Right {
        objects: Objects::Named,
        ..right(Place::Served, "", "secrets", &["get"])
    },
    // No name can be required of what does not exist yet.
    Right {
        optional: Some(WITHOUT_WRITING),
        ..right(Place::Served, "", "secrets", &["create"])
    },
    Right {
        objects: Objects::Named,
        optional: Some(WITHOUT_WRITING),
        ..right(Place::Served, "", "secrets", &["update"])
    },
    right(Place::Served, "events.k8s.io", "events", &["create", "patch"]),
    right(Place::Own, "coordination.k8s.io", "leases", &["create"]),
    Right {
        objects: Objects::One(LEASE),
        ..right(Place::Own, "coordination.k8s.io", "leases", &["get", "update"])
    },
    right(Place::Own, "", "configmaps", &["create"]),
    Right {
        objects: Objects::One(installation::CONFIG_MAP),
        ..right(Place::Own, "", "configmaps", &["get"])
    },
];

/// What is done beside that where consoleOutput is switched on.
const OF_CONSOLES: &[Right] = &[right(Place::Served, "", "configmaps", &["create"])];

/// And where the replicas share the accounts.
const OF_SHARING: &[Right] = &[
    right(Place::Own, "coordination.k8s.io", "leases", &["list"]),
    Right {
        objects: Objects::Places,
        ..right(Place::Own, "coordination.k8s.io", "leases", &["update"])
    },
];

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether the controller can work with it.
    pub good: bool,
    /// What was found, in words for people.
    pub words: String,
}

impl Finding {
    fn new(good: bool, words: impl Into<String>) -> Self {
        let words = words.into();
        Self { good, words }
    }
}

/// Asks for everything. Namespaces: those that are served, all if empty; the controller's own, the pod's if none.
/// Secrets: the names of the only ones that may be used, all if empty. Whether consoleOutput is switched on, and whether the
/// replicas share the accounts.
///
/// # Errors
/// There is no way to a cluster. Everything else is a finding.
pub async fn examine(
    served: &[String],
    own: Option<String>,
    secrets: &[String],
    consoles: bool,
    sharing: bool,
) -> Result<Vec<Finding>, clients::ClientError> {
    let client = clients::clients().await?.requests;
    let own = own.unwrap_or_else(own_namespace);
    let version = match timeout(PATIENCE, client.apiserver_version()).await {
        Ok(Ok(version)) => Finding::new(
            true,
            format!("the Kubernetes API answers: {}", version.git_version),
        ),
        Ok(Err(error)) => Finding::new(false, format!("the Kubernetes API: {error}")),
        Err(_) => Finding::new(false, "the Kubernetes API does not answer"),
    };
    let reachable = version.good;
    let mut found = vec![version];
    if reachable {
        found.push(kinds(&client).await);
        let more = [(OF_CONSOLES, consoles), (OF_SHARING, sharing)];
        let more = more.iter().filter(|(_, on)| *on).flat_map(|(rights, _)| *rights);
        for right in RIGHTS.iter().chain(more) {
            let places: Vec<Option<&str>> = match right.place {
                Place::Own => vec![Some(&own)],
                Place::Served if served.is_empty() => vec![None],
                Place::Served => served.iter().map(|n| Some(n.as_str())).collect(),
            };
            let leases: Vec<String> = (0..PLACES).map(|place| format!("{LEASES}{place}")).collect();
            let names: Vec<Option<&str>> = match right.objects {
                Objects::One(name) => vec![Some(name)],
                Objects::Places => leases.iter().map(|n| Some(n.as_str())).collect(),
                Objects::Named if !secrets.is_empty() => secrets.iter().map(|n| Some(n.as_str())).collect(),
                Objects::Named | Objects::All => vec![None],
            };
            for place in places {
                for name in &names {
                    for verb in right.verbs {
                        found.push(allowed(&client, right, verb, *name, place).await);
                    }
                }
            }
        }
    }
    Ok(found)
}

/// Whether the definitions are there, in the version that is spoken.
async fn kinds(client: &Client) -> Finding {
    let version = format!("{}/{}", keys::GROUP, keys::VERSION);
    let answer = match timeout(PATIENCE, client.list_api_group_resources(&version)).await {
        Ok(Ok(list)) => list,
        Ok(Err(error)) => return Finding::new(false, format!("{version} is not served: {error}")),
        Err(_) => return Finding::new(false, format!("{version}: no answer in time")),
    };
    let served = |kind: &&&str| !answer.resources.iter().any(|r| r.name == **kind);
    let missing: Vec<_> = KINDS.iter().filter(served).copied().collect();
    if missing.is_empty() {
        Finding::new(true, format!("{version} is served"))
    } else {
        Finding::new(false, format!("{version} lacks {}", missing.join(", ")))
    }
}

async fn allowed(
    client: &Client,
    right: &Right,
    verb: &str,
    name: Option<&str>,
    namespace: Option<&str>,
) -> Finding {
    let (resource, subresource) = match right.resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (right.resource, None),
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                group: Some(right.group.to_owned()),
                resource: Some(resource.to_owned()),
                subresource,
                verb: Some(verb.to_owned()),
                name: name.map(str::to_owned),
                namespace: namespace.map(str::to_owned),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let what = described(right, verb, name, namespace);
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    match timeout(PATIENCE, reviews.create(&PostParams::default(), &review)).await {
        Ok(Ok(answer)) if answer.status.as_ref().is_some_and(|s| s.allowed) => {
            Finding::new(true, format!("may {what}"))
        }
        Ok(Ok(_)) => match right.optional {
            Some(without) => Finding::new(true, format!("may not {what}: {without}")),
            None => Finding::new(false, format!("may not {what}")),
        },
        Ok(Err(error)) => Finding::new(false, format!("{what}: {error}")),
        Err(_) => Finding::new(false, format!("{what}: no answer in time")),
    }
}

fn described(right: &Right, verb: &str, name: Option<&str>, namespace: Option<&str>) -> String {
    let group = if right.group.is_empty() {
        String::new()
    } else {
        format!(".{}", right.group)
    };
    let name = name.map(|n| format!(" {n}")).unwrap_or_default();
    let place = namespace.map_or_else(|| "every namespace".to_owned(), |n| format!("namespace {n}"));
    format!("{verb} {}{group}{name} in {place}", right.resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_told_in_words() {
        let lease = RIGHTS.iter().find(|r| r.objects == Objects::One(LEASE)).unwrap();
        assert_eq!(
            described(lease, "update", Some(LEASE), Some("here")),
            "update leases.coordination.k8s.io evenkeel-controller in namespace here"
        );
        let status = RIGHTS.iter().find(|r| r.resource == "servers/status").unwrap();
        assert_eq!(
            described(status, "update", None, None),
            "update servers/status.evenkeel.dev in every namespace"
        );
    }
}
