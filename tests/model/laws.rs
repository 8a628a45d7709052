//! What must hold of every state.

use std::hash::{BuildHasher, BuildHasherDefault, Hash};

use stateright::Property;

use crate::steps::World;
use crate::tables::Quick;
use crate::world::{Law, Mark, State};

/// What each law says.
pub(crate) const ONE_SERVER: &str = "never two servers of one object";
pub(crate) const NOTHING_LEFT: &str = "nothing is left of an object that was let go";
pub(crate) const NO_STRANGER: &str = "no stranger is touched";
pub(crate) const PRECONDITION: &str = "no call without its precondition";
pub(crate) const STAYS_STOPPED: &str = "what is wished to be stopped is not started";
pub(crate) const DELETES: &str = "nothing is deleted that is wished for";
pub(crate) const ONE_CALL: &str = "one call at a time";
pub(crate) const ONE_DEED: &str = "a deed is done once";
pub(crate) const ONE_GROUP: &str = "never two groups of one object";
pub(crate) const MEMBERS_FIRST: &str = "a group goes after its members";
pub(crate) const COMES_TO_REST: &str = "when nothing goes wrong any more, the wish is reached and stays";

/// How many servers carry the mark of an object.
fn servers_of(s: &State, uid: u8) -> usize {
    s.cloud.iter().filter(|m| m.mark == Mark::Of(uid)).count()
}

fn holds(s: &State, law: Law) -> bool {
    s.broken.is_none_or(|b| b.law != law)
}

pub(crate) fn properties() -> Vec<Property<World>> {
    vec![
        Property::always(ONE_SERVER, |_, s: &State| {
            holds(s, Law::OneServer) && [1, 2].iter().all(|uid| servers_of(s, *uid) <= 1)
        }),
        Property::always(NOTHING_LEFT, |_, s: &State| {
            let gone = |uid: &u8| s.let_go & uid != 0;
            holds(s, Law::NothingLeft)
                && [1, 2]
                    .iter()
                    .filter(|u| gone(u))
                    .all(|uid| servers_of(s, *uid) == 0)
        }),
        Property::always(NO_STRANGER, |_, s: &State| holds(s, Law::NoStranger)),
        Property::always(PRECONDITION, |_, s: &State| holds(s, Law::Precondition)),
        Property::always(STAYS_STOPPED, |_, s: &State| holds(s, Law::StaysStopped)),
        Property::always(DELETES, |_, s: &State| holds(s, Law::DeletesWhatIsAsked)),
        Property::always(ONE_CALL, |_, s: &State| holds(s, Law::OneCall)),
        Property::always(ONE_DEED, |_, s: &State| holds(s, Law::OneDeed)),
        Property::always(COMES_TO_REST, |w: &World, s: &State| {
            let one_in = w.bounds.calm_one_in;
            if one_in == 0 || s.broken.is_some() {
                return true;
            }
            !one_of(s, one_in) || w.at_rest(s).is_ok()
        }),
    ]
}

/// Whether a state is one of those, one in so many, that are followed to rest.
pub(crate) fn one_of(s: &impl Hash, one_in: u64) -> bool {
    BuildHasherDefault::<Quick>::default().hash_one(s) % one_in == 0
}
