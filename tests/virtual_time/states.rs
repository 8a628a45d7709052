//! States beside power, and what may befall the controller and the cloud while they are brought about.

use evenkeel::api::Server;
use evenkeel::sim::openstack::FaultRule;
use serde_json::{Value, json};

use crate::faults::effects;
use crate::kills::{MANY, PLACES, arm};
use crate::scenarios::stage::{Stage, power_of, ready};
use crate::steps::NAME;
use crate::world::Virtual;

/// A wish, and what it leads to.
struct Wish {
    /// What the Server is made with.
    made: Value,
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

async fn prepared(s: &Stage, wish: &Wish) {
    s.create(NAME, wish.made.clone()).await;
    let locked = wish.made.get("locked").is_some();
    s.wait(NAME, "as made", |x| {
        ready(x) && (!locked || locked_and(x, "Running"))
    })
    .await;
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
            prepared(&s, wish).await;
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
            prepared(&s, wish).await;
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
        edit: json!({"powerState": "Stopped"}),
        fulfilled: |x| locked_and(x, "Stopped"),
        cloud: ("SHUTOFF", true),
    };
    // Three calls, each with its record: before and after each of them.
    killed_everywhere(&wish, 12).await;
}
