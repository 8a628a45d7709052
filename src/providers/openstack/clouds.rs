//! `clouds.yaml`: where a cloud is and who asks. Its format:
//! <https://docs.openstack.org/openstacksdk/latest/user/config/configuration.html>.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

use crate::planner::model::CloudError;
use crate::providers::answers::invalid;
use crate::providers::transport::endpoint::EndpointRules;

/// One entry of `clouds.yaml`, checked. Its `Debug` shows no secret.
#[derive(Clone, Debug)]
pub(super) struct Cloud {
    /// Keystone's URL, ending in `/v3`.
    pub(super) auth_url: String,
    pub(super) identity: Identity,
    pub(super) region: Option<String>,
    pub(super) interface: String,
}

/// How one logs in.
#[derive(Clone, Debug)]
pub(super) enum Identity {
    /// As a user, into a project.
    Password {
        user: Named,
        password: SecretString,
        project: Named,
    },
    /// With an application credential; it knows its project.
    Application { credential: Named, secret: SecretString },
    /// With a token that exists already.
    Token {
        token: SecretString,
        project: Option<Named>,
    },
}

/// Something by its id, or by its name within its owner: a domain, or a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Id(String),
    Name {
        name: String,
        domain: Domain,
    },
    /// An application credential by its name, of this user.
    OfUser {
        name: String,
        user: Box<Named>,
    },
}

/// A domain by id or by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Domain {
    Id(String),
    Name(String),
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    clouds: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    auth_type: Option<String>,
    #[serde(default)]
    auth: Auth,
    #[serde(default)]
    region_name: Option<String>,
    #[serde(default)]
    interface: Option<String>,
    #[serde(default)]
    endpoint_type: Option<String>,
    #[serde(default)]
    verify: Option<bool>,
    #[serde(default)]
    insecure: Option<bool>,
}

fn secret<'de, D: Deserializer<'de>>(d: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(d)?.map(SecretString::from))
}

#[derive(Default, Deserialize)]
struct Auth {
    auth_url: Option<String>,
    username: Option<String>,
    user_id: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    password: Option<SecretString>,
    user_domain_name: Option<String>,
    user_domain_id: Option<String>,
    #[serde(alias = "tenant_name")]
    project_name: Option<String>,
    #[serde(alias = "tenant_id")]
    project_id: Option<String>,
    project_domain_name: Option<String>,
    project_domain_id: Option<String>,
    domain_id: Option<String>,
    domain_name: Option<String>,
    default_domain: Option<String>,
    application_credential_id: Option<String>,
    application_credential_name: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    application_credential_secret: Option<SecretString>,
    #[serde(default, deserialize_with = "secret")]
    token: Option<SecretString>,
}

/// Reads one cloud of a `clouds.yaml`. `region` and `interface` overrule the file's.
///
/// # Errors
/// Class `InvalidSpec`, with words that say what to change and repeat nothing of the file but names of clouds.
pub(super) fn read(
    yaml: &[u8],
    cloud: &str,
    region: Option<&str>,
    interface: Option<&str>,
    rules: EndpointRules,
) -> Result<Cloud, CloudError> {
    let text = std::str::from_utf8(yaml).map_err(|_| invalid("it is no UTF-8 text"))?;
    // The parser's own words quote the file, and with it a password: only the place is told.
    let file: File = serde_saphyr::from_str(text).map_err(|e| match e.location() {
        Some(at) => invalid(format!(
            "it cannot be read at line {} column {}",
            at.line(),
            at.column()
        )),
        None => invalid("it cannot be read"),
    })?;
    let names: Vec<&String> = file.clouds.keys().take(20).collect();
    let Some(entry) = file.clouds.get(cloud) else {
        return Err(invalid(format!("it has no cloud {cloud:?}; it has {names:?}")));
    };
    if entry.verify == Some(false) || entry.insecure == Some(true) {
        return Err(invalid(
            "verify: false would send the credentials to anybody; give the authority in the ProviderConfig's caSecretRef",
        ));
    }
    let interface = interface
        .or(entry.interface.as_deref())
        .or(entry.endpoint_type.as_deref());
    let interface = match interface
        .unwrap_or("public")
        .to_ascii_lowercase()
        .trim_end_matches("url")
    {
        word @ ("public" | "internal") => word.to_owned(),
        _ => return Err(invalid("interface is public or internal")),
    };
    Ok(Cloud {
        auth_url: auth_url(entry.auth.auth_url.as_deref(), rules)?,
        identity: identity(entry)?,
        region: region.map(str::to_owned).or_else(|| entry.region_name.clone()),
        interface,
    })
}

/// Keystone's URL, ending in `/v3` whether the file says so or not.
fn auth_url(text: Option<&str>, rules: EndpointRules) -> Result<String, CloudError> {
    let text = text.ok_or_else(|| invalid("auth.auth_url is missing"))?;
    let url = rules
        .check(text)
        .map_err(|e| e.refusal("clouds.yaml: auth.auth_url"))?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("auth.auth_url has a query or a fragment: leave it out"));
    }
    let bare = url.as_str().trim_end_matches('/');
    match bare.rsplit('/').next() {
        Some("v3") => Ok(bare.to_owned()),
        Some("v2.0") => Err(invalid("auth.auth_url is of Keystone v2.0; v3 is needed")),
        _ => Ok(format!("{bare}/v3")),
    }
}

fn identity(entry: &Entry) -> Result<Identity, CloudError> {
    let auth = &entry.auth;
    let inferred = match auth {
        Auth {
            application_credential_secret: Some(_),
            ..
        } => "v3applicationcredential",
        Auth {
            token: Some(_),
            password: None,
            ..
        } => "v3token",
        _ => "password",
    };
    match entry.auth_type.as_deref().unwrap_or(inferred) {
        "password" | "v3password" => {
            let user = user(auth)?.ok_or_else(|| invalid("auth.username or auth.user_id is missing"))?;
            let password = auth
                .password
                .clone()
                .ok_or_else(|| invalid("auth.password is missing"))?;
            let project =
                project(auth).ok_or_else(|| invalid("auth.project_name or auth.project_id is missing"))?;
            Ok(Identity::Password {
                user,
                password,
                project,
            })
        }
        "v3applicationcredential" => {
            let secret = auth.application_credential_secret.clone();
            let secret = secret.ok_or_else(|| invalid("auth.application_credential_secret is missing"))?;
            let credential = match (&auth.application_credential_id, &auth.application_credential_name) {
                (Some(id), _) => Named::Id(id.clone()),
                (None, Some(name)) => {
                    let user = user(auth)?.ok_or_else(|| {
                        invalid("an application credential by name needs auth.username or auth.user_id; or give its id")
                    })?;
                    Named::OfUser {
                        name: name.clone(),
                        user: Box::new(user),
                    }
                }
                (None, None) => return Err(invalid("auth.application_credential_id is missing")),
            };
            Ok(Identity::Application { credential, secret })
        }
        "token" | "v3token" => {
            let token = auth
                .token
                .clone()
                .ok_or_else(|| invalid("auth.token is missing"))?;
            Ok(Identity::Token {
                token,
                project: project(auth),
            })
        }
        // The word itself is not repeated: somebody may have put a password there.
        _ => Err(invalid(
            "auth_type is not known: use password, v3applicationcredential or v3token",
        )),
    }
}

/// The domain of a user or project; Keystone's first one is called `default`.
fn domain(id: Option<&String>, name: Option<&String>, auth: &Auth) -> Domain {
    match (id, name) {
        (Some(id), _) => Domain::Id(id.clone()),
        (None, Some(name)) => Domain::Name(name.clone()),
        (None, None) => Domain::Id(
            auth.default_domain
                .clone()
                .unwrap_or_else(|| "default".to_owned()),
        ),
    }
}

fn user(auth: &Auth) -> Result<Option<Named>, CloudError> {
    let id = auth.user_domain_id.as_ref().or(auth.domain_id.as_ref());
    let name = auth.user_domain_name.as_ref().or(auth.domain_name.as_ref());
    match (&auth.user_id, &auth.username) {
        (Some(id), None) => Ok(Some(Named::Id(id.clone()))),
        (None, Some(user)) => Ok(Some(Named::Name {
            name: user.clone(),
            domain: domain(id, name, auth),
        })),
        (Some(_), Some(_)) => Err(invalid("give auth.username or auth.user_id, not both")),
        (None, None) => Ok(None),
    }
}

fn project(auth: &Auth) -> Option<Named> {
    let (id, name) = (auth.project_domain_id.as_ref(), auth.project_domain_name.as_ref());
    match (&auth.project_id, &auth.project_name) {
        (Some(id), _) => Some(Named::Id(id.clone())),
        (None, Some(project)) => Some(Named::Name {
            name: project.clone(),
            domain: domain(id, name, auth),
        }),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests;
