//! What every provider owes the planner, whatever its cloud replies.

use std::time::Duration;

use evenkeel::api::ProviderConfig;
use evenkeel::sim::cloud::{FaultEffect, FaultRule, Spoil};
use serde_json::json;
use tokio::time::sleep;

use super::field::Field;
use super::special::changes;
use crate::scenarios::cluster::{id_of, power_of, ready};

/// Every way in which a reply is not what was asked for.
const SPOILS: [Spoil; 6] = [
    Spoil::Truncated,
    Spoil::Html,
    Spoil::WrongType,
    Spoil::Empty,
    Spoil::Huge,
    Spoil::Gzip,
];

/// Spoils all replies for so long; then all is well again.
async fn spoilt(f: &Field, how: Spoil, seconds: u64) {
    let effect = FaultEffect::Spoilt { how, code: None };
    f.cloud.inject(FaultRule::new(effect));
    sleep(Duration::from_secs(seconds)).await;
    f.cloud.clear_faults();
}

pub async fn replies_that_cannot_be_read_lose_nothing(f: &mut Field) {
    f.create("web", json!({})).await;
    let server = f.ready_in("web", "Running").await;
    let id = id_of(&server).to_owned();
    f.cloud.reset_requests();
    for how in SPOILS {
        spoilt(f, how, 90).await;
        let after = f.ready_in("web", "Running").await;
        assert_eq!(
            (id_of(&after), f.only(&after).id.as_str()),
            (id.as_str(), id.as_str()),
            "{how:?}"
        );
    }
    assert_eq!(
        changes(f),
        Vec::<String>::new(),
        "nothing was wrong with the server"
    );
    for (n, how) in SPOILS.into_iter().enumerate() {
        let wish = ["Stopped", "Running"][n % 2];
        f.edit("web", json!({"powerState": wish})).await;
        spoilt(f, how, 20).await;
        let after = f.wait("web", wish, |x| ready(x) && power_of(x) == wish).await;
        assert_eq!(f.only(&after).id, id, "{how:?}");
    }
}

pub async fn a_reply_to_a_creation_that_cannot_be_read_makes_no_second_server(f: &mut Field) {
    for (n, how) in SPOILS.into_iter().enumerate() {
        let name = format!("web-{n}");
        f.create(&name, json!({})).await;
        spoilt(f, how, 20).await;
        let server = f.ready_in(&name, "Running").await;
        let uid = server.metadata.uid.clone();
        f.only(&server);
        assert_eq!(f.cloud.high_water().get(&uid.unwrap()), Some(&1), "{how:?}");
        f.remove(&name).await;
    }
}

pub async fn a_list_of_many_pages_is_complete(f: &mut Field) {
    const MANY: i32 = 230;
    for n in 0..MANY {
        f.cloud.by_hand(&format!("theirs-{n}"));
    }
    f.wait_for::<ProviderConfig>("cloud", "all are counted", |c| {
        let servers = c.status.as_ref().and_then(|s| s.servers.as_ref());
        servers.is_some_and(|s| s.foreign == MANY)
    })
    .await;
}

pub async fn what_somebody_deleted_is_let_go_without_a_word(f: &mut Field) {
    f.create("web", json!({})).await;
    let server = f.ready_in("web", "Running").await;
    f.cloud.delete(id_of(&server));
    f.remove("web").await;
    assert!(f.cloud.servers().is_empty());
}
