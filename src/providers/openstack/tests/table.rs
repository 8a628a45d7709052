//! The table of what is sent where, against a Nova that was written down from Nova's own source: every call in every
//! state at rest, as it goes over the wire.

use super::*;
use crate::planner::model::{Disks, ServerState};
use crate::sim::openstack::{OpenStackSim, SimConfig, clouds_yaml};
use ServerState::*;

const AT: &str = "https://openstack.test";
const RESTS: [ServerState; 9] = [
    Running,
    Stopped,
    Paused,
    Suspended,
    Shelved,
    Rescued,
    AwaitingResizeConfirmation,
    Error,
    SoftDeleted,
];

/// What a call says, for a call that Nova judges by the state alone; `None` for one that it takes in every state, or
/// that we send in fewer states than it is taken in.
fn how(kind: OperationKind) -> Option<Operate> {
    let deed = |spec: Value| {
        let mut whole = json!({"serverRef": {"name": "web"}});
        whole
            .as_object_mut()
            .unwrap()
            .extend(spec.as_object().unwrap().clone());
        Some(Operate::Deed(Box::new(serde_json::from_value(whole).unwrap())))
    };
    match kind {
        OperationKind::Stop => Some(Operate::Stop(StopKind::CloudEscalates, 60)),
        OperationKind::Restart => Some(restart(PowerOffMode::Hard)),
        OperationKind::Resize => {
            let size = serde_json::from_value(json!({"name": "m1.small"})).unwrap();
            Some(Operate::Size(size))
        }
        OperationKind::Rebuild => {
            let image = serde_json::from_value(json!({"name": "cirros-new"})).unwrap();
            Some(Operate::Image(image, Disks::default()))
        }
        OperationKind::Rescue => Some(Operate::Rescue(None)),
        OperationKind::CreateImage => deed(json!({"createImage": {"name": "a"}})),
        OperationKind::CreateBackup => {
            deed(json!({"createBackup": {"name": "a", "type": "t", "rotation": 1}}))
        }
        OperationKind::ChangePassword => {
            deed(json!({"changePassword": {"secretRef": {"name": "s", "key": "k"}}}))
        }
        OperationKind::CrashDump => deed(json!({"crashDump": {}})),
        OperationKind::ColdMigrate => deed(json!({"coldMigrate": {}})),
        OperationKind::LiveMigrate => deed(json!({"liveMigrate": {}})),
        OperationKind::Evacuate => deed(json!({"evacuate": {"hostFenced": true}})),
        OperationKind::Start
        | OperationKind::ConfirmResize
        | OperationKind::RevertResize
        | OperationKind::Pause
        | OperationKind::Unpause
        | OperationKind::Suspend
        | OperationKind::Resume
        | OperationKind::Shelve
        | OperationKind::Unshelve
        | OperationKind::Unrescue
        | OperationKind::Restore => Some(Operate::Plain),
        _ => None,
    }
}

struct Bench {
    sim: Arc<OpenStackSim>,
    provider: OpenStack,
    id: String,
}

impl Bench {
    async fn settle(&self) {
        tokio::time::sleep(Duration::from_secs(600)).await;
    }

    /// A server of an administrator, at rest in a state.
    async fn in_state(state: ServerState) -> Self {
        let sim = OpenStackSim::new(SimConfig::default());
        sim.set_reclaim(Some(Duration::from_secs(86_400)));
        let limits = Limits {
            per_second: 1000,
            burst: 1000,
            in_flight: 100,
        };
        let transport: Arc<dyn Transport> = sim.clone();
        let http = HttpClient::new(transport, Budget::new(limits), EndpointRules::default());
        let provider = OpenStack::new(clouds_yaml(AT).as_bytes(), "admin", None, None, http).unwrap();
        let made = provider.call(&create(json!({})), bare()).await.unwrap();
        let id = made.accepted.id.unwrap();
        let bench = Self { sim, provider, id };
        bench.settle().await;
        let act = |action: &str| bench.sim.oob_action(&bench.id, action, &json!(null)).unwrap();
        match state {
            Stopped => act("os-stop"),
            Paused => act("pause"),
            Suspended => act("suspend"),
            Shelved => act("shelve"),
            Rescued => bench.sim.oob_action(&bench.id, "rescue", &json!({})).unwrap(),
            AwaitingResizeConfirmation => bench.sim.oob_resize(&bench.id, "m1.small").unwrap(),
            Error => bench.sim.set_error(&bench.id, "broken").unwrap(),
            SoftDeleted => bench.sim.oob_delete(&bench.id).unwrap(),
            _ => {}
        }
        bench.settle().await;
        let seen = bench.provider.get(&bench.id).await.unwrap();
        assert_eq!((seen.state, seen.busy), (state, false));
        bench
    }

    async fn send(&self, kind: OperationKind, how: Operate) -> Result<(), CloudError> {
        let password = SecretString::from("planted-password-2");
        let call = CloudCall::Operate {
            id: self.id.clone(),
            kind,
            how,
        };
        let with = CallWith {
            admin_password: Some(&password),
            ..bare()
        };
        self.provider.call(&call, with).await.map(drop)
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_is_sent_exactly_in_the_states_in_which_nova_takes_it() {
    let mut asked = 0;
    for (kind, states) in CAPABILITIES.preconditions {
        let Some(operate) = how(*kind) else {
            continue;
        };
        let states = match kind {
            OperationKind::Restart => CAPABILITIES.hard_restart,
            _ => states,
        };
        for state in RESTS {
            if *kind == OperationKind::Evacuate && state == SoftDeleted {
                // It asks for the host before the state.
                continue;
            }
            let bench = Bench::in_state(state).await;
            if *kind == OperationKind::Evacuate {
                bench.sim.oob_metadata(&bench.id, "fake.host.down", "1").unwrap();
            }
            let taken = bench.send(*kind, operate.clone()).await;
            assert_eq!(
                taken.is_ok(),
                states.contains(&state),
                "{kind} in {state}: {taken:?}"
            );
            if let Err(error) = taken {
                let passing = [ErrorClass::Busy, ErrorClass::NotFound].contains(&error.class);
                assert!(passing && !error.maybe_applied, "{kind} in {state}: {error:?}");
            }
            asked += 1;
        }
    }
    assert_eq!(
        asked,
        23 * RESTS.len() - 1,
        "every call that the state alone decides"
    );
    // A guest that is asked has to run.
    for state in RESTS {
        let bench = Bench::in_state(state).await;
        let taken = bench
            .send(OperationKind::Restart, restart(PowerOffMode::Soft))
            .await;
        assert_eq!(taken.is_ok(), state == Running, "a soft reboot in {state}");
    }
}
