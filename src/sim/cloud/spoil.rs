//! Replies that arrive in a bad way.

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::wire::Reply;

/// What becomes of the body of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Spoil {
    /// Only its first half comes, and the length says so.
    Truncated,
    /// A page of a proxy comes instead.
    Html,
    /// A JSON list of a number comes instead.
    WrongType,
    /// Nothing comes instead.
    Empty,
    /// 100 MB of blanks come before it.
    Huge,
    /// It is compressed, whether the client accepts that or not.
    Gzip,
}

const HTML: &str = "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1>\
                    </center><hr><center>nginx</center></body></html>\r\n";
/// In bytes.
const HUGE: usize = 100_000_000;

/// Spoils a reply; its status stays if no other is given.
pub(super) fn spoil(mut reply: Reply, how: Spoil, code: Option<u16>) -> Reply {
    let body = reply.bytes();
    reply.status = code.unwrap_or(reply.status);
    let json = "application/json";
    let (kind, body) = match how {
        Spoil::Truncated => (json, body.slice(..body.len() / 2)),
        Spoil::Html => ("text/html", Bytes::from_static(HTML.as_bytes())),
        Spoil::WrongType => (json, Bytes::from_static(b"[42]")),
        Spoil::Empty => (json, Bytes::new()),
        Spoil::Huge => {
            let mut huge = BytesMut::with_capacity(HUGE + body.len());
            huge.put_bytes(b' ', HUGE);
            huge.extend_from_slice(&body);
            (json, huge.freeze())
        }
        Spoil::Gzip => {
            reply = reply.with("Content-Encoding", "gzip");
            (json, gzip(&body))
        }
    };
    reply.raw = Some(Box::new((kind, body)));
    reply
}

/// A gzip member (RFC 1952) of stored blocks (RFC 1951, 3.2.4): nothing is saved, and every reader reads it.
fn gzip(data: &[u8]) -> Bytes {
    let mut out = BytesMut::from(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255][..]);
    let mut blocks = data.chunks(usize::from(u16::MAX)).peekable();
    if blocks.peek().is_none() {
        out.extend_from_slice(&[1, 0, 0, 0xff, 0xff]);
    }
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.put_u8(u8::from(blocks.peek().is_none()));
        out.put_u16_le(length);
        out.put_u16_le(!length);
        out.extend_from_slice(block);
    }
    out.put_u32_le(crc32(data));
    out.put_u32_le(u32::try_from(data.len() & 0xffff_ffff).unwrap_or_default());
    out.freeze()
}

fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1))
        })
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::super::wire::Reply;
    use super::{Spoil, crc32, gzip, spoil};

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_stored_block_has_its_length_twice() {
        let packed = gzip(b"ab");
        assert_eq!(&packed[10..15], [1, 2, 0, 0xfd, 0xff]);
        assert_eq!(&packed[15..17], b"ab");
        assert_eq!(&packed[21..], [2, 0, 0, 0]);
    }

    #[test]
    fn each_way_leaves_another_body() {
        let reply = || Reply::ok(json!({"server": {"id": "1"}}));
        for (how, expected) in [
            (Spoil::Truncated, &b"{\"server\":"[..]),
            (Spoil::WrongType, b"[42]"),
            (Spoil::Empty, b""),
        ] {
            let response = spoil(reply(), how, None).into_response();
            assert_eq!(
                (response.status().as_u16(), &response.body()[..]),
                (200, expected)
            );
        }
        let html = spoil(reply(), Spoil::Html, Some(502)).into_response();
        assert_eq!(html.status(), 502);
        assert_eq!(html.headers()["content-type"], "text/html");
        let huge = spoil(reply(), Spoil::Huge, None).into_response();
        assert!(huge.body().len() > super::HUGE && huge.body().ends_with(b"}}"));
        let packed = spoil(reply(), Spoil::Gzip, None).into_response();
        assert_eq!(packed.headers()["content-encoding"], "gzip");
        assert!(packed.body().starts_with(&[0x1f, 0x8b]) && packed.body() != &Bytes::new());
    }
}
