//! Interfaces and volumes that come and go: what is sent, and what is not sent a second time.

use super::*;
use crate::planner::model::ItemChange;

const NET: &str = "7f7b4c0e-2f7c-4c55-8f55-5a8a3a1f2b11";
const VOLUME: &str = "0b7f9a5e-6a3c-4a53-9d8b-0c9d35e1a9d1";
const PORT: &str = "1c7f9a5e-6a3c-4a53-9d8b-0c9d35e1a9d2";

fn change(name: &'static str, add: &[&str], remove: &[&str], seen: &[&str]) -> CloudCall {
    let texts = |all: &[&str]| all.iter().map(|k| (*k).to_owned()).collect::<Vec<_>>();
    let change = ItemChange {
        name,
        add: texts(add).into_iter().map(|k| (k, String::new())).collect(),
        remove: texts(remove),
        seen: texts(seen),
        ..ItemChange::default()
    };
    operate(OperationKind::Modify, Operate::Items(change))
}

/// A server with one interface on the network, and a project with that network and demo-net.
fn cloud(attach: Option<Answer>) -> Arc<Fake> {
    let attach = Mutex::new(attach);
    Fake::new(move |seen, _| {
        let reply = match seen.line.as_str() {
            "GET /v2.1/servers/s-1/os-interface" => json!({"interfaceAttachments": [
                {"port_id": PORT, "net_id": NET, "mac_addr": "FA:16:3E:00:00:01", "fixed_ips": [{"ip_address": "10.0.0.5"}]}]}),
            "GET /v2.0/networks?fields=id&fields=name" => json!({"networks": [{"id": NET, "name": "b"}]}),
            "POST /v2.1/servers/s-1/os-interface" => match attach.lock().unwrap().take() {
                Some(answer) => return Some(answer),
                None => json!({"interfaceAttachment": {}}),
            },
            "GET /v2.1/servers/s-1/os-volume_attachments" => {
                json!({"volumeAttachments": [{"volumeId": VOLUME}]})
            }
            line if line.starts_with("DELETE /v2.1/servers/s-1/os-") => Value::Null,
            _ => return None,
        };
        Some(Ok((200, reply)))
    })
}

async fn sent(fake: &Arc<Fake>, call: CloudCall) -> Result<Done, CloudError> {
    provider(fake).call(&call, bare()).await
}

#[tokio::test(start_paused = true)]
async fn an_interface_is_attached_by_name_and_address_and_detached_by_its_port() {
    let fake = cloud(None);
    sent(&fake, change("networks", &["demo-net 10.0.0.9"], &[], &[]))
        .await
        .unwrap();
    let body = fake.last("POST /v2.1/servers/s-1/os-interface").body;
    assert_eq!(
        body,
        json!({"interfaceAttachment": {"net_id": "net-1", "fixed_ips": [{"ip_address": "10.0.0.9"}]}})
    );
    sent(&fake, change("networks", &[], &["fa:16:3e:00:00:01"], &[]))
        .await
        .unwrap();
    assert_eq!(
        fake.count(&format!("DELETE /v2.1/servers/s-1/os-interface/{PORT}")),
        1
    );
    // What is gone is gone.
    sent(&fake, change("networks", &[], &["fa:16:3e:00:00:02"], &[]))
        .await
        .unwrap();
    assert_eq!(fake.count("DELETE "), 1);
}

#[tokio::test(start_paused = true)]
async fn what_came_since_the_comparison_is_not_attached_again() {
    let fake = cloud(None);
    // The id is among the networks that are known only after they were read: it is compared again.
    let provider = provider(&fake);
    let call = change("networks", &[NET], &[], &[]);
    let first = provider.call(&call, bare()).await.map(|_| ()).unwrap_err();
    assert_eq!(first.class, ErrorClass::Transient);
    provider.call(&call, bare()).await.unwrap();
    assert_eq!(fake.count("POST /v2.1/servers/"), 0, "{:?}", fake.lines());
    // One that was there then is another one.
    let seen = change("networks", &[NET], &[], &["fa:16:3e:00:00:01"]);
    provider.call(&seen, bare()).await.unwrap();
    assert_eq!(fake.count("POST /v2.1/servers/"), 1);
    let nobody = change("networks", &["00000000-2f7c-4c55-8f55-5a8a3a1f2b11"], &[], &[]);
    let said = provider.call(&nobody, bare()).await.map(|_| ()).unwrap_err();
    assert_eq!(said.class, ErrorClass::InvalidSpec);
    let port = format!("id {PORT}");
    provider
        .call(&change("networks", &[&port], &[], &[]), bare())
        .await
        .unwrap();
    assert_eq!(fake.count("POST /v2.1/servers/"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_thing_that_nova_does_not_find_is_a_wrong_wish() {
    let fake = cloud(refuse(404, "itemNotFound", "Port id x could not be found."));
    let said = sent(&fake, change("networks", &["demo-net"], &[], &[])).await;
    assert_eq!(said.map(|_| ()).unwrap_err().class, ErrorClass::InvalidSpec);
    let fake = cloud(refuse(404, "itemNotFound", "Instance s-1 could not be found."));
    let said = sent(&fake, change("networks", &["demo-net"], &[], &[])).await;
    assert_eq!(said.map(|_| ()).unwrap_err().class, ErrorClass::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_port_that_is_wished_for_is_not_detached_for_its_network() {
    let fake = cloud(None);
    let CloudCall::Operate {
        id,
        kind,
        how: Operate::Items(mut items),
    } = change("networks", &[], &["fa:16:3e:00:00:01"], &[])
    else {
        unreachable!()
    };
    items.keep = vec![format!("id {PORT}")];
    let call = CloudCall::Operate {
        id,
        kind,
        how: Operate::Items(items),
    };
    let said = sent(&fake, call).await.map(|_| ()).unwrap_err();
    assert_eq!((said.class, fake.count("DELETE ")), (ErrorClass::InvalidSpec, 0));
}

#[tokio::test(start_paused = true)]
async fn a_volume_is_attached_once_and_made_with_a_server_it_stays() {
    let fake = cloud(None);
    sent(&fake, change("volumes", &[VOLUME], &[], &[])).await.unwrap();
    assert_eq!(fake.count("POST /v2.1/servers/"), 0);
    sent(&fake, change("volumes", &[], &[VOLUME, PORT], &[]))
        .await
        .unwrap();
    assert_eq!(fake.count("DELETE "), 1);
    let call = create(json!({"openstack": {"volumes": [{"name": "data", "volume": VOLUME}]}}));
    provider(&fake).call(&call, bare()).await.unwrap();
    let body = &fake.last("POST /v2.1/servers").body["server"];
    assert_eq!(
        body["block_device_mapping_v2"],
        json!([{"boot_index": 0, "uuid": "img-1", "source_type": "image", "destination_type": "local",
                "delete_on_termination": true},
            {"boot_index": -1, "uuid": VOLUME, "source_type": "volume", "destination_type": "volume",
                "delete_on_termination": false}])
    );
    assert_eq!(body["imageRef"], "img-1");
}

#[tokio::test(start_paused = true)]
async fn a_cloud_without_volumes_is_said_and_not_asked_again() {
    // As a real Nova says it where there is no Cinder.
    let words = "Unexpected API Error. Please contact the administrator\n<class \
                 'keystoneauth1.exceptions.catalog.EndpointNotFound'>";
    let fake = Fake::new(move |seen, _| match seen.line.as_str() {
        "GET /v2.1/servers/s-1/os-volume_attachments" => Some(Ok((200, json!({"volumeAttachments": []})))),
        "POST /v2.1/servers/s-1/os-volume_attachments" => refuse(500, "computeFault", words),
        _ => None,
    });
    let said = sent(&fake, change("volumes", &[VOLUME], &[], &[])).await;
    let said = said.map(|_| ()).unwrap_err();
    assert_eq!((said.class, said.maybe_applied), (ErrorClass::Unsupported, false));
    assert!(said.message.contains("EndpointNotFound"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn interfaces_are_told_with_their_networks_or_not_at_all() {
    for there in [true, false] {
        let fake = Fake::new(move |seen, _| match seen.line.as_str() {
            "GET /v2.0/networks?fields=id&fields=name" if there => {
                Some(Ok((200, json!({"networks": [{"id": NET, "name": "b"}]}))))
            }
            line if line.starts_with("GET /v2.1/servers/detail") => {
                let mut one = server("s-1", "ACTIVE");
                one["addresses"] = json!({"b": [
                    {"addr": "10.0.0.5", "OS-EXT-IPS-MAC:mac_addr": "fa:16:3e:00:00:01", "OS-EXT-IPS:type": "fixed"}]});
                Some(Ok((200, json!({"servers": [one, server("s-2", "ACTIVE")]}))))
            }
            _ => None,
        });
        let all = provider(&fake).list().await.unwrap();
        let told = all[0].items.get("networks");
        let words = told.and_then(|all| all.get("fa:16:3e:00:00:01")).cloned();
        assert_eq!(words, there.then(|| format!("b\n10.0.0.5\n{NET}")));
        assert!(all[1].items["networks"].is_empty());
    }
}
