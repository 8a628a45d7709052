//! The scenarios that are played on both stages.

use std::time::Duration;

use evenkeel::api::{ConditionType, ProviderConfig, conditions};
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;

use super::nova::{UID, essence};
use super::stage::{Order, Stage, condition, id_of, power_of, ready, words};

pub async fn create_to_ready(s: &Stage) {
    let name = s.name("web");
    let networks = json!([{"name": "primary", "network": "demo-net"}]);
    s.create(&name, json!({"openstack": {"networks": networks}}))
        .await;
    let server = s.ready_in(&name, "Running").await;
    let status = server.status.as_ref().unwrap();
    assert!(!status.addresses.is_empty());
    assert_eq!(status.size.as_deref(), Some("m1.tiny"));
    // More than one only where the machine was so busy that a call was not sent.
    assert!(status.create_attempts >= Some(1));
    assert!(status.create_attempt.is_none() && status.operation.is_none());
    let real = s.only(&server).await;
    assert_eq!(
        (real["id"].as_str(), real["status"].as_str()),
        (status.id.as_deref(), Some("ACTIVE"))
    );
    assert_eq!(real["name"], name.as_str());
    s.remove(&name).await;
}

pub async fn stop_and_start(s: &Stage) {
    let name = s.name("web");
    s.create(&name, json!({"powerState": "Stopped"})).await;
    let server = s.ready_in(&name, "Stopped").await;
    assert_eq!(s.only(&server).await["status"], "SHUTOFF");
    s.edit(&name, json!({"powerState": "Running"})).await;
    s.ready_in(&name, "Running").await;
    assert_eq!(s.only(&server).await["status"], "ACTIVE");
    s.remove(&name).await;
}

pub async fn a_stop_that_never_ends_is_a_stop_timeout(s: &Stage) {
    let name = s.name("web");
    s.create(&name, json!({"powerOff": {"timeout": "4s"}})).await;
    s.ready(&name).await;
    let delay = Some(Duration::from_secs(900));
    s.world.hypervisor(&[Order {
        call: "power_off",
        server: name.clone(),
        delay,
        fault: None,
    }]);
    s.edit(&name, json!({"powerState": "Stopped"})).await;
    let server = s
        .reason(&name, ConditionType::Stalled, "True", "StopTimeout")
        .await;
    assert!(!ready(&server));
    s.world.hypervisor(&[]);
    s.ready_in(&name, "Stopped").await;
    s.remove(&name).await;
}

pub async fn resize_while_running(s: &Stage) {
    let name = s.name("web");
    s.create(&name, json!({})).await;
    let server = s.ready(&name).await;
    s.edit(&name, json!({"size": {"name": "m1.small"}})).await;
    // Forbidden by policy as long as it runs, and that is said; the server is as it may be.
    let waiting = s
        .reason(&name, ConditionType::SizeSynced, "False", "PendingPowerOff")
        .await;
    assert!(ready(&waiting));
    s.edit(&name, json!({"resize": {"when": "StopIfNeeded"}})).await;
    resized(s, &name, "m1.small").await;
    s.ready_in(&name, "Running").await;
    let real = s.only(&server).await;
    assert_eq!(
        (&real["flavor"]["original_name"], &real["status"]),
        (&json!("m1.small"), &json!("ACTIVE"))
    );
    s.remove(&name).await;
}

pub async fn resize_while_stopped(s: &Stage) {
    let name = s.name("web");
    s.create(&name, json!({"powerState": "Stopped"})).await;
    let server = s.ready_in(&name, "Stopped").await;
    s.edit(&name, json!({"size": {"name": "m1.small"}})).await;
    resized(s, &name, "m1.small").await;
    s.ready_in(&name, "Stopped").await;
    let real = s.only(&server).await;
    assert_eq!(
        (&real["flavor"]["original_name"], &real["status"]),
        (&json!("m1.small"), &json!("SHUTOFF"))
    );
    s.remove(&name).await;
}

async fn resized(s: &Stage, name: &str, size: &str) {
    s.wait(name, &format!("size {size}"), |x| {
        ready(x)
            && x.status.as_ref().unwrap().size.as_deref() == Some(size)
            && condition(x, ConditionType::SizeSynced).is_some_and(|c| c.status == "True")
    })
    .await;
}

pub async fn a_resize_that_breaks_is_reverted(s: &Stage) {
    let name = s.name("web");
    s.create(&name, json!({"resize": {"when": "StopIfNeeded"}})).await;
    let server = s.ready(&name).await;
    s.world.hypervisor(&[Order {
        call: "migrate",
        server: name.clone(),
        delay: None,
        fault: Some(("error", "the tail lift is broken")),
    }]);
    s.edit(&name, json!({"size": {"name": "m1.small"}})).await;
    let failed = s
        .wait(&name, "the old size and power, with the cloud's words", |x| {
            condition(x, ConditionType::Stalled)
                .is_some_and(|c| c.status == "True" && c.reason == "ResizeFailed")
                && power_of(x) == "Running"
        })
        .await;
    let said = words(&failed, ConditionType::SizeSynced);
    assert!(said.contains("the tail lift is broken"), "{said}");
    let real = s.only(&server).await;
    assert_eq!(
        (&real["flavor"]["original_name"], &real["status"]),
        (&json!("m1.tiny"), &json!("ACTIVE"))
    );
    // Cured, and asked for anew.
    s.world.hypervisor(&[]);
    let retry = json!({"metadata": {"annotations": {"evenkeel.dev/retry": "1"}}});
    s.patch::<evenkeel::api::Server>(&name, retry).await;
    resized(s, &name, "m1.small").await;
    s.remove(&name).await;
}

pub async fn a_size_that_fits_nowhere_is_given_up(s: &Stage) {
    let name = s.name("web");
    s.create(&name, json!({"resize": {"when": "StopIfNeeded"}})).await;
    let server = s.ready(&name).await;
    s.edit(&name, json!({"size": {"name": "m1.huge"}})).await;
    s.reason(&name, ConditionType::Stalled, "True", "ResizeFailed")
        .await;
    let real = s.only(&server).await;
    assert_eq!(
        (&real["flavor"]["original_name"], &real["status"]),
        (&json!("m1.tiny"), &json!("ACTIVE"))
    );
    s.edit(&name, json!({"size": {"name": "m1.tiny"}})).await;
    s.ready_in(&name, "Running").await;
    s.remove(&name).await;
}

pub async fn a_stop_from_outside_is_put_back(s: &Stage) {
    let name = s.name("web");
    s.create(&name, json!({})).await;
    let server = s.ready(&name).await;
    let stopped = s.wait(&name, "the stop is seen", |x| power_of(x) != "Running");
    tokio::join!(stopped, s.nova.plain(id_of(&server), "os-stop"));
    s.ready_in(&name, "Running").await;
    assert_eq!(s.only(&server).await["status"], "ACTIVE");
    s.remove(&name).await;
}

pub async fn deletion_takes_the_server_along(s: &Stage) {
    let name = s.name("web");
    s.create(&name, json!({})).await;
    let server = s.ready(&name).await;
    // Protected first: nothing is touched.
    s.edit(&name, json!({"deletionProtection": true})).await;
    s.delete(&name).await;
    s.wait(&name, "DeletionProtected", |x| {
        condition(x, ConditionType::DeletionBlocked)
            .is_some_and(|c| c.status == "True" && c.reason == "DeletionProtected")
    })
    .await;
    assert_eq!(s.only(&server).await["status"], "ACTIVE");
    s.edit(&name, json!({"deletionProtection": false})).await;
    s.gone(&name).await;
    assert!(s.nova.show(id_of(&server)).await.is_none());
}

pub async fn an_orphan_stays_without_our_marks(s: &Stage) {
    let name = s.name("web");
    s.create(&name, json!({"deletionPolicy": "Orphan"})).await;
    let server = s.ready(&name).await;
    s.remove(&name).await;
    let left = s.nova.show(id_of(&server)).await.expect("it stays");
    assert_eq!(
        (left["status"].as_str(), &left["metadata"][UID]),
        (Some("ACTIVE"), &json!(null)),
        "{left:#}"
    );
    assert_eq!(left["tags"], json!([]));
    s.nova.delete(id_of(&server)).await;
}

pub async fn an_existing_server_is_imported(s: &Stage) {
    let id = s.nova.create(&s.name("legacy")).await;
    let name = s.name("adopted");
    let spec = json!({"import": {"id": id}, "powerState": "Running", "deletionPolicy": "Orphan"});
    s.create(&name, spec).await;
    let server = s.ready_in(&name, "Running").await;
    assert_eq!(id_of(&server), id);
    let real = s.only(&server).await;
    assert_eq!(real["metadata"]["made"], "by hand");
    s.edit(&name, json!({"powerState": "Stopped"})).await;
    s.ready_in(&name, "Stopped").await;
    s.remove(&name).await;
    let left = s.nova.show(&id).await.expect("it stays");
    assert_eq!(left["metadata"], json!({"made": "by hand"}));
    assert_eq!(left["tags"], json!(["by-hand"]));
    s.nova.delete(&id).await;
}

pub async fn names_that_contain_each_other_are_two_servers(s: &Stage) {
    let (short, long) = (s.name("web"), s.name("web-1"));
    s.create(&short, json!({})).await;
    s.create(&long, json!({})).await;
    let (a, b) = (s.ready(&short).await, s.ready(&long).await);
    assert_ne!(id_of(&a), id_of(&b));
    s.remove(&short).await;
    assert!(s.nova.show(id_of(&a)).await.is_none());
    assert_eq!(s.only(&b).await["status"], "ACTIVE");
    s.remove(&long).await;
}

pub async fn a_stranger_of_the_same_name_is_never_touched(s: &Stage) {
    let name = s.name("web");
    let stranger = s.nova.create(&name).await;
    let before = essence(&s.nova.show(&stranger).await.unwrap());
    s.create(&name, json!({"powerState": "Stopped"})).await;
    let server = s.ready_in(&name, "Stopped").await;
    assert_ne!(id_of(&server), stranger);
    assert_eq!(s.nova.of_name(&name).await.len(), 2);
    s.remove(&name).await;
    assert_eq!(essence(&s.nova.show(&stranger).await.expect("it stays")), before);
    s.nova.delete(&stranger).await;
}

fn no_room(name: &str) -> Order {
    Order {
        call: "spawn",
        server: name.to_owned(),
        delay: None,
        fault: Some(("reschedule", "every berth is taken")),
    }
}

pub async fn no_room_is_shown_and_cured_without_an_edit(s: &Stage) {
    let name = s.name("web");
    s.world.hypervisor(&[no_room(&name)]);
    s.create(&name, json!({})).await;
    let failed = s
        .wait(&name, "the cloud's words", |x| {
            !ready(x) && words(x, ConditionType::Ready).contains("every berth is taken")
        })
        .await;
    let class = failed.status.unwrap().failure.map(|f| f.class);
    assert_eq!(class.as_deref(), Some("Capacity"));
    s.world.hypervisor(&[]);
    let server = s.ready(&name).await;
    assert!(!server.status.as_ref().unwrap().previous_ids.is_empty());
    assert!(server.status.as_ref().unwrap().failure.is_none());
    s.only(&server).await;
    assert_eq!(s.nova.of_name(&name).await.len(), 1, "the failed one is gone");
    s.remove(&name).await;
}

pub async fn no_room_is_held(s: &Stage) {
    let name = s.name("web");
    s.world.hypervisor(&[no_room(&name)]);
    s.create(&name, json!({"onCreateError": "Hold"})).await;
    let held = s
        .reason(&name, ConditionType::Stalled, "True", "CreateHeld")
        .await;
    assert!(words(&held, ConditionType::Stalled).contains("every berth is taken"));
    assert_eq!(s.only(&held).await["status"], "ERROR");
    s.world.hypervisor(&[]);
    s.edit(&name, json!({"onCreateError": "Retry"})).await;
    s.ready(&name).await;
    s.remove(&name).await;
}

pub async fn a_used_up_quota_is_shown_and_cured_without_an_edit(s: &Stage) {
    s.account("small", "quota", &s.world.clouds_yaml()).await;
    let (first, second) = (s.name("first"), s.name("second"));
    let account = json!({"providerConfigRef": {"name": "small"}});
    s.create(&first, account.clone()).await;
    s.ready(&first).await;
    s.create(&second, account).await;
    let refused = s
        .reason(&second, ConditionType::Stalled, "True", "QuotaExceeded")
        .await;
    let said = words(&refused, ConditionType::Stalled);
    assert!(said.contains("Quota exceeded for instances"), "{said}");
    s.remove(&first).await;
    s.ready(&second).await;
    s.remove(&second).await;
}

pub async fn a_wrong_password_is_shown_and_cured_by_the_secret(s: &Stage) {
    let good = s.world.clouds_yaml();
    let wrong: String = good
        .lines()
        .map(|line| match line.split_once("password: ") {
            Some((before, _)) => format!("{before}password: wrong\n"),
            None => format!("{line}\n"),
        })
        .collect();
    s.account("other", "demo", &wrong).await;
    let name = s.name("web");
    s.create(&name, json!({"providerConfigRef": {"name": "other"}}))
        .await;
    s.reason(&name, ConditionType::Stalled, "True", "CredentialsInvalid")
        .await;
    s.wait_for::<ProviderConfig>("other", "Ready=False/CredentialsInvalid", |c| {
        let found = c.status.as_ref().map(|s| s.conditions.as_slice());
        conditions::get(found.unwrap_or_default(), ConditionType::Ready)
            .is_some_and(|c| c.status == "False" && c.reason == "CredentialsInvalid")
    })
    .await;
    s.patch::<Secret>("other", json!({"stringData": {"clouds.yaml": good}}))
        .await;
    s.ready(&name).await;
    s.remove(&name).await;
}

pub async fn what_does_not_exist_is_an_invalid_spec(s: &Stage) {
    let cases = [
        (
            "size",
            json!({"size": {"name": "m1.unheard"}}),
            "m1.unheard",
            json!({"size": {"name": "m1.tiny"}}),
        ),
        (
            "image",
            json!({"image": {"name": "unheard"}}),
            "unheard",
            json!({"image": {"name": "cirros"}}),
        ),
    ];
    for (short, spec, named, cure) in cases {
        let name = s.name(short);
        s.create(&name, spec).await;
        let refused = s
            .reason(&name, ConditionType::Stalled, "True", "InvalidSpec")
            .await;
        let said = words(&refused, ConditionType::Stalled);
        assert!(said.contains(named), "{said}");
        s.edit(&name, cure).await;
        s.ready(&name).await;
        s.remove(&name).await;
    }
    // Networks cannot be edited: another object cures it.
    let name = s.name("network");
    let networks = |network: &str| json!({"openstack": {"networks": [{"name": "a", "network": network}]}});
    s.create(&name, networks("unheard-net")).await;
    let refused = s
        .reason(&name, ConditionType::Stalled, "True", "InvalidSpec")
        .await;
    assert!(words(&refused, ConditionType::Stalled).contains("unheard-net"));
    s.remove(&name).await;
    s.create(&name, networks("demo-net")).await;
    s.ready(&name).await;
    s.remove(&name).await;
}
