//! The table of what is sent where, against a Nova that was written down from Nova's own source: every call in every
//! state at rest, and with every task that does not end, as it goes over the wire.

use super::*;
use crate::planner::deeds::accepted_in;
use crate::planner::model::{Disks, ItemChange, ServerState};
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

/// Tasks that are set and do not end, each in a state from which they begin.
const TASKS: [(ServerState, &str); 26] = [
    (Running, "powering-off"),
    (Stopped, "powering-on"),
    (Running, "rebooting"),
    (Running, "reboot_pending"),
    (Running, "reboot_started"),
    (Running, "rebooting_hard"),
    (Stopped, "rebooting_hard"),
    (Error, "rebooting_hard"),
    (Running, "reboot_pending_hard"),
    (Running, "reboot_started_hard"),
    (Running, "pausing"),
    (Paused, "unpausing"),
    (Running, "suspending"),
    (Suspended, "resuming"),
    (Running, "resize_prep"),
    (AwaitingResizeConfirmation, "resize_reverting"),
    (Stopped, "rebuilding"),
    (Running, "image_snapshot"),
    (Paused, "image_backup"),
    (Running, "updating_password"),
    (Running, "migrating"),
    (Error, "rescuing"),
    (Rescued, "unrescuing"),
    (Running, "shelving"),
    (Shelved, "unshelving"),
    (SoftDeleted, "restoring"),
];

/// Settings, each with what is brought in. Of those that come first Nova looks at the task too; a change of the others waits
/// for its end with us alone.
const CHANGES: [(&str, &str); 4] = [
    ("networks", "demo-net"),
    ("volumes", ""),
    ("labels", "a"),
    ("tags", "a"),
];
const BY_THE_TASK: usize = 2;

/// Where Nova answers otherwise than our table says, which has one word for many of its states.
const AT_REST: &[(&str, &[ServerState])] = &[
    // Nova takes it; ours waits for the end of the resize, or for somebody to bring the server back.
    ("volumes", &[AwaitingResizeConfirmation, SoftDeleted]),
];
const WITH_A_TASK: &[(&str, &[&str])] = &[
    (
        "Restart",
        &[
            // Not in Nova's `ALLOW_REBOOT`: it is asked for again until they end.
            "reboot_pending_hard",
            "reboot_started_hard",
            // Nova takes it; ours waits for their end.
            "pausing",
            "unpausing",
            "suspending",
            "resuming",
        ],
    ),
    (
        "Evacuate",
        &[
            // The state beside the task is none that is evacuated: it is asked for again.
            "image_backup",
            "resize_reverting",
            "resuming",
            "restoring",
            "unpausing",
            "unrescuing",
            "unshelving",
        ],
    ),
];

fn otherwise<T: PartialEq>(table: &[(&str, &[T])], what: &str, where_: &T) -> bool {
    table.iter().any(|(w, all)| *w == what && all.contains(where_))
}

/// Every call that Nova judges by the state, and changes of so many settings: its kind, and the word for it here.
fn calls(changes: usize) -> Vec<(OperationKind, &'static str)> {
    let kinds = CAPABILITIES.preconditions.iter().map(|row| row.0);
    let plain = kinds.filter(|kind| how(*kind).is_some()).map(|k| (k, k.as_str()));
    let changes = CHANGES[..changes].iter().map(|c| (OperationKind::Modify, c.0));
    plain.chain(changes).collect()
}

/// Whether our tables say that it is sent.
fn sent(kind: OperationKind, what: &str, state: ServerState) -> bool {
    let settings = super::super::settings::wanted(&spec(json!({})));
    let kept = settings
        .iter()
        .find(|w| w.name == what)
        .map_or(&[][..], |w| w.not_in);
    accepted_in(&CAPABILITIES, kind, true).contains(&state) && !kept.contains(&state)
}

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

    /// The same call for this server.
    fn how(&self, kind: OperationKind, what: &'static str) -> Operate {
        let Some((_, comes)) = CHANGES.iter().find(|c| c.0 == what) else {
            return how(kind).unwrap();
        };
        let comes = match what {
            "volumes" => self.sim.add_volume(),
            _ => (*comes).to_owned(),
        };
        Operate::Items(ItemChange {
            name: what,
            add: vec![(comes, String::new())],
            ..ItemChange::default()
        })
    }

    /// Whether Nova takes it. What it refuses may be taken later.
    async fn takes(&self, kind: OperationKind, what: &'static str) -> bool {
        if kind == OperationKind::Evacuate {
            self.sim.oob_metadata(&self.id, "fake.host.down", "1").unwrap();
        }
        let taken = self.send(kind, self.how(kind, what)).await;
        if let Err(error) = &taken {
            let passing = [ErrorClass::Busy, ErrorClass::NotFound].contains(&error.class);
            assert!(passing && !error.maybe_applied, "{what}: {error:?}");
        }
        taken.is_ok()
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
    let calls = calls(CHANGES.len());
    assert_eq!(calls.len(), 23 + 4, "every call that the state alone decides");
    let mut wrong = Vec::new();
    for (kind, what) in calls {
        for state in RESTS {
            let taken = Bench::in_state(state).await.takes(kind, what).await;
            if taken != (sent(kind, what, state) != otherwise(AT_REST, what, &state)) {
                wrong.push(format!("{what} in {state}: taken {taken}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    // A guest that is asked has to run.
    for state in RESTS {
        let bench = Bench::in_state(state).await;
        let taken = bench
            .send(OperationKind::Restart, restart(PowerOffMode::Soft))
            .await;
        assert_eq!(taken.is_ok(), state == Running, "a soft reboot in {state}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_is_sent_with_a_task_exactly_where_nova_takes_it() {
    let mut wrong = Vec::new();
    for (state, task) in TASKS {
        let mut bench = Bench::in_state(state).await;
        bench.sim.oob_task(&bench.id, task).unwrap();
        let seen = bench.provider.get(&bench.id).await.unwrap();
        assert!(seen.busy && seen.state.is_transitional(), "{task}: {seen:?}");
        let soft = bench
            .send(OperationKind::Restart, restart(PowerOffMode::Soft))
            .await;
        assert!(soft.is_err(), "a soft reboot, {task}");
        for (kind, what) in calls(BY_THE_TASK) {
            let taken = bench.takes(kind, what).await;
            if taken != (sent(kind, what, seen.state) != otherwise(WITH_A_TASK, what, &task)) {
                wrong.push(format!("{what} in {state}, {task}: taken {taken}"));
            }
            if taken {
                bench = Bench::in_state(state).await;
                bench.sim.oob_task(&bench.id, task).unwrap();
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
