//! States beside power that are wished for: locks.

use evenkeel::api::{ConditionType, Server};
use serde_json::{Value, json};

use super::deeds;
use super::stage::{Stage, condition, id_of, power_of, ready, words};

/// Waits until the server is locked by us, and as declared.
async fn locked(s: &Stage, name: &str) -> Server {
    s.wait(name, "Ready, and locked by us", |x| {
        let lock = x.status.as_ref().and_then(|s| s.lock.as_ref());
        ready(x) && lock.is_some_and(|l| l.ours && l.state.as_str() == "Held")
    })
    .await
}

/// The words of the lock in the cloud.
async fn lock_of(s: &Stage, server: &Server) -> Value {
    let real = s.only(server).await;
    let locked = real["locked"].as_bool().unwrap();
    if locked {
        real["locked_reason"].clone()
    } else {
        Value::Bool(false)
    }
}

pub async fn a_declared_lock_is_ours_to_open(s: &Stage) {
    let name = s.name("web");
    s.create(
        &name,
        json!({"locked": {"reason": "payroll"}, "resize": {"when": "StopIfNeeded"}}),
    )
    .await;
    let server = locked(s, &name).await;
    let id = id_of(&server).to_owned();
    let uid = server.metadata.uid.clone().unwrap();
    let ours = json!(format!("payroll [evenkeel {uid}]"));
    assert_eq!(lock_of(s, &server).await, ours);
    // It binds everybody else in the project.
    assert_eq!(s.nova.attempt(&id, &json!({"os-stop": null})).await, 409);
    // Each step of ours opens it, and it is closed again.
    s.edit(&name, json!({"powerState": "Stopped"})).await;
    s.wait(&name, "stopped", |x| power_of(x) == "Stopped").await;
    locked(s, &name).await;
    s.edit(&name, json!({"size": {"name": "m1.small"}})).await;
    s.wait(&name, "resized", |x| {
        x.status.as_ref().unwrap().size.as_deref() == Some("m1.small")
    })
    .await;
    locked(s, &name).await;
    s.edit(&name, json!({"powerState": "Running"})).await;
    s.wait(&name, "running", |x| power_of(x) == "Running").await;
    locked(s, &name).await;
    deeds::ask(s, "reboot", &name, json!({"reboot": {"mode": "Hard"}})).await;
    let action = deeds::ended(s, "reboot").await;
    assert_eq!(deeds::stands(&action).0, "Succeeded");
    locked(s, &name).await;
    assert_eq!(lock_of(s, &server).await, ours);
    let log = s.nova.actions(&id).await;
    let expected = [
        "create",
        "lock",
        "unlock",
        "stop",
        "lock",
        "unlock",
        "resize",
        "confirmResize",
        "lock",
        "unlock",
        "start",
        "lock",
        "unlock",
        "reboot",
        "lock",
    ];
    assert_eq!(log, expected, "Nova's own log");

    // Dropped: ours goes. One by somebody else stays, whatever is wished for.
    s.edit(&name, json!({"locked": null})).await;
    s.wait(&name, "unlocked", |x| {
        ready(x) && x.status.as_ref().unwrap().lock.is_none()
    })
    .await;
    assert_eq!(lock_of(s, &server).await, json!(false));
    s.nova
        .act(&id, &json!({"lock": {"locked_reason": "audit"}}))
        .await;
    let held = s
        .wait(&name, "shown as drift", |x| {
            condition(x, ConditionType::DriftDetected)
                .is_some_and(|c| c.status == "True" && c.reason == "Locked")
        })
        .await;
    assert!(ready(&held), "what is left alone does not make it unready");
    s.edit(
        &name,
        json!({"locked": {"reason": "payroll"}, "powerState": "Stopped"}),
    )
    .await;
    let stalled = s.reason(&name, ConditionType::Stalled, "True", "Locked").await;
    assert!(words(&stalled, ConditionType::Stalled).contains("audit"));
    assert_eq!(lock_of(s, &server).await, json!("audit"));
    s.nova.plain(&id, "unlock").await;
    s.wait(&name, "stopped", |x| power_of(x) == "Stopped").await;
    locked(s, &name).await;
    assert_eq!(lock_of(s, &server).await, ours);
    // And it is no obstacle to its own deletion.
    s.remove(&name).await;
    assert!(s.nova.show(&id).await.is_none());
}
