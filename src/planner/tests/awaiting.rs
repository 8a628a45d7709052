//! A size that the cloud asks about, and nobody answers.

use serde_json::json;

use super::cloud::{LIVING, NOVA_LIKE};
use super::clouds::settled;
use crate::api::ConditionType as C;
use crate::api::server::ServerSpec;
use crate::api::server_status::OperationKind;
use crate::planner::model::{Capabilities, ServerState as S, WantedAttribute};

/// A cloud with labels.
static LABELLED: Capabilities = Capabilities {
    preconditions: &[
        (OperationKind::Start, &[S::Stopped]),
        (OperationKind::Stop, &[S::Running]),
        (OperationKind::Restart, &[S::Running]),
        (OperationKind::Resize, &[S::Running, S::Stopped]),
        (OperationKind::ConfirmResize, &[S::AwaitingResizeConfirmation]),
        (OperationKind::RevertResize, &[S::AwaitingResizeConfirmation]),
        (OperationKind::Rebuild, &[S::Running, S::Stopped]),
        (OperationKind::Modify, LIVING),
        (OperationKind::Lock, LIVING),
        (OperationKind::Unlock, LIVING),
        (OperationKind::Mark, LIVING),
    ],
    attributes: labels,
    ..NOVA_LIKE
};

fn labels(spec: &ServerSpec) -> Vec<WantedAttribute> {
    let text = |labels| format!("{labels:?}");
    let labels = spec.labels.as_ref().map(text);
    labels
        .map(|l| WantedAttribute::new("labels", l))
        .into_iter()
        .collect()
}

/// The question may stay open for days: what is edited meanwhile is neither called done nor forgotten.
#[test]
fn what_is_declared_beside_an_open_question_is_named_and_waits() {
    let spec = json!({"labels": {"a": "1"}, "image": {"id": "a", "name": null}, "restart": {"token": "1"},
        "rebuild": {"when": "OnImageChange"}, "resize": {"when": "StopIfNeeded", "confirm": "Manual"}});
    let mut w = settled(&LABELLED, spec);
    w.edit(json!({"size": {"name": "large"}}));
    w.until(120, "asked", |w| w.state() == S::AwaitingResizeConfirmation);
    w.the().seen.guest_running = Some(true);
    w.run(30);
    assert_eq!(w.ready(), "True/AwaitingConfirm");
    assert_eq!(w.condition(C::SettingsSynced), "True/Synced");
    w.edit(json!({"labels": {"a": "2"}, "restart": {"token": "2"}, "locked": {"reason": "mine"}}));
    w.run(30);
    assert_eq!(w.ready(), "True/AwaitingConfirm");
    assert_eq!(w.condition(C::SettingsSynced), "False/AwaitingConfirm");
    for word in ["settings", "restart token \"2\"", "the lock"] {
        assert!(w.message().contains(word), "{word}: {}", w.message());
    }
    // Another power state is not reached, and that is what Ready says.
    w.edit(json!({"powerState": "Stopped", "image": {"id": "b"}}));
    w.run(3600);
    assert_eq!(w.ready(), "False/AwaitingConfirm");
    assert_eq!(w.condition(C::PowerSynced), "False/AwaitingConfirm");
    assert!(
        w.message().contains("powerState Stopped, settings, image id:b"),
        "{}",
        w.message()
    );
    assert_eq!(w.calls, ["Resize"]);
    // All of it is carried out when the question is answered.
    w.edit(json!({"resize": {"confirm": "Auto"}}));
    w.until(600, "as declared", |w| w.ready() == "True/AsDeclared");
    assert_eq!(
        (w.state(), w.condition(C::SettingsSynced).as_str()),
        (S::Stopped, "True/Synced")
    );
    for call in ["ConfirmResize", "Rebuild", "Modify", "Lock"] {
        assert!(w.calls.iter().any(|c| c == call), "{call}: {:?}", w.calls);
    }
}

/// A third size waits for the answer about the second one, and is named wherever somebody looks for it.
#[test]
fn a_third_size_is_named_while_the_cloud_asks_about_the_second() {
    let spec = json!({"resize": {"when": "StopIfNeeded", "confirm": "Manual"}});
    let mut w = settled(&LABELLED, spec);
    w.edit(json!({"size": {"name": "large"}}));
    w.until(120, "asked", |w| w.state() == S::AwaitingResizeConfirmation);
    w.run(10);
    for kind in [C::SizeSynced, C::Ready] {
        assert!(
            !w.message_of(kind).contains("size large"),
            "{}",
            w.message_of(kind)
        );
    }
    w.edit(json!({"size": {"name": "huge"}}));
    w.run(10);
    for kind in [C::SizeSynced, C::Ready] {
        assert!(
            w.message_of(kind).contains("size huge"),
            "{kind:?}: {}",
            w.message_of(kind)
        );
    }
    assert_eq!(w.calls, ["Resize"]);
    w.edit(json!({"resize": {"confirm": "Auto"}}));
    w.until(300, "as declared", |w| w.ready() == "True/AsDeclared");
    assert_eq!(w.the().seen.size.name.as_deref(), Some("huge"));
}
