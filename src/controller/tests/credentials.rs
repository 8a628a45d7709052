//! What goes along with a creation, and what is told once by it.

use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Secret;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::world::{WEB, World};
use crate::api::{Reason, Server};
use crate::controller::Shell;
use crate::controller::call::{self, Asker};
use crate::observer::ObjectKey;
use crate::observer::sync::lock;
use crate::observer::tests::FakeCloud;
use crate::planner::memory::{Outcome, Told};
use crate::planner::model::{
    Accepted, Capabilities, CloudCall, CloudError, CreateRequest, ErrorClass, Marks, ObservedServer,
};
use crate::providers::{Account, CallWith, Credentials, Done, Provider};
use crate::sim::apiserver::{Fault, Rule, Verb};

/// A cloud that tells a password once.
#[derive(Default)]
struct Teller {
    inner: FakeCloud,
    passwords: Mutex<Vec<Option<String>>>,
}

impl Provider for Teller {
    fn capabilities(&self) -> &'static Capabilities {
        self.inner.capabilities()
    }

    fn account(&self) -> BoxFuture<'_, Result<Account, CloudError>> {
        self.inner.account()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Arc<ObservedServer>>, CloudError>> {
        self.inner.list()
    }

    fn get<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<ObservedServer, CloudError>> {
        self.inner.get(id)
    }

    fn call<'a>(&'a self, _: &'a CloudCall, with: CallWith<'a>) -> BoxFuture<'a, Result<Done, CloudError>> {
        let password = with.admin_password.map(|p| p.expose_secret().to_owned());
        lock(&self.passwords).push(password);
        Box::pin(async {
            Ok(Done {
                accepted: Accepted {
                    id: Some("new".into()),
                    ..Accepted::default()
                },
                credentials: Some(Credentials {
                    username: Some("root".into()),
                    password: "told-once".to_owned().into(),
                }),
                ..Done::default()
            })
        })
    }
}

const LOGIN: (&str, &str, &str) = ("secrets", "default", "login");

/// Makes one create call; what became of it and of what it told, and the passwords that went along.
async fn create(world: &World, spec: Value) -> (Outcome, Told, Vec<Option<String>>) {
    if world.kube.get(WEB).is_none() {
        world.server("web");
    }
    let server: Server = world.kube.read("default", "web").unwrap();
    let uid = server.metadata.uid.clone().unwrap();
    let (shell, _publisher) = Shell::new(world.context("p1"));
    let mut full = serde_json::to_value(&server.spec).unwrap();
    for (key, value) in spec.as_object().unwrap() {
        full[key] = value.clone();
    }
    shell.servers.put(server);
    let key = ObjectKey::new("default", "web");
    let cloud = Arc::new(Teller::default());
    let asker = Asker {
        key: key.clone(),
        uid: uid.clone(),
        config: ObjectKey::new("default", "sim"),
        cloud: "sim",
        account: "fake/p1".into(),
        provider: cloud.clone(),
    };
    let request = CreateRequest {
        name: "web".into(),
        spec: Arc::new(serde_json::from_value(full).unwrap()),
        marks: Marks::default(),
        attempt: 1,
        group: None,
    };
    shell.objects.open(&uid, &key);
    let made = CloudCall::Create(Box::new(request));
    call::call(&shell, asker, "create-1".into(), made, Instant::now());
    assert_eq!(shell.queue.next().await, Some(key.clone()));
    let sent = shell.objects.open(&uid, &key).sent.unwrap();
    assert!(!format!("{sent:?}").contains("told-once"));
    let passwords = lock(&cloud.passwords).clone();
    (sent.outcome, sent.told, passwords)
}

fn id(outcome: &Outcome) -> Option<&str> {
    match outcome {
        Outcome::Accepted(_, accepted) => accepted.id.as_deref(),
        _ => None,
    }
}

fn login(world: &World) -> Option<(Option<String>, String)> {
    let secret: Secret = world.kube.read("default", LOGIN.2)?;
    let owner = secret
        .metadata
        .owner_references
        .unwrap_or_default()
        .pop()
        .map(|o| o.uid);
    let password = secret.data?.remove("password")?;
    Some((owner, String::from_utf8(password.0).unwrap()))
}

#[tokio::test(start_paused = true)]
async fn what_is_told_once_is_written_into_a_secret_of_the_object() {
    let world = World::new();
    let wish = json!({"credentialsSecretName": "login"});
    for _ in 0..2 {
        let (outcome, told, _) = create(&world, wish.clone()).await;
        assert_eq!((id(&outcome), told), (Some("new"), Told::Kept));
        let uid = world.kube.get(WEB).unwrap()["metadata"]["uid"]
            .as_str()
            .map(str::to_owned);
        assert_eq!(login(&world), Some((uid, "told-once".to_owned())));
    }
    let (outcome, told, _) = create(&World::new(), json!({})).await;
    assert_eq!((id(&outcome), told), (Some("new"), Told::Nothing));
}

#[tokio::test(start_paused = true)]
async fn a_secret_of_somebody_else_is_never_written() {
    let world = World::new();
    let theirs = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login", "namespace": "default"},
        "stringData": {"password": "theirs"}});
    world.kube.apply(&theirs).unwrap();
    let (outcome, told, passwords) = create(&world, json!({"credentialsSecretName": "login"})).await;
    let Outcome::Refused(_, error) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(error.code.as_deref(), Some(Reason::SecretRefused.as_str()));
    assert!(passwords.is_empty() && !error.maybe_applied, "nothing is sent");
    assert_eq!(told, Told::Nothing);
    assert_eq!(login(&world), Some((None, "theirs".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_write_the_secret_no_server_is_made() {
    let wish = json!({"credentialsSecretName": "login"});
    // The right to make it is missing, then the right to write it again.
    for (verb, there) in [(Verb::Create, false), (Verb::Update, true)] {
        let world = World::new();
        if there {
            create(&world, wish.clone()).await;
        }
        let before = login(&world);
        let forbidden = Rule::new(Fault::Status(403)).verb(verb).on("secrets");
        world.kube.fault(forbidden.times(99));
        let (outcome, told, passwords) = create(&world, wish.clone()).await;
        let Outcome::Refused(_, error) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(error.code.as_deref(), Some(Reason::SecretRefused.as_str()));
        assert!(error.message.contains("rbac.writeSecrets"), "{}", error.message);
        assert!(passwords.is_empty() && !error.maybe_applied, "nothing is sent");
        assert_eq!((told, login(&world)), (Told::Nothing, before));
    }
    // Asking makes no Secret, and what cannot be known now is asked again.
    let world = World::new();
    let broken = Rule::new(Fault::Status(500)).verb(Verb::Create).on("secrets");
    world.kube.fault(broken.times(99));
    let (outcome, _, passwords) = create(&world, wish).await;
    assert!(
        matches!(&outcome, Outcome::Refused(_, e) if e.class == ErrorClass::Transient),
        "{outcome:?}"
    );
    assert!(passwords.is_empty() && login(&world).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_cannot_be_written_does_not_lose_the_id() {
    let wish = json!({"credentialsSecretName": "login"});
    for (times, lost) in [(2, false), (99, true)] {
        let world = World::new();
        let broken = Rule::new(Fault::Status(500)).verb(Verb::Create).on("secrets");
        // The first is the question whether it may be written.
        world.kube.fault(broken.nth(2).times(times));
        let (outcome, told, _) = create(&world, wish.clone()).await;
        assert_eq!(id(&outcome), Some("new"));
        let unwritten = matches!(&told, Told::Lost(why) if !why.is_empty());
        assert_eq!((login(&world).is_none(), unwritten), (lost, lost), "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_password_goes_along_only_from_a_secret_that_allows_it() {
    for (label, sent) in [("password", true), ("user-data", false)] {
        let world = World::new();
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "admin", "namespace": "default",
            "labels": {"evenkeel.dev/allow": label}}, "stringData": {"pw": "secret-1"}});
        world.kube.apply(&secret).unwrap();
        let (outcome, _, passwords) = create(
            &world,
            json!({"adminPasswordSecretRef": {"name": "admin", "key": "pw"}}),
        )
        .await;
        let wanted = if sent {
            vec![Some("secret-1".to_owned())]
        } else {
            vec![]
        };
        assert_eq!((id(&outcome).is_some(), passwords), (sent, wanted), "{label}");
    }
}
