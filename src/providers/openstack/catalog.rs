//! Flavors, images and networks by name or id. Looked up once for however many ask at the same time, and
//! remembered for a while; a name that means several things is refused.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Url;
use tokio::time::Instant;

use super::auth::ServiceKind;
use super::paging::next_marker;
use super::session::{Request, Services};
use super::wire::{FlavorPage, Identified, ImageList, NetworkList};
use crate::planner::model::{CloudError, ErrorClass, is_uuid};
use crate::providers::answers::{Pages, invalid};
use crate::providers::transport::budget::Priority;

/// How long something found is believed.
const FOUND: Duration = Duration::from_secs(300);
/// How long something not found is believed to be missing.
const MISSING: Duration = Duration::from_secs(10);
/// Unknown names of networks are looked up no more often than this.
const SELDOM: Duration = Duration::from_secs(60);
/// More names than this are not remembered.
const NAMES: usize = 1000;
/// More pages of flavors than this are not read.
const PAGES: usize = 100;

type Found<T> = Result<T, CloudError>;

/// One remembered answer.
struct Slot<T> {
    answer: tokio::sync::Mutex<Option<(Instant, Found<T>)>>,
    /// Counts the lookups that ended.
    ended: AtomicU64,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self {
            answer: tokio::sync::Mutex::new(None),
            ended: AtomicU64::new(0),
        }
    }
}

impl<T: Clone> Slot<T> {
    /// The remembered answer if `keep` accepts it at its age, else a new one. Whoever waits for a lookup takes its
    /// answer, good or bad.
    async fn get(
        &self,
        keep: impl Fn(Duration, &Found<T>) -> bool,
        look: impl Future<Output = Found<T>>,
    ) -> Found<T> {
        let seen = self.ended.load(Ordering::Acquire);
        let mut answer = self.answer.lock().await;
        if let Some((at, known)) = &*answer
            && (self.ended.load(Ordering::Acquire) != seen || keep(at.elapsed(), known))
        {
            return known.clone();
        }
        let found = look.await;
        *answer = Some((Instant::now(), found.clone()));
        self.ended.fetch_add(1, Ordering::AcqRel);
        found
    }
}

fn young<T>(age: Duration, known: &Found<T>) -> bool {
    match known {
        Ok(_) => age < FOUND,
        Err(e) if e.class == ErrorClass::InvalidSpec => age < MISSING,
        Err(_) => false,
    }
}

type Flavors = Arc<Vec<Identified>>;
type Names = Mutex<HashMap<String, Arc<Slot<String>>>>;

/// Which networks have a name; several may have the same one.
#[derive(Default)]
struct NetworkIds {
    by_name: HashMap<String, Vec<String>>,
    asked: Option<Instant>,
    /// Whether the last answer was one.
    good: bool,
}

/// What is known of a project's catalog.
#[derive(Default)]
pub(super) struct Catalog {
    flavors: Mutex<Arc<Slot<Flavors>>>,
    images: Names,
    networks: Names,
    /// Ids of networks by name.
    network_ids: Mutex<NetworkIds>,
    /// Flavor ids by name, of every flavor ever seen: names are unique in Nova.
    flavor_ids: Mutex<HashMap<String, String>>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Catalog {
    /// Forgets every answer: a create was refused, perhaps because one of them is no longer true.
    pub(super) fn forget(&self) {
        *locked(&self.flavors) = Arc::default();
        locked(&self.images).clear();
        locked(&self.networks).clear();
    }

    /// A flavor's id by its name or id.
    pub(super) async fn flavor(&self, services: &Services, text: &str) -> Found<String> {
        let known = self.flavors(services, Priority::High, young).await?;
        match one_of(&known, text, "flavor", "size.name") {
            // It may have been made since.
            Err(_) => {
                let fresh = self
                    .flavors(services, Priority::High, |age, known| {
                        known.is_ok() && age < MISSING
                    })
                    .await?;
                one_of(&fresh, text, "flavor", "size.name")
            }
            found => found,
        }
    }

    /// The ids of flavors that servers name. Looks up only when one is new.
    pub(super) async fn flavor_ids<'a>(
        &self,
        services: &Services,
        names: impl Iterator<Item = &'a str>,
    ) -> Found<HashMap<String, String>> {
        let unknown = {
            let known = locked(&self.flavor_ids);
            names.into_iter().any(|n| !known.contains_key(n))
        };
        if unknown {
            self.flavors(services, Priority::Background, young).await?;
        }
        Ok(locked(&self.flavor_ids).clone())
    }

    async fn flavors(
        &self,
        services: &Services,
        priority: Priority,
        keep: impl Fn(Duration, &Found<Flavors>) -> bool,
    ) -> Found<Flavors> {
        let slot = Arc::clone(&locked(&self.flavors));
        let found = slot.get(keep, all_flavors(services, priority)).await?;
        let pairs = found.iter().filter_map(|f| Some((f.name.clone()?, f.id.clone())));
        locked(&self.flavor_ids).extend(pairs);
        Ok(found)
    }

    /// An image's id by its name. Only images that can be booted count.
    pub(super) async fn image(&self, services: &Services, name: &str) -> Found<String> {
        let look = async {
            let request = Request {
                priority: Priority::High,
                ..Request::get(
                    ServiceKind::Image,
                    query("/images", &[("name", &exactly(name))]),
                    "glance /v2/images",
                )
            };
            let list: ImageList = services.read(request).await?;
            let active: Vec<Identified> = list
                .images
                .into_iter()
                .filter(|i| i.status.as_deref().is_none_or(|s| s == "active"))
                .collect();
            one_of(&active, name, "active image", "image.id")
        };
        slot_of(&self.images, name).get(young, look).await
    }

    /// A network's id by its name or id.
    pub(super) async fn network(&self, services: &Services, text: &str) -> Found<String> {
        if is_uuid(text) {
            return Ok(text.to_owned());
        }
        let look = async {
            let request = Request {
                priority: Priority::High,
                ..Request::get(
                    ServiceKind::Network,
                    query("/networks", &[("name", text)]),
                    "neutron /v2.0/networks",
                )
            };
            let list: NetworkList = services.read(request).await?;
            one_of(&list.networks, text, "network", "the network's id")
        };
        slot_of(&self.networks, text).get(young, look).await
    }
}

impl Catalog {
    /// The ids of the networks that servers name, by name; none while that is not known. Looks up only when a name is
    /// new, and seldom.
    pub(super) async fn network_ids<'a>(
        &self,
        services: &Services,
        names: impl Iterator<Item = &'a str>,
    ) -> Option<HashMap<String, Vec<String>>> {
        let names: Vec<&str> = names.collect();
        let (unknown, due) = {
            let known = locked(&self.network_ids);
            let unknown = names.iter().any(|n| !known.by_name.contains_key(*n));
            (unknown, known.asked.is_none_or(|at| at.elapsed() >= SELDOM))
        };
        if unknown && due {
            self.read_networks(services, Priority::Background).await;
        }
        let known = locked(&self.network_ids);
        let all = names.iter().all(|n| known.by_name.contains_key(*n));
        (all || known.good).then(|| known.by_name.clone())
    }

    /// Whether a network of this id is among those that are known; if not, they are read anew first.
    pub(super) async fn knows_network(&self, services: &Services, id: &str) -> bool {
        if self.has_network(id) {
            return true;
        }
        self.read_networks(services, Priority::High).await;
        false
    }

    /// Whether a network of this id is among those that are known.
    pub(super) fn has_network(&self, id: &str) -> bool {
        let known = locked(&self.network_ids);
        known.by_name.values().flatten().any(|known| known == id)
    }

    async fn read_networks(&self, services: &Services, priority: Priority) {
        let request = Request {
            priority,
            ..Request::get(
                ServiceKind::Network,
                query("/networks", &[("fields", "id"), ("fields", "name")]),
                "neutron /v2.0/networks",
            )
        };
        let found = services.read::<NetworkList>(request).await;
        let mut known = locked(&self.network_ids);
        (known.asked, known.good) = (Some(Instant::now()), found.is_ok());
        match found {
            Ok(list) => {
                known.by_name.clear();
                for network in list.networks {
                    let name = network.name.unwrap_or_default();
                    known.by_name.entry(name).or_default().push(network.id);
                }
            }
            Err(error) => tracing::debug!(%error, "the names of networks are not known"),
        }
    }
}

fn slot_of(names: &Names, name: &str) -> Arc<Slot<String>> {
    let mut names = locked(names);
    if names.len() >= NAMES && !names.contains_key(name) {
        names.clear();
    }
    Arc::clone(names.entry(name.to_owned()).or_default())
}

/// The one thing of that name or id.
fn one_of(list: &[Identified], text: &str, what: &str, cure: &str) -> Found<String> {
    let mut hits = list
        .iter()
        .filter(|i| i.id == text || i.name.as_deref() == Some(text));
    match (hits.next(), hits.count()) {
        (Some(hit), 0) => Ok(hit.id.clone()),
        (None, _) => Err(invalid(format!("there is no {what} {text:?} in this project"))),
        (Some(_), more) => Err(invalid(format!(
            "{} {what}s are called {text:?}: say which one by {cure}",
            more + 1
        ))),
    }
}

async fn all_flavors(services: &Services, priority: Priority) -> Found<Flavors> {
    let (mut all, mut pages) = (Vec::new(), Pages::default());
    let mut marker: Option<String> = None;
    for _ in 0..PAGES {
        let path = match &marker {
            None => "/flavors".to_owned(),
            Some(marker) => query("/flavors", &[("marker", marker)]),
        };
        let request = Request {
            priority,
            ..Request::get(ServiceKind::Compute, path, "nova /flavors")
        };
        let page: FlavorPage = services.page(request, &mut pages).await?;
        let next = next_marker(&page.flavors_links)?;
        all.extend(page.flavors);
        match next {
            None => return Ok(Arc::new(all)),
            next if next == marker => break,
            next => marker = next,
        }
    }
    Err(CloudError::new(
        ErrorClass::Transient,
        "Nova's list of flavors has no end",
    ))
}

/// A path with a query, encoded.
pub(super) fn query(path: &str, pairs: &[(&str, &str)]) -> String {
    match Url::parse_with_params("http://h/", pairs) {
        Ok(url) => format!("{path}?{}", url.query().unwrap_or_default()),
        Err(_) => path.to_owned(),
    }
}

/// Glance reads `in:` before a name as a list; quoted, it is one name.
/// <https://docs.openstack.org/api-ref/image/v2/#list-images>
fn exactly(name: &str) -> String {
    if name.starts_with("in:") {
        format!("in:\"{}\"", name.replace('"', "\\\""))
    } else {
        name.to_owned()
    }
}
