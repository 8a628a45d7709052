//! Oracles prove nothing unless they find what is there: bugs of the planner are sown, and the world and the record of a run are
//! falsified; each has to be found by the oracle that it breaks.

use std::sync::Arc;
use std::time::Duration;

use evenkeel::api::Server;
use evenkeel::planner::bugs::{self, Bug};
use evenkeel::sim::apiserver::{ApiServer, Call as ApiCall, Phase, Verb, WriteEvent};
use evenkeel::sim::cloud::{FaultEffect, RequestRecord};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::act::Act;
use super::eyes::{Eyes, Trust};
use super::plan::{self, Call, Trace, Trouble};
use super::run::{Manner, caught, paused, play};
use super::{judge, lists};
use crate::matrix::PROVIDERS;
use crate::matrix::field::Field;

/// A bug, where it shows, what goes wrong meanwhile (none for an undisturbed run), and what says so.
const SOWN: &[(Bug, &str, Act, &str, &str)] = &[
    (
        Bug::RetryTheCreate,
        "openstack",
        Act::Create,
        "LostReply on request 1 to POST /servers , 1 times",
        "O1: ",
    ),
    (
        Bug::CreateBeforeTheFinalizer,
        "openstack",
        Act::Create,
        "",
        "O2: ",
    ),
    (Bug::LetGoTooEarly, "openstack", Act::Delete, "", "O2: "),
    (Bug::AdoptByName, "openstack", Act::CreateStopped, "", "O3: "),
    (Bug::AdoptByName, "upcloud", Act::Create, "", "O3: "),
    (Bug::StartTheStopped, "upcloud", Act::Stop, "", "not seen within"),
];

#[test]
fn each_sown_bug_is_found_by_its_oracle() {
    let mut missed = Vec::new();
    for (bug, provider, act, trouble, oracle) in SOWN {
        let (_, fresh) = PROVIDERS.iter().find(|(name, _)| name == provider).unwrap();
        let reference = play(*fresh, *act, &[], None, Manner::default()).unwrap();
        let mut troubles = plan::all(&reference, lists(provider));
        troubles.retain(|t| t.to_string() == *trouble);
        assert_eq!(troubles.is_empty(), trouble.is_empty(), "{trouble}");
        let run = || play(*fresh, *act, &troubles, Some(&reference), Manner::default());
        assert!(run().is_ok(), "{provider}/{act:?} without a bug");
        match bugs::sown(Some(*bug), run) {
            Err(words) if words.contains(oracle) => println!("{bug:?} on {provider}: {words}"),
            Err(words) => missed.push(format!("{bug:?} on {provider} instead of {oracle}: {words}")),
            Ok(_) => missed.push(format!("{bug:?} on {provider}: nothing")),
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// What eyes find in a settled world in which `lie` was told.
fn seen(act: Act, lie: impl AsyncFn(&Field, &Eyes)) -> String {
    paused().block_on(async {
        let api = ApiServer::new().unwrap();
        let (_, fresh) = PROVIDERS.iter().find(|(name, _)| *name == "openstack").unwrap();
        let cloud = fresh(&api);
        let mut f = Field::logged(Arc::clone(&cloud), api.clone(), tracing::Level::WARN);
        f.account("cloud", true).await;
        f.run();
        act.prepare(&f).await;
        sleep(Duration::from_secs(40)).await;
        f.kill().await;
        let trust = Trust {
            honest: true,
            alone: true,
            prompt: true,
        };
        let (eyes, _looking) = Eyes::open(&api, &cloud, act, trust, None);
        eyes.look();
        assert_eq!(eyes.found(), [] as [String; 0], "nothing is wrong yet");
        lie(&f, &eyes).await;
        eyes.look();
        eyes.found().join("\n")
    })
}

fn write(verb: Verb, subresource: Option<&str>, body: Value) -> WriteEvent {
    WriteEvent {
        n: 1,
        phase: Phase::Before,
        call: ApiCall {
            client: "evenkeel-1".to_owned(),
            verb,
            plural: "servers",
            subresource: subresource.map(str::to_owned),
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
        },
        body: Arc::new(body),
    }
}

fn holds(found: &str, oracle: &str) {
    assert!(found.contains(oracle), "{oracle} instead of {found:?}");
}

#[test]
fn a_server_that_is_not_as_it_is_said_to_be_is_seen() {
    let found = seen(Act::Stop, async |f, eyes| {
        let said = f.api.shared("servers").remove(0);
        f.cloud.stop(&f.servers()[0].id);
        sleep(Duration::from_secs(60)).await;
        eyes.writes(&write(Verb::Update, Some("status"), (*said).clone()));
    });
    holds(&found, "O9: Ready is said");
}

#[test]
fn an_observed_generation_that_falls_is_seen() {
    let found = seen(Act::Stop, async |f, _| {
        let status = json!({"status": {"observedGeneration": 0}});
        let patch = Patch::Merge(&status);
        let servers = f.api::<Server>();
        servers
            .patch_status("web", &PatchParams::default(), &patch)
            .await
            .unwrap();
    });
    holds(&found, "O9: observedGeneration");
}

#[test]
fn a_write_beside_status_finalizer_and_annotations_is_seen() {
    for (verb, body, path) in [
        (
            Verb::Patch,
            json!([{"op": "replace", "path": "/spec/powerState", "value": "Stopped"}]),
            "/spec/powerState",
        ),
        (
            Verb::Update,
            json!({"metadata": {"name": "web"}, "spec": {}}),
            "/spec",
        ),
        (
            Verb::Update,
            json!({"metadata": {"annotations": {"example.com/a": "b"}}}),
            "example.com/a",
        ),
    ] {
        let found = seen(Act::Stop, async |_, eyes| {
            eyes.writes(&write(verb, None, body.clone()))
        });
        holds(&found, "O10: ");
        holds(&found, path);
    }
}

#[test]
fn two_members_that_are_down_at_once_are_seen() {
    let found = seen(Act::GroupTurns, async |f, _| {
        for server in f.servers() {
            f.cloud.stop(&server.id);
        }
        sleep(Duration::from_secs(60)).await;
    });
    holds(&found, "O15: ");
}

fn change(at: u64, status: u16) -> RequestRecord {
    RequestRecord {
        at: Duration::from_secs(at),
        method: "POST".to_owned(),
        route: "/servers/{id}/action".to_owned(),
        action: Some("os-stop".to_owned()),
        project: None,
        server: Some("id".to_owned()),
        status: Some(status),
        applied: status < 300,
        answered: true,
    }
}

fn trace(requests: impl IntoIterator<Item = RequestRecord>) -> Trace {
    Trace {
        requests: requests.into_iter().collect(),
        ..Trace::default()
    }
}

/// What the judges of a record find.
fn judged(judge: impl FnOnce()) -> String {
    caught(judge).err().unwrap_or_default()
}

#[test]
fn a_record_that_goes_on_and_on_is_found() {
    let calm = trace([change(1, 202)]);
    assert_eq!(judged(|| judge::after_the_last(&calm, &calm, &[])), "");
    let more = trace((1..9).map(|at| change(at, 202)));
    holds(&judged(|| judge::after_the_last(&more, &calm, &[])), "O4: ");

    let turns = |n| Trace {
        turns: [(("Server web".to_owned(), "Ready".to_owned()), n)].into(),
        ..Trace::default()
    };
    assert_eq!(judged(|| judge::steady(&turns(3), &turns(2), &[])), "");
    holds(&judged(|| judge::steady(&turns(9), &turns(2), &[])), "O9: ");

    let hot = trace((0..20).map(|_| change(1, 409)));
    holds(&judged(|| judge::paced(&hot, &[], Manner::default())), "O11: ");
    let limited = Trouble::Cloud {
        call: Call::of(&change(1, 429)),
        nth: 1,
        times: 1,
        effect: FaultEffect::RateLimited { retry_after: Some(7) },
    };
    let patient = trace([change(1, 429), change(9, 202)]);
    let judge = |t: &Trace| judged(|| judge::paced(t, std::slice::from_ref(&limited), Manner::default()));
    assert_eq!(judge(&patient), "");
    holds(&judge(&trace([change(1, 429), change(4, 202)])), "O11: ");
}
