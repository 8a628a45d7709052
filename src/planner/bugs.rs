//! Bugs that are sown on purpose: the model checker (`tests/model`) has to find each of them, or it finds nothing.
//!
//! Each is one condition where the right thing is decided. In a build without simulators, as every release is, [`has`] is
//! the constant `false` and the compiler removes the condition; with them it is `false` but within `sown`, on that thread.

use std::sync::Arc;

use super::AccountFacts;
use super::draft::Draft;
use super::model::{ObservedServer, ServerState};
use crate::api::choice::choice;

choice! {
    /// A bug of the planner.
    Bug {
        /// A server with the name of the object is taken for its own.
        AdoptByName,
        /// A server with the name of the object is deleted with it.
        DeleteByName,
        /// A list without the server is enough to believe that it is gone.
        TrustOneEmptyList,
        /// That a deletion was recorded is taken for its being carried out: one denial is enough then.
        TrustTheRecord,
        /// A create whose reply was lost counts as refused, and is made again.
        RetryTheCreate,
        /// An attempt that this process does not hold itself, as after a restart, is forgotten.
        ForgetTheAttempt,
        /// One look after the deadline of an attempt is enough.
        SkipTheSecondLook,
        /// The object is let go although an attempt to create its server is open.
        LetGoDuringAnAttempt,
        /// The object is let go as soon as the deletion of its server was accepted.
        LetGoTooEarly,
        /// A server is asked for before the object has its finalizer.
        CreateBeforeTheFinalizer,
        /// A resize that somebody else began is confirmed.
        ConfirmAnothersResize,
        /// A server is started although it is wished to be stopped.
        StartTheStopped,
        /// A state that is not known is taken for a stop.
        ActOnTheUnknown,
        /// A deed of which nobody knows whether it was done is done again.
        DoADeedTwice,
        /// A wait after a refusal never ends.
        NeverTryAgain,
        /// A group whose creation had no answer counts as refused, and is asked for again.
        RetryTheGroup,
        /// A group with the name of the object is taken for its own, whatever marks it has.
        AdoptTheGroupByName,
        /// A group is deleted although it has members.
        DeleteTheGroupFirst,
        /// The ServerGroup is let go as soon as the deletion of its group was asked for.
        LetTheGroupGoTooEarly,
    }
}

/// Whether a bug is sown: never, in a build without simulators.
#[cfg(not(feature = "sim"))]
pub(super) const fn has(_: Bug) -> bool {
    false
}

#[cfg(feature = "sim")]
std::thread_local! {
    static SOWN: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Whether a bug is sown.
#[cfg(feature = "sim")]
pub(super) fn has(bug: Bug) -> bool {
    SOWN.get() == Some(bug)
}

/// Does something with a bug, on this thread.
#[cfg(feature = "sim")]
pub fn sown<T>(bug: Option<Bug>, something: impl FnOnce() -> T) -> T {
    let before = SOWN.replace(bug);
    let result = something();
    SOWN.set(before);
    result
}

/// The servers that have the name of the object.
pub(super) fn named<'f>(d: &Draft<'_>, facts: &'f AccountFacts) -> Vec<&'f Arc<ObservedServer>> {
    let name = d.input.server.metadata.name.as_deref();
    let all = facts.listing.servers.values();
    all.filter(|s| Some(s.name.as_str()) == name).collect()
}

/// A server whose state is known, whatever it is.
pub(super) fn known(seen: Arc<ObservedServer>) -> Arc<ObservedServer> {
    match seen.state {
        ServerState::Unknown => Arc::new(ObservedServer {
            state: ServerState::Stopped,
            ..(*seen).clone()
        }),
        _ => seen,
    }
}
