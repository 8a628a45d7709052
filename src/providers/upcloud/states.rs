//! UpCloud's states in neutral words: one table, of the section "Server states" of its API 1.3.
//!
//! `maintenance` is every transition, and work of the platform on a healthy server; only a creation can be told from
//! the rest, by its `progress`. A stop that was accepted still reads `started`: whoever asked for it remembers it.

use super::wire::Server;
use crate::planner::model::ServerState;

const TABLE: &[(&str, ServerState)] = &[
    ("started", ServerState::Running),
    ("stopped", ServerState::Stopped),
    ("maintenance", ServerState::Maintenance),
    ("error", ServerState::Error),
];

/// The table as a page shows it: UpCloud's words, and what they mean.
#[cfg(test)]
pub(in crate::providers) fn words() -> Vec<(String, ServerState)> {
    let mut all: Vec<_> = TABLE.iter().map(|(w, s)| (format!("`{w}`"), *s)).collect();
    all.push((
        "`maintenance` with a `progress`".to_owned(),
        ServerState::Provisioning,
    ));
    all
}

/// The state of a server, and whether the cloud is busy with it.
pub(super) fn state_of(server: &Server) -> (ServerState, bool) {
    let word = server.state.as_deref().unwrap_or_default();
    let state = TABLE
        .iter()
        .find(|(w, _)| *w == word)
        .map_or(ServerState::Unknown, |(_, state)| *state);
    match state {
        ServerState::Maintenance if server.progress.is_some() => (ServerState::Provisioning, true),
        state => (state, state.is_transitional()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(state: &str, progress: Option<&str>) -> (ServerState, bool) {
        state_of(&Server {
            state: Some(state.to_owned()),
            progress: progress.map(str::to_owned),
            ..Server::default()
        })
    }

    #[test]
    fn every_word_of_the_page_and_one_that_is_not_there() {
        assert_eq!(of("started", None), (ServerState::Running, false));
        assert_eq!(of("stopped", None), (ServerState::Stopped, false));
        assert_eq!(of("maintenance", None), (ServerState::Maintenance, true));
        assert_eq!(of("maintenance", Some("85")), (ServerState::Provisioning, true));
        assert_eq!(of("error", None), (ServerState::Error, false));
        for word in ["", "hibernated", "STARTED"] {
            assert_eq!(of(word, None), (ServerState::Unknown, false), "{word}");
        }
        assert_eq!(state_of(&Server::default()), (ServerState::Unknown, false));
    }
}
