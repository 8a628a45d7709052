//! What clouds answer when they are asked for a console: its address, which is a credential.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

use super::{Done, ReadOut};
use crate::planner::model::{Accepted, CloudError, ErrorClass};

/// The longest address of a console that is believed.
const URL: usize = 4096;

/// A text that is a secret from the moment it is read; empty where the cloud says null.
pub(super) fn secret<'de, D: Deserializer<'de>>(d: D) -> Result<SecretString, D::Error> {
    Ok(Option::<String>::deserialize(d)?.unwrap_or_default().into())
}

/// The address of a console, as this cloud gave it.
///
/// # Errors
/// It is no address.
pub(super) fn access(url: SecretString, cloud: &str) -> Result<ReadOut, CloudError> {
    let text = url.expose_secret();
    if text.is_empty() || text.len() > URL || text.chars().any(|c| c.is_control() || c == ' ') {
        let words = format!("{cloud} answers with an address of the console that cannot be used");
        return Err(CloudError::new(ErrorClass::Transient, words));
    }
    Ok(ReadOut::Access(vec![("url", url)]))
}

/// What was read of a server. Nothing was changed.
pub(super) fn done(id: &str, read: ReadOut) -> Done {
    Done {
        accepted: Accepted::so_already(id),
        read: Some(read),
        ..Done::default()
    }
}
