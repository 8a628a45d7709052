//! Nothing of a request is sent to a server that cannot prove who it is: real TLS on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use evenkeel::providers::transport::endpoint::EndpointRules;
use evenkeel::providers::transport::reqwest::{HttpConnect, install_crypto};
use evenkeel::providers::transport::{Connect, Stage};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};

const OURS: &[u8] = include_bytes!("certificates/ours.pem");
const ANOTHER: &[u8] = include_bytes!("certificates/another.pem");
const GOOD: &[u8] = include_bytes!("certificates/good.pem");
const ELSEWHERE: &[u8] = include_bytes!("certificates/elsewhere.pem");
const EXPIRED: &[u8] = include_bytes!("certificates/expired.pem");
const KEY: &[u8] = include_bytes!("certificates/server.key");

const TOKEN: &str = "planted-token";
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves one request with this certificate; what came of it in clear text.
fn serve(certificate: &'static [u8]) -> (u16, JoinHandle<Vec<u8>>) {
    let certificate = CertificateDer::from_pem_slice(certificate).unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let config = ServerConfig::builder().with_no_client_auth();
    let config = Arc::new(config.with_single_cert(vec![certificate], key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut connection = ServerConnection::new(config).unwrap();
        let mut stream = rustls::Stream::new(&mut connection, &mut socket);
        let (mut got, mut buffer) = (Vec::new(), [0; 4096]);
        // A refused handshake ends here, with nothing read.
        while let Ok(n) = stream.read(&mut buffer) {
            got.extend_from_slice(&buffer[..n]);
            if n == 0 || got.ends_with(b"\r\n\r\n") {
                break;
            }
        }
        let reply = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
        // Whoever refused does not listen any more.
        let _ = stream.write_all(reply).and_then(|()| stream.flush());
        got
    });
    (port, thread)
}

fn ask(port: u16) -> http::Request<Bytes> {
    http::Request::get(format!("https://localhost:{port}/servers"))
        .header("x-auth-token", TOKEN)
        .body(Bytes::new())
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_to_who_cannot_prove_who_it_is() {
    install_crypto();
    let lines = HttpConnect::new(EndpointRules { allow_insecure: true });
    for (what, certificate, authority, word) in [
        ("another authority", GOOD, Some(ANOTHER), "UnknownIssuer"),
        ("the system's authorities", GOOD, None, "UnknownIssuer"),
        ("another host", ELSEWHERE, Some(OURS), "not valid for name"),
        ("an expired certificate", EXPIRED, Some(OURS), "expired"),
    ] {
        let (port, server) = serve(certificate);
        let line = lines.connect(authority).unwrap();
        let error = line.send(ask(port), PATIENCE).await.unwrap_err();
        assert_eq!(error.stage, Stage::Connect, "{what}: {}", error.message);
        assert!(error.message.contains(word), "{what}: {}", error.message);
        assert_eq!(server.join().unwrap(), b"", "{what}");
    }
    // Else nothing was shown: the right one gets all of it.
    let (port, server) = serve(GOOD);
    let reply = lines
        .connect(Some(OURS))
        .unwrap()
        .send(ask(port), PATIENCE)
        .await
        .unwrap();
    assert_eq!(reply.status(), 200);
    assert!(String::from_utf8(server.join().unwrap()).unwrap().contains(TOKEN));
}

/// One record of TLS: its type and its content.
fn record(socket: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 5];
    socket.read_exact(&mut head).ok()?;
    let mut body = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    socket.read_exact(&mut body).ok()?;
    Some((head[0], body))
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_older_than_tls_1_2_is_spoken() {
    install_crypto();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let (kind, hello) = record(&mut socket).unwrap();
        assert_eq!(kind, 22, "a handshake");
        // It is answered with TLS 1.1 (0x0302): a random, no session, a cipher suite of that time.
        let mut answer = vec![22, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
        answer.extend([7; 32]);
        answer.extend([0, 0xc0, 0x13, 0]);
        socket.write_all(&answer).unwrap();
        (hello, record(&mut socket))
    });
    let lines = HttpConnect::new(EndpointRules { allow_insecure: true });
    let line = lines.connect(Some(OURS)).unwrap();
    let error = line.send(ask(port), PATIENCE).await.unwrap_err();
    assert_eq!(error.stage, Stage::Connect, "{}", error.message);
    let (hello, alert) = server.join().unwrap();
    // The extension supported_versions (43): its length, the length of its list, the versions.
    let at = hello.windows(2).position(|w| w == [0, 43]).unwrap();
    let length = usize::from(hello[at + 4]);
    let mut versions: Vec<&[u8]> = hello[at + 5..at + 5 + length].chunks(2).collect();
    versions.sort_unstable();
    assert_eq!(versions, [[3, 3], [3, 4]], "TLS 1.2 and 1.3");
    let (kind, body) = alert.expect("an alert");
    assert_eq!((kind, body), (21, vec![2, 70]), "fatal: protocol_version");
}
