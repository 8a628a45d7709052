//! One run of a scenario with its troubles, and what must be true of it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenkeel::api::{ConditionType, ProviderConfig, Server, conditions};
use evenkeel::sim::apiserver::{ApiServer, Fault, Phase, Verb, WriteEvent};
use serde_json::{Value, json};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

use super::act::Act;
use super::plan::{Call, Moment, Trace, Trick, Trouble};
use crate::matrix::clouds::{Cloud, Seen, SeenGroup};
use crate::matrix::field::{Field, ended};
use crate::tap::{Fate, Side};

/// How long a settled world is watched.
pub const QUIET: Duration = Duration::from_secs(120);
/// Within what time the last word is said of an account whose credentials were refused once.
const LEISURE: Duration = Duration::from_secs(420);
/// The same of any other account: its counts.
pub const REST: Duration = Duration::from_secs(60);
/// How long a dead process is missed.
const RESTART: Duration = Duration::from_secs(2);
/// How long a fault may delay what an undisturbed run does at once: the longest deadline of an operation and the longest
/// pause between two tries, some times over.
const DELAY: Duration = Duration::from_secs(45 * 60);
/// The same where the cloud refused the credentials: it is asked again seldom, since some lock a key that is wrong.
const REFUSED: Duration = Duration::from_secs(90 * 60);
/// How many changes more than an undisturbed run a disturbed one may ask for.
const MORE_CHANGES: usize = 10;
/// How many requests a second may be asked while something is under way, and how many more.
const READS_A_SECOND: f64 = 4.0;
const MORE_READS: f64 = 60.0;

/// How a scenario is played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// A second controller acts as well.
    pub rival: bool,
    /// The controller is started anew before the wish.
    pub restart: bool,
}

impl Manner {
    /// What is written behind the name of a run.
    pub fn name(self) -> String {
        let part = |there: bool, word: &str| if there { format!("/{word}") } else { String::new() };
        part(self.rival, "rival") + &part(self.restart, "restart")
    }

    /// What a name says.
    pub fn named(name: &str) -> Self {
        Self {
            rival: name.contains("/rival"),
            restart: name.contains("/restart"),
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
    let cloud = fresh(&api);
    let mut f = Field::logged(Arc::clone(&cloud), api.clone(), tracing::Level::WARN);
    f.account("cloud", true).await;
    cloud.hurry();
    // A machine takes minutes: nobody needs to look at it each second.
    if cloud.name() == "clouddc" {
        f.patch::<ProviderConfig>("cloud", json!({"spec": {"observe": {"busyInterval": "10s"}}}))
            .await;
    }
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
    let (writes, reads) = (f.written().len(), read(&api));
    let began = Instant::now();
    let (process, trigger) = f.triggers().remove(0);
    arm(&f, act, troubles, &process, trigger);
    act.begin(&f).await;
    let mut alive = f.released();
    loop {
        let done = tokio::select! {
            biased;
            () = ended(&mut alive) => false,
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
        end: Vec::new(),
    };
    for (kind, before) in reads {
        if let Some(n) = trace.reads.get_mut(&kind) {
            *n -= before;
        }
    }
    cloud.clear_faults();
    api.clear_faults();
    // A moment that did not come any more.
    let (told, clock) = (std::env::var_os("CAMPAIGN").is_some(), api.clone());
    api.on_write(move |event| {
        if told && event.phase == Phase::Before && event.call.client.starts_with("evenkeel") {
            tell(&clock, event);
        }
        Fault::Pass
    });
    f.tap.meet(|_| Fate::Pass);
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
    // What is said of the account itself follows at leisure.
    let refused = troubles.iter().any(Trouble::refuses_credentials);
    sleep(if refused { LEISURE } else { REST }).await;
    f.judge_for(QUIET).await;
    trace.end = end(&f).await;
    judge(&f, act, troubles, &trace, reference);
    trace
}

fn read(api: &ApiServer) -> BTreeMap<(Verb, &'static str), u64> {
    api.requests("evenkeel-1")
        .into_iter()
        .filter(|((verb, _), _)| *verb == Verb::Get)
        .collect()
}

/// Puts the troubles in place, and the judge who looks at every write.
fn arm(f: &Field, act: Act, troubles: &[Trouble], process: &str, trigger: AbortHandle) {
    for trouble in troubles {
        if let Some(rule) = trouble.of_cloud() {
            f.cloud.inject(rule);
        }
        if let Some(rule) = trouble.of_cluster(process) {
            f.api.fault(rule);
        }
    }
    let victim = Arc::new(Mutex::new(trigger));
    let kill = Arc::new(move || victim.lock().unwrap().abort());
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
    let clock = f.api.clone();
    f.tap.meet(move |met| {
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
    let honest = !act.has_strangers() && !troubles.iter().any(Trouble::misleads);
    let (cloud, api, name, writes) = (
        Arc::clone(&f.cloud),
        f.api.clone(),
        process.to_owned(),
        AtomicU64::new(0),
    );
    f.api.on_write(move |event| {
        if !event.call.client.starts_with("evenkeel") {
            return Fault::Pass;
        }
        if event.phase == Phase::Before {
            if told {
                tell(&api, event);
            }
            lawful(event);
            if honest {
                truthful(event, &*cloud);
            }
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
}

fn turn(api: &ApiServer, client: &str, trick: Trick) {
    const AWAY: Duration = Duration::from_secs(20);
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

/// The controller writes status, its finalizer and its annotations; never a spec.
fn lawful(event: &WriteEvent) {
    let ours = ["servers", "servergroups", "serveractions", "providerconfigs"].contains(&event.call.plural);
    if ours && event.call.subresource.is_none() {
        let body = &event.body;
        let spec = match &**body {
            Value::Array(operations) => operations
                .iter()
                .any(|o| o["path"].as_str().is_some_and(|p| p.starts_with("/spec"))),
            _ => body.get("spec").is_some(),
        };
        assert!(!spec, "a spec is written: {event:#?}");
    }
}

/// What is said to be ready is so in the cloud at that moment.
fn truthful(event: &WriteEvent, cloud: &dyn Cloud) {
    if event.call.plural != "servers" || event.call.subresource.is_none() {
        return;
    }
    let Ok(server) = serde_json::from_value::<Server>((*event.body).clone()) else {
        return;
    };
    if !crate::scenarios::cluster::ready(&server) {
        return;
    }
    let status = server.status.as_ref().unwrap();
    let desired = status.power.as_ref().and_then(|p| p.desired.clone());
    let id = status.id.as_deref().unwrap_or_default();
    let real = cloud.servers().into_iter().find(|s| s.id == id);
    let power = real.as_ref().map(|s| s.power.as_str());
    let wished = desired.as_deref().filter(|d| ["Running", "Stopped"].contains(d));
    assert!(
        real.is_some() && wished.is_none_or(|w| Some(w) == power),
        "Ready is said of a server that is {power:?} in the cloud and is to be {wished:?}: {:#}",
        event.body
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
    let mut all: Vec<String> = f.cloud.servers().into_iter().map(server).collect();
    all.extend(f.cloud.groups().into_iter().map(group));
    all.extend(objects.iter().map(object));
    all.sort();
    all
}

/// How often each kind of change was carried out.
fn changes(trace: &Trace) -> BTreeMap<Call, usize> {
    let mut all = BTreeMap::new();
    for request in trace.requests.iter().filter(|r| r.applied) {
        let call = Call::of(request);
        if call.changes() && !call.reads() {
            *all.entry(call).or_default() += 1;
        }
    }
    all
}

fn judge(f: &Field, act: Act, troubles: &[Trouble], trace: &Trace, reference: Option<&Trace>) {
    let mut left: Vec<String> = f.cloud.servers().into_iter().map(|s| s.power).collect();
    left.sort();
    assert_eq!(left, act.leaves(&*f.cloud), "what is left of {act:?}");
    let Some(reference) = reference else {
        return;
    };
    assert_eq!(
        trace.end, reference.end,
        "the end is another one than that of an undisturbed run"
    );
    let late = trace.took.saturating_sub(reference.took);
    let most = if troubles.iter().any(Trouble::refuses_credentials) {
        REFUSED
    } else {
        DELAY
    };
    assert!(
        late < most,
        "it took {:?} instead of {:?}",
        trace.took,
        reference.took
    );
    let asked = |t: &Trace| t.requests.iter().filter(|r| Call::of(r).changes()).count();
    let (now, then) = (asked(trace), asked(reference));
    let asked_for: Vec<String> = trace
        .requests
        .iter()
        .filter(|r| Call::of(r).changes())
        .map(|r| format!("{:?} {} {:?}", r.at, r.key(), r.status))
        .collect();
    assert!(
        now <= then + MORE_CHANGES,
        "{now} changes were asked for instead of {then}: {asked_for:#?}"
    );
    let reads = (trace.requests.len() - now) as f64;
    let most = trace.took.as_secs_f64() * READS_A_SECOND + MORE_READS;
    assert!(reads <= most, "{reads} reads in {:?}", trace.took);
    let (now, then) = (changes(trace), changes(reference));
    for (call, n) in &now {
        let most = then.get(call).copied().unwrap_or_default().max(act.may_ask());
        assert!(
            *n <= most,
            "{} {} {:?} was carried out {n} times instead of {most}: {now:#?}",
            call.method,
            call.route,
            call.action
        );
    }
}
