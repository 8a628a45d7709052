//! Which Servers are taken.

use serde_json::{Value, json};

use crate::cases::{at_create, at_update, at_update_of, full_server, merged, networks, server};

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
            ("PowerOnly with Delete", with(json!({"managementPolicy": "PowerOnly", "deletionPolicy": "Delete"})), "never delete a server: deletionPolicy must be Orphan"),
            ("Observe with Delete", with(json!({"managementPolicy": "Observe", "deletionPolicy": "Delete"})), "never delete a server: deletionPolicy must be Orphan"),
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
            ("a volume by its name", json!({"openstack": {"volumes": [{"name": "a", "volume": "data"}]}}), "spec.openstack.volumes[0].volume"),
            ("a volume", json!({"openstack": {"volumes": [{"name": "a", "volume": "0b7f9a5e-6a3c-4a53-9d8b-0c9d35e1a9d1"}]}}), ""),
            ("a floating address on a port", networks(json!({"name": "a", "port": "p", "floatingIP": "203.0.113.7"})), "floatingIP goes with network"),
            ("a floating address", networks(json!({"name": "a", "network": "n", "floatingIP": "203.0.113.7"})), ""),
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
            ("import added", json!({}), imported.clone(), ""),
            ("import added alone", json!({}), json!({"import": {"id": "1"}}), "import needs powerState"),
            ("import removed", imported.clone(), merged(&imported, &json!({"import": null})), "import is immutable once set"),
            ("import changed", imported.clone(), merged(&imported, &json!({"import": {"id": "2"}})), "import is immutable once set"),
            ("PowerOnly later, with Delete", merged(&imported, &json!({"deletionPolicy": "Delete"})), merged(&imported, &json!({"deletionPolicy": "Delete", "managementPolicy": "PowerOnly"})), "never delete a server: deletionPolicy must be Orphan"),
            ("Delete later, with PowerOnly", merged(&imported, &json!({"managementPolicy": "PowerOnly"})), merged(&imported, &json!({"deletionPolicy": "Delete", "managementPolicy": "PowerOnly"})), "never delete a server: deletionPolicy must be Orphan"),
            ("PowerOnly later", imported.clone(), merged(&imported, &json!({"managementPolicy": "PowerOnly"})), ""),
            ("Observe without import, later", json!({}), json!({"managementPolicy": "Observe"}), "PowerOnly and Observe need import.id"),
            ("protection", json!({}), json!({"deletionProtection": true}), ""),
            ("a restart", json!({}), json!({"restart": {"token": "1"}}), ""),
            ("a soak removed", json!({"resize": {"confirm": "AfterSoak", "soak": "5m"}}), json!({"resize": {"confirm": "AfterSoak"}}), "resize.soak is given with"),
        ],
    );
}

/// What a server is made from: (what, before, after, the refusal once there is a server).
#[rustfmt::skip] // One case a line.
fn made_from() -> Vec<(&'static str, Value, Value, &'static str)> {
    let net = networks(json!({"name": "a", "network": "n"}));
    let other = networks(json!({"name": "a", "network": "m"}));
    let zone = |zone: &str| json!({"openstack": {"availabilityZone": zone}});
    let volume = json!({"openstack": {"volumes": [{"name": "data", "volume": "0b7f9a5e-6a3c-4a53-9d8b-0c9d35e1a9d1"}]}});
    let user_data = |key: &str| json!({"userDataSecretRef": {"name": "a", "key": key}});
    let (one, two) = ("01000000-0000-4000-8000-000000000001", "01000000-0000-4000-8000-000000000002");
    let disks = |list: Value| json!({"upcloud": {"disks": list}});
    let root = |size: i32| json!({"name": "root", "action": "Create", "size": size});
    let attach = |name: &str, storage: &str| json!({"name": name, "action": "Attach", "storage": storage});
    let at = |address: &str| merged(&attach("a", one), &json!({"address": address}));
    let nics = |list: Value| json!({"upcloud": {"interfaces": list}});
    let public = json!({"name": "pub", "type": "Public"});
    let private = |more: Value| merged(&json!({"name": "net", "type": "Private", "network": two}), &more);
    let fixed = |address: &str| private(json!({"addresses": [{"name": "a", "address": address}]}));
    let entry = "an entry of upcloud.interfaces is immutable but for its floatingIP";
    let made = "upcloud.disks with action Create or Clone are immutable once a server exists";
    vec![
        ("a disk attached", disks(json!([root(10)])), disks(json!([root(10), attach("a", one)])), ""),
        ("a disk attached to no list", json!({"upcloud": {}}), disks(json!([attach("a", one)])), ""),
        ("a disk detached, another attached", disks(json!([attach("a", one), root(10)])), disks(json!([root(10), attach("b", two)])), ""),
        ("all disks detached", disks(json!([attach("a", one)])), json!({"upcloud": {}}), ""),
        ("a disk of another size", disks(json!([root(10)])), disks(json!([root(20)])), made),
        ("a disk made later", disks(json!([attach("a", one)])), disks(json!([attach("a", one), root(20)])), made),
        ("a made disk taken out", disks(json!([root(20)])), json!({"upcloud": {}}), made),
        ("a disk on another bus", disks(json!([at("virtio")])), disks(json!([at("scsi")])), "address and bootDisk of a disk are immutable while it is attached"),
        ("an interface added", nics(json!([public])), nics(json!([public, private(json!({}))])), ""),
        ("interfaces named at last", json!({"upcloud": {}}), nics(json!([public])), ""),
        ("an interface taken out", nics(json!([private(json!({})), public])), nics(json!([public])), ""),
        ("interfaces no more named", nics(json!([public])), json!({"upcloud": {}}), ""),
        ("an interface with another address", nics(json!([fixed("10.0.0.5")])), nics(json!([fixed("10.0.0.6")])), entry),
        ("an interface of another kind", nics(json!([public])), nics(json!([{"name": "pub", "type": "Utility"}])), entry),
        ("a floating address", nics(json!([public])), nics(json!([merged(&public, &json!({"floatingIP": "203.0.113.7"}))])), ""),
        ("cloudName added", json!({}), json!({"cloudName": "a"}), "cloudName is immutable once a server exists"),
        ("cloudName removed", json!({"cloudName": "a"}), json!({}), "cloudName is immutable once a server exists"),
        ("cloudName changed", json!({"cloudName": "a"}), json!({"cloudName": "b"}), "cloudName is immutable once a server exists"),
        ("hostname added", json!({}), json!({"hostname": "a"}), "hostname is immutable once a server exists"),
        ("hostname removed", json!({"hostname": "a"}), json!({}), "hostname is immutable once a server exists"),
        ("hostname changed", json!({"hostname": "a"}), json!({"hostname": "b"}), "hostname is immutable once a server exists"),
        ("labels added", json!({}), json!({"labels": {"a": "1"}}), "labels are immutable once a server exists"),
        ("labels removed", json!({"labels": {"a": "1"}}), json!({}), "labels are immutable once a server exists"),
        ("a label added", json!({"labels": {"a": "1"}}), json!({"labels": {"a": "1", "b": "2"}}), "labels are immutable once a server exists"),
        ("user data added", json!({}), user_data("k"), "userDataSecretRef is immutable once a server exists"),
        ("user data removed", user_data("k"), json!({}), "userDataSecretRef is immutable once a server exists"),
        ("user data changed", user_data("k"), user_data("l"), "userDataSecretRef is immutable once a server exists"),
        ("openstack added", json!({}), zone("a"), "openstack.availabilityZone is immutable once a server exists"),
        ("openstack removed", zone("a"), json!({}), "openstack.availabilityZone is immutable once a server exists"),
        ("openstack changed", zone("a"), zone("b"), "openstack.availabilityZone is immutable once a server exists"),
        ("networks added", json!({"openstack": {}}), net.clone(), ""),
        ("networks changed", net.clone(), other, ""),
        ("networks removed", net.clone(), json!({"openstack": {}}), ""),
        ("a volume", json!({"openstack": {}}), volume, ""),
        ("a zone", json!({"openstack": {}}), json!({"openstack": {"availabilityZone": "z"}}), "openstack.availabilityZone is immutable once a server exists"),
        ("a config drive", json!({"openstack": {"configDrive": true}}), json!({"openstack": {}}), "openstack.configDrive is immutable once a server exists"),
        ("names and labels with openstack", json!({"openstack": {}}), json!({"openstack": {}, "cloudName": "a", "hostname": "b", "labels": {"a": "1"}}), ""),
        ("tags and groups", json!({"openstack": {"tags": ["a"]}}), json!({"openstack": {"tags": ["b"], "securityGroups": ["web"]}}), ""),
        ("a key and user data with openstack", json!({"openstack": {"keyName": "a"}}), merged(&user_data("k"), &json!({"openstack": {"keyName": "b"}})), ""),
        ("a host to avoid", json!({"upcloud": {"avoidHost": 1}}), json!({"upcloud": {"avoidHost": 2, "host": 1}}), ""),
        ("a host", json!({"upcloud": {"host": 1}}), json!({"upcloud": {"firewall": true}}), ""),
        ("a size", net.clone(), merged(&net, &json!({"size": {"name": "m1.large"}})), ""),
    ]
}

#[test]
fn what_a_server_is_made_from_can_be_corrected_until_there_is_one() {
    let free: Vec<_> = made_from()
        .into_iter()
        .map(|(w, a, b, _)| (w, a, b, ""))
        .collect();
    // Nothing happened yet; an attempt was refused.
    let refused = json!({"observedGeneration": 1, "createAttempts": 3, "previousIDs": ["4711"],
        "failure": {"class": "InvalidSpec", "message": "no such network", "firstAt": "2026-01-01T00:00:00Z"}});
    at_update("made-from-new", "Server", &server(), &free);
    at_update_of("made-from-refused", "Server", &server(), Some(&refused), &free);
}

#[test]
fn what_a_server_is_made_from_is_fixed_once_there_is_one() {
    let attempt = json!({"n": 1, "holder": "p", "startedAt": "2026-01-01T00:00:00Z", "deadline": "2026-01-01T00:02:00Z"});
    for (test, status) in [
        ("made-from-made", json!({"observedGeneration": 1, "id": "4711"})),
        (
            "made-from-open",
            json!({"observedGeneration": 1, "createAttempt": attempt}),
        ),
    ] {
        at_update_of(test, "Server", &server(), Some(&status), &made_from());
    }
}
