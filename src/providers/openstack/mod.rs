//! OpenStack: Keystone v3 and Nova. What a real Nova answers is in the tables of this folder; the calls are those of
//! <https://docs.openstack.org/api-ref/compute/>.

mod auth;
mod capabilities;
mod catalog;
mod clouds;
mod consoles;
mod convert;
mod create;
mod deeds;
mod discovery;
mod errors;
mod floating;
mod groups;
mod interfaces;
mod log;
mod paging;
mod port_groups;
mod register;
mod seen;
mod session;
mod settings;
pub(in crate::providers) mod states;
mod told;
mod volumes;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures::future::BoxFuture;
use http::Method;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::time::Instant;

pub use capabilities::CAPABILITIES;
pub use register::CLOUD;

use self::auth::{Keystone, ServiceKind};
use self::catalog::Catalog;
use self::convert::{KEYS, UID, metadata_of, observed, tag};
use self::discovery::Need;
use self::errors::{Asked, unreadable};
use self::seen::Seen;
use self::session::{Request, Services, checked};
use super::transport::budget::Priority;
use super::transport::client::{HttpClient, Reply};
use super::{Account, CallWith, Done, Provider};
use crate::api::server::PowerOffMode;
use crate::api::server_status::OperationKind;
use crate::planner::model::{
    Accepted, Capabilities, CloudCall, CloudError, CreateRequest, Ended, ErrorClass, Marks, ObservedGroup,
    ObservedServer, Operate, StopKind, Trace,
};

/// One project of an OpenStack cloud.
pub struct OpenStack {
    services: Services,
    catalog: Catalog,
    seen: Seen,
}

impl OpenStack {
    /// A project as an entry of a `clouds.yaml` describes it. `region` and `interface` (`public`, `internal`) overrule
    /// the file's. Nothing is sent yet. Wrong credentials are remembered: build a new one when they change.
    ///
    /// # Errors
    /// Class `InvalidSpec`: the file cannot be used; the words say why.
    pub fn new(
        clouds_yaml: &[u8],
        cloud: &str,
        region: Option<&str>,
        interface: Option<&str>,
        http: HttpClient,
    ) -> Result<Self, CloudError> {
        let cloud = clouds::read(clouds_yaml, cloud, region, interface, http.rules())?;
        let keystone = Keystone::new(http.alone(), cloud);
        Ok(Self {
            services: Services::new(http, keystone),
            catalog: Catalog::default(),
            seen: Seen::default(),
        })
    }

    /// The same; a refused log-in is said to be that of these credentials.
    #[must_use]
    pub fn with_origin(mut self, origin: String) -> Self {
        self.services.keystone.origin = Some(origin);
        self
    }

    async fn fetch(&self, id: &str) -> Result<wire::Server, CloudError> {
        let request = Request {
            need: Need::Shown,
            priority: Priority::High,
            ..Request::get(
                ServiceKind::Compute,
                format!("/servers/{}", checked(id)?),
                "nova /servers/{id}",
            )
        };
        Ok(self.services.read::<wire::ServerDoc>(request).await?.server)
    }

    async fn create(
        &self,
        create: &CreateRequest,
        user_data: Option<&SecretString>,
        send_before: Instant,
    ) -> Result<Done, CloudError> {
        let user_data = user_data
            .map(|plain| Ok((plain, create::encoded(plain)?)))
            .transpose()?;
        let encoded = user_data.as_ref().map(|(_, encoded)| encoded);
        let (body, need) = create::body(&self.services, &self.catalog, create, encoded).await?;
        let hide = user_data
            .iter()
            .flat_map(|(p, e)| [p.expose_secret(), e.expose_secret()])
            .collect();
        let request = Request {
            body: Some(body),
            asked: Asked::Create,
            need,
            hide,
            ..Request::change(Method::POST, "/servers", "nova /servers", send_before)
        };
        let reply = self.send_and_forget(request).await?;
        created(&reply)
    }

    /// Sends a change that rests on the catalog; a refusal may come from an answer that is no longer true.
    async fn send_and_forget(&self, request: Request<'_>) -> Result<Reply, CloudError> {
        let result = self.services.send(request).await;
        if matches!(&result, Err(e) if e.class == ErrorClass::InvalidSpec) {
            self.catalog.forget();
        }
        result
    }

    async fn act(
        &self,
        id: &str,
        action: Value,
        asked: Asked,
        send_before: Instant,
    ) -> Result<Done, CloudError> {
        self.act_with(id, action, asked, Need::Servers, send_before).await
    }

    async fn act_with(
        &self,
        id: &str,
        action: Value,
        asked: Asked,
        need: Need,
        send_before: Instant,
    ) -> Result<Done, CloudError> {
        let path = format!("/servers/{}/action", checked(id)?);
        let request = Request {
            body: Some(action),
            asked,
            need,
            ..Request::change(Method::POST, path, "nova /servers/{id}/action", send_before)
        };
        let reply = self.send_and_forget(request).await?;
        Ok(told::done(accepted(id, &reply), &reply))
    }

    async fn operate(
        &self,
        id: &str,
        kind: OperationKind,
        how: &Operate,
        send_before: Instant,
    ) -> Result<Done, CloudError> {
        let asked = if kind == OperationKind::ConfirmResize {
            Asked::Confirm
        } else {
            Asked::Change
        };
        if let (Some(word), Operate::Plain) = (deeds::word(kind), how) {
            return self.act(id, json!({ word: null }), asked, send_before).await;
        }
        let action = match (kind, how) {
            (OperationKind::Stop, Operate::Plain | Operate::Stop(StopKind::CloudEscalates, _)) => {
                json!({ "os-stop": null })
            }
            (OperationKind::Restart, Operate::Restart { mode, .. }) => {
                let hard = *mode == PowerOffMode::Hard;
                json!({ "reboot": { "type": if hard { "HARD" } else { "SOFT" } } })
            }
            (OperationKind::Resize, Operate::Size(size)) => {
                let flavor = create::flavor_of(&self.services, &self.catalog, size).await?;
                json!({ "resize": { "flavorRef": flavor } })
            }
            // What is not named (key, user data, metadata, name) stays as it is.
            (OperationKind::Rebuild, Operate::Image(image, disks)) => {
                let image = create::image_of(&self.services, &self.catalog, image).await?;
                let (action, need) = deeds::rebuild(&image, *disks);
                return self.act_with(id, action, asked, need, send_before).await;
            }
            (OperationKind::Rescue, Operate::Rescue(image)) => {
                let action = match image {
                    Some(image) => {
                        let image = create::image_of(&self.services, &self.catalog, image).await?;
                        json!({ "rescue": { "rescue_image_ref": image } })
                    }
                    None => json!({ "rescue": {} }),
                };
                return self.act_with(id, action, asked, Need::Rescue, send_before).await;
            }
            (OperationKind::Lock, Operate::Lock(words)) => {
                let action = json!({ "lock": { "locked_reason": words } });
                return self.act_with(id, action, asked, Need::Lock, send_before).await;
            }
            (OperationKind::Delete | OperationKind::DeleteFailed, Operate::Plain) => {
                let path = format!("/servers/{}", checked(id)?);
                let request = Request::change(Method::DELETE, path, "nova /servers/{id}", send_before);
                return Ok(accepted(id, &self.services.send(request).await?).into());
            }
            (OperationKind::Delete, Operate::Force) => json!({ "forceDelete": null }),
            (OperationKind::Mark, Operate::Marks(marks)) => {
                return Ok(self.mark(id, marks, send_before).await?.into());
            }
            (OperationKind::Unmark, Operate::Marks(marks)) => {
                return Ok(self.unmark(id, Some(marks), send_before).await?.into());
            }
            (OperationKind::Unmark, Operate::Plain) => {
                return Ok(self.unmark(id, None, send_before).await?.into());
            }
            (OperationKind::Modify, Operate::Attributes(list)) => {
                return Ok(settings::rewrite(&self.services, id, list, send_before)
                    .await?
                    .into());
            }
            (OperationKind::Modify, Operate::Items(change)) => {
                return Ok(
                    settings::change(&self.services, &self.catalog, id, change, send_before)
                        .await?
                        .into(),
                );
            }
            (kind, how) => {
                return Err(CloudError::new(
                    ErrorClass::Unsupported,
                    format!("OpenStack has no {kind} of this kind: {}", how),
                ));
            }
        };
        self.act(id, action, asked, send_before).await
    }

    /// Adds our keys to the metadata, and our tag. Everybody else's stay.
    async fn mark(&self, id: &str, marks: &Marks, send_before: Instant) -> Result<Accepted, CloudError> {
        let path = format!("/servers/{}/metadata", checked(id)?);
        let request = Request {
            body: Some(json!({ "metadata": metadata_of(marks) })),
            ..Request::change(Method::POST, path, "nova /servers/{id}/metadata", send_before)
        };
        let reply = self.services.send(request).await?;
        let path = format!("/servers/{id}/tags/{}", tag(&marks.uid));
        let request = Request::change(Method::PUT, path, "nova /servers/{id}/tags/{tag}", send_before);
        match self.services.send(request).await {
            // Full of tags: the metadata is the mark, the tag only makes it easy to filter.
            Err(e) if e.class == ErrorClass::InvalidSpec => {
                tracing::debug!(server = id, error = %e, "no tag written");
            }
            other => {
                other?;
            }
        }
        Ok(accepted(id, &reply))
    }

    /// Takes off what is there of our keys and our tag; nothing when the server carries another object's mark.
    async fn unmark(
        &self,
        id: &str,
        marks: Option<&Marks>,
        send_before: Instant,
    ) -> Result<Accepted, CloudError> {
        let server = self.fetch(id).await?;
        let uid = server.metadata.get(UID);
        if let (Some(uid), Some(marks)) = (uid, marks)
            && *uid != marks.uid
        {
            return Ok(Accepted::so_already(id));
        }
        let ours = uid.or(marks.map(|m| &m.uid)).map(|uid| tag(uid));
        let tags = server.tags.iter().filter(|t| Some(*t) == ours.as_ref());
        // The uid goes last: while it is there an interrupted removal is seen and done again.
        let mut keys: Vec<&str> = KEYS
            .iter()
            .copied()
            .filter(|k| server.metadata.contains_key(*k))
            .collect();
        keys.sort_by_key(|k| *k == UID);
        let paths = tags
            .map(|t| (format!("/servers/{id}/tags/{t}"), "nova /servers/{id}/tags/{tag}"))
            .chain(keys.iter().map(|k| {
                (
                    format!("/servers/{id}/metadata/{k}"),
                    "nova /servers/{id}/metadata/{key}",
                )
            }));
        let mut last = Accepted::so_already(id);
        for (path, route) in paths {
            match self
                .services
                .send(Request::change(Method::DELETE, path, route, send_before))
                .await
            {
                Ok(reply) => last = accepted(id, &reply),
                Err(e) if e.class == ErrorClass::NotFound => {}
                Err(e) => return Err(e),
            }
        }
        Ok(last)
    }
}

impl Provider for OpenStack {
    fn capabilities(&self) -> &'static Capabilities {
        &CAPABILITIES
    }

    fn account(&self) -> BoxFuture<'_, Result<Account, CloudError>> {
        Box::pin(async move {
            let session = self.services.keystone.session().await?;
            let key = self.services.keystone.account_key(&session.project_id);
            self.services.join(&key);
            Ok(Account {
                id: session.account_id(),
                name: session.project_name.clone(),
                key,
            })
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Arc<ObservedServer>>, CloudError>> {
        Box::pin(async move {
            let mut servers = paging::all_servers(&self.services, &self.seen).await?;
            seen::complete(&self.services, &self.catalog, &mut servers).await?;
            self.seen.keep(&servers);
            Ok(servers.into_iter().map(|read| read.server).collect())
        })
    }

    fn get<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<ObservedServer, CloudError>> {
        Box::pin(async move {
            let mut server = seen::Read::alone(observed(self.fetch(id).await?));
            seen::complete(&self.services, &self.catalog, std::slice::from_mut(&mut server)).await?;
            Ok(Arc::unwrap_or_clone(server.server))
        })
    }

    fn call<'a>(
        &'a self,
        call: &'a CloudCall,
        with: CallWith<'a>,
    ) -> BoxFuture<'a, Result<Done, CloudError>> {
        Box::pin(async move {
            let accepted = match call {
                CloudCall::Create(request) => {
                    return self.create(request, with.user_data, with.send_before).await;
                }
                CloudCall::Operate {
                    id,
                    kind,
                    how: Operate::Deed(spec),
                } => {
                    let password = with.admin_password;
                    deeds::call(&self.services, id, *kind, spec, password, with.send_before).await?
                }
                CloudCall::Operate {
                    id,
                    kind,
                    how: Operate::Read(reading),
                } => return consoles::read(&self.services, id, *kind, reading, with.send_before).await,
                CloudCall::Operate { id, kind, how } => {
                    return self.operate(id, *kind, how, with.send_before).await;
                }
                CloudCall::CreateGroup(group) => {
                    groups::create(&self.services, group, with.send_before).await?
                }
                CloudCall::ChangeGroup { id, change } => {
                    groups::change(&self.services, id, change, with.send_before).await?
                }
            };
            Ok(accepted.into())
        })
    }

    fn ended<'a>(
        &'a self,
        id: &'a str,
        trace: &'a Trace,
        asked_at: Timestamp,
    ) -> BoxFuture<'a, Result<Ended, CloudError>> {
        Box::pin(log::ended(&self.services, id, trace, asked_at))
    }

    fn list_groups(&self) -> BoxFuture<'_, Result<Vec<ObservedGroup>, CloudError>> {
        Box::pin(groups::all(&self.services))
    }
}

fn accepted(id: &str, reply: &Reply) -> Accepted {
    let request_id = reply.header("x-openstack-request-id").map(str::to_owned);
    Accepted {
        id: Some(id.to_owned()),
        request_id,
        ..Accepted::default()
    }
}

/// The id of a server that was just made: in the body, and at the end of `Location`.
fn created(reply: &Reply) -> Result<Done, CloudError> {
    let in_location = || {
        reply
            .header("location")?
            .rsplit('/')
            .next()
            .filter(|id| checked(id).is_ok())
    };
    match serde_json::from_slice::<wire::CreatedDoc>(&reply.body) {
        Ok(doc) => Ok(told::done(accepted(&doc.server.id, reply), reply)),
        Err(e) => match in_location() {
            Some(id) => Ok(accepted(id, reply).into()),
            None => Err(unreadable("Nova", "answer to a create", Asked::Create, &e)),
        },
    }
}
