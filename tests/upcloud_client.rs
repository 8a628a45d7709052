//! The simulated UpCloud as a client that is not ours sees it: the vendor's own, in Python.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use evenkeel::sim::upcloud::{PASSWORD, SimConfig, TOKEN, Timings, USER, UpCloudSim};

/// The interpreter; provisioned by `tests/env/pythonclient.sh`, which `make test` runs first.
fn python(root: &Path) -> String {
    let output = Command::new(root.join("tests/env/pythonclient.sh"))
        .arg("upcloud")
        .output()
        .expect("tests/env/pythonclient.sh can be run (it needs bash)");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "UpCloud's client is needed for this test: {said}"
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_vendors_client_works() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = tokio::task::block_in_place(|| python(root));
    let sim = UpCloudSim::new(SimConfig {
        timings: Timings::with_create(Duration::from_secs(2)),
        ..Default::default()
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(sim.clone().serve(listener));
    let output = tokio::task::block_in_place(|| {
        Command::new(python)
            .arg(root.join("tests/upcloud_client.py"))
            .args([&base, TOKEN, USER, PASSWORD])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("no_proxy", "127.0.0.1")
            .output()
            .unwrap()
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "done");
    assert!(sim.live_servers().is_empty() && sim.groups().is_empty() && sim.storages().is_empty());
    // The client spoke to us, and to every part of us.
    let counts = sim.counts();
    for key in [
        "POST /server",
        "POST /server/{id}/restart",
        "PUT /server/{id}",
        "PATCH /server-group/{id}",
    ] {
        assert!(counts.contains_key(key), "{key}: {counts:?}");
    }
    server.abort();
}
