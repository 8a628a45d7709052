//! Scenarios of what is changed on a server that exists: its image, its password, its network.

use std::time::Duration;

use evenkeel::api::ConditionType;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::field::Field;
use crate::scenarios::cluster::{condition, id_of, merge, ready};

const INSTALLS: &str = "OnImageChange";

async fn runs(f: &Field, more: Value) -> String {
    f.create("web", more).await;
    id_of(&f.ready_in("web", "Running").await).to_owned()
}

pub async fn a_changed_image_is_only_shown_by_default(f: &mut Field) {
    let id = runs(f, json!({})).await;
    let before = f.seen(&id);
    f.cloud.reset_requests();
    f.edit("web", f.cloud.other_image()).await;
    f.reason("web", ConditionType::DriftDetected, "True", "ImageDrift")
        .await;
    sleep(Duration::from_secs(3600)).await;
    let server = f.ready_in("web", "Running").await;
    assert_eq!((id_of(&server), f.seen(&id)), (id.as_str(), before));
    let mut asked = f.cloud.counts();
    asked.retain(|key, _| !key.starts_with("GET ") && !key.contains("auth"));
    assert!(asked.is_empty(), "{asked:?}");
}

pub async fn a_changed_image_is_installed_once(f: &mut Field) {
    for wish in ["Running", "Stopped"] {
        f.create("web", json!({"powerState": wish, "rebuild": {"when": INSTALLS}}))
            .await;
        let id = id_of(&f.ready_in("web", wish).await).to_owned();
        let before = f.cloud.image_of(&id);
        f.cloud.reset_requests();
        f.edit("web", f.cloud.other_image()).await;
        f.wait("web", "the image is installed", |s| {
            let text = s
                .status
                .as_ref()
                .and_then(|s| s.image.as_ref()?.requested.clone());
            ready(s) && text == s.spec.image.as_ref().map(|i| i.text())
        })
        .await;
        let server = f.ready_in("web", wish).await;
        assert_eq!(id_of(&server), id, "it is the same server");
        assert_ne!(f.cloud.image_of(&id), before);
        sleep(Duration::from_secs(3600)).await;
        assert_eq!(f.cloud.installations(&id), 1);
        f.remove("web").await;
    }
}

pub async fn an_image_that_cannot_be_installed_is_left(f: &mut Field) {
    let id = runs(f, json!({"rebuild": {"when": INSTALLS}})).await;
    f.cloud.reset_requests();
    f.cloud.changes_fail(true);
    f.edit("web", f.cloud.other_image()).await;
    let said = f
        .reason("web", ConditionType::Ready, "False", "RebuildFailed")
        .await;
    let words = &condition(&said, ConditionType::Ready).unwrap().message;
    assert!(words.contains("the disk is not found"), "{words}");
    sleep(Duration::from_secs(7200)).await;
    assert_eq!(f.cloud.installations(&id), 3, "three tries, and no more");
    f.cloud.changes_fail(false);
    let retry = json!({"metadata": {"annotations": {"evenkeel.dev/retry": "1"}}});
    f.patch::<evenkeel::api::Server>("web", retry).await;
    let server = f.ready_in("web", "Running").await;
    assert_eq!((id_of(&server), f.cloud.installations(&id)), (id.as_str(), 4));
}

pub async fn killed_while_an_image_is_installed(f: &mut Field) {
    let id = runs(f, json!({"rebuild": {"when": INSTALLS}})).await;
    f.cloud.reset_requests();
    f.edit("web", f.cloud.other_image()).await;
    for seconds in [1, 5, 30, 60, 120, 300] {
        sleep(Duration::from_secs(seconds)).await;
        f.kill().await;
        sleep(Duration::from_secs(5)).await;
        f.run();
    }
    f.wait("web", "the image is installed", |s| {
        let text = s
            .status
            .as_ref()
            .and_then(|s| s.image.as_ref()?.requested.clone());
        ready(s) && text == s.spec.image.as_ref().map(|i| i.text())
    })
    .await;
    assert_eq!(f.cloud.installations(&id), 1);
    assert_eq!(id_of(&f.ready_in("web", "Running").await), id);
}

/// A Secret with a password that a Server may use; it must be seen nowhere.
async fn secret(f: &mut Field, name: &str, password: &str) -> Value {
    let secret = json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": name, "labels": {"evenkeel.dev/allow": "password"}},
        "stringData": {"password": password}});
    f.make::<Secret>(&secret).await;
    f.plant(password.to_owned());
    json!({"adminPasswordSecretRef": {"name": name, "key": "password"}})
}

pub async fn another_password_is_set(f: &mut Field) {
    let (first, second) = f.cloud.passwords();
    let mut spec = secret(f, "first", first).await;
    // A Server says that it is of this cloud, or its password is fixed.
    merge(&mut spec, json!({"resize": {"when": "StopIfNeeded"}}));
    let id = runs(f, spec).await;
    assert_eq!(f.cloud.password_of(&id).as_deref(), Some(first));
    sleep(Duration::from_secs(600)).await;
    let edit = secret(f, "second", second).await;
    f.edit("web", edit).await;
    f.wait("web", "the password is set", |s| {
        let synced = condition(s, ConditionType::SettingsSynced);
        ready(s) && synced.is_some_and(|c| c.status == "True")
    })
    .await;
    assert_eq!(f.cloud.password_of(&id).as_deref(), Some(second));
    assert_eq!(f.seen(&id).unwrap().power, "Running");
    // One that may not be used changes nothing, and is used as soon as it may.
    let bare = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "third"},
        "stringData": {"password": first}});
    f.make::<Secret>(&bare).await;
    f.edit(
        "web",
        json!({"adminPasswordSecretRef": {"name": "third", "key": "password"}}),
    )
    .await;
    f.reason("web", ConditionType::Ready, "False", "SecretRefused")
        .await;
    assert_eq!(f.cloud.password_of(&id).as_deref(), Some(second));
    let allowed = json!({"metadata": {"labels": {"evenkeel.dev/allow": "password"}}});
    f.patch::<Secret>("third", allowed).await;
    f.ready_in("web", "Running").await;
    assert_eq!(f.cloud.password_of(&id).as_deref(), Some(first));
    // One that is too weak is named, and read again soon after it was corrected.
    let weak = secret(f, "fourth", "w3ak").await;
    f.edit("web", weak).await;
    let told = |s: &evenkeel::api::Server| {
        let said = condition(s, ConditionType::Ready);
        said.is_some_and(|c| {
            c.reason == "SecretRefused" && c.message.contains("key password of the Secret fourth")
        })
    };
    f.wait("web", "the Secret and its key are named", told).await;
    sleep(Duration::from_secs(4000)).await;
    f.patch::<Secret>("fourth", json!({"stringData": {"password": second}}))
        .await;
    let began = tokio::time::Instant::now();
    f.ready_in("web", "Running").await;
    assert!(
        began.elapsed() < Duration::from_secs(600),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(f.cloud.password_of(&id).as_deref(), Some(second));
}

fn addresses(server: &evenkeel::api::Server) -> Vec<String> {
    let all = &server.status.as_ref().unwrap().addresses;
    all.iter().map(|a| a.address.clone()).collect()
}

pub async fn another_network_is_applied(f: &mut Field) {
    let (mut spec, other) = f.cloud.other_network().unwrap();
    merge(&mut spec, json!({"resize": {"when": "StopIfNeeded"}}));
    runs(f, spec).await;
    let before = addresses(&f.ready_in("web", "Running").await);
    f.edit("web", other).await;
    let after = f
        .wait("web", "another address", |s| ready(s) && addresses(s) != before)
        .await;
    assert!(!addresses(&after).is_empty());
    assert_eq!(
        condition(&after, ConditionType::SettingsSynced).unwrap().status,
        "True"
    );
}

pub async fn a_network_that_is_refused_leaves_the_old_one(f: &mut Field) {
    let (mut spec, other) = f.cloud.other_network().unwrap();
    merge(&mut spec, json!({"powerState": "Stopped"}));
    f.create("web", spec.clone()).await;
    let before = addresses(&f.ready_in("web", "Stopped").await);
    f.cloud.changes_fail(true);
    f.edit("web", other).await;
    let said = f
        .reason("web", ConditionType::Ready, "False", "SettingsRefused")
        .await;
    let words = &condition(&said, ConditionType::Ready).unwrap().message;
    assert!(words.contains("the disk is not found"), "{words}");
    assert_eq!(addresses(&said), before);
    f.cloud.changes_fail(false);
    f.edit("web", spec).await;
    let back = f.ready_in("web", "Stopped").await;
    assert_eq!(addresses(&back), before);
}
