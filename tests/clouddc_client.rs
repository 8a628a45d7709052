//! The simulated CloudDC as a client that is not ours sees it: the vendor's own, which signs each request.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use evenkeel::sim::clouddc::{ACCESS_KEY, CloudDcSim, PROJECT, SECRET_KEY, SimConfig, Timings};

/// A python that has the client; provisioned by `tests/env/pythonclient.sh`.
fn python() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/env/pythonclient.sh");
    let output = Command::new(&script)
        .arg("huawei")
        .output()
        .expect("tests/env/pythonclient.sh can be run (it needs bash)");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "the vendor's client is needed for this test: {said}"
    );
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

fn life(python: &Path, base: &str, image: &str) -> Output {
    Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clouddc_client/life.py"))
        .args([base, PROJECT, ACCESS_KEY, SECRET_KEY, image])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("no_proxy", "127.0.0.1")
        .output()
        .unwrap()
}

/// What the script says it did, in order; the id in its first line is another one each time.
const DEEDS: &[&str] = &[
    "created",
    "shown install-succeed",
    "listed node-0",
    "servers 7",
    "power power off stopped",
    "power power on running",
    "power rebooting stopped",
    "rebooted running",
    "refused delete iMetal.0203",
    "refused status iMetal.0200",
    "refused name iMetal.0001",
    "power power off stopped",
    "password changed",
    "reinstalled reinstall-succeed",
    "power power off stopped",
    "deleted terminated",
    "refused signature APIGW.0301",
    "done all",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_vendors_client_works() {
    let python = tokio::task::block_in_place(python);
    let config = SimConfig {
        timings: Timings {
            // Long enough to be seen in the middle of it on a busy machine.
            reboot: Duration::from_secs(3),
            terminated_shown: Duration::from_secs(60),
            ..Timings::quick(Duration::from_millis(250))
        },
        ..SimConfig::default()
    };
    let sim = CloudDcSim::new(config);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(sim.clone().serve(listener));

    let output = tokio::task::block_in_place(|| life(&python, &base, sim.image_ids()[0]));
    let (said, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{said}\n{errors}");
    let deeds: Vec<&str> = said
        .lines()
        .map(|l| if l.starts_with("created ") { "created" } else { l })
        .collect();
    assert_eq!(deeds, DEEDS);
    assert!(sim.live_instances().is_empty());
    assert_eq!(sim.high_water()["u-vendor"], 1);
    assert_eq!(sim.key_locks(), 0);
    server.abort();
}
