//! CloudDC's instance in the planner's words, and our marks in its metadata.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::errors::{bounded, fault_class};
use super::settings;
use super::states::{Awaited, Words, failed_power, failed_step, raw, state_of};
use super::wire::{ErrorStatus, Instance, PhysicalServer};
use crate::api::server_status::AddressStatus;
use crate::planner::model::{FailedStep, Fault, Marks, ObservedServer, ObservedSize, ServerState};

/// The metadata key of the object's uid.
const UID: &str = "evenkeel-uid";
/// The metadata key of the installation.
const INSTALLATION: &str = "evenkeel-installation";
/// The metadata key of the object's namespace and name.
const OBJECT: &str = "evenkeel-object";
/// The rest of them: a value has at most 255 characters, two Kubernetes names can have more.
const OBJECT_REST: &str = "evenkeel-object-rest";
/// The metadata key of the attempt's number.
pub(super) const ATTEMPT: &str = "evenkeel-attempt";

const VALUE_LIMIT: usize = 255;
/// How many addresses of an instance are shown.
const ADDRESSES: usize = 32;

/// Marks as metadata.
pub(super) fn metadata_of(marks: &Marks) -> BTreeMap<String, String> {
    let mut object = marks.object.chars();
    let head: String = object.by_ref().take(VALUE_LIMIT).collect();
    let rest: String = object.collect();
    let mut all = BTreeMap::from([
        (UID.to_owned(), marks.uid.clone()),
        (INSTALLATION.to_owned(), marks.installation.clone()),
        (OBJECT.to_owned(), head),
    ]);
    if !rest.is_empty() {
        all.insert(OBJECT_REST.to_owned(), rest);
    }
    all
}

/// The marks in metadata; none without a uid.
fn marks_of(metadata: &BTreeMap<String, String>) -> Option<Marks> {
    let text = |key: &str| metadata.get(key).cloned().unwrap_or_default();
    let uid = text(UID);
    (!uid.is_empty()).then(|| Marks {
        uid,
        installation: text(INSTALLATION),
        object: text(OBJECT) + &text(OBJECT_REST),
    })
}

/// All words of an instance and of its physical server, where that is known.
pub(super) fn words<'a>(
    instance: &'a Instance,
    server: Option<&'a PhysicalServer>,
    pending: Option<Awaited>,
) -> Words<'a> {
    let below = |field: fn(&PhysicalServer) -> &Option<String>| {
        server.and_then(|s| field(s).as_deref()).unwrap_or_default()
    };
    Words {
        instance: instance.state.as_deref().unwrap_or_default(),
        operation: instance.operation_state.as_deref().unwrap_or_default(),
        power: below(|s| &s.power_state),
        switching: below(|s| &s.operation_state),
        manage: below(|s| &s.manage_state),
        frozen: server.and_then(|s| s.frozen_state).unwrap_or(0),
        pending,
    }
}

fn fault(error: &ErrorStatus) -> Fault {
    let message = bounded(error.error_msg.as_deref().unwrap_or_default());
    let kind = error.error_type.as_deref().map(bounded);
    let message = match (kind, message.as_str()) {
        (Some(kind), "") => kind,
        (Some(kind), _) => format!("{kind}: {message}"),
        (None, "") => "the cloud gives no cause".to_owned(),
        (None, _) => message,
    };
    Fault {
        class: fault_class(&message),
        code: error.error_code.as_deref().map(bounded),
        message,
    }
}

/// The step that failed. Where no physical server was found there is nothing to install on: that cannot be tried again.
fn step_of(instance: &Instance, error: Option<&ErrorStatus>) -> FailedStep {
    let homeless = instance.server_id.as_deref().unwrap_or_default().is_empty();
    match failed_step(instance.operation_state.as_deref().unwrap_or_default(), error) {
        FailedStep::Create | FailedStep::Reinstall if homeless => FailedStep::Other,
        step => step,
    }
}

/// CloudDC's instance in the planner's words.
pub(super) fn observed(
    instance: Instance,
    server: Option<&PhysicalServer>,
    pending: Option<Awaited>,
) -> ObservedServer {
    let words = words(&instance, server, pending);
    let (state, raw) = (state_of(&words), raw(&words));
    let guest_running = match words.power {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    };
    let error = instance.error.as_ref().filter(|e| !e.is_empty());
    let settled = matches!(state, ServerState::Running | ServerState::Stopped);
    let power = failed_power(words.switching, error).filter(|_| settled);
    let failed = state == ServerState::Error || words.operation == "modify-ip-failed";
    let failed_step = power.or_else(|| failed.then(|| step_of(&instance, error)));
    let attributes = settings::observed(&instance);
    let mut addresses: Vec<AddressStatus> = instance
        .network_interfaces
        .into_iter()
        .filter_map(|i| {
            Some(AddressStatus {
                kind: "fixed".to_owned(),
                address: i.ipv4_address?,
                network: i.subnet_id,
            })
        })
        .collect();
    addresses.sort();
    addresses.truncate(ADDRESSES);
    ObservedServer {
        failed_step,
        detailed: true,
        attributes,
        parts: Vec::new(),
        items: Arc::default(),
        group_id: None,
        unreadable: false,
        provider_id: format!("huaweicloud://{}", instance.id),
        name: instance.name,
        state,
        raw,
        guest_running,
        busy: state.is_transitional(),
        launched: instance.launched_at.is_some(),
        // A machine is as large as it is.
        size: ObservedSize::default(),
        image_id: instance.image.and_then(|i| i.id),
        addresses,
        zone: server.and_then(|s| s.location.clone()).and_then(|l| l.dc),
        host: instance.server_id,
        locked: None,
        marks: marks_of(&instance.metadata),
        fault: error.map(fault),
        id: instance.id,
    }
}

#[cfg(test)]
#[path = "tests/convert.rs"]
mod tests;
