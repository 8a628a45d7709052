//! Nova's server in the planner's words, and our marks in Nova's metadata.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::errors::{bounded, fault_class};
use super::states::{guest_running, raw, state_of};
use super::{floating, interfaces, settings, wire};
use crate::api::server_status::AddressStatus;
use crate::planner::model::{Fault, Marks, ObservedServer, ObservedSize};

/// The metadata key of the object's uid.
pub(super) const UID: &str = "evenkeel-uid";
/// The metadata key of the installation.
pub(super) const INSTALLATION: &str = "evenkeel-installation";
/// The metadata key of the object's namespace and name.
pub(super) const OBJECT: &str = "evenkeel-object";
/// The rest of them: a value has at most 255 characters, two Kubernetes names can have more.
pub(super) const OBJECT_REST: &str = "evenkeel-object-rest";
/// The metadata key of the attempt's number.
pub(super) const ATTEMPT: &str = "evenkeel-attempt";
/// Every key of ours.
pub(super) const KEYS: &[&str] = &[UID, INSTALLATION, OBJECT, OBJECT_REST, ATTEMPT];

/// Every key and every tag that begins so is ours.
pub(super) const OURS: &str = "evenkeel";

const VALUE_LIMIT: usize = 255;
/// How many addresses of a server are shown.
const ADDRESSES: usize = 32;

/// Our tag: servers can be filtered by it in the cloud's own tools.
pub(super) fn tag(uid: &str) -> String {
    format!("evenkeel-{uid}")
}

/// Marks as metadata.
pub(super) fn metadata_of(marks: &Marks) -> BTreeMap<String, String> {
    let mut all = BTreeMap::from([
        (UID.to_owned(), marks.uid.clone()),
        (INSTALLATION.to_owned(), marks.installation.clone()),
    ]);
    let mut object = marks.object.chars();
    let head: String = object.by_ref().take(VALUE_LIMIT).collect();
    let rest: String = object.collect();
    all.insert(OBJECT.to_owned(), head);
    if !rest.is_empty() {
        all.insert(OBJECT_REST.to_owned(), rest);
    }
    all
}

/// The marks in metadata; none without a uid.
pub(super) fn marks_of(metadata: &BTreeMap<String, String>) -> Option<Marks> {
    let text = |key: &str| metadata.get(key).cloned().unwrap_or_default();
    let uid = text(UID);
    (!uid.is_empty()).then(|| Marks {
        uid,
        installation: text(INSTALLATION),
        object: text(OBJECT) + &text(OBJECT_REST),
    })
}

fn present(text: Option<String>) -> Option<String> {
    text.filter(|t| !t.is_empty())
}

/// Nova's server in the planner's words.
pub(super) fn observed(server: wire::Server) -> ObservedServer {
    let (state, busy) = state_of(&server.status, server.task_state.as_deref());
    let raw = raw(&server);
    let attributes = settings::texts(&server);
    let mut items = settings::sets(&server);
    items.extend(interfaces::shown(&server));
    items.extend([floating::shown(&server)]);
    let items = Arc::new(items);
    let mut addresses: Vec<AddressStatus> = server
        .addresses
        .into_iter()
        .flat_map(|(network, list)| {
            list.into_iter().map(move |a| AddressStatus {
                kind: a.kind.unwrap_or_else(|| "fixed".to_owned()),
                address: a.addr,
                network: Some(network.clone()),
            })
        })
        .collect();
    addresses.sort();
    addresses.truncate(ADDRESSES);
    let size = server
        .flavor
        .map_or_else(ObservedSize::default, |f| ObservedSize {
            name: present(f.original_name),
            id: None,
            cores: f.vcpus,
            memory_mib: f.ram,
        });
    ObservedServer {
        failed_step: None,
        detailed: true,
        attributes,
        parts: Vec::new(),
        items,
        group_id: None,
        // A server of a cell that is down has a status and an id, and not even a name.
        unreadable: state == crate::planner::model::ServerState::Unknown && server.name.is_empty(),
        provider_id: format!("openstack:///{}", server.id),
        name: server.name,
        state,
        raw,
        guest_running: guest_running(server.power_state),
        busy,
        launched: present(server.launched_at).is_some(),
        size,
        image_id: server.image.get("id").and_then(|i| i.as_str()).map(str::to_owned),
        addresses,
        zone: present(server.zone),
        host: present(server.host_id),
        locked: (server.locked == Some(true)).then(|| server.locked_reason.unwrap_or_default()),
        marks: marks_of(&server.metadata),
        fault: server.fault.map(|f| Fault {
            class: fault_class(&f.message),
            code: f.code.map(|c| c.to_string()),
            message: bounded(&f.message),
        }),
        id: server.id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planner::model::{ErrorClass, ServerState};
    use serde_json::json;

    fn read(value: serde_json::Value) -> ObservedServer {
        observed(serde_json::from_value(value).unwrap())
    }

    /// As a real Nova writes it (2.79).
    fn active() -> serde_json::Value {
        json!({
            "OS-DCF:diskConfig": "MANUAL", "OS-EXT-AZ:availability_zone": "nova",
            "OS-EXT-STS:power_state": 1, "OS-EXT-STS:task_state": null, "OS-EXT-STS:vm_state": "active",
            "OS-SRV-USG:launched_at": "2026-11-22T04:20:20.000000", "OS-SRV-USG:terminated_at": null,
            "addresses": {"demo-net": [
                {"OS-EXT-IPS-MAC:mac_addr": "fa:16:3e:05:a2:a1", "OS-EXT-IPS:type": "fixed", "addr": "10.0.3.27", "version": 4},
                {"OS-EXT-IPS:type": "fixed", "addr": "10.0.3.101", "version": 4}]},
            "config_drive": "True", "created": "2026-11-22T04:20:17Z", "description": "d",
            "flavor": {"disk": 1, "ephemeral": 0, "extra_specs": {}, "original_name": "m1.tiny", "ram": 512, "swap": 0, "vcpus": 1},
            "hostId": "30829039", "id": "782f2b87", "image": {"id": "2da860ea", "links": []},
            "key_name": null, "locked": false, "locked_reason": null,
            "metadata": {"a": "b", "evenkeel-uid": "u1", "evenkeel-installation": "i1", "evenkeel-object": "ns/web"},
            "name": "shape", "progress": 0, "security_groups": [{"name": "default"}],
            "status": "ACTIVE", "tags": ["t1"], "tenant_id": "55cf"
        })
    }

    #[test]
    fn reads_a_whole_server() {
        let server = read(active());
        assert_eq!(server.state, ServerState::Running);
        assert_eq!(server.raw, "ACTIVE/active/-/1");
        assert_eq!(server.provider_id, "openstack:///782f2b87");
        assert_eq!(
            (server.guest_running, server.busy, server.launched),
            (Some(true), false, true)
        );
        assert_eq!(server.size.name.as_deref(), Some("m1.tiny"));
        assert_eq!((server.size.cores, server.size.memory_mib), (Some(1), Some(512)));
        assert_eq!(server.image_id.as_deref(), Some("2da860ea"));
        let addresses: Vec<_> = server.addresses.iter().map(|a| a.address.as_str()).collect();
        assert_eq!(addresses, ["10.0.3.101", "10.0.3.27"]);
        assert_eq!(server.zone.as_deref(), Some("nova"));
        assert_eq!(server.locked, None);
        let marks = Marks {
            uid: "u1".into(),
            installation: "i1".into(),
            object: "ns/web".into(),
        };
        assert_eq!(server.marks, Some(marks));
    }

    #[test]
    fn reads_a_server_that_is_just_being_made() {
        let server = read(
            json!({"id": "1", "name": "n", "status": "BUILD", "OS-EXT-STS:vm_state": "building",
            "OS-EXT-STS:task_state": "scheduling", "OS-EXT-STS:power_state": 0, "hostId": "",
            "OS-EXT-AZ:availability_zone": "", "addresses": {}, "OS-SRV-USG:launched_at": null, "image": "",
            "flavor": {"original_name": "m1.tiny", "vcpus": 1, "ram": 512}, "metadata": {}, "tags": null}),
        );
        assert_eq!(server.state, ServerState::Provisioning);
        assert_eq!(
            (server.busy, server.launched, server.guest_running),
            (true, false, None)
        );
        assert_eq!(
            (server.host, server.zone, server.image_id, server.marks),
            (None, None, None, None)
        );
    }

    #[test]
    fn a_server_in_a_cell_that_is_down_is_there_but_unknown() {
        let server = read(
            json!({"id": "1", "status": "UNKNOWN", "tenant_id": "t", "created": "2026-01-01T00:00:00Z", "links": []}),
        );
        assert_eq!(server.state, ServerState::Unknown);
        assert_eq!(server.raw, "UNKNOWN/-/-/-");
        assert_eq!(server.marks, None);
    }

    #[test]
    fn reads_a_fault_and_a_lock() {
        let mut value = active();
        value["status"] = json!("ERROR");
        value["fault"] =
            json!({"code": 500, "created": "2026-11-22T04:25:06Z", "message": "No valid host was found. "});
        value["locked"] = json!(true);
        value["locked_reason"] = json!("hands off");
        let server = read(value.clone());
        let fault = server.fault.unwrap();
        assert_eq!(
            (fault.class, fault.code.as_deref()),
            (ErrorClass::Capacity, Some("500"))
        );
        assert_eq!(fault.message, "No valid host was found.");
        assert_eq!(server.locked.as_deref(), Some("hands off"));
        value["locked_reason"] = json!(null);
        assert_eq!(read(value).locked.as_deref(), Some(""));
    }

    #[test]
    fn marks_survive_metadata_whatever_their_length() {
        for name in ["web".to_owned(), "x".repeat(253)] {
            let marks = Marks {
                uid: "u".into(),
                installation: "i".into(),
                object: format!("{}/{name}", "n".repeat(63)),
            };
            let metadata = metadata_of(&marks);
            assert!(metadata.values().all(|v| v.len() <= VALUE_LIMIT));
            assert!(metadata.keys().all(|k| KEYS.contains(&k.as_str())));
            assert_eq!(marks_of(&metadata), Some(marks));
        }
    }
}
