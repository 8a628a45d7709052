//! Lists to their end, or an error. The two lists of the service are paged alike; only how they write `limit` differs.

use std::collections::{BTreeMap, HashSet};

use super::session::{Request, Session};
use super::wire::{Instance, InstancePage, PageInfo, PhysicalServer, ServerPage};
use crate::planner::model::{CloudError, ErrorClass};
use crate::providers::answers::Pages;
use crate::providers::transport::budget::Priority;

/// The largest page.
const LIMIT: &str = "1000";

/// One page of either list.
struct Page<T> {
    items: Vec<T>,
    info: Option<PageInfo>,
    /// How many there are on all pages.
    count: Option<i64>,
}

/// A list that cannot be believed.
pub(super) fn broken(what: &str) -> CloudError {
    CloudError::new(ErrorClass::Transient, format!("CloudDC's list {what}"))
}

/// Gathers pages. Every way in which one could silently lack something is an error.
struct Gather<T> {
    all: BTreeMap<String, T>,
    seen: HashSet<String>,
    pages: Pages,
}

impl<T> Gather<T> {
    fn new() -> Self {
        Self {
            all: BTreeMap::new(),
            seen: HashSet::new(),
            pages: Pages::default(),
        }
    }

    /// Takes one page in; where the next begins, if there is one.
    fn take(&mut self, page: Page<T>, id: fn(&T) -> &str) -> Result<Option<String>, CloudError> {
        let size = page.items.len();
        for item in page.items {
            let id = id(&item).to_owned();
            if id.is_empty() {
                return Err(broken("holds an entry without an id"));
            }
            self.all.insert(id, item);
        }
        let current = page.info.as_ref().and_then(|i| i.current_count);
        if current.is_some_and(|n| usize::try_from(n) != Ok(size)) {
            return Err(broken("announces another number of entries than it has"));
        }
        match page.info.and_then(|i| i.next_marker) {
            None if page.count.is_some_and(|n| n > self.all.len() as i64) => {
                Err(broken("ends before all that it counts were shown"))
            }
            None => Ok(None),
            Some(_) if size == 0 => Err(broken("goes on after an empty page")),
            Some(marker) if !self.seen.insert(marker.clone()) => Err(broken("goes round in a circle")),
            next => Ok(next),
        }
    }
}

/// Every instance of the project.
pub(super) async fn all_instances(session: &Session) -> Result<Vec<Instance>, CloudError> {
    let mut gather = Gather::new();
    let mut marker: Option<String> = None;
    loop {
        let page = some_instances(
            session,
            &pages(marker.as_deref()),
            Priority::Background,
            &mut gather.pages,
        )
        .await?;
        marker = gather.take(page, |i: &Instance| &i.id)?;
        if marker.is_none() {
            return Ok(gather.all.into_values().collect());
        }
    }
}

/// Every physical server of the project, by id.
pub(super) async fn all_servers(session: &Session) -> Result<BTreeMap<String, PhysicalServer>, CloudError> {
    let mut gather = Gather::new();
    let mut marker: Option<String> = None;
    loop {
        let request = Request {
            query: pages(marker.as_deref()),
            ..Request::get(
                "/physicalservers",
                "clouddc /physicalservers",
                Priority::Background,
            )
        };
        let page: ServerPage = session.page(request, &mut gather.pages).await?;
        let page = Page {
            items: page.servers,
            info: page.page_info,
            count: page.count,
        };
        marker = gather.take(page, |s: &PhysicalServer| &s.id)?;
        if marker.is_none() {
            return Ok(gather.all);
        }
    }
}

/// One instance by id, out of the list: there is no call for it. None if the list has none.
pub(super) async fn one_instance(session: &Session, id: &str) -> Result<Option<Instance>, CloudError> {
    let page = some_instances(
        session,
        &[("instance_id", id)],
        Priority::High,
        &mut Pages::default(),
    )
    .await?;
    Ok(page.items.into_iter().find(|i| i.id == id))
}

/// Asks for one page of the smallest size: whether the credentials open the project.
pub(super) async fn try_out(session: &Session) -> Result<(), CloudError> {
    some_instances(session, &[("limit", "10")], Priority::High, &mut Pages::default())
        .await
        .map(|_| ())
}

fn pages(marker: Option<&str>) -> Vec<(&'static str, &str)> {
    [("limit", Some(LIMIT)), ("marker", marker)]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect()
}

async fn some_instances(
    session: &Session,
    query: &[(&str, &str)],
    priority: Priority,
    pages: &mut Pages,
) -> Result<Page<Instance>, CloudError> {
    let request = Request {
        query: query.to_vec(),
        ..Request::get("/instances", "clouddc /instances", priority)
    };
    let page: InstancePage = session.page(request, pages).await?;
    Ok(Page {
        items: page.instances,
        info: page.page_info,
        count: page.count,
    })
}
