//! Pages. Only the marker of a link is used: the host in it may be one that no credential goes to.

use std::collections::HashSet;

use reqwest::Url;

use super::auth::ServiceKind;
use super::catalog::query;
use super::discovery::Need;
use super::errors::{Asked, unreadable};
use super::seen::{Read, Seen};
use super::session::{Request, Services};
use super::wire::{Link, ServerPage};
use crate::planner::model::{CloudError, ErrorClass, each_once};
use crate::providers::answers::Pages;

/// Where the next page begins; none after the last one.
pub(super) fn next_marker(links: &[Link]) -> Result<Option<String>, CloudError> {
    let Some(link) = links.iter().find(|l| l.rel == "next") else {
        return Ok(None);
    };
    let base = Url::parse("http://h/").ok();
    Url::options()
        .base_url(base.as_ref())
        .parse(&link.href)
        .ok()
        .and_then(|u| {
            u.query_pairs()
                .find(|(k, _)| k == "marker")
                .map(|(_, v)| v.into_owned())
        })
        .map(Some)
        .ok_or_else(|| broken("has a next page without a marker"))
}

fn broken(what: &str) -> CloudError {
    CloudError::new(ErrorClass::Transient, format!("Nova's list {what}"))
}

/// Every server of the project by id, or an error. The size of a page is left to the cloud.
pub(super) async fn all_servers(services: &Services, known: &Seen) -> Result<Vec<Read>, CloudError> {
    let mut all: Vec<Read> = Vec::new();
    let (mut seen, mut pages) = (HashSet::new(), Pages::default());
    let mut marker: Option<String> = None;
    loop {
        let path = match &marker {
            None => "/servers/detail".to_owned(),
            Some(marker) => query("/servers/detail", &[("marker", marker)]),
        };
        let request = Request {
            need: Need::Shown,
            ..Request::get(ServiceKind::Compute, path, "nova /servers/detail")
        };
        let reply = services.send(request).await?;
        pages.add(&reply)?;
        let unreadable = |e| unreadable(ServiceKind::Compute.name(), "answer", Asked::Read, &e);
        let page: ServerPage<'_> = serde_json::from_slice(&reply.body).map_err(unreadable)?;
        let empty = page.servers.is_empty();
        let servers = known.read(&page.servers).map_err(unreadable)?;
        if servers.iter().any(|read| read.server.id.is_empty()) {
            return Err(broken("holds a server without an id"));
        }
        all.extend(servers);
        marker = match next_marker(&page.servers_links)? {
            None => {
                each_once(&mut all, |read| &read.server.id);
                return Ok(all);
            }
            // The page behind a full one may be empty, but then nothing comes after it.
            Some(_) if empty => return Err(broken("goes on after an empty page")),
            next => next,
        };
        if !seen.insert(marker.clone()) {
            return Err(broken("goes round in a circle"));
        }
    }
}
