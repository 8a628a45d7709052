//! The servers of the last list, by what the cloud wrote of them: what it writes again is not read again. An account at
//! rest is listed without an allocation for each server.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::value::RawValue;

use super::catalog::Catalog;
use super::convert::observed;
use super::session::Services;
use super::{interfaces, wire};
use crate::planner::model::{CloudError, ObservedServer};

/// A server that was read.
#[derive(Debug)]
pub(super) struct Read {
    /// The hash of the text that it was read from.
    hash: u64,
    pub(super) server: Arc<ObservedServer>,
    /// Whether what the text leaves out was added.
    whole: bool,
}

impl Read {
    /// A server that was read by itself.
    pub(super) fn alone(server: ObservedServer) -> Self {
        Self {
            hash: 0,
            server: Arc::new(server),
            whole: false,
        }
    }
}

/// What the last complete list showed. The hash is keyed anew by each process, so that nobody can make two texts that
/// have the same one.
#[derive(Debug, Default)]
pub(super) struct Seen {
    hasher: RandomState,
    last: Mutex<HashMap<u64, Arc<ObservedServer>>>,
}

impl Seen {
    /// Reads the servers of a page, each from its text.
    ///
    /// # Errors
    /// A text is not a server.
    pub(super) fn read(&self, page: &[&RawValue]) -> Result<Vec<Read>, serde_json::Error> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = None;
        let read = |raw: &&RawValue| {
            let hash = self.hasher.hash_one(raw.get());
            if let Some(known) = last.get(&hash) {
                return Ok(Read {
                    hash,
                    server: Arc::clone(known),
                    whole: true,
                });
            }
            let mut server = observed(serde_json::from_str::<wire::Server>(raw.get())?);
            // Most servers have the same groups and tags as the one before: that is kept once.
            match &before {
                Some(same) if *same == server.items => server.items = Arc::clone(same),
                _ => before = Some(Arc::clone(&server.items)),
            }
            Ok(Read {
                hash,
                server: Arc::new(server),
                whole: false,
            })
        };
        page.iter().map(read).collect()
    }

    /// A list is complete: the next one is compared with what of it is whole.
    pub(super) fn keep(&self, list: &[Read]) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.clear();
        let whole = list.iter().filter(|read| read.whole);
        last.extend(whole.map(|read| (read.hash, Arc::clone(&read.server))));
    }
}

/// Adds the ids of the sizes and of the networks, which Nova leaves out.
pub(super) async fn complete(
    services: &Services,
    catalog: &Catalog,
    servers: &mut [Read],
) -> Result<(), CloudError> {
    let names = servers.iter().filter_map(|r| r.server.size.name.as_deref());
    let sizes = catalog.flavor_ids(services, names).await?;
    let new = servers.iter().filter(|r| !r.whole);
    let names = interfaces::networks(new.map(|r| &*r.server));
    let networks = if names.is_empty() {
        None
    } else {
        catalog
            .network_ids(services, names.iter().map(String::as_str))
            .await
    };
    for read in servers {
        let id = read.server.size.name.as_ref().and_then(|n| sizes.get(n));
        if id != read.server.size.id.as_ref() {
            Arc::make_mut(&mut read.server).size.id = id.cloned();
        }
        if !read.whole {
            read.whole = interfaces::with_ids(&mut read.server, networks.as_ref());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(seen: &Seen, texts: &[&str]) -> Vec<Read> {
        let raw: Vec<Box<RawValue>> = texts
            .iter()
            .map(|t| RawValue::from_string((*t).to_owned()).unwrap())
            .collect();
        let page: Vec<&RawValue> = raw.iter().map(AsRef::as_ref).collect();
        let mut all = seen.read(&page).unwrap();
        all.iter_mut().for_each(|read| read.whole = true);
        all
    }

    #[test]
    fn the_same_text_is_the_same_server_and_another_one_is_read() {
        let seen = Seen::default();
        let (a, b) = (r#"{"id": "a", "name": "x"}"#, r#"{"id": "b", "name": "x"}"#);
        let first = read(&seen, &[a, b]);
        assert_eq!([&*first[0].server.id, &*first[1].server.id], ["a", "b"]);
        assert!(
            !Arc::ptr_eq(&first[0].server, &read(&seen, &[a])[0].server),
            "the list was not complete yet"
        );
        seen.keep(&first);
        let next = read(&seen, &[r#"{"id": "a", "name": "y"}"#, b]);
        assert_eq!(next[0].server.name, "y");
        assert!(Arc::ptr_eq(&first[1].server, &next[1].server));
        seen.keep(&next[1..]);
        assert!(
            !Arc::ptr_eq(&first[0].server, &read(&seen, &[a])[0].server),
            "only the last list is remembered"
        );
    }

    #[test]
    fn what_lacks_something_is_read_again() {
        let seen = Seen::default();
        let a = r#"{"id": "a", "name": "x"}"#;
        let mut first = read(&seen, &[a]);
        first[0].whole = false;
        seen.keep(&first);
        assert!(!Arc::ptr_eq(&first[0].server, &read(&seen, &[a])[0].server));
    }

    #[test]
    fn what_is_no_server_is_an_error() {
        let raw = RawValue::from_string("[1]".to_owned()).unwrap();
        assert!(Seen::default().read(&[&raw]).is_err());
    }
}
