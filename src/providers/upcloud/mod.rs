//! UpCloud: the API 1.3. What the service answers is in the tables of this folder; the calls are those of
//! <https://developers.upcloud.com/1.3/8-servers/>.

mod attached;
mod attributes;
mod auth;
mod capabilities;
mod convert;
mod create;
mod deeds;
mod errors;
mod floating;
mod groups;
mod interfaces;
mod labels;
mod operate;
mod register;
mod session;
pub(in crate::providers) mod states;
mod storages;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::BoxFuture;
use http::Method;
use jiff::Timestamp;
use secrecy::ExposeSecret;
use tokio::sync::Mutex;

pub use capabilities::CAPABILITIES;
pub use register::CLOUD;

use self::auth::Credential;
use self::convert::observed;
use self::errors::Asked;
use self::session::{Request, Service, checked, parse};
use self::storages::Templates;
use super::answers::Pages;
use super::transport::client::{HttpClient, Reply};
use super::{Account, CallWith, Credentials, Done, Provider};
use crate::planner::model::{
    Accepted, Capabilities, CloudCall, CloudError, CreateRequest, Ended, ErrorClass, ObservedGroup,
    ObservedServer, Operate, Trace,
};

/// How many servers of a paged list are asked for at once.
const PAGE: usize = 100;
/// The user of a new server whose reply names none.
const ROOT: &str = "root";

/// One UpCloud account.
pub struct UpCloud {
    service: Service,
    templates: Templates,
    zone: Option<String>,
    account: Mutex<Option<Account>>,
}

impl UpCloud {
    /// An account as a Secret opens it: `token`, or `username` and `password`; and optionally `endpoint`. `zone` is
    /// that of servers that name none. Nothing is sent yet. Wrong credentials are remembered: build a new one when they
    /// change.
    ///
    /// # Errors
    /// Class `NotFound` for a key that the Secret lacks, `InvalidSpec` for both kinds of credentials or a refused
    /// endpoint, `Unauthorized` for credentials that no header can hold.
    pub fn new(
        secret: &BTreeMap<String, Vec<u8>>,
        zone: Option<&str>,
        http: HttpClient,
    ) -> Result<Self, CloudError> {
        let credential = Credential::read(secret, http.rules())?;
        Ok(Self {
            service: Service::new(http, credential),
            templates: Templates::default(),
            zone: zone.map(str::to_owned),
            account: Mutex::default(),
        })
    }

    async fn create(&self, request: &CreateRequest, with: &CallWith<'_>) -> Result<Done, CloudError> {
        let zone = self.zone.as_deref();
        let body = create::body(&self.service, &self.templates, zone, request, with).await?;
        let ask = Request {
            body: Some(body),
            asked: Asked::Create,
            hide: with
                .user_data
                .iter()
                .chain(with.admin_password.iter())
                .map(|s| s.expose_secret())
                .collect(),
            ..Request::change(Method::POST, "/server", "upcloud /server", with.send_before)
        };
        let reply = match self.service.send(ask).await {
            Err(e) if e.class == ErrorClass::InvalidSpec => {
                self.templates.forget().await;
                return Err(e);
            }
            sent => sent?,
        };
        let made = parse::<wire::ServerDoc>(&reply, Asked::Create, "upcloud /server")?.server;
        let user = request.spec.upcloud.as_ref().and_then(|u| u.login_user.as_ref());
        let user = user.and_then(|u| u.username.clone());
        let username = made.username.or(user).unwrap_or_else(|| ROOT.to_owned());
        Ok(Done {
            accepted: Accepted {
                id: Some(made.uuid),
                request_id: request_id(&reply),
                ..Accepted::default()
            },
            credentials: made.password.map(|password| Credentials {
                username: Some(username),
                password,
            }),
            ..Done::default()
        })
    }

    /// Every server. The list has no pages; should the service begin to cut it, it says how many there are.
    async fn all(&self) -> Result<Vec<wire::Server>, CloudError> {
        let (mut all, mut ids, mut pages) = (Vec::new(), BTreeSet::new(), Pages::default());
        let mut path = "/server".to_owned();
        loop {
            let reply = self.service.send(Request::get(path, "upcloud /server")).await?;
            let total = reply
                .header("upcloud-total-count")
                .and_then(|t| t.trim().parse().ok());
            pages.add(&reply)?;
            let page: wire::ServerList = parse(&reply, Asked::Read, "upcloud /server")?;
            let before = all.len();
            all.extend(page.servers.0.into_iter().filter(|s| ids.insert(s.uuid.clone())));
            if total.is_none_or(|total: usize| all.len() >= total) {
                return Ok(all);
            }
            if all.len() == before {
                let words = format!("the list has {before} servers of {}", total.unwrap_or_default());
                return Err(CloudError::new(ErrorClass::Transient, words));
            }
            path = format!("/server?limit={PAGE}&offset={}", all.len());
        }
    }

    async fn who(&self) -> Result<Account, CloudError> {
        let mut known = self.account.lock().await;
        if let Some(error) = self.service.refused() {
            *known = None;
            return Err(error);
        }
        if let Some(account) = known.as_ref() {
            return Ok(account.clone());
        }
        let request = Request::look("/account", "upcloud /account");
        let user = self
            .service
            .read::<wire::AccountDoc>(request)
            .await?
            .account
            .username;
        let account = Account {
            key: format!("{} {user}", self.service.base()),
            name: Some(user.clone()),
            id: user,
        };
        self.service.join(&account.key);
        *known = Some(account.clone());
        Ok(account)
    }
}

/// The service's own id of a request.
fn request_id(reply: &Reply) -> Option<String> {
    reply
        .header("upcloud-cid")
        .or(reply.request_id())
        .map(str::to_owned)
}

impl Provider for UpCloud {
    fn capabilities(&self) -> &'static Capabilities {
        &CAPABILITIES
    }

    fn account(&self) -> BoxFuture<'_, Result<Account, CloudError>> {
        Box::pin(self.who())
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Arc<ObservedServer>>, CloudError>> {
        Box::pin(async move {
            Ok(self
                .all()
                .await?
                .into_iter()
                .map(observed)
                .map(Arc::new)
                .collect())
        })
    }

    fn get<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<ObservedServer, CloudError>> {
        Box::pin(async move {
            let server = operate::fetch(&self.service, checked(id)?).await?;
            let unlabelled = storages::unlabelled(&server);
            let mut server = observed(server);
            storages::complete(&self.service, &unlabelled, &mut server).await?;
            Ok(server)
        })
    }

    fn call<'a>(
        &'a self,
        call: &'a CloudCall,
        with: CallWith<'a>,
    ) -> BoxFuture<'a, Result<Done, CloudError>> {
        Box::pin(async move {
            let accepted = match call {
                CloudCall::Create(request) => return self.create(request, &with).await,
                CloudCall::Operate {
                    id,
                    how: Operate::Deed(spec),
                    ..
                } => deeds::backup(&self.service, id, spec, with.send_before).await?,
                CloudCall::Operate {
                    id,
                    how: Operate::Read(reading),
                    ..
                } => return deeds::console(&self.service, id, reading).await,
                CloudCall::Operate { id, kind, how } => {
                    operate::operate(&self.service, id, *kind, how, with).await?
                }
                CloudCall::CreateGroup(group) => {
                    groups::create(&self.service, group, with.send_before).await?
                }
                CloudCall::ChangeGroup { id, change } => {
                    groups::change(&self.service, id, change, with.send_before).await?
                }
            };
            Ok(accepted.into())
        })
    }

    fn ended<'a>(
        &'a self,
        _id: &'a str,
        trace: &'a Trace,
        _asked_at: Timestamp,
    ) -> BoxFuture<'a, Result<Ended, CloudError>> {
        Box::pin(deeds::ended(&self.service, trace))
    }

    fn list_groups(&self) -> BoxFuture<'_, Result<Vec<ObservedGroup>, CloudError>> {
        Box::pin(groups::list(&self.service))
    }
}
