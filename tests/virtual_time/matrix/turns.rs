//! Scenarios of `disruption.maxUnavailable`: how many members may be down at once.

use std::time::Duration;

use evenkeel::api::Server;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::field::Field;
use super::grouped::member;
use crate::scenarios::cluster::ready;
use crate::scenarios::groups::make;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// Four members get this change; at no moment more than `most` are not running in the cloud, until all are `done`.
async fn in_turns(f: &Field, most: usize, change: &Value, done: impl Fn(&Server) -> bool) {
    for name in NAMES {
        f.edit(name, change.clone()).await;
    }
    let mut seen = 0;
    let watch = async {
        loop {
            let all = f.cloud.servers();
            let down: Vec<_> = all.iter().filter(|s| s.power != "Running").collect();
            seen = seen.max(down.len());
            assert!(down.len() <= most, "{} are down at once: {down:#?}", down.len());
            sleep(Duration::from_millis(100)).await;
        }
    };
    let all = async {
        for name in NAMES {
            f.wait(name, "it is done", |s| ready(s) && done(s)).await;
        }
    };
    tokio::select! { () = watch => {}, () = all => {} }
    assert_eq!(seen, most, "every turn is used");
}

async fn four(f: &Field, most: usize, more: &Value) {
    make(f, "g", json!({"disruption": {"maxUnavailable": most}})).await;
    for name in NAMES {
        member(f, name, more.clone()).await;
    }
    for name in NAMES {
        f.ready_in(name, "Running").await;
    }
}

pub async fn few_members_are_resized_at_once(f: &mut Field) {
    let (small, big) = f.cloud.sizes().unwrap();
    // Where a running server grows, it has to be stopped to shrink.
    let (from, to) = if f.cloud.capabilities().live_resize {
        (big, small)
    } else {
        (small, big)
    };
    let more = json!({"size": {"name": from}, "resize": {"when": "StopIfNeeded"}});
    four(f, 2, &more).await;
    in_turns(f, 2, &json!({"size": {"name": to}}), |s| {
        s.status.as_ref().unwrap().size.as_deref() == Some(to)
    })
    .await;
}

pub async fn few_members_are_restarted_at_once(f: &mut Field) {
    four(f, 1, &json!({})).await;
    in_turns(f, 1, &json!({"restart": {"token": "now"}}), |s| {
        let restart = s.status.as_ref().and_then(|s| s.restart.as_ref());
        restart.is_some_and(|r| r.token == "now" && r.outcome == "Done")
    })
    .await;
}

pub async fn one_member_is_restarted_at_a_time(f: &mut Field) {
    make(f, "g", json!({"disruption": {"maxUnavailable": 1}})).await;
    let names = ["a", "b", "c"];
    for name in names {
        member(f, name, json!({})).await;
    }
    for name in names {
        f.ready_in(name, "Running").await;
    }
    for name in names {
        f.edit(name, json!({"restart": {"token": "now"}})).await;
    }
    let restarting = |s: &Server| {
        let restart = s.status.as_ref().and_then(|s| s.restart.as_ref());
        restart.is_some_and(|r| r.token == "now" && r.outcome == "Restarting")
    };
    let watch = async {
        loop {
            let mut under_way = 0;
            for name in names {
                under_way += usize::from(restarting(&f.get(name).await));
            }
            assert!(under_way <= 1, "{under_way} are restarted at once");
            sleep(Duration::from_millis(200)).await;
        }
    };
    let done = async {
        for name in names {
            f.wait(name, "restarted", |s| {
                let restart = s.status.as_ref().and_then(|s| s.restart.as_ref());
                ready(s) && restart.is_some_and(|r| r.token == "now" && r.outcome == "Done")
            })
            .await;
        }
    };
    tokio::select! { () = watch => {}, () = done => {} }
}
