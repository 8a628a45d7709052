//! Settings that are sets to which others add as well, and settings that count only when a server is made.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde_json::json;

use super::clouds::{STOPPED_ONLY, calls, forget, settled};
use super::world::{Fate, World};
use crate::api::ConditionType as C;
use crate::api::keys;
use crate::api::server::ServerSpec;
use crate::planner::model::{Capabilities, ErrorClass, Items, ServerState as S, WantedAttribute};

const ID: &str = "0b7f9a5e-6a3c-4a53-9d8b-0c9d35e1a9d1";

/// Labels, as many as there are in one call; groups (here the SSH keys), one after the other; user data only at first.
fn attributes(spec: &ServerSpec) -> Vec<WantedAttribute> {
    let labels = Items {
        all: spec.labels.clone().unwrap_or_default(),
        at_once: 64,
        ..Items::default()
    };
    let keys = spec.ssh_keys.iter().flatten();
    let groups = Items {
        all: keys.map(|k| (k.clone(), String::new())).collect(),
        at_once: 1,
        ids: true,
        ..Items::default()
    };
    let user_data = spec.user_data_secret_ref.as_ref().map(|r| r.text());
    vec![
        WantedAttribute::set("labels", labels),
        WantedAttribute::set("groups", groups),
        WantedAttribute::fixed("userData", user_data.unwrap_or_default()),
    ]
}

static SETS: LazyLock<Capabilities> = LazyLock::new(|| Capabilities {
    attributes,
    ..STOPPED_ONLY.clone()
});

/// A server at rest that has what it was made with, and what somebody else brought in.
fn world(spec: serde_json::Value) -> World {
    let mut w = settled(&SETS, spec);
    let labels = w.server.spec.labels.clone().unwrap_or_default();
    let groups = w.server.spec.ssh_keys.clone().unwrap_or_default();
    has(&mut w, "labels", labels);
    has(&mut w, "labels", BTreeMap::from([("theirs".into(), "1".into())]));
    has(
        &mut w,
        "groups",
        groups.into_iter().map(|g| (g, String::new())).collect(),
    );
    has(
        &mut w,
        "groups",
        BTreeMap::from([("theirs".into(), String::new())]),
    );
    w.run(10);
    forget(&mut w);
    w
}

fn has(w: &mut World, name: &str, more: BTreeMap<String, String>) {
    Arc::make_mut(&mut w.the().seen.items)
        .entry(name.to_owned())
        .or_default()
        .extend(more);
}

fn shows(w: &World, name: &str, key: &str) -> bool {
    let mut all = w.cloud.values();
    all.any(|f| f.seen.items.get(name).is_some_and(|set| set.contains_key(key)))
}

fn keys_of(w: &mut World, name: &str) -> String {
    let set = &w.the().seen.items[name];
    set.keys().cloned().collect::<Vec<_>>().join(" ")
}

fn synced(w: &mut World) {
    w.until(120, "synced", |w| {
        w.condition(C::SettingsSynced) == "True/Synced" && w.ready() == "True/AsDeclared"
    });
}

#[test]
fn own_things_come_and_go_and_everybody_elses_stay() {
    let mut w = world(json!({"labels": {"a": "1", "b": "1"}, "sshKeys": ["web"]}));
    w.run(60);
    assert!(w.calls.is_empty(), "{:?}", w.calls);
    w.edit(json!({"labels": {"a": "2", "b": null, "c": "1"}, "sshKeys": ["db", "log"]}));
    synced(&mut w);
    let hows = [
        "labels:+a=2+c=1",
        "labels:-b",
        "groups:+db=",
        "groups:+log=",
        "groups:-web",
    ];
    assert_eq!(w.knobs.hows, hows);
    assert_eq!(keys_of(&mut w, "labels"), "a c theirs");
    assert_eq!(keys_of(&mut w, "groups"), "db log theirs");
    w.restart_process();
    let writes = w.writes.len();
    w.run(600);
    assert_eq!((w.calls.len(), w.writes.len()), (5, writes));
    // Nothing is wished for any more: nothing of ours is left, and nothing is remembered.
    w.edit(json!({"labels": null, "sshKeys": null}));
    w.until(120, "gone", |w| {
        w.condition(C::SettingsSynced) == "-" && w.ready() == "True/AsDeclared"
    });
    assert_eq!(
        (keys_of(&mut w, "labels"), keys_of(&mut w, "groups")),
        ("theirs".into(), "theirs".into())
    );
    let applied = w.server.status.as_ref().unwrap().applied.clone().unwrap();
    assert!(applied.settings.is_empty(), "{applied:?}");
}

#[test]
fn what_is_first_seen_is_recorded_and_only_what_is_there_is_ours() {
    let mut w = World::new(
        json!({"import": {"id": "x"}, "powerState": "Running", "deletionPolicy": "Orphan",
        "labels": {"a": "1", "b": "mine", "c": "1"}}),
    );
    w.can = &SETS;
    w.put("x", S::Running, None);
    let there = [("a", "1"), ("b", "theirs"), ("d", "1")];
    has(
        &mut w,
        "labels",
        there.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
    );
    w.run(120);
    assert_eq!((w.ready().as_str(), calls(&w)), ("True/AsDeclared", vec!["Mark"]));
    assert_eq!(w.condition(C::DriftDetected), "True/SettingsDrift");
    // b was never brought in for this object: it is not taken out.
    w.edit(json!({"labels": {"a": null, "b": null}}));
    synced(&mut w);
    assert_eq!(keys_of(&mut w, "labels"), "b c d");
}

#[test]
fn a_change_from_outside_is_only_shown() {
    let mut w = world(json!({"labels": {"a": "1"}, "sshKeys": ["web"]}));
    Arc::make_mut(&mut w.the().seen.items)
        .get_mut("groups")
        .unwrap()
        .remove("web");
    w.run(60);
    assert_eq!(w.condition(C::DriftDetected), "True/SettingsDrift");
    assert_eq!((w.ready().as_str(), w.calls.len()), ("True/AsDeclared", 0));
    // What others bring in is no drift.
    has(
        &mut w,
        "groups",
        BTreeMap::from([("web".into(), String::new()), ("more".into(), String::new())]),
    );
    w.run(60);
    assert!(!w.condition(C::DriftDetected).starts_with("True"));
}

#[test]
fn a_step_of_which_nothing_is_known_is_made_again() {
    for fate in [Fate::LoseRequest, Fate::LoseReply] {
        for edit in [json!({"sshKeys": ["web", "db"]}), json!({"sshKeys": null})] {
            let mut w = world(json!({"labels": {"a": "1"}, "sshKeys": ["web"]}));
            w.fates.push(("Modify", fate.clone()));
            w.edit(edit.clone());
            w.until(10, "sent", |w| !w.calls.is_empty());
            w.restart_process();
            synced(&mut w);
            let wanted = if edit["sshKeys"].is_null() {
                "theirs"
            } else {
                "db theirs web"
            };
            assert_eq!(keys_of(&mut w, "groups"), wanted, "{fate:?}");
        }
    }
    // A wish that is taken back while its fate is unknown leaves nothing behind.
    let mut w = world(json!({"labels": {"a": "1"}, "sshKeys": ["web"]}));
    w.fates.push(("Modify", Fate::LoseReply));
    w.edit(json!({"sshKeys": ["web", "db"]}));
    w.until(10, "sent", |w| !w.calls.is_empty());
    w.edit(json!({"sshKeys": ["web"]}));
    synced(&mut w);
    assert_eq!(keys_of(&mut w, "groups"), "theirs web");
}

#[test]
fn what_the_cloud_does_not_know_loses_nothing() {
    let mut w = world(json!({"sshKeys": ["web"]}));
    w.fates.push(("Modify", Fate::Refuse(ErrorClass::InvalidSpec)));
    w.edit(json!({"sshKeys": ["nope"]}));
    w.until(60, "refused", |w| w.ready() == "False/SettingsRefused");
    w.run(600);
    assert_eq!(
        (w.calls.len(), keys_of(&mut w, "groups")),
        (1, "theirs web".into())
    );
    // Somebody else's group of that name is not ours, although it was asked for.
    has(&mut w, "groups", BTreeMap::from([("nope".into(), String::new())]));
    w.edit(json!({"sshKeys": ["web"]}));
    synced(&mut w);
    assert_eq!(
        (w.calls.len(), keys_of(&mut w, "groups")),
        (1, "nope theirs web".into())
    );
}

#[test]
fn a_change_that_is_taken_and_does_not_show_is_said() {
    let mut w = world(json!({"sshKeys": ["web"]}));
    w.fates.push(("Modify", Fate::NoEffect));
    w.edit(json!({"sshKeys": ["web", "db"]}));
    w.until(1200, "said", |w| w.ready() == "False/SettingsRefused");
    assert_eq!(calls(&w), ["Modify"]);
    w.annotate(keys::RETRY, "again");
    synced(&mut w);
    assert_eq!(keys_of(&mut w, "groups"), "db theirs web");
}

#[test]
fn a_thing_that_is_named_by_its_id_is_shown_by_its_name() {
    let mut w = world(json!({"sshKeys": ["web"]}));
    w.edit(json!({"sshKeys": ["web", ID]}));
    w.until(60, "sent", |w| !w.calls.is_empty());
    // The cloud shows its name.
    w.until(60, "in", |w| shows(w, "groups", ID));
    Arc::make_mut(&mut w.the().seen.items)
        .get_mut("groups")
        .unwrap()
        .remove(ID);
    has(
        &mut w,
        "groups",
        BTreeMap::from([("its name".into(), String::new())]),
    );
    synced(&mut w);
    w.run(300);
    assert_eq!(w.knobs.hows, [format!("groups:+{ID}=")]);
    assert!(!w.condition(C::DriftDetected).starts_with("True"));
    w.edit(json!({"sshKeys": ["web"]}));
    synced(&mut w);
    assert_eq!(w.knobs.hows.last().unwrap(), &format!("groups:-{ID}"));
    w.run(300);
    assert_eq!(w.calls.len(), 2);
}

#[test]
fn what_counts_only_at_first_is_shown_and_never_sent() {
    let secret = |name: &str| json!({"userDataSecretRef": {"name": name, "key": "script"}});
    for first in [secret("one"), json!({})] {
        let mut w = world(first.clone());
        w.run(60);
        w.edit(secret("two"));
        w.run(60);
        assert_eq!(w.condition(C::SettingsSynced), "False/NotApplied", "{first}");
        assert_eq!((w.ready().as_str(), w.calls.len()), ("True/AsDeclared", 0));
        w.restart_process();
        let writes = w.writes.len();
        w.run(600);
        assert_eq!((w.calls.len(), w.writes.len()), (0, writes));
        // Others are changed all the same.
        w.edit(json!({"labels": {"a": "1"}}));
        w.until(60, "changed", |w| shows(w, "labels", "a"));
        w.until(60, "still shown", |w| {
            w.condition(C::SettingsSynced) == "False/NotApplied"
        });
        let back = if first == json!({}) {
            json!({"userDataSecretRef": null})
        } else {
            first
        };
        w.edit(back);
        synced(&mut w);
    }
}

#[test]
fn a_state_that_takes_no_change_waits_and_needs_nobody() {
    let mut w = world(json!({"labels": {"a": "1"}, "powerState": "Unmanaged"}));
    w.the().seen.state = S::Paused;
    w.run(10);
    w.edit(json!({"labels": {"a": "2"}}));
    w.run(120);
    assert_eq!(w.condition(C::SettingsSynced), "False/Unsupported");
    assert!(w.ready().starts_with("True"), "{}", w.ready());
    w.the().seen.state = S::Running;
    synced(&mut w);
    assert_eq!(w.knobs.hows, ["labels:+a=2"]);
}

#[test]
fn what_is_carried_by_things_that_are_not_there_is_not_missed() {
    fn carried(spec: &ServerSpec) -> Vec<WantedAttribute> {
        let mut all = attributes(spec);
        let groups = all.iter_mut().filter(|w| w.name == "groups");
        groups
            .filter_map(|w| w.items.as_mut())
            .for_each(|i| i.carried_by = Some("nics"));
        all
    }
    static CARRIED: LazyLock<Capabilities> = LazyLock::new(|| Capabilities {
        attributes: carried,
        ..STOPPED_ONLY.clone()
    });
    let nic = || BTreeMap::from([("mac".to_owned(), "net".to_owned())]);
    let mut w = world(json!({ "sshKeys": ["web"] }));
    w.can = &CARRIED;
    has(&mut w, "nics", nic());
    w.run(10);
    // The last interface is taken off, and with it its groups.
    Arc::make_mut(&mut w.the().seen.items).insert("nics".into(), BTreeMap::new());
    Arc::make_mut(&mut w.the().seen.items).insert("groups".into(), BTreeMap::new());
    w.run(60);
    assert_eq!(w.condition(C::SettingsSynced), "True/Synced");
    assert_ne!(w.condition(C::DriftDetected), "True/SettingsDrift");
    w.edit(json!({ "sshKeys": ["web", "db"] }));
    w.run(60);
    assert_eq!(w.condition(C::SettingsSynced), "False/NotApplied");
    let said = w.message_of(C::SettingsSynced);
    assert!(said.contains("groups") && said.contains("nics"), "{said}");
    assert!(w.calls.is_empty(), "{:?}", w.calls);
    has(&mut w, "nics", nic());
    synced(&mut w);
    assert_eq!(keys_of(&mut w, "groups"), "db web");
}
