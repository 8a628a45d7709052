//! Lists that leave things out, settings that are changed in place, and sizes of guests that go on running.

use serde_json::json;

use super::clouds::{METAL, STOPPED_ONLY, address, calls, forget, settled};
use super::world::{Fate, World};
use crate::api::ConditionType as C;
use crate::api::keys;
use crate::planner::model::{ErrorClass, ServerState as S};

fn addresses(w: &World) -> Vec<String> {
    let all = &w.server.status.as_ref().unwrap().addresses;
    all.iter().map(|a| a.address.clone()).collect()
}

#[test]
fn details_are_asked_for_once_and_never_at_rest() {
    let mut w = World::new(json!({}));
    (w.can, w.knobs.sparse) = (&STOPPED_ONLY, true);
    w.until(30, "made", |w| !w.cloud.is_empty());
    w.the().seen.addresses = vec![address("192.0.2.1")];
    w.until(60, "ready", |w| w.ready().starts_with("True"));
    assert_eq!(addresses(&w), ["192.0.2.1"], "an address before it is Ready");
    w.run(5);
    forget(&mut w);
    w.run(600);
    w.restart_process();
    w.run(600);
    assert_eq!((w.knobs.looks, w.writes.len()), (0, 0));
    // Another address after a stop and a start.
    w.edit(json!({"powerState": "Stopped"}));
    w.until(60, "stopped", |w| {
        w.state() == S::Stopped && w.ready().starts_with("True")
    });
    w.run(60);
    assert_eq!((w.knobs.looks, addresses(&w)), (0, vec!["192.0.2.1".to_owned()]));
    w.the().seen.addresses = vec![address("192.0.2.2")];
    w.edit(json!({"powerState": "Running"}));
    w.until(60, "running", |w| {
        w.ready().starts_with("True") && w.state() == S::Running
    });
    w.run(60);
    assert_eq!((w.knobs.looks, addresses(&w)), (1, vec!["192.0.2.2".to_owned()]));
}

#[test]
fn a_changed_text_is_carried_out_once_and_alone() {
    for sparse in [false, true] {
        let mut w = settled(&STOPPED_ONLY, json!({"cloudName": "one", "hostname": "h"}));
        w.knobs.sparse = sparse;
        w.run(60);
        assert!(w.calls.is_empty(), "{:?}", w.calls);
        w.edit(json!({"cloudName": "two"}));
        w.until(60, "changed", |w| {
            w.condition(C::SettingsSynced) == "True/Synced" && w.ready() == "True/AsDeclared"
        });
        assert_eq!(
            (calls(&w), w.knobs.hows.clone()),
            (vec!["Modify"], vec!["title=two".to_owned()])
        );
        w.restart_process();
        w.run(300);
        assert_eq!(w.calls.len(), 1);
        assert_eq!(w.state(), S::Running);
    }
}

#[test]
fn a_change_from_outside_is_only_shown() {
    let mut w = settled(&STOPPED_ONLY, json!({"cloudName": "one"}));
    // The cloud may write a text in its own way: that is no change.
    w.the().seen.attributes.insert("title".into(), "ONE".into());
    w.run(30);
    assert!(!w.condition(C::DriftDetected).starts_with("True"));
    w.the().seen.attributes.insert("title".into(), "mine".into());
    w.run(30);
    assert_eq!(w.condition(C::DriftDetected), "True/SettingsDrift");
    w.knobs.sparse = true;
    w.run(5);
    let writes = w.writes.len();
    w.run(60);
    assert_eq!(
        (w.condition(C::DriftDetected).as_str(), w.writes.len()),
        ("True/SettingsDrift", writes)
    );
    assert_eq!((w.ready().as_str(), w.calls.len()), ("True/AsDeclared", 0));
    w.knobs.sparse = false;
    w.edit(json!({"cloudName": "two"}));
    w.until(60, "changed", |w| {
        !w.condition(C::DriftDetected).starts_with("True")
    });
    assert_eq!(w.knobs.hows, ["title=two"]);
}

#[test]
fn what_an_imported_server_has_is_recorded_and_not_acted_on() {
    let mut w = World::new(
        json!({"import": {"id": "x"}, "powerState": "Running", "deletionPolicy": "Orphan",
        "cloudName": "one"}),
    );
    w.can = &STOPPED_ONLY;
    w.put("x", S::Running, None);
    w.the().seen.attributes.insert("title".into(), "theirs".into());
    w.run(120);
    assert_eq!((w.ready().as_str(), calls(&w)), ("True/AsDeclared", vec!["Mark"]));
    // It is not called as declared.
    let words = "title is \"theirs\", \"one\" is declared; set from outside, it is only shown";
    assert_eq!(w.message_of(C::DriftDetected), words);
    w.edit(json!({"cloudName": "two"}));
    w.until(60, "changed", |w| w.knobs.hows.contains(&"title=two".to_owned()));
    w.until(60, "over", |w| !w.condition(C::DriftDetected).starts_with("True"));
}

#[test]
fn some_settings_wait_for_a_stop() {
    let mut w = settled(&STOPPED_ONLY, json!({"hostname": "a", "cloudName": "one"}));
    w.edit(json!({"hostname": "b", "cloudName": "two"}));
    w.run(60);
    assert_eq!(w.condition(C::SettingsSynced), "False/PendingPowerOff");
    assert_eq!(
        (w.ready().as_str(), w.knobs.hows.clone()),
        ("True/AsDeclared", vec!["title=two".to_owned()])
    );
    w.edit(json!({"powerState": "Stopped"}));
    w.until(60, "changed", |w| w.condition(C::SettingsSynced) == "True/Synced");
    assert_eq!(w.knobs.hows.last().unwrap(), "hostname=b");
    let mut w = settled(
        &STOPPED_ONLY,
        json!({"hostname": "a", "resize": {"when": "StopIfNeeded"}}),
    );
    w.edit(json!({"hostname": "b"}));
    w.until(120, "changed", |w| {
        w.condition(C::SettingsSynced) == "True/Synced" && w.ready() == "True/AsDeclared"
    });
    assert_eq!(calls(&w), ["Stop", "Modify", "Start"]);
    assert!(!w.events.contains(&"DriftCorrected".to_owned()));
}

#[test]
fn a_cloud_that_wants_a_stop_after_all_gets_it_when_policy_allows() {
    let mut w = settled(&STOPPED_ONLY, json!({"cloudName": "one"}));
    w.fates.push(("Modify", Fate::Refuse(ErrorClass::NeedsStop)));
    w.edit(json!({"cloudName": "two"}));
    w.run(120);
    assert_eq!(
        (calls(&w), w.condition(C::SettingsSynced).as_str()),
        (vec!["Modify"], "False/PendingPowerOff")
    );
    w.edit(json!({"resize": {"when": "StopIfNeeded"}}));
    w.until(120, "changed", |w| {
        w.condition(C::SettingsSynced) == "True/Synced" && w.ready() == "True/AsDeclared"
    });
    assert_eq!(calls(&w), ["Modify", "Stop", "Modify", "Start"]);
}

#[test]
fn a_refused_setting_is_not_repeated_and_power_goes_on() {
    let mut w = settled(&STOPPED_ONLY, json!({"cloudName": "one"}));
    w.fates.push(("Modify", Fate::Refuse(ErrorClass::InvalidSpec)));
    w.edit(json!({"cloudName": "bad"}));
    w.until(60, "refused", |w| w.ready() == "False/SettingsRefused");
    w.restart_process();
    w.run(600);
    assert_eq!(calls(&w), ["Modify"]);
    w.edit(json!({"powerState": "Stopped"}));
    w.until(60, "stopped", |w| w.state() == S::Stopped);
    w.annotate(keys::RETRY, "again");
    w.until(60, "changed", |w| w.ready() == "True/AsDeclared");
    assert_eq!(calls(&w), ["Modify", "Stop", "Modify"]);
}

#[test]
fn a_change_of_which_nothing_is_known_is_made_again() {
    for fate in [Fate::LoseRequest, Fate::LoseReply] {
        for sparse in [false, true] {
            let mut w = settled(&STOPPED_ONLY, json!({"cloudName": "one"}));
            w.knobs.sparse = sparse;
            w.fates.push(("Modify", fate.clone()));
            w.edit(json!({"cloudName": "two"}));
            w.until(10, "sent", |w| !w.calls.is_empty());
            w.restart_process();
            w.until(120, "changed", |w| {
                w.condition(C::SettingsSynced) == "True/Synced" && w.ready() == "True/AsDeclared"
            });
            assert_eq!(w.the().seen.attributes["title"], "two", "{fate:?} {sparse}");
        }
    }
}

#[test]
fn a_guest_grows_while_it_runs() {
    let mut w = settled(&STOPPED_ONLY, json!({}));
    w.edit(json!({"size": {"name": "large"}}));
    w.until(60, "grown", |w| {
        w.condition(C::SizeSynced) == "True/Synced" && w.ready() == "True/AsDeclared"
    });
    assert_eq!((calls(&w), w.state()), (vec!["Resize"], S::Running));
}

#[test]
fn a_size_that_needs_a_stop_waits_for_one_or_gets_it() {
    for class in [ErrorClass::NeedsStop, ErrorClass::Busy] {
        let refusals = if class == ErrorClass::Busy { 4 } else { 1 };
        let mut w = settled(&STOPPED_ONLY, json!({}));
        for _ in 0..refusals {
            w.fates.push(("Resize", Fate::Refuse(class)));
        }
        w.edit(json!({"size": {"name": "large"}}));
        w.until(200, "waits", |w| {
            w.condition(C::SizeSynced) == "False/PendingPowerOff"
        });
        let sent = w.calls.len();
        w.restart_process();
        w.run(120);
        assert_eq!((w.ready().as_str(), w.calls.len()), ("True/AsDeclared", sent));
        w.fates.clear();
        w.edit(json!({"resize": {"when": "StopIfNeeded"}}));
        w.until(120, "resized", |w| {
            w.condition(C::SizeSynced) == "True/Synced" && w.ready() == "True/AsDeclared"
        });
        assert_eq!(calls(&w)[sent..], ["Stop", "Resize", "Start"]);
    }
    // Fewer cores: no need to ask.
    let mut w = settled(&STOPPED_ONLY, json!({}));
    (w.the().seen.size.cores, w.the().seen.size.memory_mib) = (Some(4), Some(4096));
    w.edit(json!({"size": {"name": null, "cores": 2, "memoryMiB": 8192}}));
    w.run(60);
    assert_eq!(
        (w.condition(C::SizeSynced).as_str(), w.calls.len()),
        ("False/PendingPowerOff", 0)
    );
}

#[test]
fn bare_metal_has_the_size_that_it_has() {
    let mut w = settled(&METAL, json!({"resize": {"when": "StopIfNeeded"}}));
    w.edit(json!({"size": {"name": "large"}}));
    w.run(120);
    assert_eq!(
        (w.condition(C::SizeSynced).as_str(), w.calls.len()),
        ("False/Unsupported", 0)
    );
    assert_eq!(w.ready(), "False/Unsupported");
    w.edit(json!({"powerState": "Stopped"}));
    w.until(60, "power goes on", |w| w.state() == S::Stopped);
    w.edit(json!({"size": null}));
    w.until(60, "as declared", |w| w.ready() == "True/AsDeclared");
}

#[test]
fn a_password_is_set_when_another_secret_is_named() {
    let secret = |name: &str| json!({"adminPasswordSecretRef": {"name": name, "key": "password"}});
    let mut w = settled(&METAL, secret("one"));
    w.run(60);
    assert!(w.calls.is_empty(), "the creation set it: {:?}", w.calls);
    w.edit(secret("two"));
    w.run(60);
    assert_eq!(w.condition(C::SettingsSynced), "False/PendingPowerOff");
    assert_eq!((w.ready().as_str(), w.calls.len()), ("True/AsDeclared", 0));
    w.edit(json!({"resize": {"when": "StopIfNeeded"}}));
    w.until(60, "set", |w| {
        w.condition(C::SettingsSynced) == "True/Synced" && w.state() == S::Running
    });
    assert_eq!(calls(&w), ["Stop", "Modify", "Start"]);
    assert_eq!(
        w.knobs
            .hows
            .iter()
            .filter(|h| *h == "adminPassword=two/password")
            .count(),
        1
    );
    w.restart_process();
    w.run(600);
    assert_eq!(w.calls.len(), 3);
}

#[test]
fn a_secret_that_is_refused_is_read_again_by_itself() {
    let mut w = settled(&METAL, json!({"powerState": "Stopped"}));
    for _ in 0..6 {
        w.fates.push(("Modify", Fate::RefuseSecret));
    }
    w.edit(json!({"adminPasswordSecretRef": {"name": "two", "key": "password"}}));
    w.until(60, "said", |w| w.ready() == "False/SecretRefused");
    // However long it was wrong, it is read within a minute.
    w.until(400, "set", |w| w.ready().starts_with("True"));
    assert_eq!(calls(&w), ["Modify"; 7]);
}

#[test]
fn what_is_taken_alone_is_sent_alone() {
    let mut w = settled(&METAL, json!({"cloudName": "net 1", "powerState": "Stopped"}));
    forget(&mut w);
    w.edit(json!({"cloudName": "net 2", "adminPasswordSecretRef": {"name": "s", "key": "k"}}));
    w.until(60, "changed", |w| {
        w.condition(C::SettingsSynced) == "True/Synced" && w.ready().starts_with("True")
    });
    assert_eq!(w.knobs.hows, ["network=net 2", "adminPassword=s/k"]);
}

#[test]
fn what_the_cloud_shows_says_whether_a_change_was_made() {
    let mut w = settled(&METAL, json!({"cloudName": "net a=*", "powerState": "Stopped"}));
    w.the().seen.attributes.insert("network".into(), "net a=7".into());
    w.run(30);
    assert_ne!(
        w.condition(C::DriftDetected),
        "True/SettingsDrift",
        "the cloud chose it"
    );
    forget(&mut w);
    w.fates.push(("Modify", Fate::NoEffect));
    w.edit(json!({"cloudName": "net b=*"}));
    w.until(60, "refused", |w| w.ready() == "False/SettingsRefused");
    w.run(300);
    assert_eq!(calls(&w), ["Modify"]);
    w.annotate(keys::RETRY, "1");
    w.until(60, "changed", |w| w.ready().starts_with("True"));
    // A lost reply whose effect shows is not asked for again; one that shows nothing is.
    for (fate, sent) in [(Fate::LoseReply, 1), (Fate::LoseRequest, 2)] {
        forget(&mut w);
        w.fates.push(("Modify", fate));
        let next = format!("net c=* {sent}");
        w.edit(json!({"cloudName": next}));
        w.until(120, "changed", |w| w.ready().starts_with("True"));
        w.run(30);
        assert_eq!(
            (calls(&w).len(), w.condition(C::SettingsSynced).as_str()),
            (sent, "True/Synced")
        );
    }
    // Changed from outside: shown, whatever was shown first.
    w.the().seen.attributes.insert("network".into(), "net d=1".into());
    w.run(30);
    assert_eq!(w.condition(C::DriftDetected), "True/SettingsDrift");
}

#[test]
fn a_change_that_the_cloud_gave_up_is_mended_by_another_one() {
    let mut w = settled(&METAL, json!({"cloudName": "net 1", "powerState": "Stopped"}));
    forget(&mut w);
    w.fates.push(("Modify", Fate::Break));
    w.edit(json!({"cloudName": "net 2"}));
    w.until(60, "given up", |w| {
        w.state() == S::Error && w.ready() == "False/SettingsRefused"
    });
    w.run(600);
    assert_eq!(calls(&w), ["Modify"]);
    w.edit(json!({"cloudName": "net 3"}));
    w.until(60, "mended", |w| w.ready().starts_with("True"));
    assert_eq!((calls(&w), w.state()), (vec!["Modify", "Modify"], S::Stopped));
}

#[test]
fn the_refusal_of_one_setting_is_not_told_of_another() {
    let mut w = settled(&METAL, json!({"cloudName": "net 1", "powerState": "Stopped"}));
    w.fates.push(("Modify", Fate::Refuse(ErrorClass::InvalidSpec)));
    w.edit(json!({"adminPasswordSecretRef": {"name": "s", "key": "k"}}));
    w.until(60, "refused", |w| w.ready() == "False/SettingsRefused");
    // Another failure is recorded meanwhile.
    w.fates.push(("Start", Fate::Refuse(ErrorClass::Quota)));
    w.edit(json!({"powerState": "Running"}));
    w.until(30, "the other failure", |w| w.ready() == "False/QuotaExceeded");
    let words = w.message_of(C::SettingsSynced);
    assert!(
        words.starts_with("adminPassword") && words.contains("for Modify") && !words.contains("Start"),
        "{words}"
    );
}

#[test]
fn no_password_is_sent_to_a_server_that_another_change_has_broken() {
    let mut w = settled(&METAL, json!({"cloudName": "net 1", "powerState": "Stopped"}));
    forget(&mut w);
    w.fates.push(("Modify", Fate::Break));
    w.edit(json!({"cloudName": "net 2"}));
    w.until(60, "given up", |w| {
        w.state() == S::Error && w.ready() == "False/SettingsRefused"
    });
    w.edit(json!({"adminPasswordSecretRef": {"name": "s", "key": "k"}}));
    w.run(120);
    assert_eq!(w.knobs.hows, ["network=net 2"]);
    assert_eq!(w.condition(C::SettingsSynced), "False/PendingPowerOff");
    assert!(
        w.ready().starts_with("False") && w.state() == S::Error,
        "{}",
        w.ready()
    );
    w.edit(json!({"cloudName": "net 3"}));
    w.until(60, "mended", |w| w.ready().starts_with("True"));
    assert_eq!(
        w.knobs.hows,
        ["network=net 2", "network=net 3", "adminPassword=s/k"]
    );
}

#[test]
fn what_a_cloud_does_not_show_is_not_called_compared() {
    let mut w = World::new(
        json!({"import": {"id": "x"}, "powerState": "Running", "deletionPolicy": "Orphan",
        "hostname": "h", "cloudName": "one"}),
    );
    w.can = &STOPPED_ONLY;
    w.put("x", S::Running, None);
    w.the().seen.attributes.insert("title".into(), "one".into());
    w.run(120);
    let said = |w: &World| {
        let all = &w.server.status.as_ref().unwrap().conditions;
        let synced = crate::api::conditions::get(all, C::SettingsSynced).unwrap();
        format!("{} {}", synced.status, synced.message)
    };
    let words = said(&w);
    assert!(
        words.starts_with("True") && words.ends_with("nobody can compare: hostname."),
        "{words}"
    );
    w.the().seen.attributes.insert("hostname".into(), "h".into());
    w.run(30);
    assert_eq!(said(&w), format!("True {}", crate::api::Reason::Synced.meaning()));
}
