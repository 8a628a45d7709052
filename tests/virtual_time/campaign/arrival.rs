//! The objects of an account in any order, with pauses between them, one controller or two, a restart anywhere, and up to two
//! faults: the end is the same. `ARRIVAL=cloud/seed` plays one again.

use std::time::{Duration, Instant as Clock};

use evenkeel::api::{ConditionType, ProviderConfig, Server, ServerAction, ServerGroup, conditions};
use evenkeel::sim::apiserver::ApiServer;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use super::act::Act;
use super::eyes::{Eyes, Trust};
use super::plan::{self, Trace, Trouble};
use super::run::{QUIET, RESTART, arm, caught, end, paused, read, rest};
use super::{clouds, lists, none, number, play_all};
use crate::matrix::field::{Field, ended};
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
    /// What goes wrong, for the first controller.
    troubles: Vec<Trouble>,
}

impl Arrival {
    /// One after the other, as somebody would write them down.
    fn usual(objects: usize) -> Self {
        Self {
            order: (0..objects).collect(),
            pauses: vec![Duration::ZERO; objects],
            controllers: 1,
            restart: None,
            troubles: Vec::new(),
        }
    }

    /// Drawn by seed; a restart comes while the usual one would be under way, and faults are those that it can meet.
    fn drawn(seed: u64, objects: usize, took: Duration, all: &[Trouble]) -> Self {
        let mut dice = Dice(seed);
        let mut left: Vec<usize> = (0..objects).collect();
        let draw =
            |left: &mut Vec<usize>, dice: &mut Dice| left.remove(dice.roll(left.len() as u64) as usize);
        let order = (0..objects).map(|_| draw(&mut left, &mut dice)).collect();
        let pauses = (0..objects).map(|_| *dice.of(PAUSES)).collect();
        let controllers = 1 + dice.roll(2) as usize;
        let at = Duration::from_millis(dice.roll(took.as_millis() as u64));
        let restart = (dice.roll(3) > 0).then_some(at);
        let troubles = (0..dice.roll(3)).map(|_| dice.of(all).clone()).collect();
        Self {
            order,
            pauses,
            controllers,
            restart,
            troubles,
        }
    }

    fn words(&self, objects: &[Value]) -> String {
        let name = |n: &usize| format!("{} {}", objects[*n]["kind"], objects[*n]["metadata"]["name"]);
        let order: Vec<String> = self.order.iter().map(name).collect();
        let troubles: Vec<String> = self.troubles.iter().map(ToString::to_string).collect();
        format!(
            "{} with pauses {:?}, {} controllers, restart {:?}, {}",
            order.join(", "),
            self.pauses,
            self.controllers,
            self.restart,
            troubles.join("; ")
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

/// A world in which they came so: how it went, what the deed came to, and how they came, in words.
struct Played {
    trace: Trace,
    deed: String,
    words: String,
    troubled: bool,
}

/// Lets them come, with an eye on every step.
async fn played(fresh: Fresh, arrival: &dyn Fn(usize) -> Arrival, usual: Option<&Trace>) -> Played {
    let api = ApiServer::new().unwrap();
    let (cloud, origin) = (fresh(&api), Instant::now());
    let mut f = Field::logged(cloud.clone(), api.clone(), tracing::Level::WARN);
    f.cloud.hurry();
    let objects = objects(&f);
    let arrival = arrival(objects.len());
    let troubles = &arrival.troubles;
    for _ in 0..arrival.controllers {
        f.run();
    }
    let (began, wall) = (Instant::now(), api.now());
    let trust = Trust {
        honest: !troubles.iter().any(Trouble::misleads),
        alone: arrival.controllers == 1,
        prompt: !troubles.iter().any(|t| t.misleads() || t.is_late()),
    };
    let (eyes, _looking) = Eyes::open(&api, &cloud, Act::Group, trust, None);
    let (process, trigger) = f.triggers().remove(0);
    let over = arm(&f, &eyes, troubles, &process, trigger);
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
    let mut alive = f.released();
    loop {
        let done = tokio::select! {
            biased;
            () = ended(&mut alive) => false,
            found = eyes.find() => panic!("{found}"),
            () = fulfilled(&f) => true,
        };
        if done {
            break;
        }
        sleep(RESTART).await;
        f.run();
        alive = f.released();
    }
    let mut trace = Trace {
        requests: f.cloud.requests(),
        writes: f.written(),
        reads: read(&api),
        took: began.elapsed(),
        ..Trace::default()
    };
    trace.last = plan::last(
        troubles,
        &trace,
        began - origin,
        wall,
        over.lock().unwrap().map(|at| at - began),
    );
    eyes.rest();
    f.cloud.clear_faults();
    api.clear_faults();
    sleep(rest(troubles, &trace, began.elapsed(), usual)).await;
    f.judge_for(QUIET).await;
    eyes.look();
    eyes.nothing_is_left();
    let found = eyes.found();
    assert!(found.is_empty(), "{}", found.join("\n"));
    trace.end = end(&f).await;
    let action = f.api::<ServerAction>().get("now").await.unwrap();
    Played {
        trace,
        deed: deeds::stands(&action).0.to_string(),
        words: arrival.words(&objects),
        troubled: !troubles.is_empty(),
    }
}

/// Ends the controllers as SIGKILL does, and starts as many.
async fn anew(f: &mut Field, controllers: usize) {
    f.kill().await;
    for _ in 0..controllers {
        f.run();
    }
}

fn play(fresh: Fresh, arrival: &dyn Fn(usize) -> Arrival, usual: Option<&Trace>) -> Result<Played, String> {
    caught(|| paused().block_on(played(fresh, arrival, usual)))
}

/// The usual order, and what can go wrong in it.
struct Usual {
    played: Played,
    troubles: Vec<Trouble>,
}

/// What is wrong with the end of a seed.
fn judge(provider: &str, fresh: Fresh, seed: u64, usual: &Usual) -> Option<String> {
    let trace = &usual.played.trace;
    let drawn = |objects| Arrival::drawn(seed, objects, trace.took, &usual.troubles);
    let why = match play(fresh, &drawn, Some(trace)) {
        // What became of a deed whose call went wrong may be unknown for good.
        Ok(p) if p.trace.end == trace.end && (p.troubled || p.deed == usual.played.deed) => return None,
        Ok(p) => format!(
            "{}\n    {:#?}, deed {}\n    instead of {:#?}, deed {}",
            p.words, p.trace.end, p.deed, trace.end, usual.played.deed
        ),
        Err(words) => words.lines().take(12).collect::<Vec<_>>().join("\n    "),
    };
    Some(format!("ARRIVAL={provider}/{seed}\n    {why}"))
}

fn usual(provider: &str, fresh: Fresh) -> Usual {
    let played = play(fresh, &Arrival::usual, None).unwrap_or_else(|words| panic!("{provider}: {words}"));
    let troubles = plan::all(&played.trace, lists(provider));
    Usual { played, troubles }
}

#[test]
fn whatever_order_objects_arrive_in_the_end_is_the_same() {
    let orders = number("CAMPAIGN_ORDERS", ORDERS);
    let mut failed = Vec::new();
    for (provider, fresh) in clouds() {
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
