//! Groups are listed with the servers, and only where somebody asks for them.

use std::sync::Arc;

use crate::planner::model::{CloudError, ErrorClass, Listing, ObservedGroup, ObservedServer};
use crate::providers::Provider;

/// What listing the groups brought: nothing where nobody asked; the cloud's words where it refuses that alone.
pub(super) type Groups = Option<Result<Vec<ObservedGroup>, String>>;

/// Refusals of groups that say nothing of the account: its servers are listed all the same.
const APART: &[ErrorClass] = &[
    ErrorClass::Forbidden,
    ErrorClass::NotFound,
    ErrorClass::InvalidSpec,
    ErrorClass::Unsupported,
];

/// One complete list: the servers, then the groups.
pub(super) async fn list(
    provider: &dyn Provider,
    with_groups: bool,
) -> Result<(Vec<Arc<ObservedServer>>, Groups), CloudError> {
    let servers = provider.list().await?;
    if !with_groups || provider.capabilities().groups.is_none() {
        return Ok((servers, None));
    }
    let groups = match provider.list_groups().await {
        Ok(groups) => Ok(groups),
        Err(error) if APART.contains(&error.class) => {
            tracing::warn!(class = %error.class, %error, "the groups of an account could not be listed");
            Err(error.message)
        }
        Err(error) => return Err(error),
    };
    Ok((servers, Some(groups)))
}

/// The list with its groups.
pub(super) fn joined(mut listing: Listing, groups: Groups) -> Listing {
    match groups {
        None => {}
        Some(Ok(groups)) => return listing.with_groups(groups),
        Some(Err(words)) => listing.groups_refused = Some(words),
    }
    listing
}

/// Every group that is in one list and not in the other, or not the same: both versions.
pub(super) fn differences<'a>(a: &'a Listing, b: &'a Listing) -> Vec<&'a ObservedGroup> {
    let only = |a: &'a Listing, b: &'a Listing| {
        let groups = a.groups.iter().flat_map(std::collections::BTreeMap::iter);
        groups
            .filter(|(id, group)| b.group(id) != Some(group))
            .map(|(_, group)| &**group)
    };
    only(a, b).chain(only(b, a)).collect()
}
