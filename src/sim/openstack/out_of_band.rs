//! What somebody else does to servers, past the controller and not in the log of requests.

use std::time::Duration;

use serde_json::{Value, json};

use super::OpenStackSim;
use super::nova::{Call, Microversion};
use super::server::{ServerFault, Vm};
use super::world::{Image, World};
use crate::sim::cloud::{Answer, Ask, ListFaults, Reply};

/// No live server has this id or name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no server {0}, or Nova refused: {1}")]
pub struct NoSuchServer(pub String, pub String);

type Deed = Result<(), NoSuchServer>;

impl World {
    fn out_of_band(&mut self, key: &str, deed: impl FnOnce(&mut Self, &str, &str) -> Answer) -> Deed {
        let id = self
            .find(key)
            .ok_or_else(|| NoSuchServer(key.into(), "unknown".into()))?;
        let request = format!("req-{}", self.core.uuid());
        let said = |reply: Reply| reply.body.unwrap_or_default().to_string();
        deed(self, &id, &request)
            .map(|_| ())
            .map_err(|reply| NoSuchServer(key.into(), said(reply)))
    }
}

impl OpenStackSim {
    /// Somebody asks Nova for an action (`os-stop`) with these arguments, and it goes its way.
    pub fn oob_action(&self, key: &str, action: &str, args: &Value) -> Deed {
        self.world().out_of_band(key, |world, id, request| {
            let who = world.accounts.admin();
            world.act(id, &json!({action: args}), &who, Microversion::NEWEST, request)
        })
    }

    /// Somebody stops it.
    pub fn oob_stop(&self, key: &str) -> Deed {
        self.oob_action(key, "os-stop", &Value::Null)
    }

    /// Somebody starts it.
    pub fn oob_start(&self, key: &str) -> Deed {
        self.oob_action(key, "os-start", &Value::Null)
    }

    /// Somebody pauses it.
    pub fn oob_pause(&self, key: &str) -> Deed {
        self.oob_action(key, "pause", &Value::Null)
    }

    /// Somebody resizes it to the flavor with this name; it then waits for a confirmation.
    pub fn oob_resize(&self, key: &str, flavor: &str) -> Deed {
        let id = self
            .world()
            .flavors
            .iter()
            .find(|f| f.name == flavor)
            .map(|f| f.id.clone());
        self.oob_action(
            key,
            "resize",
            &json!({"flavorRef": id.unwrap_or_else(|| flavor.into())}),
        )
    }

    /// An administrator locks it.
    pub fn oob_lock(&self, key: &str, reason: &str) -> Deed {
        self.oob_action(key, "lock", &json!({"locked_reason": reason}))
    }

    /// An administrator unlocks it.
    pub fn oob_unlock(&self, key: &str) -> Deed {
        self.oob_action(key, "unlock", &Value::Null)
    }

    /// Somebody deletes it, locked or not.
    pub fn oob_delete(&self, key: &str) -> Deed {
        self.world().out_of_band(key, |world, id, request| {
            let who = world.accounts.admin();
            let http = http::Request::delete("http://localhost/")
                .body(bytes::Bytes::new())
                .unwrap_or_default();
            let (ask, lists) = (Ask::new(http, request.into()), ListFaults::default());
            world.delete(
                &Call {
                    ask: &ask,
                    who: &who,
                    version: Microversion::NEWEST,
                    lists: &lists,
                },
                id,
            )
        })
    }

    /// Somebody sets a key of its metadata: a label, or an order to the simulator, as `fake.host.down` is one.
    pub fn oob_metadata(&self, key: &str, name: &str, value: &str) -> Deed {
        self.world().out_of_band(key, |world, id, _| {
            if let Some(server) = world.servers.get_mut(id) {
                server.metadata.insert(name.to_owned(), value.to_owned());
            }
            Ok(Reply::empty(202))
        })
    }

    /// Somebody gives the name of an image to a new one; its id. The old one is called `<name>-old` from then on.
    pub fn repoint_image(&self, name: &str) -> Option<String> {
        let mut world = self.world();
        let id = world.core.uuid();
        let old = world.images.iter_mut().find(|i| i.name == name)?;
        let new = Image {
            id: id.clone(),
            ..old.clone()
        };
        old.name = format!("{name}-old");
        world.images.push(new);
        Some(id)
    }

    /// Somebody gives its guest another host name.
    pub fn oob_hostname(&self, key: &str, hostname: &str) -> Deed {
        self.world().out_of_band(key, |world, id, _| {
            if let Some(server) = world.servers.get_mut(id) {
                server.hostname = hostname.to_owned();
            }
            Ok(Reply::empty(200))
        })
    }

    /// It was made in a group by somebody else.
    pub fn oob_join(&self, key: &str, group: &str) -> Deed {
        self.world().out_of_band(key, |world, id, _| {
            if let Some(server) = world.servers.get_mut(id) {
                server.group = Some(group.to_owned());
            }
            Ok(Reply::empty(202))
        })
    }

    /// Somebody makes a server by hand in the project `demo`; its id.
    pub fn oob_create(&self, name: &str) -> Result<String, NoSuchServer> {
        let mut world = self.world();
        let request = format!("req-{}", world.core.uuid());
        let image = world.images.first().map(|i| i.id.clone()).unwrap_or_default();
        let body = json!({"server": {"name": name, "flavorRef": "1", "imageRef": image, "networks": "auto"}});
        let http = http::Request::post("http://localhost/")
            .body(body.to_string().into())
            .unwrap_or_default();
        let (ask, lists) = (Ask::new(http, request), ListFaults::default());
        let mut who = world.accounts.admin();
        who.project = world.accounts.project_id("demo");
        let answer = world.create(&Call {
            ask: &ask,
            who: &who,
            version: Microversion::NEWEST,
            lists: &lists,
        });
        let body = answer.map_err(|r| NoSuchServer(name.into(), r.body.unwrap_or_default().to_string()))?;
        let id = body
            .body
            .as_ref()
            .and_then(|b| b["server"]["id"].as_str())
            .unwrap_or_default();
        Ok(id.to_owned())
    }

    /// The guest shuts itself down; Nova sees it at its next look.
    pub fn guest_shutdown(&self, key: &str) -> Deed {
        self.world().out_of_band(key, |world, id, request| {
            let (who, after) = (world.accounts.admin(), world.config.timings.power_sync);
            world.record(id, "stop", &who, request);
            world.plan_guest_shutdown(id, request, after);
            Ok(crate::sim::cloud::Reply::empty(202))
        })
    }

    /// The hypervisor reports another power state (0: the guest is gone), and Nova only shows it.
    pub fn set_power(&self, key: &str, power: u8) -> Deed {
        self.world().out_of_band(key, |world, id, _| {
            if let Some(server) = world.servers.get_mut(id) {
                server.power = power;
            }
            Ok(crate::sim::cloud::Reply::empty(202))
        })
    }

    /// It falls into ERROR with this message.
    pub fn set_error(&self, key: &str, message: &str) -> Deed {
        self.world().out_of_band(key, |world, id, _| {
            let created = world.core.time();
            if let Some(server) = world.servers.get_mut(id) {
                (server.vm, server.task) = (Vm::Error, None);
                server.fault = Some(ServerFault {
                    code: 500,
                    message: message.into(),
                    created,
                });
            }
            Ok(crate::sim::cloud::Reply::empty(202))
        })
    }

    /// A task is set and nothing comes of it, as where its host is dead.
    pub fn oob_task(&self, key: &str, task: &'static str) -> Deed {
        self.world().out_of_band(key, |world, id, _| {
            if let Some(server) = world.servers.get_mut(id) {
                server.task = Some(task);
            }
            Ok(Reply::empty(202))
        })
    }

    /// Nothing more happens to it for so long: what is under way is held up.
    pub fn stall(&self, key: &str, time: Duration) -> Deed {
        self.world().out_of_band(key, |world, id, _| {
            let agenda = std::mem::take(&mut world.agenda);
            world.agenda = agenda
                .into_iter()
                .map(|((at, n), e)| {
                    if e.server == id {
                        ((at + time, n), e)
                    } else {
                        ((at, n), e)
                    }
                })
                .collect();
            Ok(crate::sim::cloud::Reply::empty(202))
        })
    }
}
