//! Replies of any shape: bytes at random, documents that are cut off, members that are missing, of another type, nested
//! without end or longer than any document; headers that nobody would send. Whatever a cloud says, no controller may fall,
//! make a second server or believe what it cannot read; and when the cloud speaks sense again, the wish is reached.
//!
//! A run is a seed; `ARBITRARY=cloud/seed cargo test --features sim --test virtual_time -- arbitrary::` plays one again.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use evenkeel::sim::apiserver::ApiServer;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::campaign::{caught, number, paused, play_all};
use crate::matrix::field::Field;
use crate::matrix::{Fresh, PROVIDERS};
use crate::scenarios::cluster::{power_of, ready};
use crate::scenarios::dice::Dice;

/// How many runs each cloud gets (`ARBITRARY_SEEDS`).
const SEEDS: usize = 16;
/// One reply of so many is forged.
const ONE_OF: u64 = 4;

/// How many values a document has, itself among them.
fn size(value: &Value) -> u64 {
    1 + match value {
        Value::Array(all) => all.iter().map(size).sum(),
        Value::Object(all) => all.values().map(size).sum::<u64>(),
        _ => 0,
    }
}

/// Changes the value with this number, counted as `size` counts.
fn change(value: &mut Value, n: &mut u64, how: &mut dyn FnMut(&mut Value)) -> bool {
    if *n == 0 {
        how(value);
        return true;
    }
    *n -= 1;
    match value {
        Value::Array(all) => all.iter_mut().any(|v| change(v, n, how)),
        Value::Object(all) => all.values_mut().any(|v| change(v, n, how)),
        _ => false,
    }
}

/// Another value in the place of this one, never of the same type but for texts without end: what is of the right type
/// cannot be told from the truth. A document that lies well is met by the fault campaign (lists that lack servers).
fn misshapen(value: &mut Value, dice: &mut Dice) {
    let deep = (0..200).fold(json!({}), |inner, _| json!([inner]));
    let all = [
        Value::Null,
        json!(true),
        json!(-1),
        json!(1e300),
        json!(""),
        json!("\u{0}\u{202e}\u{1f980}".repeat(50_000)),
        json!({"a": {"b": []}}),
        deep,
    ];
    let kind = std::mem::discriminant(value);
    let other: Vec<&Value> = all
        .iter()
        .filter(|v| std::mem::discriminant(*v) != kind)
        .collect();
    match value {
        Value::Object(members) if dice.roll(2) == 0 && !members.is_empty() => {
            let keys: Vec<String> = members.keys().cloned().collect();
            members.remove(dice.of(&keys));
        }
        _ => *value = (*dice.of(&other)).clone(),
    }
}

fn forged(mut reply: Response<Bytes>, dice: &mut Dice) -> Response<Bytes> {
    let body = reply.body().clone();
    let mut document = serde_json::from_slice::<Value>(&body).ok();
    match (dice.roll(8), &mut document) {
        (0, _) => {
            let noise: Vec<u8> = (0..dice.roll(300)).map(|_| dice.roll(256) as u8).collect();
            *reply.body_mut() = noise.into();
        }
        (1, _) => *reply.body_mut() = body.slice(..dice.roll(body.len() as u64) as usize),
        (2, _) => {
            // No 4xx: a cloud that refuses what it has done lies well.
            let codes = [204, 206, 299, 302, 304, 500, 503, 599, 999];
            *reply.status_mut() = StatusCode::from_u16(*dice.of(&codes)).unwrap();
        }
        (3, _) => {
            let values: [&[u8]; 6] = [b"-1", b"soon", b"99999999999999999999", b"", b"\xff\xfe", b"1e9"];
            let value = HeaderValue::from_bytes(values[dice.roll(6) as usize]).unwrap();
            for name in [
                "retry-after",
                "x-subject-token",
                "date",
                "location",
                "content-type",
                "x-request-id",
            ] {
                reply
                    .headers_mut()
                    .insert(HeaderName::from_static(name), value.clone());
            }
        }
        (_, Some(document)) => {
            for _ in 0..=dice.roll(2) {
                let mut n = dice.roll(size(document));
                change(document, &mut n, &mut |value| misshapen(value, dice));
            }
            *reply.body_mut() = document.to_string().into();
        }
        (_, None) => *reply.body_mut() = Bytes::from_static(b"{\"a\":"),
    }
    reply
}

async fn play(fresh: Fresh, seed: u64) {
    let api = ApiServer::new().unwrap();
    let mut f = Field::logged(fresh(&api), api, tracing::Level::WARN);
    let dice = Mutex::new(Dice(seed));
    f.tap.forge(move |reply| {
        let mut dice = dice.lock().unwrap();
        if dice.roll(ONE_OF) == 0 {
            forged(reply, &mut dice)
        } else {
            reply
        }
    });
    f.account("cloud", true).await;
    f.run();
    let wishes = ["Running", "Stopped", "Running"];
    f.create("web", json!({})).await;
    for wish in wishes {
        f.edit("web", json!({"powerState": wish})).await;
        sleep(Duration::from_secs(300)).await;
    }
    f.create("late", json!({})).await;
    f.delete("web").await;
    sleep(Duration::from_secs(30)).await;
    f.tap.forge(|reply| reply);
    f.gone("web").await;
    let is_so = |x: &_| ready(x) && power_of(x) == "Running";
    let late = f.wait("late", "Running again", is_so).await;
    let made = f.only(&late);
    assert_eq!((f.cloud.servers().len(), made.power.as_str()), (1, "Running"));
    f.judge().await;
    assert_eq!(f.running(), 1, "a controller fell");
}

#[test]
fn whatever_a_cloud_replies() {
    let (only, first) = match std::env::var("ARBITRARY") {
        Ok(name) => {
            let (cloud, seed) = name.split_once('/').unwrap();
            (Some(cloud.to_owned()), seed.parse().unwrap())
        }
        Err(_) => (None, 1),
    };
    let seeds = if only.is_some() {
        1
    } else {
        number("ARBITRARY_SEEDS", SEEDS)
    };
    let clouds: Vec<_> = PROVIDERS
        .iter()
        .filter(|(name, _)| only.as_ref().is_none_or(|o| o == name))
        .collect();
    let failed = play_all(clouds.len() * seeds, |job| {
        let (name, fresh) = clouds[job % clouds.len()];
        let seed = first + (job / clouds.len()) as u64;
        let words = caught(|| paused().block_on(play(*fresh, seed))).err()?;
        Some(format!(
            "{name}/{seed}: {}",
            words.lines().take(12).collect::<Vec<_>>().join("\n    ")
        ))
    });
    assert!(
        failed.is_empty(),
        "{} failed:\n{}",
        failed.len(),
        failed.join("\n")
    );
}
