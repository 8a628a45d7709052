//! Nova goes away for a minute in the middle of each operation.

use std::time::Duration;

use evenkeel::sim::openstack::Outage;
use tokio::time::sleep;

use crate::scenarios::stage::condition;
use crate::steps::{NAME, Step};
use crate::world::Virtual;

/// How long after the wish it goes away, in milliseconds: before, between and after the calls.
const MOMENTS: &[u64] = &[0, 7, 20, 60, 300, 1000, 1500, 3000];

#[tokio::test(start_paused = true)]
async fn a_minute_without_nova_loses_nothing() {
    for outage in [Outage::Refused, Outage::Unavailable] {
        for step in Step::ALL {
            for moment in MOMENTS {
                println!("{outage:?} {moment} ms after the begin of {step:?}");
                let (world, s) = Virtual::new().await;
                step.prepare(&s).await;
                step.begin(&s).await;
                sleep(Duration::from_millis(*moment)).await;
                world.sim.outage(Some(outage));
                sleep(Duration::from_secs(60)).await;
                if let Some(server) = s.api::<evenkeel::api::Server>().get_opt(NAME).await.unwrap() {
                    let unknown = server.status.iter().flat_map(|s| &s.conditions);
                    let mut unknown = unknown.filter(|c| c.type_ == "Ready" && c.status == "Unknown");
                    let deleting = server.metadata.deletion_timestamp.is_some();
                    assert!(
                        deleting || unknown.next().is_none(),
                        "an outage of a minute is no news"
                    );
                }
                world.sim.outage(None);
                step.fulfilled(&s).await;
                step.check(&world);
                world.judge().await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_outage_is_shown_and_taken_back() {
    let (world, s) = Virtual::new().await;
    Step::Create.begin(&s).await;
    Step::Create.fulfilled(&s).await;
    world.sim.outage(Some(Outage::Refused));
    let kind = evenkeel::api::ConditionType::Ready;
    s.reason(NAME, kind, "Unknown", "Unreachable").await;
    let written = world.written().len();
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(world.written().len(), written, "said once");
    world.sim.outage(None);
    Step::Create.fulfilled(&s).await;
    let server = s.get(NAME).await;
    assert!(condition(&server, evenkeel::api::ConditionType::ProviderReachable).is_none());
    world.judge().await;
}
