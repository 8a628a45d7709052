//! The transport of production: HTTPS with reqwest and rustls.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use reqwest::tls::Version;
use reqwest::{Certificate, Client, redirect, retry};
use tokio::sync::Semaphore;

use super::endpoint::{EndpointRules, FilteringResolver};
use super::reply::{self, Body};
use super::{Connect, Stage, Transport, TransportError};

/// How long a connection may take to be made, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an unused connection is kept. Shorter than what common servers allow (5 s is the lowest usual
/// value): a request on a connection that the server is just closing would be lost, and a lost create costs minutes.
const IDLE: Duration = Duration::from_secs(4);
const USER_AGENT: &str = concat!("evenkeel/", env!("CARGO_PKG_VERSION"));

/// Chooses the process's cryptography: ring. Call it first; a second call changes nothing.
pub fn install_crypto() {
    // An error means that one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Makes transports on reqwest.
#[derive(Clone, Copy, Debug, Default)]
pub struct HttpConnect {
    rules: EndpointRules,
}

impl HttpConnect {
    /// Transports made by it reach only endpoints under these rules.
    pub const fn new(rules: EndpointRules) -> Self {
        Self { rules }
    }
}

impl Connect for HttpConnect {
    fn connect(&self, ca_pem: Option<&[u8]>) -> Result<Arc<dyn Transport>, TransportError> {
        Ok(Arc::new(HttpTransport::with_limit(
            self.rules,
            ca_pem,
            reply::READ,
        )?))
    }
}

struct HttpTransport {
    client: Client,
    rules: EndpointRules,
    limit: usize,
    share: Arc<Semaphore>,
}

impl HttpTransport {
    fn with_limit(rules: EndpointRules, ca_pem: Option<&[u8]>, limit: usize) -> Result<Self, TransportError> {
        let mut builder = Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            // All that rustls speaks, said so that it stays so.
            .tls_version_min(Version::TLS_1_2)
            // A proxy would resolve names itself, past the endpoint rules.
            .no_proxy()
            .https_only(!rules.allow_insecure)
            .dns_resolver(FilteringResolver::new(rules));
        if let Some(pem) = ca_pem {
            builder = builder.tls_certs_only(authorities(pem)?);
        }
        let client = builder
            .build()
            .map_err(|e| failed(Stage::Connect, "the HTTP client cannot be set up", &e))?;
        Ok(Self {
            client,
            rules,
            limit,
            share: reply::share(),
        })
    }

    async fn round_trip(
        &self,
        request: http::Request<Bytes>,
        deadline: Duration,
    ) -> Result<http::Response<Bytes>, TransportError> {
        let never_sent = |message: String| TransportError {
            stage: Stage::Connect,
            message,
        };
        self.rules
            .check(&request.uri().to_string())
            .map_err(|e| never_sent(e.to_string()))?;
        let method = request.method().clone();
        let mut request = reqwest::Request::try_from(request).map_err(|e| of(e, Stage::Connect))?;
        *request.timeout_mut() = Some(deadline);
        let mut reply = self
            .client
            .execute(request)
            .await
            .map_err(|e| of(e, Stage::Sent))?;

        let too_much = |message| TransportError {
            stage: Stage::Reply,
            message,
        };
        let mut body = Body::new(&method, reply.status(), self.limit, &self.share);
        while let Some(chunk) = reply.chunk().await.map_err(|e| of(e, Stage::Reply))? {
            if !body.take(&chunk).map_err(too_much)? {
                break;
            }
        }
        let mut answer = http::Response::new(body.finish().map_err(too_much)?);
        *answer.status_mut() = reply.status();
        *answer.headers_mut() = std::mem::take(reply.headers_mut());
        Ok(answer)
    }
}

impl Transport for HttpTransport {
    fn send(
        &self,
        request: http::Request<Bytes>,
        deadline: Duration,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        Box::pin(self.round_trip(request, deadline))
    }
}

fn authorities(pem: &[u8]) -> Result<Vec<Certificate>, TransportError> {
    let unreadable = |why: &str| TransportError {
        stage: Stage::Connect,
        message: format!("ca.crt holds no readable PEM certificate{why}"),
    };
    match Certificate::from_pem_bundle(pem) {
        Ok(list) if !list.is_empty() => Ok(list),
        Ok(_) => Err(unreadable("")),
        Err(e) => Err(unreadable(&format!(": {}", e.without_url()))),
    }
}

/// How far a request got, by what reqwest says; `default` where it says nothing.
fn of(error: reqwest::Error, default: Stage) -> TransportError {
    let (stage, what) = match () {
        // A connection that takes too long is both: it comes first, since nothing was sent.
        () if error.is_connect() => (Stage::Connect, "cannot connect"),
        () if error.is_builder() => (Stage::Connect, "the request cannot be made"),
        () if error.is_timeout() => (Stage::Timeout, "no reply in time"),
        () if error.is_decode() || error.is_body() => (Stage::Reply, "the reply broke off"),
        () => (default, "the connection broke"),
    };
    failed(stage, what, &error.without_url())
}

/// The words of an error and of its causes, without the URL.
fn failed(stage: Stage, what: &str, error: &reqwest::Error) -> TransportError {
    let mut message = what.to_owned();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !message.contains(&words) {
            message = format!("{message}: {words}");
        }
        cause = inner.source();
    }
    TransportError { stage, message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::http::{StatusCode, header};
    use axum::routing::get;

    const LAX: EndpointRules = EndpointRules { allow_insecure: true };
    const LONG: Duration = Duration::from_secs(20);

    async fn serve(app: Router) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        format!("http://{address}")
    }

    fn ask(url: &str) -> http::Request<Bytes> {
        http::Request::get(url).body(Bytes::new()).unwrap()
    }

    fn transport(rules: EndpointRules, limit: usize) -> HttpTransport {
        install_crypto();
        HttpTransport::with_limit(rules, None, limit).unwrap()
    }

    #[tokio::test]
    async fn reads_a_reply_and_follows_no_redirect() {
        let agent =
            |headers: http::HeaderMap| async move { format!("{:?}", headers.get(header::USER_AGENT)) };
        let away = || async { (StatusCode::FOUND, [(header::LOCATION, "/agent")]) };
        let base = serve(
            Router::new()
                .route("/agent", get(agent))
                .route("/away", get(away)),
        )
        .await;
        let t = transport(LAX, 1000);
        let reply = t.send(ask(&format!("{base}/agent")), LONG).await.unwrap();
        let text = String::from_utf8(reply.body().to_vec()).unwrap();
        assert!(
            text.contains(concat!("evenkeel/", env!("CARGO_PKG_VERSION"))),
            "{text}"
        );
        let reply = t.send(ask(&format!("{base}/away")), LONG).await.unwrap();
        assert_eq!(reply.status(), StatusCode::FOUND);
    }

    #[tokio::test]
    async fn says_how_far_a_request_got() {
        let hang = || async {
            std::future::pending::<()>().await;
        };
        let large = || async { vec![b'x'; 5000] };
        let refused = || async { (StatusCode::INTERNAL_SERVER_ERROR, vec![b'x'; 5000]) };
        let streamed = || async {
            let chunks = futures::stream::iter(
                (0..50).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 100]))),
            );
            axum::body::Body::from_stream(chunks)
        };
        let app = Router::new()
            .route("/hang", get(hang))
            .route("/large", get(large))
            .route("/refused", get(refused))
            .route("/streamed", get(streamed));
        let base = serve(app).await;
        let t = transport(LAX, 1000);
        let stage = |path: &'static str, deadline| {
            let (t, url) = (&t, format!("{base}{path}"));
            async move { t.send(ask(&url), deadline).await.unwrap_err().stage }
        };
        assert_eq!(stage("/hang", Duration::from_millis(50)).await, Stage::Timeout);
        assert_eq!(stage("/large", LONG).await, Stage::Reply);
        assert_eq!(stage("/streamed", LONG).await, Stage::Reply);

        let refused = t.send(ask(&format!("{base}/refused")), LONG).await.unwrap();
        assert_eq!(
            (refused.status().as_u16(), refused.body().len()),
            (500, 1000),
            "cut off"
        );

        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let nobody = format!("http://{}", closed.local_addr().unwrap());
        drop(closed);
        assert_eq!(
            t.send(ask(&nobody), LONG).await.unwrap_err().stage,
            Stage::Connect
        );

        let rude = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", rude.local_addr().unwrap());
        tokio::spawn(async move {
            use tokio::io::AsyncReadExt;
            while let Ok((mut socket, _)) = rude.accept().await {
                let _ = socket.read(&mut [0; 1024]).await;
            }
        });
        assert_eq!(t.send(ask(&url), LONG).await.unwrap_err().stage, Stage::Sent);
    }

    #[tokio::test]
    async fn strict_rules_send_nothing() {
        let t = transport(EndpointRules::default(), 1000);
        for url in [
            "http://93.184.216.34/",
            "https://127.0.0.1/",
            "https://localhost:1/",
        ] {
            assert_eq!(
                t.send(ask(url), LONG).await.unwrap_err().stage,
                Stage::Connect,
                "{url}"
            );
        }
    }

    #[test]
    fn an_unreadable_authority_is_an_error_with_words() {
        install_crypto();
        for pem in [
            &b"no pem"[..],
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            let error = HttpConnect::default().connect(Some(pem)).err().unwrap();
            assert!(!error.message.is_empty());
        }
        assert!(HttpConnect::default().connect(None).is_ok());
    }
}
