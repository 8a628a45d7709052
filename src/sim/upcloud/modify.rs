//! `PUT /server/{uuid}`: what can be changed, and in which state.

use super::config::HotResize;
use super::create::size;
use super::errors::{Answer, Refusal, because, refused};
use super::fields::{hostname, labels, text, words};
use super::model::{Server, State};
use super::world::{Effect, World};
use crate::sim::cloud::{Ask, Reply};

impl World {
    pub(super) fn modify(&mut self, id: &str, ask: &Ask) -> Answer {
        let body = ask.json();
        let body = &body["server"];
        if !body.is_object() {
            return Err(because("REQUEST_INVALID", "The server block is missing."));
        }
        let server = self.server_in(id, &[State::Started, State::Stopped])?.clone();
        let mut new = server.clone();
        if !body["title"].is_null() {
            new.title = text(&body["title"], "TITLE_INVALID")?;
        }
        if !body["hostname"].is_null() {
            new.hostname = hostname(&body["hostname"])?;
        }
        if let Some(labels) = labels(&body["labels"])? {
            // Labels of the service itself are not the account's to change.
            new.labels.retain(|(key, _)| key.starts_with('_'));
            new.labels.extend(labels);
        }
        let words = words(body)?;
        if server.state == State::Started && words.iter().any(|(name, _)| *name == "remote_access_type") {
            return Err(refused("SERVER_STATE_ILLEGAL"));
        }
        new.words.extend(words);
        let sized = ["plan", "core_number", "memory_amount"]
            .iter()
            .any(|name| !body[*name].is_null());
        if sized {
            (new.plan, new.cores, new.memory) = size(body, (&server.plan, server.cores, server.memory))?;
        }
        let grows = self.check_growth(&server, &new)?;
        self.change(id, |s| *s = new);
        if grows {
            let (time, fails) = self.ordered("resize", id, self.config.timings.hot_resize);
            self.change(id, |s| s.state = State::Maintenance);
            self.schedule(
                time,
                id,
                Effect::State(if fails { State::Error } else { State::Started }),
            );
        }
        Ok(Reply::new(202, self.detail(id)))
    }

    /// Whether a running server grows; a refusal if it cannot become what it is to be.
    fn check_growth(&self, server: &Server, new: &Server) -> Result<bool, Refusal> {
        if (server.cores, server.memory) == (new.cores, new.memory) {
            return Ok(false);
        }
        let more = (
            new.cores.saturating_sub(server.cores),
            new.memory.saturating_sub(server.memory),
        );
        self.check_size(more.0, more.1)?;
        if server.state == State::Stopped {
            return Ok(false);
        }
        if new.cores < server.cores || new.memory < server.memory || server.stopping {
            return Err(refused("SERVER_STATE_ILLEGAL"));
        }
        match self.config.hot_resize {
            HotResize::Allowed if self.has_room(server, more.0, more.1) => Ok(true),
            HotResize::Allowed | HotResize::Unavailable => Err(refused("HOT_RESIZE_UNAVAILABLE")),
            HotResize::NotEnabled => Err(refused("HOT_RESIZE_NOT_ENABLED")),
            HotResize::NoMemorySlots => Err(refused("NO_AVAILABLE_MEMORY_SLOTS")),
            HotResize::FailedToAddMemory => Err(refused("FAILED_TO_ADD_MEMORY")),
        }
    }
}
