//! Huawei CloudDC: bare metal. An instance is an operating system on a physical server; it is installed and deleted by
//! its own id, and switched by that of the server. The calls are those of
//! <https://support.huaweicloud.com/intl/en-us/api-clouddc/>.

mod auth;
mod capabilities;
mod console;
mod convert;
mod create;
mod errors;
mod paging;
mod pending;
mod register;
mod servers;
mod session;
mod settings;
mod sign;
pub(in crate::providers) mod states;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures::future::BoxFuture;
use http::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio::time::Instant;

pub use capabilities::CAPABILITIES;
pub use register::CLOUD;

use self::auth::Credential;
use self::errors::{Asked, invalid, unreadable};
use self::pending::Pending;
use self::servers::Servers;
use self::session::{Request, Session};
use self::states::Awaited;
use self::wire::{Instance, PhysicalServer};
use super::transport::budget::Priority;
use super::transport::client::{HttpClient, Reply};
use super::{Account, CallWith, Done, Provider};
use crate::api::server::{Image, PowerOffMode};
use crate::api::server_status::OperationKind;
use crate::planner::model::{
    ADMIN_PASSWORD, Accepted, Capabilities, CloudCall, CloudError, CreateRequest, Disks, ErrorClass,
    FailedStep, ObservedServer, Operate, ServerState, StopKind,
};

/// Where a project is.
struct Place {
    /// The endpoint of the region.
    endpoint: String,
    /// The project's id.
    project: String,
}

/// One project of CloudDC in one region.
pub struct CloudDc {
    session: Session,
    pending: Pending,
    servers: Servers,
}

impl CloudDc {
    /// Nothing is sent yet. Wrong credentials are remembered: build a new one when they change.
    ///
    /// # Errors
    /// Class `InvalidSpec`: an endpoint is refused.
    fn new(place: Place, mut credential: Credential, http: HttpClient) -> Result<Self, CloudError> {
        let check = |text: &str, key: &str| {
            let url = http
                .rules()
                .check(text)
                .map_err(|e| e.refusal(&format!("the Secret's {key}")))?;
            if url.query().is_some() || url.fragment().is_some() {
                return Err(invalid(format!(
                    "the Secret's {key} has a query or a fragment: leave it out"
                )));
            }
            Ok(url)
        };
        let base = check(&place.endpoint, "endpoint")?;
        if let Credential::User(user) = &mut credential {
            let url = check(&user.endpoint, "iamEndpoint")?;
            let bare = url.as_str().trim_end_matches('/');
            user.endpoint = bare.strip_suffix("/v3").unwrap_or(bare).to_owned();
        }
        Ok(Self {
            session: Session::new(http, base, place.project, credential),
            pending: Pending::default(),
            servers: Servers::default(),
        })
    }

    /// In the planner's words; none for what is gone.
    fn translate(&self, instance: Instance, server: Option<&PhysicalServer>) -> Option<ObservedServer> {
        let words = convert::words(&instance, server, None);
        let pending = self.pending.of(&instance.id, &words);
        let seen = convert::observed(instance, server, pending);
        (seen.state != ServerState::Absent).then_some(seen)
    }

    /// An instance as it is now: from the list, its status, and its server.
    async fn fetch(&self, id: &str) -> Result<(Instance, Option<PhysicalServer>), CloudError> {
        let id = checked(id)?;
        let listed = paging::one_instance(&self.session, id).await?;
        let path = format!("/instances/{id}/status");
        let request = Request::get(path, "clouddc /instances/{id}/status", Priority::High);
        let status: wire::Status = self.session.read(request).await?;
        let Some(mut instance) = listed else {
            return Err(match status.state.as_str() {
                "terminated" | "teminated" => gone(id),
                state => CloudError::new(
                    ErrorClass::Transient,
                    format!("instance {id} is {state}, but no list has it"),
                ),
            });
        };
        instance.state = Some(status.state);
        instance.operation_state = status.operation_state;
        instance.error = status.error;
        let server = match &instance.server_id {
            Some(server) => servers::fetch(&self.session, server).await?,
            None => None,
        };
        Ok((instance, server))
    }

    /// The physical server of an instance: as the last list said, or asked for.
    async fn server_of(&self, id: &str) -> Result<String, CloudError> {
        if let Some(server) = self.servers.below(id) {
            return Ok(server);
        }
        let instance = paging::one_instance(&self.session, checked(id)?).await?;
        let instance = instance.ok_or_else(|| gone(id))?;
        let words = convert::words(&instance, None, None);
        if states::state_of(&words) == ServerState::Absent {
            return Err(gone(id));
        }
        instance.server_id.ok_or_else(|| {
            CloudError::new(
                ErrorClass::Busy,
                format!("instance {id} has no physical server yet"),
            )
        })
    }

    async fn create(&self, create: &CreateRequest, with: CallWith<'_>) -> Result<Accepted, CloudError> {
        let body = create::body(create, with.admin_password)?;
        let request = Request {
            asked: Asked::Create,
            hide: hidden(with.admin_password),
            ..Request::change(
                Method::POST,
                "/instances",
                "clouddc /instances",
                Some(body),
                with.send_before,
            )
        };
        let reply = self.session.send(request).await?;
        let created: wire::Created = serde_json::from_slice(&reply.body)
            .map_err(|e| unreadable("CloudDC", "answer to a create", Asked::Create, &e))?;
        Ok(accepted(&created.instance_id, &reply))
    }

    /// Switches the physical server of an instance.
    async fn switch(&self, id: &str, power: Awaited, send_before: Instant) -> Result<Accepted, CloudError> {
        let server = self.server_of(id).await?;
        let action = match power {
            Awaited::On => "power on",
            Awaited::Off => "power off",
            Awaited::Reboot => "rebooting",
            Awaited::Reinstall | Awaited::ModifyIp => {
                return Err(invalid(format!("{power:?} switches nothing")));
            }
        };
        let request = Request::change(
            Method::PUT,
            "/physicalservers/power-state",
            "clouddc /physicalservers/power-state",
            Some(json!({ "action": action, "server_id_set": [server] })),
            send_before,
        );
        let reply = self.session.send(request).await?;
        taken(&reply, &server)?;
        self.pending.accepted(id, power);
        Ok(accepted(id, &reply))
    }

    async fn delete(&self, id: &str, send_before: Instant) -> Result<Accepted, CloudError> {
        let request = Request::change(
            Method::DELETE,
            format!("/instances/{}", checked(id)?),
            "clouddc /instances/{id}",
            None,
            send_before,
        );
        Ok(accepted(id, &self.session.send(request).await?))
    }

    /// Installs an image, or the same system again. It wipes the disks: the caller has made sure that this is asked for.
    async fn reinstall(
        &self,
        id: &str,
        image: Option<&Image>,
        with: CallWith<'_>,
    ) -> Result<Accepted, CloudError> {
        let password = create::checked(with.admin_password)?;
        let mut body = json!({ "password": password.expose_secret(), "instance_id_set": [checked(id)?] });
        if image.is_some() {
            body["image_id"] = json!(create::image_id(image)?);
        }
        let request = Request {
            hide: hidden(with.admin_password),
            ..Request::change(
                Method::PUT,
                "/instances/reinstall",
                "clouddc /instances/reinstall",
                Some(body),
                with.send_before,
            )
        };
        let reply = self.session.send(request).await?;
        taken(&reply, id)?;
        self.pending.accepted(id, Awaited::Reinstall);
        Ok(accepted(id, &reply))
    }

    /// Sets the password or the network of an instance.
    async fn modify(
        &self,
        id: &str,
        list: &[(&'static str, String)],
        with: CallWith<'_>,
    ) -> Result<Accepted, CloudError> {
        let change = settings::change(checked(id)?, list, with.admin_password)?;
        let request = Request {
            hide: hidden(with.admin_password),
            ..Request::change(
                Method::PUT,
                change.path,
                change.route,
                Some(change.body),
                with.send_before,
            )
        };
        let reply = self.session.send(request).await?;
        match change.awaited {
            Some(call) => self.pending.accepted(id, call),
            None => taken(&reply, id)?,
        }
        Ok(accepted(id, &reply))
    }

    /// Tries the step again in which the cloud gave up, as it is now and not as it was in the last list.
    async fn retry(&self, id: &str, with: CallWith<'_>) -> Result<Accepted, CloudError> {
        let (instance, server) = self.fetch(id).await?;
        let seen = self
            .translate(instance, server.as_ref())
            .ok_or_else(|| gone(id))?;
        match seen.failed_step {
            Some(FailedStep::Create | FailedStep::Reinstall) => self.reinstall(id, None, with).await,
            Some(FailedStep::Delete) => self.delete(id, with.send_before).await,
            Some(_) => Err(CloudError::new(
                ErrorClass::Unsupported,
                format!("CloudDC has no way to try again what failed: {}", seen.raw),
            )),
            None => Err(CloudError::new(
                ErrorClass::Busy,
                format!("instance {id} is in no error state any more: {}", seen.raw),
            )),
        }
    }

    async fn operate(
        &self,
        id: &str,
        kind: OperationKind,
        how: &Operate,
        with: CallWith<'_>,
    ) -> Result<Accepted, CloudError> {
        match (kind, how) {
            (OperationKind::Start, Operate::Plain) => self.switch(id, Awaited::On, with.send_before).await,
            (OperationKind::Stop, Operate::Plain | Operate::Stop(StopKind::CloudEscalates, _)) => {
                self.switch(id, Awaited::Off, with.send_before).await
            }
            (
                OperationKind::Restart,
                Operate::Restart {
                    mode: PowerOffMode::SoftThenHard,
                    ..
                },
            ) => self.switch(id, Awaited::Reboot, with.send_before).await,
            (OperationKind::Delete | OperationKind::DeleteFailed, Operate::Plain) => {
                self.delete(id, with.send_before).await
            }
            (OperationKind::Retry, Operate::Plain) => self.retry(id, with).await,
            (OperationKind::Rebuild, Operate::Image(image, disks)) if *disks == Disks::default() => {
                self.reinstall(id, Some(image), with).await
            }
            (OperationKind::ChangePassword, Operate::Deed(_)) => {
                let list = [(ADMIN_PASSWORD, String::new())];
                self.modify(id, &list, with).await
            }
            (OperationKind::Modify, Operate::Attributes(list)) => self.modify(id, list, with).await,
            (kind, how) => Err(CloudError::new(
                ErrorClass::Unsupported,
                format!("CloudDC has no {kind} of this kind: {}", how),
            )),
        }
    }
}

impl Provider for CloudDc {
    fn capabilities(&self) -> &'static Capabilities {
        &CAPABILITIES
    }

    fn account(&self) -> BoxFuture<'_, Result<Account, CloudError>> {
        Box::pin(async move {
            // A key says nothing of itself: that it opens the project is seen by using it.
            if !self.session.proven() {
                paging::try_out(&self.session).await?;
            }
            self.session.join();
            Ok(Account {
                id: self.session.project.clone(),
                name: self.session.project_name().await,
                key: self.session.key(),
            })
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Arc<ObservedServer>>, CloudError>> {
        Box::pin(async move {
            let asked = Instant::now();
            let instances = paging::all_instances(&self.session).await?;
            let servers = servers::all(&self.session, &instances).await?;
            self.servers.remember(&instances, asked);
            let seen = instances.into_iter().filter_map(|instance| {
                let server = instance.server_id.as_ref().and_then(|id| servers.get(id));
                self.translate(instance, server)
            });
            Ok(seen.map(Arc::new).collect())
        })
    }

    fn get<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<ObservedServer, CloudError>> {
        Box::pin(async move {
            let (instance, server) = self.fetch(id).await?;
            self.translate(instance, server.as_ref()).ok_or_else(|| gone(id))
        })
    }

    fn call<'a>(
        &'a self,
        call: &'a CloudCall,
        with: CallWith<'a>,
    ) -> BoxFuture<'a, Result<Done, CloudError>> {
        Box::pin(async move {
            let accepted = match call {
                CloudCall::Create(request) => self.create(request, with).await?,
                CloudCall::Operate {
                    id,
                    how: Operate::Read(reading),
                    ..
                } => return self.console(id, reading).await,
                CloudCall::Operate { id, kind, how } => self.operate(id, *kind, how, with).await?,
                CloudCall::CreateGroup(_) | CloudCall::ChangeGroup { .. } => {
                    return Err(CloudError::new(ErrorClass::Unsupported, "CloudDC has no groups"));
                }
            };
            Ok(accepted.into())
        })
    }
}

/// An id that can stand in a path.
fn checked(id: &str) -> Result<&str, CloudError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !id.is_empty() && id.chars().all(plain) {
        Ok(id)
    } else {
        Err(invalid(format!("{id:?} is no id of an instance in CloudDC")))
    }
}

fn gone(id: &str) -> CloudError {
    CloudError::new(ErrorClass::NotFound, format!("instance {id} does not exist"))
}

fn hidden(password: Option<&SecretString>) -> Vec<&str> {
    password.iter().map(|p| p.expose_secret()).collect()
}

fn accepted(id: &str, reply: &Reply) -> Accepted {
    Accepted {
        id: Some(id.to_owned()),
        request_id: reply.request_id().map(str::to_owned),
        ..Accepted::default()
    }
}

/// A reply of a call on several things names those on which it acts; one that names others has left ours out.
fn taken(reply: &Reply, id: &str) -> Result<(), CloudError> {
    let taken: wire::Taken = serde_json::from_slice(&reply.body).unwrap_or_default();
    if taken.instances.is_empty() || taken.instances.iter().any(|t| t.id == id) {
        return Ok(());
    }
    Err(CloudError::new(
        ErrorClass::Busy,
        format!("CloudDC took the call, but not for {id}"),
    ))
}
