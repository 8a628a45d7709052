//! Who asks: a token, or a user name with a password, from a Secret.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use secrecy::{ExposeSecret, SecretString};

use crate::planner::model::{CloudError, ErrorClass};
use crate::providers::transport::endpoint::EndpointRules;

/// The endpoint of everybody.
const ENDPOINT: &str = "https://api.upcloud.com";
/// The version of the API in its paths.
const VERSION: &str = "1.3";

/// A credential, and where it is sent.
pub(super) struct Credential {
    /// The value of the header `Authorization`.
    pub(super) header: SecretString,
    /// What must never be shown.
    secrets: Vec<SecretString>,
    /// The URL that paths are put behind, without a slash at its end.
    pub(super) base: String,
}

impl Credential {
    /// Reads it from a Secret: `token`, or `username` and `password`; and optionally `endpoint`.
    ///
    /// # Errors
    /// Class `NotFound` for a key that is missing, `InvalidSpec` for both kinds at once or a refused endpoint,
    /// `Unauthorized` for what no header can hold.
    pub(super) fn read(secret: &BTreeMap<String, Vec<u8>>, rules: EndpointRules) -> Result<Self, CloudError> {
        let base = base(text(secret, "endpoint")?.as_deref().unwrap_or(ENDPOINT), rules)?;
        let (token, user, password) = (
            text(secret, "token")?,
            text(secret, "username")?,
            text(secret, "password")?,
        );
        let (header, secrets) = match (token, user, password) {
            (Some(token), None, None) => (format!("Bearer {token}"), vec![token]),
            (None, Some(user), Some(password)) => {
                if user.contains(':') {
                    return Err(unusable("the username has a colon"));
                }
                let encoded = base64(format!("{user}:{password}"))?;
                (format!("Basic {encoded}"), vec![password, encoded])
            }
            (Some(_), ..) => {
                return Err(CloudError::new(
                    ErrorClass::InvalidSpec,
                    "the Secret has a token beside a username or a password: leave one kind out",
                ));
            }
            (None, None, Some(_)) => return Err(missing("has a password but no key username")),
            (None, Some(_), None) => return Err(missing("has a username but no key password")),
            (None, None, None) => return Err(missing("has no key token, nor username and password")),
        };
        if http::HeaderValue::from_str(&header).is_err() {
            return Err(unusable("the token has characters that no header can hold"));
        }
        Ok(Self {
            header: header.into(),
            secrets: secrets.into_iter().map(SecretString::from).collect(),
            base,
        })
    }

    /// What must never be shown.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().map(SecretString::expose_secret)
    }
}

fn missing(words: &str) -> CloudError {
    CloudError::new(ErrorClass::NotFound, format!("the Secret {words}"))
}

fn unusable(words: &str) -> CloudError {
    CloudError::new(ErrorClass::Unauthorized, words)
}

/// A key as text, without the line break that files end with; nothing for an empty one.
fn text(secret: &BTreeMap<String, Vec<u8>>, key: &str) -> Result<Option<String>, CloudError> {
    let Some(bytes) = secret.get(key) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(bytes)
        .map_err(|_| unusable(&format!("the key {key} of the Secret is no text")))?
        .trim_end_matches(['\r', '\n']);
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn base(endpoint: &str, rules: EndpointRules) -> Result<String, CloudError> {
    let url = rules
        .check(endpoint)
        .map_err(|e| e.refusal("the key endpoint of the Secret"))?;
    if url.query().is_some() || url.fragment().is_some() {
        let words = "the key endpoint of the Secret has a query or a fragment: leave it out";
        return Err(CloudError::new(ErrorClass::InvalidSpec, words));
    }
    let bare = url.as_str().trim_end_matches('/');
    let bare = bare
        .strip_suffix(VERSION)
        .map_or(bare, |b| b.trim_end_matches('/'));
    Ok(format!("{bare}/{VERSION}"))
}

fn base64(text: String) -> Result<String, CloudError> {
    match serde_json::to_value(ByteString(text.into_bytes())) {
        Ok(serde_json::Value::String(text)) => Ok(text),
        _ => Err(unusable("the username and the password cannot be encoded")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: EndpointRules = EndpointRules {
        allow_insecure: false,
    };

    fn read(keys: &[(&str, &str)]) -> Result<Credential, CloudError> {
        let secret = keys
            .iter()
            .map(|(k, v)| ((*k).to_owned(), v.as_bytes().to_vec()))
            .collect();
        Credential::read(&secret, RULES)
    }

    #[test]
    fn a_token_or_a_user_with_a_password() {
        let token = read(&[("token", "ucat_1\n")]).unwrap();
        assert_eq!(token.header.expose_secret(), "Bearer ucat_1");
        assert_eq!(token.base, "https://api.upcloud.com/1.3");
        let basic = read(&[("username", "me"), ("password", "p:w \r\n")]).unwrap();
        assert_eq!(basic.header.expose_secret(), "Basic bWU6cDp3IA==");
        assert_eq!(basic.secrets().collect::<Vec<_>>(), ["p:w ", "bWU6cDp3IA=="]);
    }

    #[test]
    fn what_is_missing_or_too_much_is_said_without_its_value() {
        let cases: &[(&[(&str, &str)], ErrorClass)] = &[
            (&[], ErrorClass::NotFound),
            (&[("token", "")], ErrorClass::NotFound),
            (&[("username", "me")], ErrorClass::NotFound),
            (&[("password", "planted")], ErrorClass::NotFound),
            (
                &[("token", "planted"), ("username", "me")],
                ErrorClass::InvalidSpec,
            ),
            (
                &[("token", "planted"), ("username", "me"), ("password", "planted")],
                ErrorClass::InvalidSpec,
            ),
            (&[("token", "plan\nted")], ErrorClass::Unauthorized),
            (
                &[("username", "a:b"), ("password", "planted")],
                ErrorClass::Unauthorized,
            ),
            (
                &[("token", "t"), ("endpoint", "http://api.upcloud.com")],
                ErrorClass::InvalidSpec,
            ),
            (
                &[("token", "t"), ("endpoint", "https://169.254.169.254")],
                ErrorClass::InvalidSpec,
            ),
            (
                &[("token", "t"), ("endpoint", "https://h.example/?a=b")],
                ErrorClass::InvalidSpec,
            ),
        ];
        for (keys, class) in cases {
            let Err(error) = read(keys) else {
                panic!("{keys:?} was accepted");
            };
            assert_eq!(error.class, *class, "{keys:?}");
            assert!(!error.message.contains("planted"), "{}", error.message);
        }
    }

    #[test]
    fn an_endpoint_may_have_the_version_or_not() {
        for endpoint in [
            "https://proxy.example/up",
            "https://proxy.example/up/",
            "https://proxy.example/up/1.3",
            "https://proxy.example/up/1.3/",
        ] {
            let read = read(&[("token", "t"), ("endpoint", endpoint)]).unwrap();
            assert_eq!(read.base, "https://proxy.example/up/1.3");
        }
    }
}
