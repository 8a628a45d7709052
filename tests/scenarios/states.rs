//! States beside power that are wished for: locks, and rescue mode.

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

pub async fn rescue_is_entered_and_left(s: &Stage) {
    let name = s.name("web");
    s.create(&name, json!({"resize": {"when": "StopIfNeeded"}})).await;
    let server = s.ready_in(&name, "Running").await;
    let id = id_of(&server).to_owned();
    // A rescue by somebody else is shown, and left alone.
    s.nova.act(&id, &json!({"rescue": {}})).await;
    s.nova.until(&id, "RESCUE").await;
    let held = s
        .wait(&name, "shown as drift", |x| {
            condition(x, ConditionType::DriftDetected).is_some_and(|c| c.status == "True")
                && power_of(x) == "Rescued"
        })
        .await;
    assert!(ready(&held));
    s.nova.plain(&id, "unrescue").await;
    s.ready_in(&name, "Running").await;

    // An image that is not there.
    s.edit(&name, json!({"rescue": {"image": {"name": "no-such-tools"}}}))
        .await;
    let failed = s
        .reason(&name, ConditionType::Stalled, "True", "RescueFailed")
        .await;
    assert!(words(&failed, ConditionType::Stalled).contains("no-such-tools"));
    let id_of_none =
        json!({"rescue": {"image": {"name": null, "id": "00000000-0000-4000-8000-000000000000"}}});
    s.edit(&name, id_of_none).await;
    let failed = s
        .wait(&name, "the cloud's own words", |x| {
            let said = words(x, ConditionType::Stalled);
            said.contains("00000000-0000-4000-8000-000000000000")
        })
        .await;
    eprintln!(
        "rescue from an image that is not there: {}",
        words(&failed, ConditionType::Stalled)
    );
    assert_eq!(s.only(&server).await["status"], "ACTIVE");

    // One that is; and what it holds back.
    s.edit(
        &name,
        json!({"rescue": {"image": {"id": null, "name": "cirros-new"}}}),
    )
    .await;
    let rescued = s.ready_in(&name, "Rescued").await;
    assert_eq!(s.only(&server).await["status"], "RESCUE");
    let power = rescued.status.as_ref().unwrap().power.clone().unwrap();
    assert_eq!(power.desired_from.as_deref(), Some("Rescue"));
    s.edit(
        &name,
        json!({"powerState": "Stopped", "size": {"name": "m1.small"}, "labels": {"team": "blue"}, "openstack": {}}),
    )
    .await;
    s.reason(&name, ConditionType::SizeSynced, "False", "InRescue")
        .await;
    let held = s
        .reason(&name, ConditionType::SettingsSynced, "False", "InRescue")
        .await;
    assert!(ready(&held), "what is held on purpose does not make it unready");
    assert_eq!(s.only(&server).await["status"], "RESCUE");

    s.edit(&name, json!({"rescue": null})).await;
    s.wait(&name, "all that was held back", |x| {
        ready(x)
            && power_of(x) == "Stopped"
            && x.status.as_ref().unwrap().size.as_deref() == Some("m1.small")
            && x.status.as_ref().unwrap().rescue.is_none()
            && condition(x, ConditionType::SettingsSynced).is_some_and(|c| c.status == "True")
    })
    .await;
    assert_eq!(s.only(&server).await["metadata"]["team"], "blue");
    let log = s.nova.actions(&id).await;
    let ours: Vec<&str> = log.iter().map(String::as_str).skip(3).collect();
    assert_eq!(ours[..2], ["rescue", "unrescue"], "{log:?}");
    assert_eq!(log.iter().filter(|a| *a == "rescue").count(), 2, "{log:?}");
    s.remove(&name).await;
}
