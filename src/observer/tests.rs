//! The task of an account under paused time, against a cloud that counts.

use std::collections::BTreeMap;
use std::sync::Mutex;

use futures::future::BoxFuture;

use super::*;
use crate::planner::model::{
    Accepted, Capabilities, CloudCall, Marks, ObservedServer, ObservedSize, ServerState,
};
use crate::providers::{Account, CallWith, Done};

/// A server with marks of the installation `here` for the object `n/<id>` with the uid `u-<id>`.
pub(crate) fn server(id: &str, raw: &str) -> ObservedServer {
    ObservedServer {
        failed_step: None,
        detailed: true,
        attributes: std::collections::BTreeMap::new(),
        parts: Vec::new(),
        items: Arc::default(),
        group_id: None,
        id: id.to_owned(),
        name: id.to_owned(),
        provider_id: format!("fake:///{id}"),
        state: if raw == "ACTIVE" {
            ServerState::Running
        } else {
            ServerState::Stopped
        },
        raw: raw.to_owned(),
        guest_running: None,
        busy: false,
        launched: true,
        size: ObservedSize::default(),
        image_id: None,
        addresses: vec![],
        zone: None,
        host: None,
        unreadable: false,
        locked: None,
        marks: Some(Marks {
            uid: format!("u-{id}"),
            installation: "here".to_owned(),
            object: format!("n/{id}"),
        }),
        fault: None,
    }
}

pub(crate) static NOTHING: Capabilities = Capabilities {
    power_states: &[],
    stop_kinds: &[],
    soft_stop_limit: None,
    restart_modes: &[],
    silent_restart: false,
    hard_restart: &[],
    request_log: false,
    live_resize: false,
    resize_stops_by_itself: true,
    resize_confirm: true,
    marks_mutable: true,
    idle_costs: &[],
    comes_with: &[],
    free_of_locks: &[],
    preconditions: &[],
    create_settle_seconds: 60,
    attributes: Capabilities::no_attributes,
    hints: Capabilities::no_hints,
    groups: None,
    deadlines: &[],
};

/// A cloud in memory.
#[derive(Default)]
pub(crate) struct FakeCloud {
    pub(crate) servers: Mutex<BTreeMap<String, ObservedServer>>,
    pub(crate) lists: Mutex<Vec<Instant>>,
    pub(crate) error: Mutex<Option<CloudError>>,
    pub(crate) delay: Mutex<Duration>,
    pub(crate) calls: Mutex<Vec<CloudCall>>,
    pub(crate) panics: Mutex<bool>,
}

impl FakeCloud {
    fn put(&self, server: ObservedServer) {
        lock(&self.servers).insert(server.id.clone(), server);
    }

    pub(crate) fn asked(&self) -> usize {
        lock(&self.lists).len()
    }
}

impl Provider for FakeCloud {
    fn capabilities(&self) -> &'static Capabilities {
        &NOTHING
    }

    fn account(&self) -> BoxFuture<'_, Result<Account, CloudError>> {
        let account = Account {
            id: "p1".into(),
            name: Some("demo".into()),
            key: "fake/p1".into(),
        };
        let error = lock(&self.error).clone();
        Box::pin(async move { error.map_or(Ok(account), Err) })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Arc<ObservedServer>>, CloudError>> {
        Box::pin(async move {
            lock(&self.lists).push(Instant::now());
            let delay = *lock(&self.delay);
            tokio::time::sleep(delay).await;
            assert!(
                !std::mem::take(&mut *lock(&self.panics)),
                "a fault in the provider"
            );
            match lock(&self.error).clone() {
                Some(error) => Err(error),
                None => Ok(lock(&self.servers).values().cloned().map(Arc::new).collect()),
            }
        })
    }

    fn get<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<ObservedServer, CloudError>> {
        let found = lock(&self.servers).get(id).cloned();
        Box::pin(async move { found.ok_or_else(|| CloudError::new(ErrorClass::NotFound, "no such server")) })
    }

    fn call<'a>(&'a self, call: &'a CloudCall, _: CallWith<'a>) -> BoxFuture<'a, Result<Done, CloudError>> {
        lock(&self.calls).push(call.clone());
        Box::pin(async {
            Ok(Accepted {
                id: Some("new".into()),
                ..Accepted::default()
            }
            .into())
        })
    }
}

#[derive(Default)]
struct Heard(Mutex<Vec<(Instant, String)>>);

impl Wake for Heard {
    fn wake(&self, key: &ObjectKey, _: Duration) {
        lock(&self.0).push((Instant::now(), key.name.clone()));
    }
}

impl Heard {
    fn take(&self) -> Vec<String> {
        let mut names: Vec<_> = std::mem::take(&mut *lock(&self.0))
            .into_iter()
            .map(|(_, n)| n)
            .collect();
        names.sort();
        names
    }
}

struct Scene {
    cloud: Arc<FakeCloud>,
    heard: Arc<Heard>,
    observer: Observer,
    clock: Clock,
}

const PACE: Pace = Pace {
    idle: Duration::from_secs(15),
    busy: Duration::from_secs(1),
};

fn scene(n: usize) -> Scene {
    let cloud = Arc::new(FakeCloud::default());
    let heard = Arc::new(Heard::default());
    let clock = Clock::anchored("2026-01-01T00:00:00Z".parse().unwrap());
    for i in 0..n {
        cloud.put(server(&format!("s{i:04}"), "ACTIVE"));
    }
    let observer = Observer::start(Setup {
        clock,
        installation: "here".into(),
        wake: heard.clone(),
        metrics: metrics::Metrics::default().of_cloud("fake"),
        seed: 7,
        sources: vec![cloud.clone()],
        pace: PACE,
    });
    for i in 0..n {
        let id = format!("s{i:04}");
        observer.attend(&format!("u-{id}"), settled(&id));
    }
    Scene {
        cloud,
        heard,
        observer,
        clock,
    }
}

fn settled(id: &str) -> Interest {
    Interest {
        key: ObjectKey::new("n", id),
        ids: vec![id.to_owned()],
        deleting: false,
        busy: false,
        list_after: None,
        groups: false,
    }
}

impl Scene {
    /// Waits for the `n`th list from now to be taken in.
    async fn lists(&self, n: usize) {
        let mut changes = self.observer.changes();
        for _ in 0..n {
            changes.changed().await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_settled_servers_cost_one_list_per_interval_and_wake_nobody() {
    let s = scene(1000);
    s.lists(1).await;
    assert_eq!(s.heard.take().len(), 1000, "everybody waits for the first list");
    let (start, before) = (Instant::now(), s.cloud.asked());
    s.lists(100).await;
    assert_eq!(s.cloud.asked() - before, 100);
    let each = start.elapsed() / 100;
    assert!(
        each > Duration::from_millis(14_500) && each < Duration::from_millis(15_500),
        "{each:?}"
    );
    assert_eq!(s.heard.take(), Vec::<String>::new());
    assert_eq!(s.observer.view().listing.unwrap().sequence, 101);
}

#[tokio::test(start_paused = true)]
async fn a_change_wakes_whom_it_concerns_by_id_by_mark_and_by_name() {
    let s = scene(10);
    s.lists(1).await;
    s.heard.take();
    let mut by_id = server("s0001", "SHUTOFF");
    by_id.marks = None;
    s.cloud.put(by_id);
    let mut by_uid = server("new-1", "ACTIVE");
    by_uid.marks.as_mut().unwrap().uid = "u-s0002".into();
    s.cloud.put(by_uid);
    let mut by_name = server("new-2", "ACTIVE");
    by_name.marks.as_mut().unwrap().object = "n/s0003".into();
    s.cloud.put(by_name);
    let mut foreign = server("new-3", "ACTIVE");
    let marks = foreign.marks.as_mut().unwrap();
    (marks.object, marks.installation) = ("n/s0004".into(), "elsewhere".into());
    s.cloud.put(foreign);
    lock(&s.cloud.servers).remove("s0005");
    s.lists(1).await;
    assert_eq!(s.heard.take(), ["s0001", "s0002", "s0003", "s0005"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_is_looked_at_every_second_and_alone() {
    let s = scene(10);
    s.lists(1).await;
    s.heard.take();
    s.observer.attend(
        "u-s0003",
        Interest {
            busy: true,
            ..settled("s0003")
        },
    );
    let start = Instant::now();
    s.lists(5).await;
    assert!(start.elapsed() <= Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(s.heard.take(), ["s0003"; 5]);
    s.observer.attend("u-s0003", settled("s0003"));
    let start = Instant::now();
    s.lists(1).await;
    assert!(start.elapsed() > Duration::from_secs(13));
}

#[tokio::test(start_paused = true)]
async fn wanted_lists_come_at_once_and_together_and_are_newer_than_the_wish() {
    let s = scene(50);
    s.lists(1).await;
    s.heard.take();
    tokio::time::advance(Duration::from_secs(3)).await;
    let (before, wanted) = (s.cloud.asked(), s.clock.now());
    for i in 0..50 {
        let id = format!("s{i:04}");
        s.observer.attend(
            &format!("u-{id}"),
            Interest {
                list_after: Some(wanted),
                ..settled(&id)
            },
        );
    }
    let start = Instant::now();
    s.lists(1).await;
    assert_eq!((start.elapsed(), s.cloud.asked() - before), (Duration::ZERO, 1));
    assert_eq!(s.heard.take().len(), 50);
    assert!(s.observer.view().listing.unwrap().asked_at.unwrap() > wanted);

    // A list that was asked for before the wish does not fulfil it.
    *lock(&s.cloud.delay) = Duration::from_secs(2);
    s.observer.attend(
        "u-s0001",
        Interest {
            list_after: Some(s.clock.now()),
            ..settled("s0001")
        },
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    s.observer.attend(
        "u-s0002",
        Interest {
            list_after: Some(s.clock.now()),
            ..settled("s0002")
        },
    );
    s.lists(1).await;
    assert_eq!(s.heard.take(), ["s0001"]);
    s.lists(1).await;
    assert_eq!(s.heard.take(), ["s0002"]);
    assert!(s.cloud.asked() - before == 3);
}

#[tokio::test(start_paused = true)]
async fn a_failed_list_keeps_the_last_one_says_so_once_and_backs_off() {
    let s = scene(3);
    s.lists(1).await;
    s.heard.take();
    *lock(&s.cloud.error) = Some(CloudError::new(ErrorClass::Transient, "503"));
    s.lists(1).await;
    let began = s.clock.now();
    assert_eq!(s.heard.take().len(), 3);
    lock(&s.cloud.lists).clear();
    s.lists(8).await;
    let gaps: Vec<u64> = lock(&s.cloud.lists)
        .windows(2)
        .map(|w| (w[1] - w[0]).as_secs_f64().round() as u64)
        .collect();
    assert!(
        gaps.windows(2).all(|w| w[0] <= w[1] + 1) && (3..=5).contains(&gaps[6]) && gaps[0] <= 3,
        "a cloud that is back is noticed soon: {gaps:?}"
    );
    assert_eq!(s.heard.take(), Vec::<String>::new());
    let view = s.observer.view();
    assert_eq!(view.listing.unwrap().servers.len(), 3);
    let outage = view.outage.unwrap();
    assert_eq!(
        (outage.reason, outage.message.as_str()),
        (Reason::Unreachable, "503")
    );
    assert!(outage.since <= began);
    *lock(&s.cloud.error) = None;
    s.lists(1).await;
    assert_eq!(s.heard.take().len(), 3);
    assert!(s.observer.view().outage.is_none());
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_wait_for_new_ones_and_a_pause_is_kept() {
    let s = scene(1);
    s.lists(1).await;
    let refused = CloudError::new(ErrorClass::Unauthorized, "401");
    *lock(&s.cloud.error) = Some(refused);
    s.lists(1).await;
    let start = Instant::now();
    s.lists(1).await;
    assert_eq!(start.elapsed(), Duration::from_secs(60));
    let fixed = Arc::new(FakeCloud::default());
    let start = Instant::now();
    s.observer.source(vec![fixed.clone()], PACE);
    s.lists(1).await;
    assert_eq!((start.elapsed(), fixed.asked()), (Duration::ZERO, 1));
    let busy = CloudError {
        retry_after: Some(45),
        ..CloudError::new(ErrorClass::RateLimited, "429")
    };
    *lock(&fixed.error) = Some(busy);
    s.lists(1).await;
    let start = Instant::now();
    s.lists(1).await;
    assert_eq!(start.elapsed(), Duration::from_secs(45));
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_provider_ends_nothing() {
    let s = scene(1);
    s.lists(1).await;
    *lock(&s.cloud.panics) = true;
    s.lists(1).await;
    assert_eq!(s.observer.view().listing.unwrap().sequence, 2);
}

#[tokio::test(start_paused = true)]
async fn many_absences_at_once_are_not_believed_but_deletions_are() {
    let s = scene(20);
    s.lists(1).await;
    lock(&s.cloud.servers).retain(|id, _| id.as_str() >= "s0006");
    s.lists(1).await;
    assert!(s.observer.view().mass_absence);
    s.heard.take();
    s.lists(45).await;
    assert!(s.observer.view().mass_absence, "it grew old, no more");
    s.heard.take();
    for i in 0..20 {
        let id = format!("s{i:04}");
        s.observer.attend(
            &format!("u-{id}"),
            Interest {
                deleting: true,
                ..settled(&id)
            },
        );
    }
    lock(&s.cloud.servers).clear();
    s.lists(1).await;
    assert!(!s.observer.view().mass_absence);
    assert_eq!(s.heard.take().len(), 20, "and everybody hears of it");
}

#[tokio::test(start_paused = true)]
async fn a_hole_in_the_very_first_list_is_not_believed() {
    let s = scene(14);
    for i in 0..20 {
        let id = format!("s{i:04}");
        s.observer.expect(&format!("u-{id}"), settled(&id));
    }
    s.lists(1).await;
    assert!(s.observer.view().mass_absence);
    for i in 14..20 {
        s.cloud.put(server(&format!("s{i:04}"), "ACTIVE"));
    }
    s.lists(1).await;
    assert!(!s.observer.view().mass_absence);
}
