//! Objects of any content that the definitions let in: every field at random, status too (anybody with the right may edit
//! it, and backups bring old ones back). No plan may panic, say something without end or rest on anything but its input.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use serde_json::{Map, Value, json};

use super::campaign;
use super::cloud::CAPABILITIES;
use super::world::{marks, time};
use crate::api::server_status::AddressStatus;
use crate::api::{Server, ServerAction, ServerGroup, ServerStatus, conditions, crds};
use crate::planner::deeds::object::plan_action;
use crate::planner::group::{GroupInput, plan_group};
use crate::planner::memory::Memory;
use crate::planner::model::{ErrorClass, Fault, ObservedServer, Part, PartKind, ServerState};
use crate::planner::{AccountFacts, AccountView, Input, plan};
use crate::sim::apiserver::schema::validate;

/// No status may be larger, in bytes of JSON: an object is at most 1.5 MiB in etcd, and there are thousands.
const STATUS_BYTES: usize = 64 * 1024;

static LONG: LazyLock<String> = LazyLock::new(|| "long é".repeat(500));

/// The schemas as they are served, by plural.
static SCHEMAS: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    let schema = |(_, crd): (_, CustomResourceDefinition)| {
        let schema = crd.spec.versions[0].schema.clone().unwrap();
        let schema = serde_json::to_value(schema.open_api_v3_schema.unwrap()).unwrap();
        (crd.spec.names.plural, schema)
    };
    crds::all().unwrap().into_iter().map(schema).collect()
});

fn text(schema: &Value) -> BoxedStrategy<Value> {
    if let Some(all) = schema["enum"].as_array() {
        return prop::sample::select(all.clone()).boxed();
    }
    if schema["format"] == "date-time" {
        let times = [
            "0001-01-01T00:00:00Z",
            "2027-01-15T08:00:00Z",
            "2027-01-15T08:03:20Z",
            "9999-12-30T22:00:00Z",
        ];
        return prop::sample::select(times.to_vec()).prop_map(Value::from).boxed();
    }
    if let Some(pattern) = schema["pattern"].as_str() {
        let pattern = pattern.trim_start_matches('^').trim_end_matches('$');
        return prop::string::string_regex(pattern)
            .unwrap()
            .prop_map(Value::from)
            .boxed();
    }
    let most = schema["maxLength"].as_u64().unwrap_or(4000) as usize;
    let usual = [
        "web",
        "s1",
        "uid-1",
        "small",
        "img",
        "inst",
        "create-1",
        "60s",
        "5m",
        "1",
        "",
        "-1",
        "9223372036854775807h",
    ];
    prop_oneof![
        4 => prop::sample::select(usual.to_vec()).prop_map(str::to_owned),
        1 => "\\PC{0,40}",
        1 => Just("é".repeat(most)),
    ]
    .prop_map(move |text| Value::from(text.chars().take(most).collect::<String>()))
    .boxed()
}

fn number(schema: &Value) -> BoxedStrategy<Value> {
    let (least, most) = match schema["format"].as_str() {
        Some("int32") => (i64::from(i32::MIN), i64::from(i32::MAX)),
        Some("uint32") => (0, i64::from(u32::MAX)),
        _ => (i64::MIN, i64::MAX),
    };
    let least = schema["minimum"].as_f64().map_or(least, |n| n as i64);
    let most = schema["maximum"].as_f64().map_or(most, |n| n as i64);
    prop_oneof![
        Just(least),
        Just(most),
        (least.max(-3)..=most.min(3).max(least.max(-3)))
    ]
    .prop_map(Value::from)
    .boxed()
}

/// Any value that this part of a schema allows.
fn any_of(schema: &Value) -> BoxedStrategy<Value> {
    match schema["type"].as_str() {
        Some("string") => text(schema),
        Some("integer") => number(schema),
        Some("boolean") => any::<bool>().prop_map(Value::from).boxed(),
        Some("array") => prop::collection::vec(any_of(&schema["items"]), 0..4)
            .prop_map(Value::from)
            .boxed(),
        Some("object") => object(schema),
        _ => Just(json!({"any": [1, "thing"]})).boxed(),
    }
}

fn object(schema: &Value) -> BoxedStrategy<Value> {
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let member = |(key, part): (&String, &Value)| {
        let there = if required.contains(&key.as_str()) {
            any_of(part).prop_map(Some).boxed()
        } else {
            prop::option::weighted(0.4, any_of(part)).boxed()
        };
        (Just(key.clone()), there)
    };
    let members: Vec<_> = schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(member)
        .collect();
    let free = schema["additionalProperties"]
        .is_object()
        .then(|| prop::collection::btree_map("[a-z./]{0,20}", any_of(&schema["additionalProperties"]), 0..4));
    let free = free.map_or_else(|| Just(BTreeMap::new()).boxed(), Strategy::boxed);
    (members, free)
        .prop_map(|(members, free)| {
            let named = members.into_iter().filter_map(|(key, value)| Some((key, value?)));
            Value::Object(named.chain(free).collect::<Map<_, _>>())
        })
        .boxed()
}

/// An object of a kind, with any spec and, sometimes, any status.
fn any_object(plural: &str, kind: &'static str) -> impl Strategy<Value = Value> + use<> {
    let schema = &SCHEMAS[plural];
    let annotations = prop::sample::select(vec![
        json!({}),
        json!({"evenkeel.dev/retry": "1", "evenkeel.dev/reconcile-requested-at": "now"}),
        json!({"evenkeel.dev/paused": "true", "evenkeel.dev/abandon": "uid-1"}),
    ]);
    (
        any_of(&schema["properties"]["spec"]),
        prop::option::of(any_of(&schema["properties"]["status"])),
        annotations,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(move |(spec, status, annotations, deleting, finalizer)| {
            let finalizers = if finalizer { json!([crate::api::keys::FINALIZER]) } else { json!([]) };
            let deleted = deleting.then_some("2027-01-15T07:59:00Z");
            json!({"apiVersion": "evenkeel.dev/v1alpha1", "kind": kind,
                "metadata": {"name": "web", "namespace": "ns", "uid": "uid-1", "generation": 2, "resourceVersion": "1",
                    "annotations": annotations, "finalizers": finalizers, "deletionTimestamp": deleted},
                "spec": spec, "status": status})
        })
}

/// Words that no cloud should use.
fn senseless(seen: &mut ObservedServer, word: &str) {
    let some = || Some(word.to_owned());
    seen.name = word.to_owned();
    seen.provider_id = word.to_owned();
    seen.raw = word.to_owned();
    seen.size.name = some();
    seen.size.id = some();
    seen.image_id = some();
    seen.zone = some();
    seen.host = some();
    seen.locked = some();
    let address = AddressStatus {
        kind: word.to_owned(),
        address: word.to_owned(),
        network: some(),
    };
    seen.addresses = vec![address; 100];
    seen.fault = Some(Fault {
        class: ErrorClass::Quota,
        code: some(),
        message: word.to_owned(),
    });
    let part = Part {
        kind: PartKind::Disk,
        id: "d-1".to_owned(),
        name: word.to_owned(),
        ours: true,
        made_at: None,
        of: None,
    };
    seen.parts = vec![part; 100];
    seen.detailed = true;
}

/// The account as it was listed: with the server of the object, one that a status may speak of, and a stranger.
fn facts(state: ServerState, word: Option<&str>) -> AccountFacts {
    let mut world = super::world::World::new(json!({}));
    world.put("s1", state, marks("uid-1", "inst", "ns/web"));
    world.put("web", ServerState::Running, None);
    if let Some(word) = word {
        world
            .cloud
            .values_mut()
            .for_each(|s| senseless(&mut s.seen, word));
    }
    AccountFacts {
        account: "project-1".to_owned(),
        capabilities: &CAPABILITIES,
        suspended: false,
        listing: world.view(),
        outage: None,
        mass_absence: false,
        creates_free: true,
        quota: None,
        disruptions_free: true,
    }
}

fn size(status: &impl serde::Serialize) -> usize {
    serde_json::to_string(status).unwrap().len()
}

/// What is written is bounded, whatever was there before.
fn bounded(before: Option<&ServerStatus>, now: &ServerStatus) -> Result<(), TestCaseError> {
    let grown = size(now).saturating_sub(before.map_or(0, size));
    prop_assert!(grown <= STATUS_BYTES, "a status grew by {grown} bytes");
    for c in &now.conditions {
        let kept = before.is_some_and(|b| b.conditions.contains(c));
        let short = c.message.chars().count() <= conditions::MAX_MESSAGE;
        prop_assert!(kept || short, "{} is too long", c.type_);
    }
    Ok(())
}

/// What is written is taken by the API server, as far as what was there before was: one field that is not would keep the
/// object from being written at all.
fn fits(
    plural: &str,
    before: &impl serde::Serialize,
    now: &impl serde::Serialize,
) -> Result<(), TestCaseError> {
    let schema = &SCHEMAS[plural]["properties"]["status"];
    let found = |status: Value| {
        if status.is_null() {
            vec![]
        } else {
            validate(schema, &status)
        }
    };
    let known = found(serde_json::to_value(before).unwrap());
    let mut new = found(serde_json::to_value(now).unwrap());
    new.retain(|finding| !known.contains(finding));
    prop_assert!(new.is_empty(), "{new:?}");
    Ok(())
}

/// Most random objects can be read; else the test would prove nothing.
fn read<K: serde::de::DeserializeOwned>(object: &Value) -> Result<K, TestCaseError> {
    serde_json::from_value(object.clone()).map_err(|e| TestCaseError::fail(format!("{e}: {object}")))
}

proptest! {
    #![proptest_config(campaign(400))]

    #[test]
    fn any_server_can_be_planned(
        object in any_object("servers", "Server"),
        state in prop::sample::select(ServerState::ALL),
        word in prop::option::of(prop::sample::select(vec!["", "\u{202e}\u{0}\u{1b}[31m", LONG.as_str()])),
        action in any_object("serveractions", "ServerAction"),
    ) {
        let server: Server = read(&object)?;
        let actions = [Arc::new(read::<ServerAction>(&action)?)];
        let facts = facts(state, word);
        let unusable = AccountView::Unusable { reason: crate::api::Reason::Unreachable, message: "no", since: time(-900) };
        for account in [AccountView::Usable(&facts), unusable] {
            let mut memory = Memory::default();
            let mut server = server.clone();
            // What the first plan says is written, and planned on.
            for second in [0, 1, 60] {
                let made = plan(&Input {
                    server: &server,
                    account,
                    group: None,
                    actions: &actions,
                    memory: &memory,
                    process: "process",
                    installation: "inst",
                    leaving: false,
                    lives: &|_| false,
                    claimed: &|_| None,
                    now: time(second),
                    seed: 7,
                });
                bounded(server.status.as_ref(), &made.status)?;
                fits("servers", &server.status, &made.status)?;
                server.status = Some(made.status);
                memory = made.memory;
            }
        }
        let told = plan_action(&actions[0], Some(&server), time(0));
        fits("serveractions", &actions[0].status, &told.status)?;
        let grown = size(&told.status).saturating_sub(size(&actions[0].status));
        prop_assert!(grown <= STATUS_BYTES, "a status grew by {grown} bytes");
    }

    #[test]
    fn any_group_can_be_planned(object in any_object("servergroups", "ServerGroup")) {
        let group: ServerGroup = read(&object)?;
        let facts = facts(ServerState::Running, None);
        let made = plan_group(&GroupInput {
            group: &group,
            account: AccountView::Usable(&facts),
            memory: &Memory::default(),
            members: &[],
            claimed: &|_| None,
            process: "process",
            installation: "inst",
            leaving: false,
            lives: &|_| false,
            now: time(0),
            seed: 7,
        });
        fits("servergroups", &group.status, &made.status)?;
        let grown = size(&made.status).saturating_sub(size(&group.status));
        prop_assert!(grown <= STATUS_BYTES, "a status grew by {grown} bytes");
    }
}
