//! One run of a scenario with its troubles, and what must be true of it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenkeel::api::{ConditionType, ProviderConfig, Server, conditions};
use evenkeel::sim::apiserver::{ApiServer, Fault, Phase, Verb, WriteEvent};
use serde_json::json;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

use super::act::Act;
use super::eyes::{Eyes, Trust};
use super::judge;
use super::plan::{self, Moment, Trace, Trick, Trouble};
use crate::matrix::clouds::{Cloud, Seen, SeenGroup};
use crate::matrix::field::{Field, ended};
use crate::tap::{Fate, Side};

/// How long a settled world is watched.
pub const QUIET: Duration = Duration::from_secs(120);
/// Within what time the last word is said of an account whose credentials were refused once, and of details that could not be read.
const LEISURE: Duration = Duration::from_secs(420);
/// The same of any other account: its counts.
const REST: Duration = Duration::from_secs(60);
/// How long it is where that is what is asked.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Somebody's own server in every world, which has the name of an object and nothing else in common with it.
const BYSTANDER: &str = "web";
/// How long a dead process is missed.
pub const RESTART: Duration = Duration::from_secs(2);
/// How long the API server is away, or its watches are silent.
const AWAY: Duration = Duration::from_secs(20);

/// How a scenario is played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// A second controller acts as well.
    pub rival: bool,
    /// The controller is started anew before the wish.
    pub restart: bool,
    /// It is watched for a day when it is at rest.
    pub day: bool,
}

impl Manner {
    /// What is written behind the name of a run.
    pub fn name(self) -> String {
        let part = |there: bool, word: &str| if there { format!("/{word}") } else { String::new() };
        part(self.rival, "rival") + &part(self.restart, "restart") + &part(self.day, "day")
    }

    /// One that is drawn: as often one controller as two, or one that was just started.
    pub const fn drawn(dice: u64) -> Self {
        Self {
            rival: dice.is_multiple_of(4),
            restart: dice % 4 == 1,
            day: false,
        }
    }

    /// What a name says.
    pub fn named(name: &str) -> Self {
        Self {
            rival: name.contains("/rival"),
            restart: name.contains("/restart"),
            day: name.contains("/day"),
        }
    }
}

/// Plays a scenario in a world of its own.
///
/// # Errors
/// What was not true, in words.
pub fn play(
    fresh: fn(&ApiServer) -> Arc<dyn Cloud>,
    act: Act,
    troubles: &[Trouble],
    reference: Option<&Trace>,
    manner: Manner,
) -> Result<Trace, String> {
    let run = || paused().block_on(played(fresh, act, troubles, reference, manner));
    caught(run)
}

/// Runs it; what it panics with is an error.
///
/// # Errors
/// What was not true, in words.
pub fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
            .unwrap_or_default()
    })
}

/// A runtime of its own, in virtual time.
pub fn paused() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(true).build().unwrap()
}

async fn played(
    fresh: fn(&ApiServer) -> Arc<dyn Cloud>,
    act: Act,
    troubles: &[Trouble],
    reference: Option<&Trace>,
    manner: Manner,
) -> Trace {
    let api = ApiServer::new().unwrap();
    let (cloud, origin) = (fresh(&api), Instant::now());
    let mut f = Field::logged(Arc::clone(&cloud), api.clone(), tracing::Level::WARN);
    f.account("cloud", true).await;
    cloud.hurry();
    // A machine takes minutes: nobody needs to look at it each second.
    if cloud.name() == "clouddc" {
        f.patch::<ProviderConfig>("cloud", json!({"spec": {"observe": {"busyInterval": "10s"}}}))
            .await;
    }
    f.bystander(BYSTANDER).await;
    f.run();
    act.prepare(&f).await;
    if manner.restart {
        f.kill().await;
        f.run();
    }
    if manner.rival {
        f.run();
    }
    // The account is known, and what was prepared is at rest.
    sleep(Duration::from_secs(40)).await;
    cloud.reset_requests();
    let (writes, reads, traffic) = (f.written().len(), read(&api), f.tap.traffic());
    let (began, wall) = (Instant::now(), api.now());
    let (process, trigger) = f.triggers().remove(0);
    let trust = Trust {
        honest: !act.has_strangers() && !troubles.iter().any(Trouble::misleads),
        alone: !manner.rival,
        prompt: !troubles.iter().any(|t| t.misleads() || t.is_late()),
    };
    let (eyes, _looking) = Eyes::open(&api, &cloud, act, trust, f.stands_by());
    let over = arm(&f, &eyes, troubles, &process, trigger);
    act.begin(&f).await;
    let mut alive = f.released();
    loop {
        let done = tokio::select! {
            biased;
            () = ended(&mut alive) => false,
            found = eyes.find() => panic!("{found}"),
            () = act.fulfilled(&f) => true,
        };
        if done {
            break;
        }
        sleep(RESTART).await;
        f.run();
        alive = f.released();
    }
    let mut trace = Trace {
        requests: cloud.requests(),
        writes: f.written().split_off(writes),
        reads: read(&api),
        took: began.elapsed(),
        ..Trace::default()
    };
    judge::counted(&f, &traffic, trace.requests.len(), troubles);
    for (kind, before) in reads {
        if let Some(n) = trace.reads.get_mut(&kind) {
            *n -= before;
        }
    }
    trace.last = plan::last(
        troubles,
        &trace,
        began - origin,
        wall,
        over.lock().unwrap().map(|at| at - began),
    );
    eyes.rest();
    cloud.clear_faults();
    api.clear_faults();
    // A moment that did not come any more.
    let (told, clock, sees) = (
        std::env::var_os("CAMPAIGN").is_some(),
        api.clone(),
        Arc::clone(&eyes),
    );
    api.on_write(move |event| {
        if told && event.phase == Phase::Before && event.call.client.starts_with("evenkeel") {
            tell(&clock, event);
        }
        sees.writes(event);
        Fault::Pass
    });
    let sees = Arc::clone(&eyes);
    f.tap.meet(move |met| {
        if met.side == Side::Before {
            sees.sends(met);
        }
        Fate::Pass
    });
    // An account whose credentials were refused is tried again seldom.
    f.wait_for::<ProviderConfig>("cloud", "Ready", |c| {
        let conditions = c
            .status
            .as_ref()
            .map(|s| s.conditions.as_slice())
            .unwrap_or_default();
        conditions::get(conditions, ConditionType::Ready).is_some_and(|c| c.status == "True")
    })
    .await;
    sleep(rest(troubles, &trace, began.elapsed(), reference)).await;
    f.judge_for(if manner.day { DAY } else { QUIET }).await;
    eyes.look();
    eyes.nothing_is_left();
    let found = eyes.found();
    assert!(found.is_empty(), "{}", found.join("\n"));
    (trace.watched, trace.turns) = (began.elapsed(), eyes.turns());
    trace.end = end(&f).await;
    // What a deed makes is not made where its call went wrong for good.
    if act.deed().is_none() {
        trace.end.push(format!("{} disks", f.cloud.disks()));
    }
    judge::judge(&f, act, troubles, &trace, reference, manner);
    judge::told(&f, &eyes, troubles);
    trace
}

/// How long after its fulfilment a world is left alone before it has to be at rest. What is said of the account itself, and what
/// only one server's own page shows, follows at leisure. A call that is held up on its way may arrive after the wish is fulfilled, but not later than its delay: what it does then
/// takes as long as it did in the undisturbed run, and is seen. So does what a list that lies has let us believe to be over.
pub fn rest(troubles: &[Trouble], trace: &Trace, now: Duration, reference: Option<&Trace>) -> Duration {
    let slow = |t: &Trouble| t.refuses_credentials() || t.hides_details();
    let rest = if troubles.iter().any(slow) { LEISURE } else { REST };
    let longest = troubles.iter().map(Trouble::outlives).max().unwrap_or_default();
    let lies = troubles.iter().any(Trouble::misleads);
    let Some(reference) = reference.filter(|_| lies || !longest.is_zero()) else {
        return rest;
    };
    let over = trace.last.max(trace.took + longest);
    rest + over.saturating_sub(now) + reference.took
}

/// The reads of the first controller.
pub fn read(api: &ApiServer) -> BTreeMap<(Verb, &'static str), u64> {
    api.requests("evenkeel-1")
        .into_iter()
        .filter(|((verb, _), _)| *verb == Verb::Get)
        .collect()
}

/// Puts the troubles in place, and the eyes that look at every step. Gives when the last kill or trick was over.
pub fn arm(
    f: &Field,
    eyes: &Arc<Eyes>,
    troubles: &[Trouble],
    process: &str,
    trigger: AbortHandle,
) -> Arc<Mutex<Option<Instant>>> {
    let over = Arc::new(Mutex::new(None));
    for trouble in troubles {
        if let Some(rule) = trouble.of_cloud() {
            f.cloud.inject(rule);
        }
        if let Some(rule) = trouble.of_cluster(process) {
            f.api.fault(rule);
        }
    }
    let (victim, ended) = (Mutex::new(trigger), Arc::clone(&over));
    let kill = Arc::new(move || {
        *ended.lock().unwrap() = Some(Instant::now() + RESTART);
        victim.lock().unwrap().abort();
    });
    let kills: Vec<Moment> = troubles
        .iter()
        .filter_map(|t| match t {
            Trouble::Kill(moment) => Some(*moment),
            _ => None,
        })
        .collect();
    let tricks: Vec<(u64, Trick)> = troubles
        .iter()
        .filter_map(|t| match t {
            Trouble::Watch(n, trick) => Some((*n, *trick)),
            _ => None,
        })
        .collect();
    let (calls, dead, name, end) = (
        AtomicU64::new(0),
        kills.clone(),
        process.to_owned(),
        Arc::clone(&kill),
    );
    let told = std::env::var_os("CAMPAIGN").is_some();
    let (clock, sees) = (f.api.clone(), Arc::clone(eyes));
    f.tap.meet(move |met| {
        if met.side == Side::Before {
            sees.sends(met);
        }
        if told {
            println!("{} {} {:?} change {}", clock.now(), met.process, met.side, met.n);
        }
        if met.process != name {
            return Fate::Pass;
        }
        let before = met.side == Side::Before;
        let n = if before {
            calls.fetch_add(1, Ordering::SeqCst) + 1
        } else {
            calls.load(Ordering::SeqCst)
        };
        let moment = if before {
            Moment::BeforeCall(n)
        } else {
            Moment::AfterCall(n)
        };
        if dead.contains(&moment) {
            end();
            return Fate::Stuck;
        }
        Fate::Pass
    });
    let (sees, api, name, writes) = (
        Arc::clone(eyes),
        f.api.clone(),
        process.to_owned(),
        AtomicU64::new(0),
    );
    let tricked = Arc::clone(&over);
    f.api.on_write(move |event| {
        sees.writes(event);
        if !event.call.client.starts_with("evenkeel") {
            return Fault::Pass;
        }
        if told && event.phase == Phase::Before {
            tell(&api, event);
        }
        if event.call.client != name {
            return Fault::Pass;
        }
        let before = event.phase == Phase::Before;
        let n = if before {
            writes.fetch_add(1, Ordering::SeqCst) + 1
        } else {
            writes.load(Ordering::SeqCst)
        };
        if before && let Some((_, trick)) = tricks.iter().find(|(at, _)| *at == n) {
            *tricked.lock().unwrap() = Some(Instant::now() + AWAY);
            turn(&api, &name, *trick);
        }
        let moment = if before {
            Moment::BeforeWrite(n)
        } else {
            Moment::AfterWrite(n)
        };
        if kills.contains(&moment) {
            kill();
            // Before: it never arrives. After: it was carried out, and nobody reads the reply.
            return if before { Fault::Drop } else { Fault::Pass };
        }
        Fault::Pass
    });
    over
}

fn turn(api: &ApiServer, client: &str, trick: Trick) {
    let (api, client) = (api.clone(), client.to_owned());
    tokio::spawn(async move {
        match trick {
            Trick::Break => api.break_watches(&client),
            Trick::Expire => api.expire_watches(&client),
            Trick::Freeze => {
                api.freeze_watches(&client);
                sleep(AWAY).await;
                api.thaw_watches(&client);
            }
            Trick::Cut => {
                api.cut(&client);
                sleep(AWAY).await;
                api.mend(&client);
            }
        }
    });
}

/// One line for each write, where a run is played again.
fn tell(api: &ApiServer, event: &WriteEvent) {
    let status = &event.body["status"];
    println!(
        "{} {} {:?} {} {} {} operation {} {}{}",
        api.now(),
        event.call.client,
        event.call.verb,
        event.call.plural,
        event.call.name,
        event.call.subresource.as_deref().unwrap_or_default(),
        status["operation"],
        status["conditions"].as_array().map_or_else(String::new, |all| {
            let said = all.iter().filter(|c| c["status"] != "False");
            let said = said.map(|c| format!("{}={} ", c["type"], c["reason"]));
            said.collect()
        }),
        if std::env::var_os("CAMPAIGN_WHOLE").is_some() {
            status.to_string()
        } else {
            String::new()
        }
    );
}

/// What there is in the end, without what differs from run to run.
pub async fn end(f: &Field) -> Vec<String> {
    let objects: Vec<Server> = f.api::<Server>().list(&Default::default()).await.unwrap().items;
    let name = |o: &Server| o.metadata.name.clone().unwrap();
    let server = |s: Seen| {
        let of = objects.iter().find(|o| o.metadata.uid == s.uid).map(name);
        let of = of.unwrap_or_else(|| "no object".to_owned());
        format!("server {} of {of}: {} {}", s.name, s.power, s.size)
    };
    let group = |g: SeenGroup| format!("group {} of {}", g.policy, g.members.len());
    let object = |o: &Server| {
        let status = o.status.as_ref().unwrap();
        // What is not so need not be said.
        let said = status.conditions.iter().filter(|c| c.status != "False");
        let mut said: Vec<String> = said.map(|c| format!("{}={}", c.type_, c.reason)).collect();
        said.sort();
        let lock = status.lock.as_ref().map(|l| (l.ours, l.state));
        format!(
            "object {}: {:?} {lock:?} {}",
            name(o),
            status.size,
            said.join(" ")
        )
    };
    let mut all: Vec<String> = f.servers().into_iter().map(server).collect();
    all.extend(f.cloud.groups().into_iter().map(group));
    all.extend(objects.iter().map(object));
    all.sort();
    all
}
