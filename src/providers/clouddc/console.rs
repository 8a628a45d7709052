//! The console of the physical server below an instance: the call `ShowRemoteConsole` of the vendor's SDK 3.1.219.

use secrecy::SecretString;
use serde::Deserialize;

use super::session::Request;
use super::{CloudDc, checked};
use crate::api::server_action::ConsoleType;
use crate::planner::model::{CloudError, ErrorClass, Reading};
use crate::providers::Done;
use crate::providers::console::{access, done, secret};
use crate::providers::transport::budget::Priority;

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
        Ok(done(id, access(address.url, "CloudDC")?))
    }
}
