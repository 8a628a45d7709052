//! What an account may do, as the chart says it, against what it did, as the audit log of the API server says it: the
//! same verbs on the same kinds, in the same places, to the same names.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

/// What everybody may ask who has an account: the doctor asks what it may.
const EVERYBODYS: &str = "selfsubjectaccessreviews";
/// Verbs that are granted without a name: what does not exist yet has none, and a list is of all.
const NAMELESS: &[&str] = &["create", "list", "watch"];

/// Something that is granted, or was done: in a namespace or in all at once, to one name or to any.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    pub verb: String,
    /// `resource/subresource.group`.
    pub what: String,
    pub place: Option<String>,
    pub name: Option<String>,
}

impl Right {
    /// Whether it allows what was done.
    fn covers(&self, deed: &Self) -> bool {
        let within = |wide: &Option<String>, one: &Option<String>| wide.is_none() || wide == one;
        (&self.verb, &self.what) == (&deed.verb, &deed.what)
            && within(&self.place, &deed.place)
            && within(&self.name, &deed.name)
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_ref().map(|n| format!(" {n}")).unwrap_or_default();
        let place = self.place.as_deref().unwrap_or("every namespace");
        write!(f, "{} {}{name} in {place}", self.verb, self.what)
    }
}

fn of_group(resource: &str, group: &str) -> String {
    let dot = if group.is_empty() { "" } else { "." };
    format!("{resource}{dot}{group}")
}

/// The rights that roles grant.
pub fn granted(objects: &[Value]) -> BTreeSet<Right> {
    let mut all = BTreeSet::new();
    for role in objects {
        let place = match role["kind"].as_str() {
            Some("Role") => Some(role["metadata"]["namespace"].as_str().unwrap().to_owned()),
            Some("ClusterRole") => None,
            _ => continue,
        };
        for rule in role["rules"].as_array().unwrap() {
            let words = |key: &str| -> Vec<String> {
                let list = rule[key].as_array().into_iter().flatten();
                list.map(|w| w.as_str().unwrap().to_owned()).collect()
            };
            let mut names: Vec<Option<String>> = words("resourceNames").into_iter().map(Some).collect();
            if names.is_empty() {
                names.push(None);
            }
            for group in words("apiGroups") {
                for resource in words("resources") {
                    for verb in words("verbs") {
                        all.extend(names.iter().map(|name| Right {
                            verb: verb.clone(),
                            what: of_group(&resource, &group),
                            place: place.clone(),
                            name: name.clone(),
                        }));
                    }
                }
            }
        }
    }
    all
}

/// What an account did by the lines of an audit log, and what it was refused.
pub fn used(log: &str, account: &str) -> (BTreeSet<Right>, Vec<String>) {
    let (mut used, mut refused) = (BTreeSet::new(), Vec::new());
    let theirs = format!("\"system:serviceaccount:{account}\"");
    for line in log.lines().filter(|l| l.contains(&theirs)) {
        let line: Value = serde_json::from_str(line).unwrap();
        let on = &line["objectRef"];
        if on.is_null() || on["resource"] == EVERYBODYS {
            continue;
        }
        if line["responseStatus"]["code"] == 403 {
            refused.push(line["responseStatus"]["message"].to_string());
            continue;
        }
        let word = |v: &Value| v.as_str().map(str::to_owned);
        let verb = word(&line["verb"]).unwrap();
        let mut what = word(&on["resource"]).unwrap();
        if let Some(sub) = on["subresource"].as_str() {
            what = format!("{what}/{sub}");
        }
        used.insert(Right {
            name: word(&on["name"]).filter(|_| !NAMELESS.contains(&verb.as_str())),
            what: of_group(&what, on["apiGroup"].as_str().unwrap_or_default()),
            place: word(&on["namespace"]),
            verb,
        });
    }
    (used, refused)
}

/// Where grants and deeds differ: what was done without leave, and each grant that is wider than what was done.
pub fn differences(granted: &BTreeSet<Right>, used: &BTreeSet<Right>) -> Vec<String> {
    let mut found = Vec::new();
    let without = used.iter().filter(|u| !granted.iter().any(|g| g.covers(u)));
    found.extend(without.map(|u| format!("not granted: {u}")));
    for grant in granted {
        let deeds: Vec<&Right> = used.iter().filter(|u| grant.covers(u)).collect();
        let places: BTreeSet<_> = deeds.iter().map(|d| &d.place).collect();
        let names: BTreeSet<_> = deeds.iter().map(|d| &d.name).collect();
        let one = |of: &BTreeSet<&Option<String>>| of.len() == 1 && of.iter().all(|o| o.is_some());
        if deeds.is_empty() {
            found.push(format!("never used: {grant}"));
        } else if grant.place.is_none() && one(&places) {
            found.push(format!("used in one namespace alone: {grant}"));
        } else if grant.name.is_none() && one(&names) {
            found.push(format!("used for one name alone: {grant}"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ACCOUNT: &str = "home:keeper";

    fn role(kind: &str, rules: &Value) -> Value {
        json!({"kind": kind, "metadata": {"name": "r", "namespace": "home"}, "rules": rules})
    }

    fn grants() -> Vec<Value> {
        vec![
            role(
                "ClusterRole",
                &json!([
                    {"apiGroups": ["evenkeel.dev"], "resources": ["servers"], "verbs": ["list", "patch"]},
                    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
                ]),
            ),
            role(
                "Role",
                &json!([
                    {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["id"], "verbs": ["get"]},
                ]),
            ),
            json!({"kind": "Deployment", "metadata": {"name": "none of its business"}}),
        ]
    }

    fn line(verb: &str, on: &Value) -> String {
        json!({
            "user": {"username": format!("system:serviceaccount:{ACCOUNT}")}, "verb": verb, "objectRef": on,
            "responseStatus": {"code": 200},
        })
        .to_string()
    }

    /// What a log holds when everything that is granted is used in its breadth.
    fn lines() -> Vec<String> {
        let server = |place: &str, name: &str| json!({"resource": "servers", "apiGroup": "evenkeel.dev", "namespace": place, "name": name});
        let secret = |place: &str| json!({"resource": "secrets", "namespace": place, "name": "login"});
        vec![
            line(
                "list",
                &json!({"resource": "servers", "apiGroup": "evenkeel.dev"}),
            ),
            line("patch", &server("a", "one")),
            line("patch", &server("b", "two")),
            line("create", &secret("a")),
            line("create", &secret("b")),
            line(
                "get",
                &json!({"resource": "configmaps", "namespace": "home", "name": "id"}),
            ),
            line(
                "create",
                &json!({"resource": EVERYBODYS, "apiGroup": "authorization.k8s.io"}),
            ),
            line("get", &Value::Null),
            line("delete", &server("a", "one")).replace("keeper", "somebody-else"),
        ]
    }

    fn found(grants: &[Value], lines: &[String]) -> Vec<String> {
        let (used, refused) = used(&lines.join("\n"), ACCOUNT);
        assert_eq!(refused, Vec::<String>::new());
        differences(&granted(grants), &used)
    }

    #[test]
    fn grants_that_are_used_in_their_breadth_are_right() {
        assert_eq!(found(&grants(), &lines()), Vec::<String>::new());
    }

    #[test]
    fn a_grant_that_is_wider_than_what_was_done_is_found() {
        let lines = lines();
        let without = |n: usize| {
            let mut left = lines.clone();
            left.remove(n);
            found(&grants(), &left)
        };
        let patch = "patch servers.evenkeel.dev in every namespace";
        for (n, words) in [
            (
                0,
                "never used: list servers.evenkeel.dev in every namespace".to_owned(),
            ),
            (2, format!("used in one namespace alone: {patch}")),
            (
                4,
                "used in one namespace alone: create secrets in every namespace".to_owned(),
            ),
            (5, "never used: get configmaps id in home".to_owned()),
        ] {
            assert_eq!(without(n), [words]);
        }
        let mut same = lines.clone();
        same[2] = same[2].replace("two", "one");
        assert_eq!(
            found(&grants(), &same),
            [format!("used for one name alone: {patch}")]
        );
        // A name that nobody asks for, beside the one that is used.
        let mut wide = grants();
        wide[1]["rules"][0]["resourceNames"] = json!(["id", "other"]);
        assert_eq!(found(&wide, &lines), ["never used: get configmaps other in home"]);
        wide[1]["rules"][0]["resourceNames"] = Value::Null;
        assert_eq!(
            found(&wide, &lines),
            ["used for one name alone: get configmaps in home"]
        );
        // A grant of the home that became one of the cluster.
        let mut wide = grants();
        wide[1]["kind"] = json!("ClusterRole");
        assert_eq!(
            found(&wide, &lines),
            ["used in one namespace alone: get configmaps id in every namespace"]
        );
    }

    #[test]
    fn a_grant_that_is_missing_or_too_narrow_is_found() {
        let mut narrow = grants();
        narrow[0]["rules"][0]["verbs"] = json!(["list"]);
        let missing = [
            "not granted: patch servers.evenkeel.dev one in a",
            "not granted: patch servers.evenkeel.dev two in b",
        ];
        assert_eq!(found(&narrow, &lines()), missing);
        // Of one namespace, where all are asked for at once.
        let mut narrow = grants();
        narrow[0]["kind"] = json!("Role");
        let found_here = found(&narrow, &lines());
        assert!(
            found_here.contains(&"not granted: list servers.evenkeel.dev in every namespace".to_owned()),
            "{found_here:?}"
        );
        // Of another name, and of the kind instead of its subresource.
        let mut narrow = grants();
        narrow[1]["rules"][0]["resourceNames"] = json!(["other"]);
        assert_eq!(
            found(&narrow, &lines()),
            [
                "not granted: get configmaps id in home",
                "never used: get configmaps other in home"
            ]
        );
        let mut more = lines();
        let status = json!({"resource": "servers", "subresource": "status", "apiGroup": "evenkeel.dev", "namespace": "a", "name": "one"});
        more.push(line("patch", &status));
        assert_eq!(
            found(&grants(), &more),
            ["not granted: patch servers/status.evenkeel.dev one in a"]
        );
    }

    #[test]
    fn what_was_refused_is_told_and_is_no_use() {
        let refusal = line(
            "patch",
            &json!({"resource": "servers", "apiGroup": "evenkeel.dev", "namespace": "a", "name": "one"}),
        )
        .replace(r#""code":200"#, r#""code":403,"message":"no""#);
        let (used, refused) = used(&refusal, ACCOUNT);
        assert_eq!((used.len(), refused), (0, vec![r#""no""#.to_owned()]));
    }
}
