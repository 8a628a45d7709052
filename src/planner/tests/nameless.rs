//! Sets whose things have an identity that no wish knows: interfaces by their MAC address.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde_json::json;

use super::clouds::{STOPPED_ONLY, calls, forget, settled};
use super::world::{Fate, World};
use crate::api::ConditionType as C;
use crate::api::server::ServerSpec;
use crate::planner::model::{Capabilities, ErrorClass, Items, ServerState as S, WantedAttribute};

const PORT: &str = "id 0b7f9a5e-6a3c-4a53-9d8b-0c9d35e1a9d1";

/// Interfaces (here the SSH keys), one after the other.
fn attributes(spec: &ServerSpec) -> Vec<WantedAttribute> {
    let keys = spec.ssh_keys.iter().flatten();
    let items = Items {
        all: keys.map(|k| (k.clone(), String::new())).collect(),
        at_once: 1,
        nameless: true,
        ..Items::default()
    };
    vec![WantedAttribute {
        not_in: &[S::Suspended],
        ..WantedAttribute::set("nics", items)
    }]
}

static NICS: LazyLock<Capabilities> = LazyLock::new(|| Capabilities {
    attributes,
    create_settle_seconds: 120,
    ..STOPPED_ONLY.clone()
});

/// A server at rest with the interfaces that it was made with.
fn world(made_with: &[&str]) -> World {
    let mut w = settled(&NICS, json!({ "sshKeys": made_with }));
    let shown = made_with.iter().filter(|key| **key != PORT);
    let shown = shown
        .enumerate()
        .map(|(n, key)| (format!("first-{n}"), words(key)));
    let shown: BTreeMap<String, String> = shown.collect();
    Arc::make_mut(&mut w.the().seen.items).insert("nics".to_owned(), shown);
    w.run(30);
    forget(&mut w);
    w
}

fn words(key: &str) -> String {
    let key = key.split(" #").next().unwrap_or_default();
    key.replace(' ', "\n") + "\n10.9.9.9"
}

fn theirs(w: &mut World, id: &str, net: &str) {
    let all = Arc::make_mut(&mut w.the().seen.items)
        .entry("nics".to_owned())
        .or_default();
    all.insert(id.to_owned(), words(net));
}

fn there(w: &mut World) -> String {
    let all = &w.the().seen.items["nics"];
    let all = all
        .iter()
        .map(|(id, words)| format!("{id}={}", words.replace("\n10.9.9.9", "")));
    all.collect::<Vec<_>>().join(" ").replace('\n', "@")
}

fn wish(w: &mut World, keys: &[&str]) {
    w.edit(json!({ "sshKeys": keys }));
}

fn synced(w: &mut World) {
    w.until(600, "synced", |w| {
        let all = w.condition(C::SettingsSynced);
        (all == "True/Synced" || all == "-") && w.ready() == "True/AsDeclared"
    });
}

#[test]
fn what_comes_in_is_ours_and_what_others_brought_stays() {
    let mut w = world(&["a"]);
    theirs(&mut w, "hand", "a");
    w.run(60);
    assert!(w.calls.is_empty(), "{:?}", w.calls);
    wish(&mut w, &["a", "b"]);
    synced(&mut w);
    assert_eq!(w.knobs.hows, ["nics:+b="]);
    theirs(&mut w, "more", "b");
    w.run(60);
    // Each goes by its identity, whatever else is like it.
    wish(&mut w, &[]);
    synced(&mut w);
    assert_eq!(w.knobs.hows, ["nics:+b=", "nics:-first-0", "nics:-new-2"]);
    assert_eq!(there(&mut w), "hand=a more=b");
    w.restart_process();
    let writes = w.writes.len();
    w.run(600);
    assert_eq!((w.calls.len(), w.writes.len()), (3, writes));
}

#[test]
fn what_a_list_leaves_out_is_looked_at_when_a_wish_waits_for_it_and_never_at_rest() {
    let mut w = world(&["a"]);
    w.knobs.sparse = true;
    theirs(&mut w, "hand", "c");
    // Its details are new to it.
    w.run(60);
    forget(&mut w);
    w.run(600);
    w.restart_process();
    w.run(600);
    assert_eq!((w.knobs.looks, w.calls.len(), w.writes.len()), (0, 0, 0));
    wish(&mut w, &["a", "b"]);
    synced(&mut w);
    assert_eq!(w.knobs.hows, ["nics:+b="]);
    wish(&mut w, &[]);
    synced(&mut w);
    assert_eq!(w.knobs.hows, ["nics:+b=", "nics:-first-0", "nics:-new-2"]);
    assert_eq!(there(&mut w), "hand=c");
    assert!(w.knobs.looks < 20, "looked at {} times", w.knobs.looks);
    w.run(120);
    let (writes, looks) = (w.writes.len(), w.knobs.looks);
    w.run(1200);
    w.restart_process();
    w.run(600);
    assert_eq!((w.writes.len(), w.knobs.looks, w.calls.len()), (writes, looks, 3));
}

#[test]
fn the_order_and_a_wider_wish_change_nothing_and_another_address_is_another_one() {
    let mut w = world(&["b", "a 10.0.0.5"]);
    wish(&mut w, &["a 10.0.0.5", "b"]);
    synced(&mut w);
    // What is there already meets a wish that asks for less.
    wish(&mut w, &["a", "b"]);
    synced(&mut w);
    assert!(w.calls.is_empty(), "{:?}", w.knobs.hows);
    wish(&mut w, &["a 10.0.0.6", "b"]);
    synced(&mut w);
    assert_eq!(w.knobs.hows, ["nics:+a 10.0.0.6=", "nics:-first-1"]);
    // A second one like it is one more.
    wish(&mut w, &["a 10.0.0.6", "b", "b #2"]);
    synced(&mut w);
    assert_eq!(w.knobs.hows.last().unwrap(), "nics:+b #2=");
    wish(&mut w, &["a 10.0.0.6", "b"]);
    synced(&mut w);
    assert_eq!(there(&mut w).matches("=b").count(), 1);
}

#[test]
fn a_step_of_which_nothing_is_known_brings_in_one_and_waits_before_it_is_made_again() {
    for (fate, sparse) in [
        (Fate::LoseRequest, false),
        (Fate::LoseReply, false),
        (Fate::LoseRequest, true),
        (Fate::LoseReply, true),
    ] {
        for taken_back in [false, true] {
            let mut w = world(&["a"]);
            w.knobs.sparse = sparse;
            theirs(&mut w, "hand", "c");
            w.run(30);
            w.fates.push(("Modify", fate.clone()));
            wish(&mut w, &["a", "b"]);
            w.until(10, "sent", |w| !w.calls.is_empty());
            if taken_back {
                wish(&mut w, &["a"]);
            }
            w.restart_process();
            w.run(60);
            let adds = |w: &World| w.knobs.hows.iter().filter(|h| h.contains('+')).count();
            assert_eq!(adds(&w), 1, "it may still take effect: {:?}", w.knobs.hows);
            synced(&mut w);
            w.run(600);
            let now = there(&mut w);
            let (b, hand) = (now.matches("=b").count(), now.matches("hand=c").count());
            assert_eq!(
                (b, hand),
                (usize::from(!taken_back), 1),
                "{fate:?} {taken_back}: {now}"
            );
            wish(&mut w, &["a"]);
            synced(&mut w);
            assert_eq!(there(&mut w), "first-0=a hand=c", "{fate:?} {taken_back}");
        }
    }
}

#[test]
fn what_was_taken_off_by_hand_is_shown_and_another_in_its_place_is_not_ours() {
    let mut w = world(&["a"]);
    Arc::make_mut(&mut w.the().seen.items)
        .get_mut("nics")
        .unwrap()
        .clear();
    w.run(60);
    assert_eq!(w.condition(C::DriftDetected), "True/SettingsDrift");
    assert_eq!((w.ready().as_str(), w.calls.len()), ("True/AsDeclared", 0));
    theirs(&mut w, "hand", "a");
    w.run(60);
    assert!(!w.condition(C::DriftDetected).starts_with("True"));
    wish(&mut w, &[]);
    synced(&mut w);
    assert_eq!((w.calls.len(), there(&mut w).as_str()), (0, "hand=a"));
}

#[test]
fn what_a_server_had_when_it_was_taken_over_is_ours_as_far_as_it_is_declared() {
    let mut w = World::new(
        json!({"import": {"id": "x"}, "powerState": "Running", "deletionPolicy": "Orphan", "sshKeys": ["a", "b"]}),
    );
    w.can = &NICS;
    w.put("x", S::Running, None);
    theirs(&mut w, "one", "a");
    theirs(&mut w, "two", "c");
    w.run(120);
    assert_eq!((w.ready().as_str(), calls(&w)), ("True/AsDeclared", vec!["Mark"]));
    assert_eq!(w.condition(C::DriftDetected), "True/SettingsDrift");
    wish(&mut w, &["b"]);
    synced(&mut w);
    assert_eq!(w.knobs.hows, ["nics:+b=", "nics:-one"]);
    assert_eq!(there(&mut w), "new-2=b two=c");
}

#[test]
fn what_is_not_shown_is_believed_when_the_cloud_took_it() {
    let mut w = world(&["a"]);
    wish(&mut w, &["a", PORT]);
    synced(&mut w);
    w.run(300);
    wish(&mut w, &["a"]);
    synced(&mut w);
    assert_eq!(w.knobs.hows, [format!("nics:+{PORT}="), format!("nics:-{PORT}")]);
    assert_eq!(there(&mut w), "first-0=a");
}

#[test]
fn where_nothing_is_known_or_the_state_forbids_it_nothing_is_done() {
    let mut w = world(&["a"]);
    let all = Arc::make_mut(&mut w.the().seen.items).remove("nics").unwrap();
    w.run(10);
    wish(&mut w, &["b"]);
    w.run(120);
    assert_eq!(w.condition(C::SettingsSynced), "False/NotApplied");
    assert_eq!(w.calls.len(), 0);
    Arc::make_mut(&mut w.the().seen.items).insert("nics".to_owned(), all);
    synced(&mut w);
    assert_eq!(w.knobs.hows, ["nics:+b=", "nics:-first-0"]);
    w.edit(json!({"powerState": "Unmanaged"}));
    w.run(10);
    w.the().seen.state = S::Suspended;
    w.run(10);
    wish(&mut w, &[]);
    w.run(120);
    assert_eq!(w.calls.len(), 2);
    assert_eq!(w.condition(C::SettingsSynced), "False/Unsupported");
    w.the().seen.state = S::Running;
    synced(&mut w);
    assert_eq!(w.knobs.hows.last().unwrap(), "nics:-new-1");
}

#[test]
fn a_refusal_loses_nothing() {
    let mut w = world(&["a"]);
    w.fates.push(("Modify", Fate::Refuse(ErrorClass::InvalidSpec)));
    wish(&mut w, &["nope"]);
    w.until(60, "refused", |w| w.ready() == "False/SettingsRefused");
    w.run(600);
    assert_eq!((w.calls.len(), there(&mut w).as_str()), (1, "first-0=a"));
    // Another's interface of that kind is not ours, although it was asked for.
    theirs(&mut w, "hand", "nope");
    wish(&mut w, &["a"]);
    synced(&mut w);
    assert_eq!(
        (w.calls.len(), there(&mut w).as_str()),
        (1, "first-0=a hand=nope")
    );
}

#[test]
fn what_a_server_got_without_a_wish_goes_when_a_list_has_no_place_for_it() {
    static USUAL: LazyLock<Capabilities> = LazyLock::new(|| Capabilities {
        comes_with: &["nics"],
        ..NICS.clone()
    });
    for sparse in [false, true] {
        let mut w = settled(&USUAL, json!({}));
        w.knobs.sparse = sparse;
        for (id, net) in [("usual-0", "a"), ("usual-1", "b")] {
            theirs(&mut w, id, net);
        }
        w.restart_process();
        w.run(60);
        theirs(&mut w, "hand", "c");
        w.run(600);
        forget(&mut w);
        // One that it has already stays, whoever brought it.
        wish(&mut w, &["a", "d"]);
        synced(&mut w);
        assert_eq!(w.knobs.hows, ["nics:+d=", "nics:-usual-1"], "{sparse}");
        assert_eq!(there(&mut w), "hand=c new-3=d usual-0=a", "{sparse}");
        w.edit(json!({ "sshKeys": null }));
        synced(&mut w);
    }
    // What an imported server has is not ours.
    let mut w = settled(&USUAL, json!({}));
    theirs(&mut w, "usual-0", "a");
    let import = json!({"import": {"id": "id-1"}});
    let mut other = World::new(import);
    other.can = &USUAL;
    other.cloud = std::mem::take(&mut w.cloud);
    for faked in other.cloud.values_mut() {
        faked.seen.marks = None;
    }
    other.until(60, "taken over", |w| w.ready().starts_with("True"));
    wish(&mut other, &["d"]);
    synced(&mut other);
    assert_eq!(other.knobs.hows, ["nics:+d="]);
}
