//! Consoles: what a guest wrote goes into a ConfigMap, the way to one into a Secret, and neither anywhere else.

use evenkeel::api::server_action::ServerAction;
use evenkeel::sim::apiserver::{Fault, Rule, Verb};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::{Value, json};

use crate::scenarios::deeds::{ask, ended, stands};
use crate::scenarios::stage::{Stage, id_of};
use crate::world::Virtual;

/// Asks for it, and waits for its end: the reason, the words and the result.
async fn done(s: &Stage, name: &str, deed: Value) -> (String, String, Option<String>) {
    ask(s, name, "web", deed).await;
    let action = ended(s, name).await;
    let (reason, words) = stands(&action);
    (reason, words, action.status.unwrap().result)
}

/// The kind, name and uid of what owns an object.
fn owner(meta: &kube::api::ObjectMeta) -> Vec<(String, String, String)> {
    let all = meta.owner_references.iter().flatten();
    all.map(|o| (o.kind.clone(), o.name.clone(), o.uid.clone()))
        .collect()
}

async fn owned_by(s: &Stage, name: &str) -> Vec<(String, String, String)> {
    let action = s.api::<ServerAction>().get(name).await.unwrap();
    vec![(
        "ServerAction".to_owned(),
        name.to_owned(),
        action.metadata.uid.unwrap(),
    )]
}

async fn text(s: &Stage, name: &str) -> (ConfigMap, String) {
    let map = s.api::<ConfigMap>().get(name).await.unwrap();
    let text = map.data.as_ref().unwrap()["output"].clone();
    (map, text)
}

#[tokio::test(start_paused = true)]
async fn what_a_guest_wrote_goes_into_a_config_map_and_is_bounded() {
    let (world, s) = Virtual::new().await;
    s.create("web", json!({})).await;
    let server = s.ready_in("web", "Running").await;
    let id = id_of(&server).to_owned();
    let (reason, words, result) = done(&s, "all", json!({"consoleOutput": {}})).await;
    assert_eq!(reason, "Succeeded", "{words}");
    let name = result.unwrap();
    let (map, whole) = text(&s, &name).await;
    assert!(name.starts_with("all-"), "{name}");
    assert_eq!(owner(&map.metadata), owned_by(&s, "all").await);
    assert_eq!(whole.lines().count(), 3, "{whole:?}");
    assert!(!whole.contains(['\u{1b}', '\r']), "{whole:?}");

    let (_, _, result) = done(&s, "last", json!({"consoleOutput": {"lines": 1}})).await;
    assert_eq!(
        text(&s, &result.unwrap()).await.1,
        whole.lines().last().unwrap().to_owned() + "\n"
    );

    // More than is kept: the end of it, in whole lines.
    world
        .sim
        .oob_metadata(&id, "fake.console.lines", "20000")
        .unwrap();
    let (reason, words, result) = done(&s, "much", json!({"consoleOutput": {}})).await;
    assert_eq!(reason, "Succeeded", "{words}");
    let (map, much) = text(&s, &result.unwrap()).await;
    assert!((262_000..=262_144).contains(&much.len()), "{}", much.len());
    assert!(much.starts_with('[') && much.contains("[19999]"));
    assert_eq!(map.data.unwrap()["truncated"], "true");

    // It is nowhere else.
    let last = much.lines().last().unwrap();
    assert!(last.contains("says"), "{last}");
    assert!(!world.log.text().contains("[19999]"));
    let shown: Vec<Value> = ["servers", "serveractions", "events"]
        .iter()
        .flat_map(|p| world.api.list(p))
        .collect();
    assert!(!Value::from(shown).to_string().contains("[19999]"));
    world.judge().await;
}

#[tokio::test(start_paused = true)]
async fn it_is_not_read_where_that_is_switched_off() {
    let world = Virtual::empty();
    world.without_consoles();
    let s = world.stage().await;
    world.run();
    s.create("web", json!({})).await;
    s.ready_in("web", "Running").await;
    world.sim.reset_requests();
    let (reason, words, result) = done(&s, "it", json!({"consoleOutput": {}})).await;
    assert_eq!((reason.as_str(), result), ("SwitchedOff", None), "{words}");
    assert!(words.contains("consoleOutput.enabled"), "{words}");
    let asked = world.sim.counts();
    assert!(!asked.keys().any(|k| k.starts_with("POST /servers")), "{asked:?}");
    let maps = s.api::<ConfigMap>().list(&Default::default()).await.unwrap();
    assert_eq!(maps.items, []);
    // A console is opened all the same: that needs no right that credentials do not need too.
    let (reason, words, _) = done(&s, "open", json!({"remoteConsole": {}})).await;
    assert_eq!(reason, "Succeeded", "{words}");
    world.judge().await;
}

#[tokio::test(start_paused = true)]
async fn the_address_of_a_console_is_in_its_secret_alone() {
    let (world, s) = Virtual::new().await;
    s.create("web", json!({})).await;
    s.ready_in("web", "Running").await;
    for (name, deed, secret) in [
        ("derived", json!({"remoteConsole": {"type": "VNC"}}), None),
        (
            "given",
            json!({"remoteConsole": {"type": "Serial", "secretName": "console"}}),
            Some("console"),
        ),
    ] {
        let (reason, words, result) = done(&s, name, deed).await;
        assert_eq!(reason, "Succeeded", "{words}");
        let made = result.unwrap();
        match secret {
            Some(secret) => assert_eq!(made, secret),
            None => assert!(made.starts_with("derived-"), "{made}"),
        }
        let secret = s.api::<Secret>().get(&made).await.unwrap();
        assert_eq!(owner(&secret.metadata), owned_by(&s, name).await);
        let url = String::from_utf8(secret.data.unwrap()["url"].0.clone()).unwrap();
        let token = url.rsplit(['=', 'D']).next().unwrap().to_owned();
        assert!(url.contains("://console.sim/") && token.len() > 16, "{url}");
        world.plant(&token);
    }
    // What the cloud does not have, and a Secret of somebody else.
    let (reason, words, _) = done(&s, "spice", json!({"remoteConsole": {"type": "SPICE"}})).await;
    assert_eq!(reason, "DeedRefused", "{words}");
    assert!(words.contains("Unavailable console type spice-html5"), "{words}");
    // Nova's own words for this one say nothing.
    let (reason, words, _) = done(&s, "rdp", json!({"remoteConsole": {"type": "RDP"}})).await;
    assert_eq!(reason, "DeedRefused", "{words}");
    for part in [
        "no consoles of type RDP",
        "VNC, SPICE or Serial",
        "could not comply with the request",
    ] {
        assert!(words.contains(part), "{words}");
    }
    let theirs = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "theirs"}, "stringData": {"a": "b"}});
    s.make::<Secret>(&theirs).await;
    let deed = json!({"remoteConsole": {"secretName": "theirs"}});
    let (reason, words, _) = done(&s, "greedy", deed).await;
    assert_eq!(reason, "DeedRefused", "{words}");
    assert!(words.contains("not owned by this object"), "{words}");
    let theirs = s.api::<Secret>().get("theirs").await.unwrap().data.unwrap();
    assert_eq!(theirs.keys().collect::<Vec<_>>(), ["a"]);
    world.judge().await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_written_down_is_told_or_read_again() {
    let (world, s) = Virtual::new().await;
    s.create("web", json!({})).await;
    s.ready_in("web", "Running").await;
    // Without the right: the message names it.
    for (plural, name, deed, right) in [
        (
            "configmaps",
            "a",
            json!({"consoleOutput": {}}),
            "may not create the ConfigMap",
        ),
        ("secrets", "b", json!({"remoteConsole": {}}), "rbac.writeSecrets"),
    ] {
        world.api.fault(
            Rule::new(Fault::Status(403))
                .verb(Verb::Create)
                .on(plural)
                .always(),
        );
        let (reason, words, _) = done(&s, name, deed).await;
        assert_eq!(reason, "SwitchedOff", "{words}");
        assert!(words.contains(right), "{words}");
        world.api.clear_faults();
    }
    // A passing fault, and an answer that is lost: there is one object in the end.
    for (n, fault) in [Fault::Status(500), Fault::LostReply].into_iter().enumerate() {
        for (plural, deed) in [
            ("configmaps", json!({"consoleOutput": {}})),
            ("secrets", json!({"remoteConsole": {}})),
        ] {
            let name = format!("{plural}-{n}");
            world
                .api
                .fault(Rule::new(fault.clone()).verb(Verb::Create).on(plural).times(1));
            let (reason, words, result) = done(&s, &name, deed).await;
            assert_eq!(reason, "Succeeded", "{plural}, {fault:?}: {words}");
            let made = world.api.list(plural);
            let of = |o: &&Value| o["metadata"]["name"].as_str().unwrap().starts_with(&name);
            assert_eq!(made.iter().filter(of).count(), 1);
            assert!(result.unwrap().starts_with(&name));
        }
    }
    world.judge().await;
}
