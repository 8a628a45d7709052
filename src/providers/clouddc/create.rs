//! The body of `POST /instances`. <https://support.huaweicloud.com/intl/en-us/api-clouddc/CreateInstance.html>

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::convert::{ATTEMPT, metadata_of};
use super::errors::invalid;
use crate::api::Reason;
use crate::api::server::{Image, ServerSpec};
use crate::planner::model::{CloudError, CreateRequest, ErrorClass};

/// The longest name, in characters; it becomes the host name.
const NAME: usize = 63;
/// The most pairs of metadata, ours among them.
const PAIRS: usize = 10;
/// The length of a password, in characters.
const PASSWORD: std::ops::RangeInclusive<usize> = 8..=26;

/// The whole body.
///
/// # Errors
/// What is asked for does not exist here or is not allowed; the words say what to change.
pub(super) fn body(request: &CreateRequest, password: Option<&SecretString>) -> Result<Value, CloudError> {
    let spec = &request.spec;
    lacking(spec)?;
    let own = spec
        .cloud_dc
        .as_ref()
        .ok_or_else(|| invalid("spec.cloudDC is needed to create an instance: it names its network"))?;
    let interfaces: Vec<Value> = own
        .network_interfaces
        .iter()
        .map(|i| {
            let mut interface = json!({ "subnet_id": i.subnet_id });
            if let Some(address) = &i.ipv4_address {
                interface["ipv4_address"] = json!(address);
            }
            interface
        })
        .collect();
    let mut metadata = spec.labels.clone().unwrap_or_default();
    metadata.extend(metadata_of(&request.marks));
    metadata.insert(ATTEMPT.to_owned(), request.attempt.to_string());
    if metadata.len() > PAIRS {
        return Err(invalid(format!(
            "an instance has at most {PAIRS} labels, {} of them are ours",
            metadata.len() - spec.labels.as_ref().map_or(0, |l| l.len())
        )));
    }
    let mut body = json!({
        "name": name(request)?,
        "image_id": image_id(spec.image.as_ref())?,
        "vpc_id": own.vpc_id,
        "network_interfaces": interfaces,
        "password": checked(password)?.expose_secret(),
        "metadata": metadata,
    });
    if let Some(description) = &own.description {
        body["description"] = json!(description);
    }
    if let Some(server) = &own.server_id {
        body["placement"] = json!({ "server_id": server });
    }
    Ok(body)
}

/// What a machine of this cloud cannot be given.
fn lacking(spec: &ServerSpec) -> Result<(), CloudError> {
    let asked = [
        (
            spec.size.is_some(),
            "size: a machine is as large as it is; choose one with cloudDC.serverID",
        ),
        (spec.user_data_secret_ref.is_some(), "userDataSecretRef"),
        (spec.ssh_keys.is_some(), "sshKeys"),
        (
            spec.credentials_secret_name.is_some(),
            "credentialsSecretName: it tells none, adminPasswordSecretRef is used",
        ),
    ];
    match asked.iter().find(|(given, _)| *given) {
        None => Ok(()),
        Some((_, what)) => Err(CloudError::new(
            ErrorClass::Unsupported,
            format!("CloudDC has no {what}"),
        )),
    }
}

fn name(request: &CreateRequest) -> Result<&str, CloudError> {
    let name = request.name.as_str();
    let fits = |c: char| c.is_alphanumeric() || "_-.".contains(c);
    if name.is_empty() || name.chars().count() > NAME || !name.chars().all(fits) {
        return Err(invalid(format!(
            "a name in CloudDC has 1 to {NAME} letters, digits, _, - and .: give one in cloudName"
        )));
    }
    match request.spec.hostname.as_deref() {
        Some(other) if other != name => Err(invalid(
            "in CloudDC the name is the host name: leave hostname out, or give it as cloudName too",
        )),
        _ => Ok(name),
    }
}

/// The id of an image; names are those of another service.
pub(super) fn image_id(image: Option<&Image>) -> Result<&str, CloudError> {
    image.and_then(|i| i.id.as_deref()).ok_or_else(|| {
        invalid(
            "CloudDC takes images by their id: give image.id, which the image service shows beside the name",
        )
    })
}

/// A password that the cloud's rules allow; it takes some that they forbid without a word.
pub(super) fn checked(password: Option<&SecretString>) -> Result<&SecretString, CloudError> {
    let refused = |words: &str| CloudError {
        code: Some(Reason::SecretRefused.as_str().to_owned()),
        ..invalid(words)
    };
    let password = password.ok_or_else(|| {
        refused("CloudDC installs no system without a password: name one in adminPasswordSecretRef")
    })?;
    let text = password.expose_secret();
    let classes: [fn(char) -> bool; 4] = [
        |c| c.is_ascii_lowercase(),
        |c| c.is_ascii_uppercase(),
        |c| c.is_ascii_digit(),
        |c| !c.is_ascii_alphanumeric(),
    ];
    let used = classes.iter().filter(|class| text.chars().any(**class)).count();
    if PASSWORD.contains(&text.chars().count()) && used >= 3 {
        Ok(password)
    } else {
        Err(refused(
            "a password in CloudDC has 8 to 26 characters, of three of the kinds small letters, capitals, digits, others",
        ))
    }
}
