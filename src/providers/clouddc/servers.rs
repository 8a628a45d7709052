//! The physical servers below the instances: which one, and in what words.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::session::{Request, Session};
use super::states::state_of;
use super::wire::{Instance, PhysicalServer};
use super::{checked, convert, paging};
use crate::planner::model::{CloudError, ErrorClass, ServerState};
use crate::providers::transport::budget::Priority;

/// A server can be given to another instance as soon as its own is deleted: what a list said of it is used no longer
/// than this.
const KNOWN: Duration = Duration::from_secs(15);
/// So many physical servers that their list lacks are asked for by id.
const ASKED_FOR: usize = 20;

/// The physical server of each instance, and when that was seen.
#[derive(Default)]
pub(super) struct Servers(Mutex<HashMap<String, (String, Instant)>>);

impl Servers {
    /// What a list that was `asked` for then showed, in place of what the last one did.
    pub(super) fn remember(&self, instances: &[Instance], asked: Instant) {
        let servers = instances
            .iter()
            .filter_map(|i| Some((i.id.clone(), (i.server_id.clone()?, asked))))
            .collect();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = servers;
    }

    /// The id of the server below an instance, if a list showed it of late.
    pub(super) fn below(&self, instance: &str) -> Option<String> {
        let servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (server, seen) = servers.get(instance)?;
        (seen.elapsed() < KNOWN).then(|| server.clone())
    }
}

/// A physical server; none if it is unknown.
pub(super) async fn fetch(session: &Session, id: &str) -> Result<Option<PhysicalServer>, CloudError> {
    let path = format!("/physicalservers/{}", checked(id)?);
    let request = Request::get(path, "clouddc /physicalservers/{id}", Priority::High);
    match session.read(request).await {
        Ok(server) => Ok(Some(server)),
        Err(e) if e.class == ErrorClass::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Every physical server of the project, by id. One that stands below one of `instances` and that the list lacks is asked
/// for: without the words of its server an instance that reboots reads as one that runs.
///
/// # Errors
/// Class `Transient` where the list lacks more than are worth asking for.
pub(super) async fn all(
    session: &Session,
    instances: &[Instance],
) -> Result<BTreeMap<String, PhysicalServer>, CloudError> {
    let mut servers = paging::all_servers(session).await?;
    let lacking: Vec<&str> = instances
        .iter()
        .filter(|i| state_of(&convert::words(i, None, None)) != ServerState::Absent)
        .filter_map(|i| i.server_id.as_deref())
        .filter(|id| !id.is_empty() && !servers.contains_key(*id))
        .collect();
    let mut found = 0;
    for id in lacking.iter().take(ASKED_FOR) {
        if let Some(server) = fetch(session, id).await? {
            servers.insert(server.id.clone(), server);
            found += 1;
        }
    }
    // Those that are really gone are nothing to wait for.
    if found > 0 && lacking.len() > ASKED_FOR {
        let words = format!("of physical servers lacks those of {} instances", lacking.len());
        return Err(paging::broken(&words));
    }
    Ok(servers)
}
