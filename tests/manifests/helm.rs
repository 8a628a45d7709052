//! The real helm, and what it renders.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use crate::support::kube::{Cluster, Output};

/// The namespace of every installation here.
pub const NAMESPACE: &str = "evenkeel-system";

/// A file of this checkout.
pub fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The text of a file of this checkout.
pub fn text(path: &str) -> String {
    std::fs::read_to_string(root(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The chart.
pub fn chart() -> String {
    root("charts/evenkeel").to_str().unwrap().to_owned()
}

/// The chart as it was first, kept.
pub fn first_chart() -> String {
    root("tests/fixtures/charts/evenkeel-0.1.0.tgz")
        .to_str()
        .unwrap()
        .to_owned()
}

/// helm with these arguments. It sees no configuration of the user's.
pub fn command(kubeconfig: Option<&Path>, args: &[&str]) -> Command {
    static HELM: OnceLock<PathBuf> = OnceLock::new();
    let helm = HELM.get_or_init(|| {
        let out = Command::new(root("tests/env/helm.sh"))
            .stderr(Stdio::inherit())
            .output()
            .expect("tests/env/helm.sh can be run (it needs bash)");
        assert!(out.status.success(), "helm.sh ended with {}", out.status);
        PathBuf::from(String::from_utf8(out.stdout).unwrap().trim())
    });
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("helm");
    let mut command = Command::new(helm);
    command.args(args).stdin(Stdio::null());
    for name in ["HELM_CONFIG_HOME", "HELM_CACHE_HOME", "HELM_DATA_HOME"] {
        command.env(name, &home);
    }
    match kubeconfig {
        Some(file) => command.env("KUBECONFIG", file),
        None => command.env_remove("KUBECONFIG"),
    };
    command
}

/// Runs helm without a cluster.
pub fn helm(args: &[&str]) -> Output {
    said(&mut command(None, args), args)
}

/// Runs helm on a cluster.
pub fn helm_on(cluster: &Cluster, args: &[&str]) -> Output {
    said(&mut command(Some(&cluster.kubeconfig()), args), args)
}

fn said(command: &mut Command, args: &[&str]) -> Output {
    let out = command.output().expect("helm");
    Output {
        command: format!("(helm) {}", args.join(" ")),
        ok: out.status.success(),
        out: String::from_utf8_lossy(&out.stdout).into_owned(),
        err: String::from_utf8_lossy(&out.stderr).into_owned(),
    }
}

/// What the chart renders with these arguments, as text.
pub fn rendered(args: &[&str]) -> Output {
    let chart = chart();
    let base = ["template", "evenkeel", chart.as_str(), "-n", NAMESPACE];
    helm(&[&base, args].concat())
}

/// What the chart renders with these arguments.
pub fn template(args: &[&str]) -> Vec<Value> {
    documents(&rendered(args).ok().unwrap())
}

/// The objects of a YAML text.
pub fn documents(text: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text).unwrap_or_else(|e| panic!("{e}"));
    all.into_iter().filter(|d| !d.is_null()).collect()
}

/// How an object is told from others: `Kind namespace/name`.
pub fn identity(object: &Value) -> String {
    let meta = &object["metadata"];
    format!(
        "{} {}/{}",
        object["kind"].as_str().unwrap_or_default(),
        meta["namespace"].as_str().unwrap_or_default(),
        meta["name"].as_str().unwrap_or_default()
    )
}

/// The only object of a kind.
pub fn only<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let mut found = objects.iter().filter(|o| o["kind"] == kind);
    let one = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "more than one {kind}");
    one
}
