//! One bad object, account or cloud delays no other one: how soon a healthy account reacts while another one hangs,
//! is refused for good, or has thousands of servers to make.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use evenkeel::api::{ProviderConfig, Server};
use evenkeel::providers::transport::{Connect, Stage as Way, Transport, TransportError};
use evenkeel::sim::apiserver::{Fault, Rule};
use evenkeel::sim::openstack::{
    FaultEffect, FaultRule, Lines, OpenStackSim, PASSWORD, SimConfig, clouds_yaml,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{ACTION, on_action};
use crate::scenarios::stage::Stage;
use crate::world::{BASE, PLANTED, Process, Virtual};

/// Where the neighbour's cloud seems to be.
const THEIRS: &str = "https://neighbour.test";

/// The way to two clouds, by the name of the host.
#[derive(Clone)]
struct Ways(Vec<(&'static str, Arc<dyn Transport>)>);

impl Connect for Ways {
    fn connect(&self, _: Option<&[u8]>) -> Result<Arc<dyn Transport>, TransportError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Transport for Ways {
    fn send(
        &self,
        request: Request<Bytes>,
        deadline: Duration,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let base = request.uri().to_string();
        match self.0.iter().find(|(known, _)| base.starts_with(known)) {
            Some((_, line)) => line.send(request, deadline),
            None => {
                let error = TransportError {
                    stage: Way::Connect,
                    message: format!("no such host: {base}"),
                };
                async { Err(error) }.boxed()
            }
        }
    }
}

/// A world with a neighbour: an account `theirs` in a cloud of its own.
struct Street {
    world: Virtual,
    s: Stage,
    theirs: Arc<OpenStackSim>,
    _running: Process,
}

async fn street() -> Street {
    let world = Virtual::with(SimConfig::default(), tracing::Level::WARN);
    let s = world.stage().await;
    let theirs = OpenStackSim::new(SimConfig {
        epoch: Some(world.api.now()),
        seed: 7,
        ..SimConfig::default()
    });
    theirs.set_password("demo", PLANTED);
    s.account("theirs", "demo", &clouds_yaml(THEIRS).replace(PASSWORD, PLANTED))
        .await;
    let line = |sim: &Arc<OpenStackSim>| Lines(Arc::clone(sim)).connect(None).unwrap();
    let ways = Ways(vec![(BASE, line(&world.sim)), (THEIRS, line(&theirs))]);
    let running = world.start_through(Arc::new(ways));
    Street {
        world,
        s,
        theirs,
        _running: running,
    }
}

async fn make_theirs(s: &Stage, name: &str) {
    s.create(name, json!({"providerConfigRef": {"name": "theirs"}}))
        .await;
}

/// How soon a wish reaches our cloud, and how soon it is fulfilled: the worst of several.
async fn reaction(street: &Street, name: &str) -> (Duration, Duration) {
    let (mut call, mut whole) = (Duration::ZERO, Duration::ZERO);
    for (wish, action) in [
        ("Stopped", "os-stop"),
        ("Running", "os-start"),
        ("Stopped", "os-stop"),
        ("Running", "os-start"),
    ] {
        street.world.sim.reset_requests();
        let (began, epoch) = (Instant::now(), street.world.sim.requests().len());
        assert_eq!(epoch, 0);
        street.s.edit(name, json!({"powerState": wish})).await;
        let key = format!("{ACTION} {action}");
        while !street.world.sim.counts().contains_key(&key) {
            assert!(
                began.elapsed() < Duration::from_secs(600),
                "{wish}: nothing was asked"
            );
            sleep(Duration::from_millis(2)).await;
        }
        call = call.max(began.elapsed());
        street.s.ready_in(name, wish).await;
        whole = whole.max(began.elapsed());
    }
    (call, whole)
}

/// Beside what a quiet neighbour costs, no more than this.
const MORE: Duration = Duration::from_millis(100);

async fn compared(street: &Street, quiet: (Duration, Duration), what: &str) {
    let now = reaction(street, "web").await;
    println!(
        "{what}: asked after {:?}, done after {:?}; quiet: {:?}, {:?}",
        now.0, now.1, quiet.0, quiet.1
    );
    assert!(
        now.0 <= quiet.0 + MORE,
        "{what}: asked after {:?}, else after {:?}",
        now.0,
        quiet.0
    );
    assert!(
        now.1 <= quiet.1 + 10 * MORE,
        "{what}: done after {:?}, else after {:?}",
        now.1,
        quiet.1
    );
}

#[tokio::test(start_paused = true)]
async fn an_account_reacts_as_soon_as_ever_while_another_one_fails() {
    let effects = [
        ("it hangs", FaultEffect::Hang { wait_ms: 600_000 }),
        ("429 for ever", FaultEffect::RateLimited { retry_after: None }),
        (
            "429 for an hour",
            FaultEffect::RateLimited {
                retry_after: Some(3600),
            },
        ),
        ("no connection", FaultEffect::Refused),
        (
            "503",
            FaultEffect::Status {
                code: 503,
                body: None,
            },
        ),
        (
            "401",
            FaultEffect::Status {
                code: 401,
                body: None,
            },
        ),
        ("slow", FaultEffect::Slow { delay_ms: 25_000 }),
    ];
    for (what, effect) in effects {
        let street = street().await;
        street.s.create("web", json!({})).await;
        street.s.ready("web").await;
        for i in 0..40 {
            make_theirs(&street.s, &format!("theirs-{i}")).await;
        }
        for i in 0..40 {
            street.s.ready(&format!("theirs-{i}")).await;
        }
        let quiet = reaction(&street, "web").await;
        street.theirs.inject(FaultRule::new(effect));
        // All of them want something, and new ones come.
        for i in 0..40 {
            street
                .s
                .edit(&format!("theirs-{i}"), json!({"powerState": "Stopped"}))
                .await;
        }
        for i in 40..80 {
            make_theirs(&street.s, &format!("theirs-{i}")).await;
        }
        compared(&street, quiet, &format!("{what}, at once")).await;
        sleep(Duration::from_secs(120)).await;
        compared(&street, quiet, &format!("{what}, after a while")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_reacts_as_soon_as_ever_while_another_one_makes_thousands() {
    const THOUSANDS: usize = 5000;
    let street = street().await;
    street.s.create("web", json!({})).await;
    street.s.ready("web").await;
    let quiet = reaction(&street, "web").await;
    for i in 0..THOUSANDS {
        make_theirs(&street.s, &format!("theirs-{i}")).await;
    }
    compared(&street, quiet, "5000 objects, at once").await;
    sleep(Duration::from_secs(60)).await;
    let made = street.theirs.live_servers().len();
    assert!(made > 0 && made < THOUSANDS, "it is at work: {made}");
    compared(&street, quiet, "5000 objects, after a while").await;
}

#[tokio::test(start_paused = true)]
async fn one_object_whose_calls_hang_holds_up_no_other_one_of_its_account() {
    let street = street().await;
    for name in ["web", "bad-1", "bad-2", "bad-3"] {
        street.s.create(name, json!({})).await;
        street.s.ready(name).await;
    }
    let quiet = reaction(&street, "web").await;
    for name in ["bad-1", "bad-2", "bad-3"] {
        let hangs = FaultEffect::Hang { wait_ms: 600_000 };
        street.world.sim.inject(on_action(hangs, "os-stop").server(name));
        street.s.edit(name, json!({"powerState": "Stopped"})).await;
    }
    compared(&street, quiet, "three hang, at once").await;
    sleep(Duration::from_secs(300)).await;
    compared(&street, quiet, "three hang, after a while").await;
}

#[tokio::test(start_paused = true)]
async fn what_a_user_changes_comes_before_what_waits_in_the_same_account() {
    // Far more work than the account may be asked for in an hour.
    let street = street().await;
    street.s.create("web", json!({})).await;
    street.s.ready("web").await;
    let pace =
        json!({"spec": {"requests": {"perSecond": 2, "burst": 4, "inFlight": 4}, "maxCreatesInFlight": 10}});
    street.s.patch::<ProviderConfig>("cloud", pace).await;
    sleep(Duration::from_secs(60)).await;
    let quiet = reaction(&street, "web").await;
    for i in 0..400 {
        street.s.create(&format!("new-{i}"), json!({})).await;
    }
    sleep(Duration::from_secs(30)).await;
    let busy = reaction(&street, "web").await;
    println!("quiet {quiet:?}, behind 400 creations {busy:?}");
    assert!(busy.0 < Duration::from_secs(10), "asked after {:?}", busy.0);
    assert!(busy.1 < Duration::from_secs(30), "done after {:?}", busy.1);
    let waiting = street.world.api.list("servers");
    let waiting = waiting.iter().filter(|o| {
        let server: Server = serde_json::from_value((*o).clone()).unwrap();
        server.status.is_none_or(|s| s.id.is_none())
    });
    assert!(waiting.count() > 100, "the others were not made before it");
}

#[tokio::test(start_paused = true)]
async fn events_that_nobody_takes_hold_nobody_up() {
    let street = street().await;
    street.s.create("web", json!({})).await;
    street.s.ready("web").await;
    let quiet = reaction(&street, "web").await;
    for fault in [
        Fault::Blackhole,
        Fault::Status(429),
        Fault::Hang(Duration::from_secs(3600)),
    ] {
        street
            .world
            .api
            .fault(Rule::new(fault.clone()).on("events").always());
        // A storm of them: each object has something to tell.
        let none = FaultEffect::Status {
            code: 403,
            body: None,
        };
        street.theirs.inject(FaultRule::new(none).on("POST /servers"));
        for i in 0..600 {
            make_theirs(
                &street.s,
                &format!("{}-{i}", format!("{fault:?}")[..3].to_lowercase()),
            )
            .await;
        }
        compared(&street, quiet, &format!("no events ({fault:?}), at once")).await;
        sleep(Duration::from_secs(300)).await;
        compared(&street, quiet, &format!("no events ({fault:?}), after a while")).await;
        street.world.api.clear_faults();
    }
}
