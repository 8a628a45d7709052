//! Conditions that stay true when nothing can be compared, what is told once, and words that help.

use serde_json::json;

use super::world::{Fate, World};
use crate::api::{ConditionType as C, Reason, keys};
use crate::planner::model::{ErrorClass, ServerState as S};

/// PowerSynced, SizeSynced, Stalled.
fn said(w: &World) -> (String, String, String) {
    (
        w.condition(C::PowerSynced),
        w.condition(C::SizeSynced),
        w.condition(C::Stalled),
    )
}

fn all(reason: &str, stalled: &str) -> (String, String, String) {
    (
        format!("Unknown/{reason}"),
        format!("Unknown/{reason}"),
        format!("{stalled}/{reason}"),
    )
}

#[test]
fn what_cannot_be_compared_is_not_said_to_be_as_declared() {
    let mut w = World::settled(json!({}));
    w.cloud.clear();
    w.until(60, "missing", |w| w.condition(C::Stalled) == "True/Missing");
    assert_eq!(said(&w), all("Missing", "True"));

    let mut w = World::settled(json!({}));
    w.the().seen.state = S::Error;
    w.run(5);
    assert_eq!(said(&w), all("ServerError", "True"));
    w.the().seen.state = S::Running;
    w.run(5);
    assert_eq!(
        said(&w),
        (
            "True/Synced".into(),
            "True/Synced".into(),
            "False/NotStalled".into()
        )
    );

    let mut w = World::settled(json!({}));
    w.down_since = Some(w.now);
    w.run(320);
    assert_eq!(w.condition(C::PowerSynced), "Unknown/Unreachable");
}

#[test]
fn a_stop_that_happened_while_nothing_was_compared_is_still_from_outside() {
    let mut w = World::settled(json!({"driftPolicy": "RespectStop"}));
    w.the().seen.state = S::Error;
    w.run(5);
    w.the().seen.state = S::Stopped;
    w.run(30);
    assert_eq!((w.ready().as_str(), w.calls.len()), ("True/StopRespected", 0));
}

#[test]
fn a_wish_that_changed_while_nothing_was_compared_is_carried_out() {
    let mut w = World::settled(json!({"driftPolicy": "Observe"}));
    w.the().seen.state = S::Error;
    w.run(5);
    w.edit(json!({"powerState": "Stopped"}));
    w.run(5);
    assert_eq!(w.condition(C::PowerSynced), "False/ServerError");
    w.the().seen.state = S::Running;
    w.until(30, "stopped", |w| {
        w.ready() == "True/AsDeclared" && w.state() == S::Stopped
    });
}

#[test]
fn a_pause_does_not_claim_that_something_is_being_done() {
    for suspend in [false, true] {
        let mut w = World::settled(json!({}));
        if suspend {
            w.suspended = true;
        } else {
            w.annotate(keys::PAUSED, "true");
        }
        w.edit(json!({"powerState": "Stopped"}));
        w.run(5);
        let reason = if suspend { "Suspended" } else { "Paused" };
        assert_eq!(w.condition(C::PowerSynced), format!("False/{reason}"));
        assert_eq!(
            w.condition(C::Stalled),
            format!("False/{reason}"),
            "somebody turned a switch"
        );
    }
}

#[test]
fn a_blocked_deletion_says_that_a_person_is_needed() {
    let mut w = World::settled(json!({"deletionProtection": true}));
    w.delete();
    w.run(5);
    assert_eq!(said(&w), all("DeletionProtected", "True"));
    assert_eq!(
        w.told_of(Reason::DeletionProtected).len(),
        1,
        "told once: {:?}",
        w.told
    );
    w.the().seen.locked = Some("audit".into());
    w.edit(json!({"deletionProtection": false}));
    w.run(5);
    assert_eq!(w.condition(C::Stalled), "True/Locked");
    assert_eq!(w.told_of(Reason::Locked).len(), 1, "{:?}", w.told);

    for reason in [
        Reason::ProviderConfigNotFound,
        Reason::AccountChanged,
        Reason::CredentialsMissing,
    ] {
        let mut w = World::settled(json!({}));
        w.delete();
        w.unusable = Some((reason, "there is none"));
        w.run(60);
        assert_eq!(w.condition(C::Stalled), format!("True/{reason}"));
        assert_eq!(w.condition(C::DeletionBlocked), format!("True/{reason}"));
        assert_eq!(w.told_of(reason).len(), 1, "{:?}", w.told);
        assert!(
            w.message().contains("id-1") && w.message().contains(reason.advice()),
            "{}",
            w.message()
        );
    }

    let mut w = World::settled(json!({}));
    w.annotate(keys::PAUSED, "");
    w.delete();
    w.run(5);
    assert_eq!(w.condition(C::Stalled), "False/Paused");
    assert_eq!(w.condition(C::DeletionBlocked), "True/Paused");
    // What ends by itself needs nobody.
    let mut w = World::settled(json!({"deletion": {"powerOff": "None"}}));
    w.fates.push(("Delete", Fate::Refuse(ErrorClass::Transient)));
    w.delete();
    w.run(3);
    assert_eq!(w.condition(C::Reconciling), "True/Recovering");
    assert_eq!(w.condition(C::Stalled), "False/NotStalled");
}

#[test]
fn a_provider_config_that_comes_a_little_later_is_waited_for() {
    let mut w = World::new(json!({}));
    w.unusable = Some((
        Reason::ProviderConfigNotFound,
        "there is no ProviderConfig p in namespace ns",
    ));
    w.run(60);
    assert_eq!(w.ready(), "False/ProviderConfigNotFound");
    assert_eq!(w.condition(C::Stalled), "False/NotStalled");
    assert_eq!(
        w.message(),
        "there is no ProviderConfig p in namespace ns. Create it. If its name is wrong, delete this object and apply it again with \
         the right one: it has made nothing yet."
    );
    w.run(300);
    assert_eq!(w.condition(C::Stalled), "True/ProviderConfigNotFound");
    assert_eq!(w.told_of(Reason::ProviderConfigNotFound).len(), 1);
}

#[test]
fn what_needs_a_person_is_told_once() {
    let mut w = World::settled(json!({}));
    w.the().seen.state = S::Error;
    w.run(300);
    w.restart_process();
    w.run(60);
    let told = w.told_of(Reason::ServerError);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0], (true, w.message().as_str()));

    let mut w = World::settled(json!({"size": {"name": "small"}}));
    w.cloud.clear();
    // While that is not certain nothing is said to be as declared.
    w.until(60, "asked for", |w| w.ready() == "False/Missing");
    assert_eq!(w.condition(C::Stalled), "False/NotStalled");
    assert_eq!(w.condition(C::PowerSynced), "Unknown/Missing");
    assert_eq!(w.condition(C::SizeSynced), "Unknown/Missing");
    w.run(120);
    w.restart_process();
    w.run(120);
    assert_eq!(w.told_of(Reason::Missing).len(), 1, "{:?}", w.told);
}

#[test]
fn a_restart_is_told_with_its_token() {
    let mut w = World::settled(json!({}));
    let status = serde_json::to_value(&w.server.status).unwrap();
    assert_eq!(status["restart"].get("token"), None, "no empty token: {status}");
    w.edit(json!({"restart": {"token": "blue"}}));
    w.until(60, "restarted", |w| !w.told_of(Reason::Restarted).is_empty());
    assert!(w.told_of(Reason::Restarted)[0].1.contains("\"blue\""));
    w.fates.push(("Restart", Fate::LoseRequest));
    w.edit(json!({"restart": {"token": "green"}}));
    w.until(60, "unverified", |w| {
        !w.told_of(Reason::RestartUnverified).is_empty()
    });
    assert!(w.told_of(Reason::RestartUnverified)[0].1.contains("\"green\""));
}

#[test]
fn a_correction_is_told_when_it_is_done() {
    let mut w = World::settled(json!({}));
    w.fates.push(("Start", Fate::Refuse(ErrorClass::Transient)));
    w.the().seen.state = S::Stopped;
    w.run(3);
    assert_eq!(w.calls, ["Start"]);
    assert!(w.told_of(Reason::DriftCorrected).is_empty(), "it was refused");
    w.restart_process();
    w.until(60, "put back", |w| w.ready() == "True/AsDeclared");
    assert_eq!(w.told_of(Reason::DriftCorrected).len(), 1, "{:?}", w.told);
    assert_eq!(
        w.told_of(Reason::DriftCorrected)[0].1,
        "server id-1 is Running again, as declared"
    );
    // What a wish asked for corrects nothing.
    w.edit(json!({"powerState": "Stopped"}));
    w.until(60, "stopped", |w| {
        w.ready() == "True/AsDeclared" && w.state() == S::Stopped
    });
    assert_eq!(w.told_of(Reason::DriftCorrected).len(), 1);
}

#[test]
fn a_refusal_says_when_it_is_tried_again_and_is_written_once() {
    let mut w = World::new(json!({}));
    w.fates.push(("Create", Fate::Refuse(ErrorClass::Capacity)));
    w.until(30, "shown", |w| w.ready() == "False/NoCapacity");
    let at = w.memory.backoff.as_ref().unwrap().until;
    assert!(
        w.message().contains(&format!("(tried again by itself at {at})")),
        "{}",
        w.message()
    );
    let writes = w.writes.len();
    w.run(at.duration_since(w.now).as_secs() - 1);
    assert_eq!(w.writes.len(), writes);
}

#[test]
fn what_waits_for_a_person_is_said_in_the_same_words_however_often_it_is_tried() {
    let mut w = World::settled(json!({}));
    for _ in 0..9 {
        w.fates.push(("Stop", Fate::Refuse(ErrorClass::Quota)));
    }
    w.edit(json!({"powerState": "Stopped"}));
    w.until(30, "shown", |w| w.ready() == "False/QuotaExceeded");
    assert!(
        w.message().ends_with("(tried again by itself)"),
        "{}",
        w.message()
    );
    let (words, tries) = (w.message(), w.calls.len());
    w.until(3600, "tried again", |w| w.calls.len() > tries + 1);
    assert_eq!(w.message(), words);
}

#[test]
fn an_abandon_that_names_another_server_is_not_swallowed() {
    let mut w = World::settled(json!({"deletionProtection": true}));
    w.annotate(keys::ABANDON, "id-7");
    w.delete();
    w.run(5);
    let text = w.message_of(C::DeletionBlocked);
    assert!(text.contains("\"id-7\"") && text.contains("id-1 is"), "{text}");
    w.unusable = Some((Reason::Unreachable, "no route"));
    w.edit(json!({"deletionProtection": false}));
    w.run(5);
    let text = w.message_of(C::DeletionBlocked);
    assert!(text.contains("\"id-7\"") && text.contains("id-1 is"), "{text}");
    w.annotate(keys::ABANDON, "id-1");
    w.until(5, "released", |w| w.gone);
}

#[test]
fn another_account_is_explained() {
    let mut w = World::settled(json!({}));
    w.account = "project-2".to_owned();
    w.run(3);
    for word in [
        "ProviderConfig p",
        "id-1",
        "account project-1",
        "account project-2",
        "back into its Secret",
    ] {
        assert!(w.message().contains(word), "{word}: {}", w.message());
    }
}

#[test]
fn a_respected_stop_names_the_way_out_and_a_retry_is_one() {
    let mut w = World::settled(json!({"driftPolicy": "RespectStop"}));
    w.the().seen.state = S::Stopped;
    w.run(60);
    assert!(
        w.message().contains("spec.powerState") && w.message().contains(keys::RETRY),
        "{}",
        w.message()
    );
    w.annotate(keys::RETRY, "1");
    w.until(30, "runs", |w| {
        w.ready() == "True/AsDeclared" && w.state() == S::Running
    });
    // It is no leave to put back what policy only shows.
    let mut w = World::settled(json!({"driftPolicy": "Observe"}));
    w.the().seen.state = S::Stopped;
    w.run(60);
    w.annotate(keys::RETRY, "1");
    w.run(60);
    assert!(w.calls.is_empty(), "{:?}", w.calls);
}

#[test]
fn an_orphan_keeps_its_marks_only_where_the_cloud_takes_no_change() {
    // In passage: it is waited for.
    let mut w = World::settled(json!({"deletionPolicy": "Orphan"}));
    let now = w.now;
    w.the().seen.state = S::Maintenance;
    w.the().seen.busy = true;
    w.the().until = Some((crate::planner::draft::later(now, 40), S::Running));
    w.delete();
    w.run(30);
    assert_eq!(
        (w.gone, w.condition(C::DeletionBlocked).as_str()),
        (false, "True/DeletionWaits")
    );
    w.until(60, "gone", |w| w.gone);
    assert_eq!(w.the().seen.marks, None);
    // At rest: it is said.
    for state in [S::Error, S::Shelved, S::Rescued, S::AwaitingResizeConfirmation] {
        let mut w = World::settled(json!({"deletionPolicy": "Orphan"}));
        w.the().seen.state = state;
        w.delete();
        w.until(60, "gone", |w| w.gone);
        assert!(w.the().seen.marks.is_some() && w.calls.is_empty());
        let told = w.told_of(Reason::Orphaned);
        assert!(
            told[0].0 && told[0].1.contains("uid-1") && told[0].1.contains(state.as_str()),
            "{told:?}"
        );
    }
}

#[test]
fn a_cloud_without_room_is_asked_ever_more_seldom() {
    let mut w = World::new(json!({}));
    for _ in 0..30 {
        w.fates.push(("Create", Fate::Break));
    }
    let (mut asked, mut calls) = (Vec::new(), 0);
    for second in 0..3600 {
        w.tick();
        if w.calls.iter().filter(|c| *c == "Create").count() > calls {
            calls += 1;
            asked.push(second);
        }
    }
    let waits: Vec<i64> = asked.windows(2).map(|p| p[1] - p[0]).collect();
    assert!(waits[0] >= 30 && waits[1] >= 60 && waits[2] >= 120, "{waits:?}");
    assert!(
        waits.iter().all(|w| *w < 760) && *waits.last().unwrap() >= 600,
        "{waits:?}"
    );
    w.fates.clear();
    w.annotate(keys::RETRY, "now");
    w.until(30, "cured at once", |w| w.ready() == "True/AsDeclared");
}

#[test]
fn a_wrong_network_is_corrected_and_tried_at_once() {
    let mut w = World::new(json!({"openstack": {"networks": [{"name": "a", "network": "typo"}]}}));
    w.fates.push(("Create", Fate::Refuse(ErrorClass::InvalidSpec)));
    w.until(30, "refused", |w| w.ready() == "False/InvalidSpec");
    let status = w.server.status.as_ref().unwrap();
    assert!(
        status.id.is_none() && status.create_attempt.is_none(),
        "the rule lets it be edited"
    );
    w.edit(json!({"openstack": {"networks": [{"name": "a", "network": "right"}]}}));
    w.once();
    assert_eq!(w.calls, ["Create", "Create"], "no wait after an edit");
    assert!(
        w.server.status.as_ref().unwrap().create_attempt.is_some(),
        "from here on it is fixed"
    );
    w.until(30, "ready", |w| w.ready() == "True/AsDeclared");
}

#[test]
fn a_long_token_is_handled_once() {
    for key in [keys::RETRY, keys::RECONCILE_REQUESTED_AT] {
        let mut w = World::settled(json!({}));
        w.annotate(key, &"x".repeat(300));
        w.run(5);
        w.fates.push(("Stop", Fate::Refuse(ErrorClass::Quota)));
        w.edit(json!({"powerState": "Stopped"}));
        w.until(10, "refused", |w| w.ready() == "False/QuotaExceeded");
        w.run(3);
        assert!(
            w.calls.len() == 1 && w.memory.backoff.is_some(),
            "{key}: {:?}",
            w.calls
        );
        assert_ne!(w.plan().list_after, Some(w.now), "{key}");
    }
}
