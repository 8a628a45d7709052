//! What somebody else does, past the controller and not in the log of requests.

use std::time::Duration;

use serde_json::json;

use super::CloudDcSim;
use super::timeline::Job;
use super::world::{IMAGES, SUBNETS, Trouble, VPC, World};

/// No live instance has this id or name, or the service refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no instance {0}, or CloudDC refused: {1}")]
pub struct NoSuchInstance(pub String, pub String);

type Deed = Result<(), NoSuchInstance>;

impl World {
    fn touch(&mut self, key: &str, deed: impl FnOnce(&mut Self, &str) -> Result<(), String>) -> Deed {
        let id = self
            .find(key)
            .ok_or_else(|| NoSuchInstance(key.to_owned(), "unknown".to_owned()))?;
        deed(self, &id).map_err(|why| NoSuchInstance(key.to_owned(), why))
    }

    fn switch(&mut self, key: &str, action: &str) -> Deed {
        self.touch(key, |world, id| {
            let machine = world.instances.get(id).and_then(|i| i.machine.clone());
            let body = json!({"action": action, "server_id_set": [machine]});
            let said = |r: crate::sim::cloud::Reply| r.body.unwrap_or_default().to_string();
            world.change_power(&body).map(|_| ()).map_err(said)
        })
    }
}

impl CloudDcSim {
    /// Somebody powers it off.
    pub fn oob_stop(&self, key: &str) -> Deed {
        self.world().switch(key, "power off")
    }

    /// Somebody powers it on.
    pub fn oob_start(&self, key: &str) -> Deed {
        self.world().switch(key, "power on")
    }

    /// Somebody reboots it.
    pub fn oob_reboot(&self, key: &str) -> Deed {
        self.world().switch(key, "rebooting")
    }

    /// Somebody deletes it, whatever it is doing.
    pub fn oob_delete(&self, key: &str) -> Deed {
        self.world().touch(key, |world, id| {
            world.start_delete(id);
            Ok(())
        })
    }

    /// Somebody installs it anew.
    pub fn oob_reinstall(&self, key: &str) -> Deed {
        self.world().touch(key, |world, id| {
            let Some(instance) = world.instances.get(id) else {
                return Ok(());
            };
            let (machine, job) = (
                instance.machine.clone(),
                Job::Reinstall {
                    image: instance.image.clone(),
                    password: instance.password.clone(),
                },
            );
            world.begin(Some(id), machine.as_deref(), job);
            Ok(())
        })
    }

    /// Somebody makes an instance by hand; its id.
    pub fn oob_create(&self, name: &str) -> Result<String, NoSuchInstance> {
        let body = json!({"name": name, "image_id": IMAGES[0], "vpc_id": VPC, "password": "By-Hand-0",
            "network_interfaces": [{"subnet_id": SUBNETS[0].0}]});
        let said = |r: crate::sim::cloud::Reply| r.body.unwrap_or_default().to_string();
        self.world()
            .make(&body, None)
            .map_err(|r| NoSuchInstance(name.to_owned(), said(r)))
    }

    /// It falls into an error of this type, after this operation; what was under way is given up.
    pub fn set_error(&self, key: &str, operation: &str, kind: Option<&'static str>, message: &str) -> Deed {
        self.world().touch(key, |world, id| {
            world.give_up(id);
            let word = world.config.quirks.error_word.to_owned();
            if let Some(instance) = world.instances.get_mut(id) {
                instance.state = word;
                instance.busy = false;
                instance.operation = Some(operation.to_owned());
                instance.trouble = Some(Trouble {
                    code: "iMetal.0299",
                    message: message.to_owned(),
                    kind,
                });
            }
            Ok(())
        })
    }

    /// Its physical server is in this `manage_state`, with this `frozen_state`.
    pub fn set_manage(&self, key: &str, manage: &str, frozen: i64) -> Deed {
        self.world().touch(key, |world, id| {
            let machine = world.instances.get(id).and_then(|i| i.machine.clone());
            if let Some(machine) = machine.and_then(|m| world.machines.get_mut(&m)) {
                machine.manage = manage.to_owned();
                machine.frozen = frozen;
            }
            Ok(())
        })
    }

    /// The service shows it in this state, whatever it is.
    pub fn set_state(&self, key: &str, state: &str) -> Deed {
        self.world().touch(key, |world, id| {
            if let Some(instance) = world.instances.get_mut(id) {
                instance.state = state.to_owned();
            }
            Ok(())
        })
    }

    /// Nothing more happens to it for so long: what is under way is held up.
    pub fn stall(&self, key: &str, time: Duration) -> Deed {
        self.world().touch(key, |world, id| {
            let agenda = std::mem::take(&mut world.agenda);
            world.agenda = agenda
                .into_iter()
                .map(|((at, n), e)| {
                    let held = e.instance.as_deref() == Some(id);
                    ((if held { at + time } else { at }, n), e)
                })
                .collect();
            Ok(())
        })
    }
}
