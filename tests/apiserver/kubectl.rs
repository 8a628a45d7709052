//! What people see and do with kubectl: columns, descriptions, conditions to wait for, and every way to change an
//! object. The texts are kept as snapshots; whatever differs from run to run is masked.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::kube::{Namespace, cluster};

/// A Server as a controller left it: its manifest, and the status that belongs to it.
fn written(kind: &str, case: &str) -> (Value, Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy/argocd/resource_customizations/evenkeel.dev")
        .join(kind)
        .join("testdata")
        .join(format!("{case}.yaml"));
    let mut object: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let name = object["metadata"]["name"].clone();
    object["metadata"] = json!({ "name": name });
    let status = object.as_object_mut().unwrap().remove("status").unwrap();
    (object, status)
}

fn put(ns: &Namespace<'_>, kind: &str, case: &str, name: &str) {
    let (mut object, status) = written(kind, case);
    object["metadata"]["name"] = json!(name);
    ns.create(&object).ok().unwrap();
    ns.set_status(kind, name, &status);
}

/// A description with times, uids and versions masked.
fn masked(ns: &Namespace<'_>, text: &str) -> String {
    const CHANGING: &[&str] = &["UID:", "Resource Version:", "Creation Timestamp:"];
    let line = |line: &str| match CHANGING.iter().find(|k| line.trim_start().starts_with(**k)) {
        Some(key) => format!("  {key} ..."),
        None => line.trim_end().to_owned(),
    };
    let lines: Vec<_> = text.lines().map(line).collect();
    lines.join("\n").replace(&ns.name, "NAMESPACE")
}

/// A table with its columns parted by bars, and without ages.
fn table(text: &str) -> String {
    let header = text.lines().next().unwrap();
    let starts: Vec<usize> = (0..header.len())
        .filter(|i| {
            let before = header[..*i].ends_with("   ") || *i == 0;
            before && !header[*i..].starts_with(' ')
        })
        .collect();
    let age = header.find(" AGE").map(|i| i + 1);
    let row = |line: &str| {
        let ends = starts[1..].iter().copied().chain([line.len()]);
        let cells = starts.iter().zip(ends).map(|(start, end)| {
            let cell = line.get(*start..end.min(line.len())).unwrap_or_default().trim();
            match cell {
                "" => "-",
                _ if Some(*start) == age => "AGE",
                cell => cell,
            }
        });
        cells.collect::<Vec<_>>().join(" | ")
    };
    text.lines().map(row).collect::<Vec<_>>().join("\n")
}

#[test]
fn columns_say_what_is_wished_what_is_and_why_not() {
    let ns = cluster().namespace("columns");
    for case in [
        "running",
        "stopped",
        "no-such-image",
        "creating",
        "unreachable",
        "paused",
        "unseen",
    ] {
        put(&ns, "Server", case, case);
    }
    for (kind, case) in [
        ("ServerGroup", "ready"),
        ("ProviderConfig", "reachable"),
        ("ProviderConfig", "no-secret"),
    ] {
        put(&ns, kind, case, case);
    }
    let get = |args: &[&str]| table(&ns.kubectl(&[&["get"], args].concat()).ok().unwrap());
    insta::assert_snapshot!("get_servers", get(&["servers"]));
    insta::assert_snapshot!("get_servers_wide", get(&["servers", "-o", "wide"]));
    insta::assert_snapshot!("get_groups_wide", get(&["servergroups", "-o", "wide"]));
    insta::assert_snapshot!("get_accounts_wide", get(&["providerconfigs", "-o", "wide"]));
    let describe = |name: &str| masked(&ns, &ns.kubectl(&["describe", "server", name]).ok().unwrap());
    insta::assert_snapshot!("describe_what_needs_a_person", describe("no-such-image"));
}

#[test]
fn what_is_waited_for_comes_or_is_said_to_be_missing() {
    let ns = cluster().namespace("wait");
    put(&ns, "Server", "running", "good");
    put(&ns, "Server", "no-such-image", "bad");
    let wait = |args: &[&str]| ns.kubectl(&[&["wait", "--timeout=2s"], args].concat());
    assert!(wait(&["--for=condition=Ready", "server/good"]).ok);
    assert!(wait(&["--for=condition=Stalled", "server/bad"]).ok);
    assert!(wait(&["--for=jsonpath={.status.power.observed}=Running", "server/good"]).ok);
    let out = wait(&["--for=condition=Ready", "server/bad"]);
    assert!(!out.ok && out.err.contains("timed out"), "{}", out.err);
}

#[test]
fn every_way_to_apply_leads_to_the_same_object() {
    let ns = cluster().namespace("ways");
    let (mut object, _) = written("Server", "running");
    object["spec"]["powerState"] = json!("Running");
    let name = "web";
    let text = |object: &Value| object.to_string();
    // Client-side first, as most people begin; then a diff, then server-side.
    ns.kubectl_text(&["apply", "-f", "-"], &text(&object))
        .ok()
        .unwrap();
    let first = ns.get("server", name)["spec"].clone();
    assert!(
        ns.kubectl_text(&["diff", "-f", "-"], &text(&object)).ok,
        "nothing differs from what was applied"
    );
    let mut edited = object.clone();
    edited["spec"]["powerState"] = json!("Stopped");
    let out = ns.kubectl_text(&["diff", "-f", "-"], &text(&edited));
    let changed: Vec<&str> = out
        .out
        .lines()
        .filter(|l| (l.starts_with("+ ") || l.starts_with("- ")) && !l.contains("generation:"))
        .collect();
    assert_eq!(
        changed,
        ["-  powerState: Running", "+  powerState: Stopped"],
        "{}",
        out.err
    );
    let server_side = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
    ns.kubectl_text(&server_side, &text(&edited)).ok().unwrap();
    let second = ns.get("server", name);
    assert_eq!(second["spec"]["powerState"], "Stopped");
    assert_eq!(second["metadata"]["generation"], 2);
    ns.kubectl_text(&server_side, &text(&object)).ok().unwrap();
    assert_eq!(
        ns.get("server", name)["spec"],
        first,
        "defaults are the same either way"
    );
}

/// Runs `kubectl edit` with an editor that replaces a text by another. What kubectl says, and what it shows in the editor
/// when the change is refused.
fn edit(ns: &Namespace<'_>, name: &str, from: &str, to: &str) -> (bool, String) {
    let dir = tempfile::tempdir().unwrap();
    let editor = dir.path().join("editor");
    let mut file = std::fs::File::create(&editor).unwrap();
    write!(file, "#!/bin/sh\nexec sed -i 's/{from}/{to}/' \"$1\"\n").unwrap();
    drop(file);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&editor, mode).unwrap();
    let out = Command::new(cluster().bin().join("kubectl"))
        .arg("--kubeconfig")
        .arg(cluster().kubeconfig())
        .args(["-n", &ns.name, "edit", "server", name])
        .env("KUBE_EDITOR", &editor)
        .env("TMPDIR", dir.path())
        .output()
        .unwrap();
    let mut said = [out.stdout, out.stderr].concat();
    for left in std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path()) {
        said.extend(std::fs::read(left).unwrap());
    }
    (out.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn an_edit_is_taken_or_refused_in_words() {
    let ns = cluster().namespace("edit");
    put(&ns, "Server", "running", "web");
    let (ok, said) = edit(&ns, "web", "driftPolicy: Enforce", "driftPolicy: Observe");
    assert!(ok && said.contains("edited"), "{said}");
    assert_eq!(ns.get("server", "web")["spec"]["driftPolicy"], "Observe");
    let (ok, said) = edit(&ns, "web", "name: cloud$", "name: other");
    assert!(!ok && said.contains("providerConfigRef is immutable"), "{said}");
    assert_eq!(
        ns.get("server", "web")["spec"]["providerConfigRef"]["name"],
        "cloud"
    );
}

#[test]
fn however_it_is_deleted_the_finalizer_holds_it() {
    let ns = cluster().namespace("cascade");
    for cascade in ["background", "foreground", "orphan"] {
        let (mut object, _) = written("Server", "running");
        object["metadata"] = json!({"name": cascade, "finalizers": ["evenkeel.dev/cloud-server"]});
        ns.create(&object).ok().unwrap();
        let way = format!("--cascade={cascade}");
        ns.kubectl(&["delete", "server", cascade, &way, "--wait=false"])
            .ok()
            .unwrap();
        let got = ns.get("server", cascade);
        assert!(got["metadata"]["deletionTimestamp"].is_string(), "{cascade}");
        let finalizers = got["metadata"]["finalizers"].as_array().unwrap();
        assert!(
            finalizers.contains(&json!("evenkeel.dev/cloud-server")),
            "{cascade}: {finalizers:?}"
        );
    }
}
