//! Oracles prove nothing unless they find what is there: bugs of the planner are sown, and the world and the record of a run are
//! falsified; each has to be found by the oracle that it breaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use evenkeel::api::Server;
use evenkeel::planner::bugs::{self, Bug};
use evenkeel::providers::transport::Connect;
use evenkeel::sim::apiserver::{ApiServer, Call as ApiCall, Phase, Verb, WriteEvent};
use evenkeel::sim::cloud::{FaultEffect, RequestRecord};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::act::Act;
use super::eyes::{Eyes, Trust};
use super::plan::{self, Call, Trace, Trouble};
use super::run::{Manner, QUIET, caught, paused, play};
use super::{judge, lists};
use crate::matrix::PROVIDERS;
use crate::matrix::field::{ADMIN_PASSWORD, Field};
use crate::tap::Fate;
use crate::world::{BASE, NAMESPACE};

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
    (
        Bug::NeverTryAgain,
        "openstack",
        Act::Stop,
        "Status { code: 503, body: None } on request 1 to POST /servers/{id}/action os-stop, 1 times",
        "not seen within",
    ),
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

/// A world with a controller, in which what an act begins with is at rest.
async fn settled(act: Act) -> Field {
    let api = ApiServer::new().unwrap();
    let (_, fresh) = PROVIDERS.iter().find(|(name, _)| *name == "openstack").unwrap();
    let mut f = Field::logged(fresh(&api), api, tracing::Level::WARN);
    f.account("cloud", true).await;
    f.run();
    act.prepare(&f).await;
    sleep(Duration::from_secs(40)).await;
    f
}

/// What eyes find in a settled world in which `lie` was told.
fn seen(act: Act, lie: impl AsyncFn(&Field, &Eyes)) -> String {
    paused().block_on(async {
        let mut f = settled(act).await;
        let (api, cloud) = (f.api.clone(), Arc::clone(&f.cloud));
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

/// What is found of a world at rest, where one thing was done before and another one is done meanwhile.
fn rested(before: impl AsyncFn(&Field), meanwhile: impl AsyncFn(&Field)) -> String {
    judged(|| {
        paused().block_on(async {
            let f = settled(Act::Stop).await;
            before(&f).await;
            // Counts are written for a minute longer, and then it has to be quiet.
            let meanwhile = async {
                sleep(Duration::from_secs(90)).await;
                meanwhile(&f).await;
            };
            tokio::join!(f.judge_for(QUIET), meanwhile);
        });
    })
}

async fn nothing(_: &Field) {}

/// Stops the server of a settled world.
async fn stop(f: &Field) {
    f.edit("web", json!({"powerState": "Stopped"})).await;
    f.ready_in("web", "Stopped").await;
}

/// The way to the cloud in a world.
type Way = fn(&Field) -> Arc<dyn Connect>;

/// Somebody asks the cloud for a server that is not there.
async fn ask(way: Arc<dyn Connect>) {
    let request = http::Request::get(format!("{BASE}/compute/v2.1/servers/none"));
    let line = way.connect(None).unwrap();
    let answer = line
        .send(request.body(Bytes::new()).unwrap(), Duration::from_secs(5))
        .await;
    assert!(answer.is_ok_and(|a| a.status().is_client_error()));
}

/// Writes into the metadata of the Server.
async fn annotate(client: Client, annotation: Value) {
    let servers: Api<Server> = Api::namespaced(client, NAMESPACE);
    let patch = Patch::Merge(json!({"metadata": {"annotations": annotation}}));
    servers
        .patch("web", &PatchParams::default(), &patch)
        .await
        .unwrap();
}

#[test]
fn what_is_written_or_asked_at_rest_is_found() {
    assert_eq!(rested(nothing, nothing), "");
    let writes = async |f: &Field| annotate(f.api.client("evenkeel-1"), json!({"evenkeel.dev/a": "b"})).await;
    holds(&rested(nothing, writes), "O5: written");
    holds(
        &rested(nothing, async |f| ask(f.cloud.connect()).await),
        "O5: asked",
    );
}

#[test]
fn a_fault_of_our_own_and_a_panic_are_found() {
    let fault = async |_: &Field| tracing::error!("this must not be");
    holds(&rested(nothing, fault), "O12: ");
    let panics = async |f: &Field| {
        let once = AtomicBool::new(true);
        f.tap.meet(move |_| {
            assert!(!once.swap(false, Ordering::SeqCst), "on its way to the cloud");
            Fate::Pass
        });
        stop(f).await;
    };
    let found = rested(panics, nothing);
    holds(&found, "O12: ");
    holds(&found, "a call panicked");
}

#[test]
fn a_request_that_is_not_counted_is_found() {
    let counted = |odd: Option<Way>| {
        judged(|| {
            paused().block_on(async {
                let f = settled(Act::Stop).await;
                let before = f.tap.traffic();
                f.cloud.reset_requests();
                stop(&f).await;
                if let Some(way) = odd {
                    ask(way(&f)).await;
                }
                judge::counted(&f, &before, f.cloud.requests().len(), &[]);
            });
        })
    };
    assert_eq!(counted(None), "");
    holds(
        &counted(Some(|f| f.tap.connect("evenkeel-1"))),
        "O13: evenkeel-1 counts",
    );
    holds(&counted(Some(|f| f.cloud.connect())), "O13: the cloud saw");
}

#[test]
fn a_need_that_no_event_tells_is_found() {
    let told = |says: bool| {
        judged(|| {
            let _ = seen(Act::Stop, async |f, eyes| {
                let stalled = json!([{
                    "type": "Stalled", "status": "True", "reason": "InvalidSpec", "message": "",
                    "lastTransitionTime": f.api.now().to_string(),
                }]);
                let patch = Patch::Merge(json!({"status": {"conditions": stalled}}));
                let params = PatchParams::default();
                f.api::<Server>()
                    .patch_status("web", &params, &patch)
                    .await
                    .unwrap();
                eyes.look();
                if says {
                    let event = json!({
                        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e"},
                        "eventTime": null, "reason": "InvalidSpec", "note": "",
                        "regarding": {"kind": "Server", "name": "web"},
                    });
                    f.make::<Event>(&event).await;
                }
                judge::told(f, eyes, &[]);
            });
        })
    };
    assert_eq!(told(true), "");
    holds(&told(false), "O13: Server web was Stalled/InvalidSpec");
}

#[test]
fn a_secret_in_a_log_or_an_object_is_found() {
    let logs = async |_: &Field| tracing::warn!("the password is {ADMIN_PASSWORD}");
    holds(&rested(nothing, logs), "O14: a secret is in the log");
    let shows =
        async |f: &Field| annotate(f.client.clone(), json!({"example.com/note": ADMIN_PASSWORD})).await;
    holds(&rested(nothing, shows), "O14: a secret is in the cluster");
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
        watched: Duration::from_secs(600),
        turns: [(("Server web".to_owned(), "Ready".to_owned()), n)].into(),
        ..Trace::default()
    };
    let (alone, rival) = (
        Manner::default(),
        Manner {
            rival: true,
            ..Manner::default()
        },
    );
    assert_eq!(judged(|| judge::steady(&turns(3), &turns(2), &[], alone)), "");
    holds(
        &judged(|| judge::steady(&turns(9), &turns(2), &[], alone)),
        "O9: ",
    );
    // Two that quarrel turn it once a minute, and no more than that.
    assert_eq!(judged(|| judge::steady(&turns(9), &turns(2), &[], rival)), "");
    holds(
        &judged(|| judge::steady(&turns(20), &turns(2), &[], rival)),
        "O9: ",
    );

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
