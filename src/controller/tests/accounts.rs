//! What becomes of servers whose account is taken away, and what is told of accounts.

use k8s_openapi::api::core::v1::ObjectReference;
use serde_json::{Value, json};

use super::world::{CONFIG, MINUTE, SECRET, WEB, World, condition};
use super::*;
use crate::api::Reason;
use crate::planner::EventDraft;

const API: (&str, &str, &str) = ("servers", "default", "api");

fn message(object: &Value, kind: &str) -> String {
    let all = object["status"]["conditions"].as_array().unwrap();
    let found = all.iter().find(|c| c["type"] == kind).unwrap();
    found["message"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn credentials_that_were_taken_away_serve_deletions_alone() {
    for (taken, reason, words) in [
        (
            CONFIG,
            "ProviderConfigNotFound",
            "ProviderConfig sim does not exist in namespace default. Create it.",
        ),
        (
            SECRET,
            "CredentialsMissing",
            "ProviderConfig sim: the Secret sim does not exist. Create or correct the Secret, or let the controller read it.",
        ),
    ] {
        let world = World::with_config();
        world.server("web");
        world.server("api");
        let _running = world.start("p1");
        world.ready(WEB).await;
        world.ready(API).await;
        let kept = world.kube.get(taken).unwrap();
        world.kube.delete(taken).unwrap();
        let gone = Instant::now();
        world.reason(WEB, reason).await;
        world.reason(API, reason).await;
        let limit = if taken == CONFIG { 1 } else { 31 };
        assert!(
            gone.elapsed() <= Duration::from_secs(limit),
            "{:?}",
            gone.elapsed()
        );
        assert_eq!(message(&world.kube.get(WEB).unwrap(), "Ready"), words);

        world.cloud.reset_requests();
        let stop = |o: &mut Value| o["spec"]["powerState"] = json!("Stopped");
        world.kube.edit(WEB, stop).unwrap();
        tokio::time::sleep(30 * MINUTE).await;
        assert!(world.cloud.counts().is_empty(), "{:?}", world.cloud.counts());

        world.kube.clear_log();
        world.kube.delete(API).unwrap();
        world.kube.wait_for(API, MINUTE, |o| o.is_none()).await.unwrap();
        assert_eq!(
            world.cloud.live_servers().len(),
            1,
            "api is gone, web is as it was"
        );
        assert_eq!(condition(&world.kube.get(WEB).unwrap(), "Ready").1, reason);
        tokio::time::sleep(MINUTE).await;
        world.cloud.reset_requests();
        tokio::time::sleep(30 * MINUTE).await;
        assert!(world.cloud.counts().is_empty(), "nothing is left to delete");

        let mut again = kept.clone();
        again["metadata"] = json!({"name": "sim", "namespace": "default"});
        again.as_object_mut().unwrap().remove("status");
        world.kube.apply(&again).unwrap();
        let stopped = |o: Option<&Value>| {
            o.is_some_and(|o| {
                condition(o, "Ready").0 == "True" && o["status"]["power"]["observed"] == "Stopped"
            })
        };
        world.kube.wait_for(WEB, 2 * MINUTE, stopped).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_may_not_be_read_is_named() {
    let world = World::with_config();
    let forbidden = Rule::new(Fault::Status(403)).verb(Verb::Get).on("secrets");
    world.kube.fault(forbidden.always());
    let _running = world.start("p1");
    world.reason(CONFIG, "CredentialsMissing").await;
    let words = message(&world.kube.get(CONFIG).unwrap(), "Ready");
    assert!(
        words.contains("the Secret sim may not be read by the controller: "),
        "{words}"
    );
    world.kube.clear_faults();
    world.ready(CONFIG).await;
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_cannot_be_read_for_a_moment_is_read_again_soon_and_not_without_a_pause() {
    let world = World::with_config();
    let broken = Rule::new(Fault::Status(500)).verb(Verb::Get).on("secrets");
    world.kube.fault(broken.times(3));
    let began = Instant::now();
    let _running = world.start("p1");
    world.ready(CONFIG).await;
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_process_that_cannot_list_is_no_leader() {
    let world = World::with_config();
    let forbidden = Rule::new(Fault::Status(403)).verb(Verb::List).on("servergroups");
    world.kube.fault(forbidden.always());
    let context = world.context("p1");
    let readiness = Arc::clone(&context.readiness);
    let running = tokio::spawn(run(context, CancellationToken::new()));
    let _running = AbortOnDropHandle::new(running);
    let waiting = timeout(10 * MINUTE, readiness.synced()).await;
    assert!(waiting.is_err(), "{:?}", readiness.missing());
    assert_eq!(world.metrics.leader.get(), 0);
    world.kube.clear_faults();
    timeout(MINUTE, readiness.synced()).await.unwrap();
    world.ready(CONFIG).await;
    assert_eq!(world.metrics.leader.get(), 1);
    // It is told that it may no longer act.
    world.owner.0.send_replace(false);
    tokio::time::sleep(MINUTE).await;
    assert_eq!(world.metrics.leader.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_fails_after_everything_was_listed_is_named() {
    let world = World::with_config();
    let context = world.context("p1");
    let readiness = Arc::clone(&context.readiness);
    let running = tokio::spawn(run(context, CancellationToken::new()));
    let _running = AbortOnDropHandle::new(running);
    world.ready(CONFIG).await;
    assert_eq!(readiness.troubled(), Vec::<String>::new());
    let forbidden = Rule::new(Fault::Status(403)).verb(Verb::Watch).on("servers");
    world.kube.fault(forbidden.always());
    // The API server ends a watch after some minutes.
    tokio::time::sleep(10 * MINUTE).await;
    let troubled = readiness.troubled();
    assert!(
        matches!(&troubled[..], [one] if one.starts_with("servers in all namespaces: ")),
        "{troubled:?}"
    );
    assert_eq!(
        readiness.missing(),
        Vec::<String>::new(),
        "it is ready all the same"
    );
    world.kube.clear_faults();
    world.server("web");
    world.ready(WEB).await;
    assert_eq!(readiness.troubled(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_are_named_and_told_in_events_and_so_is_their_return() {
    let world = World::with_config();
    let _running = world.start("p1");
    world.ready(CONFIG).await;
    assert_eq!(events_of(&world, "ProviderConfig"), vec![]);
    world.cloud.set_password("demo", "new-password");
    world.cloud.expire_tokens();
    world.reason(CONFIG, "CredentialsInvalid").await;
    tokio::time::sleep(20 * MINUTE).await;
    let words = message(&world.kube.get(CONFIG).unwrap(), "CredentialsValid");
    assert!(
        words.starts_with("the credentials of cloud demo of Secret sim were refused: "),
        "{words}"
    );
    let told = events_of(&world, "ProviderConfig");
    assert!(
        matches!(&told[..], [(kind, reason, note)]
        if kind == "Warning" && reason == "CredentialsInvalid" && *note == words),
        "{told:?}"
    );

    let secret = world.kube.get(SECRET).unwrap();
    let text = openstack::manifests("http://127.0.0.1:5000", "sim", "default");
    let line = text.lines().find(|l| l.contains("password: ")).unwrap();
    let old = line.split("password: ").nth(1).unwrap();
    assert!(!words.contains(old.trim_matches('"')));
    let changed = text.replace(old, "new-password");
    world.kube.apply_yaml(&changed).unwrap();
    assert_ne!(world.kube.get(SECRET).unwrap(), secret);
    world.ready(CONFIG).await;
    tokio::time::sleep(MINUTE).await;
    let told = events_of(&world, "ProviderConfig");
    let [_, (kind, reason, _)] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!((kind.as_str(), reason.as_str()), ("Normal", "Reachable"));
}

#[tokio::test(start_paused = true)]
async fn events_that_differ_in_their_words_are_not_merged_and_bounded() {
    let world = World::with_config();
    let (shell, publisher) = Shell::new(world.context("p1"));
    let _publisher = AbortOnDropHandle::new(tokio::spawn(publisher));
    let object = ObjectReference {
        api_version: Some("evenkeel.dev/v1alpha1".into()),
        kind: Some("Server".into()),
        name: Some("web".into()),
        namespace: Some("default".into()),
        uid: Some("u".into()),
        ..ObjectReference::default()
    };
    let tell = |note: String| {
        let draft = EventDraft {
            warning: false,
            reason: Reason::Creating,
            action: "Create",
            note,
        };
        shell.events.publish(object.clone(), draft);
    };
    for round in 0..3 {
        for attempt in 0..2 {
            tell(format!("attempt {attempt}"));
        }
        tokio::time::sleep(MINUTE).await;
        let told = events_of(&world, "Server");
        assert_eq!(told.len(), 2, "round {round}: {told:?}");
        assert!(told[0].2 != told[1].2, "{told:?}");
    }
    for attempt in 0..100 {
        tell(format!("another {attempt}"));
    }
    tokio::time::sleep(MINUTE).await;
    assert_eq!(events_of(&world, "Server").len(), 10);
}

/// Type, reason and note of all events of objects of a kind, in order of their time.
fn events_of(world: &World, kind: &str) -> Vec<(String, String, String)> {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let mut events: Vec<Value> = world.kube.list("events");
    events.retain(|e| e["regarding"]["kind"] == kind);
    events.sort_by_key(|e| text(&e["metadata"]["name"]));
    events
        .iter()
        .map(|e| (text(&e["type"]), text(&e["reason"]), text(&e["note"])))
        .collect()
}

/// Taken away before the cloud was ever reached, they are not used when it can be.
#[tokio::test(start_paused = true)]
async fn credentials_that_were_never_used_are_forgotten_with_their_secret() {
    let world = World::with_config();
    world.cloud.outage(Some(openstack::Outage::Refused));
    let _running = world.start("p1");
    world.reason(CONFIG, "Unreachable").await;
    world.kube.delete(SECRET).unwrap();
    world.reason(CONFIG, "CredentialsMissing").await;
    world.cloud.outage(None);
    world.cloud.reset_requests();
    tokio::time::sleep(5 * MINUTE).await;
    assert!(world.cloud.counts().is_empty(), "{:?}", world.cloud.counts());
}
