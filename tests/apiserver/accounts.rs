//! Which ProviderConfigs are taken.

use serde_json::json;

use crate::cases::{account, at_create, at_update, full_account};

#[test]
#[rustfmt::skip] // One case a line.
fn accounts_at_create() {
    at_create(
        "account-create",
        "ProviderConfig",
        &account(),
        &[
            ("the least", json!({}), ""),
            ("every field", full_account(), ""),
            ("no cloud", json!({"openstack": null}), "a ProviderConfig names its cloud: give exactly one of openstack, upcloud and cloudDC"),
            ("no Secret", json!({"openstack": {"secretRef": null}}), "spec.openstack.secretRef"),
            ("no entry", json!({"openstack": {"cloud": null}}), "spec.openstack.cloud"),
            ("too slow", json!({"observe": {"interval": "1h1s"}}), "observe.interval must be between 1s and 1h"),
            ("too fast", json!({"observe": {"interval": "0s"}}), "observe.interval must be between 1s and 1h"),
            ("too fast when busy", json!({"observe": {"busyInterval": "0s"}}), "observe.busyInterval must be between 1s and 1h"),
            ("too slow when busy", json!({"observe": {"interval": "1h", "busyInterval": "2h"}}), "observe.busyInterval must be between 1s and 1h"),
            ("slower when busy", json!({"observe": {"interval": "5s", "busyInterval": "6s"}}), "observe.busyInterval must not be longer than observe.interval"),
            ("as slow when busy", json!({"observe": {"interval": "5s", "busyInterval": "5s"}}), ""),
            ("slower than the default", json!({"observe": {"busyInterval": "16s"}}), "observe.busyInterval must not be longer than observe.interval"),
        ],
    );
}

#[test]
#[rustfmt::skip] // One case a line.
fn accounts_at_update() {
    at_update(
        "account-update",
        "ProviderConfig",
        &account(),
        &[
            ("nothing", full_account(), full_account(), ""),
            ("suspend", json!({}), json!({"suspend": true}), ""),
            ("another Secret", json!({}), json!({"openstack": {"secretRef": {"name": "other"}}}), ""),
            ("a CA added", json!({}), json!({"caSecretRef": {"name": "ca"}}), ""),
            ("a CA removed", json!({"caSecretRef": {"name": "ca"}}), json!({}), ""),
            ("the cloud removed", json!({}), json!({"openstack": null}), "a ProviderConfig names its cloud"),
            ("a slow pace", json!({}), json!({"observe": {"interval": "2h"}}), "observe.interval must be between"),
            ("no burst", json!({}), json!({"requests": {"burst": 0}}), "spec.requests.burst"),
        ],
    );
}
