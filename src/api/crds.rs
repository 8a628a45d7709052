//! The custom resource definitions as they are installed.

mod lists;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Value, json};

use super::provider_config::CatalogInterface;
use super::server::{
    DeletionAddresses, DeletionBackups, DeletionDisks, DeletionPolicy, DeletionPowerOff, DriftPolicy,
    ManagementPolicy, OnCreateError, OnError, OnMissing, PowerOffMode, PowerWish, ProviderConfigKind,
    RebuildWhen, ResizeConfirm, ResizeOnFailure, ResizeWhen,
};
use super::server_action::{ConsoleType, Deed, DeedOutcome, ResetTo};
use super::server_group::{GroupOperationKind, MemberPlacement, PlacementPolicy};
use super::server_status::{LockState, OperationKind, PartKind, RescueState, ResizePhase};
use super::upcloud::{
    UpCloudAddressFamily, UpCloudBootDevice, UpCloudDiskAction, UpCloudNetworkType, UpCloudNicModel,
    UpCloudRemoteAccess, UpCloudTier, UpCloudVideoModel,
};
use super::{ProviderConfig, Server, ServerAction, ServerGroup};

/// What a server is made from: free to be corrected until one is asked for, fixed from then on. Rules on the
/// whole object, since those on its spec do not see its status.
const MADE_FROM: &[(&str, &str)] = &[
    (
        "sshKeys",
        "sshKeys is immutable once a server exists or is being created: keys are given to it when it is created",
    ),
    (
        "credentialsSecretName",
        "credentialsSecretName is immutable once a server exists or is being created",
    ),
    (
        "openstack.availabilityZone",
        "openstack.availabilityZone is immutable once a server exists or is being created",
    ),
    (
        "openstack.configDrive",
        "openstack.configDrive is immutable once a server exists or is being created",
    ),
    (
        "cloudDC.serverID",
        "cloudDC.serverID is immutable once a server exists or is being created: an instance stays on its machine",
    ),
    (
        "cloudDC.description",
        "cloudDC.description is immutable once a server exists or is being created: it is written when it is created",
    ),
    (
        "upcloud.zone",
        "upcloud.zone is immutable once a server exists or is being created",
    ),
    (
        "upcloud.domain",
        "upcloud.domain is immutable once a server exists or is being created",
    ),
    (
        "upcloud.cdrom",
        "upcloud.cdrom is immutable once a server exists or is being created: it is loaded when it is created",
    ),
    (
        "upcloud.loginUser",
        "upcloud.loginUser is immutable once a server exists or is being created: the user is made when it is created",
    ),
];

/// What some clouds change on an existing server (those that are named, where their part of the spec is given), and the
/// others fix.
const CHANGED_BY_SOME: &[(&str, &[&str], &str)] = &[
    (
        "adminPasswordSecretRef",
        &["upcloud", "cloudDC"],
        "adminPasswordSecretRef is immutable once a server exists or is being created (but with upcloud and cloudDC: give upcloud, if only as {}, in the same edit)",
    ),
    (
        "cloudName",
        &["openstack", "upcloud"],
        "cloudName is immutable once a server exists or is being created (but on OpenStack and UpCloud: give openstack or upcloud, if only as {}, in the same edit)",
    ),
    (
        "hostname",
        &["openstack", "upcloud"],
        "hostname is immutable once a server exists or is being created (but on OpenStack and UpCloud: give openstack or upcloud, if only as {}, in the same edit)",
    ),
    (
        "labels",
        &["openstack", "upcloud"],
        "labels are immutable once a server exists or is being created, since they are written when it is created (but on OpenStack and UpCloud: give openstack or upcloud, if only as {}, in the same edit)",
    ),
    (
        "userDataSecretRef",
        &["openstack"],
        "userDataSecretRef is immutable once a server exists or is being created: a cloud reads user data only then (but with openstack, where a change is shown as not applied)",
    ),
];

/// Why a definition cannot be printed; a fault of the types in this crate, never of a user.
#[derive(Debug, thiserror::Error)]
pub enum CrdError {
    /// The schema is no JSON.
    #[error("schema: {0}")]
    Json(#[from] serde_json::Error),
    /// It cannot be written as YAML.
    #[error("yaml: {0}")]
    Yaml(String),
}

/// Every definition, with the name of its file.
pub fn all() -> Result<Vec<(&'static str, CustomResourceDefinition)>, CrdError> {
    Ok(vec![
        ("evenkeel.dev_servers.yaml", finish(Server::crd(), MADE_FROM)?),
        (
            "evenkeel.dev_providerconfigs.yaml",
            finish(ProviderConfig::crd(), &[])?,
        ),
        ("evenkeel.dev_servergroups.yaml", finish(ServerGroup::crd(), &[])?),
        (
            "evenkeel.dev_serveractions.yaml",
            finish(ServerAction::crd(), &[])?,
        ),
    ])
}

/// A definition as YAML.
pub fn to_yaml(crd: &CustomResourceDefinition) -> Result<String, CrdError> {
    let mut value = serde_json::to_value(crd)?;
    whole_numbers(&mut value);
    serde_saphyr::to_string(&value).map_err(|e| CrdError::Yaml(e.to_string()))
}

/// What the derived schema cannot say: an object that nobody looked at yet is not "done" (kstatus), and an
/// absent optional field is absent, never null (`has()` in CEL is true for null).
fn finish(
    crd: CustomResourceDefinition,
    made_from: &[(&str, &str)],
) -> Result<CustomResourceDefinition, CrdError> {
    let mut value = serde_json::to_value(crd)?;
    let words = words();
    if let Some(schema) = value.pointer_mut("/spec/versions/0/schema/openAPIV3Schema") {
        tidy(schema, &words);
        schema["properties"]["status"]["default"] = json!({"observedGeneration": -1});
        if !made_from.is_empty() {
            let rules = made_from.iter().map(fixed_once_made);
            let rules = rules.chain(CHANGED_BY_SOME.iter().map(fixed_by_most));
            let rules = rules.chain(lists::rules());
            schema["x-kubernetes-validations"] = rules.collect();
        }
    }
    Ok(serde_json::from_value(value)?)
}

/// The rule for one field of the spec that is fixed while the status has a server, or an attempt to make one. A
/// write of the status leaves the spec as it is, and passes.
fn fixed_once_made((field, message): &(&str, &str)) -> Value {
    json!({
        "rule": format!("{FREE} || {}", same(field)),
        "message": message,
        "fieldPath": format!(".spec.{field}"),
    })
}

/// The same, but where a cloud that is named changes it.
fn fixed_by_most((field, clouds, message): &(&str, &[&str], &str)) -> Value {
    let given: String = clouds.iter().map(|c| format!("has(self.spec.{c}) || ")).collect();
    json!({
        "rule": format!("{FREE} || {given}{}", same(field)),
        "message": message,
        "fieldPath": format!(".spec.{field}"),
    })
}

/// A field of the spec is as it was, given or not. Without optionals (`.?`), which the API server cannot bound: it
/// refuses the whole definition for their cost.
fn same(field: &str) -> String {
    let given = |object: &str| {
        let ends = field.match_indices('.').map(|(i, _)| i).chain([field.len()]);
        let steps: Vec<_> = ends
            .map(|end| format!("has({object}.spec.{})", &field[..end]))
            .collect();
        match steps.as_slice() {
            [one] => one.clone(),
            more => format!("({})", more.join(" && ")),
        }
    };
    let (new, old) = (given("self"), given("oldSelf"));
    format!("({new} == {old} && (!{new} || self.spec.{field} == oldSelf.spec.{field}))")
}

/// There is no server yet, and no attempt to make one.
const FREE: &str = "!has(self.status) || !(has(self.status.id) || has(self.status.createAttempt))";

/// Makes a schema read well: no `nullable`, no hard line breaks, and the words of an enum explained.
fn tidy(schema: &mut Value, words: &[(Value, String)]) {
    match schema {
        Value::Object(map) => {
            map.remove("nullable");
            if let Some(Value::Array(choices)) = map.get_mut("enum") {
                choices.retain(|c| !c.is_null());
            }
            let meanings = map
                .get("enum")
                .and_then(|own| words.iter().find(|(list, _)| list == own));
            let meanings = meanings.map(|(_, text)| text.as_str()).unwrap_or_default();
            if let Some(Value::String(text)) = map.get_mut("description") {
                *text = text
                    .replace("\n\n", "\u{0}")
                    .replace('\n', " ")
                    .replace('\u{0}', "\n\n");
                text.push_str(meanings);
            }
            map.values_mut().for_each(|v| tidy(v, words));
        }
        Value::Array(items) => items.iter_mut().for_each(|v| tidy(v, words)),
        _ => {}
    }
}

/// The words of every enum in the schemas, and the text that explains them.
fn words() -> Vec<(Value, String)> {
    macro_rules! explain {
        ($($choice:ident),+ $(,)?) => {
            vec![$(explained($choice::ALL.iter().map(|w| (w.as_str(), w.meaning())))),+]
        };
    }
    explain![
        CatalogInterface,
        Deed,
        DeedOutcome,
        DeletionAddresses,
        DeletionBackups,
        DeletionDisks,
        DeletionPolicy,
        DeletionPowerOff,
        DriftPolicy,
        GroupOperationKind,
        LockState,
        ManagementPolicy,
        MemberPlacement,
        OnCreateError,
        OnError,
        OnMissing,
        OperationKind,
        PartKind,
        PlacementPolicy,
        PowerOffMode,
        PowerWish,
        ProviderConfigKind,
        RebuildWhen,
        RescueState,
        ResetTo,
        ConsoleType,
        ResizeConfirm,
        ResizeOnFailure,
        ResizePhase,
        ResizeWhen,
        UpCloudAddressFamily,
        UpCloudBootDevice,
        UpCloudDiskAction,
        UpCloudNetworkType,
        UpCloudNicModel,
        UpCloudRemoteAccess,
        UpCloudTier,
        UpCloudVideoModel,
    ]
}

fn explained<'a>(words: impl Iterator<Item = (&'a str, &'a str)>) -> (Value, String) {
    let (list, lines): (Vec<Value>, Vec<String>) = words
        .map(|(word, meaning)| (Value::from(word), format!("\n- {word}: {meaning}")))
        .unzip();
    (Value::Array(list), lines.concat())
}

/// Bounds are floating-point in the type of a definition; as text they are what they mean.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Object(map) => map.values_mut().for_each(whole_numbers),
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Number(n) => {
            if let Some(f) = n
                .as_f64()
                .filter(|f| n.is_f64() && f.fract() == 0.0 && f.abs() < 9e15)
            {
                *value = Value::from(f as i64);
            }
        }
        _ => {}
    }
}
