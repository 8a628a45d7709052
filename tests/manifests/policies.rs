//! The admission policies, on the API server that carries them out.

use std::time::Duration;

use serde_json::{Value, json};

use crate::helm::{documents, root};
use crate::support::kube::{Cluster, Namespace, eventually};

const SOON: Duration = Duration::from_secs(20);

/// deploy/default and the policies that are options.
fn guarded() -> &'static Cluster {
    let cluster = crate::installed();
    for name in ["management-policy", "deletion-policy", "abandon", "finalizers"] {
        let file = root(&format!("deploy/components/policies/{name}.yaml"));
        cluster
            .kubectl(&["apply", "--server-side", "-f", file.to_str().unwrap()])
            .ok()
            .unwrap();
    }
    cluster
}

fn server(name: &str, spec: &Value) -> Value {
    let mut all = json!({
        "providerConfigRef": {"name": "helsinki"}, "size": {"name": "s"}, "image": {"name": "i"},
        "openstack": {"networks": [{"name": "primary", "network": "net"}]},
    });
    for (key, value) in spec.as_object().unwrap() {
        all[key] = value.clone();
    }
    json!({
        "apiVersion": "evenkeel.dev/v1alpha1", "kind": "Server", "metadata": {"name": name}, "spec": all,
    })
}

/// Asks until it is refused with these words: a policy works a moment after it was made.
fn refused(what: &str, words: &str, mut ask: impl FnMut() -> crate::support::kube::Output) {
    eventually(what, SOON, || {
        let out = ask();
        (!out.ok && out.err.contains(words)).then_some(())
    });
}

#[test]
fn a_protected_server_is_not_deleted() {
    let cluster = guarded();
    let ns = cluster.namespace("protected");
    ns.create(&server("db", &json!({"deletionProtection": true})))
        .ok()
        .unwrap();
    ns.create(&server("web", &json!({}))).ok().unwrap();
    let words = format!(
        "Server {}/db is protected: set spec.deletionProtection to false first",
        ns.name
    );
    let dry = ["delete", "server", "db", "--dry-run=server"];
    refused("the protection", &words, || ns.kubectl(&dry));
    for args in [&["delete", "server", "db"][..], &["delete", "servers", "--all"]] {
        let out = ns.kubectl(args);
        assert!(!out.ok && out.err.contains(&words), "{args:?}: {}", out.err);
    }
    // The other one is gone, this one is as it was, not even marked.
    assert!(!ns.kubectl(&["get", "server", "web"]).ok);
    assert_eq!(
        ns.get("server", "db")["metadata"]["deletionTimestamp"],
        Value::Null
    );
    // Its namespace waits for it, and says so.
    cluster
        .kubectl(&["delete", "namespace", &ns.name, "--wait=false"])
        .ok()
        .unwrap();
    eventually(
        "the namespace to say what it waits for",
        Duration::from_secs(60),
        || {
            let text = cluster.kubectl(&["get", "namespace", &ns.name, "-o", "json"]).out;
            text.contains("is protected").then_some(())
        },
    );
    assert_eq!(
        ns.get("server", "db")["metadata"]["deletionTimestamp"],
        Value::Null
    );
    let off = r#"{"spec":{"deletionProtection":false}}"#;
    ns.kubectl(&["patch", "server", "db", "--type=merge", "-p", off])
        .ok()
        .unwrap();
    // Nothing holds it any more, and the namespace takes it along by itself.
    eventually("the end of its namespace", Duration::from_secs(60), || {
        (!cluster.kubectl(&["get", "namespace", &ns.name]).ok).then_some(())
    });
}

#[test]
fn the_definitions_are_not_deleted_by_accident() {
    let cluster = guarded();
    let dry = ["delete", "crd", "servers.evenkeel.dev", "--dry-run=server"];
    refused(
        "the protection",
        "with servers.evenkeel.dev every object of this kind would be deleted",
        || cluster.kubectl(&dry),
    );
    // The way of removing everything that stands in this folder does not remove them either.
    for folder in ["deploy/crds", "deploy/foundation"] {
        let objects = documents(&crate::rendered(cluster, folder)).len();
        let folder = root(folder);
        let all = ["delete", "--dry-run=server", "-k", folder.to_str().unwrap()];
        let out = cluster.kubectl(&all);
        assert_eq!(
            out.err.matches("evenkeel-crd-protection").count(),
            2 * objects,
            "{}{}",
            out.out,
            out.err
        );
    }
    // Nor does the way of removing the whole installation take its id along.
    let namespace = ["delete", "namespace", "evenkeel-system", "--dry-run=server"];
    let out = cluster.kubectl(&namespace);
    assert!(
        !out.ok && out.err.contains("the id of this installation would go"),
        "{}{}",
        out.out,
        out.err
    );
    let other = cluster.namespace("other");
    let plain = ["delete", "namespace", &other.name, "--dry-run=server"];
    cluster.kubectl(&plain).ok().unwrap();
    // One whose Servers are precious is refused as a whole, before the first of them is gone.
    let label = |word: &str| {
        cluster
            .kubectl(&["label", "namespace", &other.name, word])
            .ok()
            .unwrap()
    };
    label("evenkeel.dev/protect=true");
    let out = cluster.kubectl(&plain);
    let words = format!("with {} every Server in it would be deleted", other.name);
    assert!(!out.ok && out.err.contains(&words), "{}{}", out.out, out.err);
    label("evenkeel.dev/protect-");
    cluster.kubectl(&plain).ok().unwrap();
    // Others are none of its business, and who insists may.
    let other = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": {"kind": "Thing", "plural": "things"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}],
        }
    });
    cluster
        .kubectl_with(&["create", "-f", "-"], Some(&other.to_string()))
        .ok()
        .unwrap();
    cluster
        .kubectl(&["delete", "crd", "things.example.com"])
        .ok()
        .unwrap();
    let key = "evenkeel.dev/allow-deletion";
    let note = |value: &str| {
        cluster.kubectl(&[
            "annotate",
            "--overwrite",
            "crd",
            "servers.evenkeel.dev",
            &format!("{key}{value}"),
        ])
    };
    note("=true").ok().unwrap();
    cluster.kubectl(&dry).ok().unwrap();
    note("-").ok().unwrap();
    assert!(!cluster.kubectl(&dry).ok);
}

/// Makes a user who may do everything ordinary with servers and groups.
fn user(ns: &Namespace<'_>, name: &str, verbs: &str) {
    let role = format!("{name}-role");
    ns.kubectl(&[
        "create",
        "role",
        &role,
        &format!("--verb={verbs}"),
        "--resource=servers.evenkeel.dev,servergroups.evenkeel.dev",
    ])
    .ok()
    .unwrap();
    let (role, user) = (format!("--role={role}"), format!("--user={name}"));
    ns.kubectl(&["create", "rolebinding", name, &role, &user])
        .ok()
        .unwrap();
}

const ORDINARY: &str = "get,list,create,update,patch,delete";

/// What is asked of a server as a user: made with this spec, or changed by this patch.
enum Deed {
    Make(Value),
    Change(Value),
}

#[test]
fn who_may_let_go_of_a_server_is_said_by_roles() {
    let ns = guarded().namespace("who");
    let import = json!({"id": "4711"});
    #[rustfmt::skip] // One case a line.
    let cases = [
        // An import has to say its deletionPolicy too.
        ("set-management-policy", "spec.managementPolicy", Deed::Make(json!({"managementPolicy": "Observe", "import": import, "deletionPolicy": "Orphan"}))),
        ("set-management-policy", "spec.managementPolicy", Deed::Change(json!({"spec": {"managementPolicy": "PowerOnly"}}))),
        ("set-deletion-policy", "spec.deletionPolicy", Deed::Make(json!({"deletionPolicy": "Orphan"}))),
        ("set-deletion-policy", "spec.deletionPolicy", Deed::Change(json!({"spec": {"deletionPolicy": "Delete"}}))),
        ("abandon", "the annotation evenkeel.dev/abandon", Deed::Change(json!({"metadata": {"annotations": {"evenkeel.dev/abandon": "4711"}}}))),
    ];
    // Made by an administrator, whom no policy stops.
    let there = json!({"import": import, "powerState": "Running", "deletionPolicy": "Orphan"});
    ns.create(&server("there", &there)).ok().unwrap();
    for (n, (verb, field, deed)) in cases.iter().enumerate() {
        let more = if n == 0 { ",set-deletion-policy" } else { "" };
        let (one, other) = (format!("ann-{n}"), format!("bea-{n}"));
        user(&ns, &one, &format!("{ORDINARY}{more}"));
        user(&ns, &other, &format!("{ORDINARY}{more},{verb}"));
        let ask = |who: &str| {
            let who = format!("--as={who}");
            match deed {
                Deed::Make(spec) => ns.kubectl_with(
                    &["create", "--dry-run=server", &who, "-f", "-"],
                    Some(&server("new", spec)),
                ),
                Deed::Change(patch) => {
                    let patch = patch.to_string();
                    let args = [
                        "patch",
                        "server",
                        "there",
                        "--type=merge",
                        "--dry-run=server",
                        "-p",
                    ];
                    ns.kubectl(&[&args[..], &[&patch, &who]].concat())
                }
            }
        };
        let words = format!("{field} is set only by who has the verb {verb} on servers.evenkeel.dev");
        refused(verb, &words, || ask(&one));
        eventually(&format!("{verb} to be granted"), SOON, || {
            ask(&other).ok.then_some(())
        });
    }
}

/// Who has the controller's account cannot have the cluster by it.
#[test]
fn the_controllers_account_writes_no_secret_but_its_own() {
    let cluster = guarded();
    let ns = cluster.namespace("tokens");
    let controller = "--as=system:serviceaccount:evenkeel-system:evenkeel";
    // An owner that does not exist would take its Secrets along.
    ns.create(&server("web", &json!({}))).ok().unwrap();
    let uid = ns.get("server", "web")["metadata"]["uid"].clone();
    let owner = json!([{"apiVersion": "evenkeel.dev/v1alpha1", "kind": "Server", "name": "web", "uid": uid}]);
    let secret = |name: &str, kind: &str, owners: &Value| {
        json!({"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": {"name": name, "ownerReferences": owners,
            "annotations": {"kubernetes.io/service-account.name": "default"}}, "stringData": {"password": "x"}})
    };
    let make = |object: &Value| ns.kubectl_with(&["create", controller, "-f", "-"], Some(object));
    let token = secret("token", "kubernetes.io/service-account-token", &owner);
    refused("the policy", "writes no Secret of a special type", || {
        make(&token)
    });
    let words = "belong to an object of evenkeel.dev";
    refused("a Secret of nobody", words, || {
        make(&secret("loose", "Opaque", &json!([])))
    });
    eventually("its own Secret", SOON, || {
        make(&secret("told", "Opaque", &owner)).ok.then_some(())
    });
    // Nor does it make another's Secret its own.
    ns.create(&secret("theirs", "Opaque", &json!([]))).ok().unwrap();
    let update = |name: &str| {
        let mut object = secret(name, "Opaque", &owner);
        object["stringData"]["password"] = json!("y");
        ns.kubectl_with(&["replace", controller, "-f", "-"], Some(&object))
    };
    refused("another's Secret", words, || update("theirs"));
    update("told").ok().unwrap();
    // Everybody else is asked nothing.
    ns.create(&secret("ordinary", "Opaque", &json!([]))).ok().unwrap();
}

/// The finalizer is what stands between a forced deletion and a server that nobody looks after.
#[test]
fn the_finalizer_is_the_controllers_own() {
    let ns = guarded().namespace("kept");
    user(&ns, "ann", ORDINARY);
    user(&ns, "bea", &format!("{ORDINARY},abandon"));
    let controller = "system:serviceaccount:evenkeel-system:evenkeel";
    let mut there = server("there", &json!({}));
    there["metadata"]["finalizers"] = json!(["evenkeel.dev/cloud-server", "example.com/theirs"]);
    ns.create(&there).ok().unwrap();
    let change = |who: &str, finalizers: &Value, run: bool| {
        let patch = json!({"metadata": {"finalizers": finalizers}}).to_string();
        let who = format!("--as={who}");
        let dry = if run { "--dry-run=none" } else { "--dry-run=server" };
        ns.kubectl(&[
            "patch",
            "server",
            "there",
            "--type=merge",
            "-p",
            &patch,
            &who,
            dry,
        ])
    };
    let words = "the finalizer of the controller is taken off only by itself, and by who has the verb abandon on \
                 servers.evenkeel.dev: what it keeps would stay in the cloud";
    refused("the policy", words, || {
        change("ann", &json!(["example.com/theirs"]), false)
    });
    // Another's finalizer, and a wish, are theirs to change.
    let ours = json!(["evenkeel.dev/cloud-server"]);
    change("ann", &ours, false).ok().unwrap();
    ns.kubectl(&["annotate", "server", "there", "note=1", "--as=ann"])
        .ok()
        .unwrap();
    let out = change("ann", &Value::Null, false);
    assert!(!out.ok && out.err.contains(words), "{}", out.err);
    eventually("the verb to be granted", SOON, || {
        change("bea", &json!([]), false).ok.then_some(())
    });
    change(controller, &json!(["example.com/theirs"]), true)
        .ok()
        .unwrap();
    change("ann", &json!([]), true).ok().unwrap();
}

#[test]
fn everything_else_is_nobodys_business() {
    let ns = guarded().namespace("ordinary");
    user(&ns, "ann", ORDINARY);
    let there = json!({"import": {"id": "1"}, "powerState": "Running", "deletionPolicy": "Orphan"});
    ns.create(&server("there", &there)).ok().unwrap();
    let given = r#"{"metadata":{"annotations":{"evenkeel.dev/abandon":"1"}}}"#;
    ns.kubectl(&["patch", "server", "there", "--type=merge", "-p", given])
        .ok()
        .unwrap();
    // The policies work already.
    let patch = r#"{"spec":{"deletionPolicy":"Delete"}}"#;
    refused("the policy", "spec.deletionPolicy is set only by", || {
        ns.kubectl(&[
            "patch",
            "server",
            "there",
            "--type=merge",
            "--dry-run=server",
            "-p",
            patch,
            "--as=ann",
        ])
    });
    ns.kubectl_with(
        &["create", "--as=ann", "-f", "-"],
        Some(&server("plain", &json!({}))),
    )
    .ok()
    .unwrap();
    for patch in [
        r#"{"spec":{"powerState":"Stopped"}}"#,
        // The same again, and taken back.
        r#"{"metadata":{"annotations":{"evenkeel.dev/abandon":"1","evenkeel.dev/paused":"true"}}}"#,
        r#"{"metadata":{"annotations":{"evenkeel.dev/abandon":null}}}"#,
    ] {
        ns.kubectl(&[
            "patch",
            "server",
            "there",
            "--type=merge",
            "-p",
            patch,
            "--as=ann",
        ])
        .ok()
        .unwrap();
    }
    // The controller, which has none of the verbs, ends a deletion.
    let finalizers = r#"{"metadata":{"finalizers":["evenkeel.dev/cloud-server"]}}"#;
    ns.kubectl(&["patch", "server", "there", "--type=merge", "-p", finalizers])
        .ok()
        .unwrap();
    ns.kubectl(&["delete", "server", "there", "--wait=false"])
        .ok()
        .unwrap();
    let none = r#"{"metadata":{"finalizers":[]}}"#;
    ns.kubectl(&[
        "patch",
        "server",
        "there",
        "--type=merge",
        "-p",
        none,
        crate::ACCOUNT,
    ])
    .ok()
    .unwrap();
    assert!(!ns.kubectl(&["get", "server", "there"]).ok);
}
