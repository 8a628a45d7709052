//! How a ProviderConfig becomes a CloudDC project.

use std::sync::Arc;

use secrecy::SecretString;

use super::auth::{Credential, Keys, User};
use super::{CloudDc, Place};
use crate::api::ProviderConfigSpec;
use crate::planner::model::{CloudError, ErrorClass};
use crate::providers::Provider;
use crate::providers::registry::{Build, Cloud};

/// The line of the registry.
pub const CLOUD: Cloud = Cloud {
    name: "clouddc",
    secret,
    build,
};

fn secret(spec: &ProviderConfigSpec) -> Option<&str> {
    spec.cloud_dc.as_ref().map(|c| c.secret_ref.name.as_str())
}

fn build(from: &Build<'_>) -> Result<Arc<dyn Provider>, CloudError> {
    let Some(account) = &from.spec.cloud_dc else {
        return Err(CloudError::new(
            ErrorClass::InvalidSpec,
            "the ProviderConfig names no CloudDC project",
        ));
    };
    let read = Keyring {
        name: &account.secret_ref.name,
        data: from.secret,
    };
    let region = &account.region;
    let place = Place {
        endpoint: read
            .text("endpoint")?
            .unwrap_or_else(|| format!("https://clouddc.{region}.myhuaweicloud.com")),
        project: account.project_id.clone(),
    };
    let credential = credential(&read, region)?;
    Ok(Arc::new(CloudDc::new(place, credential, from.http())?))
}

/// An access key where there is one, else a user.
fn credential(read: &Keyring<'_>, region: &str) -> Result<Credential, CloudError> {
    if read.text("accessKey")?.is_some() || read.text("username")?.is_none() {
        return Ok(Credential::Keys(Keys {
            access: read.needed("accessKey")?,
            secret: read.needed("secretKey")?.into(),
            security_token: read.text("securityToken")?.map(SecretString::from),
        }));
    }
    Ok(Credential::User(User {
        name: read.needed("username")?,
        password: read.needed("password")?.into(),
        domain: read.needed("domain")?,
        endpoint: read
            .text("iamEndpoint")?
            .unwrap_or_else(|| format!("https://iam.{region}.myhuaweicloud.com")),
    }))
}

/// The Secret with the credentials.
struct Keyring<'a> {
    name: &'a str,
    data: &'a std::collections::BTreeMap<String, Vec<u8>>,
}

impl Keyring<'_> {
    fn text(&self, key: &str) -> Result<Option<String>, CloudError> {
        let Some(bytes) = self.data.get(key) else {
            return Ok(None);
        };
        let unfit = || {
            let words = format!("the key {key} of Secret {} is no printable ASCII text", self.name);
            CloudError::new(ErrorClass::InvalidSpec, words)
        };
        let text = std::str::from_utf8(bytes).map_err(|_| unfit())?;
        // Keys go into headers; these go into JSON alone, as they are but for the end of a line.
        if ["username", "password", "domain"].contains(&key) {
            let text = text.trim_end_matches(['\r', '\n']);
            return Ok((!text.is_empty()).then(|| text.to_owned()));
        }
        let text = text.trim();
        if !text.chars().all(|c| c.is_ascii_graphic()) {
            return Err(unfit());
        }
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    fn needed(&self, key: &str) -> Result<String, CloudError> {
        let words = || format!("Secret {} has no key {key}", self.name);
        self.text(key)?
            .ok_or_else(|| CloudError::new(ErrorClass::NotFound, words()))
    }
}
