//! The console of the physical server below an instance: the call `ShowRemoteConsole` of the vendor's SDK 3.1.219.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

use super::session::Request;
use super::{CloudDc, checked};
use crate::api::server_action::ConsoleType;
use crate::planner::model::{Accepted, CloudError, ErrorClass, Reading};
use crate::providers::transport::budget::Priority;
use crate::providers::{Done, ReadOut};

/// The longest address of a console that is believed.
const URL: usize = 4096;

fn secret<'de, D: Deserializer<'de>>(d: D) -> Result<SecretString, D::Error> {
    Ok(Option::<String>::deserialize(d)?.unwrap_or_default().into())
}

#[derive(Deserialize)]
struct Address {
    #[serde(deserialize_with = "secret")]
    url: SecretString,
}

impl CloudDc {
    /// The address of the one console that a machine has: its screen and keyboard, in a browser.
    pub(super) async fn console(&self, id: &str, reading: &Reading) -> Result<Done, CloudError> {
        let wanted = reading.spec.remote_console.as_ref().map(|r| r.kind);
        let Some(ConsoleType::VNC) = wanted else {
            let words = "CloudDC has one console, a screen and a keyboard: it is opened as type VNC";
            return Err(CloudError::new(ErrorClass::Unsupported, words));
        };
        let server = self.server_of(id).await?;
        let path = format!("/physicalservers/{}/remote-console-address", checked(&server)?);
        let route = "clouddc /physicalservers/{id}/remote-console-address";
        let request = Request::get(path, route, Priority::High);
        let address: Address = self.session.read(request).await?;
        let url = address.url.expose_secret();
        if url.is_empty() || url.len() > URL || url.chars().any(|c| c.is_control() || c == ' ') {
            let words = "CloudDC answers with an address of the console that cannot be used";
            return Err(CloudError::new(ErrorClass::Transient, words));
        }
        Ok(Done {
            accepted: Accepted {
                id: Some(id.to_owned()),
                ..Accepted::default()
            },
            read: Some(ReadOut::Access(vec![("url", address.url)])),
            ..Done::default()
        })
    }
}
