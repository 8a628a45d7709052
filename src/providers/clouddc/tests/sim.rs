//! The provider against the simulated cloud, in virtual time.

use super::*;
use crate::api::server::PowerOffMode;
use crate::planner::model::FailedStep;
use crate::sim::clouddc::{
    CloudDcSim, FaultEffect, FaultRule, HypervisorOrder, PROJECT, Quirks, REGION, SECURITY_TOKEN, SimConfig,
    TEMPORARY_KEY, key_secret, user_secret,
};
use ServerState::*;

const AT: &str = "https://clouddc.test";

struct Stage {
    sim: Arc<CloudDcSim>,
    provider: Arc<dyn Provider>,
}

fn built(sim: &Arc<CloudDcSim>, secret: Vec<(&'static str, String)>) -> Arc<dyn Provider> {
    let spec = serde_json::from_value(json!({
        "cloudDC": {"secretRef": {"name": "s"}, "projectID": PROJECT, "region": REGION},
        "requests": {"perSecond": 1000, "burst": 1000, "inFlight": 100}}));
    let secret = secret
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v.into_bytes()))
        .collect();
    let transport: Arc<dyn Transport> = sim.clone();
    (CLOUD.build)(&Build {
        spec: &spec.unwrap(),
        secret: &secret,
        transport,
        recorder: Arc::new(NoRecorder),
        budgets: &Arc::default(),
        allow_insecure_endpoints: false,
    })
    .unwrap()
}

impl Stage {
    fn new(change: impl FnOnce(&mut SimConfig)) -> Self {
        let mut config = SimConfig::default();
        change(&mut config);
        let sim = CloudDcSim::new(config);
        let provider = built(&sim, key_secret(AT));
        Self { sim, provider }
    }

    async fn create(&self) -> String {
        let call = create(|s| {
            s["image"] = json!({"id": "image-ubuntu"});
            s["cloudDC"] =
                json!({"vpcID": "vpc-1", "networkInterfaces": [{"name": "a", "subnetID": "subnet-1"}]});
        });
        let password = SecretString::from(ADMIN);
        let done = self.provider.call(&call, with(&password)).await.unwrap();
        done.accepted.id.unwrap()
    }

    async fn operate(&self, id: &str, kind: OperationKind) -> Result<Done, CloudError> {
        let how = match kind {
            OperationKind::Stop => Operate::Stop(StopKind::CloudEscalates, 60),
            OperationKind::Restart => Operate::Restart {
                mode: PowerOffMode::SoftThenHard,
                seconds: 60,
                hints: Vec::new(),
            },
            _ => Operate::Plain,
        };
        let call = CloudCall::Operate {
            id: id.to_owned(),
            kind,
            how,
        };
        let password = SecretString::from(ADMIN);
        self.provider.call(&call, with(&password)).await
    }

    async fn listed(&self) -> Option<ObservedServer> {
        self.provider
            .list()
            .await
            .unwrap()
            .pop()
            .map(Arc::unwrap_or_clone)
    }

    /// What a list shows within so many seconds, in order. A look at the same words says the same each time.
    async fn watch(&self, id: &str, seconds: u64) -> Vec<ServerState> {
        let mut seen = Vec::new();
        for _ in 0..seconds {
            let listed = self.listed().await;
            let looked = self.provider.get(id).await;
            let state = listed.as_ref().map_or(Absent, |s| s.state);
            match looked {
                // Something may happen between the two.
                Ok(looked) => {
                    let same = listed.filter(|l| l.raw == looked.raw);
                    assert!(same.is_none_or(|l| l == looked));
                }
                Err(e) => assert_eq!(e.class, ErrorClass::NotFound),
            }
            if seen.last() != Some(&state) {
                seen.push(state);
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        seen
    }

    fn order(&self, call: &str, fails: bool) {
        self.sim.clear_faults();
        if fails {
            self.sim.order(HypervisorOrder {
                call: call.to_owned(),
                server: None,
                delay_ms: None,
                fault: Some("error:ordered".to_owned()),
            });
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_life() {
    let stage = Stage::new(|_| {});
    let id = stage.create().await;
    assert_eq!(stage.watch(&id, 1000).await, [Provisioning, Running]);
    let seen = stage.listed().await.unwrap();
    assert_eq!(seen.marks.as_ref().unwrap().uid, "u-1");
    assert!(seen.launched && seen.host.is_some() && seen.addresses.len() == 1);
    assert_eq!(stage.sim.password_of(&id).as_deref(), Some(ADMIN));

    // None of the steps in between is the end, and none is anybody else's doing.
    stage.operate(&id, OperationKind::Stop).await.unwrap();
    assert_eq!(stage.watch(&id, 120).await, [Stopping, Stopped]);
    stage.operate(&id, OperationKind::Start).await.unwrap();
    assert_eq!(stage.watch(&id, 120).await, [Starting, Running]);
    stage.operate(&id, OperationKind::Restart).await.unwrap();
    assert_eq!(stage.watch(&id, 300).await, [Rebooting, Running]);

    let error = stage.operate(&id, OperationKind::Delete).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Busy, "a running one is not deleted");
    stage.operate(&id, OperationKind::Stop).await.unwrap();
    stage.watch(&id, 120).await;
    stage.operate(&id, OperationKind::Delete).await.unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(stage.watch(&id, 300).await, [Deleting, Absent]);
    assert!(stage.sim.live_instances().is_empty());
    assert_eq!(stage.sim.high_water()["u-1"], 1);
}

#[tokio::test(start_paused = true)]
async fn the_cloud_lags_and_nobody_is_misled() {
    let stage = Stage::new(|c| c.timings.visible = Duration::from_secs(20));
    let id = stage.create().await;
    stage.watch(&id, 1000).await;
    stage.operate(&id, OperationKind::Restart).await.unwrap();
    assert_eq!(stage.watch(&id, 300).await, [Rebooting, Running]);
    stage.operate(&id, OperationKind::Stop).await.unwrap();
    assert_eq!(stage.watch(&id, 120).await, [Stopping, Stopped]);
}

#[tokio::test(start_paused = true)]
async fn every_failed_step_is_tried_again() {
    for typed in [true, false] {
        for word in ["error", "failed"] {
            let quirks = Quirks {
                error_types: typed,
                error_word: word,
                ..Quirks::default()
            };
            let stage = Stage::new(|c| c.quirks = quirks);
            stage.order("install", true);
            let id = stage.create().await;
            assert_eq!(stage.watch(&id, 1000).await, [Provisioning, Error]);
            let seen = stage.listed().await.unwrap();
            assert_eq!(seen.failed_step, Some(FailedStep::Create));
            assert!(!seen.launched && seen.fault.unwrap().message.contains("ordered"));
            stage.order("reinstall", true);
            stage.operate(&id, OperationKind::Retry).await.unwrap();
            stage.watch(&id, 1000).await;
            let seen = stage.listed().await.unwrap();
            assert_eq!(
                (seen.state, seen.failed_step),
                (Error, Some(FailedStep::Reinstall))
            );
            stage.order("", false);
            stage.operate(&id, OperationKind::Retry).await.unwrap();
            tokio::time::advance(Duration::from_secs(1)).await;
            assert_eq!(stage.watch(&id, 1000).await, [Rebuilding, Running]);

            stage.operate(&id, OperationKind::Stop).await.unwrap();
            stage.watch(&id, 100).await;
            stage.order("delete", true);
            stage.operate(&id, OperationKind::Delete).await.unwrap();
            stage.watch(&id, 200).await;
            let seen = stage.listed().await.unwrap();
            assert_eq!((seen.state, seen.failed_step), (Error, Some(FailedStep::Delete)));
            stage.order("", false);
            stage.operate(&id, OperationKind::Retry).await.unwrap();
            tokio::time::advance(Duration::from_secs(1)).await;
            assert_eq!(stage.watch(&id, 300).await, [Deleting, Absent]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_changed_while_it_is_stopped() {
    // A cloud that lags does not mislead either.
    for visible in [0, 20] {
        let stage = Stage::new(|c| c.timings.visible = Duration::from_secs(visible));
        let id = stage.create().await;
        stage.watch(&id, 1000).await;
        let password = SecretString::from("Another-Pw-2");
        let how = |name, value: &str| Operate::Attributes(vec![(name, value.to_owned())]);
        let change = |kind, how| CloudCall::Operate {
            id: id.clone(),
            kind,
            how,
        };
        let image = serde_json::from_value(json!({"id": stage.sim.image_ids()[1]})).unwrap();
        let (secret, network, install) = (
            change(OperationKind::Modify, how("adminPassword", "s/k")),
            change(OperationKind::Modify, how("network", "vpc-1 subnet-2=*")),
            change(
                OperationKind::Rebuild,
                Operate::Image(image, crate::planner::model::Disks::default()),
            ),
        );
        for call in [&secret, &network, &install] {
            let error = stage.provider.call(call, with(&password)).await.unwrap_err();
            assert_eq!(error.class, ErrorClass::Busy, "not while it runs");
        }
        stage.operate(&id, OperationKind::Stop).await.unwrap();
        stage.watch(&id, 200).await;
        stage.provider.call(&secret, with(&password)).await.unwrap();
        assert_eq!(stage.sim.password_of(&id).as_deref(), Some("Another-Pw-2"));
        assert_eq!(stage.watch(&id, 5).await, [Stopped]);

        stage.provider.call(&network, with(&password)).await.unwrap();
        assert_eq!(stage.watch(&id, 300).await, [Maintenance, Stopped]);
        let shown = stage.listed().await.unwrap();
        assert!(
            shown.attributes["network"].starts_with("vpc-1 subnet-2=10."),
            "{:?}",
            shown.attributes
        );

        stage.order("modify_ip", true);
        let back = change(OperationKind::Modify, how("network", "vpc-1 subnet-1=*"));
        stage.provider.call(&back, with(&password)).await.unwrap();
        stage.watch(&id, 300).await;
        let shown = stage.listed().await.unwrap();
        assert_eq!(shown.failed_step, Some(FailedStep::Settings), "{}", shown.raw);
        assert!(shown.attributes["network"].starts_with("vpc-1 subnet-2=10."));
        stage.order("", false);
        stage.provider.call(&back, with(&password)).await.unwrap();
        stage.watch(&id, 300).await;
        let shown = stage.listed().await.unwrap();
        assert_eq!((shown.state, shown.failed_step), (Stopped, None));

        stage.provider.call(&install, with(&password)).await.unwrap();
        assert_eq!(stage.watch(&id, 1500).await, [Rebuilding, Running]);
        let shown = stage.listed().await.unwrap();
        assert_eq!(shown.image_id.as_deref(), Some(stage.sim.image_ids()[1]));
    }
}

#[tokio::test(start_paused = true)]
async fn both_sides_of_the_documentation_read_the_same() {
    for quirks in [
        Quirks {
            while_reinstalling: "reinstalling",
            operations: false,
            ..Quirks::default()
        },
        Quirks {
            while_reinstalling: "pending",
            ..Quirks::default()
        },
        Quirks {
            failed_stays_stopped: true,
            reboot_stops: false,
            ..Quirks::default()
        },
    ] {
        let shown = format!("{quirks:?}");
        let stage = Stage::new(|c| c.quirks = quirks);
        let id = stage.create().await;
        assert_eq!(stage.watch(&id, 1000).await, [Provisioning, Running], "{shown}");
        stage.operate(&id, OperationKind::Restart).await.unwrap();
        assert_eq!(stage.watch(&id, 300).await, [Rebooting, Running], "{shown}");
        stage.order("reinstall", true);
        stage.operate(&id, OperationKind::Stop).await.unwrap();
        stage.watch(&id, 100).await;
        stage.sim.oob_reinstall(&id).unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(stage.watch(&id, 1000).await, [Rebuilding, Error], "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_credential_opens_the_cloud_and_a_wrong_one_locks_nothing() {
    let stage = Stage::new(|_| {});
    assert!(stage.provider.account().await.is_ok());
    let user = built(&stage.sim, user_secret(AT));
    assert_eq!(user.account().await.unwrap().name.as_deref(), Some(REGION));
    stage.sim.expire_tokens();
    assert!(user.list().await.is_ok());
    let mut temporary = key_secret(AT);
    temporary[0].1 = TEMPORARY_KEY.to_owned();
    temporary.push(("securityToken", SECURITY_TOKEN.to_owned()));
    assert!(built(&stage.sim, temporary.clone()).list().await.is_ok());
    temporary[3].1 = "another".to_owned();
    assert!(built(&stage.sim, temporary).list().await.is_err());

    stage.sim.set_secret_key("rotated");
    let all = futures::future::join_all((0..30).map(|_| stage.provider.get("x"))).await;
    assert!(
        all.iter()
            .all(|r| r.as_ref().is_err_and(|e| e.class == ErrorClass::Unauthorized))
    );
    for _ in 0..60 {
        assert!(stage.provider.list().await.is_err());
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(stage.sim.key_locks(), 0);
    let mut new = key_secret(AT);
    new[1].1 = "rotated".to_owned();
    assert!(
        built(&stage.sim, new).list().await.is_ok(),
        "the new key is not locked"
    );
}

/// A whole virtual day: the clock of the signatures goes with everything else.
#[tokio::test(start_paused = true)]
async fn signatures_hold_in_virtual_time() {
    let stage = Stage::new(|_| {});
    stage.provider.list().await.unwrap();
    tokio::time::advance(Duration::from_secs(24 * 3600)).await;
    stage.provider.list().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn pages_lags_and_lost_replies() {
    let stage = Stage::new(|c| {
        c.page_limit = 3;
        c.machines = 20;
    });
    for n in 0..8 {
        stage.sim.oob_create(&format!("by-hand-{n}")).unwrap();
    }
    let all = stage.provider.list().await.unwrap();
    assert_eq!(all.len(), 8);
    assert!(
        all.iter().all(|s| s.guest_running == Some(false)),
        "joined with their servers"
    );
    let create = FaultRule::new(FaultEffect::LostReply).on("POST /instances");
    stage.sim.inject(create.times(1));
    let call = super::create(|s| {
        s["image"] = json!({"id": "image-ubuntu"});
        s["cloudDC"] =
            json!({"vpcID": "vpc-1", "networkInterfaces": [{"name": "a", "subnetID": "subnet-1"}]});
    });
    let password = SecretString::from(ADMIN);
    let error = stage.provider.call(&call, with(&password)).await.unwrap_err();
    assert_eq!((error.class, error.maybe_applied), (ErrorClass::Ambiguous, true));
    let mine = stage.provider.list().await.unwrap();
    assert_eq!(mine.iter().filter(|s| s.marks.is_some()).count(), 1);
    let limited = FaultRule::new(FaultEffect::RateLimited { retry_after: None });
    stage.sim.inject(limited.times(1));
    assert_eq!(
        stage.provider.list().await.unwrap_err().class,
        ErrorClass::RateLimited
    );
}
