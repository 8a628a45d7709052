//! P7 where the replicas share the accounts: how long nobody works on an account whose owner is stopped, killed or stands still.

use std::time::{Duration, Instant};

use serde_json::json;

use super::large::filled;
use crate::process::Controller;
use crate::stage::{self, PATIENCE, Stage, until};
use crate::table::{Row, median};

/// The servers.
const N: usize = 1000;
/// How long a replica that is silent is waited for, in seconds.
const SILENCE: f64 = 15.0;

pub async fn rows() -> Vec<Row> {
    let stage = Stage::new(20, 15).await;
    filled(&stage, N).await;
    let mut both = vec![stage.start_sharing(), stage.start_sharing()];
    let mut server = 0;
    let mut rows = Vec::new();
    for (signal, what, times, bound, target) in [
        ("TERM", "SIGTERM of an owner to another's call", 5, 0.0, 1.0),
        (
            "KILL",
            "SIGKILL of an owner to another's call",
            1,
            SILENCE,
            SILENCE + 1.0,
        ),
        (
            "STOP",
            "SIGSTOP of an owner to another's call",
            1,
            SILENCE,
            SILENCE + 1.0,
        ),
    ] {
        let mut gaps = Vec::new();
        for _ in 0..times {
            // One that has just come may take the account over: what is asked next is the one that has it then.
            tokio::time::sleep(Duration::from_secs(20)).await;
            let owner = both.remove(owner(&both).await);
            server += 1;
            let name = stage::name("web", server);
            let id = stage.id(&name);
            stage.forget();
            let at = Instant::now();
            owner.signal(signal);
            // The one that goes must not be the one that does it.
            tokio::time::sleep(Duration::from_millis(20)).await;
            stage.edit(&name, "powerState", json!("Stopped"));
            let path = format!("/servers/{id}/action");
            let call = until("the call", || stage.cloud.first(|a| a.path.ends_with(&path))).await;
            gaps.push(call.at.saturating_duration_since(at).as_secs_f64());
            tokio::time::sleep(Duration::from_secs(3)).await;
            let calls = stage.cloud.count(|a| a.path.ends_with(&path));
            assert_eq!(calls, 1, "both did it");
            drop(owner);
            both.push(stage.start_sharing());
        }
        let what = format!("{what}, shared accounts, {N} servers (of {times})");
        rows.push(Row::new("P7", what, "s", bound, target, median(&gaps)));
    }
    let most = stage
        .cloud
        .sim
        .high_water()
        .into_values()
        .max()
        .unwrap_or_default();
    let what = "most servers at once for one object, shared accounts";
    rows.push(Row::new("P7", what, "", 1.0, 1.0, most as f64));
    rows
}

/// Which of them the account is of: it says how its servers are.
async fn owner(both: &[Controller]) -> usize {
    let end = Instant::now() + PATIENCE;
    loop {
        let mut owners = Vec::new();
        for (n, controller) in both.iter().enumerate() {
            let servers = controller.metric("evenkeel_objects{", "kind=\"Server\"").await;
            if servers.is_some_and(|s| s > 0.0) {
                owners.push(n);
            }
        }
        if let [one] = owners[..] {
            return one;
        }
        assert!(Instant::now() < end, "the account is of {owners:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
