//! What goes wrong on demand: on the wire, in lists, and in the hypervisor.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::spoil::Spoil;
use super::wire::{Ask, Reply};

/// One fault: which requests it meets, how often, and what it does to them. Absent fields match everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultRule {
    /// The HTTP method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The route below its service: `/servers`, `/servers/detail`, `/servers/{id}/action`, `/v3/auth/tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The action in the body of `/servers/{id}/action`: `os-stop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The id in the path, or the name of what has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// How many matching requests pass first.
    #[serde(default)]
    pub skip: u32,
    /// How many are met after that; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// What happens to them.
    pub effect: FaultEffect,
}

impl FaultRule {
    /// A rule for every request; narrow it with the other methods.
    pub fn new(effect: FaultEffect) -> Self {
        Self {
            method: None,
            route: None,
            action: None,
            server: None,
            skip: 0,
            count: None,
            effect,
        }
    }

    /// Only this method and route (`POST /servers`).
    #[must_use]
    pub fn on(mut self, method_and_route: &str) -> Self {
        if let Some((method, route)) = method_and_route.split_once(' ') {
            (self.method, self.route) = (Some(method.into()), Some(route.into()));
        }
        self
    }

    /// Only this action (`os-stop`).
    #[must_use]
    pub fn action(mut self, action: &str) -> Self {
        self.action = Some(action.into());
        self
    }

    /// Only requests for this server, by id or name.
    #[must_use]
    pub fn server(mut self, server: &str) -> Self {
        self.server = Some(server.into());
        self
    }

    /// Lets so many pass first.
    #[must_use]
    pub fn skip(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    /// Meets so many, then no more.
    #[must_use]
    pub fn times(mut self, count: u32) -> Self {
        self.count = Some(count);
        self
    }
}

/// What happens to a request. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum FaultEffect {
    /// It is carried out, and the connection breaks before the reply.
    LostReply,
    /// The connection breaks (after `wait_ms`), and `delay_ms` after it came the request is carried out.
    LateApply {
        /// Until it is carried out.
        delay_ms: u64,
        /// Until the connection breaks.
        #[serde(default)]
        wait_ms: u64,
    },
    /// It is carried out, and the reply takes this much longer.
    Slow {
        /// How much longer.
        delay_ms: u64,
    },
    /// It is refused with this status, and not carried out.
    Status {
        /// The HTTP status.
        code: u16,
        /// The body; one in the cloud's manner if absent.
        #[serde(default)]
        body: Option<serde_json::Value>,
    },
    /// 429, and not carried out.
    RateLimited {
        /// The header `Retry-After`, in seconds; none if absent.
        #[serde(default)]
        retry_after: Option<u32>,
    },
    /// It is carried out, and the body of the reply is spoilt.
    Spoilt {
        /// How.
        how: Spoil,
        /// Another HTTP status.
        #[serde(default)]
        code: Option<u16>,
    },
    /// Nothing comes for so long, then the connection breaks. Not carried out.
    Hang {
        /// How long.
        wait_ms: u64,
    },
    /// The connection breaks; not carried out.
    Reset,
    /// No connection.
    Refused,
    /// Lists are so old: younger servers are missing, and deleted ones still there.
    ListLag {
        /// How old.
        age_ms: u64,
    },
    /// A list is answered as the same list was so long ago, word for word; as the oldest one that came since this was
    /// ordered, if there is none so old. Old states are in it as well as old presence.
    StaleList {
        /// How old.
        age_ms: u64,
    },
    /// Lists leave out entries and do not say so.
    PartialList {
        /// The first so many.
        #[serde(default)]
        omit: usize,
        /// All but so many of the others: the pages behind are missing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keep: Option<usize>,
        /// Those of this name or id; `*` at the end stands for anything.
        #[serde(default)]
        server: Option<String>,
    },
    /// Where a cloud has cells: the one that holds these servers (name or id, `*` at the end) does not answer.
    DownCell {
        /// Which servers.
        server: String,
    },
}

/// A standing order to the hypervisor, for servers that carry none in their metadata.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HypervisorOrder {
    /// spawn, destroy, power_on, power_off, reboot, pause, ..., migrate, finish_migration; `*` for all.
    pub call: String,
    /// The server's name or id; `*` at the end stands for anything; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// How long the call takes, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// `abort`, `reschedule`, `error` or `vanish`, then a colon and a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// What a list is to leave out.
#[derive(Clone, Debug, Default)]
pub struct ListFaults {
    /// What it shows is so old.
    pub lag: Option<Duration>,
    /// It is answered as it was so long ago.
    pub stale: Option<Duration>,
    /// The first so many.
    pub omit: usize,
    /// All but so many of the others.
    pub keep: Option<usize>,
    /// Those whose name or id fits.
    pub hidden: Vec<String>,
    /// Those that are in a part of the cloud that does not answer.
    pub down: Vec<String>,
}

impl ListFaults {
    /// What is left of the entries of a list.
    pub fn shown<T>(&self, all: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
        all.skip(self.omit).take(self.keep.unwrap_or(usize::MAX))
    }
}

/// Which request it is, for rules and for the log.
#[derive(Clone, Debug, Default)]
pub struct Route {
    /// The HTTP method.
    pub method: String,
    /// The path below its service, with `{id}` for identifiers.
    pub template: String,
    /// The action in the body, where a path stands for several.
    pub action: Option<String>,
    /// The id in the path.
    pub server: Option<String>,
    /// The name of what has this id.
    pub name: Option<String>,
}

impl Route {
    /// A path as a template: of the first `depth` segments those that are words of the cloud's stay, and
    /// everything else is an identifier.
    pub fn template(path: &[&str], words: &[&str], depth: usize) -> String {
        let part = |(i, part): (usize, &&str)| {
            let word = i < depth && words.contains(part);
            format!("/{}", if word { part } else { "{id}" })
        };
        let template: String = path.iter().enumerate().map(part).collect();
        if template.is_empty() { "/".into() } else { template }
    }
}

/// The faults that are in force, and what the hypervisor was ordered to do.
#[derive(Debug, Default)]
pub struct Faults {
    rules: Vec<(FaultRule, u32)>,
    /// Lists that were answered since an old one was ordered, by what was asked for.
    answered: BTreeMap<String, Vec<(Instant, Reply)>>,
    /// Standing orders, the latest last.
    pub orders: Vec<HypervisorOrder>,
}

impl Faults {
    /// Adds a rule.
    pub fn add(&mut self, rule: FaultRule) {
        self.rules.push((rule, 0));
    }

    /// The list that is shown in place of this one, which is remembered where old ones are ordered.
    pub(super) fn aged(&mut self, ask: &Ask, now: Instant, lists: &ListFaults, reply: Reply) -> Reply {
        let ordered = |(rule, _): &(FaultRule, u32)| matches!(rule.effect, FaultEffect::StaleList { .. });
        if reply.status != 200 || !self.rules.iter().any(ordered) {
            return reply;
        }
        let known = self
            .answered
            .entry(format!("{:?} {:?}", ask.path, ask.query))
            .or_default();
        known.push((now, reply.clone()));
        let Some(age) = lists.stale else {
            return reply;
        };
        let old = known.iter().rev().find(|(at, _)| *at + age <= now);
        old.or(known.first()).map_or(reply, |(_, old)| old.clone())
    }

    /// Takes all rules and orders away.
    pub fn clear(&mut self) {
        self.rules.clear();
        self.answered.clear();
        self.orders.clear();
    }

    /// Keeps some rules.
    pub fn retain(&mut self, keep: impl Fn(&FaultRule) -> bool) {
        self.rules.retain(|(rule, _)| keep(rule));
    }

    /// All rules, also those that are used up.
    pub fn rules(&self) -> Vec<FaultRule> {
        self.rules.iter().map(|(rule, _)| rule.clone()).collect()
    }

    /// Counts the request against every rule that it matches: the first effect on the wire, and all on lists.
    pub fn meet(&mut self, route: &Route) -> (Option<FaultEffect>, ListFaults) {
        let (mut wire, mut lists) = (None, ListFaults::default());
        for (rule, seen) in self
            .rules
            .iter_mut()
            .filter(|(rule, _)| rule_matches(rule, route))
        {
            *seen = seen.saturating_add(1);
            if *seen <= rule.skip
                || rule
                    .count
                    .is_some_and(|count| *seen > rule.skip.saturating_add(count))
            {
                continue;
            }
            match &rule.effect {
                FaultEffect::ListLag { age_ms } => lists.lag = Some(Duration::from_millis(*age_ms)),
                FaultEffect::StaleList { age_ms } => lists.stale = Some(Duration::from_millis(*age_ms)),
                FaultEffect::PartialList { omit, keep, server } => {
                    lists.omit += omit;
                    lists.keep = lists.keep.into_iter().chain(*keep).min();
                    lists.hidden.extend(server.clone());
                }
                FaultEffect::DownCell { server } => lists.down.push(server.clone()),
                effect if wire.is_none() => wire = Some(effect.clone()),
                _ => {}
            }
        }
        (wire, lists)
    }

    fn order(&self, call: &str, id: &str, name: &str) -> impl Iterator<Item = &HypervisorOrder> {
        self.orders.iter().rev().filter(move |order| {
            (order.call == call || order.call == "*")
                && order
                    .server
                    .as_deref()
                    .is_none_or(|pattern| names(pattern, id, name))
        })
    }

    /// How long a call for a server was ordered to take.
    pub fn ordered_delay(&self, call: &str, id: &str, name: &str) -> Option<Duration> {
        self.order(call, id, name)
            .find_map(|o| o.delay_ms)
            .map(Duration::from_millis)
    }

    /// What a call for a server was ordered to fail with: kind and message.
    pub fn ordered_fault(&self, call: &str, id: &str, name: &str) -> Option<(String, String)> {
        let fault = self.order(call, id, name).find_map(|o| o.fault.as_deref())?;
        let (kind, message) = fault.split_once(':').unwrap_or((fault, ""));
        Some((kind.into(), message.into()))
    }
}

/// Whether a pattern (`*` at its end stands for anything) names a server.
pub fn names(pattern: &str, id: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix) || id.starts_with(prefix),
        None => pattern == name || pattern == id,
    }
}

fn rule_matches(rule: &FaultRule, route: &Route) -> bool {
    let given = |wanted: &Option<String>, is: Option<&str>| wanted.as_deref().is_none_or(|w| Some(w) == is);
    given(&rule.method, Some(&route.method))
        && given(&rule.route, Some(&route.template))
        && given(&rule.action, route.action.as_deref())
        && (given(&rule.server, route.server.as_deref()) || given(&rule.server, route.name.as_deref()))
}
