//! What a cloud tells, cut to what a status can hold: one reply that makes no sense must not keep an object from being
//! written ever after.

use std::sync::Arc;

use super::{Accepted, CloudError, ErrorClass, ObservedServer, Part};
use crate::api::conditions::bounded;

/// The longest id that is recorded, in characters.
pub const ID: usize = 128;
/// The longest name.
const NAME: usize = 255;
/// The longest name of a part.
const PART_NAME: usize = 253;
/// The longest word in the cloud's own terms.
const RAW: usize = 256;
/// The longest address.
const ADDRESS: usize = 64;
/// The longest word for the kind of an address.
const KIND: usize = 32;

/// Whether a text can be an id: what is recorded as one is asked for ever after.
pub fn is_id(text: &str) -> bool {
    let plain = |c: char| !c.is_control() && !c.is_whitespace();
    !text.is_empty() && text.chars().count() <= ID && text.chars().all(plain)
}

fn cut(text: &mut String, most: usize) {
    // Bytes are no fewer than characters, and nearly every text is short.
    if text.len() > most {
        *text = bounded(text, most);
    }
}

fn cut_some(text: &mut Option<String>, most: usize) {
    if let Some(text) = text {
        cut(text, most);
    }
}

impl ObservedServer {
    /// The server as it can be written down. `None`: it has no id that could be one. Nearly every server is itself.
    pub fn fit(server: Arc<Self>) -> Option<Arc<Self>> {
        if !is_id(&server.id) {
            return None;
        }
        if server.fits() {
            return Some(server);
        }
        let mut server = Arc::unwrap_or_clone(server);
        server.trim();
        Some(Arc::new(server))
    }

    /// Whether `trim` would leave it as it is. Bytes are no fewer than characters.
    fn fits(&self) -> bool {
        let some = |text: &Option<String>, most| text.as_ref().is_none_or(|t| t.len() <= most);
        self.name.len() <= NAME
            && self.provider_id.len() <= RAW
            && self.raw.len() <= RAW
            && some(&self.size.name, NAME)
            && some(&self.size.id, NAME)
            && some(&self.image_id, ID)
            && some(&self.zone, NAME)
            && some(&self.host, ID)
            && self
                .addresses
                .iter()
                .all(|a| a.kind.len() <= KIND && a.address.len() <= ADDRESS && some(&a.network, NAME))
            && self.parts.iter().all(|p| p.fits() && p.name.len() <= PART_NAME)
            && self.group_id.as_deref().is_none_or(is_id)
    }

    fn trim(&mut self) {
        cut(&mut self.name, NAME);
        cut(&mut self.provider_id, RAW);
        cut(&mut self.raw, RAW);
        cut_some(&mut self.size.name, NAME);
        cut_some(&mut self.size.id, NAME);
        cut_some(&mut self.image_id, ID);
        cut_some(&mut self.zone, NAME);
        cut_some(&mut self.host, ID);
        for address in &mut self.addresses {
            cut(&mut address.kind, KIND);
            cut(&mut address.address, ADDRESS);
            cut_some(&mut address.network, NAME);
        }
        self.parts.retain(Part::fits);
        for part in &mut self.parts {
            cut(&mut part.name, PART_NAME);
        }
        self.group_id = self.group_id.take().filter(|id| is_id(id));
    }
}

impl Part {
    fn fits(&self) -> bool {
        is_id(&self.id) && self.of.as_deref().is_none_or(is_id)
    }
}

impl Accepted {
    /// The answer as it can be written down.
    ///
    /// # Errors
    /// It names something by what can be no id. What it speaks of was made all the same, and has to be found.
    pub fn fit(mut self) -> Result<Self, CloudError> {
        if self.id.as_deref().is_some_and(|id| !is_id(id)) {
            return Err(CloudError {
                maybe_applied: true,
                ..CloudError::new(
                    ErrorClass::Ambiguous,
                    "the cloud accepted, and told an id that can be none",
                )
            });
        }
        self.request_id = self.request_id.filter(|id| is_id(id));
        cut_some(&mut self.result, ID);
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::planner::memory::{Memory, Outcome, Sent, Told};
    use crate::planner::model::{Listing, ServerState};
    use crate::planner::tests::world::World;

    fn server(id: &str) -> ObservedServer {
        let mut world = World::new(serde_json::json!({}));
        world.put(id, ServerState::Running, None);
        world.the().seen.clone()
    }

    #[test]
    fn an_id_is_short_and_on_one_line() {
        let long = "é".repeat(ID);
        for good in ["a", "00c78863-db86-44ea-af70-d6edc4d162bf", "a/b", long.as_str()] {
            assert!(is_id(good), "{good}");
        }
        for bad in ["", " ", "a b", "a\n", "\u{1b}[31m", &format!("{long}x")] {
            assert!(!is_id(bad), "{bad:?}");
        }
    }

    /// What is made is found by its mark: the reply counts as lost.
    #[test]
    fn a_creation_whose_reply_has_no_id_may_have_been_carried_out() {
        let mut memory = Memory::default();
        let accepted = Accepted {
            id: Some("x".repeat(150_000)),
            ..Accepted::default()
        };
        memory.hear(Sent {
            key: "create-1".to_owned(),
            outcome: Outcome::Accepted(Timestamp::UNIX_EPOCH, accepted),
            told: Told::Nothing,
        });
        let outcome = memory.sent.unwrap().outcome;
        let Outcome::Refused(_, error) = outcome else {
            panic!("{outcome:?}");
        };
        assert!(
            error.maybe_applied && error.class == ErrorClass::Ambiguous,
            "{error:?}"
        );
    }

    #[test]
    fn a_list_with_a_server_without_an_id_may_lack_anybody() {
        let good = server("a");
        let bad = ObservedServer {
            id: String::new(),
            ..good.clone()
        };
        let before = Listing::new(Timestamp::UNIX_EPOCH, 1, vec![good.clone()]);
        assert!(!before.unreadable);
        for listing in [
            Listing::new(Timestamp::UNIX_EPOCH, 1, vec![good.clone(), bad.clone()]),
            before.next(Timestamp::UNIX_EPOCH, vec![Arc::new(good), Arc::new(bad)]),
        ] {
            assert_eq!((listing.unreadable, listing.servers.len()), (true, 1));
        }
    }

    #[test]
    fn another_server_than_the_one_that_was_asked_for_is_no_answer() {
        let mut memory = Memory::default();
        let other = Arc::new(server("b"));
        memory.see("a".to_owned(), Timestamp::UNIX_EPOCH, Ok(other), None);
        let look = memory.look.unwrap();
        assert!(look.found.is_none() && look.error.is_some() && look.absences == 0);
    }
}
