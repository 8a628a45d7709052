//! Storages: templates by their names, and the disks and backups that belong to a server (chapter "Storages" of the
//! API 1.3).

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::labels;
use super::session::{Request, Service, checked};
use super::wire::{Device, Server, Storage, StorageDoc, StorageList};
use crate::api::server::Image;
use crate::planner::model::{CloudError, ErrorClass, Marks, ObservedServer, Part, PartKind};
use crate::providers::transport::client::Reply;

/// How long a list of templates is believed.
const FOUND: Duration = Duration::from_secs(300);
/// How long it is believed to lack a name.
const MISSING: Duration = Duration::from_secs(10);
/// How many ids are named when several templates fit.
const NAMED: usize = 5;

/// A template that a server can be made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    /// Its id.
    pub(super) id: String,
    /// Whether it is configured by cloud-init, as far as it is known: it then takes SSH keys only, and needs the
    /// metadata service.
    pub(super) cloud_init: bool,
}

/// The templates of an account, asked for once for however many want them.
#[derive(Default)]
pub(super) struct Templates {
    known: Mutex<Option<(Instant, Arc<Vec<Storage>>)>>,
}

impl Templates {
    /// Forgets them: a create was refused, perhaps because one of them is no longer there.
    pub(super) async fn forget(&self) {
        *self.known.lock().await = None;
    }

    async fn list(&self, service: &Service, age: Duration) -> Result<Arc<Vec<Storage>>, CloudError> {
        let mut known = self.known.lock().await;
        if let Some((at, list)) = known.as_ref()
            && at.elapsed() < age
        {
            return Ok(Arc::clone(list));
        }
        let request = Request::look("/storage/template", "upcloud /storage/template");
        let list = Arc::new(service.read::<StorageList>(request).await?.storages.0);
        *known = Some((Instant::now(), Arc::clone(&list)));
        Ok(list)
    }

    /// The template that an image names, for a server in a zone.
    ///
    /// # Errors
    /// Class `InvalidSpec`: no template has that name, or several have it.
    pub(super) async fn find(
        &self,
        service: &Service,
        image: &Image,
        zone: &str,
    ) -> Result<Template, CloudError> {
        let list = self.list(service, FOUND).await?;
        match pick(&list, image, zone) {
            // It may have been made since.
            Err(_) => pick(&self.list(service, MISSING).await?, image, zone),
            found => found,
        }
    }
}

fn pick(list: &[Storage], image: &Image, zone: &str) -> Result<Template, CloudError> {
    let invalid = |words: String| CloudError::new(ErrorClass::InvalidSpec, words);
    let of = |s: &Storage| Template {
        id: s.uuid.clone(),
        cloud_init: s.template_type.as_deref() == Some("cloud-init"),
    };
    if let Some(id) = &image.id {
        // Any storage can be cloned; only templates are in the list.
        let unlisted = Template {
            id: checked(id)?.to_owned(),
            cloud_init: false,
        };
        return Ok(list.iter().find(|s| s.uuid == *id).map_or(unlisted, of));
    }
    let name = image.name.as_deref().unwrap_or_default();
    let here = |s: &Storage| s.zone.as_deref().is_none_or(|z| z.is_empty() || z == zone);
    let usable = |s: &Storage| s.state.as_deref().is_none_or(|w| w == "online");
    let fits = |s: &&Storage| s.title.as_deref() == Some(name) && here(s) && usable(s);
    let found: Vec<&Storage> = list.iter().filter(fits).collect();
    match found.as_slice() {
        [one] => Ok(of(one)),
        [] => Err(invalid(format!(
            "no template that is online is called {name:?} in zone {zone}"
        ))),
        several => {
            let ids: Vec<&str> = several.iter().take(NAMED).map(|s| s.uuid.as_str()).collect();
            Err(invalid(format!(
                "{} templates are called {name:?}: give spec.image.id, like {}",
                several.len(),
                ids.join(" or ")
            )))
        }
    }
}

/// Whether labels carry the mark of the object that the server's marks name.
fn carries(labels: Option<&super::wire::Many<super::wire::Label>>, marks: Option<&Marks>) -> bool {
    let (Some(labels), Some(marks)) = (labels, marks) else {
        return false;
    };
    labels::marks_of(&labels::read(labels)).is_some_and(|m| m.uid == marks.uid)
}

/// A disk of a server; nothing for a CD-ROM.
pub(super) fn part_of(device: &Device, marks: Option<&Marks>) -> Option<Part> {
    (device.kind.as_deref() != Some("cdrom")).then(|| Part {
        kind: PartKind::Disk,
        id: device.storage.clone(),
        name: device.storage_title.clone().unwrap_or_default(),
        ours: carries(device.labels.as_ref(), marks),
        made_at: None,
        of: None,
    })
}

/// One storage by its id.
pub(super) async fn detail(service: &Service, id: &str) -> Result<Storage, CloudError> {
    let path = format!("/storage/{}", checked(id)?);
    let request = Request::look(path, "upcloud /storage/{id}");
    Ok(service.read::<StorageDoc>(request).await?.storage)
}

/// Whether a part carries these marks at this moment. A backup is its disk's, for as long as there is one; an address has
/// no marks of its own.
///
/// # Errors
/// The cloud could not tell. Class `NotFound`: it is gone.
pub(super) async fn carries_still(
    service: &Service,
    kind: PartKind,
    id: &str,
    marks: &Marks,
) -> Result<bool, CloudError> {
    let disk = match kind {
        PartKind::Address => return Ok(true),
        PartKind::Disk => detail(service, id).await?,
        PartKind::Backup => {
            let Some(origin) = detail(service, id).await?.origin else {
                return Ok(true);
            };
            match detail(service, &origin).await {
                Ok(disk) => disk,
                Err(e) if e.class == ErrorClass::NotFound => return Ok(true),
                Err(e) => return Err(e),
            }
        }
    };
    Ok(carries(disk.labels.as_ref(), Some(marks)))
}

/// Takes these marks off a disk; the labels of its owner stay. `None`: it does not carry them.
///
/// # Errors
/// The cloud could not tell the disk's labels, or refused to change them.
pub(super) async fn unmark(
    service: &Service,
    id: &str,
    marks: &Marks,
    send_before: Instant,
) -> Result<Option<Reply>, CloudError> {
    let there = detail(service, id).await?.labels;
    if !carries(there.as_ref(), Some(marks)) {
        return Ok(None);
    }
    let rest = labels::without_marks(&there.as_ref().map(labels::read).unwrap_or_default());
    // Labels of storages are never in a wrapper.
    let body = json!({ "storage": { "labels": labels::written(&rest) } });
    let path = format!("/storage/{}", checked(id)?);
    let request = Request {
        body: Some(body),
        ..Request::change(Method::PUT, path, "upcloud /storage/{id}", send_before)
    };
    Ok(Some(service.done(request).await?))
}

/// Asks for what a server does not say of its disks: their labels, where it leaves them out, and the backups of those
/// that are ours.
///
/// # Errors
/// The cloud could not tell. A disk that may not be looked at stays, as somebody else's.
pub(super) async fn complete(
    service: &Service,
    unlabelled: &[String],
    server: &mut ObservedServer,
) -> Result<(), CloudError> {
    let mut backups: Vec<(String, String)> = Vec::new();
    let (mut parts, mut gone) = (std::mem::take(&mut server.parts), Vec::new());
    for part in parts.iter_mut().filter(|p| p.kind == PartKind::Disk) {
        if !part.ours && (server.marks.is_none() || !unlabelled.contains(&part.id)) {
            continue;
        }
        match detail(service, &part.id).await {
            Ok(storage) => {
                part.ours = part.ours || carries(storage.labels.as_ref(), server.marks.as_ref());
                if part.ours {
                    backups.extend(storage.backups.0.into_iter().map(|b| (b, part.id.clone())));
                }
            }
            Err(e) if e.class == ErrorClass::NotFound => gone.push(part.id.clone()),
            Err(e) if e.class == ErrorClass::Forbidden => {}
            Err(e) => return Err(e),
        }
    }
    parts.retain(|p| !gone.contains(&p.id));
    parts.extend(described(service, backups).await?);
    parts.sort();
    parts.dedup();
    server.parts = parts;
    Ok(())
}

/// The disks of which a server does not say the labels.
pub(super) fn unlabelled(server: &Server) -> Vec<String> {
    let devices = server.storage_devices.iter().flat_map(|d| d.0.iter());
    devices
        .filter(|d| d.labels.is_none())
        .map(|d| d.storage.clone())
        .collect()
}

/// Backups, with the disks that they are of, as parts.
async fn described(service: &Service, ids: Vec<(String, String)>) -> Result<Vec<Part>, CloudError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let request = Request::look("/storage/backup", "upcloud /storage/backup");
    let known = service.read::<StorageList>(request).await?.storages.0;
    let part = |(id, disk): (String, String)| {
        let storage = known.iter().find(|s| s.uuid == id);
        Part {
            kind: PartKind::Backup,
            name: storage.and_then(|s| s.title.clone()).unwrap_or_default(),
            ours: true,
            made_at: storage.and_then(|s| s.created.as_deref()?.parse().ok()),
            of: Some(disk),
            id,
        }
    };
    Ok(ids.into_iter().map(part).collect())
}

/// The path of a part that is deleted, and the path's shape. Backups of a disk stay: they are parts of their own.
///
/// # Errors
/// Class `InvalidSpec`: no such id can be.
pub(super) fn path_of(kind: PartKind, id: &str) -> Result<(String, &'static str), CloudError> {
    Ok(match kind {
        PartKind::Disk => (
            format!("/storage/{}?backups=keep", checked(id)?),
            "upcloud /storage/{id}",
        ),
        PartKind::Backup => (format!("/storage/{}", checked(id)?), "upcloud /storage/{id}"),
        PartKind::Address => match id.parse::<std::net::IpAddr>() {
            Ok(_) => (format!("/ip_address/{id}"), "upcloud /ip_address/{address}"),
            Err(_) => {
                let words = format!("{id:?} is no address");
                return Err(CloudError::new(ErrorClass::InvalidSpec, words));
            }
        },
    })
}
