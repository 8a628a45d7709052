//! What a cloud tells once: a condition says for as long as the server is there whether it was kept.

use serde_json::json;

use super::world::{Fate, World};
use crate::api::ConditionType::CredentialsStored as STORED;
use crate::api::Reason;
use crate::planner::memory::{Outcome, Sent, Told};
use crate::planner::model::Accepted;

fn world(told: Told) -> World {
    let mut w = World::new(json!({"credentialsSecretName": "login"}));
    w.knobs.told = told;
    w
}

fn stays(w: &mut World, condition: &str) {
    for _ in 0..2 {
        w.restart_process();
        w.run(120);
        assert_eq!(w.condition(STORED), condition);
    }
    w.edit(json!({"powerState": "Stopped"}));
    w.until(60, "stopped", |w| w.ready() == "True/AsDeclared");
    assert_eq!(w.condition(STORED), condition);
}

#[test]
fn what_became_of_it_is_said_once_and_stays() {
    let lost = Told::Lost("no room".to_owned());
    for (told, condition, events) in [
        (Told::Kept, "True/CredentialsSaved", 1),
        (lost, "False/CredentialsLost", 1),
        (Told::Nothing, "False/CredentialsNotTold", 0),
    ] {
        let mut w = world(told);
        w.until(60, "ready", |w| w.ready() == "True/AsDeclared");
        assert_eq!(w.condition(STORED), condition);
        let words = w.message_of(STORED);
        assert!(words.contains("login") || events == 0, "{words}");
        let reason = if condition.starts_with("True") {
            Reason::CredentialsSaved
        } else {
            Reason::CredentialsLost
        };
        let warns: Vec<_> = w.told_of(reason).iter().map(|(warning, _)| *warning).collect();
        assert_eq!(warns, vec![reason == Reason::CredentialsLost; events]);
        stays(&mut w, condition);
        assert_eq!(w.told_of(reason).len(), events);
    }
    let mut w = World::new(json!({}));
    w.knobs.told = Told::Kept;
    w.until(60, "ready", |w| w.ready() == "True/AsDeclared");
    assert_eq!(w.condition(STORED), "-", "nothing is wished for");
}

#[test]
fn a_secret_that_cannot_be_written_says_why_and_how_to_get_in() {
    let mut w = world(Told::Lost("it belongs to somebody else".to_owned()));
    w.until(60, "ready", |w| w.ready() == "True/AsDeclared");
    let words = w.message_of(STORED);
    assert!(
        words.contains("somebody else") && words.contains("Reset the password"),
        "{words}"
    );
}

#[test]
fn a_lost_reply_loses_it() {
    for fate in [Fate::LoseReply, Fate::ApplyLate] {
        let mut w = world(Told::Kept);
        w.fates.push(("Create", fate));
        w.until(120, "ready", |w| w.ready() == "True/AsDeclared");
        assert_eq!(w.condition(STORED), "False/CredentialsLost");
        assert_eq!(w.told_of(Reason::CredentialsLost).len(), 1);
        stays(&mut w, "False/CredentialsLost");
    }
    // The process that got the reply is gone before it wrote the id.
    let mut w = world(Told::Kept);
    w.until(30, "asked", |w| !w.calls.is_empty());
    w.restart_process();
    w.until(120, "ready", |w| w.ready() == "True/AsDeclared");
    assert_eq!(w.condition(STORED), "False/CredentialsLost");
    assert!(
        w.message_of(STORED)
            .contains("unless the Secret login has it already")
    );
}

#[test]
fn a_server_that_is_seen_before_the_reply_waits_for_it() {
    let sent = |outcome, told| {
        Some(Sent {
            key: "create-1".to_owned(),
            outcome,
            told,
        })
    };
    for crash in [false, true] {
        let mut w = world(Told::Kept);
        w.until(30, "asked", |w| !w.calls.is_empty());
        w.memory.sent = sent(Outcome::InFlight, Told::Nothing);
        w.until(60, "found", |w| w.id().is_some());
        w.run(10);
        assert_eq!(w.condition(STORED), "Unknown/WaitingForAttempt");
        assert!(w.told_of(Reason::CredentialsLost).is_empty());
        if crash {
            w.restart_process();
        } else {
            let id = w.id().map(str::to_owned);
            let accepted = Accepted {
                id,
                ..Accepted::default()
            };
            w.memory.sent = sent(Outcome::Accepted(w.now, accepted), Told::Kept);
        }
        w.run(2);
        let known = if crash {
            "False/CredentialsLost"
        } else {
            "True/CredentialsSaved"
        };
        assert_eq!(w.condition(STORED), known);
        stays(&mut w, known);
    }
}

#[test]
fn a_new_server_decides_anew() {
    let mut w = world(Told::Kept);
    w.edit(json!({"onMissing": "Recreate"}));
    w.until(60, "ready", |w| w.ready() == "True/AsDeclared");
    assert_eq!(w.condition(STORED), "True/CredentialsSaved");
    w.cloud.clear();
    w.fates.push(("Create", Fate::LoseReply));
    w.until(200, "another is asked for", |w| w.calls.len() == 2);
    assert_eq!(w.condition(STORED), "-", "of the first nothing is left");
    w.until(200, "ready", |w| {
        w.ready() == "True/AsDeclared" && w.id() == Some("id-2")
    });
    assert_eq!(w.condition(STORED), "False/CredentialsLost");
    assert!(
        w.message_of(STORED).contains("earlier server"),
        "{}",
        w.message_of(STORED)
    );
}

#[test]
fn an_import_has_none() {
    let mut w = World::new(
        json!({"credentialsSecretName": "login", "import": {"id": "x"}, "powerState": "Running",
        "deletionPolicy": "Orphan"}),
    );
    w.put("x", crate::planner::model::ServerState::Running, None);
    w.until(60, "ready", |w| w.ready() == "True/AsDeclared");
    assert_eq!(w.condition(STORED), "-");
}
