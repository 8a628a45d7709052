//! The simulated OpenStack as a client that is not ours sees it: the `openstack` command.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use evenkeel::sim::openstack::{OpenStackSim, SimConfig, clouds_yaml};
use serde_json::Value;

/// The command; provisioned by `tests/env/openstackclient.sh`, which `make test` runs first.
fn openstack() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/env/openstackclient.sh");
    let output = Command::new(&script)
        .output()
        .expect("tests/env/openstackclient.sh can be run (it needs bash)");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "the openstack command is needed for this test: {said}"
    );
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

struct Cli {
    command: PathBuf,
    home: tempfile::TempDir,
}

impl Cli {
    fn run(&self, args: &[&str]) -> Output {
        Command::new(&self.command)
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path())
            .env("OS_CLIENT_CONFIG_FILE", self.home.path().join("clouds.yaml"))
            .env("OS_CLOUD", "demo")
            .env("no_proxy", "127.0.0.1")
            .output()
            .unwrap()
    }

    async fn ok(&self, args: &[&str]) -> Value {
        let output = tokio::task::block_in_place(|| self.run(args));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openstack {args:?}: {errors}");
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    /// Asks until the status is there.
    async fn until(&self, name: &str, status: &str) {
        let wait =
            async { while self.ok(&["server", "show", name, "-f", "json"]).await["status"] != status {} };
        tokio::time::timeout(Duration::from_secs(60), wait)
            .await
            .unwrap_or_else(|_| panic!("{name} is not {status}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_openstack_command_works() {
    let command = tokio::task::block_in_place(openstack);
    let mut config = SimConfig::default();
    config.timings.call = Duration::from_millis(100);
    let sim = OpenStackSim::new(config);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(sim.clone().serve(listener));
    let cli = Cli {
        command,
        home: tempfile::tempdir().unwrap(),
    };
    std::fs::write(cli.home.path().join("clouds.yaml"), clouds_yaml(&base)).unwrap();

    cli.ok(&[
        "server",
        "create",
        "web",
        "--flavor",
        "m1.tiny",
        "--image",
        "cirros",
        "--network",
        "demo-net",
        "--property",
        "team=a",
        "--wait",
        "-f",
        "json",
    ])
    .await;
    let list = cli.ok(&["server", "list", "-f", "json"]).await;
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(
        (&list[0]["Name"], &list[0]["Status"]),
        (&"web".into(), &"ACTIVE".into())
    );
    assert_eq!(list[0]["Image"], "cirros");
    let shown = cli.ok(&["server", "show", "web", "-f", "json"]).await;
    assert_eq!(shown["id"], list[0]["ID"]);
    assert_eq!(shown["properties"]["team"], "a");

    cli.ok(&["server", "stop", "web"]).await;
    cli.until("web", "SHUTOFF").await;
    let refused = tokio::task::block_in_place(|| cli.run(&["server", "stop", "web"]));
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("while it is in vm_state stopped"), "{said}");
    cli.ok(&["server", "start", "web"]).await;
    cli.until("web", "ACTIVE").await;
    // What its guest wrote, and the ways to its consoles.
    let read = ["console", "log", "show", "--lines", "2", "web"];
    let log = tokio::task::block_in_place(|| cli.run(&read));
    let log = String::from_utf8_lossy(&log.stdout).into_owned();
    assert_eq!(log.matches("web says").count(), 2, "{log}");
    for (kind, begins) in [
        ("--novnc", "https://console.sim/"),
        ("--serial", "wss://console.sim/"),
    ] {
        let console = cli
            .ok(&["console", "url", "show", kind, "web", "-f", "json"])
            .await;
        assert!(console["url"].as_str().unwrap().starts_with(begins), "{console}");
    }
    let spice = ["console", "url", "show", "--spice", "web"];
    let refused = tokio::task::block_in_place(|| cli.run(&spice));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("Unavailable console type spice-html5"), "{said}");
    cli.ok(&["server", "resize", "--flavor", "m1.small", "--wait", "web"])
        .await;
    cli.ok(&["server", "resize", "confirm", "web"]).await;
    cli.until("web", "ACTIVE").await;
    assert_eq!(sim.server("web").unwrap().flavor, "m1.small");
    cli.ok(&["server", "delete", "web", "--wait"]).await;
    assert_eq!(
        cli.ok(&["server", "list", "-f", "json"]).await,
        serde_json::json!([])
    );
    assert!(sim.live_servers().is_empty());
    server.abort();
}
