//! The controller is killed at every step of every deed, and started again: it is done once, or said to be unknown.

use evenkeel::api::ConditionType;
use evenkeel::api::server_action::Deed;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use crate::deeds::{in_cloud, of_an_administrator};
use crate::kills::{MANY, PLACES, Place, arm};
use crate::scenarios::deeds::{ask, ended, stands};
use crate::scenarios::stage::Stage;
use crate::world::Virtual;

/// A deed to be played: what it is, and how Nova's log of the server calls it, where that counts it.
struct Row {
    deed: Value,
    logged: Option<&'static str>,
}

fn row(deed: Value, logged: &'static str) -> Option<Row> {
    let logged = Some(logged);
    Some(Row { deed, logged })
}

/// Every deed has its row; those that OpenStack has not are played in `matrix/own_deeds.rs`.
fn played(deed: Deed) -> Option<Row> {
    match deed {
        Deed::Reboot => row(json!({"reboot": {"mode": "Hard"}}), "reboot"),
        Deed::Resize => row(json!({"resize": {}}), "resize"),
        Deed::ConfirmResize => row(json!({"confirmResize": {}}), "confirmResize"),
        Deed::RevertResize => row(json!({"revertResize": {}}), "revertResize"),
        Deed::CreateImage => row(json!({"createImage": {"name": "before"}}), "createImage"),
        Deed::CreateBackup => row(
            json!({"createBackup": {"name": "b", "type": "daily", "rotation": 1}}),
            "createBackup",
        ),
        Deed::Rebuild => row(json!({"rebuild": {"image": {"name": "cirros-new"}}}), "rebuild"),
        Deed::Reinstall => row(json!({"reinstall": {}}), "rebuild"),
        Deed::ChangePassword => row(
            json!({"changePassword": {"secretRef": {"name": "root", "key": "password"}}}),
            "changePassword",
        ),
        Deed::CrashDump => row(json!({"crashDump": {}}), "trigger_crash_dump"),
        Deed::ColdMigrate => row(json!({"coldMigrate": {}}), "migrate"),
        Deed::LiveMigrate => row(json!({"liveMigrate": {}}), "live-migration"),
        Deed::Evacuate => row(json!({"evacuate": {"hostFenced": true}}), "evacuate"),
        Deed::ResetState => Some(Row {
            deed: json!({"resetState": {"to": "Active"}}),
            logged: None,
        }),
        Deed::ConsoleOutput => Some(Row {
            deed: json!({"consoleOutput": {}}),
            logged: None,
        }),
        Deed::RemoteConsole => Some(Row {
            deed: json!({"remoteConsole": {"secretName": "console"}}),
            logged: None,
        }),
        Deed::Cancel | Deed::BackupDisk => None,
    }
}

/// A server to which the deed can be done; its id.
async fn prepare(world: &Virtual, s: &Stage, deed: Deed) -> String {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "root",
        "labels": {"evenkeel.dev/allow": "password"}}, "stringData": {"password": "planted-root-9x"}});
    s.make::<Secret>(&secret).await;
    let id = of_an_administrator(s, json!({"resize": {"when": "Manual", "confirm": "Manual"}})).await;
    match deed {
        Deed::Resize | Deed::ConfirmResize | Deed::RevertResize => {
            s.edit("web", json!({"size": {"name": "m1.small"}})).await;
            s.reason("web", ConditionType::SizeSynced, "False", "PendingApproval")
                .await;
        }
        Deed::Evacuate => world.sim.oob_metadata(&id, "fake.host.down", "1").unwrap(),
        Deed::ResetState => world.sim.set_error(&id, "somebody broke it").unwrap(),
        _ => {}
    }
    if matches!(deed, Deed::ConfirmResize | Deed::RevertResize) {
        ask(s, "go", "web", json!({"resize": {}})).await;
        assert_eq!(stands(&ended(s, "go").await).0, "Succeeded");
    }
    if deed == Deed::ResetState {
        s.reason("web", ConditionType::Stalled, "True", "ErrorStillRunning")
            .await;
    }
    id
}

/// Plays one deed with a kill at the nth place; how it ended, if there was an nth place.
async fn play(deed: Deed, place: Place, n: u64) -> Option<String> {
    let Row { deed: asked, logged } = played(deed)?;
    let world = Virtual::empty();
    world.plant("planted-root-9x");
    let s = world.stage().await;
    let mut first = world.start();
    let id = prepare(&world, &s, deed).await;
    let count = || {
        in_cloud(&world, &id)
            .2
            .iter()
            .filter(|a| Some(**a) == logged)
            .count()
    };
    let before = count();
    arm(&world, &first, place, n);
    ask(&s, "it", "web", asked).await;
    let over = async { drop(ended(&s, "it").await) };
    let killed = tokio::select! {
        biased;
        () = first.ended() => true,
        () = over => false,
    };
    if !killed {
        return None;
    }
    world.run();
    let (reason, words) = stands(&ended(&s, "it").await);
    let honest = ["Succeeded", "OutcomeUnknown"].contains(&reason.as_str());
    assert!(honest, "{deed}, {place:?} {n}: {reason}: {words}");
    let done = count() - before;
    assert!(done <= 1, "{deed}, {place:?} {n}: done {done} times");
    assert!(
        reason == "OutcomeUnknown" || done == 1 || logged.is_none(),
        "{deed}, {place:?} {n}: {reason} and not done"
    );
    world.judge().await;
    Some(reason)
}

async fn die_at_every_step_of(deed: Deed) {
    let mut ends = Vec::new();
    for place in PLACES {
        for n in 1..MANY {
            let Some(end) = play(deed, *place, n).await else {
                break;
            };
            ends.push(end);
        }
    }
    // Else it was over before anything could be killed.
    assert!(ends.len() >= 6, "{deed}: only {} kills", ends.len());
    assert!(ends.iter().any(|e| e == "Succeeded"), "{deed}: {ends:?}");
    println!("{deed}: {} kills", ends.len());
}

macro_rules! deeds {
    ($($test:ident: $deed:ident,)+) => {
        $(
            #[tokio::test(start_paused = true)]
            async fn $test() {
                die_at_every_step_of(Deed::$deed).await;
            }
        )+

        /// Every deed that OpenStack has is played.
        #[test]
        fn every_deed_is_played() {
            let here = [$(Deed::$deed),+];
            for deed in Deed::ALL {
                assert_eq!(here.contains(deed), played(*deed).is_some(), "{deed}");
            }
        }
    };
}

deeds! {
    reboot: Reboot,
    resize: Resize,
    confirm_resize: ConfirmResize,
    revert_resize: RevertResize,
    create_image: CreateImage,
    create_backup: CreateBackup,
    rebuild: Rebuild,
    reinstall: Reinstall,
    change_password: ChangePassword,
    crash_dump: CrashDump,
    cold_migrate: ColdMigrate,
    live_migrate: LiveMigrate,
    evacuate: Evacuate,
    reset_state: ResetState,
    console_output: ConsoleOutput,
    remote_console: RemoteConsole,
}
