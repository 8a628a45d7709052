//! What was asked, and how many servers each maker had at most: for the judges of a test.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

/// One request that came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestRecord {
    /// When it came, from the start of the simulator.
    pub at: Duration,
    /// The HTTP method.
    pub method: String,
    /// The route below its service (`/servers/{id}/action`).
    pub route: String,
    /// The action in the body.
    pub action: Option<String>,
    /// The id of the project or account that asked.
    pub project: Option<String>,
    /// The id in its path; for a create, that of what was made.
    pub server: Option<String>,
    /// The status that was answered, also if the answer was lost.
    pub status: Option<u16>,
    /// Whether it changed something.
    pub applied: bool,
    /// Whether the client got the answer.
    pub answered: bool,
}

impl RequestRecord {
    /// Method, route and action, as the counts name it.
    pub fn key(&self) -> String {
        match &self.action {
            Some(action) => format!("{} {} {action}", self.method, self.route),
            None => format!("{} {}", self.method, self.route),
        }
    }
}

/// The requests, and how many servers each maker has.
#[derive(Debug, Default)]
pub struct Log {
    /// In the order they came.
    pub requests: Vec<RequestRecord>,
    /// By uid: servers now, and at most.
    live: BTreeMap<String, (usize, usize)>,
}

impl Log {
    /// One more server with this uid.
    pub fn server_made(&mut self, uid: Option<&str>) {
        if let Some(uid) = uid {
            let entry = self.live.entry(uid.into()).or_default();
            entry.0 += 1;
            entry.1 = entry.1.max(entry.0);
        }
    }

    /// One less.
    pub fn server_gone(&mut self, uid: Option<&str>) {
        if let Some(entry) = uid.and_then(|uid| self.live.get_mut(uid)) {
            entry.0 = entry.0.saturating_sub(1);
        }
    }

    /// The most at one time, by uid.
    pub fn high_water(&self) -> BTreeMap<String, usize> {
        self.live
            .iter()
            .map(|(uid, (_, high))| (uid.clone(), *high))
            .collect()
    }

    /// How often each request came.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for request in &self.requests {
            *counts.entry(request.key()).or_default() += 1;
        }
        counts
    }
}
