//! The files of `deploy/argocd`, and the ConfigMap patch that is made of them (`make generate`).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The group's folder in the layout of Argo CD's own repository.
const CUSTOMIZATIONS: &str = "deploy/argocd/resource_customizations/evenkeel.dev";
/// The same scripts as a patch of Argo CD's ConfigMap.
const PATCH: &str = "deploy/argocd/argocd-cm.yaml";

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where the files of a kind are.
pub fn folder(kind: &str) -> PathBuf {
    root().join(CUSTOMIZATIONS).join(kind)
}

/// The ConfigMap with all scripts.
pub fn patch() -> PathBuf {
    root().join(PATCH)
}

/// Every kind of ours.
pub fn kinds() -> Vec<String> {
    let all = evenkeel::api::crds::all().unwrap();
    all.into_iter().map(|(_, crd)| crd.spec.names.kind).collect()
}

pub fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Reads YAML.
pub fn yaml(path: &Path) -> Value {
    serde_saphyr::from_str(&text(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Writes a file that is made from something else if `GENERATE` is set; whether it is as it should be.
pub fn made(path: &Path, text: &str) -> bool {
    if std::env::var_os("GENERATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    std::fs::read_to_string(path).is_ok_and(|found| found == text)
}

/// The actions of a kind by name.
pub fn actions(kind: &str) -> Vec<String> {
    let Ok(found) = std::fs::read_dir(folder(kind).join("actions")) else {
        return Vec::new();
    };
    let mut names: Vec<String> = found
        .map(|e| e.unwrap().path())
        .filter(|p| p.join("action.lua").exists())
        .map(|p| p.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn block(out: &mut String, indent: usize, script: &str) {
    for line in script.lines() {
        let line = format!("{:indent$}{line}", "");
        writeln!(out, "{}", line.trim_end()).unwrap();
    }
}

fn made_of_scripts() -> String {
    let mut out = String::from(
        "# Health and actions of the kinds of evenkeel.dev, for Argo CD's ConfigMap. Made from the files below\n\
         # resource_customizations by `make generate`; do not edit.\n\
         apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: argocd-cm\ndata:\n",
    );
    for kind in kinds() {
        writeln!(out, "  resource.customizations.health.evenkeel.dev_{kind}: |").unwrap();
        block(&mut out, 4, &text(&folder(&kind).join("health.lua")));
        let names = actions(&kind);
        if names.is_empty() {
            continue;
        }
        let actions = folder(&kind).join("actions");
        writeln!(out, "  resource.customizations.actions.evenkeel.dev_{kind}: |").unwrap();
        out += "    discovery.lua: |\n";
        block(&mut out, 6, &text(&actions.join("discovery.lua")));
        out += "    definitions:\n";
        for name in names {
            writeln!(out, "      - name: {name}\n        action.lua: |").unwrap();
            block(&mut out, 10, &text(&actions.join(&name).join("action.lua")));
        }
    }
    out
}

#[test]
fn the_patch_holds_the_scripts() {
    assert!(
        made(&patch(), &made_of_scripts()),
        "{PATCH} is out of date: make generate"
    );
}

/// Argo CD knows no sharing between kinds: the same text lies in each folder.
#[test]
fn every_kind_has_the_same_health_script() {
    let texts: Vec<String> = kinds()
        .iter()
        .map(|k| text(&folder(k).join("health.lua")))
        .collect();
    assert!(
        texts.windows(2).all(|w| w[0] == w[1]),
        "the health scripts differ"
    );
}
