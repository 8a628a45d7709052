//! ServerActions: every deed from a manifest, and what the cloud's own log says of it.

use evenkeel::api::server_action::ServerAction;
use evenkeel::api::{ConditionType, Server, conditions};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::{Value, json};

use super::stage::{Cluster, Stage, id_of};

/// A ServerAction for a Server, not made yet.
pub fn object(name: &str, server: &str, deed: Value) -> Value {
    let mut object = json!({"apiVersion": "evenkeel.dev/v1alpha1", "kind": "ServerAction", "metadata": {"name": name},
        "spec": {"serverRef": {"name": server}}});
    for (key, value) in deed.as_object().unwrap() {
        object["spec"][key] = value.clone();
    }
    object
}

/// Makes a ServerAction for a Server.
pub async fn ask(s: &Cluster, name: &str, server: &str, deed: Value) -> ServerAction {
    s.make::<ServerAction>(&object(name, server, deed)).await
}

/// How a ServerAction stands: the reason of its Ready condition, and its words.
pub fn stands(action: &ServerAction) -> (String, String) {
    let all = action.status.as_ref().map_or(&[][..], |s| &s.conditions);
    let ready = conditions::get(all, ConditionType::Ready);
    ready.map_or_else(Default::default, |c| (c.reason.clone(), c.message.clone()))
}

fn over(action: &ServerAction) -> bool {
    let all = action.status.as_ref().map_or(&[][..], |s| &s.conditions);
    let holds = |kind| conditions::get(all, kind).is_some_and(|c| c.status == "True");
    holds(ConditionType::Complete) || holds(ConditionType::Failed)
}

/// Waits until a ServerAction is over, and our finalizer is gone.
pub async fn ended(s: &Cluster, name: &str) -> ServerAction {
    s.wait_for(name, "over", |a: &ServerAction| {
        over(a) && a.metadata.finalizers.as_ref().is_none_or(Vec::is_empty)
    })
    .await
}

/// Does a deed to its end, which has to be this one.
async fn done(s: &Stage, name: &str, server: &str, deed: Value, reason: &str) -> ServerAction {
    ask(s, name, server, deed).await;
    let action = ended(s, name).await;
    let (is, words) = stands(&action);
    // The hypervisor of the real stage uploads no snapshot; that it was asked for one is in Nova's log.
    let not_uploaded = words.contains("nothing was uploaded") && is == "DeedFailed";
    assert!(
        is == reason || not_uploaded,
        "{name}: {is}, not {reason}: {words}"
    );
    let evidence = action.status.as_ref().unwrap();
    let said = (&evidence.deed, &evidence.result, evidence.finished_at.is_some());
    eprintln!("deed {said:?} {is}: {words}");
    action
}

/// Reads a console or opens one. The hypervisor of the real stage may have none: then the refusal is Nova's own.
async fn console(s: &Stage, name: &str, server: &str, deed: Value) -> Option<String> {
    ask(s, name, server, deed).await;
    let action = ended(s, name).await;
    let (reason, words) = stands(&action);
    eprintln!("console {name}: {reason}: {words}");
    // The second are Nova's words for RDP, which it has no more.
    let none = [
        "Unavailable console type",
        "The server could not comply with the request",
    ];
    let none = reason == "DeedRefused" && none.iter().any(|of| words.contains(of));
    assert!(reason == "Succeeded" || none, "{name}: {reason}: {words}");
    action.status.unwrap().result
}

async fn settled(s: &Stage, name: &str) -> Server {
    s.ready(name).await
}

pub async fn every_deed_is_done_once(s: &Stage) {
    let name = s.name("web");
    let password = json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "root", "labels": {"evenkeel.dev/allow": "password"}},
        "stringData": {"password": "Planted-Zq7-deed"}});
    s.make::<Secret>(&password).await;
    s.create(&name, json!({"resize": {"when": "Manual", "confirm": "Manual"}}))
        .await;
    let server = s.ready_in(&name, "Running").await;
    let id = id_of(&server).to_owned();

    let image = done(
        s,
        "image",
        &name,
        json!({"createImage": {"name": "before", "metadata": {"a": "b"}}}),
        "Succeeded",
    )
    .await;
    assert!(image.status.unwrap().result.is_some(), "the id of the image");
    let backup = json!({"createBackup": {"name": "nightly", "type": "daily", "rotation": 1}});
    done(s, "backup", &name, backup.clone(), "Succeeded").await;
    done(s, "hard", &name, json!({"reboot": {"mode": "Hard"}}), "Succeeded").await;
    done(s, "soft", &name, json!({"reboot": {"mode": "Soft"}}), "Succeeded").await;
    let secret = json!({"changePassword": {"secretRef": {"name": "root", "key": "password"}}});
    done(s, "password", &name, secret, "Succeeded").await;
    settled(s, &name).await;
    // Not every hypervisor can: then Nova's log of the server says so.
    ask(s, "dump", &name, json!({"crashDump": {}})).await;
    let (is, words) = stands(&ended(s, "dump").await);
    eprintln!("crashDump {is}: {words}");
    assert!(
        ["Succeeded", "DeedFailed"].contains(&is.as_str()),
        "{is}: {words}"
    );
    settled(s, &name).await;
    if let Some(map) = console(s, "console", &name, json!({"consoleOutput": {"lines": 50}})).await {
        let map = s.api::<ConfigMap>().get(&map).await.unwrap();
        eprintln!("console output: {:?}", map.data);
        assert!(!map.data.unwrap()["output"].is_empty());
    }
    for kind in ["VNC", "SPICE", "Serial", "RDP"] {
        let deed = json!({"remoteConsole": {"type": kind}});
        if let Some(secret) = console(s, &kind.to_lowercase(), &name, deed).await {
            let secret = s.api::<Secret>().get(&secret).await.unwrap();
            assert!(!secret.data.unwrap()["url"].0.is_empty(), "{kind}");
        }
    }

    // A size waits for a word, and another one for a yes or a no.
    s.edit(&name, json!({"size": {"name": "m1.small"}})).await;
    s.reason(&name, ConditionType::SizeSynced, "False", "PendingApproval")
        .await;
    done(s, "go", &name, json!({"resize": {}}), "Succeeded").await;
    done(s, "yes", &name, json!({"confirmResize": {}}), "Succeeded").await;
    s.reason(&name, ConditionType::SizeSynced, "True", "Synced").await;
    s.edit(&name, json!({"size": {"name": "m1.tiny"}})).await;
    done(s, "go-back", &name, json!({"resize": {}}), "Succeeded").await;
    done(s, "no", &name, json!({"revertResize": {}}), "Succeeded").await;
    s.edit(&name, json!({"size": {"name": "m1.small"}})).await;
    settled(s, &name).await;

    done(
        s,
        "rebuild",
        &name,
        json!({"rebuild": {"image": {"name": "cirros-new"}}}),
        "Succeeded",
    )
    .await;
    done(s, "reinstall", &name, json!({"reinstall": {}}), "Succeeded").await;
    settled(s, &name).await;

    // What cannot be done is said without a call.
    done(s, "nothing", &name, json!({"confirmResize": {}}), "NotAllowed").await;
    // Made again by whoever keeps it in a repository: it is not done again.
    s.api::<ServerAction>()
        .delete("image", &Default::default())
        .await
        .unwrap();
    let again = json!({"createImage": {"name": "before", "metadata": {"a": "b"}}});
    done(s, "image", &name, again, "AlreadyRun").await;
    // It belongs to the Server all the same, and goes along with it.
    s.wait_for("image", "an owner", |a: &ServerAction| {
        let mut owners = a.metadata.owner_references.iter().flatten();
        owners.any(|o| o.kind == "Server" && o.name == name)
    })
    .await;

    let log = s.nova.actions(&id).await;
    let expected = [
        "create",
        "createImage",
        "createBackup",
        "reboot",
        "reboot",
        "changePassword",
        "trigger_crash_dump",
        "resize",
        "confirmResize",
        "resize",
        "revertResize",
        "rebuild",
        "rebuild",
    ];
    assert_eq!(log, expected, "Nova's own log");
    s.remove(&name).await;
}

pub async fn what_only_administrators_may_do(s: &Stage) {
    // A member may not.
    let name = s.name("web");
    s.create(&name, json!({})).await;
    s.ready_in(&name, "Running").await;
    done(s, "reset", &name, json!({"resetState": {}}), "Forbidden").await;
    done(
        s,
        "evacuate",
        &name,
        json!({"evacuate": {"hostFenced": true}}),
        "Forbidden",
    )
    .await;
    s.remove(&name).await;
    // An administrator may.
    s.account("admin", "admin", &s.world.clouds_yaml()).await;
    let name = s.name("moved");
    s.create(&name, json!({"providerConfigRef": {"name": "admin"}}))
        .await;
    s.ready_in(&name, "Running").await;
    done(s, "cold", &name, json!({"coldMigrate": {}}), "Succeeded").await;
    s.ready_in(&name, "Running").await;
    done(s, "live", &name, json!({"liveMigrate": {}}), "Succeeded").await;
    s.ready_in(&name, "Running").await;
    // Its host works: Nova does not evacuate it.
    done(
        s,
        "no-need",
        &name,
        json!({"evacuate": {"hostFenced": true}}),
        "DeedRefused",
    )
    .await;
    done(
        s,
        "broken",
        &name,
        json!({"resetState": {"to": "Error"}}),
        "Succeeded",
    )
    .await;
    s.reason(&name, ConditionType::Stalled, "True", "ErrorStillRunning")
        .await;
    done(
        s,
        "well",
        &name,
        json!({"resetState": {"to": "Active"}}),
        "Succeeded",
    )
    .await;
    s.ready_in(&name, "Running").await;
    s.remove(&name).await;
}
