//! Which values the chart takes, and how it refuses the others.

use serde_json::{Map, Value};

use crate::helm::{chart, documents, helm, rendered, template, text};

/// Arguments of helm, and what it has to say.
#[rustfmt::skip] // One case a line.
const REFUSED: &[(&[&str], &str)] = &[
    (&["--set", "replica=2"], "additional properties 'replica' not allowed"),
    (&["--set", "image.name=x"], "additional properties 'name' not allowed"),
    (&["--set", "networkPolicy.enable=true"], "additional properties 'enable' not allowed"),
    (&["--set", "metrics.podmonitor.enabled=true"], "additional properties 'podmonitor' not allowed"),
    (&["--set", "policies.protection=false"], "additional properties 'protection' not allowed"),
    (&["--set", "crds.enabled=false"], "additional properties 'enabled' not allowed"),
    (&["--set", "replicas=-1"], "at '/replicas'"),
    (&["--set", "replicas=11"], "at '/replicas'"),
    (&["--set-string", "replicas=2"], "at '/replicas'"),
    (&["--set", "image.repository="], "at '/image/repository'"),
    (&["--set", "image.repository=Evenkeel"], "at '/image/repository'"),
    (&["--set", "image.repository=null"], "missing property 'repository'"),
    (&["--set", "image.tag=a b"], "at '/image/tag'"),
    (&["--set", "image.digest=sha256:abc"], "at '/image/digest'"),
    (&["--set", "image.pullPolicy=Sometimes"], "at '/image/pullPolicy'"),
    (&["--set", "imagePullSecrets={login}"], "at '/imagePullSecrets/0'"),
    (&["--set", "watchNamespaces=team-a"], "at '/watchNamespaces'"),
    (&["--set", "watchNamespaces={Team}"], "at '/watchNamespaces/0'"),
    (&["--set", "watchNamespaces={a,a}"], "at '/watchNamespaces'"),
    (&["--set", "watchNamespaces={}", "--set", "watchNamespaces[0]="], "at '/watchNamespaces/0'"),
    (&["--set", "logFormat=xml"], "at '/logFormat'"),
    (&["--set", "extraArgs={sim}"], "at '/extraArgs/0'"),
    (&["--set", "extraEnv[0].name=1X"], "at '/extraEnv/0/name'"),
    (&["--set", "extraEnv[0].value=x"], "missing property 'name'"),
    (&["--set", "extraEnvFrom[0].secretRef.key=x"], "at '/extraEnvFrom/0/secretRef'"),
    (&["--set", "extraVolumes[0].name=x,extraVolumes[0].hostPath.path=/etc"], "at '/extraVolumes/0/hostPath'"),
    (&["--set", "extraVolumeMounts[0].name=x,extraVolumeMounts[0].mountPath=etc"], "at '/extraVolumeMounts/0/mountPath'"),
    (&["--set", "serviceAccount.create=yes"], "at '/serviceAccount/create'"),
    (&["--set", "rbac.secretNames=helsinki"], "at '/rbac/secretNames'"),
    (&["--set", "rbac.secretNames={Helsinki}"], "at '/rbac/secretNames/0'"),
    (&["--set", "podDisruptionBudget.maxUnavailable=0"], "at '/podDisruptionBudget/maxUnavailable'"),
    (&["--set", "networkPolicy.egressPorts={70000}"], "at '/networkPolicy/egressPorts/0'"),
    (&["--set", "networkPolicy.egressTo[0].cidr=10.0.0.0/8"], "at '/networkPolicy/egressTo/0'"),
    (&["--set", "metrics.podMonitor.interval=often"], "at '/metrics/podMonitor/interval'"),
    (&["--set", "priorityClassName=System Critical"], "at '/priorityClassName'"),
    (&["--set", "tolerations[0].effect=Never"], "at '/tolerations/0/effect'"),
    (&["--set", "topologySpreadConstraints[0].maxSkew=1"], "at '/topologySpreadConstraints/0'"),
    (&["--set", "runAsUser=0"], "at '/runAsUser'"),
    (&["--set", "runAsGroup=root"], "at '/runAsGroup'"),
    (&["--set", "terminationGracePeriodSeconds=29"], "at '/terminationGracePeriodSeconds'"),
    (&["--set", "resources.requests.cpu=much"], "at '/resources/requests/cpu'"),
    (&["--set", "probes.liveness.path=/x"], "at '/probes/liveness'"),
    (&["--set", "probes.liveness=null"], "missing property 'liveness'"),
    (&["--set", "probes.readiness=null"], "missing property 'readiness'"),
    (&["--set", "labels.a b=c"], "invalid propertyName 'a b'"),
    (&["--set", "labels.team=a b"], "at '/labels/team'"),
    // What no schema can say.
    (&["--set", "crds.keep=false"], "crds.keep: false is not possible any more: removing the release would have deleted every Server"),
    (&["--set", "namespaces={a},watchNamespaces={b}"], "namespaces is the former name of watchNamespaces: give watchNamespaces alone"),
    (&["--set", "serviceAccount.create=false"], "serviceAccount.name has to name an existing ServiceAccount"),
    (&["--set", "metrics.podMonitor.enabled=true,metrics.serviceMonitor.enabled=true"], "would count everything twice"),
    (&["--set", "rbac.aggregate=true,watchNamespaces={a}"], "rbac.aggregate needs ClusterRoles"),
    (&["--set", "podLabels.app\\.kubernetes\\.io/name=x"], "app.kubernetes.io/name is the chart's own"),
    (&["--kube-version", "1.32.0"], "chart requires kubeVersion: >=1.33.0-0"),
];

/// Values that people give.
#[rustfmt::skip]
const TAKEN: &[&[&str]] = &[
    &[],
    &["--set", "global.registry=x"],
    &["--set", "image.digest=sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef,image.repository=registry.example.com:5000/a/evenkeel"],
    &["--set", "imagePullSecrets[0].name=login"],
    &["--set", "runAsUser=null,runAsGroup=null"],
    &["--set", "podDisruptionBudget.maxUnavailable=50%,replicas=3"],
    &["--set", "extraEnv[0].name=A,extraEnv[0].value=b,extraEnvFrom[0].secretRef.name=s,logLevel=debug"],
    &["--set", "serviceAccount.create=false,serviceAccount.name=mine"],
    &["--set", "serviceAccount.annotations.a=b,annotations.c=d,labels.e=f,podLabels.g=h,podAnnotations.i=j"],
    &["--set", "tolerations[0].operator=Exists,nodeSelector.disk=ssd,affinity.nodeAffinity.x=y,priorityClassName=system-cluster-critical"],
    &["--set", "topologySpreadConstraints[0].maxSkew=1,topologySpreadConstraints[0].topologyKey=zone,topologySpreadConstraints[0].whenUnsatisfiable=DoNotSchedule"],
    &["--set", "rbac.create=false"],
    &["--set", "terminationGracePeriodSeconds=30,probes.liveness.timeoutSeconds=5"],
    &["--set", "resources.limits.memory=1Gi,resources.requests.cpu=1"],
];

#[test]
fn bad_values_are_refused_in_words_that_help() {
    let mut wrong = Vec::new();
    for (args, words) in REFUSED {
        let out = rendered(args);
        if out.ok || !out.err.contains(words) {
            wrong.push(format!(
                "{args:?} should say {words:?}, and says: {}",
                out.err.trim()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(REFUSED.len() >= 30);
}

#[test]
fn good_values_are_taken() {
    for args in TAKEN {
        assert!(template(args).len() > 8, "{args:?}");
    }
}

#[test]
fn values_of_an_older_chart_alone_are_refused_with_the_way_out() {
    // What `helm upgrade --reuse-values` hands in.
    let out = rendered(&["--set", "policies=null"]);
    assert!(
        !out.ok && out.err.contains("--reset-then-reuse-values"),
        "{}",
        out.err
    );
}

#[test]
fn the_former_name_of_the_namespaces_still_works() {
    let (old, new) = (
        rendered(&["--set", "namespaces={a,b}"]),
        rendered(&["--set", "watchNamespaces={a,b}"]),
    );
    let old = old.ok().unwrap();
    assert_eq!(old, new.ok().unwrap());
    assert!(old.contains("EVENKEEL_NAMESPACES") && !old.contains("kind: ClusterRole\n"));
}

#[test]
fn the_chart_is_free_of_lint() {
    for file in ["default", "namespaced", "production"] {
        let values = format!("{}/ci/{file}-values.yaml", chart());
        let out = helm(&["lint", "--strict", &chart(), "-f", &values]);
        assert!(out.ok, "{file}: {}{}", out.out, out.err);
    }
}

#[test]
fn two_renders_are_identical_and_ask_nobody() {
    let full = format!("{}/ci/production-values.yaml", chart());
    let first = rendered(&["-f", &full]).ok().unwrap();
    assert_eq!(first, rendered(&["-f", &full]).ok().unwrap());
    assert_eq!(first, rendered(&["-f", &full, "--is-upgrade"]).ok().unwrap());
    // An answer of the cluster or a random number would be another one with `helm template`, as Argo CD uses it.
    for entry in std::fs::read_dir(crate::helm::root("charts/evenkeel/templates")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let template = std::fs::read_to_string(&path).unwrap();
            for word in ["lookup", "rand", "genCA", "uuidv4", "now ", "Capabilities"] {
                assert!(!template.contains(word), "{}: {word}", path.display());
            }
        }
    }
    let hooked: Vec<_> = documents(&first)
        .iter()
        .filter_map(|o| {
            o["metadata"]["annotations"]["helm.sh/hook"]
                .as_str()
                .map(str::to_owned)
        })
        .collect();
    assert_eq!(hooked, ["test"], "nothing that is installed waits for a hook");
}

/// Every path of a tree of objects; lists and what the schema leaves open are leaves.
fn paths(
    prefix: &str,
    node: &Map<String, Value>,
    inner: &dyn Fn(&Value) -> Option<Map<String, Value>>,
) -> Vec<String> {
    let mut all = Vec::new();
    for (key, value) in node {
        let path = format!("{prefix}.{key}");
        match inner(value) {
            Some(below) => all.extend(paths(&path, &below, inner)),
            None => all.push(path),
        }
    }
    all.sort();
    all
}

#[test]
fn every_value_is_in_the_schema_with_a_default_and_a_comment() {
    let yaml = text("charts/evenkeel/values.yaml");
    let values: Map<String, Value> = serde_saphyr::from_str(&yaml).unwrap();
    let schema: Value = serde_json::from_str(&text("charts/evenkeel/values.schema.json")).unwrap();
    let mut known = schema["properties"].as_object().unwrap().clone();
    known.remove("global");
    let of_schema = |s: &Value| s["properties"].as_object().cloned();
    let of_values = |v: &Value| v.as_object().filter(|o| !o.is_empty()).cloned();
    let strip = |p: Vec<String>| -> Vec<String> {
        // How a probe is timed and what is asked for is the user's choice of several.
        p.into_iter()
            .filter(|p| {
                !p.starts_with(".probes") && !p.starts_with(".resources") && !p.starts_with(".affinity")
            })
            .collect()
    };
    assert_eq!(
        strip(paths("", &known, &of_schema)),
        strip(paths("", &values, &of_values))
    );

    for paragraph in yaml.split("\n\n") {
        assert!(
            paragraph.trim_start().starts_with('#') || paragraph.contains("\n  #"),
            "no comment: {paragraph}"
        );
    }
    open(&schema, "");
}

/// No object that lists its properties takes others.
fn open(schema: &Value, path: &str) {
    if schema.get("properties").is_some() && !path.starts_with(".extraVolume") {
        assert_eq!(schema["additionalProperties"], false, "{path} takes anything");
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        open(inner, &format!("{path}.{name}"));
    }
    if let Some(items) = schema.get("items") {
        open(items, &format!("{path}[]"));
    }
}
