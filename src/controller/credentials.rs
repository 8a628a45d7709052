//! What a cloud tells once, as it creates a server: into the Secret that the object names, before anything else is
//! done with the reply. A Secret of somebody else is never written.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Resource};
use secrecy::ExposeSecret;
use tokio::time::{sleep, timeout};

use super::Shell;
use super::call::Asker;
use crate::api::{Reason, Server, keys};
use crate::planner::memory::Told;
use crate::planner::model::{CloudError, ErrorClass};
use crate::providers::Credentials;

/// One request for a Secret may take so long.
const PATIENCE: Duration = Duration::from_secs(4);
/// Waits between tries to write it. The reply with the id waits for them, but not for longer.
const WAITS: &[Duration] = &[
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(5),
];

/// Why a Secret could not be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unwritten {
    /// It belongs to somebody else.
    #[error("the Secret {0} exists and is not owned by this object")]
    Foreign(String),
    /// The Kubernetes API refused.
    #[error("{0}")]
    Refused(#[from] kube::Error),
    /// It did not answer.
    #[error("the Kubernetes API did not answer in time")]
    Silent,
}

/// A Secret to write: its namespace and name, and the object that it belongs to.
pub(super) struct Target<'a> {
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    pub(super) owner: OwnerReference,
}

impl<'a> Target<'a> {
    fn of(asker: &'a Asker, name: &'a str) -> Self {
        Self {
            namespace: &asker.key.namespace,
            name,
            owner: owner::<Server>(&asker.key.name, &asker.uid),
        }
    }
}

/// What says that something belongs to an object.
pub(super) fn owner<K: Resource<DynamicType = ()>>(name: &str, uid: &str) -> OwnerReference {
    OwnerReference {
        api_version: K::api_version(&()).into_owned(),
        kind: K::kind(&()).into_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
        controller: Some(true),
        block_owner_deletion: None,
    }
}

fn owned(secret: &Secret, owner: &OwnerReference) -> bool {
    let mut owners = secret.metadata.owner_references.iter().flatten();
    owners.any(|o| o.uid == owner.uid && o.kind == owner.kind)
}

async fn read(api: &Api<Secret>, name: &str) -> Result<Option<Secret>, Unwritten> {
    let answer = timeout(PATIENCE, api.get_opt(name)).await;
    Ok(answer.map_err(|_| Unwritten::Silent)??)
}

/// Whether the Secret can be written later. Asked before a server is made, so that nothing is told in vain: the API
/// is asked to write it, without doing so.
///
/// # Errors
/// A Secret of that name belongs to somebody else, it may not be written, or that cannot be known now. Nothing was sent.
pub(super) async fn allowed(shell: &Shell, asker: &Asker, name: &str) -> Result<(), CloudError> {
    let refused = |words: String| CloudError {
        code: Some(Reason::SecretRefused.as_str().to_owned()),
        ..CloudError::new(ErrorClass::InvalidSpec, format!("credentialsSecretName: {words}"))
    };
    match put(shell, &Target::of(asker, name), BTreeMap::new(), true).await {
        Ok(()) => Ok(()),
        Err(error @ Unwritten::Foreign(_)) => {
            Err(refused(format!("{error}; name another one, or delete it")))
        }
        Err(Unwritten::Refused(kube::Error::Api(status))) if matches!(status.code, 400 | 403 | 422) => {
            Err(refused(format!(
                "the controller cannot write the Secret {name}, and the password would be lost; grant create and \
                 update of secrets (rbac.writeSecrets), or take the field away: {}",
                status.message
            )))
        }
        Err(error) => Err(CloudError::new(
            ErrorClass::Transient,
            format!("not sent: whether the Secret {name} can be written is not known: {error}"),
        )),
    }
}

/// Writes them down, and says what became of them; the id of the server is never lost.
pub(super) async fn keep(shell: &Shell, asker: &Asker, name: &str, told: &Credentials) -> Told {
    let mut waits = WAITS.iter();
    loop {
        let error = match write(shell, asker, name, told).await {
            Ok(()) => return Told::Kept,
            Err(error) => error,
        };
        let again = waits.next().filter(|_| !matches!(error, Unwritten::Foreign(_)));
        let Some(wait) = again else {
            tracing::error!(object = %asker.key, secret = name, %error, "credentials are lost");
            return Told::Lost(error.to_string());
        };
        tracing::warn!(object = %asker.key, secret = name, %error, "credentials are not written yet");
        sleep(*wait).await;
    }
}

async fn write(shell: &Shell, asker: &Asker, name: &str, told: &Credentials) -> Result<(), Unwritten> {
    let mut data = BTreeMap::from([("password".to_owned(), bytes(told.password.expose_secret()))]);
    if let Some(user) = &told.username {
        data.insert("username".to_owned(), bytes(user));
    }
    put(shell, &Target::of(asker, name), data, false).await
}

/// Makes the Secret or writes ours anew; `dry` only asks whether that would be taken.
pub(super) async fn put(
    shell: &Shell,
    target: &Target<'_>,
    data: BTreeMap<String, ByteString>,
    dry: bool,
) -> Result<(), Unwritten> {
    let name = target.name;
    let api: Api<Secret> = Api::namespaced(shell.ctx.client.clone(), target.namespace);
    let params = PostParams {
        dry_run: dry,
        field_manager: Some(keys::FIELD_MANAGER.to_owned()),
    };
    let mut secret = Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            owner_references: Some(vec![target.owner.clone()]),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        data: Some(data),
        ..Secret::default()
    };
    let made = timeout(PATIENCE, api.create(&params, &secret)).await;
    match made.map_err(|_| Unwritten::Silent)? {
        Ok(_) => return Ok(()),
        Err(kube::Error::Api(s)) if s.code == 409 => {}
        Err(error) => return Err(error.into()),
    }
    // Ours from an earlier server of this object, or from a try whose answer was lost.
    let there = read(&api, name).await?.filter(|s| owned(s, &target.owner));
    let Some(there) = there else {
        return Err(Unwritten::Foreign(name.to_owned()));
    };
    secret.metadata = there.metadata;
    secret.type_ = there.type_;
    let written = timeout(PATIENCE, api.replace(name, &params, &secret)).await;
    written.map_err(|_| Unwritten::Silent)??;
    Ok(())
}

pub(super) fn bytes(text: &str) -> ByteString {
    ByteString(text.as_bytes().to_vec())
}
