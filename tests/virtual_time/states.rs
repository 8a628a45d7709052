//! States beside power, and what may befall the controller and the cloud while they are brought about.

use std::time::Duration;

use evenkeel::api::{ConditionType, Server};
use evenkeel::sim::openstack::{FaultEffect, FaultRule};
use serde_json::{Value, json};

use crate::faults::effects;
use crate::kills::{MANY, PLACES, Place, arm};
use crate::scenarios::stage::{Order, Stage, power_of, ready, words};
use crate::steps::NAME;
use crate::world::Virtual;

/// What somebody does, and the power that is seen then.
type Deed = (fn(&Virtual), &'static str);

/// A wish, and what it leads to.
struct Wish {
    /// What the Server is made with.
    made: Value,
    /// Before the edit.
    meanwhile: Option<Deed>,
    /// The edit.
    edit: Value,
    /// Whether that is fulfilled.
    fulfilled: fn(&Server) -> bool,
    /// What the cloud must have in the end: status, and whether it is locked.
    cloud: (&'static str, bool),
}

fn locked_and(x: &Server, power: &str) -> bool {
    let lock = x.status.as_ref().and_then(|s| s.lock.as_ref());
    ready(x) && power_of(x) == power && lock.is_some_and(|l| l.ours && l.state.as_str() == "Held")
}

async fn prepared(world: &Virtual, s: &Stage, wish: &Wish) {
    s.create(NAME, wish.made.clone()).await;
    let locked = wish.made.get("locked").is_some();
    s.wait(NAME, "as made", |x| {
        ready(x) && (!locked || locked_and(x, "Running"))
    })
    .await;
    if let Some((happens, seen)) = wish.meanwhile {
        happens(world);
        s.wait(NAME, seen, |x| power_of(x) == seen).await;
    }
}

fn check(world: &Virtual, wish: &Wish) {
    let servers = world.sim.live_servers();
    let seen: Vec<_> = servers.iter().map(|s| (s.status.as_str(), s.locked)).collect();
    assert_eq!(seen, [wish.cloud]);
}

/// Plays a wish with a kill at every place there is.
async fn killed_everywhere(wish: &Wish, least: u64) {
    let mut kills = 0;
    for place in PLACES {
        for n in 1..MANY {
            let world = Virtual::empty();
            let s = world.stage().await;
            let mut first = world.start();
            prepared(&world, &s, wish).await;
            arm(&world, &first, *place, n);
            s.edit(NAME, wish.edit.clone()).await;
            let killed = tokio::select! {
                biased;
                () = first.ended() => true,
                _ = s.wait(NAME, "fulfilled", wish.fulfilled) => false,
            };
            if !killed {
                break;
            }
            kills += 1;
            world.run();
            s.wait(NAME, "fulfilled", wish.fulfilled).await;
            check(&world, wish);
            world.judge().await;
        }
    }
    assert!(kills >= least, "only {kills} kills");
    println!("{} kills", kills);
}

/// Plays a wish with every fault of the wire on each of these actions.
async fn whatever_the_wire_does(wish: &Wish, actions: &[&str]) {
    for effect in effects() {
        for action in actions {
            println!("{effect:?} on {action}");
            let (world, s) = Virtual::new().await;
            prepared(&world, &s, wish).await;
            let rule = FaultRule::new(effect.clone()).on("POST /servers/{id}/action");
            world.sim.inject(rule.times(1).action(action));
            s.edit(NAME, wish.edit.clone()).await;
            s.wait(NAME, "fulfilled", wish.fulfilled).await;
            check(&world, wish);
            world.judge().await;
        }
    }
}

fn rescue() -> Wish {
    Wish {
        made: json!({}),
        meanwhile: None,
        edit: json!({"rescue": {"image": {"name": "cirros-new"}}}),
        fulfilled: |x| ready(x) && power_of(x) == "Rescued",
        cloud: ("RESCUE", false),
    }
}

#[tokio::test(start_paused = true)]
async fn a_rescue_survives_every_fault_of_the_wire() {
    whatever_the_wire_does(&rescue(), &["rescue"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_rescue_survives_a_death_at_every_moment() {
    killed_everywhere(&rescue(), 4).await;
}

#[tokio::test(start_paused = true)]
async fn a_lock_survives_every_fault_of_the_wire() {
    let wish = Wish {
        made: json!({"locked": {"reason": "payroll"}}),
        meanwhile: None,
        edit: json!({"powerState": "Stopped"}),
        fulfilled: |x| locked_and(x, "Stopped"),
        cloud: ("SHUTOFF", true),
    };
    whatever_the_wire_does(&wish, &["unlock", "os-stop", "lock"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_death_between_a_lock_opened_and_closed_leaves_it_closed() {
    let wish = Wish {
        made: json!({"locked": {"reason": "payroll"}}),
        meanwhile: None,
        edit: json!({"powerState": "Stopped"}),
        fulfilled: |x| locked_and(x, "Stopped"),
        cloud: ("SHUTOFF", true),
    };
    // Three calls, each with its record: before and after each of them.
    killed_everywhere(&wish, 12).await;
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_is_taken_off_without_an_answer_is_taken_off_once() {
    // It is carried out at once, or while the answer is waited for no more.
    let (delay_ms, wait_ms) = (8_000, 100);
    for effect in [
        FaultEffect::LostReply,
        FaultEffect::LateApply { delay_ms, wait_ms },
    ] {
        let (world, s) = Virtual::new().await;
        s.create(NAME, json!({"locked": {"reason": "payroll"}})).await;
        s.wait(NAME, "locked", |x| locked_and(x, "Running")).await;
        world.sim.reset_requests();
        let rule = FaultRule::new(effect).on("POST /servers/{id}/action");
        world.sim.inject(rule.times(3).action("unlock"));
        s.remove(NAME).await;
        assert!(world.sim.live_servers().is_empty());
        let counts = world.sim.counts();
        assert_eq!(
            counts.get("POST /servers/{id}/action unlock"),
            Some(&1),
            "{counts:?}"
        );
        world.judge().await;
    }
}

/// Somebody deletes every server, and the cloud keeps them.
fn deleted_and_kept(world: &Virtual) {
    world.sim.set_reclaim(Some(WEEK));
    for server in world.sim.live_servers() {
        world.sim.oob_delete(&server.id).unwrap();
    }
}

const WEEK: Duration = Duration::from_secs(7 * 86_400);

fn restoration() -> Wish {
    Wish {
        made: json!({}),
        meanwhile: Some((deleted_and_kept, "SoftDeleted")),
        edit: json!({"onMissing": "Recreate"}),
        fulfilled: |x| ready(x) && power_of(x) == "Running",
        cloud: ("ACTIVE", false),
    }
}

#[tokio::test(start_paused = true)]
async fn a_restoration_survives_every_fault_of_the_wire() {
    whatever_the_wire_does(&restoration(), &["restore"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_restoration_survives_a_death_at_every_moment() {
    killed_everywhere(&restoration(), 4).await;
}

/// The events that were told: reason and words.
fn told(world: &Virtual) -> Vec<(String, String)> {
    let text = |e: &Value, field: &str| e[field].as_str().unwrap_or_default().to_owned();
    let all = world.api.list("events");
    all.iter().map(|e| (text(e, "reason"), text(e, "note"))).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_after_a_deletion_of_ours_counts_as_gone() {
    for force in [false, true] {
        let (world, s) = Virtual::new().await;
        world.sim.set_reclaim(Some(WEEK));
        s.create(NAME, json!({"deletion": {"force": force}})).await;
        s.ready(NAME).await;
        let id = world.sim.live_servers()[0].id.clone();
        s.remove(NAME).await;
        let left: Vec<_> = world.sim.live_servers().into_iter().map(|s| s.status).collect();
        let reason = if force { "Deleted" } else { "ReclaimPending" };
        let told = told(&world);
        let told: Vec<_> = told
            .iter()
            .filter(|e| e.1.contains(&id) && e.0 == reason)
            .collect();
        assert_eq!(told.len(), 1, "{force}");
        let kept = ["SOFT_DELETED"].map(str::to_owned);
        assert_eq!(left, if force { &kept[..0] } else { &kept[..] });
        world.judge().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_deleted_and_the_cloud_keeps_is_shown_and_looked_at_slowly() {
    let (world, s) = Virtual::new().await;
    s.create(NAME, json!({})).await;
    s.ready_in(NAME, "Running").await;
    deleted_and_kept(&world);
    let shown = s
        .reason(NAME, ConditionType::Stalled, "True", "SoftDeleted")
        .await;
    assert_eq!(power_of(&shown), "SoftDeleted");
    assert!(words(&shown, ConditionType::Stalled).contains("spec.onMissing"));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let writes = world.written().len();
    world.sim.reset_requests();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(
        world.written().len(),
        writes,
        "nothing happens, nothing is written"
    );
    let counts = world.sim.counts();
    let of = |what: &str| counts.get(what).copied().unwrap_or_default();
    let (lists, looks) = (of("GET /servers/detail"), of("GET /servers/{id}"));
    assert!((200..=260).contains(&lists), "{counts:?}");
    assert!((50..=62).contains(&looks), "{counts:?}");
    // Brought back by somebody.
    let id = world.sim.live_servers()[0].id.clone();
    world.sim.oob_action(&id, "restore", &Value::Null).unwrap();
    s.ready_in(NAME, "Running").await;
    // Deleted once more, and reclaimed.
    world.sim.set_reclaim(Some(Duration::from_secs(600)));
    world.sim.oob_delete(&id).unwrap();
    s.reason(NAME, ConditionType::Stalled, "True", "SoftDeleted")
        .await;
    s.reason(NAME, ConditionType::Stalled, "True", "Missing").await;
    s.edit(NAME, json!({"onMissing": "Recreate"})).await;
    s.ready_in(NAME, "Running").await;
    assert_ne!(world.sim.live_servers()[0].id, id);
    world.judge().await;
}

#[tokio::test(start_paused = true)]
async fn an_image_that_the_disk_is_too_small_for_is_said_and_nothing_is_lost() {
    let (world, s) = Virtual::new().await;
    let large = json!({"image": {"name": "cirros-large"}});
    s.create("new", large.clone()).await;
    let refused = s
        .reason("new", ConditionType::Stalled, "True", "InvalidSpec")
        .await;
    let said = words(&refused, ConditionType::Stalled);
    assert!(said.contains("Flavor's disk is smaller"), "{said}");
    assert!(world.sim.live_servers().is_empty());
    s.edit("new", json!({"size": {"name": "m1.large"}})).await;
    s.ready("new").await;
    // Of a server that is there the old disk stays as it is.
    s.create(NAME, json!({"rebuild": {"when": "OnImageChange"}}))
        .await;
    s.ready(NAME).await;
    s.edit(NAME, large).await;
    let refused = s
        .reason(NAME, ConditionType::Stalled, "True", "RebuildFailed")
        .await;
    assert!(words(&refused, ConditionType::Stalled).contains("Flavor's disk is smaller"));
    assert_eq!(power_of(&refused), "Running");
    let asked = world.sim.server(NAME).unwrap().asked;
    assert_eq!(asked, ["create"]);
    s.edit(NAME, json!({"image": {"name": "cirros"}})).await;
    s.ready(NAME).await;
    world.judge().await;
}

#[tokio::test(start_paused = true)]
async fn a_rebuild_that_broke_is_made_again_on_a_word() {
    let (world, s) = Virtual::new().await;
    s.create(NAME, json!({"rebuild": {"when": "OnImageChange"}}))
        .await;
    s.ready(NAME).await;
    s.world.hypervisor(&[Order {
        call: "spawn",
        server: NAME.to_owned(),
        delay: None,
        fault: Some(("abort", "the disk is full")),
    }]);
    s.edit(NAME, json!({"image": {"name": "cirros-new"}})).await;
    let failed = s
        .reason(NAME, ConditionType::Stalled, "True", "RebuildFailed")
        .await;
    let said = words(&failed, ConditionType::Stalled);
    assert!(
        said.contains("the disk is full") && said.contains("evenkeel.dev/retry"),
        "{said}"
    );
    assert_eq!(power_of(&failed), "Error");
    s.world.hypervisor(&[]);
    let retry = json!({"metadata": {"annotations": {"evenkeel.dev/retry": "1"}}});
    s.patch::<Server>(NAME, retry).await;
    s.ready_in(NAME, "Running").await;
    let server = world.sim.server(NAME).unwrap();
    assert_eq!(server.asked, ["create", "rebuild", "rebuild"]);
    assert_eq!(Some(server.image), world.sim.image_id("cirros-new"));
    // What the server was made with is still there.
    assert!(server.uid.is_some() && server.hostname == NAME);
    world.judge().await;
}

/// The process dies as the cloud takes the installation: the image that is there says that it is over.
#[tokio::test(start_paused = true)]
async fn a_rebuild_that_is_over_is_known_at_once_by_the_next_process() {
    let world = Virtual::empty();
    let s = world.stage().await;
    let mut first = world.start();
    s.create(NAME, json!({"rebuild": {"when": "OnImageChange"}}))
        .await;
    s.ready(NAME).await;
    arm(&world, &first, Place::AfterCall, 1);
    s.edit(NAME, json!({"image": {"name": "cirros-new"}})).await;
    first.ended().await;
    let since = tokio::time::Instant::now();
    world.run();
    s.ready_in(NAME, "Running").await;
    let took = since.elapsed();
    assert!(took < Duration::from_secs(60), "{took:?}");
    let server = world.sim.server(NAME).unwrap();
    assert_eq!(server.asked, ["create", "rebuild"]);
    assert_eq!(Some(server.image), world.sim.image_id("cirros-new"));
    world.judge().await;
}
