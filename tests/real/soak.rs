//! Chaos on real processes: two controllers with a lease, the real kube-apiserver and the real Nova, a bad network between
//! them, processes that are killed, frozen and started again, wall clocks that are an hour wrong; users and strangers go on
//! as if nothing were wrong. In the end the weather is fine, and the world is compared object by object. `SOAK` is its
//! length in seconds, `SOAK_SEED` its seed: the same events in the same order, although not at the same moments.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use evenkeel::api::Server;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::moments::Ways;
use crate::parts::Parts;
use crate::process::Process;
use crate::scenarios::dice::Dice;
use crate::scenarios::stage::{Stage, id_of};
use crate::wall::Wall;
use crate::weather::Weather;

/// How many objects there are at most.
const OBJECTS: u64 = 6;
/// A controller that is frozen for so long has lost its lease (15 seconds).
const FROZEN: Duration = Duration::from_secs(20);
/// A service of Nova is away for so long.
const AWAY: Duration = Duration::from_secs(8);
/// The services that go away: what is asked of them is refused. Not nova-conductor nor nova-scheduler: a creation that they
/// take from the queue as they go is lost by Nova itself, and its server stays in BUILD for good.
pub const SERVICES: [&str; 1] = ["nova-api"];
/// A deletion without progress for so long, with nothing wrong any more, is one that Nova has lost.
const LOST: Duration = Duration::from_secs(45);
/// So far is the wall clock stepped, in seconds.
const HOUR: i64 = 3600;

/// What happens to the processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Nothing,
    ControllerKilled,
    ControllerFrozen,
    ServiceAway(&'static str),
    ApiServerKilled,
    EtcdKilled,
    /// The wall clock of the controllers is right, or so many seconds ahead.
    Clock(i64),
}

/// All of these happen, each as often as it stands here, in an order that is drawn; then all of them again. Who was
/// started before a step does not hear of it: so there are clocks that differ by an hour or two.
const EVENTS: [Event; 12] = [
    Event::Nothing,
    Event::Nothing,
    Event::ControllerKilled,
    Event::ControllerKilled,
    Event::ControllerKilled,
    Event::ControllerFrozen,
    Event::ServiceAway(SERVICES[0]),
    Event::ApiServerKilled,
    Event::EtcdKilled,
    Event::Clock(HOUR),
    Event::Clock(-HOUR),
    Event::Clock(0),
];

fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).map_or(usual, |text| text.parse().unwrap())
}

struct Soak<'a> {
    parts: &'a Parts,
    s: &'a Stage,
    ways: Ways,
    wall: Wall,
    controllers: Vec<Process>,
    dice: Dice,
    /// What is to happen until all events are drawn anew.
    ahead: Vec<Event>,
    /// What is wished for, by the name of the object: a power state, or that it be gone.
    wishes: BTreeMap<String, Option<&'static str>>,
    events: BTreeMap<Event, u32>,
    deeds: BTreeMap<&'static str, u32>,
}

/// Plays it.
pub async fn play(parts: &Parts, s: &Stage) {
    let (length, seed) = (Duration::from_secs(number("SOAK", 180)), number("SOAK_SEED", 1));
    let ways = Ways::open(parts, s).await;
    let wall = parts.wall();
    let controller = || parts.controller_at(s, &ways.cluster, Some(&wall));
    let controllers = vec![controller(), controller()];
    parts.holder(&s.namespace, |_| true).await;
    let mut soak = Soak {
        parts,
        s,
        ways,
        wall,
        controllers,
        dice: Dice(seed),
        ahead: Vec::new(),
        wishes: BTreeMap::new(),
        events: BTreeMap::new(),
        deeds: BTreeMap::new(),
    };
    soak.weather(seed);
    let end = Instant::now() + length;
    // Each event has happened once, however slow the machine.
    while Instant::now() < end || soak.events.values().sum::<u32>() < EVENTS.len() as u32 {
        for _ in 0..3 {
            soak.user().await;
        }
        soak.event().await;
        soak.never_two().await;
        // People and accidents take their time.
        sleep(Duration::from_millis(1000 + soak.dice.roll(4000))).await;
    }
    soak.calm();
    soak.mend().await;
    soak.compare().await;
    println!("    seed {seed}, {length:?}: {:?}; {:?}", soak.deeds, soak.events);
}

impl Soak<'_> {
    fn weather(&self, seed: u64) {
        let ways = [
            (&self.ways.cluster, false),
            (&self.ways.cloud, true),
            (&self.ways.keystone, false),
        ];
        for (n, (proxy, tokens)) in (1..).zip(ways) {
            proxy.weather(Some(Weather::new(seed + n, tokens)));
        }
    }

    fn calm(&self) {
        for proxy in [&self.ways.cluster, &self.ways.cloud, &self.ways.keystone] {
            proxy.weather(None);
        }
    }

    fn count(&mut self, deed: &'static str) {
        *self.deeds.entry(deed).or_default() += 1;
    }

    /// Somebody edits, deletes or makes an object, or lays hands on a server in the cloud.
    async fn user(&mut self) {
        let name = self.s.name(&format!("web-{}", self.dice.roll(OBJECTS)));
        let power = *self.dice.of(&["Running", "Stopped"]);
        let deed = self.dice.roll(8);
        let there = self.s.api::<Server>().get_opt(&name).await.unwrap();
        let Some(object) = there else {
            self.s
                .create(
                    &name,
                    json!({"powerState": power, "powerOff": {"timeout": "20s"}}),
                )
                .await;
            self.wishes.insert(name, Some(power));
            return self.count("created");
        };
        if object.metadata.deletion_timestamp.is_some() {
            return;
        }
        match deed {
            0 => {
                self.s.delete(&name).await;
                self.wishes.insert(name, None);
                self.count("deleted");
            }
            1 => {
                for server in self.s.nova.of_name(&name).await {
                    let action = *self.dice.of(&["os-stop", "os-start"]);
                    // It may be in a state that does not allow it.
                    let status = self
                        .s
                        .nova
                        .attempt(server["id"].as_str().unwrap(), &json!({ action: null }))
                        .await;
                    self.count(if status == 202 {
                        "done by a stranger"
                    } else {
                        "refused to a stranger"
                    });
                }
            }
            _ => {
                self.s.edit(&name, json!({ "powerState": power })).await;
                self.wishes.insert(name, Some(power));
                self.count("edited");
            }
        }
    }

    async fn event(&mut self) {
        if self.ahead.is_empty() {
            let mut left = EVENTS.to_vec();
            while !left.is_empty() {
                self.ahead
                    .push(left.remove(self.dice.roll(left.len() as u64) as usize));
            }
        }
        let event = self.ahead.pop().unwrap_or(Event::Nothing);
        *self.events.entry(event).or_default() += 1;
        let one = self.dice.roll(self.controllers.len() as u64) as usize;
        match event {
            Event::Nothing => {}
            Event::ControllerKilled => {
                self.controllers[one].kill();
                let again = self
                    .parts
                    .controller_at(self.s, &self.ways.cluster, Some(&self.wall));
                self.controllers[one] = again;
            }
            Event::ControllerFrozen => {
                self.controllers[one].signal("STOP");
                sleep(FROZEN).await;
                self.controllers[one].signal("CONT");
            }
            Event::ServiceAway(service) => {
                self.parts.service(service, false).await;
                sleep(AWAY).await;
                self.parts.service(service, true).await;
            }
            Event::ApiServerKilled => self.crash("apiserver").await,
            Event::EtcdKilled => self.crash("etcd").await,
            Event::Clock(ahead) => {
                self.wall.step(ahead);
                self.told(ahead).await;
            }
        }
    }

    /// Waits until a controller's log tells the time that the wall clock was set to.
    async fn told(&self, ahead: i64) {
        let tells = |p: &Process| p.ahead().is_some_and(|a| (a.as_secs() - ahead).abs() < HOUR / 2);
        let told = async {
            while !self.controllers.iter().any(tells) {
                sleep(Duration::from_millis(200)).await;
            }
        };
        let told = timeout(self.s.patience, told).await;
        told.unwrap_or_else(|_| panic!("no controller's clock is {ahead} s ahead"));
    }

    async fn crash(&self, process: &'static str) {
        self.parts.crash(process).await;
        let serves = async {
            while self.s.api::<Server>().list(&Default::default()).await.is_err() {
                sleep(Duration::from_millis(200)).await;
            }
        };
        let back = timeout(self.s.patience, serves).await;
        back.unwrap_or_else(|_| panic!("no cluster after a crash of {process}"));
    }

    /// At no moment two servers of one object.
    async fn never_two(&self) {
        for object in self.s.api::<Server>().list(&Default::default()).await.unwrap() {
            let uid = object.metadata.uid.as_deref().unwrap();
            let servers = self.s.nova.of_uid(uid).await;
            assert!(servers.len() <= 1, "{servers:#?}");
        }
    }

    /// What an operator does: a nova-api that ends between its own record of a deletion and the word to the host leaves a
    /// server in the task `deleting`, of which Nova takes every further deletion and carries out none. An administrator resets its state, and it is deleted
    /// again.
    async fn mend(&mut self) {
        loop {
            let before = self.deleting().await;
            if before.is_empty() {
                return;
            }
            sleep(LOST).await;
            let now = self.deleting().await;
            for id in before.intersection(&now) {
                println!(
                    "    server {id}: Nova has lost its deletion; its state is reset, and it is deleted again"
                );
                let active = json!({"os-resetState": {"state": "active"}});
                self.parts.nova("admin").act(id, &active).await;
                self.s.nova.delete(id).await;
                self.count("lost by Nova and deleted again");
            }
        }
    }

    /// The servers of our objects that Nova says it is deleting.
    async fn deleting(&self) -> BTreeSet<String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut all = self.s.nova.list().await;
        all.retain(|s| {
            s["OS-EXT-STS:task_state"] == "deleting" && self.wishes.contains_key(&text(&s["name"]))
        });
        all.iter().map(|s| text(&s["id"])).collect()
    }

    /// When all is well again each wish is fulfilled, and nothing else is there.
    async fn compare(&self) {
        for (name, wish) in &self.wishes {
            match wish {
                Some(power) => {
                    let object = self.s.ready_in(name, power).await;
                    let server = self.s.only(&object).await;
                    assert_eq!(server["id"], id_of(&object), "{name}");
                    let status = if *power == "Running" { "ACTIVE" } else { "SHUTOFF" };
                    assert_eq!(server["status"], status, "{name}");
                }
                None => self.s.gone(name).await,
            }
            let count = self.s.nova.of_name(name).await.len();
            assert_eq!(count, usize::from(wish.is_some()), "{name}");
        }
        for (name, _) in self.wishes.iter().filter(|(_, wish)| wish.is_some()) {
            self.s.remove(name).await;
            assert!(self.s.nova.of_name(name).await.is_empty(), "{name}");
        }
    }
}
