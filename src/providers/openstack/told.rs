//! The password that Nova makes for a server that is created, installed anew or rescued: told once, in the answer
//! (`enable_instance_password`). <https://docs.openstack.org/api-ref/compute/#create-server>, `adminPass`.

use secrecy::SecretString;
use serde::Deserialize;

use crate::planner::model::Accepted;
use crate::providers::transport::client::Reply;
use crate::providers::{Credentials, Done};

#[derive(Deserialize)]
struct Told {
    #[serde(rename = "adminPass", default)]
    password: Option<String>,
}

/// A rescue answers it by itself, the others in what they answer of the server.
#[derive(Deserialize)]
struct Answer {
    #[serde(flatten)]
    told: Told,
    #[serde(default)]
    server: Option<Told>,
}

fn password(body: &[u8]) -> Option<SecretString> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let password = answer.told.password.or_else(|| answer.server?.password)?;
    (!password.is_empty()).then(|| SecretString::from(password))
}

/// What an answer tells beside that the call was accepted.
pub(super) fn done(accepted: Accepted, reply: &Reply) -> Done {
    let password = password(&reply.body);
    Done {
        credentials: password.map(|password| Credentials {
            username: None,
            password,
        }),
        ..accepted.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn the_password_is_found_where_each_call_answers_it() {
        for (body, expected) in [
            (
                r#"{"server": {"id": "a", "adminPass": "one", "links": []}}"#,
                Some("one"),
            ),
            (r#"{"adminPass": "two"}"#, Some("two")),
            (r#"{"server": {"id": "a"}}"#, None),
            (r#"{"adminPass": ""}"#, None),
            ("", None),
        ] {
            let found = password(body.as_bytes());
            assert_eq!(found.as_ref().map(|p| p.expose_secret()), expected, "{body}");
        }
    }
}
