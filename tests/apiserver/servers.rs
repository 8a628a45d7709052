//! Which Servers are taken.

use serde_json::{Value, json};

use crate::cases::{at_create, at_update, full_server, merged, networks, server};

#[test]
#[rustfmt::skip] // One case a line.
fn servers_at_create() {
    let import = json!({"import": {"id": "4711"}, "powerState": "Running", "deletionPolicy": "Orphan"});
    let with = |patch: Value| merged(&import, &patch);
    let bare = json!({"size": null, "image": null});
    let many: serde_json::Map<String, Value> = (0..65).map(|i| (format!("k{i}"), json!("v"))).collect();
    at_create(
        "server-create",
        "Server",
        &server(),
        &[
            ("the least", json!({}), ""),
            ("every field", full_server(), ""),
            ("stopped", json!({"powerState": "Stopped"}), ""),
            // To create, or to take over.
            ("no size", json!({"size": null}), "size and image are needed to create a server"),
            ("no image", json!({"image": null}), "size and image are needed to create a server"),
            ("import needs neither", merged(&bare, &import), ""),
            ("import without powerState", with(json!({"powerState": null})), "import needs powerState to be given"),
            ("import without deletionPolicy", with(json!({"deletionPolicy": null})), "import needs deletionPolicy to be given"),
            ("Observe without import", json!({"managementPolicy": "Observe"}), "PowerOnly and Observe need import.id"),
            ("PowerOnly without import", json!({"managementPolicy": "PowerOnly"}), "PowerOnly and Observe need import.id"),
            ("PowerOnly", with(json!({"managementPolicy": "PowerOnly"})), ""),
            ("Observe needs no powerState", with(json!({"managementPolicy": "Observe", "powerState": null})), ""),
            ("PowerOnly needs powerState", with(json!({"managementPolicy": "PowerOnly", "powerState": null})), "import needs powerState"),
            ("import with an odd id", with(json!({"import": {"id": "a b"}})), "spec.import.id"),
            ("Recreate", json!({"onMissing": "Recreate"}), ""),
            ("Recreate of an imported one", with(json!({"onMissing": "Recreate"})), ""),
            ("Recreate without image", merged(&bare, &with(json!({"onMissing": "Recreate"}))), "onMissing: Recreate needs"),
            ("Recreate under PowerOnly", with(json!({"onMissing": "Recreate", "managementPolicy": "PowerOnly"})), "onMissing: Recreate needs managementPolicy Full"),
            // Sizes and images.
            ("size by numbers", json!({"size": {"name": null, "cores": 2, "memoryMiB": 2048}}), ""),
            ("size by both", json!({"size": {"cores": 2, "memoryMiB": 2048}}), "a size is either a name, or cores and memoryMiB together"),
            ("half a size", json!({"size": {"name": null, "cores": 2}}), "a size is either a name, or cores and memoryMiB together"),
            ("the other half", json!({"size": {"name": null, "memoryMiB": 2}}), "a size is either a name, or cores and memoryMiB together"),
            ("an empty size", json!({"size": {"name": null}}), "a size is either a name, or cores and memoryMiB together"),
            ("image by id", json!({"image": {"name": null, "id": "x"}}), ""),
            ("image by both", json!({"image": {"id": "x"}}), "an image has either a name or an id"),
            ("an empty image", json!({"image": {"name": null}}), "an image has either a name or an id"),
            // Durations.
            ("the longest stop", json!({"powerOff": {"timeout": "24h"}}), ""),
            ("too long a stop", json!({"powerOff": {"timeout": "24h1s"}}), "powerOff.timeout must be between 1s and 24h"),
            ("too short a stop", json!({"powerOff": {"timeout": "0s"}}), "powerOff.timeout must be between 1s and 24h"),
            ("no unit", json!({"powerOff": {"timeout": "90"}}), "spec.powerOff.timeout"),
            ("too short a soak", json!({"resize": {"confirm": "AfterSoak", "soak": "0s"}}), "resize.soak must be between 1s and 168h"),
            ("too long a soak", json!({"resize": {"confirm": "AfterSoak", "soak": "169h"}}), "resize.soak must be between 1s and 168h"),
            ("too short a deletion", json!({"deletion": {"timeout": "0s"}}), "deletion.timeout must be between 1s and 24h"),
            ("too long a deletion", json!({"deletion": {"timeout": "25h"}}), "deletion.timeout must be between 1s and 24h"),
            // What goes together.
            ("AfterSoak without soak", json!({"resize": {"confirm": "AfterSoak"}}), "resize.soak is given with confirm: AfterSoak, and only then"),
            ("soak without AfterSoak", json!({"resize": {"soak": "5m"}}), "resize.soak is given with confirm: AfterSoak, and only then"),
            ("AfterSoak with soak", json!({"resize": {"confirm": "AfterSoak", "soak": "5m"}}), ""),
            ("a timeout for no power-off", json!({"deletion": {"powerOff": "None", "timeout": "5m"}}), "deletion.timeout has no meaning with deletion.powerOff: None"),
            ("no power-off", json!({"deletion": {"powerOff": "None"}}), ""),
            // Labels and tags.
            ("a reserved label", json!({"labels": {"evenkeel-uid": "x"}}), "do not begin with evenkeel"),
            ("an empty label key", json!({"labels": {"": "x"}}), "label keys have 1 to 200 characters"),
            ("a long label key", json!({"labels": {"k".repeat(201): "x"}}), "label keys have 1 to 200 characters"),
            ("the longest label key", json!({"labels": {"k".repeat(200): "x"}}), ""),
            ("a long label", json!({"labels": {"k": "v".repeat(256)}}), "spec.labels.k"),
            ("too many labels", json!({"labels": many}), "spec.labels"),
            ("a reserved tag", json!({"openstack": {"tags": ["evenkeel-1"]}}), "tags that begin with evenkeel are reserved"),
            ("a tag with a comma", json!({"openstack": {"tags": ["a,b"]}}), "spec.openstack.tags[0]"),
            ("a tag twice", json!({"openstack": {"tags": ["a", "a"]}}), "Duplicate value"),
            // Networks.
            ("a network and a port", networks(json!({"name": "a", "network": "n", "port": "p"})), "an interface names either a network or a port"),
            ("neither", networks(json!({"name": "a"})), "an interface names either a network or a port"),
            ("a fixed address on a port", networks(json!({"name": "a", "port": "p", "fixedIP": "10.0.0.1"})), "fixedIP goes with network"),
            ("no address", networks(json!({"name": "a", "network": "n", "fixedIP": "10.0.0"})), "fixedIP must be an IPv4 or IPv6 address"),
            ("an IPv6 address", networks(json!({"name": "a", "network": "n", "fixedIP": "2001:db8::1"})), ""),
            ("an interface without a name", networks(json!({"network": "n"})), "spec.openstack.networks[0].name"),
            ("two of one name", json!({"openstack": {"networks": [{"name": "a", "network": "n"}, {"name": "a", "network": "m"}]}}), "Duplicate value"),
            // Formats.
            ("no time", json!({"restart": {"token": "1", "notBefore": "tomorrow"}}), "spec.restart.notBefore"),
            ("a restart without token", json!({"restart": {"mode": "Hard"}}), "spec.restart.token"),
            ("another kind of account", json!({"providerConfigRef": {"kind": "Account"}}), "spec.providerConfigRef.kind"),
            ("no account", json!({"providerConfigRef": null}), "spec.providerConfigRef"),
            ("a hostname with a dot", json!({"hostname": "a.b"}), "spec.hostname"),
            ("a name of blanks", json!({"cloudName": "  "}), "spec.cloudName"),
        ],
    );
}

#[test]
#[rustfmt::skip] // One case a line.
fn servers_at_update() {
    let imported = json!({"import": {"id": "1"}, "powerState": "Running", "deletionPolicy": "Orphan"});
    let net = networks(json!({"name": "a", "network": "n"}));
    at_update(
        "server-update",
        "Server",
        &server(),
        &[
            ("nothing", full_server(), full_server(), ""),
            ("a power wish", json!({}), json!({"powerState": "Stopped"}), ""),
            ("a power wish taken back", json!({"powerState": "Stopped"}), json!({}), ""),
            ("a size", json!({}), json!({"size": {"name": "m1.large"}}), ""),
            ("an image", json!({}), json!({"image": {"name": "other"}}), ""),
            ("no image any more", json!({}), json!({"image": null}), "size and image are needed"),
            ("another account", json!({}), json!({"providerConfigRef": {"name": "other"}}), "providerConfigRef is immutable"),
            ("the kind of the same account", json!({}), json!({"providerConfigRef": {"kind": "ProviderConfig"}}), ""),
            ("the same kind left out", json!({"providerConfigRef": {"kind": "ProviderConfig"}}), json!({}), ""),
            ("cloudName added", json!({}), json!({"cloudName": "a"}), "cloudName is immutable"),
            ("cloudName removed", json!({"cloudName": "a"}), json!({}), "cloudName is immutable"),
            ("cloudName changed", json!({"cloudName": "a"}), json!({"cloudName": "b"}), "cloudName is immutable"),
            ("hostname added", json!({}), json!({"hostname": "a"}), "hostname is immutable"),
            ("hostname removed", json!({"hostname": "a"}), json!({}), "hostname is immutable"),
            ("hostname changed", json!({"hostname": "a"}), json!({"hostname": "b"}), "hostname is immutable"),
            ("labels added", json!({}), json!({"labels": {"a": "1"}}), "labels are immutable"),
            ("labels removed", json!({"labels": {"a": "1"}}), json!({}), "labels are immutable"),
            ("a label added", json!({"labels": {"a": "1"}}), json!({"labels": {"a": "1", "b": "2"}}), "labels are immutable"),
            ("user data added", json!({}), json!({"userDataSecretRef": {"name": "a", "key": "k"}}), "userDataSecretRef is immutable"),
            ("user data removed", json!({"userDataSecretRef": {"name": "a", "key": "k"}}), json!({}), "userDataSecretRef is immutable"),
            ("user data changed", json!({"userDataSecretRef": {"name": "a", "key": "k"}}), json!({"userDataSecretRef": {"name": "a", "key": "l"}}), "userDataSecretRef is immutable"),
            ("openstack added", json!({}), net.clone(), "openstack is immutable"),
            ("openstack removed", net.clone(), json!({}), "openstack is immutable"),
            ("openstack changed", net.clone(), networks(json!({"name": "a", "network": "m"})), "openstack is immutable"),
            ("import added", json!({}), imported.clone(), ""),
            ("import added alone", json!({}), json!({"import": {"id": "1"}}), "import needs powerState"),
            ("import removed", imported.clone(), merged(&imported, &json!({"import": null})), "import is immutable once set"),
            ("import changed", imported.clone(), merged(&imported, &json!({"import": {"id": "2"}})), "import is immutable once set"),
            ("PowerOnly later", imported.clone(), merged(&imported, &json!({"managementPolicy": "PowerOnly"})), ""),
            ("Observe without import, later", json!({}), json!({"managementPolicy": "Observe"}), "PowerOnly and Observe need import.id"),
            ("protection", json!({}), json!({"deletionProtection": true}), ""),
            ("a restart", json!({}), json!({"restart": {"token": "1"}}), ""),
            ("a soak removed", json!({"resize": {"confirm": "AfterSoak", "soak": "5m"}}), json!({"resize": {"confirm": "AfterSoak"}}), "resize.soak is given with"),
        ],
    );
}
