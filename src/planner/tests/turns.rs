//! Members of a group that are taken down for a while wait for their turn, whatever they are taken down for.

use serde_json::{Value, json};

use super::cloud::{CAPABILITIES, PLAIN};
use super::clouds::{METAL, STOPPED_ONLY, forget, settled};
use super::world::World;
use crate::api::ConditionType as C;
use crate::planner::model::{Capabilities, ServerState as S};

/// A member at rest whose group lets nobody else be down.
fn member(can: &'static Capabilities, spec: Value) -> World {
    let group = json!({"apiVersion": "evenkeel.dev/v1alpha1", "kind": "ServerGroup",
        "metadata": {"name": "web", "namespace": "ns", "uid": "uid-g", "generation": 1},
        "spec": {"providerConfigRef": {"name": "p"}, "disruption": {"maxUnavailable": 1}},
        "status": {"observedGeneration": 1}});
    let mut w = settled(can, spec);
    w.edit(json!({"groupRef": {"name": "web"}}));
    w.group = Some((serde_json::from_value(group).unwrap(), false));
    w.until(30, "a member", |w| w.ready() == "True/AsDeclared");
    forget(&mut w);
    w
}

/// Every way in which a running member is taken down: the cloud, its spec, and the edit that does it.
pub(super) fn ways() -> Vec<(&'static str, &'static Capabilities, Value, Value)> {
    let stops = json!({"resize": {"when": "StopIfNeeded"}});
    let with = |more: Value| {
        let mut spec = stops.clone();
        spec.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        spec
    };
    let installs = json!({"rebuild": {"when": "OnImageChange"}});
    let size = json!({"size": {"name": "large"}});
    let image = json!({"image": {"name": "new"}});
    let secret = |name: &str| json!({"adminPasswordSecretRef": {"name": name, "key": "k"}});
    vec![
        (
            "a restart",
            &CAPABILITIES,
            json!({}),
            json!({"restart": {"token": "1"}}),
        ),
        (
            "a resize by the cloud",
            &CAPABILITIES,
            with(json!({})),
            size.clone(),
        ),
        ("a resize after a stop", &PLAIN, with(json!({})), size),
        (
            "a setting",
            &STOPPED_ONLY,
            with(json!({"hostname": "a"})),
            json!({"hostname": "b"}),
        ),
        ("a password", &METAL, with(secret("one")), secret("two")),
        (
            "an image on a running one",
            &CAPABILITIES,
            installs.clone(),
            image.clone(),
        ),
        ("an image after a stop", &METAL, installs, image),
    ]
}

#[test]
fn whatever_takes_a_member_down_waits_for_its_turn() {
    for (way, can, spec, edit) in ways() {
        let mut w = member(can, spec);
        w.edit(edit);
        w.run(120);
        assert_eq!(w.calls, Vec::<String>::new(), "{way}");
        assert_eq!(w.state(), S::Running, "{way}");
        assert_eq!(w.ready(), "False/WaitingForGroup", "{way}: {}", w.message());
        assert!(
            w.message().contains("disruption.maxUnavailable"),
            "{way}: {}",
            w.message()
        );
        w.group.as_mut().unwrap().1 = true;
        w.until(300, way, |w| {
            w.ready() == "True/AsDeclared" && w.state() == S::Running
        });
        assert!(!w.calls.is_empty(), "{way}");
    }
}

#[test]
fn who_was_let_go_is_not_held_back_half_way() {
    for (way, can, spec, edit) in ways() {
        let mut w = member(can, spec);
        w.group.as_mut().unwrap().1 = true;
        w.edit(edit);
        w.until(60, way, |w| !w.calls.is_empty());
        // Another member went down meanwhile.
        w.group.as_mut().unwrap().1 = false;
        w.until(300, way, |w| {
            w.ready() == "True/AsDeclared" && w.state() == S::Running
        });
    }
}

#[test]
fn what_takes_nobody_down_waits_for_nobody() {
    let mut w = member(&CAPABILITIES, json!({}));
    w.edit(json!({"powerState": "Stopped"}));
    w.until(60, "a power wish is exempt", |w| {
        w.state() == S::Stopped && w.ready() == "True/AsDeclared"
    });
    // A member that is down anyway is changed.
    for (way, can, spec, edit) in ways().into_iter().skip(1) {
        let mut w = member(can, spec);
        w.edit(json!({"powerState": "Stopped"}));
        w.until(60, "stopped", |w| {
            w.ready() == "True/AsDeclared" && w.state() == S::Stopped
        });
        forget(&mut w);
        w.edit(edit);
        w.until(300, way, |w| {
            w.ready() == "True/AsDeclared" && w.state() == S::Stopped
        });
        assert!(
            !w.calls.is_empty() && w.condition(C::Reconciling).starts_with("False"),
            "{way}"
        );
    }
    // A stop from outside is put back.
    let mut w = member(&CAPABILITIES, json!({}));
    w.the().seen.state = S::Stopped;
    w.until(60, "put back", |w| {
        w.state() == S::Running && w.ready() == "True/AsDeclared"
    });
}
