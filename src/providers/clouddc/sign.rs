//! SDK-HMAC-SHA256: what is signed, and how. Pure.
//! <https://support.huaweicloud.com/intl/en-us/devg-apisign/api-sign-algorithm.html>

use jiff::Timestamp;
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// The word that begins the header and the string that is signed.
const ALGORITHM: &str = "SDK-HMAC-SHA256";

/// A request as the signature sees it.
pub(super) struct Signed<'a> {
    /// The HTTP method in capitals.
    pub(super) method: &'a str,
    /// The path as it is sent, already encoded.
    pub(super) path: &'a str,
    /// Names and values, not encoded, in any order.
    pub(super) query: &'a [(&'a str, &'a str)],
    /// Every header that is signed: names in lower case and what they are sent with, in any order.
    pub(super) headers: Vec<(&'a str, &'a str)>,
    /// The body; empty for none.
    pub(super) body: &'a [u8],
}

/// The time in the form of `X-Sdk-Date`: UTC, to the second.
pub(super) fn date(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// The query as it is signed and sent: sorted and encoded; empty for none.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let mut pairs = pairs.to_vec();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
        .collect();
    pairs.join("&")
}

/// The value of `Authorization`. `date` is that of the header `X-Sdk-Date`, which is among the headers.
pub(super) fn authorization(request: &Signed<'_>, date: &str, access: &str, secret: &SecretString) -> String {
    let mut headers = request.headers.clone();
    headers.sort_unstable();
    let names = headers.iter().map(|(n, _)| *n).collect::<Vec<_>>().join(";");
    let lines: String = headers
        .iter()
        .map(|(name, value)| format!("{name}:{}\n", value.trim()))
        .collect();
    // The path is signed with a slash at its end that is not sent.
    let slash = if request.path.ends_with('/') { "" } else { "/" };
    let canonical = format!(
        "{}\n{}{slash}\n{}\n{lines}\n{names}\n{}",
        request.method,
        request.path,
        query(request.query),
        hex(&Sha256::digest(request.body)),
    );
    let to_sign = format!("{ALGORITHM}\n{date}\n{}", hex(&Sha256::digest(canonical)));
    // The key itself signs: nothing is derived from it.
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    let signature = hex(hmac::sign(&key, to_sign.as_bytes()).as_ref());
    format!("{ALGORITHM} Access={access}, SignedHeaders={names}, Signature={signature}")
}

/// Percent-encoded, all but `A-Za-z0-9-._~`.
pub(super) fn encoded(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(b).to_string(),
            _ => format!("%{b:02X}"),
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "20260102T030405Z";

    fn signature(request: &Signed<'_>) -> String {
        authorization(request, DATE, "AKEXAMPLE0001", &"SKexample/secret+0001".into())
    }

    fn headers(host: &str) -> Vec<(&str, &str)> {
        vec![("x-sdk-date", DATE), ("x-project-id", "p1"), ("host", host)]
    }

    /// Made with the vendor's own signer.
    #[test]
    fn signs_as_the_vendor_does() {
        let status = Signed {
            method: "GET",
            path: "/v1/p1/instances/i-1/status",
            query: &[],
            headers: headers("clouddc.test"),
            body: b"",
        };
        assert_eq!(
            signature(&status),
            "SDK-HMAC-SHA256 Access=AKEXAMPLE0001, SignedHeaders=host;x-project-id;x-sdk-date, \
             Signature=0a3f24554c3a4c025374de01be44a86b6f620a06cb100a688a36bd20d33d7a31"
        );
        let list = Signed {
            method: "GET",
            path: "/v1/p1/instances",
            query: &[("marker", "a b"), ("limit", "50"), ("instance_id", "u1,u2")],
            headers: headers("127.0.0.1:8080"),
            body: b"",
        };
        assert!(
            signature(&list)
                .ends_with("Signature=504488d124ea769a3084a88cf26c6a723046a38571266c2d271e555a3979a1c1"),
            "{}",
            signature(&list)
        );
        let mut headers = headers("127.0.0.1:8080");
        headers.push(("content-type", "application/json"));
        let power = Signed {
            method: "PUT",
            path: "/v1/p1/physicalservers/power-state",
            query: &[],
            headers,
            body: br#"{"action":"power off","server_id_set":["s1"]}"#,
        };
        assert_eq!(
            signature(&power),
            "SDK-HMAC-SHA256 Access=AKEXAMPLE0001, SignedHeaders=content-type;host;x-project-id;x-sdk-date, \
             Signature=24393ddef7aaec4687f6a8cf4ab9ac14dcc573f5ccb62bb4bacc6340e66e807c"
        );
    }

    #[test]
    fn a_query_is_sorted_and_encoded() {
        assert_eq!(query(&[]), "");
        assert_eq!(
            query(&[("b", "2"), ("a", "z/~"), ("a", "x y,ü")]),
            "a=x%20y%2C%C3%BC&a=z%2F~&b=2"
        );
    }

    #[test]
    fn a_date_has_no_fraction() {
        assert_eq!(date("2026-01-02T03:04:05.9Z".parse().unwrap()), DATE);
    }

    mod any_request {
        use proptest::prelude::*;

        use super::*;

        type Pairs = Vec<(String, String)>;

        fn pairs(names: &'static str) -> impl Strategy<Value = Pairs> {
            prop::collection::btree_map(names, "\\PC{0,12}", 0..4).prop_map(|map| map.into_iter().collect())
        }

        fn borrowed(pairs: &Pairs) -> Vec<(&str, &str)> {
            pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect()
        }

        fn sign(method: &str, path: &str, query: &Pairs, headers: &Pairs, body: &[u8]) -> String {
            let query = borrowed(query);
            signature(&Signed {
                method,
                path,
                query: &query,
                headers: borrowed(headers),
                body,
            })
        }

        proptest! {
            #![proptest_config(crate::planner::tests::campaign(300))]

            /// One line of visible ASCII; the order of what is signed does not count, and every part of it does.
            #[test]
            fn is_signed_whole(
                path in "(/[a-z0-9%._~-]{0,8}){1,4}",
                query in pairs("[a-z_]{1,6}"),
                headers in pairs("[a-z-]{1,8}"),
                body in prop::collection::vec(any::<u8>(), 0..40),
                n in any::<prop::sample::Index>(),
            ) {
                let made = sign("GET", &path, &query, &headers, &body);
                prop_assert!(made.bytes().all(|b| (0x20..0x7f).contains(&b)), "{made}");
                let turned = |pairs: &Pairs| pairs.iter().rev().cloned().collect::<Pairs>();
                prop_assert_eq!(&sign("GET", &path, &turned(&query), &turned(&headers), &body), &made);
                prop_assert_ne!(&sign("PUT", &path, &query, &headers, &body), &made);
                prop_assert_ne!(&sign("GET", &format!("{path}x"), &query, &headers, &body), &made);
                prop_assert_ne!(&sign("GET", &path, &query, &headers, &[&body[..], b"x"].concat()), &made);
                let other = |pairs: &Pairs| {
                    let mut pairs = pairs.clone();
                    let at = n.index(pairs.len());
                    pairs[at].1.push('x');
                    pairs
                };
                if !query.is_empty() {
                    prop_assert_ne!(&sign("GET", &path, &other(&query), &headers, &body), &made);
                }
                if !headers.is_empty() {
                    prop_assert_ne!(&sign("GET", &path, &query, &other(&headers), &body), &made);
                }
            }
        }
    }
}
