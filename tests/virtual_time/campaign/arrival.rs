//! The objects of an account in any order, with pauses between them, one controller or two, and a restart anywhere: the
//! end is the same. `ARRIVAL=cloud/seed` plays one again.

use std::time::{Duration, Instant as Clock};

use evenkeel::api::{ConditionType, ProviderConfig, Server, ServerAction, ServerGroup, conditions};
use evenkeel::sim::apiserver::ApiServer;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use super::run::{QUIET, REST, caught, end, paused};
use super::{none, number, play_all};
use crate::matrix::field::Field;
use crate::matrix::{Fresh, PROVIDERS};
use crate::scenarios::dice::Dice;
use crate::scenarios::{deeds, groups};

/// How many orders are played for each provider.
const ORDERS: usize = 60;
/// How long somebody may wait before the next object.
const PAUSES: &[Duration] = &[
    Duration::ZERO,
    Duration::from_millis(3),
    Duration::from_millis(200),
    Duration::from_secs(7),
];

/// How the objects come.
struct Arrival {
    order: Vec<usize>,
    pauses: Vec<Duration>,
    controllers: usize,
    restart: Option<Duration>,
}

impl Arrival {
    /// One after the other, as somebody would write them down.
    fn usual(objects: usize) -> Self {
        Self {
            order: (0..objects).collect(),
            pauses: vec![Duration::ZERO; objects],
            controllers: 1,
            restart: None,
        }
    }

    /// Drawn by seed; a restart comes while the usual one would be under way.
    fn drawn(seed: u64, objects: usize, took: Duration) -> Self {
        let mut dice = Dice(seed);
        let mut left: Vec<usize> = (0..objects).collect();
        let draw =
            |left: &mut Vec<usize>, dice: &mut Dice| left.remove(dice.roll(left.len() as u64) as usize);
        let order = (0..objects).map(|_| draw(&mut left, &mut dice)).collect();
        let pauses = (0..objects).map(|_| *dice.of(PAUSES)).collect();
        let controllers = 1 + dice.roll(2) as usize;
        let at = Duration::from_millis(dice.roll(took.as_millis() as u64));
        Self {
            order,
            pauses,
            controllers,
            restart: (dice.roll(3) > 0).then_some(at),
        }
    }

    fn words(&self, objects: &[Value]) -> String {
        let name = |n: &usize| format!("{} {}", objects[*n]["kind"], objects[*n]["metadata"]["name"]);
        let order: Vec<String> = self.order.iter().map(name).collect();
        format!(
            "{} with pauses {:?}, {} controllers, restart {:?}",
            order.join(", "),
            self.pauses,
            self.controllers,
            self.restart
        )
    }
}

/// An account, two members of a group where there are groups, and a deed.
fn objects(f: &Field) -> Vec<Value> {
    let can = f.cloud.capabilities();
    let grouped = can.groups.is_some();
    let mut all = f.account_objects("cloud", true).to_vec();
    let member = if grouped {
        json!({"groupRef": {"name": "g"}})
    } else {
        json!({})
    };
    all.extend(["a", "b"].map(|name| f.server(name, member.clone())));
    if grouped {
        let placement = json!({"placement": {"policy": "SoftAntiAffinity"}});
        all.push(groups::object("g", placement));
    }
    all.push(deeds::object(
        "now",
        "b",
        json!({"reboot": {"mode": "SoftThenHard"}}),
    ));
    all
}

async fn make(f: &Field, object: &Value) {
    match object["kind"].as_str() {
        Some("Secret") => drop(f.make::<Secret>(object).await),
        Some("ProviderConfig") => drop(f.make::<ProviderConfig>(object).await),
        Some("ServerGroup") => drop(f.make::<ServerGroup>(object).await),
        Some("ServerAction") => drop(f.make::<ServerAction>(object).await),
        _ => drop(f.make::<Server>(object).await),
    }
}

async fn fulfilled(f: &Field) {
    for name in ["a", "b"] {
        f.ready_in(name, "Running").await;
    }
    deeds::ended(f, "now").await;
    f.ready_in("b", "Running").await;
    if f.cloud.capabilities().groups.is_some() {
        groups::ready(f, "g").await;
    }
    f.wait_for::<ProviderConfig>("cloud", "Ready", |c| {
        let all = c.status.as_ref().map_or(&[][..], |s| &s.conditions);
        conditions::get(all, ConditionType::Ready).is_some_and(|c| c.status == "True")
    })
    .await;
}

/// The end of a world in which they come so, and how long it took.
async fn played(fresh: Fresh, arrival: &dyn Fn(usize) -> Arrival) -> (Vec<String>, Duration, String) {
    let api = ApiServer::new().unwrap();
    let mut f = Field::logged(fresh(&api), api, tracing::Level::WARN);
    f.cloud.hurry();
    let objects = objects(&f);
    let arrival = arrival(objects.len());
    for _ in 0..arrival.controllers {
        f.run();
    }
    let began = Instant::now();
    let mut restart = arrival.restart.map(|at| began + at);
    for (n, pause) in arrival.order.iter().zip(&arrival.pauses) {
        let next = Instant::now() + *pause;
        if let Some(at) = restart.take_if(|at| *at <= next) {
            sleep_until(at).await;
            anew(&mut f, arrival.controllers).await;
        }
        sleep_until(next).await;
        make(&f, &objects[*n]).await;
    }
    if let Some(at) = restart {
        sleep_until(at).await;
        anew(&mut f, arrival.controllers).await;
    }
    fulfilled(&f).await;
    let took = began.elapsed();
    sleep(REST).await;
    f.judge_for(QUIET).await;
    let mut all = end(&f).await;
    let action = f.api::<ServerAction>().get("now").await.unwrap();
    all.push(format!("deed {}", deeds::stands(&action).0));
    (all, took, arrival.words(&objects))
}

/// Ends the controllers as SIGKILL does, and starts as many.
async fn anew(f: &mut Field, controllers: usize) {
    f.kill().await;
    for _ in 0..controllers {
        f.run();
    }
}

fn play(fresh: Fresh, arrival: &dyn Fn(usize) -> Arrival) -> Result<(Vec<String>, Duration, String), String> {
    caught(|| paused().block_on(played(fresh, arrival)))
}

/// What is wrong with the end of a seed.
fn judge(provider: &str, fresh: Fresh, seed: u64, usual: &(Vec<String>, Duration, String)) -> Option<String> {
    let drawn = move |objects| Arrival::drawn(seed, objects, usual.1);
    let why = match play(fresh, &drawn) {
        Ok((end, ..)) if end == usual.0 => return None,
        Ok((end, _, words)) => format!("{words}\n    {end:#?}\n    instead of {:#?}", usual.0),
        Err(words) => words.lines().take(12).collect::<Vec<_>>().join("\n    "),
    };
    Some(format!("ARRIVAL={provider}/{seed}\n    {why}"))
}

fn usual(provider: &str, fresh: Fresh) -> (Vec<String>, Duration, String) {
    play(fresh, &Arrival::usual).unwrap_or_else(|words| panic!("{provider}: {words}"))
}

#[test]
fn whatever_order_objects_arrive_in_the_end_is_the_same() {
    let orders = number("CAMPAIGN_ORDERS", ORDERS);
    let mut failed = Vec::new();
    for (provider, fresh) in PROVIDERS {
        let began = Clock::now();
        let usual = usual(provider, *fresh);
        failed.extend(play_all(orders, |job| {
            judge(provider, *fresh, job as u64, &usual)
        }));
        println!(
            "{provider}: {orders} orders of arrival in {:.0?}",
            began.elapsed()
        );
    }
    none(&failed);
}

/// Plays one again, by the name under which it was printed.
#[test]
fn replay() {
    let Ok(name) = std::env::var("ARRIVAL") else {
        return;
    };
    let (provider, seed) = name.split_once('/').unwrap();
    let (provider, fresh) = PROVIDERS.iter().find(|(name, _)| *name == provider).unwrap();
    let usual = usual(provider, *fresh);
    if let Some(words) = judge(provider, *fresh, seed.parse().unwrap(), &usual) {
        panic!("{words}");
    }
}
