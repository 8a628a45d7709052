//! The compute service: microversions, and which request goes where.

use serde_json::{Value, json};

use super::keystone::Who;
use super::server::{Flavor, Server};
use super::wire::{nova_error, unauthorized};
use super::world::World;
use crate::sim::cloud::ListFaults;
use crate::sim::cloud::{Answer, Ask, Reply};

/// The newest minor version that is known here.
pub(super) const NEWEST: u16 = 104;

/// A version 2.x of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Microversion {
    pub(super) minor: u16,
}

impl Microversion {
    pub(super) const NEWEST: Self = Self { minor: NEWEST };

    /// The version that a request asks for, of a cloud whose newest is this one.
    fn of(ask: &Ask, newest: u16) -> Result<Self, Reply> {
        let given = ask
            .header("openstack-api-version")
            .and_then(|h| h.strip_prefix("compute "));
        let Some(text) = given
            .or_else(|| ask.header("x-openstack-nova-api-version"))
            .map(str::trim)
        else {
            return Ok(Self { minor: 1 });
        };
        if text == "latest" {
            return Ok(Self { minor: newest });
        }
        let parts = text.split_once('.');
        let Some((major, minor)) =
            parts.and_then(|(a, b)| Some((a.parse::<u16>().ok()?, b.parse::<u16>().ok()?)))
        else {
            let text = format!(
                "API Version String {text} is of invalid format. Must be of format MajorNum.MinorNum."
            );
            return Err(nova_error(400, text));
        };
        if major != 2 || !(1..=newest).contains(&minor) {
            let text = format!(
                "Version {text} is not supported by the API. Minimum is 2.1 and maximum is 2.{newest}."
            );
            return Err(nova_error(406, text));
        }
        Ok(Self { minor })
    }
}

/// What a handler needs to know about a request.
pub(super) struct Call<'a> {
    pub(super) ask: &'a Ask,
    pub(super) who: &'a Who,
    pub(super) version: Microversion,
    pub(super) lists: &'a ListFaults,
}

impl World {
    /// Everything below `/compute`.
    pub(super) fn nova(&mut self, ask: &Ask, path: &[&str], lists: &ListFaults) -> Answer {
        let mut seen = None;
        let answer = self.nova_inner(ask, path, lists, &mut seen);
        let decorate = |reply: Reply| {
            let reply = reply.with("X-Openstack-Request-Id", ask.id.clone());
            let reply = reply.with("Date", http_date(self.core.time()));
            let Some(Microversion { minor }) = seen else {
                return reply;
            };
            reply
                .with("Openstack-Api-Version", format!("compute 2.{minor}"))
                .with("X-Openstack-Nova-Api-Version", format!("2.{minor}"))
                .with("Vary", "OpenStack-API-Version, X-OpenStack-Nova-API-Version")
        };
        answer.map(decorate).map_err(decorate)
    }

    fn nova_inner(
        &mut self,
        ask: &Ask,
        path: &[&str],
        lists: &ListFaults,
        seen: &mut Option<Microversion>,
    ) -> Answer {
        let newest = self.config.microversion;
        if ask.method == http::Method::GET {
            match path {
                [] => {
                    return Ok(Reply::ok(
                        json!({"versions": [version_document(&ask.base, newest)]}),
                    ));
                }
                ["v2.1"] => return Ok(Reply::ok(json!({"version": version_document(&ask.base, newest)}))),
                _ => {}
            }
        }
        let Some(who) = self
            .accounts
            .who(ask.header("x-auth-token").unwrap_or_default(), self.core.now)
        else {
            return Err(unauthorized(&ask.base));
        };
        let version = Microversion::of(ask, newest)?;
        *seen = Some(version);
        let call = Call {
            ask,
            who: &who,
            version,
            lists,
        };
        let path = match path {
            ["v2.1", rest @ ..] => rest,
            other => other,
        };
        if who.reader && ask.method != http::Method::GET {
            let rule = if path == ["servers"] {
                "servers:create"
            } else {
                "servers"
            };
            return Err(nova_error(
                403,
                format!("Policy doesn't allow os_compute_api:{rule} to be performed."),
            ));
        }
        match (ask.method.as_str(), path) {
            ("POST", ["servers"]) => self.create(&call),
            ("GET", ["servers"]) => self.list(&call, false),
            ("GET", ["servers", "detail"]) => self.list(&call, true),
            (_, ["servers", id, rest @ ..]) => self.one(&call, id, rest),
            (_, ["os-server-groups", rest @ ..]) => self.server_groups(&call, rest),
            ("GET", ["flavors"]) => Ok(self.flavor_list(&call, false)),
            ("GET", ["flavors", "detail"]) => Ok(self.flavor_list(&call, true)),
            ("GET", ["flavors", id]) => match self.flavor(id) {
                Some(flavor) => Ok(Reply::ok(json!({"flavor": flavor_body(flavor, &call, true)}))),
                None => Err(nova_error(404, format!("Flavor {id} could not be found."))),
            },
            ("GET", ["flavors", _, "os-extra_specs"]) => Ok(Reply::ok(json!({"extra_specs": {}}))),
            ("GET", ["os-keypairs"]) => {
                let pair = |name: &String| json!({"keypair": {"name": name, "type": "ssh"}});
                let pairs: Vec<Value> = self.config.key_pairs.iter().map(pair).collect();
                Ok(Reply::ok(json!({"keypairs": pairs})))
            }
            _ => Err(nova_error(404, "The resource could not be found.")),
        }
    }

    fn one(&mut self, call: &Call<'_>, id: &str, rest: &[&str]) -> Answer {
        let found = self.servers.get(id).is_some_and(|s| visible(s, call.who));
        let method = call.ask.method.as_str();
        if !found {
            let text = match rest {
                ["action"] => format!("Instance {id} has no mapping to a cell."),
                _ => format!("Instance {id} could not be found."),
            };
            return Err(nova_error(404, text));
        }
        match (method, rest) {
            ("GET", []) => self.get(call, id),
            ("PUT", []) => self.update(call, id),
            ("DELETE", []) => self.delete(call, id),
            ("POST", ["action"]) => self.act(id, &call.ask.json(), call.who, call.version, &call.ask.id),
            ("POST", ["remote-consoles"]) if call.version.minor >= 6 => {
                self.remote_console(id, &call.ask.json())
            }
            (_, ["metadata", rest @ ..]) => self.metadata(call, id, rest),
            (_, ["tags", rest @ ..]) if call.version.minor >= 26 => self.tags(call, id, rest),
            ("GET", ["os-instance-actions"]) => Ok(self.action_list(id)),
            ("GET", ["os-instance-actions", request]) => self.action_show(id, request),
            ("GET", ["os-security-groups"]) => Ok(Reply::ok(json!({"security_groups": []}))),
            (_, ["os-interface", rest @ ..]) => self.interfaces(call, id, rest),
            (_, ["os-volume_attachments", rest @ ..]) => self.volumes(call, id, rest),
            _ => Err(nova_error(404, "The resource could not be found.")),
        }
    }

    fn flavor_list(&self, call: &Call<'_>, detail: bool) -> Reply {
        let name = call.ask.query("name").filter(|_| call.version.minor >= 102);
        let flavors = self.flavors.iter().filter(|f| name.is_none_or(|n| f.name == n));
        let bodies: Vec<Value> = flavors.map(|f| flavor_body(f, call, detail)).collect();
        Reply::ok(json!({"flavors": bodies}))
    }

    fn action_list(&self, id: &str) -> Reply {
        let actions = self
            .servers
            .get(id)
            .map(|s| s.actions.as_slice())
            .unwrap_or_default();
        let bodies: Vec<Value> = actions.iter().rev().map(|a| action_body(id, a)).collect();
        Reply::ok(json!({"instanceActions": bodies}))
    }

    fn action_show(&self, id: &str, request: &str) -> Answer {
        let actions = self
            .servers
            .get(id)
            .map(|s| s.actions.as_slice())
            .unwrap_or_default();
        let Some(action) = actions.iter().find(|a| a.request == request) else {
            return Err(nova_error(
                404,
                format!("Action for request_id {request} on instance {id} not found"),
            ));
        };
        let mut body = action_body(id, action);
        let result = action
            .finish
            .map(|_| if action.failed { "Error" } else { "Success" });
        body["events"] = json!([{
            "event": format!("compute_{}_instance", action.name),
            "start_time": micros(action.start), "finish_time": action.finish.map(micros), "result": result,
        }]);
        Ok(Reply::ok(json!({"instanceAction": body})))
    }
}

/// Whether somebody may see a server at all.
pub(super) fn visible(server: &Server, who: &Who) -> bool {
    server.gone_at.is_none() && (server.project == who.project || who.admin)
}

fn action_body(id: &str, action: &super::server::Action) -> Value {
    json!({
        "action": action.name, "instance_uuid": id, "request_id": action.request, "user_id": action.user,
        "project_id": action.project, "start_time": micros(action.start),
        "updated_at": micros(action.finish.unwrap_or(action.start)),
        "message": action.failed.then_some("Error"),
    })
}

/// The form of `launched_at`: microseconds and no zone.
pub(super) fn micros(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6f").to_string()
}

/// The form of the header `Date`.
fn http_date(at: jiff::Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// The form of `created`: whole seconds, UTC.
pub(super) fn seconds(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn flavor_body(flavor: &Flavor, call: &Call<'_>, detail: bool) -> Value {
    let (base, minor) = (&call.ask.base, call.version.minor);
    let mut body = json!({
        "id": flavor.id, "name": flavor.name,
        "links": [{"rel": "self", "href": format!("{base}/compute/v2.1/flavors/{}", flavor.id)},
                  {"rel": "bookmark", "href": format!("{base}/compute/flavors/{}", flavor.id)}],
    });
    if minor >= 55 {
        body["description"] = Value::Null;
    }
    if detail {
        body["ram"] = json!(flavor.ram);
        body["vcpus"] = json!(flavor.vcpus);
        body["disk"] = json!(flavor.disk);
        body["OS-FLV-EXT-DATA:ephemeral"] = json!(0);
        body["os-flavor-access:is_public"] = json!(true);
        body["swap"] = if minor >= 75 { json!(0) } else { json!("") };
        if minor >= 61 {
            body["extra_specs"] = json!({});
        }
        if minor < 102 {
            body["rxtx_factor"] = json!(1.0);
            body["OS-FLV-DISABLED:disabled"] = json!(false);
        }
    }
    body
}

fn version_document(base: &str, newest: u16) -> Value {
    json!({
        "id": "v2.1", "status": "CURRENT", "version": format!("2.{newest}"), "min_version": "2.1",
        "updated": "2013-07-23T11:33:21Z",
        "links": [{"rel": "self", "href": format!("{base}/compute/v2.1/")}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"}],
    })
}
