//! The annotation that lets an object go without its server.

use crate::api::{conditions, keys};
use crate::planner::draft::Draft;

/// Whether the annotation that lets an object go names what it has in the cloud. While something may still come of an
/// attempt to create it, nobody knows its id yet: the object's own uid is asked for.
pub(in crate::planner) fn names_it(named: &str, id: Option<&str>, attempt_is_open: bool, uid: &str) -> bool {
    match id {
        Some(id) => named == id,
        None if attempt_is_open => named == uid,
        None => !named.is_empty(),
    }
}

/// What is said of an annotation that would let the object go, but names another server.
pub(in crate::planner) fn wrong_abandon(d: &Draft<'_>) -> String {
    let named = d.annotation(keys::ABANDON);
    match (named, &d.status.id) {
        (Some(named), Some(own)) if named != own => format!(
            "; the annotation {} names {:?}, which is not the server of this object: {own} is",
            keys::ABANDON,
            conditions::bounded(named, 128)
        ),
        (Some(named), None) if d.status.create_attempt.is_some() && named != d.uid() => format!(
            "; the annotation {} names {:?}, but a server may still come of the open attempt to create one: to let the object go all the same it has to name the uid of the object, {}",
            keys::ABANDON,
            conditions::bounded(named, 128),
            d.uid()
        ),
        _ => String::new(),
    }
}
