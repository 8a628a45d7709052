//! Servers of Huawei CloudDC.

use serde_json::{Value, json};

use crate::cases::{at_create, at_update_of, merged, server};

fn base() -> Value {
    merged(
        &server(),
        &json!({"size": null, "image": {"name": null, "id": "im-1"},
            "adminPasswordSecretRef": {"name": "admin", "key": "password"},
            "cloudDC": {"vpcID": "vpc-1", "networkInterfaces": [{"name": "a", "subnetID": "subnet-1"}]}}),
    )
}

fn interfaces(list: Value) -> Value {
    json!({"cloudDC": {"networkInterfaces": list}})
}

#[test]
fn what_is_taken_when_one_is_created() {
    let one = |extra: Value| merged(&json!({"name": "a", "subnetID": "s"}), &extra);
    let five = json!({"a": "", "b": "", "c": "", "d": "", "e": ""});
    let six = merged(&five, &json!({"f": ""}));
    at_create(
        "clouddc-create",
        "Server",
        &base(),
        &[
            ("the least", json!({}), ""),
            (
                "everything",
                json!({"labels": five, "cloudDC": {"serverID": "server-01", "description": "front", "networkInterfaces": [
                    {"name": "a", "subnetID": "s", "ipv4Address": "10.0.0.7"}, {"name": "b", "subnetID": "t"}]}}),
                "",
            ),
            (
                "without a password",
                json!({"adminPasswordSecretRef": null}),
                "needs adminPasswordSecretRef",
            ),
            (
                "taken over",
                json!({"adminPasswordSecretRef": null, "import": {"id": "i"}, "powerState": "Running", "deletionPolicy": "Orphan"}),
                "",
            ),
            ("a size", json!({"size": {"name": "large"}}), "has no size"),
            ("keys", json!({"sshKeys": ["ssh-ed25519 A"]}), "has no size"),
            (
                "user data",
                json!({"userDataSecretRef": {"name": "s", "key": "k"}}),
                "has no size",
            ),
            ("too many labels", json!({ "labels": six }), "at most 5 labels"),
            ("without a VPC", json!({"cloudDC": {"vpcID": null}}), "vpcID"),
            ("no interface", interfaces(json!([])), "at least 1"),
            (
                "three interfaces",
                interfaces(json!([
                    one(json!({})),
                    one(json!({"name": "b"})),
                    one(json!({"name": "c"}))
                ])),
                "at most 2",
            ),
            (
                "the same name twice",
                interfaces(json!([one(json!({})), one(json!({}))])),
                "Duplicate value",
            ),
            (
                "IPv6",
                interfaces(json!([one(json!({"ipv4Address": "2001:db8::1"}))])),
                "must be an IPv4 address",
            ),
            (
                "no address",
                interfaces(json!([one(json!({"ipv4Address": "10.0.0.999"}))])),
                "must be an IPv4 address",
            ),
            (
                "two clouds",
                json!({"openstack": {"keyName": "k"}}),
                "at most one of openstack",
            ),
        ],
    );
}

#[test]
fn it_stays_as_it_was_made() {
    let made = json!({"observedGeneration": 1, "id": "4711"});
    at_update_of(
        "clouddc-update",
        "Server",
        &base(),
        Some(&made),
        &[
            ("unchanged", json!({}), json!({"powerState": "Stopped"}), ""),
            (
                "another machine",
                json!({}),
                json!({"cloudDC": {"serverID": "server-02"}}),
                "cloudDC.serverID is immutable once a server exists",
            ),
            (
                "another description",
                json!({}),
                json!({"cloudDC": {"description": "back"}}),
                "cloudDC.description is immutable once a server exists",
            ),
            (
                "another network",
                json!({}),
                json!({"cloudDC": {"vpcID": "vpc-2", "networkInterfaces": [{"name": "b", "subnetID": "subnet-2"}]}}),
                "",
            ),
            (
                "another password",
                json!({}),
                json!({"adminPasswordSecretRef": {"name": "new", "key": "password"}}),
                "",
            ),
            (
                "another image, to be installed",
                json!({}),
                json!({"image": {"id": "im-2"}, "rebuild": {"when": "OnImageChange"}}),
                "",
            ),
        ],
    );
}
