//! Who may ask: access keys and their signatures, checked by code that shares nothing with the one that signs, and
//! tokens of the identity service.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::world::World;
use crate::sim::cloud::{Answer, Ask, Reply, encode};

/// The access key.
pub const ACCESS_KEY: &str = "AKSIMULATED000000001";
/// Its secret.
pub const SECRET_KEY: &str = "simulated/secret+key=for-tests-0001";
/// A temporary access key with the same secret; it needs [`SECURITY_TOKEN`].
pub const TEMPORARY_KEY: &str = "ASSIMULATED000000002";
/// The token of the temporary key.
pub const SECURITY_TOKEN: &str = "simulated-security-token";
/// The user of the identity service, in the domain of the same name.
pub const USER: &str = "demo";
/// That user's password.
pub const USER_PASSWORD: &str = "simulated-user-password";
/// The project.
pub const PROJECT: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";
/// The region, which is the name of the project.
pub const REGION: &str = "cn-east-3";

#[derive(Debug, Default)]
struct Tries {
    bad: u32,
    locked_until: Option<Instant>,
}

/// Credentials, and how often they were wrong.
#[derive(Debug)]
pub(super) struct Accounts {
    /// The wall clock that signatures are held against: it goes with tokio's, as what is signed may.
    wall: Timestamp,
    start: Instant,
    pub(super) secret: String,
    password: String,
    tries: BTreeMap<String, Tries>,
    tokens: BTreeMap<String, Instant>,
    /// How often a key was locked.
    pub(super) locks: u32,
}

impl Accounts {
    pub(super) fn new(start: Instant) -> Self {
        Self {
            wall: Timestamp::now(),
            start,
            secret: SECRET_KEY.to_owned(),
            password: USER_PASSWORD.to_owned(),
            tries: BTreeMap::new(),
            tokens: BTreeMap::new(),
            locks: 0,
        }
    }

    pub(super) fn forget_tokens(&mut self) {
        self.tokens.clear();
    }

    pub(super) fn set_password(&mut self, password: &str) {
        self.password = password.to_owned();
    }
}

/// The gateway's refusal; all that is wrong with credentials comes with this one code.
pub(super) fn unauthorized(why: &str) -> Reply {
    let words = format!("Incorrect IAM authentication information: {why}");
    Reply::new(401, json!({"error_code": "APIGW.0301", "error_msg": words}))
}

impl World {
    /// Whether a request is signed, or has a token.
    pub(super) fn admit(&mut self, ask: &Ask) -> Result<(), Reply> {
        if let Some(token) = ask.header("x-auth-token") {
            let now = self.core.now;
            return match self.accounts.tokens.get(token) {
                Some(expires) if *expires > now => Ok(()),
                _ => Err(unauthorized("The token must be updated")),
            };
        }
        let (access, names, signature) = ask
            .header("authorization")
            .and_then(parse)
            .ok_or_else(|| unauthorized("the request carries neither a token nor a signature"))?;
        let now = self.core.now;
        let locked = |t: &Tries| t.locked_until.is_some_and(|until| now < until);
        if self.accounts.tries.get(&access).is_some_and(locked) {
            return Err(unauthorized("the access key is locked, try again later"));
        }
        match self.judge(ask, &access, &names, &signature) {
            Ok(()) => {
                self.accounts.tries.remove(&access);
                Ok(())
            }
            Err(why) => {
                let tries = self.accounts.tries.entry(access).or_default();
                tries.bad += 1;
                if tries.bad > self.config.bad_signatures {
                    tries.bad = 0;
                    tries.locked_until = Some(now + self.config.locked_for);
                    self.accounts.locks += 1;
                }
                Err(unauthorized(&why))
            }
        }
    }

    fn judge(&self, ask: &Ask, access: &str, names: &[String], signature: &str) -> Result<(), String> {
        match access {
            ACCESS_KEY => {}
            TEMPORARY_KEY if ask.header("x-security-token") == Some(SECURITY_TOKEN) => {}
            TEMPORARY_KEY => return Err("the security token is missing or wrong".to_owned()),
            _ => return Err(format!("there is no access key {access}")),
        }
        for needed in ["host", "x-sdk-date"] {
            if !names.iter().any(|n| n == needed) {
                return Err(format!("{needed} is not signed"));
            }
        }
        let date = ask.header("x-sdk-date").unwrap_or_default();
        self.in_time(date)?;
        let wanted = signed(ask, names, date, &self.accounts.secret)?;
        if wanted == signature {
            Ok(())
        } else {
            Err("verify aksk signature fail".to_owned())
        }
    }

    fn in_time(&self, date: &str) -> Result<(), String> {
        let at = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date)
            .ok()
            .and_then(|d| d.to_zoned(jiff::tz::TimeZone::UTC).ok())
            .ok_or_else(|| format!("X-Sdk-Date {date:?} is no date"))?
            .timestamp();
        let passed = self.core.now.duration_since(self.accounts.start);
        let now = self
            .accounts
            .wall
            .checked_add(passed)
            .unwrap_or(self.accounts.wall);
        let off = now.duration_since(at).unsigned_abs();
        if off <= self.config.clock_skew {
            return Ok(());
        }
        let (most, off) = (self.config.clock_skew.as_secs(), off.as_secs());
        Err(format!(
            "the clock of the client is {off} s off, {most} s are borne"
        ))
    }

    /// `POST /v3/auth/tokens`.
    pub(super) fn log_in(&mut self, ask: &Ask) -> Answer {
        let body = ask.json();
        let refused = |text: &str| {
            let error = json!({"code": 401, "message": text, "title": "Unauthorized"});
            Reply::new(401, json!({ "error": error }))
        };
        let user = &body["auth"]["identity"]["password"]["user"];
        if user["name"] != USER || user["domain"]["name"] != USER {
            return Err(refused("The username or password is wrong."));
        }
        if user["password"] != json!(self.accounts.password) {
            return Err(refused("The username or password is wrong."));
        }
        let project = &body["auth"]["scope"]["project"];
        if project["id"] != PROJECT && project["name"] != REGION {
            return Err(refused("The scope names no project of this user."));
        }
        let token = format!("MIIsim{}{}", self.core.hex(), self.core.hex());
        let expires = self.core.now + self.config.token_ttl;
        self.accounts.tokens.insert(token.clone(), expires);
        let stamp = |at| {
            self.core
                .clock(at)
                .strftime("%Y-%m-%dT%H:%M:%S.000000Z")
                .to_string()
        };
        let document = json!({"token": {
            "methods": ["password"], "issued_at": stamp(self.core.now), "expires_at": stamp(expires),
            "project": {"id": PROJECT, "name": REGION, "domain": {"id": "d1", "name": USER}},
            "user": {"id": "u1", "name": USER, "domain": {"id": "d1", "name": USER}},
            "catalog": [], "roles": [],
        }});
        Ok(Reply::new(201, document).with("X-Subject-Token", token))
    }

    /// `GET /v3/projects`.
    pub(super) fn projects(&mut self, ask: &Ask) -> Answer {
        self.admit(ask)?;
        let fits = ask.query("name").is_none_or(|n| n == REGION);
        let projects: Vec<Value> = fits
            .then(|| json!({"id": PROJECT, "name": REGION, "enabled": true}))
            .into_iter()
            .collect();
        Ok(Reply::ok(json!({ "projects": projects })))
    }
}

/// Access key, names of the signed headers, and signature.
fn parse(header: &str) -> Option<(String, Vec<String>, String)> {
    let rest = header.strip_prefix("SDK-HMAC-SHA256 ")?;
    let field = |name: &str| rest.split(", ").find_map(|part| part.strip_prefix(name));
    let names = field("SignedHeaders=")?.split(';').map(str::to_owned).collect();
    Some((
        field("Access=")?.to_owned(),
        names,
        field("Signature=")?.to_owned(),
    ))
}

/// What the signature of a request has to be.
fn signed(ask: &Ask, names: &[String], date: &str, secret: &str) -> Result<String, String> {
    let mut text = format!("{}\n/", ask.method);
    for segment in &ask.path {
        text += &encode(segment);
        text.push('/');
    }
    let mut query: Vec<String> = ask
        .query
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    query.sort();
    text += &format!("\n{}\n", query.join("&"));
    for name in names {
        let value = match (ask.header(name), name.as_str()) {
            (Some(value), _) => value,
            // In process nobody writes this header.
            (None, "host") => ask.base.rsplit('/').next().unwrap_or_default(),
            (None, name) => return Err(format!("the signed header {name} is missing")),
        };
        text += &format!("{name}:{}\n", value.trim());
    }
    text += &format!("\n{}\n{}", names.join(";"), hex(&Sha256::digest(&ask.body)));
    let string = format!("SDK-HMAC-SHA256\n{date}\n{}", hex(&Sha256::digest(text)));
    Ok(hex(&hmac(secret.as_bytes(), string.as_bytes())))
}

/// HMAC with SHA-256 (RFC 2104).
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0u8; 64];
    let short: Vec<u8> = if key.len() > 64 {
        Sha256::digest(key).to_vec()
    } else {
        key.to_vec()
    };
    for (slot, byte) in block.iter_mut().zip(short) {
        *slot = byte;
    }
    let padded = |pad: u8| block.map(|b| b ^ pad);
    let inner = Sha256::new()
        .chain_update(padded(0x36))
        .chain_update(message)
        .finalize();
    Sha256::new()
        .chain_update(padded(0x5c))
        .chain_update(inner)
        .finalize()
        .into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, cases 2 and 6.
    #[test]
    fn the_hmac_is_that_of_the_rfc() {
        assert_eq!(
            hex(&hmac(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hex(&hmac(
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First"
            )),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    /// Made with the vendor's own signer.
    #[test]
    fn a_signature_of_the_vendor_is_taken() {
        let request = http::Request::put("http://127.0.0.1:8080/v1/p1/physicalservers/power-state")
            .header("x-project-id", "p1")
            .header("content-type", "application/json")
            .header("x-sdk-date", "20260102T030405Z")
            .body(bytes::Bytes::from_static(
                br#"{"action":"power off","server_id_set":["s1"]}"#,
            ))
            .unwrap();
        let names: Vec<String> = ["content-type", "host", "x-project-id", "x-sdk-date"]
            .map(str::to_owned)
            .into();
        let found = signed(
            &Ask::new(request, String::new()),
            &names,
            "20260102T030405Z",
            "SKexample/secret+0001",
        );
        assert_eq!(
            found.unwrap(),
            "24393ddef7aaec4687f6a8cf4ab9ac14dcc573f5ccb62bb4bacc6340e66e807c"
        );
    }
}
