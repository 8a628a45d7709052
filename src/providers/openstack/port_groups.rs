//! The security groups of an interface that is attached later. Nova makes its port in the project's default group and
//! takes no other wish; Neutron changes them, and the port stays Nova's.
//! <https://docs.openstack.org/api-ref/network/v2/#update-port>

use http::Method;
use serde_json::json;
use tokio::time::Instant;

use super::auth::ServiceKind;
use super::catalog::query;
use super::session::{Request, Services};
use super::{checked, wire};
use crate::planner::model::{CloudError, ErrorClass, HALF_DONE, is_uuid};
use crate::providers::answers::invalid;
use crate::providers::transport::budget::Priority;
use crate::providers::transport::client::Reply;

/// The ids of groups, from a list of names or ids; none where no list is given.
///
/// # Errors
/// Class `InvalidSpec`: there is no such group, or several have that name.
pub(super) async fn ids(services: &Services, list: &str) -> Result<Option<Vec<String>>, CloudError> {
    let Ok(names) = serde_json::from_str::<Vec<String>>(list) else {
        return Ok(None);
    };
    let mut ids = Vec::new();
    for name in names {
        ids.push(match is_uuid(&name) {
            true => name,
            false => find(services, &name).await?,
        });
    }
    Ok(Some(ids))
}

async fn find(services: &Services, name: &str) -> Result<String, CloudError> {
    let request = Request {
        priority: Priority::High,
        ..Request::get(
            ServiceKind::Network,
            query("/security-groups", &[("name", name)]),
            "neutron /v2.0/security-groups",
        )
    };
    let mut found = services
        .read::<wire::SecurityGroupList>(request)
        .await?
        .security_groups;
    found.retain(|g| g.name == name);
    match found.as_slice() {
        [one] => Ok(one.id.clone()),
        [] => Err(invalid(format!("there is no security group {name:?}"))),
        _ => Err(invalid(format!(
            "{} security groups are called {name:?}: give the id of one",
            found.len()
        ))),
    }
}

/// The port that Nova made.
pub(super) fn attached(reply: &Reply) -> Option<String> {
    let reply: serde_json::Value = serde_json::from_slice(&reply.body).ok()?;
    let port = reply["interfaceAttachment"]["port_id"].as_str()?;
    Some(port.to_owned())
}

/// Puts a port into these groups, and into no other.
///
/// # Errors
/// Neutron refused it; the interface is attached. Class `Ambiguous` where it is not known which port it is.
pub(super) async fn put(
    services: &Services,
    port: Option<&str>,
    groups: &[String],
    send_before: Instant,
) -> Result<(), CloudError> {
    let Some(port) = port else {
        let words = "the interface was attached, and Nova did not say which port it has";
        return Err(CloudError {
            maybe_applied: true,
            ..CloudError::new(ErrorClass::Ambiguous, words)
        });
    };
    let request = Request {
        service: ServiceKind::Network,
        body: Some(json!({ "port": { "security_groups": groups } })),
        ..Request::change(
            Method::PUT,
            format!("/ports/{}", checked(port)?),
            "neutron /v2.0/ports/{id}",
            send_before,
        )
    };
    // A port or group that is gone meanwhile: the server is not.
    services.send(request).await.map(|_| ()).map_err(|e| CloudError {
        message: format!(
            "the interface is attached, its security groups were refused: {}",
            e.message
        ),
        code: Some(HALF_DONE.to_owned()),
        class: match e.class {
            ErrorClass::NotFound => ErrorClass::InvalidSpec,
            class => class,
        },
        ..e
    })
}
