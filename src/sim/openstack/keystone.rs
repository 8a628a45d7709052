//! The identity service: who may ask, for how long, and where everything is.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::wire::{keystone_error, unauthorized};
use super::world::World;
use crate::sim::cloud::{Answer, Ask, Reply};

/// The password of every account, and the secret of the application credential.
pub const PASSWORD: &str = "testbed";

/// user, project, role.
const USERS: &[(&str, &str, &str)] = &[
    ("admin", "admin", "admin"),
    ("demo", "demo", "member"),
    ("demo-reader", "demo", "reader"),
    ("alt", "alt", "member"),
    ("quota", "quota", "member"),
];

/// type, name, path. The same path for all interfaces.
const CATALOG: &[(&str, &str, &str)] = &[
    ("compute", "nova", "/compute/v2.1"),
    ("identity", "keystone", "/identity"),
    ("image", "glance", "/image"),
    ("network", "neutron", "/network"),
];

#[derive(Clone, Debug)]
pub(super) struct User {
    id: String,
    name: String,
    password: String,
    project: String,
    role: &'static str,
}

/// A user or credential that a token speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Who {
    pub(super) user: String,
    pub(super) project: String,
    pub(super) project_name: String,
    pub(super) admin: bool,
    pub(super) reader: bool,
}

#[derive(Clone, Debug)]
struct Token {
    user: String,
    project: Option<String>,
    expires: Instant,
    issued: Instant,
    method: &'static str,
}

#[derive(Clone, Debug)]
struct AppCredential {
    id: String,
    name: String,
    secret: String,
    user: String,
}

#[derive(Debug, Default)]
pub(super) struct Accounts {
    /// name and id.
    projects: Vec<(String, String)>,
    users: Vec<User>,
    credentials: Vec<AppCredential>,
    tokens: BTreeMap<String, Token>,
}

impl Accounts {
    pub(super) fn project_id(&self, name: &str) -> String {
        self.projects
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, id)| id.clone())
            .unwrap_or_default()
    }

    pub(super) fn project_name(&self, id: &str) -> &str {
        self.projects.iter().find(|(_, i)| i == id).map_or("", |(n, _)| n)
    }

    pub(super) fn credential_id(&self) -> &str {
        self.credentials.first().map_or("", |c| &c.id)
    }

    pub(super) fn forget_tokens(&mut self) {
        self.tokens.clear();
    }

    pub(super) fn set_password(&mut self, user: &str, password: &str) {
        for user in self.users.iter_mut().filter(|u| u.name == user) {
            user.password = password.into();
        }
        for credential in &mut self.credentials {
            if self
                .users
                .iter()
                .any(|u| u.name == user && u.id == credential.user)
            {
                credential.secret = password.into();
            }
        }
    }

    /// Someone who is not the owner but may do everything: for out-of-band deeds.
    pub(super) fn admin(&self) -> Who {
        let project = self.project_id("admin");
        let user = self
            .users
            .iter()
            .find(|u| u.name == "admin")
            .map(|u| u.id.clone())
            .unwrap_or_default();
        Who {
            user,
            project,
            project_name: "admin".into(),
            admin: true,
            reader: false,
        }
    }

    /// Whom a token speaks for, if it holds and has a project.
    pub(super) fn who(&self, token: &str, now: Instant) -> Option<Who> {
        let token = self.tokens.get(token).filter(|t| t.expires > now)?;
        let user = self.users.iter().find(|u| u.id == token.user)?;
        let project = token.project.clone()?;
        Some(Who {
            user: user.id.clone(),
            project_name: self.project_name(&project).to_owned(),
            project,
            admin: user.role == "admin",
            reader: user.role == "reader",
        })
    }
}

impl World {
    pub(super) fn seed_accounts(&mut self) {
        for (name, project, role) in USERS {
            if self.accounts.project_id(project).is_empty() {
                let id = self.core.hex();
                self.accounts.projects.push(((*project).into(), id));
            }
            let id = self.core.hex();
            let project = self.accounts.project_id(project);
            let user = User {
                id,
                name: (*name).into(),
                password: PASSWORD.into(),
                project,
                role,
            };
            self.accounts.users.push(user);
        }
        let id = self.core.hex();
        let user = self
            .accounts
            .users
            .iter()
            .find(|u| u.name == "demo")
            .map(|u| u.id.clone())
            .unwrap_or_default();
        let credential = AppCredential {
            id,
            name: "testbed".into(),
            secret: PASSWORD.into(),
            user,
        };
        self.accounts.credentials.push(credential);
    }

    /// Everything below `/identity`.
    pub(super) fn keystone(&mut self, ask: &Ask, path: &[&str]) -> Answer {
        match (ask.method.as_str(), path) {
            ("GET", []) => Ok(Reply::new(
                300,
                json!({"versions": {"values": [version_document(&ask.base)]}}),
            )),
            ("GET", ["v3"]) => Ok(Reply::ok(json!({"version": version_document(&ask.base)}))),
            ("POST", ["v3", "auth", "tokens"]) => self.log_in(ask),
            ("GET" | "HEAD", ["v3", "auth", "tokens"]) => {
                self.known_token(ask, "x-auth-token")?;
                let subject = self
                    .known_token(ask, "x-subject-token")
                    .map_err(|_| keystone_error(404, "Not Found", "Could not find token."))?;
                Ok(self.token_reply(200, &subject, &ask.base))
            }
            ("DELETE", ["v3", "auth", "tokens"]) => {
                self.known_token(ask, "x-auth-token")?;
                let subject = self.known_token(ask, "x-subject-token")?;
                self.accounts.tokens.remove(&subject);
                Ok(Reply::empty(204))
            }
            ("GET", ["v3", "auth", "catalog"]) => {
                self.known_token(ask, "x-auth-token")?;
                Ok(Reply::ok(json!({"catalog": catalog(&ask.base), "links": {}})))
            }
            _ => Err(keystone_error(
                404,
                "Not Found",
                "The resource could not be found.",
            )),
        }
    }

    fn known_token(&self, ask: &Ask, header: &str) -> Result<String, Reply> {
        let id = ask.header(header).unwrap_or_default();
        match self.accounts.tokens.get(id) {
            Some(token) if token.expires > self.core.now => Ok(id.to_owned()),
            _ => Err(unauthorized(&ask.base)),
        }
    }

    fn log_in(&mut self, ask: &Ask) -> Answer {
        let refused = || unauthorized(&ask.base);
        let body = ask.json();
        let auth = &body["auth"];
        let identity = &auth["identity"];
        let Some(method) = identity["methods"]
            .as_array()
            .and_then(|m| m.first())
            .and_then(Value::as_str)
        else {
            let text = "Invalid input for field 'identity': 'methods' is a required property";
            return Err(keystone_error(400, "Bad Request", text));
        };
        let scope = &auth["scope"];
        let (user, method) = match method {
            "password" => {
                let given = &identity["password"]["user"];
                let user = self.user(given).ok_or_else(refused)?;
                if given["password"].as_str() != Some(&user.password) {
                    return Err(refused());
                }
                (user.clone(), "password")
            }
            "application_credential" => {
                let given = &identity["application_credential"];
                let credential = self.credential(given)?;
                if given["secret"].as_str() != Some(&credential.secret) || !scope.is_null() {
                    return Err(refused());
                }
                let user = self.accounts.users.iter().find(|u| u.id == credential.user);
                (user.ok_or_else(refused)?.clone(), "application_credential")
            }
            "token" => {
                let given = identity["token"]["id"].as_str().unwrap_or_default();
                let token = self
                    .accounts
                    .tokens
                    .get(given)
                    .filter(|t| t.expires > self.core.now)
                    .ok_or_else(refused)?;
                let user = self.accounts.users.iter().find(|u| u.id == token.user);
                (user.ok_or_else(refused)?.clone(), "token")
            }
            _ => return Err(refused()),
        };
        let project = match (&scope["project"], scope) {
            (Value::Object(project), _) => {
                let by_id = project.get("id").and_then(Value::as_str).map(Into::into);
                let by_name = project.get("name").and_then(Value::as_str);
                let id = by_id
                    .or_else(|| by_name.map(|n| self.accounts.project_id(n)))
                    .unwrap_or_default();
                // An unknown project and one without a role look the same.
                if id != user.project && user.role != "admin" || self.accounts.project_name(&id).is_empty() {
                    return Err(refused());
                }
                Some(id)
            }
            (_, Value::String(s)) if s == "unscoped" => None,
            _ => Some(user.project.clone()),
        };
        let id = format!("gAAAA{}{}", self.core.hex(), self.core.hex());
        let expires = self.core.now + self.config.token_ttl;
        let token = Token {
            user: user.id,
            project,
            expires,
            issued: self.core.now,
            method,
        };
        self.accounts.tokens.insert(id.clone(), token);
        Ok(self.token_reply(201, &id, &ask.base))
    }

    fn user(&self, given: &Value) -> Option<&User> {
        let (id, name) = (given["id"].as_str(), given["name"].as_str());
        let domain = given["domain"]["id"]
            .as_str()
            .or(given["domain"]["name"].as_str());
        self.accounts.users.iter().find(|u| match (id, name) {
            (Some(id), _) => u.id == id,
            (None, Some(name)) => u.name == name && domain.is_some_and(|d| d.eq_ignore_ascii_case("default")),
            _ => false,
        })
    }

    /// Unlike a wrong password, an unknown credential says so.
    fn credential(&self, given: &Value) -> Result<&AppCredential, Reply> {
        let (id, name) = (given["id"].as_str(), given["name"].as_str());
        let owner = self.user(&given["user"]).map(|u| u.id.as_str());
        let found = self.accounts.credentials.iter().find(|c| match (id, name) {
            (Some(id), _) => c.id == id,
            (None, Some(name)) => c.name == name && owner == Some(&c.user),
            _ => false,
        });
        found.ok_or_else(|| {
            let text = format!(
                "Could not find Application Credential: {}.",
                id.or(name).unwrap_or_default()
            );
            keystone_error(404, "Not Found", &text)
        })
    }

    fn token_reply(&self, status: u16, id: &str, base: &str) -> Reply {
        let Some(token) = self.accounts.tokens.get(id) else {
            return unauthorized(base);
        };
        let user = self.accounts.users.iter().find(|u| u.id == token.user);
        let (user_name, role) = user.map_or(("", ""), |u| (u.name.as_str(), u.role));
        let domain = json!({"id": "default", "name": "Default"});
        let stamp = |at| {
            self.core
                .clock(at)
                .strftime("%Y-%m-%dT%H:%M:%S.000000Z")
                .to_string()
        };
        let mut body = json!({
            "methods": [token.method],
            "user": {"id": token.user, "name": user_name, "domain": domain, "password_expires_at": null},
            "audit_ids": [&id[5..27]],
            "expires_at": stamp(token.expires),
            "issued_at": stamp(token.issued),
        });
        if let Some(project) = &token.project {
            let name = self.accounts.project_name(project);
            body["project"] = json!({"id": project, "name": name, "domain": domain});
            body["is_domain"] = json!(false);
            body["roles"] = json!([{"id": format!("role-{role}"), "name": role}]);
            body["catalog"] = catalog(base);
        }
        Reply::new(status, json!({"token": body})).with("X-Subject-Token", id)
    }
}

fn version_document(base: &str) -> Value {
    json!({
        "id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": format!("{base}/identity/v3/")}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    })
}

fn catalog(base: &str) -> Value {
    let entry = |(kind, name, path): &(&str, &str, &str)| {
        let endpoints: Vec<Value> = ["public", "internal", "admin"]
            .iter()
            .map(|interface| {
                json!({"id": format!("{name}-{interface}"), "interface": interface, "region": "RegionOne",
                       "region_id": "RegionOne", "url": format!("{base}{path}")})
            })
            .collect();
        json!({"id": format!("service-{name}"), "type": kind, "name": name, "endpoints": endpoints})
    };
    CATALOG.iter().map(entry).collect()
}
