//! Whose a server is where no mark says it: of several objects that name it, one comes first.

use jiff::Timestamp;

use crate::api::Server;
use crate::api::server::ManagementPolicy;

/// What an object has to say for itself. The smallest claim counts: who recorded the server already, then the older
/// object, then the smaller uid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim<'a> {
    only_wished: bool,
    since: Option<Timestamp>,
    uid: &'a str,
}

impl<'a> Claim<'a> {
    /// The claim of an object on the server with this id, if it makes one. Who only observes claims nothing.
    pub fn of(server: &'a Server, id: &str) -> Option<Self> {
        if server.spec.management_policy == ManagementPolicy::Observe {
            return None;
        }
        let recorded = server.status.as_ref().and_then(|s| s.id.as_deref());
        let wished = server.spec.import.as_ref().map(|i| i.id.as_str());
        (recorded.or(wished) == Some(id)).then(|| Self {
            only_wished: recorded.is_none(),
            since: server.metadata.creation_timestamp.as_ref().map(|t| t.0),
            uid: server.metadata.uid.as_deref().unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn server(uid: &str, made: &str, id: Option<&str>, policy: &str) -> Server {
        serde_json::from_value(json!({
            "apiVersion": "evenkeel.dev/v1alpha1", "kind": "Server",
            "metadata": {"name": uid, "namespace": "ns", "uid": uid, "creationTimestamp": made},
            "spec": {
                "providerConfigRef": {"name": "p"}, "import": {"id": "x"}, "managementPolicy": policy
            },
            "status": {"id": id}
        }))
        .unwrap()
    }

    #[test]
    fn who_recorded_it_comes_first_then_the_older_then_the_smaller_uid() {
        let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
        let order = [
            server("d", early, Some("x"), "Full"),
            server("a", late, Some("x"), "Full"),
            server("c", early, None, "Full"),
            server("b", late, None, "Full"),
            server("e", late, None, "Full"),
        ];
        let claims: Vec<_> = order.iter().map(|s| Claim::of(s, "x").unwrap()).collect();
        assert!(
            claims.is_sorted() && claims.windows(2).all(|w| w[0] != w[1]),
            "{claims:?}"
        );
        assert_eq!(Claim::of(&order[0], "y"), None);
        assert_eq!(Claim::of(&server("f", early, Some("y"), "Full"), "x"), None);
        assert_eq!(Claim::of(&server("g", early, Some("x"), "Observe"), "x"), None);
    }
}
