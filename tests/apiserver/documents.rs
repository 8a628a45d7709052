//! What the pages show is taken as it stands: every manifest in README and `docs/`, and every patch, on a real API server.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cases::object;
use crate::support::kube::cluster;

/// What stands in for the rest of a Server of which only some fields are shown.
const AROUND: &str = "apiVersion: evenkeel.dev/v1alpha1
kind: Server
metadata: {name: shown}
spec:
  providerConfigRef: {name: helsinki}
  size: {name: m1.small}
  image: {name: cirros}
";

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md"), root.join("SECURITY.md")];
    for folder in ["docs", "docs/runbooks"] {
        let all = std::fs::read_dir(root.join(folder)).unwrap();
        let all = all.map(|entry| entry.unwrap().path());
        pages.extend(all.filter(|path| path.extension().is_some_and(|e| e == "md")));
    }
    pages.sort();
    pages
}

/// A page's text in fences: with the word after the opening one.
fn fenced(text: &str) -> Vec<(&str, String)> {
    let mut blocks: Vec<(&str, String)> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        if let Some(word) = line.trim_start().strip_prefix("```") {
            open = !open;
            if open {
                blocks.push((word.trim(), String::new()));
            }
        } else if open && let Some((_, block)) = blocks.last_mut() {
            block.push_str(line);
            block.push('\n');
        }
    }
    blocks
}

/// What a command line hands to `kubectl apply -f -`.
fn handed_in(block: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut end: Option<String> = None;
    for line in block.lines() {
        match &end {
            Some(word) if line.trim() == word => end = None,
            Some(_) => {
                let text = all.last_mut().unwrap();
                text.push_str(line);
                text.push('\n');
            }
            None => {
                if let Some((_, word)) = line.split_once("apply -f - <<") {
                    end = Some(word.trim().trim_matches('\'').to_owned());
                    all.push(String::new());
                }
            }
        }
    }
    all
}

/// The manifests of a page that are ours, made whole where a page shows some fields of a Server.
fn manifests(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    for (word, block) in fenced(text) {
        match word {
            "yaml" if block.contains("apiVersion: evenkeel.dev/") => all.push(block),
            "yaml" if block.starts_with("  ") => all.push(format!("{AROUND}{block}")),
            // What belongs to another tool.
            "yaml" => {}
            _ => all.extend(handed_in(&block)),
        }
    }
    all
}

#[test]
fn every_manifest_that_a_page_shows_is_valid() {
    let ns = cluster().namespace("documents");
    let (mut wrong, mut count) = (Vec::new(), 0);
    for page in pages() {
        for text in manifests(&std::fs::read_to_string(&page).unwrap()) {
            count += 1;
            let out = ns.kubectl_text(&["apply", "--dry-run=server", "-f", "-"], &text);
            if let Err(said) = out.ok() {
                wrong.push(format!("{}: {said}\n{text}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 7, "only {count} manifests are shown");
}

#[test]
fn every_patch_that_a_page_shows_is_taken() {
    let ns = cluster().namespace("patches");
    let spec = json!({"providerConfigRef": {"name": "helsinki"}, "size": {"name": "m1.small"},
        "image": {"name": "cirros"}, "deletionProtection": true});
    ns.create(&object("Server", "web-1", &spec)).ok().unwrap();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for shown in text.split("kubectl patch server ").skip(1) {
            let (options, rest) = shown.split_once(" -p '").unwrap();
            let patch = rest.split('\'').next().unwrap();
            let kind = options.split_whitespace().skip(1).collect::<Vec<_>>();
            let mut args = vec!["patch", "server", "web-1", "--dry-run=server"];
            args.extend(kind);
            args.extend(["-p", patch]);
            count += 1;
            let out = ns.kubectl(&args);
            // A field that does not exist is dropped without a word.
            if !out.out.contains("server.evenkeel.dev/web-1 patched") || out.out.contains("(no change)") {
                wrong.push(format!("{}: {patch}: {}{}", page.display(), out.out, out.err));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 2, "only {count} patches are shown");
}
