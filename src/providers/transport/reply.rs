//! How much of a reply is read. Whoever names an endpoint chooses what it answers, and all accounts share one memory:
//! a reply is bounded in bytes, in what it becomes once it is parsed, and together with all others under way.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// Of a refusal so much is read; the rest is cut off, since its status says most of it.
pub const REFUSAL: usize = 2 << 20;
/// The most that a refusal may weigh, see [`WEIGHT`]; the words of a heavier one are not read.
const REFUSAL_WEIGHT: usize = 20_000;
/// The largest reply to a change or a log-in, in bytes after decompression: one object, or a catalog.
pub const CHANGE: usize = 1 << 20;
/// The largest page of a list.
pub const READ: usize = 8 << 20;
/// The most that a reply may weigh once it is parsed: a value counts 1, an object 16 more. About 32 bytes each.
pub const WEIGHT: usize = 1_000_000;
/// What all replies of the process may hold at a time while they are read, and those of one way out.
const POOL: usize = 32 << 20;
const SHARE: usize = 8 << 20;
/// Permits are for so many bytes. The first piece of each reply is free: requests in flight are bounded as well.
const PIECE: usize = 64 << 10;

static UNDER_WAY: Semaphore = Semaphore::const_new(POOL / PIECE);

/// What the replies of one way out may hold at a time.
pub fn share() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(SHARE / PIECE))
}

/// A body that is being read.
pub struct Body {
    bytes: BytesMut,
    most: usize,
    cut: bool,
    share: Arc<Semaphore>,
    held: Vec<(SemaphorePermit<'static>, OwnedSemaphorePermit)>,
}

impl Body {
    /// The body of a reply to such a request, with no more than `most` bytes if it is a success.
    pub fn new(method: &Method, status: StatusCode, most: usize, share: &Arc<Semaphore>) -> Self {
        let cut = !status.is_success();
        let limit = match () {
            () if cut => REFUSAL,
            () if *method == Method::GET => READ,
            () => CHANGE,
        };
        Self {
            bytes: BytesMut::new(),
            most: limit.min(most),
            cut,
            share: Arc::clone(share),
            held: Vec::new(),
        }
    }

    /// Takes a piece in. False: no more is wanted.
    ///
    /// # Errors
    /// It is too much; says what.
    pub fn take(&mut self, piece: &[u8]) -> Result<bool, String> {
        let room = self.most - self.bytes.len();
        if piece.len() > room && !self.cut {
            return Err(format!("the reply is larger than {} bytes", self.most));
        }
        let piece = &piece[..piece.len().min(room)];
        while self.bytes.len() + piece.len() > (self.held.len() + 1) * PIECE {
            let all = UNDER_WAY.try_acquire();
            let own = Arc::clone(&self.share).try_acquire_owned();
            let (Ok(all), Ok(own)) = (all, own) else {
                if self.cut {
                    return Ok(false);
                }
                return Err("too many large replies are being read at the same time".to_owned());
            };
            self.held.push((all, own));
        }
        self.bytes.extend_from_slice(piece);
        Ok(self.bytes.len() < self.most || !self.cut)
    }

    /// The whole of it. It is parsed at once, so that what it held is free for others.
    ///
    /// # Errors
    /// It would become too large when it is parsed.
    pub fn finish(self) -> Result<Bytes, String> {
        let weight = weight(&self.bytes);
        if self.cut && weight > REFUSAL_WEIGHT {
            return Ok(Bytes::new());
        }
        if weight > WEIGHT {
            return Err("the reply has too many values".to_owned());
        }
        Ok(self.bytes.freeze())
    }
}

/// What JSON weighs when it is parsed, without parsing it; of other texts some number.
fn weight(body: &[u8]) -> usize {
    let (mut weight, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' | b'[' if !quoted => weight += 1,
            b'{' if !quoted => weight += 17,
            _ => {}
        }
    }
    weight
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &Method, status: u16, pieces: &[&[u8]]) -> Result<usize, String> {
        let status = StatusCode::from_u16(status).unwrap();
        let mut body = Body::new(method, status, READ, &share());
        for piece in pieces {
            if !body.take(piece)? {
                break;
            }
        }
        body.finish().map(|b| b.len())
    }

    #[test]
    fn a_refusal_is_cut_off_and_a_success_that_is_too_large_is_none() {
        let mebibyte = vec![b' '; 1 << 20];
        let larger = [mebibyte.as_slice(), b" "];
        let largest = [mebibyte.as_slice(), &mebibyte, b" "];
        for (method, status, pieces, expected) in [
            (Method::GET, 404, &largest[..], Ok(REFUSAL)),
            (Method::POST, 500, &largest, Ok(REFUSAL)),
            (Method::POST, 302, &larger, Ok(CHANGE + 1)),
            (Method::POST, 201, &larger[..1], Ok(CHANGE)),
            (
                Method::POST,
                201,
                &larger,
                Err("the reply is larger than 1048576 bytes"),
            ),
            (Method::GET, 200, &larger, Ok(CHANGE + 1)),
            (
                Method::GET,
                200,
                &[mebibyte.as_slice(); 9],
                Err("the reply is larger than 8388608 bytes"),
            ),
        ] {
            let got = read(&method, status, pieces);
            assert_eq!(got, expected.map_err(str::to_owned), "{method} {status}");
        }
    }

    #[test]
    fn few_bytes_that_become_many_values_are_refused() {
        let text = |piece: &str, n: usize| format!("[{}0]", piece.repeat(n)).into_bytes();
        for (piece, n, good) in [
            ("0,", 900_000, true),
            ("0,", WEIGHT, false),
            ("{},", 50_000, true),
            ("{},", 60_000, false),
            ("[],", 499_000, true),
            ("[],", 501_000, false),
            // Text is no structure, whatever is in it.
            (r#""{[,\"{[,","#, 300_000, true),
        ] {
            let got = read(&Method::GET, 200, &[&text(piece, n)]);
            assert_eq!(got.is_ok(), good, "{piece} {n}: {got:?}");
        }
        // Of a refusal the status is left.
        for (n, length) in [(19_000, 38_003), (21_000, 0)] {
            assert_eq!(read(&Method::POST, 500, &[&text("0,", n)]), Ok(length));
        }
    }

    #[test]
    fn what_is_under_way_on_one_way_out_is_bounded_and_given_back() {
        let (share, mebibyte) = (share(), vec![b' '; 1 << 20]);
        let begin = |pieces| {
            let mut body = Body::new(&Method::GET, StatusCode::OK, READ, &share);
            (0..pieces).try_for_each(|_| body.take(&mebibyte).map(drop))?;
            Ok::<_, String>(body)
        };
        let large = begin(8).unwrap();
        let words = begin(1).map(drop).unwrap_err();
        assert!(words.contains("at the same time"), "{words}");
        let mut small = Body::new(&Method::GET, StatusCode::OK, READ, &share);
        assert_eq!(small.take(b"{}"), Ok(true), "small ones are read all the same");
        let mut refusal = Body::new(&Method::GET, StatusCode::NOT_FOUND, READ, &share);
        assert_eq!(
            refusal.take(&mebibyte),
            Ok(false),
            "of a refusal the status is left"
        );
        drop(large);
        assert!(begin(8).is_ok());
    }
}
