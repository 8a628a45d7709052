//! What is sent to change an instance that exists: its system, its password, its network.

use super::*;
use crate::api::server::ServerSpec;
use crate::planner::model::{ADMIN_PASSWORD, Disks};

fn attributes(list: &[(&'static str, &str)]) -> CloudCall {
    let list = list.iter().map(|(n, v)| (*n, (*v).to_owned())).collect();
    operate(OperationKind::Modify, Operate::Attributes(list))
}

fn image(image: Value) -> CloudCall {
    let image = serde_json::from_value(image).unwrap();
    operate(OperationKind::Rebuild, Operate::Image(image, Disks::default()))
}

#[tokio::test(start_paused = true)]
async fn each_change_is_one_request() {
    let password = SecretString::from(ADMIN);
    for (call, line, body) in [
        (
            image(json!({"id": "im-2"})),
            "PUT /v1/p1/instances/reinstall",
            json!({"image_id": "im-2", "password": ADMIN, "instance_id_set": ["s-1"]}),
        ),
        (
            attributes(&[(ADMIN_PASSWORD, "secret/key")]),
            "PUT /v1/p1/instances/password",
            json!({"new_password": ADMIN, "instance_id_set": ["s-1"]}),
        ),
        (
            attributes(&[("network", "v-1 sn-1=10.0.0.9 sn-2=*")]),
            "PUT /v1/p1/instances/s-1/ip",
            json!({"vpc_id": "v-1", "nics": [{"subnet_id": "sn-1", "ip_address": "10.0.0.9"}, {"subnet_id": "sn-2"}]}),
        ),
    ] {
        let fake = Fake::new(|_, _| None);
        let done = provider(&fake).call(&call, with(&password)).await.unwrap();
        assert_eq!(done.accepted.id.as_deref(), Some("s-1"));
        assert_eq!(fake.lines(), [line]);
        assert_eq!(fake.last("PUT").body, body);
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_said_is_refused_before_anything_is_sent() {
    let (good, weak) = (SecretString::from(ADMIN), SecretString::from("password"));
    let fake = Fake::new(|_, _| None);
    let p = provider(&fake);
    let refused = Some("SecretRefused");
    for (call, with, code) in [
        (image(json!({"id": "im-2"})), bare(), refused),
        (image(json!({"id": "im-2"})), with(&weak), refused),
        (image(json!({"name": "debian"})), with(&good), None),
        (attributes(&[(ADMIN_PASSWORD, "a/b")]), bare(), refused),
        (attributes(&[(ADMIN_PASSWORD, "a/b")]), with(&weak), refused),
        (attributes(&[("network", "v-1")]), with(&good), None),
    ] {
        let error = p.call(&call, with).await.unwrap_err();
        assert_eq!(
            (error.class, error.code.as_deref()),
            (ErrorClass::InvalidSpec, code),
            "{call:?}"
        );
        assert!(!error.message.contains("password\""), "{error}");
    }
    for several in [
        attributes(&[("title", "x")]),
        attributes(&[("network", "v-1 s=*"), (ADMIN_PASSWORD, "a/b")]),
    ] {
        let error = p.call(&several, with(&good)).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Unsupported);
    }
    assert!(fake.lines().is_empty(), "{:?}", fake.lines());
}

#[tokio::test(start_paused = true)]
async fn a_password_is_in_no_refusal() {
    let password = SecretString::from(ADMIN);
    for call in [
        image(json!({"id": "im-2"})),
        attributes(&[(ADMIN_PASSWORD, "a/b")]),
    ] {
        let fake = Fake::new(|seen, _| {
            let echo = format!("cannot take {}", seen.body);
            seen.line
                .starts_with("PUT")
                .then(|| refuse(400, "iMetal.0001", &echo))
                .flatten()
        });
        let error = provider(&fake).call(&call, with(&password)).await.unwrap_err();
        assert!(!format!("{error:?}").contains(ADMIN), "{error:?}");
        assert_eq!(error.class, ErrorClass::InvalidSpec);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_left_ours_out_was_not_taken() {
    let fake = Fake::new(|seen, _| {
        let others = json!({"instances": [{"id": "another"}]});
        seen.line
            .ends_with("/instances/password")
            .then_some(Ok((200, others)))
    });
    let password = SecretString::from(ADMIN);
    let call = attributes(&[(ADMIN_PASSWORD, "a/b")]);
    let error = provider(&fake).call(&call, with(&password)).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Busy);
}

/// The texts of the wish and of the cloud are the same where nothing differs.
#[test]
fn a_network_is_shown_in_the_words_of_the_wish() {
    let spec: ServerSpec = serde_json::from_value(json!({"providerConfigRef": {"name": "p"},
        "adminPasswordSecretRef": {"name": "s", "key": "k"},
        "cloudDC": {"vpcID": "v-1", "networkInterfaces": [
            {"name": "a", "subnetID": "sn-1", "ipv4Address": "10.0.0.9"}, {"name": "b", "subnetID": "sn-2"}]}}))
    .unwrap();
    let wanted = settings::wanted(&spec);
    let texts: Vec<(&str, &str)> = wanted.iter().map(|w| (w.name, w.value.as_str())).collect();
    assert_eq!(
        texts,
        [("network", "v-1 sn-1=10.0.0.9 sn-2=*"), (ADMIN_PASSWORD, "s/k")]
    );
    assert!(wanted.iter().all(|w| w.needs_stop && w.alone));
    assert_eq!(
        wanted.iter().map(|w| w.verified).collect::<Vec<_>>(),
        [true, false]
    );

    let shown = |nics: Value| {
        let instance = json!({"id": "s-1", "vpc_id": "v-1", "network_interfaces": nics});
        settings::observed(&serde_json::from_value(instance).unwrap())
    };
    let both = json!([{"subnet_id": "sn-1", "ipv4_address": "10.0.0.9"}, {"subnet_id": "sn-2", "ipv4_address": "10.0.1.3"}]);
    assert_eq!(shown(both)["network"], "v-1 sn-1=10.0.0.9 sn-2=10.0.1.3");
    for unknown in [json!([]), json!([{"subnet_id": "sn-1"}]), Value::Null] {
        assert!(
            shown(unknown).is_empty(),
            "one that is still being made says nothing"
        );
    }
}
