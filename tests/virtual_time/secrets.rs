//! Passwords, tokens and user data are seen nowhere: not in logs, events, objects. Every other test looks for
//! passwords and tokens too; here everything goes wrong that might make somebody quote them.

use evenkeel::api::ConditionType;
use evenkeel::sim::openstack::{FaultEffect, FaultRule};
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;

use crate::scenarios::stage::words;
use crate::world::{PLANTED, Virtual};

const USER_DATA: &str = "#cloud-config planted-user-data-9fQ";
/// The same in base64, as Nova takes it.
const ENCODED: &str = "I2Nsb3VkLWNvbmZpZyBwbGFudGVkLXVzZXItZGF0YS05ZlE=";

async fn user_data(s: &crate::scenarios::stage::Stage, labels: serde_json::Value) {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "guest", "labels": labels},
        "stringData": {"cloud-init": USER_DATA}});
    s.make::<Secret>(&secret).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_quoted_whatever_goes_wrong() {
    let (world, s) = Virtual::new().await;
    world.plant(USER_DATA);
    world.plant(ENCODED);
    world.plant("planted-user-data");
    let spec = json!({"userDataSecretRef": {"name": "guest", "key": "cloud-init"}});
    // Without the label it is refused: the guest could read it.
    user_data(&s, json!({})).await;
    s.create("web", spec).await;
    let refused = s.wait("web", "a refusal", |x| {
        words(x, ConditionType::Ready).contains("evenkeel.dev/allow")
    });
    refused.await;
    // The cloud quotes it in its refusal.
    let quoted = json!({"badRequest": {"code": 400, "message":
        format!("Invalid input for field/attribute user_data. Value: {ENCODED}. '{ENCODED}' is not 'base64': {USER_DATA}")}});
    let effect = FaultEffect::Status {
        code: 400,
        body: Some(quoted),
    };
    world
        .sim
        .inject(FaultRule::new(effect).on("POST /servers").times(1));
    let label = json!({"metadata": {"labels": {"evenkeel.dev/allow": "user-data"}}});
    s.patch::<Secret>("guest", label).await;
    s.wait("web", "the cloud's refusal", |x| {
        words(x, ConditionType::Ready).contains("Invalid input")
    })
    .await;
    s.ready("web").await;
    // Tokens that are refused, passwords that are wrong and quoted.
    world.sim.expire_tokens();
    world.sim.set_password("demo", "another");
    let quoted = json!({"error": {"code": 401, "title": "Unauthorized",
        "message": format!("The password {PLANTED} is wrong")}});
    let effect = FaultEffect::Status {
        code: 401,
        body: Some(quoted),
    };
    world
        .sim
        .inject(FaultRule::new(effect).on("POST /v3/auth/tokens").times(1));
    s.reason("web", ConditionType::Ready, "Unknown", "CredentialsInvalid")
        .await;
    world.sim.set_password("demo", PLANTED);
    let touched = json!({"metadata": {"labels": {"touched": "1"}}, "stringData": {"more": "1"}});
    s.patch::<Secret>("cloud", touched).await;
    s.ready("web").await;
    // The new Secret is read within half a minute, and the cloud is logged into anew.
    tokio::time::sleep(std::time::Duration::from_secs(120)).await;
    assert!(world.log.text().contains("the cloud refused"), "the log is read");
    world.judge().await;
}

async fn login(s: &crate::scenarios::stage::Stage) -> String {
    let secret = s.api::<Secret>().get(&s.name("login")).await.unwrap();
    String::from_utf8(secret.data.unwrap()["password"].0.clone()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_password_of_nova_is_kept_each_time_that_it_makes_one() {
    let (world, s) = Virtual::new().await;
    let name = s.name("login");
    s.create(
        "web",
        json!({"credentialsSecretName": name, "rebuild": {"when": "OnImageChange"}}),
    )
    .await;
    s.reason(
        "web",
        ConditionType::CredentialsStored,
        "True",
        "CredentialsSaved",
    )
    .await;
    let mut known = vec![login(&s).await];
    for (change, state) in [
        (json!({"rescue": {}}), "Rescued"),
        (json!({"rescue": null}), "Running"),
        (json!({"image": {"name": "cirros-new"}}), "Running"),
    ] {
        s.edit("web", change.clone()).await;
        s.ready_in("web", state).await;
        known.push(login(&s).await);
    }
    assert_ne!(known[1], known[0], "of the rescue");
    assert_eq!(known[2], known[1], "nothing is told as it is left");
    assert_ne!(known[3], known[2], "of the installation");
    assert!(known.iter().all(|p| p.len() == 12), "{known:?}");
    for password in &known {
        world.plant(password);
    }
    world.judge().await;
}
